//! Shell syntax: which command lines need a shell, and how values get into a script safely.
//!
//! The scanner follows quotes, substitutions and comments, not the whole grammar. Where it
//! misjudges a place (a here-document, say), the value gets literal quotes or is split into
//! words, but it is still the expansion of a variable, which no shell parses as source.

use super::{Form, Piece, Rendered, push_literal, push_number, replacement_at, slot_mark};

/// Keywords, and builtins that have no program of their own.
const SHELL_WORDS: [&str; 46] = [
    "!", ".", ":", "alias", "bg", "break", "case", "cd", "command", "continue", "do", "done",
    "elif", "else", "esac", "eval", "exec", "exit", "export", "fc", "fg", "fi", "for", "getopts",
    "hash", "if", "in", "jobs", "local", "read", "readonly", "return", "set", "shift", "source",
    "then", "times", "trap", "type", "ulimit", "umask", "unalias", "unset", "until", "wait",
    "while",
];

/// Whether `byte` separates words: a space or a tab.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Whether `line` means something else to a shell than its words at blanks.
///
/// `replacement` tells the length of the replacement string at the beginning of its argument.
pub(super) fn needs_shell(line: &[u8], replacement: impl Fn(&[u8]) -> Option<usize>) -> bool {
    let mut words = line.split(|&b| is_blank(b)).filter(|word| !word.is_empty());
    let Some(first) = words.next() else { return false };
    if first.contains(&b'=') || is_shell_word(first) {
        return true;
    }
    let mut at = 0;
    let mut word_start = true;
    while at < line.len() {
        if let Some(len) = replacement(&line[at..]) {
            at += len;
            word_start = false;
            continue;
        }
        match line[at] {
            b'\n' | b'|' | b'&' | b';' | b'<' | b'>' | b'(' | b')' | b'$' | b'`' | b'\\' => {
                return true;
            }
            b'"' | b'\'' | b'*' | b'?' | b'[' | b'{' | b'}' => return true,
            b'~' | b'#' if word_start => return true,
            byte => word_start = is_blank(byte),
        }
        at += 1;
    }
    false
}

fn is_shell_word(word: &[u8]) -> bool {
    SHELL_WORDS.iter().any(|name| name.as_bytes() == word)
}

/// The arguments that run `script`.
pub(super) fn script_argv(mut script: Vec<u8>) -> Vec<Vec<u8>> {
    if starts_like_option(&script) {
        script.insert(0, b' ');
    }
    vec![b"sh".to_vec(), b"-c".to_vec(), script]
}

/// Shells differ in whether the word after `-c` may still be options.
fn starts_like_option(script: &[u8]) -> bool {
    matches!(script.first(), Some(b'-' | b'+'))
}

/// What surrounds a replacement string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoting {
    Bare,
    Double,
    Single,
    Comment,
}

/// A parsed script, in which values are references to environment variables.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pieces: Vec<Piece>,
    /// The value forms that the script refers to.
    forms: Vec<Form>,
    /// Whether the scanner understands all of the script, so that values may stand in it for show.
    plain: bool,
}

impl Script {
    /// Finds the replacement strings in `source` and the quoting around them.
    pub(super) fn parse(source: &[u8]) -> Script {
        let mut pieces = Vec::new();
        let plain = Scanner::new(source, &mut pieces).run();
        if let Some(Piece::Literal(first)) = pieces.first_mut()
            && starts_like_option(first)
        {
            first.insert(0, b' ');
        }
        let used = |form: &Form| {
            pieces.iter().any(|piece| matches!(piece, Piece::Value(used, _) if used == form))
        };
        let forms = Form::ALL.into_iter().filter(used).collect();
        Script { pieces, forms, plain }
    }

    /// The arguments and environment for one value.
    pub(super) fn render(&self, value: &[u8], seq: u64) -> Rendered {
        let mut text = Vec::new();
        let mut slot_marks = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(bytes) => text.extend_from_slice(bytes),
                Piece::Value(form, quoting) => push_reference(&mut text, *form, *quoting),
                Piece::Seq => push_number(&mut text, seq),
                Piece::Slot => slot_marks.push(slot_mark(2, &text)),
            }
        }
        let env = self
            .forms
            .iter()
            .map(|form| (form.variable().as_bytes().to_vec(), form.of(value).to_vec()))
            .collect();
        // Not `script_argv`: without its slot number the text may begin with a dash that will not
        // be first.
        Rendered { argv: vec![b"sh".to_vec(), b"-c".to_vec(), text], env, slot_marks }
    }

    /// The script with the value in it; or with the variables before it, when the quoting
    /// somewhere in the script is not certain.
    pub(super) fn display(&self, value: &[u8], seq: u64) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.plain {
            let mut rendered = self.render(value, seq);
            for (name, value) in std::mem::take(&mut rendered.env) {
                out.extend_from_slice(&name);
                out.push(b'=');
                push_quoted(&mut out, &value);
                out.push(b' ');
            }
            out.extend_from_slice(&display_words(&rendered.into_argv_of_slot_1()));
            return out;
        }
        for piece in &self.pieces {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Value(form, quoting) => push_value(&mut out, *form, *quoting, value),
                Piece::Seq => push_number(&mut out, seq),
                Piece::Slot => out.push(b'1'),
            }
        }
        out
    }
}

fn push_reference(out: &mut Vec<u8>, form: Form, quoting: Quoting) {
    let (before, after): (&[u8], &[u8]) = match quoting {
        Quoting::Bare | Quoting::Comment => (b"\"${", b"}\""),
        Quoting::Double => (b"${", b"}"),
        Quoting::Single => (b"'\"${", b"}\"'"),
    };
    out.extend_from_slice(before);
    out.extend_from_slice(form.variable().as_bytes());
    out.extend_from_slice(after);
}

/// Quotes a value for a place in a script.
fn push_value(out: &mut Vec<u8>, form: Form, quoting: Quoting, value: &[u8]) {
    match quoting {
        Quoting::Bare => push_quoted(out, form.of(value)),
        // A newline in the value would end the comment.
        Quoting::Comment => push_reference(out, form, quoting),
        Quoting::Single => push_in_single_quotes(out, form.of(value)),
        Quoting::Double => {
            for &byte in form.of(value) {
                match byte {
                    b'$' | b'`' | b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                    // An interactive bash expands history here, and keeps the backslash of `\!`.
                    b'!' => out.extend_from_slice(b"\"'!'\""),
                    _ => out.push(byte),
                }
            }
        }
    }
}

fn push_in_single_quotes(out: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'\'' => out.extend_from_slice(b"'\\''"),
            _ => out.push(byte),
        }
    }
}

/// Appends a word, in single quotes if a shell could read it differently without.
fn push_quoted(out: &mut Vec<u8>, word: &[u8]) {
    let safe = |b: &u8| b.is_ascii_alphanumeric() || b"_-./:,+@%=".contains(b);
    if !word.is_empty() && word.iter().all(safe) {
        out.extend_from_slice(word);
    } else {
        out.push(b'\'');
        push_in_single_quotes(out, word);
        out.push(b'\'');
    }
}

/// The words as one shell command.
pub(super) fn display_words(words: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        // Quotes keep the first word from being an assignment, a keyword or a job.
        if index == 0 && (is_shell_word(word) || word.iter().any(|b| b"=%".contains(b))) {
            out.push(b'\'');
            push_in_single_quotes(&mut out, word);
            out.push(b'\'');
        } else {
            push_quoted(&mut out, word);
        }
    }
    out
}

/// What the scanner is inside of, beyond the script itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    Double,
    Single,
    /// A subshell or `$(`: unquoted, whatever surrounds it.
    Paren,
    Comment,
}

/// Copies a script to pieces, tracking the quoting at every byte.
struct Scanner<'a> {
    source: &'a [u8],
    at: usize,
    stack: Vec<Frame>,
    /// Whether the next byte would begin a word, and `#` a comment.
    word_start: bool,
    plain: bool,
    pieces: &'a mut Vec<Piece>,
}

impl<'a> Scanner<'a> {
    fn new(source: &'a [u8], pieces: &'a mut Vec<Piece>) -> Scanner<'a> {
        // Constructs with quoting rules or unpaired parentheses of their own.
        let exotic: [&[u8]; 4] = [b"<<", b"case", b"${", b"$'"];
        let plain = !exotic.iter().any(|it| source.windows(it.len()).any(|part| part == *it));
        Scanner { source, at: 0, stack: Vec::new(), word_start: true, plain, pieces }
    }

    /// Returns whether the quoting of everything is certain.
    fn run(mut self) -> bool {
        while self.at < self.source.len() {
            if let Some((piece, len)) = replacement_at(&self.source[self.at..], self.quoting()) {
                self.pieces.push(piece);
                self.at += len;
                self.word_start = false;
            } else {
                self.step();
            }
        }
        self.plain && matches!(self.stack.as_slice(), [] | [Frame::Comment])
    }

    fn quoting(&self) -> Quoting {
        match self.stack.last() {
            None | Some(Frame::Paren) => Quoting::Bare,
            Some(Frame::Double) => Quoting::Double,
            Some(Frame::Single) => Quoting::Single,
            Some(Frame::Comment) => Quoting::Comment,
        }
    }

    fn step(&mut self) {
        let byte = self.source[self.at];
        match (self.quoting(), byte) {
            (Quoting::Single, b'\'') | (Quoting::Double, b'"') => self.pop(),
            (Quoting::Comment, b'\n') => {
                self.pop();
                self.word_start = true;
            }
            (Quoting::Single | Quoting::Comment, _) => self.copy(1),
            (_, b'\\') => self.backslash(),
            (_, b'$') => self.dollar(),
            (_, b'`') => self.backtick(),
            (Quoting::Double, _) => self.copy(1),
            (Quoting::Bare, b'"') => self.push(Frame::Double),
            (Quoting::Bare, b'\'') => self.push(Frame::Single),
            (Quoting::Bare, b'#') if self.word_start => self.push(Frame::Comment),
            (Quoting::Bare, b'(') => {
                self.push(Frame::Paren);
                self.word_start = true;
            }
            (Quoting::Bare, b')') => {
                match self.stack.last() {
                    Some(Frame::Paren) => self.pop(),
                    _ => self.copy(1),
                }
                self.word_start = true;
            }
            (Quoting::Bare, _) => {
                self.copy(1);
                self.word_start = is_blank(byte) || b"\n;&|<>".contains(&byte);
            }
        }
    }

    fn copy(&mut self, len: usize) {
        let end = self.source.len().min(self.at + len);
        push_literal(self.pieces, &self.source[self.at..end]);
        self.at = end;
        self.word_start = false;
    }

    fn push(&mut self, frame: Frame) {
        self.stack.push(frame);
        self.copy(1);
    }

    fn pop(&mut self) {
        self.stack.pop();
        self.copy(1);
    }

    fn before_replacement(&self) -> bool {
        self.source
            .get(self.at + 1..)
            .is_some_and(|rest| replacement_at(rest, Quoting::Bare).is_some())
    }

    fn backslash(&mut self) {
        if !self.before_replacement() {
            let word_start = self.word_start;
            let continuation = self.source.get(self.at + 1) == Some(&b'\n');
            self.copy(2);
            self.word_start = word_start && continuation;
            return;
        }
        // The backslash must not escape the first byte of the reference: `\{` is `{` for a shell
        // outside quotes, and `\{` inside double quotes.
        if self.quoting() == Quoting::Double {
            push_literal(self.pieces, b"\\\\");
        }
        self.at += 1;
        self.word_start = false;
    }

    fn dollar(&mut self) {
        match self.source.get(self.at + 1) {
            Some(b'(') => {
                self.copy(1);
                self.push(Frame::Paren);
                self.word_start = true;
            }
            Some(b'$') => self.copy(2),
            _ if self.before_replacement() => {
                // Unescaped it would join the reference, as in `$$`.
                push_literal(self.pieces, b"\\$");
                self.at += 1;
                self.word_start = false;
            }
            _ => self.copy(1),
        }
    }

    /// Rewrites `` `...` `` as `$(...)`, in which quotes and backslashes mean what they say: the
    /// text between backticks loses a layer of backslashes before it is parsed.
    fn backtick(&mut self) {
        let in_double = self.quoting() == Quoting::Double;
        let mut body = Vec::new();
        let mut at = self.at + 1;
        loop {
            match (self.source.get(at), self.source.get(at + 1)) {
                (None, _) => {
                    // A syntax error, which is the shell's to report.
                    self.plain = false;
                    return self.copy(1);
                }
                (Some(b'`'), _) => break,
                (Some(b'\\'), Some(&next)) => {
                    if !(b"$`\\".contains(&next) || (in_double && next == b'"')) {
                        body.push(b'\\');
                    }
                    body.push(next);
                    at += 2;
                }
                (Some(&byte), _) => {
                    body.push(byte);
                    at += 1;
                }
            }
        }
        // `$((` would begin arithmetic, and a comment would swallow the parenthesis.
        push_literal(self.pieces, if body.starts_with(b"(") { b"$( " } else { b"$(" });
        self.plain &= Scanner::new(&body, self.pieces).run();
        push_literal(self.pieces, if body.contains(&b'#') { b"\n)" } else { b")" });
        self.at = at + 1;
        self.word_start = false;
    }
}
