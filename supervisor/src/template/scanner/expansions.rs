//! `$x`, `${..}`, `$(..)`, `$((..))` and backticks.

use super::level::Ending;
use super::{Dialect, Doubt, Quoting, Refused, Scanner, TemplatePart};
use crate::template::replacement::Replacement;
use crate::template::shell_words::is_name_byte;

/// How a shell reads the text behind the name in `${..}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operand {
    /// A word, with the quoting around it (`:-`).
    Word,
    /// A pattern, which has quotes of its own even inside double quotes (`%`).
    Pattern,
    /// An expression (`:1`).
    Number,
    /// An operator that only some shells have (`/`).
    Other,
}

impl Scanner<'_> {
    /// Consumes a dollar sign and the name or opening bracket after it.
    pub(super) fn dollar(&mut self, quoting: Quoting) {
        if self.replacement_at(1).is_some() {
            // A literal dollar sign, kept from becoming one expansion with what is put there.
            match quoting {
                Quoting::Unquoted => self.text(b"\"$\""),
                Quoting::Double | Quoting::Single => self.text(b"$\"\""),
                Quoting::Here => self.text(b"\\$"),
                Quoting::Number => {}
            }
            self.at += 1;
            return;
        }
        match self.peek(1) {
            Some(b'(') if self.peek(2) == Some(b'(') => {
                if !self.arithmetic(3) {
                    self.substitution();
                }
            }
            Some(b'(') => self.substitution(),
            Some(b'{') => self.nested(|inside| inside.parameter(quoting)),
            Some(b'[') => self.old_arithmetic(),
            Some(b'\'') if quoting == Quoting::Unquoted => self.ansi_quotes(),
            Some(byte) if is_name_byte(byte) => self.variable(quoting),
            Some(b'$' | b'?' | b'!' | b'#' | b'@' | b'*' | b'-') => self.copy(2),
            _ => self.copy(1),
        }
    }

    /// Consumes `$name`.
    fn variable(&mut self, quoting: Quoting) {
        let name = self.rest(1).iter().take_while(|byte| is_name_byte(**byte)).count();
        let next = self.replacement_at(1 + name);
        let number =
            next.is_some_and(|(replacement, _)| !matches!(replacement, Replacement::Value(_)));
        if number && quoting == Quoting::Here {
            // Otherwise the digits become part of the name.
            self.text(b"${");
            self.at += 1;
            self.copy(name);
            return self.text(b"}");
        }
        self.copy(1 + name);
        if self.dialect == Dialect::Zsh && self.peek(0) == Some(b'[') && self.has_value_in_index() {
            return self.subscript();
        }
        if number && quoting != Quoting::Number {
            self.text(b"\"\"");
        }
    }

    /// Whether a value is in the `[..]` that begins here.
    fn has_value_in_index(&self) -> bool {
        let len = self.rest(0).iter().position(|byte| *byte == b']').unwrap_or(0);
        (1..len).any(|ahead| {
            let found = self.replacement_at(ahead);
            found.is_some_and(|(replacement, _)| matches!(replacement, Replacement::Value(_)))
        })
    }

    /// Consumes `$(..)`.
    fn substitution(&mut self) {
        self.copy(2);
        self.nested(|inside| inside.commands(Ending::Parenthesis));
    }

    /// Consumes `$((..))` or `((..))` whose opening has this length. False, and nothing is
    /// consumed, if it is none.
    pub(super) fn arithmetic(&mut self, opening: usize) -> bool {
        let before = self.before();
        self.copy(opening);
        let mut closed = false;
        self.nested(|inside| closed = inside.expression());
        if !closed {
            self.go_back(before);
        }
        closed
    }

    /// Consumes an expression and `))`. False if it does not end like that.
    fn expression(&mut self) -> bool {
        let mut groups = 0;
        while let Some(byte) = self.peek(0) {
            if self.replacement(Quoting::Number) {
                continue;
            }
            match byte {
                b'(' => groups += 1,
                b')' if groups > 0 => groups -= 1,
                b')' if self.peek(1) == Some(b')') => {
                    self.copy(2);
                    return true;
                }
                b')' => return false,
                b'\\' => {
                    self.backslash(Quoting::Number);
                    continue;
                }
                b'$' => {
                    self.dollar(Quoting::Number);
                    continue;
                }
                b'`' => {
                    self.backtick(Quoting::Number);
                    continue;
                }
                b'\'' => {
                    // A quote in some shells, in others a character's code.
                    self.be_in_doubt(Doubt::Arithmetic);
                }
                _ => {}
            }
            self.copy(1);
        }
        false
    }

    /// Consumes `$[..]`.
    fn old_arithmetic(&mut self) {
        let doubt = self.doubt;
        self.be_in_doubt(Doubt::OldArithmetic);
        self.copy(2);
        while let Some(byte) = self.peek(0) {
            match byte {
                b']' => {
                    self.copy(1);
                    self.doubt = doubt;
                    return;
                }
                // Whether it ends here depends on the shell.
                b'\'' | b'"' | b'`' | b'\\' | b'(' | b'\n' | b'[' => return,
                _ if self.replacement(Quoting::Number) => {}
                _ => self.copy(1),
            }
        }
    }

    /// Consumes `$'..'`, in which some shells know `\'`.
    fn ansi_quotes(&mut self) {
        self.copy(2);
        let doubt = self.doubt;
        self.be_in_doubt(Doubt::AnsiQuotes);
        while let Some(byte) = self.peek(0) {
            match byte {
                b'\'' => {
                    self.copy(1);
                    self.doubt = doubt;
                    return;
                }
                b'\\' if self.peek(1) == Some(b'\'') => {
                    self.doubt = doubt;
                    return self.be_in_doubt(Doubt::AfterAnsiQuotes);
                }
                b'\\' => self.copy(2),
                _ if self.replacement(Quoting::Single) => {}
                _ => self.copy(1),
            }
        }
        self.open_end();
    }

    /// Consumes `${..}`.
    fn parameter(&mut self, quoting: Quoting) {
        self.copy(2);
        // `${#x}` and `${!x}`, but not `${#}` and `${!}`.
        if matches!(self.peek(0), Some(b'#' | b'!')) && self.peek(1) != Some(b'}') {
            self.copy(1);
        }
        let name = self.rest(0).iter().take_while(|byte| is_name_byte(**byte)).count();
        match (name, self.peek(0)) {
            (0, Some(b'@' | b'*' | b'?' | b'-' | b'$' | b'!' | b'#')) => self.copy(1),
            (0, Some(b'}')) => {}
            (0, _) => self.be_in_doubt(Doubt::Parameter),
            _ => self.copy(name),
        }
        if self.peek(0) == Some(b'[') {
            self.subscript();
        }
        let operand = match (self.peek(0), self.peek(1)) {
            (Some(b'-' | b'=' | b'?' | b'+'), _) => Operand::Word,
            (Some(b':'), Some(b'-' | b'=' | b'?' | b'+')) => Operand::Word,
            (Some(b'#' | b'%'), _) => Operand::Pattern,
            // bash evaluates these as `$((..))`.
            (Some(b':'), _) => Operand::Number,
            _ => Operand::Other,
        };
        self.operand(operand, quoting);
    }

    /// Consumes `[..]` behind a name: an expression, unless the array is of another kind.
    fn subscript(&mut self) {
        self.copy(1);
        while let Some(byte) = self.peek(0) {
            match byte {
                b']' => return self.copy(1),
                b'$' => self.dollar(Quoting::Number),
                b'\'' | b'"' | b'`' | b'\\' | b'[' | b'}' => {
                    return self.be_in_doubt(Doubt::Parameter);
                }
                _ if self.replacement(Quoting::Number) => {}
                _ => self.copy(1),
            }
        }
    }

    /// Consumes what follows the name, and `}`.
    fn operand(&mut self, operand: Operand, quoting: Quoting) {
        let quoted = matches!(quoting, Quoting::Double | Quoting::Here);
        let inside = match operand {
            Operand::Word => quoting,
            Operand::Number => Quoting::Number,
            Operand::Pattern | Operand::Other => Quoting::Unquoted,
        };
        let doubt = self.doubt;
        // ksh drops an empty one.
        let drops = self.dialect == Dialect::Ksh && operand == Operand::Word && !quoted;
        if drops || (operand == Operand::Other && quoted) {
            self.be_in_doubt(Doubt::BraceQuotes);
        }
        while let Some(byte) = self.peek(0) {
            if self.replacement(inside) {
                continue;
            }
            match byte {
                b'}' => {
                    if self.doubt == Some(Doubt::BraceQuotes) {
                        self.doubt = doubt;
                    }
                    return self.copy(1);
                }
                b'\\' => self.backslash(inside),
                b'$' => self.dollar(inside),
                b'`' => self.backtick(inside),
                b'{' => {
                    // Some shells look for its pair.
                    self.be_in_doubt(Doubt::Parameter);
                    self.copy(1);
                }
                b'"' | b'\'' => self.operand_quote(byte, operand, quoted),
                _ => self.copy(1),
            }
        }
        self.open_end();
    }

    /// Consumes a quote in `${..}`, and what it quotes if it does.
    fn operand_quote(&mut self, quote: u8, operand: Operand, quoted: bool) {
        match (quote, operand, quoted) {
            (b'\'', Operand::Word | Operand::Pattern | Operand::Other, false) => self.single(),
            (b'"', Operand::Word | Operand::Pattern | Operand::Other, false) => self.double(),
            // Inside double quotes an apostrophe is one.
            (b'\'', Operand::Word, true)
                if matches!(self.dialect, Dialect::Posix | Dialect::Zsh) =>
            {
                self.copy(1);
            }
            // Quotes of the pattern.
            (b'\'', Operand::Pattern, true) if self.dialect != Dialect::Zsh => self.single(),
            _ => {
                self.be_in_doubt(Doubt::Parameter);
                self.copy(1);
            }
        }
    }

    /// Consumes `` `..` ``, as `$(..)` if it holds a replacement string: between backticks a layer
    /// of backslashes is removed before quotes are looked at.
    pub(super) fn backtick(&mut self, quoting: Quoting) {
        let Some((body, len)) = self.backtick_body(quoting) else {
            self.be_in_doubt(Doubt::OpenEnd);
            return self.copy(1);
        };
        if self.strings.masked(&body) == body {
            return self.copy(len);
        }
        if quoting == Quoting::Here || self.depth >= super::DEEPEST {
            self.be_in_doubt(Doubt::Backticks);
        }
        // `$((` would begin arithmetic.
        self.text(if body.starts_with(b"(") { b"$( " } else { b"$(" });
        let mut inner =
            Scanner::new(&body, self.dialect, self.strings, self.anywhere, self.depth + 1);
        inner.commands(Ending::Script);
        if inner.refused.is_some() || inner.doubt.is_some() {
            // A parenthesis that is not open would end the substitution, for one.
            let doubt = inner.refused.as_ref().map_or(Doubt::Backticks, Refused::doubt);
            self.refuse(self.at, doubt);
            let program = inner.refused.as_ref().and_then(Refused::program);
            self.refused = self.refused.take().map(|refused| match program {
                Some(program) if doubt == Doubt::Evaluated => refused.by(program),
                _ => refused,
            });
        }
        if let Some(doubt) = self.doubt {
            self.refuse(self.at, doubt);
        }
        if inner.values > 0 {
            (self.values, self.last_value) = (self.values + inner.values, self.at);
        }
        for piece in inner.pieces {
            match piece {
                TemplatePart::Text(text) => self.text(&text),
                other => self.pieces.push(other),
            }
        }
        // A comment, a here-document and a backslash would swallow the parenthesis.
        let open_end =
            body.contains(&b'#') || body.windows(2).any(|it| it == b"<<") || body.ends_with(b"\\");
        self.text(if open_end { b"\n)" } else { b")" });
        self.at += len;
    }

    /// Returns the command between the backticks that begin here, and their length in the source;
    /// nothing if the second one is missing.
    fn backtick_body(&self, quoting: Quoting) -> Option<(Vec<u8>, usize)> {
        let mut body = Vec::new();
        let mut len = 1;
        loop {
            match (self.peek(len)?, self.peek(len + 1)) {
                (b'`', _) => return Some((body, len + 1)),
                (b'\\', Some(next @ (b'$' | b'`' | b'\\'))) => {
                    body.push(next);
                    len += 2;
                }
                (b'\\', Some(b'"')) if quoting == Quoting::Double => {
                    body.push(b'"');
                    len += 2;
                }
                (byte, _) => {
                    body.push(byte);
                    len += 1;
                }
            }
        }
    }
}
