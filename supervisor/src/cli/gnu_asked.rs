//! Flags of GNU parallel that only its own reading of a command line has: what they ask for is
//! printed, or is done anyway.

use std::collections::BTreeSet;

use super::Refusal;
use super::other_tools;
use crate::os::cpu_quota;

/// The version of GNU parallel whose reading this is.
const VERSION: u32 = 20_221_122;

#[derive(Debug, Default, clap::Args)]
pub(super) struct GnuAsked {
    /// Files with flags, which have been read.
    #[arg(short = 'J', long, hide = true)]
    pub(super) profile: Vec<String>,

    #[arg(long, alias = "numberofcpus", hide = true)]
    number_of_cpus: bool,

    #[arg(long, alias = "numberofcores", hide = true)]
    number_of_cores: bool,

    #[arg(long, alias = "numberofsockets", hide = true)]
    number_of_sockets: bool,

    #[arg(long, alias = "numberofthreads", hide = true)]
    number_of_threads: bool,

    #[arg(long, alias = "min-version", hide = true)]
    minversion: Option<u32>,

    #[arg(long, aliases = ["bibtex"], hide = true)]
    citation: bool,

    /// The same as -q.
    #[arg(long, hide = true)]
    pub(super) quote: bool,

    /// Commands are printed in quotes, once for each time that it is given.
    #[arg(
        long,
        aliases = ["shell-quote", "shell_quote"],
        action = clap::ArgAction::Count,
        hide = true
    )]
    pub(super) shellquote: u8,

    /// How CPUs are counted: as tokens, anyway.
    #[arg(
        long,
        aliases = [
            "usecpusinsteadofcores", "use-cores-instead-of-threads", "usecoresinsteadofthreads",
            "use-sockets-instead-of-threads", "usesocketsinsteadofthreads",
        ],
        action = clap::ArgAction::Count,
        hide = true
    )]
    use_cpus_instead_of_cores: u8,
}

impl GnuAsked {
    /// Refuses all of them where the command line is not read as GNU parallel reads it.
    ///
    /// # Errors
    /// The first that was given.
    pub(super) fn refuse(&self) -> Result<(), Refusal> {
        let given = [
            ("--profile", !self.profile.is_empty()),
            ("--number-of-cpus", self.number_of_cpus),
            ("--number-of-cores", self.number_of_cores),
            ("--number-of-sockets", self.number_of_sockets),
            ("--number-of-threads", self.number_of_threads),
            ("--minversion", self.minversion.is_some()),
            ("--citation", self.citation),
            ("--quote", self.quote),
            ("--shellquote", self.shellquote > 0),
            ("--use-cpus-instead-of-cores", self.use_cpus_instead_of_cores > 0),
        ];
        let refused = given.iter().filter(|(_, is_given)| *is_given);
        match refused.filter_map(|(flag, _)| other_tools::known(flag)).next() {
            Some(refusal) => Err(refusal.into()),
            None => Ok(()),
        }
    }

    /// What is printed instead of running anything, and the exit status.
    pub(super) fn answer(&self) -> Option<(String, u8)> {
        const TOO_OLD: u8 = 255;
        if self.number_of_sockets {
            return Some((format!("{}\n", Cpus::read().sockets), 0));
        }
        if self.number_of_cpus || self.number_of_cores {
            return Some((format!("{}\n", Cpus::read().cores), 0));
        }
        if self.number_of_threads {
            return Some((format!("{}\n", Cpus::read().threads), 0));
        }
        if self.citation {
            return Some((CITATION.into(), 0));
        }
        let minversion = self.minversion?;
        Some((format!("{VERSION}\n"), if VERSION < minversion { TOO_OLD } else { 0 }))
    }
}

/// What `--version` prints: scripts look for the first line, and for the number in it.
pub(super) fn version() -> String {
    format!(
        "GNU parallel {VERSION}\nThis is msup {}, which reads command lines as this version of GNU \
         parallel does.\n",
        env!("CARGO_PKG_VERSION")
    )
}

const CITATION: &str = "msup is not GNU parallel, and asks for no citation.\n";

/// How many CPUs this process may use.
struct Cpus {
    threads: usize,
    cores: usize,
    sockets: usize,
}

impl Cpus {
    fn read() -> Cpus {
        let threads = cpu_quota::cpus() as usize;
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Cpus::parse(&text, threads)
    }

    /// The cores and sockets that `/proc/cpuinfo` names, at most one for each of the threads.
    fn parse(text: &str, threads: usize) -> Cpus {
        let number = |block: &str, name: &str| {
            let line = block.lines().find(|line| line.trim_end().starts_with(name));
            line.and_then(|line| line.split_once(':')).map(|(_, number)| number.trim().to_owned())
        };
        let blocks = text.split("\n\n").filter(|block| !block.trim().is_empty());
        let places: BTreeSet<_> = blocks
            .filter_map(|block| Some((number(block, "physical id")?, number(block, "core id")?)))
            .collect();
        let sockets: BTreeSet<_> = places.iter().map(|(socket, _)| socket).collect();
        let at_most = |known: usize| if known == 0 { threads } else { known.min(threads) };
        Cpus {
            threads,
            cores: at_most(places.len()),
            sockets: sockets.len().clamp(1, threads.max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_counted() {
        let block =
            |socket, core| format!("processor : 0\nphysical id\t: {socket}\ncore id\t\t: {core}\n");
        let text = [block(0, 0), block(0, 0), block(0, 1), block(1, 0)].join("\n");
        let counted = |threads| {
            let Cpus { threads, cores, sockets } = Cpus::parse(&text, threads);
            (threads, cores, sockets)
        };
        assert_eq!((counted(4), counted(1)), ((4, 3, 2), (1, 1, 1)));
        let unknown = Cpus::parse("", 4);
        assert_eq!((unknown.cores, unknown.sockets), (4, 1));
    }

    #[test]
    fn versions_are_compared() {
        let answer = |minversion| GnuAsked { minversion, ..Default::default() }.answer();
        assert_eq!(answer(Some(20_200_101)), Some(("20221122\n".into(), 0)));
        assert_eq!(answer(Some(20_300_101)), Some(("20221122\n".into(), 255)));
        assert_eq!(answer(None), None);
        assert!(version().starts_with("GNU parallel 20221122\n"));
    }
}
