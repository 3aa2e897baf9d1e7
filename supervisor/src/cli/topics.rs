//! What `msup -h` and `msup help TOPIC` print.

use std::ffi::OsStr;

use super::usage::UsageError;

/// A subject that `msup help` explains.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: &'static str,
    /// Other words for it.
    aliases: &'static [&'static str],
    /// In one line.
    pub(super) about: &'static str,
    pub(super) text: &'static str,
}

/// Paragraphs, headings (which end with a colon and begin a line), and what stands as it is: lines
/// that begin with blanks.
pub(super) const TOPICS: [Topic; 9] = [
    Topic {
        name: "inputs",
        aliases: &["input", "values", "lists"],
        about: "where values come from",
        text: include_str!("topics/inputs.txt"),
    },
    Topic {
        name: "strings",
        aliases: &["replacement", "replacement-strings", "scripts"],
        about: "what stands for the value in COMMAND",
        text: include_str!("topics/strings.txt"),
    },
    Topic {
        name: "pipelines",
        aliases: &["pipeline", "stages"],
        about: "stages over files: msup run FILE.toml",
        text: include_str!("topics/pipelines.txt"),
    },
    Topic {
        name: "failures",
        aliases: &["failure", "halt", "status"],
        about: "what happens when tasks fail, and exit statuses",
        text: include_str!("topics/failures.txt"),
    },
    Topic {
        name: "resume",
        aliases: &["journal"],
        about: "going on after a kill or a power cut",
        text: include_str!("topics/resume.txt"),
    },
    Topic {
        name: "outputs",
        aliases: &["output"],
        about: "order, output files, logs and reports",
        text: include_str!("topics/outputs.txt"),
    },
    Topic {
        name: "settings",
        aliases: &["config", "configuration", "msup.toml"],
        about: "defaults in msup.toml",
        text: include_str!("topics/settings.txt"),
    },
    Topic {
        name: "parallel",
        aliases: &["gnu"],
        about: "command lines of GNU parallel",
        text: include_str!("topics/parallel.txt"),
    },
    Topic {
        name: "xargs",
        aliases: &[],
        about: "command lines of xargs",
        text: include_str!("topics/xargs.txt"),
    },
];

/// Lines are not wider than this, like those of --help, even if the terminal is.
const WIDEST: usize = 100;

/// `msup -h`: one screen.
const BRIEF: &str = "\
Run COMMAND once per input value, with as many processes as keep the CPUs busy

Usage: msup [OPTIONS] COMMAND [ARG]... [::: VALUE...]
  msup gzip -9 ::: *.log                     one command per file
  find . -name '*.wav' -print0 | msup -0 -- ffmpeg -i {} {.}.flac
  msup 'zcat {} | grep -c ERROR' ::: *.gz    a script: one quoted word
  msup resume                                continue an interrupted run

  -a, --arg-file FILE   Read the values from FILE
  -0, --null            Values end with a NUL byte (find -print0)
  -j, --jobs N          Run at most N commands at once
      --procs N         Use at most N CPUs
  -k, --keep-order      Show outputs in the order of the input
      --out TEMPLATE    The output file of each task: never half written
      --retries N       Allow a task that fails up to N attempts
      --timeout TIME    Stop a task that takes longer
      --halt WHEN       When to halt the run, for example now,fail=1
      --dry-run         Show the commands and run none
      --joblog FILE     Write a line for each finished task to FILE
  -q, --quiet           Print no bar and no closing report

More: msup --help, msup help inputs|strings|failures|resume|outputs|settings
      msup run FILE: a pipeline (msup help pipelines); msup parallel, msup xargs
";

/// `msup -h`.
pub(super) fn brief() -> String {
    wrapped(BRIEF)
}

/// The topic of this name.
pub(super) fn topic(word: &OsStr) -> Option<&'static Topic> {
    TOPICS
        .iter()
        .find(|topic| word == topic.name || topic.aliases.iter().any(|alias| word == *alias))
}

/// `msup help TOPIC`.
pub(super) fn help_on(topic: &Topic) -> String {
    wrapped(&format!("msup help {}: {}\n\n{}", topic.name, topic.about, topic.text))
}

/// That there is no such topic.
pub(super) fn none(word: &OsStr) -> UsageError {
    let names: Vec<String> = TOPICS.iter().map(|topic| topic.name.to_owned()).collect();
    UsageError::Topic {
        word: word.display().to_string(),
        known: super::choices::list(&names).replace(" or ", " and "),
    }
}

/// Paragraphs as wide as the terminal; other lines that are too long are broken between words.
fn wrapped(text: &str) -> String {
    let mut joined = String::new();
    let mut before = "";
    for line in text.lines() {
        let goes_on = [before, line].iter().all(|line| !line.is_empty() && !line.starts_with(' '));
        joined += if goes_on { " " } else { "\n" };
        joined += line;
        before = line;
    }
    let text = joined.trim_start_matches('\n');
    let command = clap::Command::new("msup")
        .help_template("{before-help}")
        .max_term_width(WIDEST)
        .before_help(text.to_owned());
    let mut text = command.disable_help_flag(true).render_help().to_string();
    text.truncate(text.trim_end().len());
    text + "\n"
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::args::Args;
    use crate::cli::pipeline::RunFlags;

    const ROWS: usize = 24;
    const COLUMNS: usize = 80;

    #[test]
    fn the_brief_help_fits_one_screen_and_names_twelve_flags_that_exist() {
        assert!(BRIEF.lines().count() < ROWS, "the prompt needs a line, too");
        let command = Args::command();
        let mut flags = 0;
        for line in BRIEF.lines() {
            assert!(line.chars().count() <= COLUMNS, "{line}");
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some(long) = words.iter().find_map(|word| word.strip_prefix("--")) else {
                continue;
            };
            if !line.starts_with("  -") && !line.starts_with("      --") {
                continue;
            }
            let arg = command.get_arguments().find(|arg| arg.get_long() == Some(long));
            let arg = arg.unwrap_or_else(|| panic!("{line}: no such flag"));
            let short = words[0].strip_prefix('-').and_then(|word| word.strip_suffix(','));
            assert_eq!(short.and_then(|short| short.chars().next()), arg.get_short(), "{line}");
            flags += 1;
        }
        assert_eq!(flags, 12);
    }

    #[test]
    fn topics_fit_a_terminal_and_name_flags_that_exist() {
        let (command, of_run) = (Args::command(), RunFlags::command());
        for topic in TOPICS {
            assert!(BRIEF.contains(topic.name), "{}", topic.name);
            for line in topic.text.lines() {
                assert!(line.chars().count() <= COLUMNS, "{}: {line}", topic.name);
            }
            let letters = |c: char| !c.is_ascii_alphanumeric() && c != '-';
            for word in topic.text.split(letters).filter(|word| word.starts_with("--")) {
                let of_subcommands = ["--", "--replay", "--failed", "--quarantined", "--all"];
                let long = &word[2..];
                let mut flags = command.get_arguments().chain(of_run.get_arguments());
                let is_known = flags.any(|arg| {
                    let aliases = arg.get_all_aliases().unwrap_or_default();
                    arg.get_long() == Some(long) || aliases.contains(&long)
                });
                assert!(is_known || of_subcommands.contains(&word), "{}: {word}", topic.name);
            }
        }
    }
}
