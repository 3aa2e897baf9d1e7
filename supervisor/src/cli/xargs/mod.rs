//! `msup xargs`, and msup called by that name: the reading of xargs (GNU findutils).

mod limits;
mod options;
mod plan;
mod usage;

use std::ffi::{OsStr, OsString};
use std::io::{Write, stderr};
use std::path::Path;

use super::Command;
use options::Asked;
use usage::XargsError;

/// The subcommand, and the name that msup may be called by.
const NAME: &str = "xargs";

/// The exit status where the command line or the list is wrong.
const WRONG: u8 = 1;

/// What `--help` shows.
const HELP: &str = "\
Usage: msup xargs [OPTION]... [COMMAND [ARG]...]
Run COMMAND (echo) with arguments from standard input behind its own, as GNU
xargs does. Each command's output is shown in one piece.

Input:
  -0, --null                 A NUL byte ends each argument; nothing is quoted
  -a, --arg-file=FILE        Read FILE; commands get the standard input
  -d, --delimiter=CHARACTER  CHARACTER ends each argument; nothing is quoted
  -E END, -e[END], --eof[=END]
                             The argument END ends the input
Commands:
  -I R, -i[R], --replace[=R] One command per line, which replaces R ({}) in it
  -L N, -l[N], --max-lines[=N]
                             The arguments of N (1) non-blank lines per command
  -n, --max-args=N           At most N arguments per command
  -s, --max-chars=N          At most N bytes per command line
  -x, --exit                 Fail if that leaves no room for what -n or -L wants
  -r, --no-run-if-empty      Run nothing if there are no arguments
  -P, --max-procs=N          Run N commands at once (1); 0: as many as possible
      --process-slot-var=VAR Number the commands that run at once in VAR
  -t, --verbose              Show each command on standard error
      --show-limits          Show how long a command line may be

Exit status: 0; 123 if a command failed; 124 if one exited with 255, 125 if one
was killed by a signal, 126 if it cannot be run, 127 if it is not found (these
stop the run); 1 for other errors.

docs/guide/coming-from-xargs.md in the source code of msup says what differs.
";

/// The words behind the name, if this reading was asked for; else all of them.
pub(super) fn words(
    program: Option<&OsStr>,
    mut words: Vec<OsString>,
) -> Result<Vec<OsString>, Vec<OsString>> {
    let name = program.and_then(|program| Path::new(program).file_name());
    if name == Some(OsStr::new(NAME)) {
        return Ok(words);
    }
    if words.first().is_none_or(|first| first != NAME) {
        return Err(words);
    }
    words.remove(0);
    Ok(words)
}

/// All flags, as they are typed.
pub(super) fn flags() -> Vec<String> {
    options::flags().collect()
}

/// What these words ask for.
pub(super) fn parse(words: Vec<OsString>) -> Command {
    let say = |line: &str| {
        // Where standard error cannot be written nobody reads it.
        let _ = writeln!(stderr(), "{NAME}: {line}");
    };
    let asked = options::read(words, say).and_then(|asked| match asked {
        Asked::Help => Ok(Command::Print(HELP.into())),
        Asked::Version => {
            Ok(Command::Print(format!("xargs (msup) {}\n", env!("CARGO_PKG_VERSION"))))
        }
        Asked::Run(options) => {
            let plan = plan::make(*options)?;
            Ok(Command::Run(Box::new(plan)))
        }
    });
    asked.unwrap_or_else(|why| Command::Complain(complaint(&why), WRONG))
}

fn complaint(why: &XargsError) -> String {
    let hint = match why.is_about_usage() {
        true => "Try 'xargs --help' for more information.\n",
        false => "",
    };
    format!("{NAME}: {why}\n{hint}")
}
