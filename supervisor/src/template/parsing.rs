//! Parses COMMAND, once for all tasks.

use super::error::TemplateError;
use super::log_key::Outline;
use super::pasted::Pasted;
use super::replacement::{Replacement, Selection};
use super::script::Script;
use super::second_evaluation::{EvaluatedValue, Evaluation};
use super::shell::{BASH, CALL};
use super::strings::Strings;
use super::{Feeding, Kind, Reading, Template, TemplatePart, Word, shell_words};

impl Template {
    /// Takes the words of COMMAND as typed.
    ///
    /// Several words are executed directly, each as exactly one argument. A single word is a
    /// command line: a shell runs it if it needs one, else its words at blanks are executed
    /// directly. The value is appended when there is no replacement string at all,
    /// unless commands get blocks. A function that
    /// bash has exported runs through bash.
    ///
    /// # Errors
    /// There is nothing to run, or a value would stand where it is not certain to be data.
    pub(crate) fn from_words(
        words: Vec<Vec<u8>>,
        reading: &Reading,
    ) -> Result<Template, TemplateError> {
        if words.iter().any(|word| word.contains(&0)) {
            return Err(TemplateError::NulInWord);
        }
        match words.as_slice() {
            [] => Err(TemplateError::Empty),
            [single] => Template::from_line(single, reading),
            several => Template::several_words(several, reading),
        }
    }

    /// The same for words that are executed directly even if it is one.
    ///
    /// # Errors
    /// A value would stand where it is not certain to be data.
    pub(crate) fn several_words(
        words: &[Vec<u8>],
        reading: &Reading,
    ) -> Result<Template, TemplateError> {
        Template::direct(words.iter().map(Vec::as_slice), reading)
    }

    /// The same as GNU parallel reads them: a shell runs the words, with blanks between them, and
    /// with values quoted in their places.
    ///
    /// # Errors
    /// There is nothing to run, or a word holds a NUL byte.
    pub(crate) fn pasted(words: &[Vec<u8>], reading: &Reading) -> Result<Template, TemplateError> {
        if words.iter().any(|word| word.contains(&0)) {
            return Err(TemplateError::NulInWord);
        }
        if words.iter().all(|word| shell_words::words(word).next().is_none()) {
            return Err(TemplateError::Empty);
        }
        let pasted = Pasted::parse(words, reading);
        let outline = Outline::new(std::slice::from_ref(&pasted.line));
        Ok(Template {
            kind: Kind::Pasted(pasted),
            outline,
            feeding: reading.feeding,
            repeats: false,
        })
    }

    /// Returns the template in which every value is a command line of its own, without
    /// replacement strings: run by a shell if it needs one, else executed directly.
    pub(crate) fn each_input(reading: Reading) -> Template {
        let whole = vec![TemplatePart::Replacement(Replacement::Value(Selection::WHOLE))];
        let outline = Outline::new(&[whole]);
        Template {
            kind: Kind::EachInput(Box::new(reading)),
            outline,
            feeding: Feeding::Values,
            repeats: false,
        }
    }

    /// Repeats what stands around replacement strings for each argument (`-X`).
    ///
    /// # Errors
    /// It is a script with a value that is only a part of a word.
    pub(crate) fn repeating(mut self) -> Result<Template, TemplateError> {
        self.repeats = true;
        match &mut self.kind {
            Kind::Script(script) if !script.has_only_words() => Err(TemplateError::Repeated),
            Kind::Pasted(pasted) => {
                pasted.repeat().map_err(TemplateError::RepeatedOperator)?;
                Ok(self)
            }
            _ => Ok(self),
        }
    }

    fn from_line(typed: &[u8], reading: &Reading) -> Result<Template, TemplateError> {
        let line = trim_end(typed);
        let Some(first) = shell_words::words(line).next() else { return Err(TemplateError::Empty) };
        let mask = reading.strings.masked(line);
        if !shell_words::needs_shell(&mask) {
            return Template::direct(shell_words::words(line), reading);
        }
        let mut source = line.to_vec();
        if mask == line && reading.appends() {
            source.push(b' ');
            source.extend_from_slice(&reading.strings.whole);
        }
        let shell = reading.shell_for(first);
        let script = Script::parse(&source, &shell, reading)?;
        let outline = Outline::new(&[parse_word(&source, &reading.strings)]);
        Ok(Template {
            kind: Kind::Script(script),
            outline,
            feeding: reading.feeding,
            repeats: false,
        })
    }

    fn direct<'a>(
        words: impl Iterator<Item = &'a [u8]> + Clone,
        reading: &Reading,
    ) -> Result<Template, TemplateError> {
        let is_function = words.clone().next().is_some_and(|word| reading.shell.is_function(word));
        let before = if is_function { &[BASH, b"-c", CALL][..] } else { &[] };
        let words = before.iter().copied().chain(words);
        let mut words: Vec<Word> = words.map(|word| parse_word(word, &reading.strings)).collect();
        let is_text = |piece: &TemplatePart| matches!(piece, TemplatePart::Text(_));
        if reading.appends() && words.iter().flatten().all(is_text) {
            words.push(vec![TemplatePart::Replacement(Replacement::Value(Selection::WHOLE))]);
        }
        if !reading.unsafe_replace {
            refuse_evaluated(&words, &reading.strings.whole)?;
        }
        let outline = Outline::new(&words[before.len()..]);
        Ok(Template {
            kind: Kind::Direct(words),
            outline,
            feeding: reading.feeding,
            repeats: false,
        })
    }
}

/// Removes blanks and newlines at the end, which mean nothing to a shell; but after a newline
/// an appended value would be a command of its own.
fn trim_end(line: &[u8]) -> &[u8] {
    let end = line
        .iter()
        .rposition(|&byte| !shell_words::is_blank(byte) && byte != b'\n')
        .map_or(0, |last| last + 1);
    // A backslash there may escape the byte after it.
    let escaped = line[..end].ends_with(b"\\");
    &line[..line.len().min(end + usize::from(escaped))]
}

/// A word without replacement strings.
pub(super) fn literal_word(word: &[u8]) -> Word {
    if word.is_empty() { Word::new() } else { vec![TemplatePart::Text(word.to_vec())] }
}

/// Splits a word at its replacement strings.
pub(super) fn parse_word(word: &[u8], strings: &Strings) -> Word {
    let mut pieces = Word::new();
    let mut text_start = 0;
    let mut at = 0;
    while at < word.len() {
        let Some((replacement, len)) = strings.at(word, at) else {
            at += 1;
            continue;
        };
        if text_start < at {
            pieces.push(TemplatePart::Text(word[text_start..at].to_vec()));
        }
        pieces.push(TemplatePart::Replacement(replacement));
        at += len;
        text_start = at;
    }
    if text_start < at {
        pieces.push(TemplatePart::Text(word[text_start..].to_vec()));
    }
    pieces
}

/// Fails if a shell among these words would run a value as code. `whole`: what stands for a value.
fn refuse_evaluated(words: &[Word], whole: &[u8]) -> Result<(), TemplateError> {
    let mut evaluation = Evaluation::default();
    for word in words {
        let is_value = |piece: &TemplatePart| {
            matches!(piece, TemplatePart::Replacement(Replacement::Value(_)))
        };
        let text = spelled(word, b"{}");
        if let Some(program) = evaluation.word(&text, word.iter().any(is_value)) {
            let is_whole = |piece: &TemplatePart| match piece {
                TemplatePart::Text(_) => true,
                TemplatePart::Replacement(Replacement::Value(part)) => *part == Selection::WHOLE,
                TemplatePart::Replacement(_) => false,
            };
            // A script that is a value, and nothing else, is no script of ours.
            let is_all = words.len() == 3 && word.len() > 1 && spelled(&words[1], b"") == b"-c";
            let script = is_all && word.iter().all(is_whole);
            let script = script.then(|| spelled(word, whole));
            let (program, whole) = (program.to_vec(), whole.to_vec());
            return Err(TemplateError::Evaluated(EvaluatedValue { program, whole, script }));
        }
    }
    Ok(())
}

/// The text of a word, in which this stands for each replacement string.
fn spelled(word: &Word, string: &[u8]) -> Vec<u8> {
    let parts = word.iter().map(|piece| match piece {
        TemplatePart::Text(text) => text.as_slice(),
        TemplatePart::Replacement(_) => string,
    });
    parts.collect::<Vec<_>>().concat()
}
