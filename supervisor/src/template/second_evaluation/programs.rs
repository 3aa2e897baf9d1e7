//! Programs that give some of their words, or their standard input, to a shell, if a command runs
//! them. The same word among the arguments of another command means nothing.

use crate::template::shell_words::is_name_byte;

/// Variables that a shell expands or runs: as prompts, or as the names of files that it reads at
/// its start, which it expands first. `BASH_FUNC_..` are functions, see [`is_expanded`].
const EXPANDED: [&[u8]; 7] =
    [b"PS0", b"PS1", b"PS2", b"PS4", b"BASH_ENV", b"ENV", b"PROMPT_COMMAND"];

/// Programs that run the command behind their options. Each of them may stand before another one.
const BEFORE_PROGRAMS: [&[u8]; 26] = [
    b"builtin", b"busybox", b"chronic", b"chroot", b"chrt", b"command", b"doas", b"env", b"exec",
    b"flock", b"ionice", b"ltrace", b"msup", b"nice", b"nohup", b"numactl", b"setarch", b"setsid",
    b"stdbuf", b"strace", b"sudo", b"taskset", b"time", b"timeout", b"unshare", b"xargs",
];

/// Those of them that have an operand before the command.
const WITH_OPERAND: [&[u8]; 5] = [b"chroot", b"flock", b"setarch", b"taskset", b"timeout"];

/// Those of them that take `NAME=VALUE` before the command.
const ASSIGNING: [&[u8]; 3] = [b"env", b"sudo", b"doas"];

/// Options of other programs behind which a command begins (`find`).
const EXECUTING: [&[u8]; 4] = [b"-exec", b"-execdir", b"-ok", b"-okdir"];

/// Programs that run their standard input as commands.
const READING: [&[u8]; 3] = [b"at", b"batch", b"crontab"];

/// Options whose argument is given to a shell.
const OPTIONS: [(&[u8], &[u8]); 7] = [
    (b"nix-shell", b"--command"),
    (b"nix-shell", b"--run"),
    (b"sbatch", b"--wrap"),
    (b"split", b"--filter"),
    (b"tar", b"--checkpoint-action"),
    (b"tar", b"--to-command"),
    (b"tar", b"--use-compress-program"),
];

/// A program that joins the words of a command and gives them to a shell.
#[derive(Debug)]
struct Joiner {
    name: &'static [u8],
    /// Options with an argument in the next word: letters, and long names.
    letters: &'static [u8],
    names: &'static [&'static [u8]],
    /// Operands before the command: a host.
    operands: usize,
    /// Words are given to a shell only with this option.
    with: &'static [&'static [u8]],
    /// No shell reads them with this option.
    without: &'static [&'static [u8]],
    /// A shell reads standard input if there is no command.
    reads: bool,
}

const SSH: Joiner = Joiner {
    name: b"ssh",
    letters: b"BbcDEeFIiJLlmOoPpQRSWw",
    names: &[],
    operands: 1,
    with: &[],
    without: &[],
    reads: true,
};

const PARALLEL: Joiner = Joiner {
    name: b"parallel",
    letters: b"ajPCdNnLSsEIJ",
    names: &[
        b"--arg-file",
        b"--jobs",
        b"--colsep",
        b"--delimiter",
        b"--joblog",
        b"--results",
        b"--tmpdir",
        b"--workdir",
        b"--wd",
        b"--timeout",
        b"--delay",
        b"--retries",
        b"--sshlogin",
    ],
    operands: 0,
    with: &[],
    without: &[b"-q", b"--quote"],
    reads: true,
};

const JOINERS: [Joiner; 6] = [
    SSH,
    Joiner { name: b"rsh", letters: b"l", ..SSH },
    PARALLEL,
    Joiner { name: b"sem", ..PARALLEL },
    Joiner {
        name: b"watch",
        letters: b"nqs",
        names: &[b"--interval", b"--equexit", b"--shotsdir"],
        operands: 0,
        with: &[],
        without: &[b"-x", b"--exec"],
        reads: false,
    },
    Joiner {
        name: b"entr",
        letters: b"",
        names: &[],
        operands: 0,
        with: &[b"-s"],
        without: &[],
        reads: false,
    },
];

/// Follows the words of one command up to the program that it runs, and the words of that one.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    /// The next word may be the program.
    front: bool,
    /// The last word was an option, whose argument the next word may be.
    behind_option: bool,
    /// `NAME=VALUE` may stand here.
    assigns: bool,
    joins: Option<Joins>,
    /// The program that runs, if it has options for a shell; and the word before.
    options_of: Vec<u8>,
    previous: Vec<u8>,
    reads: Option<&'static [u8]>,
}

impl Default for Programs {
    fn default() -> Programs {
        Programs {
            front: true,
            behind_option: false,
            assigns: false,
            joins: None,
            options_of: Vec::new(),
            previous: Vec::new(),
            reads: None,
        }
    }
}

/// Where among the words of such a program.
#[derive(Debug, Clone)]
struct Joins {
    of: &'static Joiner,
    /// The next word is the argument of an option.
    argument: bool,
    operands: usize,
    /// The command has begun.
    begun: bool,
    /// A shell reads it.
    evaluates: bool,
}

impl Programs {
    /// A command begins here.
    pub(super) fn begin(&mut self) {
        (self.front, self.behind_option) = (true, false);
    }

    /// Takes the next word, and whether a value is in it. Returns what would run the value.
    pub(super) fn word(&mut self, word: &[u8], has_value: bool) -> Option<Vec<u8>> {
        let previous = std::mem::replace(&mut self.previous, word.to_vec());
        if let Some(joins) = &mut self.joins {
            let runs = joins.word(word) && has_value;
            return runs.then(|| joins.of.name.to_vec());
        }
        if has_value && self.is_option_with_command(&previous, word) {
            return Some(self.options_of.clone());
        }
        if !self.front {
            if EXECUTING.contains(&word) {
                self.begin();
            }
            return None;
        }
        if has_value
            && self.assigns
            && let Some(name) = expanded_name(word)
        {
            return Some(name.to_vec());
        }
        self.at_front(word);
        None
    }

    fn is_option_with_command(&self, previous: &[u8], word: &[u8]) -> bool {
        let mut options = OPTIONS.iter().filter(|(program, _)| *program == self.options_of);
        options.any(|(_, option)| {
            let with_text = word.strip_prefix(*option).is_some_and(|rest| rest.starts_with(b"="));
            previous == *option || with_text
        })
    }

    fn at_front(&mut self, word: &[u8]) {
        let name = word.rsplit(|byte| *byte == b'/').next().unwrap_or(word);
        let was_behind_option = std::mem::take(&mut self.behind_option);
        let is_before = word.first().is_some_and(u8::is_ascii_digit) || is_assignment(word);
        if word.first() == Some(&b'-') {
            self.behind_option = true;
        } else if BEFORE_PROGRAMS.contains(&name) {
            self.behind_option = WITH_OPERAND.contains(&name);
            self.assigns |= ASSIGNING.contains(&name);
        } else if let Some(of) = JOINERS.iter().find(|joiner| joiner.name == name) {
            self.joins = Some(Joins {
                of,
                argument: false,
                operands: of.operands,
                begun: false,
                evaluates: of.with.is_empty(),
            });
        } else if let Some(reading) = READING.iter().find(|reading| **reading == name) {
            self.reads = Some(reading);
            self.front = false;
        } else if !is_before {
            self.options_of = name.to_vec();
            self.front = was_behind_option;
        }
    }

    /// The program that runs its standard input.
    pub(super) fn reads(&self) -> Option<&[u8]> {
        let joins = self.joins.as_ref().filter(|joins| joins.reads());
        joins.map(|joins| joins.of.name).or(self.reads)
    }
}

impl Joins {
    /// Takes the next word. Returns whether a shell would read it.
    fn word(&mut self, word: &[u8]) -> bool {
        if std::mem::take(&mut self.argument) {
            return self.has_command(word);
        }
        if !self.begun && word.len() > 1 && word.starts_with(b"-") {
            self.option(word);
            return self.has_command(word);
        }
        if self.operands > 0 {
            self.operands -= 1;
            return false;
        }
        // Values behind `:::` are quoted, unless they are the commands.
        let is_separator = self.of.without.contains(&&b"-q"[..]) && word.starts_with(b":::");
        if is_separator && self.begun {
            self.evaluates = false;
        }
        self.begun = true;
        self.evaluates
    }

    fn option(&mut self, word: &[u8]) {
        if word.starts_with(b"--") {
            self.argument = self.of.names.contains(&word);
        } else {
            let letters = word[1..].iter().position(|letter| self.of.letters.contains(letter));
            self.argument = letters == Some(word.len() - 2);
        }
        self.evaluates |= has_flag(word, self.of.with);
        self.evaluates &= !has_flag(word, self.of.without);
    }

    /// `-o ProxyCommand=..` of ssh.
    fn has_command(&self, word: &[u8]) -> bool {
        let lower = word.to_ascii_lowercase();
        self.of.letters.contains(&b'o') && lower.windows(7).any(|part| part == b"command")
    }

    fn reads(&self) -> bool {
        self.of.reads && self.operands == 0 && !self.begun
    }
}

/// Whether this word is one of these flags, or holds the letter of one.
fn has_flag(word: &[u8], flags: &[&[u8]]) -> bool {
    flags.iter().any(|flag| match *flag {
        [b'-', letter] => !word.starts_with(b"--") && word.contains(letter),
        long => word == long,
    })
}

/// Whether shells expand the value of this variable when they use it, or run it.
pub(in crate::template) fn is_expanded(name: &[u8]) -> bool {
    // bash takes the element 0 of an array for the variable.
    let end = name.iter().position(|byte| *byte == b'[').unwrap_or(name.len());
    EXPANDED.contains(&&name[..end]) || name.starts_with(b"BASH_FUNC_")
}

/// The name of such a variable in `NAME=..`.
fn expanded_name(word: &[u8]) -> Option<&[u8]> {
    let name = &word[..word.iter().position(|byte| *byte == b'=')?];
    is_expanded(name).then_some(name)
}

fn is_assignment(word: &[u8]) -> bool {
    let name = word.iter().position(|byte| *byte == b'=').map(|end| &word[..end]);
    name.is_some_and(|name| name.iter().all(|byte| is_name_byte(*byte) || *byte == b'%'))
}

/// Whether this is the name of a file that is an open descriptor, such as standard input.
pub(super) fn is_input(word: &[u8]) -> bool {
    word == b"/dev/stdin"
        || word.starts_with(b"/dev/fd/")
        || (word.starts_with(b"/proc/") && word.windows(4).any(|part| part == b"/fd/"))
}
