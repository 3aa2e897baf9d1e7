//! Scripts for a shell's `-c`, which get values through environment variables.
//!
//! A value never becomes part of the script's text: the script refers to a variable instead, and
//! no shell parses an expansion as source. Where a script hands a word to a shell once more
//! (`eval`, an inner `sh -c`), a value in it is refused. What other programs do with a value
//! (`ssh`, `awk`) and what a script does with it later remains its own responsibility.

use msup_protocol::env as names;

use super::Reading;
use super::length::{begun, growing, of_program};
use super::replacement::{Form, Selection, Which};
use super::scanner::{Quoting, Refused, TemplatePart, scan};
use super::shell::Shell;
use super::shell_words::{push_inside_quotes, push_quoted, quoted_words};
use super::{Facts, Rendered, SlotMark};
use crate::arguments::{self, Length};

/// What the names of the variables begin with that hold values for scripts. It is followed by the
/// number of the argument if there may be several, and by what stands for the form.
const MSUP_V: &str = "MSUP_V";
/// Ends the name of the variable that holds the same as a number, for `$((..))`. It is empty if the
/// value is no number: bash would evaluate it as an expression, commands included.
const NUMBER_SUFFIX: &str = "_NUM";

/// Bytes that are enough for most references with their quotes.
const REFERENCE_LEN: usize = 32;

/// A script with its replacement strings, parsed once.
#[derive(Debug, Clone)]
pub(super) struct Script {
    shell: Vec<Vec<u8>>,
    /// Its pieces, and for each whether it is a word of its own: then each argument of the value is
    /// one, too. Within a word they stand with blanks between them: behind `x=` or `>` a word more
    /// would be run as a command.
    pieces: Vec<(TemplatePart, bool)>,
    /// The parts referred to as bytes.
    parts: Vec<Selection>,
    /// The parts referred to as numbers.
    numbers: Vec<Selection>,
    /// Whether values can be shown in the script.
    shows_values: bool,
    /// Whether the script could be taken for an option.
    dashed: bool,
    /// About how long the script is when rendered.
    len: usize,
}

impl Script {
    /// Takes the script as typed, for this shell. The shell reports bad syntax.
    ///
    /// # Errors
    /// A place of a value that cannot be judged, or where it would be run as code.
    pub(super) fn parse(
        source: &[u8],
        shell: &Shell,
        reading: &Reading,
    ) -> Result<Script, Refused> {
        // Constructs in which a quoted value would mean something else.
        const SPECIAL: [&[u8]; 5] = [b"<<", b"case", b"${", b"((", b"$'"];
        let Reading { strings, unsafe_replace, .. } = reading;
        let pieces = scan(source, shell.dialect, strings, *unsafe_replace)?;
        let has = |special: &[u8]| source.windows(special.len()).any(|part| part == special);
        let shows_values = !SPECIAL.into_iter().any(has);
        let mut parts = Vec::new();
        let mut numbers = Vec::new();
        let mut len = 0;
        for piece in &pieces {
            len += match piece {
                TemplatePart::Text(bytes) => bytes.len(),
                _ => REFERENCE_LEN,
            };
            let (used, part) = match piece {
                TemplatePart::Value(part, Quoting::Number) => (&mut numbers, part),
                TemplatePart::Value(part, _) => (&mut parts, part),
                _ => continue,
            };
            if !used.contains(part) {
                used.push(part.clone());
            }
        }
        // All arguments first: see `env`.
        parts.sort_by_key(|part: &Selection| part.which != Which::All);
        let pieces = with_words(pieces);
        let (shell, dashed) = (shell.argv.clone(), looks_like_option(source));
        Ok(Script { shell, pieces, parts, numbers, shows_values, dashed, len })
    }

    /// Whether it names the file that the task makes.
    pub(super) fn names_out(&self) -> bool {
        self.parts.iter().chain(&self.numbers).any(|part| part.form == Form::Out)
    }

    /// Whether it depends on how many tasks there are.
    pub(super) fn needs_total(&self) -> bool {
        self.pieces.iter().any(|(piece, _)| match piece {
            TemplatePart::Number(number) => number.needs_total(),
            _ => false,
        })
    }

    /// Returns the command that runs the script for one value.
    pub(super) fn render(&self, value: &[u8], facts: Facts<'_>) -> Rendered {
        let mut text = Vec::with_capacity(self.len);
        let mut slots = Vec::new();
        for (piece, is_word) in &self.pieces {
            match piece {
                TemplatePart::Text(bytes) => text.extend_from_slice(bytes),
                TemplatePart::Value(part, quoting) => {
                    push_references(&mut text, part, *quoting, *is_word, value);
                }
                TemplatePart::Number(number) => number.push(&mut text, facts),
                TemplatePart::Slot => slots.push((text.len(), 1)),
                TemplatePart::PaddedSlot => {
                    slots.push((text.len(), facts.totals.slot_digits()));
                }
            }
        }
        let argv = argv(&self.shell, text, self.dashed);
        let script_arg = argv.len() - 1;
        let marks = slots.into_iter().map(|(at, digits)| SlotMark::new(script_arg, at, digits));
        Rendered { argv, env: self.env(value, facts.out), slot_marks: marks.collect() }
    }

    /// What it takes without arguments.
    pub(super) fn length(&self) -> Length {
        let text = self.pieces.iter().map(|(piece, _)| match piece {
            TemplatePart::Text(bytes) => bytes.len(),
            TemplatePart::Value(..) => 0,
            _ => REFERENCE_LEN,
        });
        of_program(self.program()).and(begun(text.sum()))
    }

    /// What an argument adds: references to variables in the script, and the variables.
    pub(super) fn length_of(&self, argument: &[u8]) -> Length {
        let is_value = |piece: &TemplatePart| matches!(piece, TemplatePart::Value(..));
        let references = self.pieces.iter().filter(|(piece, _)| is_value(piece)).count();
        let parts = self.parts.iter().chain(&self.numbers);
        let variables = parts.map(|part| {
            let all = Selection { which: Which::All, ..part.clone() };
            Length { chars: 0, ..Length::of(REFERENCE_LEN + all.of(argument, b"").len()) }
        });
        let text = growing(references * REFERENCE_LEN);
        // What users see is the value in its place.
        let text = Length { chars: references * (argument.len() + 1), ..text };
        variables.fold(text, Length::and)
    }

    /// Whether each value is a word of its own.
    pub(super) fn has_only_words(&self) -> bool {
        let is_value = |piece: &TemplatePart| matches!(piece, TemplatePart::Value(..));
        self.pieces.iter().all(|(piece, is_word)| *is_word || !is_value(piece))
    }

    /// The program that runs it.
    pub(super) fn program(&self) -> &[u8] {
        &self.shell[0]
    }

    /// Returns the script with the value quoted in its place; or, where that would not mean the
    /// same, the script as it is run with the variables set before it.
    pub(super) fn display(&self, value: &[u8], facts: Facts<'_>) -> Vec<u8> {
        let mut shown = Vec::new();
        if !self.shows_values {
            for (name, content) in self.env(value, facts.out) {
                shown.extend_from_slice(&name);
                shown.push(b'=');
                push_quoted(&mut shown, &content);
                shown.push(b' ');
            }
            shown.extend_from_slice(&quoted_words(&self.render(value, facts).argv_in_slot_1()));
            return shown;
        }
        for (piece, is_word) in &self.pieces {
            match piece {
                TemplatePart::Text(bytes) => shown.extend_from_slice(bytes),
                TemplatePart::Value(part, quoting) if *is_word => {
                    for (nth, one) in part.each(value, facts.out).enumerate() {
                        shown.extend((nth > 0).then_some(b' '));
                        push_value(&mut shown, &one, *quoting);
                    }
                }
                TemplatePart::Value(part, quoting) => {
                    push_value(&mut shown, &part.of(value, facts.out), *quoting);
                }
                TemplatePart::Number(number) => number.push(&mut shown, facts),
                TemplatePart::Slot => shown.push(b'1'),
                TemplatePart::PaddedSlot => {
                    let digits = facts.totals.slot_digits().into();
                    shown.extend(format!("{:0digits$}", 1).bytes());
                }
            }
        }
        shown
    }

    fn env(&self, value: &[u8], out: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut env: Vec<(Vec<u8>, Vec<u8>)> = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let contents = part.each(value, out);
            for (argument, content) in numbers(part, value).zip(contents) {
                let name = variable(&part.form, argument).into_bytes();
                // One may be named by its number and be among all, too.
                let is_known = part.which != Which::All && env.iter().any(|(n, _)| *n == name);
                if !is_known {
                    env.push((name, content.into_owned()));
                }
            }
        }
        for part in &self.numbers {
            let content = part.of(value, out);
            let number = Some(&content[..]).filter(|part| is_number(part)).unwrap_or_default();
            // Set even when empty: an outer run may have exported the same name.
            env.push((number_variable(part, value).into_bytes(), number.to_vec()));
        }
        env
    }
}

/// Tells of each piece whether it is a value that is a word of its own.
fn with_words(pieces: Vec<TemplatePart>) -> Vec<(TemplatePart, bool)> {
    let text = |at: usize| match pieces.get(at) {
        Some(TemplatePart::Text(text)) => Some(text.as_slice()),
        Some(_) => None,
        None => Some(&b""[..]),
    };
    let words: Vec<bool> = (0..pieces.len())
        .map(|at| {
            let is_unquoted = matches!(pieces[at], TemplatePart::Value(_, Quoting::Unquoted));
            let before = if at == 0 { Some(&b""[..]) } else { text(at - 1) };
            is_unquoted && before.is_some_and(ends_word) && text(at + 1).is_some_and(begins_word)
        })
        .collect();
    pieces.into_iter().zip(words).collect()
}

/// Whether a word may begin behind this text, and not one that belongs to a redirection.
fn ends_word(text: &[u8]) -> bool {
    let Some((last, rest)) = text.split_last() else { return true };
    let bare = text.trim_ascii_end();
    let is_escaped = rest.ends_with(b"\\");
    let redirections: [&[u8]; 5] = [b"<", b">", b">&", b"<&", b">|"];
    let is_redirected = redirections.iter().any(|operator| bare.ends_with(operator));
    (last.is_ascii_whitespace() || *last == b'(') && !is_escaped && !is_redirected
}

/// Whether this text ends the word before it.
fn begins_word(text: &[u8]) -> bool {
    text.first().is_none_or(|first| first.is_ascii_whitespace() || b";|&)".contains(first))
}

/// Returns the arguments that run `script`, which holds no replacement strings.
pub(super) fn literal_argv(shell: &Shell, script: &[u8]) -> Vec<Vec<u8>> {
    argv(&shell.argv, script.to_vec(), looks_like_option(script))
}

fn argv(shell: &[Vec<u8>], script: Vec<u8>, dashed: bool) -> Vec<Vec<u8>> {
    let mut argv = Vec::with_capacity(shell.len() + 3);
    argv.extend_from_slice(shell);
    argv.push(b"-c".to_vec());
    if dashed {
        argv.push(b"--".to_vec());
    }
    argv.push(script);
    argv
}

fn looks_like_option(script: &[u8]) -> bool {
    matches!(script.first(), Some(b'-' | b'+'))
}

/// The variable with this form of the argument with this number; 0 if it is the only one.
fn variable(form: &Form, argument: usize) -> String {
    let number = if argument > 0 { argument.to_string() } else { String::new() };
    let form = match form {
        Form::Out => return names::OUT.into(),
        Form::Whole => String::new(),
        Form::Base => "_BASE".into(),
        Form::Dir => "_DIR".into(),
        Form::Before => "_BEFORE".into(),
        Form::Without(1) => "_NOEXT".into(),
        Form::Without(many) => format!("_NOEXT{many}"),
        Form::BaseWithout(1) => "_BASE_NOEXT".into(),
        Form::BaseWithout(many) => format!("_BASE_NOEXT{many}"),
        Form::Extensions(1) => "_EXT".into(),
        Form::Extensions(many) => format!("_EXT{many}"),
        Form::Edited(edit) => format!("_EDIT_{}", edit.name()),
    };
    [MSUP_V, &number, &form].concat()
}

/// The numbers of the arguments that a part stands for; 0 if the value has one and no number was
/// given.
fn numbers(part: &Selection, value: &[u8]) -> std::ops::RangeInclusive<usize> {
    let many = arguments::split(value).count();
    let counted = |number: i32| number.unsigned_abs() as usize;
    match part.which {
        _ if part.form == Form::Out => 0..=0,
        Which::All if many == 1 => 0..=0,
        Which::All => 1..=many,
        Which::Nth(number) if number < 0 && counted(number) <= many => {
            let place = many + 1 - counted(number);
            place..=place
        }
        Which::Nth(number) => counted(number)..=counted(number),
    }
}

/// The variable with a part as a number.
fn number_variable(part: &Selection, value: &[u8]) -> String {
    let argument = match part.which {
        Which::All => 0,
        Which::Nth(_) => *numbers(part, value).start(),
    };
    variable(&part.form, argument) + NUMBER_SUFFIX
}

fn push_references(
    text: &mut Vec<u8>,
    part: &Selection,
    quoting: Quoting,
    is_word: bool,
    value: &[u8],
) {
    if quoting == Quoting::Number {
        let name = number_variable(part, value);
        return text.extend(format!("${{{name}:?the value is not a number}}").into_bytes());
    }
    let variables: Vec<String> = numbers(part, value)
        .map(|argument| format!("${{{}}}", variable(&part.form, argument)))
        .collect();
    let (before, between, after) = match quoting {
        Quoting::Unquoted if is_word => ("\"", "\" \"", "\""),
        Quoting::Unquoted => ("\"", " ", "\""),
        Quoting::Double | Quoting::Here | Quoting::Number => ("", " ", ""),
        Quoting::Single => ("'\"", " ", "\"'"),
    };
    let references = [before, &variables.join(between), after].concat();
    text.extend_from_slice(references.as_bytes());
}

fn push_value(shown: &mut Vec<u8>, value: &[u8], quoting: Quoting) {
    match quoting {
        Quoting::Unquoted | Quoting::Number => push_quoted(shown, value),
        Quoting::Single => push_inside_quotes(shown, value),
        Quoting::Double | Quoting::Here => {
            shown.push(b'"');
            push_quoted(shown, value);
            shown.push(b'"');
        }
    }
}

/// Tells whether `bytes` is an integer constant as `$((..))` takes it.
fn is_number(bytes: &[u8]) -> bool {
    let digits = match bytes {
        [b'+' | b'-', rest @ ..] => rest,
        _ => bytes,
    };
    match digits {
        [] => false,
        [b'0', b'x' | b'X', hex @ ..] => !hex.is_empty() && hex.iter().all(u8::is_ascii_hexdigit),
        _ => digits.iter().all(u8::is_ascii_digit),
    }
}
