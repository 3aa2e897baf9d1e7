//! The flags of GNU parallel and xargs that msup does not have, and what to do instead.

use crate::cli::usage::UsageError;

/// Flags that mean one thing, and what to do in msup instead. Names of one character are short
/// flags.
struct Foreign {
    names: &'static str,
    instead: &'static str,
}

const LINES: &str =
    "--lb shows each line of an output as soon as it is complete, --tag whose it is";
const HOSTS: &str = "msup runs on one machine: start it on each one with ssh";
const MEMORY: &str = "--memfree SIZE starts no task while less memory is available; --memory SIZE \
                      bounds what all commands have together";
const CPUS: &str = "say how many CPUs commands may use with --procs N or --procs N%";
const RETIRED: &str = "GNU parallel has retired it, too: leave it out";
const OWN_READING: &str = "msup reads its command line in its own way (msup --help): leave it out";
const SETTINGS: &str = "msup reads defaults from msup.toml (msup help settings); msup parallel \
                        reads profiles of GNU parallel";
const SCRIPTS: &str =
    "write a script whose last line calls msup, with the values or \"$@\" behind :::";
const SEMAPHORE: &str = "use flock, or sem of GNU parallel";

const FLAGS: &[Foreign] = &[
    Foreign {
        names: "linkinputsource xapplyinputsource",
        instead: "begin a list with ':::+' or '::::+' to link it with the one before it",
    },
    Foreign { names: "filter", instead: "filter the list first, such as grep ... list | msup ..." },
    Foreign { names: "latest-line latestline ll tmux tmux-pane tmuxpane", instead: LINES },
    Foreign { names: "memsuspend", instead: MEMORY },
    Foreign {
        names: "number-of-cpus numberofcpus number-of-sockets numberofsockets number-of-cores \
                numberofcores number-of-threads numberofthreads use-sockets-instead-of-threads \
                usesocketsinsteadofthreads use-cores-instead-of-threads \
                usecoresinsteadofthreads use-cpus-instead-of-cores usecpusinsteadofcores",
        instead: CPUS,
    },
    Foreign {
        names: "record-env recordenv session",
        instead: "commands have msup's environment: export what they need",
    },
    Foreign {
        names: "S sshlogin sshloginfile slf ssh ssh-delay sshdelay controlmaster M onall \
                nonall filter-hosts filterhosts filter-host transfer transferfile \
                transfer-file transferfiles transfer-files tf return trc cleanup basefile bf \
                rsync-opts rsyncopts hgrp hostgrp hostgroup hostgroups",
        instead: HOSTS,
    },
    Foreign {
        names: "sql sqlmaster sql-master sqlworker sql-worker sqlandworker sql-and-worker",
        instead: "a run keeps its journal in files, which msup log --json reads",
    },
    Foreign {
        names: "shard bin group-by groupby",
        instead: "sort the input by that column first; msup --pipe cuts between records",
    },
    Foreign {
        names: "template tmpl",
        instead: "fill the file in by the command, such as 'sed \"s/@/$x/\" template' with x={} \
                  before it",
    },
    Foreign {
        names: "quote shellquote shell-quote shell_quote",
        instead: "several words are executed as they are and values are never quoted: leave it out",
    },
    Foreign {
        names: "semaphore semaphorename semaphore-name id semaphoretimeout semaphore-timeout \
                st fg bg wait",
        instead: SEMAPHORE,
    },
    Foreign { names: "citation bibtex min-version minversion bug D debug", instead: OWN_READING },
    Foreign {
        names: "shebang hashbang shebang-wrap shebangwrap hashbang-wrap hashbangwrap embed",
        instead: SCRIPTS,
    },
    Foreign {
        names: "parset env-parallel env_parallel",
        instead: "commands have msup's environment: export what they need (export -f for \
                  functions), and read results with mapfile -t a < <(msup -k ...)",
    },
    Foreign {
        names: "shell-completion shellcompletion",
        instead: "msup completions bash|zsh|fish prints completions",
    },
    Foreign { names: "profile J", instead: SETTINGS },
    Foreign {
        names: "tollef B W T H Y g no-ctrl-c no-ctrlc noctrlc ctrl-c ctrlc",
        instead: RETIRED,
    },
];

/// A shortened name of a flag, as those tools accept it, must have at least this number of
/// characters to be taken for one.
const LEAST_OF_A_NAME: usize = 3;

/// What to do instead of this flag (with its dashes), if GNU parallel or xargs has it.
pub(in crate::cli) fn known(typed: &str) -> Option<UsageError> {
    let name = bare(typed)?;
    find(|known| known == name).map(|(_, instead)| refusal(typed, instead))
}

/// The same if a flag of theirs begins so: they take shortened names.
pub(in crate::cli) fn begun(typed: &str) -> Option<UsageError> {
    let name = bare(typed).filter(|name| name.len() >= LEAST_OF_A_NAME)?;
    let (known, instead) = find(|known| known.starts_with(name))?;
    Some(refusal(&format!("{typed} (--{known})"), instead))
}

fn bare(typed: &str) -> Option<&str> {
    typed.strip_prefix("--").or_else(|| typed.strip_prefix('-'))
}

fn refusal(typed: &str, instead: &'static str) -> UsageError {
    UsageError::Unsupported { typed: typed.to_owned(), instead }
}

fn find(wanted: impl Fn(&str) -> bool) -> Option<(&'static str, &'static str)> {
    FLAGS.iter().find_map(|flag| {
        let name = flag.names.split_whitespace().find(|name| wanted(name))?;
        Some((name, flag.instead))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flag_has_two_answers() {
        let mut names: Vec<&str> =
            FLAGS.iter().flat_map(|flag| flag.names.split_whitespace()).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn flags_are_found_whole_or_begun() {
        let known = |typed| known(typed).map(|refusal| refusal.to_string());
        let begun = |typed| begun(typed).map(|refusal| refusal.to_string());
        let long = known("--filter").expect("a flag of GNU parallel");
        assert!(long.starts_with("--filter is not supported: "), "{long}");
        assert!(known("--ll").is_some_and(|text| text.contains("--lb")));
        let begins = begun("--latest").expect("the beginning of one");
        assert!(begins.starts_with("--latest (--latest-line) is not supported: "), "{begins}");
        let none = ["--latest", "--nonsense", "word"].map(known);
        assert_eq!(none, [None, None, None]);
        assert_eq!(begun("--zz"), None);
    }
}
