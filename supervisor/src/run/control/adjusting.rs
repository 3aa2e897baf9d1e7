//! `msup ctl procs` and `msup ctl max-workers`: how much may run at once from now on.

use super::super::Run;
use crate::cli::Concurrency;
use crate::engine::{Event, Steering};

/// The limits of a run as they are now, and how far they can be moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Adjustable {
    procs: u32,
    max_workers: u32,
    /// There is shared memory for no more than this.
    most_procs: u32,
    most_workers: u32,
    /// One number is both (`-j N`).
    is_one: bool,
    /// A file says it (`-j FILE`).
    by_file: bool,
}

impl Adjustable {
    pub(super) fn of(concurrency: &Concurrency) -> Adjustable {
        let (procs, max_workers) = (concurrency.procs, u32::from(concurrency.max_workers));
        Adjustable {
            procs,
            max_workers,
            most_procs: concurrency.most_procs(),
            most_workers: max_workers,
            is_one: procs == max_workers,
            by_file: concurrency.jobs_file.is_some(),
        }
    }

    /// There are to be this many tokens. Returns what the engine has to know.
    ///
    /// # Errors
    /// That is not possible: why, and what is.
    fn procs(&mut self, procs: u32) -> Result<Vec<Steering>, String> {
        self.check_source()?;
        let Adjustable { max_workers, most_procs, is_one, .. } = *self;
        if procs == 0 {
            return Err("procs: at least 1".into());
        }
        if procs > most_procs && is_one {
            return Err(format!("procs: at most {most_procs}, as the run was started"));
        }
        if procs > most_procs {
            return Err(format!(
                "procs: at most {most_procs}: the CPUs, or --procs at the start if that was more"
            ));
        }
        if procs > max_workers && !is_one {
            return Err(format!("procs: at most {max_workers}: raise max-workers first"));
        }
        self.procs = procs;
        let mut steered = vec![Steering::Procs(procs)];
        if is_one {
            self.max_workers = procs;
            steered.push(self.jobs_allowed());
        }
        Ok(steered)
    }

    /// No more tasks than this are to run at once. Returns what the engine has to know.
    ///
    /// # Errors
    /// That is not possible: why, and what is.
    pub(super) fn max_workers(&mut self, most: u32) -> Result<Vec<Steering>, String> {
        self.check_source()?;
        let Adjustable { procs, most_workers, is_one, .. } = *self;
        if is_one {
            return Err("max-workers: the run has one number for this and procs: use procs".into());
        }
        if most > most_workers {
            return Err(format!("max-workers: at most {most_workers}, as the run was started"));
        }
        if most < procs {
            return Err(format!(
                "max-workers: at least {procs}, the number of tokens: lower procs first"
            ));
        }
        self.max_workers = most;
        Ok(vec![self.jobs_allowed()])
    }

    /// As many as at the start are no limit of their own: workers may find the next task ready.
    fn jobs_allowed(&self) -> Steering {
        let is_limited = self.max_workers < self.most_workers;
        Steering::Jobs(if is_limited { self.max_workers } else { u32::MAX })
    }

    fn check_source(&self) -> Result<(), String> {
        match self.by_file {
            true => Err("a file says how many tasks run at once (-j FILE): change that".into()),
            false => Ok(()),
        }
    }
}

impl Run {
    /// There are to be this many tokens.
    ///
    /// # Errors
    /// That is not possible: why, and what is.
    pub(super) fn adjust_procs(
        &mut self,
        procs: u32,
        events: &mut Vec<Event>,
    ) -> Result<(), String> {
        let steered = self.reports.controlled.steered.adjustable.procs(procs)?;
        events.extend(steered.into_iter().map(Event::Steered));
        self.usage.allow_procs(procs);
        self.reports.figures.allow_procs(procs);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Adjustable = Adjustable {
        procs: 2,
        max_workers: 200,
        most_procs: 8,
        most_workers: 200,
        is_one: false,
        by_file: false,
    };

    fn told(events: Result<Vec<Steering>, String>) -> Result<Vec<String>, String> {
        events.map(|events| events.iter().map(|event| format!("{event:?}")).collect())
    }

    #[test]
    fn tokens_and_workers_move_within_what_was_made_for_them() {
        let mut run = RUN;
        assert_eq!(told(run.procs(8)), Ok(vec!["Procs(8)".to_owned()]));
        assert!(run.procs(9).is_err() && run.procs(0).is_err());
        assert!(run.max_workers(7).is_err_and(|why| why.contains("lower procs first")));
        assert_eq!(told(run.max_workers(8)), Ok(vec!["Jobs(8)".to_owned()]));
        assert_eq!(told(run.procs(1)), Ok(vec!["Procs(1)".to_owned()]));
        assert_eq!(told(run.max_workers(1)), Ok(vec!["Jobs(1)".to_owned()]));
        assert!(run.procs(2).is_err_and(|why| why.contains("raise max-workers first")));
        assert!(run.max_workers(201).is_err());
    }

    #[test]
    fn with_one_number_for_both_both_move() {
        let (max_workers, most_workers) = (2, 2);
        let mut run = Adjustable { max_workers, most_workers, most_procs: 2, is_one: true, ..RUN };
        let both = vec!["Procs(1)".to_owned(), "Jobs(1)".to_owned()];
        assert_eq!(told(run.procs(1)), Ok(both));
        let both = vec!["Procs(2)".to_owned(), format!("Jobs({})", u32::MAX)];
        assert_eq!(told(run.procs(2)), Ok(both), "as at the start");
        assert!(run.procs(3).is_err_and(|why| why.contains("as the run was started")));
        assert!(run.max_workers(1).is_err_and(|why| why.contains("use procs")));
    }

    #[test]
    fn what_a_file_says_is_changed_there() {
        let mut run = Adjustable { by_file: true, ..RUN };
        assert!(run.procs(1).is_err() && run.max_workers(3).is_err());
    }
}
