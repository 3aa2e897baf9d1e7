//! The flags of GNU parallel and xargs that msup does not have, and what to do instead.

use crate::cli::usage::UsageError;

/// Flags that mean one thing, and what to do in msup instead. Names of one character are short
/// flags.
struct Foreign {
    names: &'static str,
    instead: &'static str,
}

const BATCHES: &str = "-n N gives each command N values";
const NO_LIMIT: &str = "-n N limits the number of values per command: leave it out";
const BRACES: &str = "-I REPL sets the string for the whole value; its parts are {.} {/} {//} {/.}";
const COLUMNS: &str = "--colsep REGEXP splits values into columns; leave the first line out with \
                       tail -n +2";
const WHOLE: &str = "outputs are shown whole when a task has finished; to watch one, write it to a \
                     file in the command, such as 'make {} > {}.log'";
const FILES: &str = "write to files in the command, such as 'make {} > {/}.out 2> {/}.err'";
const TAGS: &str = "--tag begins each line with the value, without colours";
const HOSTS: &str = "msup runs on one machine: start it on each one with ssh";
const PIPES: &str = "a command gets a value, not a part of the input: split the input into files \
                     first (split) and give msup their names";
const SHOWN: &str = "--bar shows progress, --joblog FILE what has finished; kill -USR1 PID of msup \
                     lists the running tasks";
const FITS: &str = "msup measures how busy the CPUs are and keeps as many commands in flight as \
                    they take; --procs bounds what they use";
const MEMORY: &str =
    "--memory SIZE bounds what all commands have together, --mem-per-task SIZE what each has";
const CPUS: &str = "say how many CPUs commands may use with --procs N or --procs N%";
const ASKS: &str = "to see the commands first, use --dry-run";
const RETIRED: &str = "GNU parallel has retired it, too: leave it out";
const SEPARATOR: &str =
    "the separator is always ':::'; --literal takes what looks like one literally";
const OWN_READING: &str = "msup reads its command line in its own way (msup --help): leave it out";
const SETTINGS: &str = "msup reads no such settings: give the flags on the command line";
const SEMAPHORE: &str = "use flock, or sem of GNU parallel";

const FLAGS: &[Foreign] = &[
    Foreign { names: "L l max-lines maxlines X m xargs", instead: BATCHES },
    Foreign {
        names: "s max-chars maxchars x exit show-limits showlimits max-line-length-allowed \
                maxlinelengthallowed",
        instead: NO_LIMIT,
    },
    Foreign {
        names: "U extensionreplace er basenamereplace bnr dirnamereplace dnr \
                basenameextensionreplace bner seqreplace slotreplace parens rpl",
        instead: BRACES,
    },
    Foreign {
        names: "plus",
        instead: "msup has {} {.} {/} {//} {/.} {#} {%}; in a script, the shell does the rest, \
                  such as 'x={}; mv \"$x\" \"${x%.tar.gz}\"'",
    },
    Foreign {
        names: "E e eof",
        instead: "end the list there first, such as sed '/^END$/,$d' list | msup ...",
    },
    Foreign { names: "csv header skip-first-line skipfirstline", instead: COLUMNS },
    Foreign {
        names: "linkinputsource xapplyinputsource",
        instead: "begin a list with ':::+' or '::::+' to link it with the one before it",
    },
    Foreign { names: "shuf", instead: "shuffle the list first, such as shuf list | msup ..." },
    Foreign { names: "filter", instead: "filter the list first, such as grep ... list | msup ..." },
    Foreign {
        names: "total-jobs totaljobs total",
        instead: "msup counts the tasks while it reads them: leave it out",
    },
    Foreign {
        names: "resume",
        instead: "every run keeps a journal: msup resume goes on with one, without its command \
                  line",
    },
    Foreign {
        names: "resume-failed resumefailed retry-failed retryfailed",
        instead: "every run keeps a journal: msup retry --failed runs again what failed",
    },
    Foreign { names: "p interactive", instead: ASKS },
    Foreign {
        names: "o open-tty tty",
        instead: "commands cannot read the terminal: give them what they ask for in files or \
                  variables",
    },
    Foreign {
        names: "u ungroup lb line-buffer line-buffered linebuffer linebuffered latest-line \
                latestline ll tmux tmux-pane tmuxpane",
        instead: WHOLE,
    },
    Foreign { names: "results result res files output-as-files outputasfiles", instead: FILES },
    Foreign {
        names: "ctag ctagstring ctag-string color colour color-failed \
                colour-failed colorfailed colourfailed color-fail colour-fail colorfail \
                colourfail cf",
        instead: TAGS,
    },
    Foreign { names: "no-keep-order nokeeporder nok no-k", instead: "leave -k out" },
    Foreign { names: "v t verbose", instead: SHOWN },
    Foreign { names: "delay", instead: "msup -j1 'curl {}; sleep 1' pauses between commands" },
    Foreign { names: "load limit", instead: FITS },
    Foreign { names: "memfree memsuspend noswap", instead: MEMORY },
    Foreign {
        names: "number-of-cpus numberofcpus number-of-sockets numberofsockets number-of-cores \
                numberofcores number-of-threads numberofthreads use-sockets-instead-of-threads \
                usesocketsinsteadofthreads use-cores-instead-of-threads \
                usecoresinsteadofthreads use-cpus-instead-of-cores usecpusinsteadofcores",
        instead: CPUS,
    },
    Foreign { names: "nice", instead: "start msup with it: nice -n 10 msup ..." },
    Foreign {
        names: "env record-env recordenv session",
        instead: "commands have msup's environment: export what they need",
    },
    Foreign {
        names: "process-slot-var processslotvar",
        instead: "commands have their slot in MSUP_SLOT, and the command line in {%}",
    },
    Foreign {
        names: "wd workdir work-dir",
        instead: "change the folder first, such as (cd FOLDER && msup ...), or in the command, \
                  such as 'cd FOLDER && make {}'",
    },
    Foreign { names: "tmpdir tempdir", instead: "set the variable TMPDIR" },
    Foreign {
        names: "compress compress-program compressprogram use-compress-program \
                usecompressprogram decompress-program decompressprogram use-decompress-program \
                usedecompressprogram",
        instead: "large outputs are kept in $TMPDIR as they are: leave it out",
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
        names: "pipe spreadstdin pipepart pipe-part block block-size blocksize block-timeout \
                blocktimeout bt recstart recend regexp regex rrs removerecsep remove-rec-sep \
                round roundrobin round-robin cat fifo tee shard bin group-by groupby",
        instead: PIPES,
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
    Foreign { names: "arg-sep argsep arg-file-sep argfilesep", instead: SEPARATOR },
    Foreign {
        names: "semaphore semaphorename semaphore-name id semaphoretimeout semaphore-timeout \
                st fg bg wait",
        instead: SEMAPHORE,
    },
    Foreign {
        names: "tollef shebang hashbang embed citation bibtex min-version minversion \
                shell-completion shellcompletion bug D debug",
        instead: OWN_READING,
    },
    Foreign { names: "profile J", instead: SETTINGS },
    Foreign { names: "B W T H Y g no-ctrl-c ctrl-c", instead: RETIRED },
];

/// A shortened name of a flag, as those tools accept it, must have at least this number of
/// characters to be taken for one.
const LEAST_OF_A_NAME: usize = 3;

/// What to do instead of this flag (with its dashes), if GNU parallel or xargs has it.
pub(in crate::cli) fn known(typed: &str) -> Option<UsageError> {
    let name = bare(typed)?;
    find(|known| known == name).map(|(_, instead)| refusal(typed, instead))
}

/// The same for a flag that msup accepts with another value only.
pub(super) fn refused_value(flag: &str, value: &str) -> UsageError {
    let instead = bare(flag).and_then(|name| find(|known| known == name));
    refusal(&format!("{flag} {value}"), instead.map_or("leave it out", |(_, instead)| instead))
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
        let long = known("--header").expect("a flag of GNU parallel");
        assert!(long.starts_with("--header is not supported: "), "{long}");
        assert!(known("-X").is_some_and(|text| text.contains("-n N")));
        let begins = begun("--line-buf").expect("the beginning of one");
        assert!(begins.starts_with("--line-buf (--line-buffer) is not supported: "), "{begins}");
        let none = ["--line-buf", "--nonsense", "word"].map(known);
        assert_eq!(none, [None, None, None]);
        assert_eq!(begun("--zz"), None);
    }
}
