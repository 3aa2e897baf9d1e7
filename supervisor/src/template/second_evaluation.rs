//! Words that a shell will parse a second time: a value among them would be run as code.

mod programs;
#[cfg(test)]
mod tests;

use programs::Programs;
pub(super) use programs::is_expanded;

/// Programs that take a script behind `-c`.
const SHELLS: [&[u8]; 20] = [
    b"sh",
    b"bash",
    b"rbash",
    b"dash",
    b"ash",
    b"zsh",
    b"ksh",
    b"ksh93",
    b"rksh",
    b"mksh",
    b"lksh",
    b"oksh",
    b"yash",
    b"fish",
    b"csh",
    b"tcsh",
    b"posh",
    b"$SHELL",
    b"${SHELL}",
    b"$BASH",
];

/// Programs that pass the word behind `-c` to a shell, at whatever position `-c` stands.
const CALLERS: [&[u8]; 4] = [b"su", b"runuser", b"script", b"flock"];

/// Options of shells that have an argument.
const WITH_ARGUMENT: [&[u8]; 4] = [b"--rcfile", b"--init-file", b"-O", b"+O"];

/// Follows the words of one command.
#[derive(Debug, Clone, Default)]
pub(super) struct Evaluation {
    state: State,
    /// The program that evaluates, for messages.
    program: Vec<u8>,
    /// One of these programs was among the words.
    called: bool,
    /// It reads commands from its standard input, whatever words follow.
    reads_input: bool,
    /// Other programs that give words to a shell.
    programs: Programs,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Nothing,
    /// Behind a shell: among its options.
    Options,
    /// Behind `.`: the file that it reads is next.
    Sourced,
    /// The argument of one of these.
    Argument,
    /// Behind `-c`.
    Script,
    /// Behind one of these programs.
    Caller,
    /// Behind `eval`.
    Everything,
    /// Behind `env`: among its options.
    Env,
    /// The next word is split into several (`env -S`).
    Split,
}

impl Evaluation {
    /// Takes the next word as the shell sees it, without quotes, and whether a value is in it.
    /// Returns the program that would run the value.
    pub(super) fn word(&mut self, word: &[u8], has_value: bool) -> Option<&[u8]> {
        if let Some(program) = self.programs.word(word, has_value) {
            self.program = program;
            return Some(&self.program);
        }
        let option = word.len() > 1 && matches!(word[0], b'-' | b'+');
        self.state = match self.state {
            State::Env if is_split_flag(word) => {
                if has_value {
                    return Some(&self.program);
                }
                self.state = State::Nothing;
                match split_text(word) {
                    b"" => State::Split,
                    text => self.words_of(text),
                }
            }
            State::Env if option => State::Env,
            State::Split if has_value => return Some(&self.program),
            State::Split => {
                self.state = State::Nothing;
                self.words_of(word)
            }
            State::Env => self.next_program(State::Nothing, word),
            State::Everything if has_value => return Some(&self.program),
            State::Script if has_value => return Some(&self.program),
            State::Script if option => State::Script,
            State::Options if has_value && !option => State::Nothing,
            State::Options | State::Sourced if programs::is_input(word) => {
                self.reads_input = true;
                State::Nothing
            }
            State::Sourced => State::Nothing,
            // The file is still to come, or there is none.
            State::Options if word == b"-" => State::Options,
            State::Options | State::Caller if is_script_flag(word) => {
                // `--command=SCRIPT`
                if has_value {
                    return Some(&self.program);
                }
                if word.contains(&b'=') { self.state } else { State::Script }
            }
            State::Options if WITH_ARGUMENT.contains(&word) || (option && word.ends_with(b"o")) => {
                State::Argument
            }
            State::Options if option => {
                // With `-s`, operands are no files.
                self.reads_input |= !word.starts_with(b"--") && word.contains(&b's');
                State::Options
            }
            State::Argument => State::Options,
            State::Everything => State::Everything,
            state @ (State::Nothing | State::Options | State::Script | State::Caller) => {
                self.next_program(state, word)
            }
        };
        None
    }

    /// Takes the words of a text without values. Returns the state behind them.
    fn words_of(&mut self, text: &[u8]) -> State {
        for word in text.split(|byte| byte.is_ascii_whitespace() || b"'\"".contains(byte)) {
            if !word.is_empty() {
                let _ = self.word(word, false);
            }
        }
        self.state
    }

    /// From here on all words are evaluated (`eval`).
    pub(super) fn evaluates_all(&mut self, program: &[u8]) {
        (self.state, self.program) = (State::Everything, program.to_vec());
    }

    /// A command begins with the next word.
    pub(super) fn begins(&mut self) {
        self.programs.begin();
    }

    /// The next word is a file that the shell itself reads (`.`).
    pub(super) fn sources(&mut self, program: &[u8]) {
        (self.state, self.program) = (State::Sourced, program.to_vec());
    }

    /// What reads commands from its standard input.
    pub(super) fn reads(&self) -> Option<&[u8]> {
        let is_shell = self.state == State::Options || self.reads_input;
        if is_shell { Some(&self.program) } else { self.programs.reads() }
    }

    fn next_program(&mut self, state: State, word: &[u8]) -> State {
        let name = word.rsplit(|byte| *byte == b'/').next().unwrap_or(word);
        let state = match state {
            _ if SHELLS.contains(&name) => State::Options,
            _ if name == b"env" => State::Env,
            _ if CALLERS.contains(&name) => {
                self.called = true;
                State::Caller
            }
            State::Nothing | State::Options | State::Caller if self.called => return State::Caller,
            _ => return State::Nothing,
        };
        self.program = name.to_vec();
        state
    }
}

/// `-S`, `-iS`, `-Stext`, `--split-string`, `--split-string=text`.
fn is_split_flag(word: &[u8]) -> bool {
    match word.strip_prefix(b"-") {
        Some(long @ [b'-', ..]) => long.starts_with(b"-split-string"),
        Some(short) => short.contains(&b'S'),
        None => false,
    }
}

/// The text in the same word as such a flag.
fn split_text(word: &[u8]) -> &[u8] {
    let end = if word.starts_with(b"--") { b'=' } else { b'S' };
    let at = word.iter().position(|byte| *byte == end);
    at.map_or(&[], |at| &word[at + 1..])
}

/// `-c`, `-lc`, `--command`, `--command=...`, but no other long option.
fn is_script_flag(word: &[u8]) -> bool {
    match word.strip_prefix(b"-") {
        Some(long @ [b'-', ..]) => {
            long.starts_with(b"-command") || long.starts_with(b"-session-command")
        }
        Some(short) => short.contains(&b'c'),
        None => false,
    }
}

/// A value that a program would run as code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EvaluatedValue {
    pub(super) program: Vec<u8>,
    /// What stands for it.
    pub(super) whole: Vec<u8>,
    /// All that the command does, if that is to run this script.
    pub(super) script: Option<Vec<u8>>,
}

impl std::fmt::Display for EvaluatedValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [program, whole] = [&self.program, &self.whole].map(|text| text.escape_ascii());
        match self.script.as_deref().map(String::from_utf8_lossy) {
            Some(script) if !script.contains(['\'', '\n']) => write!(
                f,
                "{whole} in the script of {program}: it would be run as code; leave {program} -c \
                 out: msup runs '{script}' as a script and quotes the value (or insist with \
                 --unsafe-replace)"
            ),
            _ => {
                let form = safe_form(&self.program, &self.whole);
                let is_shell =
                    SHELLS.contains(&&self.program[..]) || CALLERS.contains(&&self.program[..]);
                let place = if is_shell { "the script of" } else { "what is run by" };
                write!(f, "{whole} in {place} {program}: {form}")
            }
        }
    }
}

/// Why a value cannot stand there and what to write instead, for messages. `whole`: what stands for
/// the value.
pub(super) fn safe_form(program: &[u8], whole: &[u8]) -> String {
    let (program, whole) = (program.escape_ascii().to_string(), whole.escape_ascii());
    let instead = match program.as_str() {
        "eval" | "alias" => "leave it out".into(),
        "print -P" => "leave -P out".into(),
        "compgen" => "give it to a variable first, x={}, and write compgen -W '$x'".into(),
        "complete" | "emulate" => "write the words themselves".into(),
        "." | "source" | "at" | "batch" | "crontab" => "keep it out of that input".into(),
        "watch" => "write watch -x and the words of the command".into(),
        "entr" => "leave -s out".into(),
        "parallel" | "sem" => format!("write {program} -q and the words of the command"),
        "ssh" | "rsh" => format!(
            "quote it for the other shell: in bash, write 'x={{}}; {program} HOST cat \"${{x@Q}}\"'"
        ),
        "split" | "tar" | "sbatch" | "nix-shell" => {
            "write 'export x={}' before it, and \"$x\" in single quotes there".into()
        }
        _ if is_expanded(program.as_bytes()) => "use another variable".into(),
        "env" => "leave -S out, and write the command as words of its own".into(),
        "trap" => "give it to a variable first, x={}, and write trap 'rm \"$x\"' EXIT".into(),
        _ => format!("hand it over as an argument, {program} -c 'echo \"$1\"' _ {whole}"),
    };
    format!("it would be run as code; {instead} (or insist with --unsafe-replace)")
}
