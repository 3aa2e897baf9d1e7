//! How much of a command line COMMAND takes, and how much each argument adds: for batches that are
//! as large as they may be.

use super::pasted::Pasted;
use super::rendering::varies;
use super::replacement::{Replacement, Selection, Which};
use super::{Kind, Template, TemplatePart, Word};
use crate::arguments::Length;

/// Enough for every number in a command.
const DIGITS: usize = 20;

impl Template {
    /// What COMMAND takes without arguments.
    pub(crate) fn length(&self) -> Length {
        match &self.kind {
            Kind::Direct(words) => {
                let each = words.iter().map(|word| of_word(word, self.repeats));
                each.fold(Length::default(), Length::and)
            }
            Kind::Script(script) => script.length(),
            Kind::Pasted(pasted) => pasted.length(),
            Kind::EachInput(reading) => of_program(reading.shell.program()),
            Kind::Plain(plain) => plain.length(),
        }
    }

    /// What an argument adds to that.
    pub(crate) fn length_of(&self, argument: &[u8]) -> Length {
        match &self.kind {
            Kind::Direct(words) => {
                let each = words.iter().map(|word| added_to(word, argument, self.repeats));
                each.fold(Length::default(), Length::and)
            }
            Kind::Script(script) => script.length_of(argument),
            Kind::Pasted(pasted) => pasted.length_of(argument),
            Kind::EachInput(_) => growing(argument.len() + 1),
            Kind::Plain(plain) => plain.length_of(argument),
        }
    }
}

/// Of a shell and its `-c`, which no user counts.
pub(super) fn of_program(program: &[u8]) -> Length {
    const FLAG: usize = "-c".len();
    let (program, flag) = (Length::of(program.len()), Length::of(FLAG));
    Length { chars: 0, ..program.and(flag) }
}

/// Bytes more in an argument that is there anyway.
pub(super) fn growing(bytes: usize) -> Length {
    Length { chars: bytes, total: bytes, grows: bytes, longest: 0 }
}

/// Bytes of an argument that may grow.
pub(super) fn begun(bytes: usize) -> Length {
    Length { chars: bytes + 1, total: bytes + Length::BESIDES, grows: bytes, longest: 0 }
}

fn of_word(pieces: &Word, repeats: bool) -> Length {
    match pieces.as_slice() {
        [TemplatePart::Replacement(Replacement::Value(_))] => Length::default(),
        _ if repeats && varies(pieces) => Length::default(),
        _ if values(pieces).next().is_some() => begun(fixed(pieces)),
        _ => Length::of(fixed(pieces)),
    }
}

fn added_to(pieces: &Word, argument: &[u8], repeats: bool) -> Length {
    match pieces.as_slice() {
        [TemplatePart::Replacement(Replacement::Value(part))] => {
            Length::of(part.of(argument, b"").len())
        }
        _ if repeats && varies(pieces) => {
            let parts = values(pieces).map(|part| part.of(argument, b"").len());
            Length::of(fixed(pieces) + parts.sum::<usize>())
        }
        // A blank stands between two of them.
        _ => growing(values(pieces).map(|part| part.of(argument, b"").len() + 1).sum()),
    }
}

/// The values in a word. Those with a number are taken to be the argument itself.
fn values(pieces: &[TemplatePart]) -> impl Iterator<Item = Selection> {
    pieces.iter().filter_map(|piece| match piece {
        TemplatePart::Replacement(Replacement::Value(part)) => {
            Some(Selection { which: Which::All, ..part.clone() })
        }
        _ => None,
    })
}

/// Bytes of all that is no value.
fn fixed(pieces: &[TemplatePart]) -> usize {
    let of = |piece: &TemplatePart| match piece {
        TemplatePart::Text(text) => text.len(),
        TemplatePart::Replacement(Replacement::Value(_)) => 0,
        TemplatePart::Replacement(_) => DIGITS,
    };
    pieces.iter().map(of).sum()
}

impl Pasted {
    fn length(&self) -> Length {
        // Each argument is counted with the blank before it; the first one has none.
        let blanks = |(pieces, repeats): &(Word, bool)| match repeats {
            true => 1,
            false => values(pieces).count(),
        };
        let text = |(pieces, repeats): &(Word, bool)| match repeats {
            true => 0,
            false => fixed(pieces),
        };
        let groups = &self.groups;
        let text: usize = groups.iter().map(text).sum();
        let blanks: usize = groups.iter().map(blanks).sum();
        of_program(self.program()).and(begun(text.saturating_sub(blanks)))
    }

    fn length_of(&self, argument: &[u8]) -> Length {
        let quoted = |part: Selection| Pasted::quoted_len(&part.of(argument, b""));
        let each = self.groups.iter().map(|(pieces, repeats)| {
            let parts = values(pieces);
            match repeats {
                true => fixed(pieces) + parts.map(quoted).sum::<usize>() + 1,
                false => parts.map(|part| quoted(part) + 1).sum(),
            }
        });
        growing(each.sum())
    }
}
