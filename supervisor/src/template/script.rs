//! Scripts for a shell's `-c`, which get values through environment variables.
//!
//! A value never becomes part of the script's text: the script refers to a variable instead, and
//! no shell parses an expansion as source. Where a script hands a word to a shell once more
//! (`eval`, an inner `sh -c`), a value in it is refused. What other programs do with a value
//! (`ssh`, `awk`) and what a script does with it later remains its own responsibility.

use msup_protocol::env as names;

use super::rendering::push_number;
use super::replacement::Form;
use super::scanner::{Quoting, Refused, TemplatePart, scan};
use super::shell::Shell;
use super::shell_words::{push_inside_quotes, push_quoted, quoted_words};
use super::{Facts, Rendered, SlotMark};

/// Holds `{}` for a script.
const MSUP_V: &str = "MSUP_V";
/// Holds `{.}` for a script.
const MSUP_V_NOEXT: &str = "MSUP_V_NOEXT";
/// Holds `{/}` for a script.
const MSUP_V_BASE: &str = "MSUP_V_BASE";
/// Holds `{//}` for a script.
const MSUP_V_DIR: &str = "MSUP_V_DIR";
/// Holds `{/.}` for a script.
const MSUP_V_BASE_NOEXT: &str = "MSUP_V_BASE_NOEXT";
/// Ends the name of the variable that holds the same as a number, for `$((..))`. It is empty if the
/// value is no number: bash would evaluate it as an expression, commands included.
const NUMBER_SUFFIX: &str = "_NUM";

/// Bytes that are enough for most references with their quotes.
const REFERENCE_LEN: usize = 32;

/// A script with its replacement strings, parsed once.
#[derive(Debug, Clone)]
pub(super) struct Script {
    shell: Vec<Vec<u8>>,
    pieces: Vec<TemplatePart>,
    /// The forms referred to as bytes.
    forms: Vec<Form>,
    /// The forms referred to as numbers.
    numbers: Vec<Form>,
    /// Whether values can be shown in the script.
    shows_values: bool,
    /// Whether the script could be taken for an option.
    dashed: bool,
    /// About how long the script is when rendered.
    len: usize,
}

impl Script {
    /// Takes the script as typed, for this shell; values may stand where they are run as code if
    /// `anywhere`. The shell reports bad syntax.
    ///
    /// # Errors
    /// A place of a value that cannot be judged, or where it would be run as code.
    pub(super) fn parse(source: &[u8], shell: &Shell, anywhere: bool) -> Result<Script, Refused> {
        // Constructs in which a quoted value would mean something else.
        const SPECIAL: [&[u8]; 5] = [b"<<", b"case", b"${", b"((", b"$'"];
        let pieces = scan(source, shell.dialect, anywhere)?;
        let has = |special: &[u8]| source.windows(special.len()).any(|part| part == special);
        let shows_values = !SPECIAL.into_iter().any(has);
        let mut forms = Vec::new();
        let mut numbers = Vec::new();
        let mut len = 0;
        for piece in &pieces {
            len += match piece {
                TemplatePart::Text(bytes) => bytes.len(),
                _ => REFERENCE_LEN,
            };
            let (used, form) = match piece {
                TemplatePart::Value(form, Quoting::Number) => (&mut numbers, form),
                TemplatePart::Value(form, _) => (&mut forms, form),
                _ => continue,
            };
            if !used.contains(form) {
                used.push(*form);
            }
        }
        let (shell, dashed) = (shell.argv.clone(), looks_like_option(source));
        Ok(Script { shell, pieces, forms, numbers, shows_values, dashed, len })
    }

    /// Whether it names the file that the task makes.
    pub(super) fn names_out(&self) -> bool {
        self.forms.iter().chain(&self.numbers).any(|form| *form == Form::Out)
    }

    /// Returns the command that runs the script for one value.
    pub(super) fn render(&self, value: &[u8], facts: Facts<'_>) -> Rendered {
        let mut text = Vec::with_capacity(self.len);
        let mut slots = Vec::new();
        for piece in &self.pieces {
            match piece {
                TemplatePart::Text(bytes) => text.extend_from_slice(bytes),
                TemplatePart::Value(form, quoting) => push_reference(&mut text, *form, *quoting),
                TemplatePart::Seq => push_number(&mut text, facts.seq),
                TemplatePart::Threads => push_number(&mut text, facts.threads.into()),
                TemplatePart::Slot => slots.push(text.len()),
            }
        }
        let argv = argv(&self.shell, text, self.dashed);
        let script_arg = argv.len() - 1;
        let slot_marks = slots.into_iter().map(|at| SlotMark::new(script_arg, at)).collect();
        Rendered { argv, env: self.env(value, facts.out), slot_marks }
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
        for piece in &self.pieces {
            match piece {
                TemplatePart::Text(bytes) => shown.extend_from_slice(bytes),
                TemplatePart::Value(form, quoting) => {
                    push_value(&mut shown, form.of(value, facts.out), *quoting)
                }
                TemplatePart::Seq => push_number(&mut shown, facts.seq),
                TemplatePart::Threads => push_number(&mut shown, facts.threads.into()),
                TemplatePart::Slot => push_number(&mut shown, 1),
            }
        }
        shown
    }

    fn env(&self, value: &[u8], out: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut env = Vec::with_capacity(self.forms.len() + self.numbers.len());
        for form in &self.forms {
            env.push((variable(*form).as_bytes().to_vec(), form.of(value, out).to_vec()));
        }
        for form in &self.numbers {
            let number =
                Some(form.of(value, out)).filter(|part| is_number(part)).unwrap_or_default();
            // Set even when empty: an outer run may have exported the same name.
            env.push(([variable(*form), NUMBER_SUFFIX].concat().into_bytes(), number.to_vec()));
        }
        env
    }
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

fn variable(form: Form) -> &'static str {
    match form {
        Form::Whole => MSUP_V,
        Form::NoExt => MSUP_V_NOEXT,
        Form::Base => MSUP_V_BASE,
        Form::Dir => MSUP_V_DIR,
        Form::BaseNoExt => MSUP_V_BASE_NOEXT,
        Form::Out => names::OUT,
    }
}

fn push_reference(text: &mut Vec<u8>, form: Form, quoting: Quoting) {
    let (before, suffix, after) = match quoting {
        Quoting::Unquoted => ("\"${", "", "}\""),
        Quoting::Double | Quoting::Here => ("${", "", "}"),
        Quoting::Single => ("'\"${", "", "}\"'"),
        Quoting::Number => ("${", NUMBER_SUFFIX, ":?the value is not a number}"),
    };
    for part in [before, variable(form), suffix, after] {
        text.extend_from_slice(part.as_bytes());
    }
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
