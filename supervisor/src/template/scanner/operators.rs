//! Operators and redirections between the words of commands.

use super::level::{Case, Ending, Level, Target};
use super::{Dialect, Doubt, Scanner};
use crate::template::shell_words::is_name_byte;

impl Scanner<'_> {
    /// Consumes a line break that means nothing, unless it stands in an operator: some shells read
    /// `>`, such a line break and `&` as `>&`.
    pub(super) fn continued_line(&mut self) {
        let is_operator = |byte: &u8| b";&|<>()".contains(byte);
        let before = self.source[..self.at].last().copied();
        while self.rest(0).starts_with(b"\\\n") {
            self.copy(2);
        }
        if before.as_ref().is_some_and(is_operator)
            && self.peek(0).as_ref().is_some_and(is_operator)
        {
            self.be_in_doubt(Doubt::OperatorOverLines);
        }
    }

    pub(super) fn operator(&mut self, level: &mut Level, byte: u8) {
        self.end_word(level);
        let len = self.rest(0).iter().take_while(|next| b";&|".contains(next)).count();
        match (byte, level.cases.last_mut()) {
            (b'|', Some(Case::Pattern { begun })) => {
                *begun = true;
                return self.copy(1);
            }
            (_, Some(Case::Pattern { .. } | Case::Subject | Case::In)) => {
                self.be_in_doubt(Doubt::Case);
            }
            (b';', Some(case)) if len > 1 => *case = Case::Pattern { begun: false },
            _ => {}
        }
        self.copy(len);
        // `&>` is a redirection in most shells, and in some the end of a command.
        let in_commands = level.cases.last().is_none_or(|case| *case == Case::List);
        if byte == b'&' && len == 1 && self.peek(0) == Some(b'>') && in_commands {
            level.begins |= self.dialect == Dialect::Posix;
            return;
        }
        self.end_command(level);
        level.next_command();
    }

    /// Refuses values that a shell reads from its standard input. All words of the command are
    /// known: a redirection may stand before them.
    pub(super) fn end_command(&mut self, level: &mut Level) {
        let program = level.evaluation.reads().map(<[u8]>::to_vec);
        for here in level.heres.iter_mut().filter(|here| here.is_open) {
            (here.is_open, here.program) = (false, program.clone());
        }
        let input = level.command.input.take().filter(|_| !self.anywhere);
        if let (Some(place), Some(program)) = (input, program) {
            self.refuse_evaluated(place, &program);
        }
    }

    pub(super) fn redirection(&mut self, level: &mut Level) {
        let is_descriptor = |word: &[u8]| {
            let name = word.strip_prefix(b"{").and_then(|word| word.strip_suffix(b"}"));
            let is_name = name.is_some_and(|name| {
                !name.is_empty() && name.iter().all(|byte| is_name_byte(*byte))
            });
            is_name || word.iter().all(u8::is_ascii_digit)
        };
        let word = level.word.filter(|word| word.values == self.values);
        if word.is_some_and(|word| is_descriptor(&self.source[word.start..self.at])) {
            level.word = None;
        }
        match (self.peek(0), self.rest(1)) {
            // A process substitution, which is a word or part of one.
            (_, [b'(', ..]) => {
                self.begin_word(level);
                self.copy(2);
                return self.nested(|inside| inside.commands(Ending::Parenthesis));
            }
            (Some(b'<'), [b'<', b'<', ..]) => {
                self.end_word(level);
                self.copy(3);
                level.redirects = Some(Target::Input);
                return;
            }
            (Some(b'<'), [b'<', rest @ ..]) => {
                self.end_word(level);
                let tabs = rest.first() == Some(&b'-');
                self.copy(2 + usize::from(tabs));
                return level.heres.extend(self.here(tabs));
            }
            (Some(b'>'), [b'&', ..]) => {
                self.end_word(level);
                self.copy(2);
                level.redirects = Some(Target::Duplicate);
                return;
            }
            (_, [b'&' | b'>' | b'|', ..]) => {
                self.end_word(level);
                self.copy(2);
            }
            _ => {
                self.end_word(level);
                self.copy(1);
            }
        }
        level.redirects = Some(Target::File);
    }
}
