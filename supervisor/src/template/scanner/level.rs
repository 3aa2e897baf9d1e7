//! What is known of a list of commands while it is read.

use super::Evaluation;
use super::builtins::Builtin;
use super::here::Here;

/// What ends a list of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Script,
    Parenthesis,
}

/// Where in `case WORD in PATTERN) LIST;; esac`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Subject,
    In,
    Pattern { begun: bool },
    List,
}

/// A word that has begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    pub(super) start: usize,
    /// How many values stood before it.
    pub(super) values: usize,
}

/// The word that began a command, as typed, how many stand behind it, and its input.
#[derive(Debug, Default, Clone)]
pub(super) struct Beginning {
    pub(super) first: Vec<u8>,
    pub(super) behind: usize,
    /// Where a value is that the command reads (`<<<`).
    pub(super) input: Option<usize>,
}

/// What the next word is to a redirection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    File,
    /// Behind `<<<`: text for standard input.
    Input,
    /// Behind `>&`: a descriptor, or a file whose name bash expands twice.
    Duplicate,
}

/// The state of a list of commands.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) ending: Ending,
    /// A command may begin here.
    pub(super) begins: bool,
    pub(super) word: Option<Word>,
    pub(super) cases: Vec<Case>,
    /// Here-documents whose bodies begin with the next line.
    pub(super) heres: Vec<Here>,
    pub(super) evaluation: Evaluation,
    pub(super) builtin: Builtin,
    pub(super) command: Beginning,
    /// The next word is the argument of an option before a command.
    pub(super) previous_is_option: bool,
    /// The word before, as typed.
    pub(super) previous: Vec<u8>,
    /// The next word is the target of a redirection.
    pub(super) redirects: Option<Target>,
    /// Between `[[` and `]]`.
    pub(super) condition: bool,
    /// In a command whose words may be compared as expressions.
    pub(super) compares: bool,
    /// In a command that declares variables.
    pub(super) declares: bool,
    /// In a command whose words are expressions.
    pub(super) numeric: bool,
}

impl Level {
    pub(super) fn new(ending: Ending) -> Level {
        Level {
            ending,
            begins: true,
            word: None,
            cases: Vec::new(),
            heres: Vec::new(),
            evaluation: Evaluation::default(),
            builtin: Builtin::default(),
            command: Beginning::default(),
            previous_is_option: false,
            previous: Vec::new(),
            redirects: None,
            condition: false,
            compares: false,
            declares: false,
            numeric: false,
        }
    }

    /// An operator or a line break: the next word begins a command.
    pub(super) fn next_command(&mut self) {
        if self.condition {
            return;
        }
        self.begins = true;
        self.evaluation = Evaluation::default();
        self.builtin = Builtin::default();
        self.command.first.clear();
        self.previous_is_option = false;
        self.previous.clear();
        self.redirects = None;
        (self.compares, self.declares, self.numeric) = (false, false, false);
    }
}
