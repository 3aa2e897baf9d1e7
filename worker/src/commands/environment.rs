//! A command's arguments and environment, as C strings.

use std::env;
use std::ffi::{CString, NulError};
use std::os::unix::ffi::OsStringExt;

use msup_protocol::codec::{Command, SlotPlace};
use msup_protocol::env as names;
use msup_protocol::packed::WorkerId;

/// The worker's own environment, which commands inherit, and its slot number.
pub(super) struct Environment {
    inherited: Vec<CString>,
    slot: String,
    slot_from_0: WorkerId,
    /// Whether the user has not set the number of threads for OpenMP programs.
    sets_openmp: bool,
}

impl Environment {
    /// The environment of this process. Users see slots counted from 1, as in GNU parallel.
    pub(super) fn of_this_process(me: WorkerId) -> Environment {
        let ours = [
            names::SEQ,
            names::SLOT,
            names::ATTEMPT,
            names::THREADS,
            names::OUT,
            names::PARALLEL_SEQ,
            names::PARALLEL_JOBSLOT,
            names::KEEPS_IGNORED,
        ];
        let inherited = env::vars_os()
            .filter(|(name, _)| !ours.iter().any(|ours| name == ours))
            .filter_map(|(name, value)| {
                let mut entry = name.into_vec();
                entry.push(b'=');
                entry.extend(value.into_vec());
                CString::new(entry).ok()
            })
            .collect();
        let sets_openmp = env::var_os(names::OMP_THREADS).is_none();
        Environment {
            inherited,
            slot: (u32::from(me) + 1).to_string(),
            slot_from_0: me,
            sets_openmp,
        }
    }

    /// The environment of one attempt: inherited, then msup's own, then the command's.
    pub(super) fn for_task(
        &self,
        seq: u64,
        attempt: u32,
        command: &Command,
    ) -> Result<Vec<CString>, NulError> {
        let seq = seq.to_string();
        let own = [
            (names::SEQ, seq.as_str()),
            (names::ATTEMPT, &attempt.to_string()),
            (names::PARALLEL_SEQ, seq.as_str()),
        ];
        let mut all = self.of_slot(command.threads);
        for (name, value) in own {
            all.push(CString::new(format!("{name}={value}"))?);
        }
        let variable = &command.place.slot_variable;
        if !variable.is_empty() {
            // A name of the user's may be inherited, too.
            let assigned = [variable.as_slice(), b"="].concat();
            all.retain(|entry| !entry.to_bytes().starts_with(&assigned));
            all.push(CString::new([&assigned, self.slot_from_0.to_string().as_bytes()].concat())?);
        }
        for (name, value) in &command.env {
            all.push(CString::new([name.as_slice(), b"=", value].concat())?);
        }
        Ok(all)
    }

    /// The environment of a program that keeps running from task to task: inherited, then what
    /// stays the same for all tasks of this worker.
    pub(super) fn for_program(&self) -> Vec<CString> {
        // There is one for each CPU.
        self.of_slot(1)
    }

    fn of_slot(&self, threads: u32) -> Vec<CString> {
        let threads = threads.to_string();
        let own = [
            (names::SLOT, self.slot.as_str()),
            (names::PARALLEL_JOBSLOT, self.slot.as_str()),
            (names::THREADS, threads.as_str()),
            (names::OMP_THREADS, threads.as_str()),
        ];
        let own = own.iter().filter(|(name, _)| *name != names::OMP_THREADS || self.sets_openmp);
        let own = own.filter_map(|(name, value)| CString::new(format!("{name}={value}")).ok());
        self.inherited.iter().cloned().chain(own).collect()
    }

    /// The arguments, with the slot number inserted at its marks.
    pub(super) fn arguments(&self, command: Command) -> Result<Vec<CString>, NulError> {
        let Command { mut argv, slot_marks, .. } = command;
        // From the last to the first, so that the remaining offsets stay valid.
        for SlotPlace { argument, at, digits } in slot_marks.into_iter().rev() {
            if let Some(bytes) = argv.get_mut(argument as usize) {
                let at = (at as usize).min(bytes.len());
                let slot = format!("{:0>digits$}", self.slot, digits = digits.into());
                bytes.splice(at..at, slot.bytes());
            }
        }
        argv.into_iter().map(|argument| CString::new(argument.into_vec())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use msup_protocol::codec::Place;
    use serde_bytes::ByteBuf;

    #[test]
    fn the_slot_number_goes_where_it_is_marked() {
        let environment = Environment::of_this_process(11);
        let argv = [&b"echo"[..], b"", b"a--b"].map(|word| ByteBuf::from(word.to_vec())).to_vec();
        let command = Command {
            argv,
            env: vec![],
            slot_marks: [(1, 0, 1), (2, 1, 1), (2, 2, 4)]
                .map(|(argument, at, digits)| SlotPlace { argument, at, digits })
                .to_vec(),
            ..Command::default()
        };
        let argv = environment.arguments(command).expect("no NUL");
        assert_eq!(argv, [c"echo", c"12", c"a12-0012-b"].map(CString::from));
    }

    #[test]
    fn a_task_sees_its_numbers() {
        let environment = Environment::of_this_process(0);
        let env = vec![(ByteBuf::from(*b"MSUP_V"), ByteBuf::from(vec![0xff]))];
        let place = Place { slot_variable: ByteBuf::from(*b"GPU"), ..Place::default() };
        let command = Command { threads: 3, env, place, ..Command::default() };
        let all = environment.for_task(7, 2, &command).expect("no NUL");
        for entry in [
            c"MSUP_SEQ=7",
            c"PARALLEL_SEQ=7",
            c"MSUP_SLOT=1",
            c"MSUP_ATTEMPT=2",
            c"MSUP_THREADS=3",
            c"GPU=0",
        ] {
            assert!(all.iter().any(|found| found.as_c_str() == entry), "{entry:?}");
        }
        assert_eq!(all.last().map(|entry| entry.as_bytes()), Some(&b"MSUP_V=\xff"[..]));
    }

    #[test]
    fn a_program_that_keeps_running_sees_its_slot_but_no_task() {
        let all = Environment::of_this_process(2).for_program();
        let has =
            |start: &str| all.iter().any(|entry| entry.as_bytes().starts_with(start.as_bytes()));
        assert!(has("MSUP_SLOT=3") && has("PARALLEL_JOBSLOT=3") && has("MSUP_THREADS=1"));
        assert!(!has("MSUP_SEQ=") && !has("PARALLEL_SEQ=") && !has("MSUP_ATTEMPT="));
    }
}
