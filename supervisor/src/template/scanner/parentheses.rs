//! What begins or ends with a parenthesis in a list of commands: subshells, arithmetic, arrays,
//! functions and the patterns of `case`.

use super::commands::is_loop;
use super::level::{Case, Ending, Level};
use super::{Dialect, Doubt, Scanner};
use crate::template::shell_words::is_blank;

impl Scanner<'_> {
    /// Consumes what begins with `(`.
    pub(super) fn open(&mut self, level: &mut Level) {
        if let Some(Case::Pattern { begun: begun @ false }) = level.cases.last_mut()
            && level.word.is_none()
        {
            *begun = true;
            return self.copy(1);
        }
        let typed = level.word.map(|word| &self.source[word.start..self.at]);
        let empty = self.peek(1) == Some(b')');
        match typed {
            // The definition of a function.
            Some(_) if empty && level.begins => self.define(level),
            None if empty && !level.begins && !level.condition => self.define(level),
            Some(typed) => {
                let array = typed.ends_with(b"=");
                self.in_pattern(!array && !level.condition, |inside| inside.parenthesized(array));
            }
            None if level.condition => self.nested(|inside| inside.parenthesized(false)),
            None => {
                let loops = matches!(level.previous.as_slice(), b"for" | b"select");
                let may_compute = self.peek(1) == Some(b'(') && (level.begins || loops);
                // A command may follow: `for ((..)) do`, and in zsh `if (..) {`.
                if may_compute && self.compute() {
                    level.begins = true;
                } else if level.begins {
                    self.copy(1);
                    self.nested(|inside| inside.commands(Ending::Parenthesis));
                } else {
                    let is_pattern = !is_loop(&level.command.first);
                    self.in_pattern(is_pattern, |inside| inside.parenthesized(true));
                    level.begins |= is_loop(&level.command.first);
                }
            }
        }
    }

    /// Goes one level down. What stands there is a pattern for names of files, if `is_pattern`: zsh
    /// runs code in one (`*(e:CODE:)`).
    fn in_pattern(&mut self, is_pattern: bool, inside: impl FnOnce(&mut Self)) {
        let values = self.values;
        self.nested(inside);
        let runs = is_pattern && self.dialect == Dialect::Zsh && !self.anywhere;
        if runs && self.values > values {
            self.refuse(self.last_value, Doubt::Pattern);
        }
    }

    /// `()` behind the name of a function.
    fn define(&mut self, level: &mut Level) {
        self.copy(2);
        level.word = None;
        level.next_command();
    }

    /// Consumes `((..))`, if it is that.
    fn compute(&mut self) -> bool {
        let (from, values) = (self.at, self.values);
        if !self.arithmetic(2) {
            return false;
        }
        if self.dialect == Dialect::Posix {
            // There it may be a list of commands.
            if self.values > values {
                self.refuse(self.last_value, Doubt::Arithmetic);
            }
            if self.source[from..self.at].iter().any(|byte| b"'\"\\`#<".contains(byte)) {
                self.be_in_doubt(Doubt::Arithmetic);
            }
        }
        true
    }

    /// Consumes `(..)` that is no list of commands: an array, or part of a pattern.
    fn parenthesized(&mut self, array: bool) {
        self.copy(1);
        let mut blank = true;
        while let Some(byte) = self.peek(0) {
            match byte {
                b')' => return self.copy(1),
                b'(' => self.nested(|inside| inside.parenthesized(array)),
                b'#' if array && blank => self.comment(),
                // The index of an element, or in zsh which files are meant.
                b'[' if (array && blank) || self.dialect == Dialect::Zsh => self.index(),
                _ => self.element(),
            }
            blank = is_blank(byte) || byte == b'\n';
        }
        self.open_end();
    }

    /// Consumes `[..]`: an expression, unless the array is of another kind.
    fn index(&mut self) {
        let numeric = std::mem::replace(&mut self.numeric, true);
        while self.peek(0).is_some_and(|byte| !b"])\n \t".contains(&byte)) {
            self.element();
        }
        self.numeric = numeric;
    }

    /// Consumes `)`. Whether it ends these commands.
    pub(super) fn close(&mut self, level: &mut Level) -> bool {
        self.end_word(level);
        self.end_command(level);
        self.copy(1);
        if let Some(case) = level.cases.last_mut() {
            if matches!(case, Case::Pattern { .. }) {
                *case = Case::List;
                level.next_command();
                return false;
            }
            self.be_in_doubt(Doubt::Case);
        }
        if level.ending == Ending::Script {
            self.be_in_doubt(Doubt::Parenthesis);
            return false;
        }
        if !level.heres.is_empty() {
            self.be_in_doubt(Doubt::HereStart);
        }
        true
    }
}
