//! Here-documents.

use super::{Doubt, Quoting, Scanner};
use crate::template::shell_words::is_blank;

/// A here-document whose body begins with the next line.
#[derive(Debug)]
pub(super) struct Here {
    delimiter: Vec<u8>,
    /// Its body is taken as it is.
    quoted: bool,
    /// Tabs before its lines are removed.
    tabs: bool,
    /// Its command goes on: more words may stand behind it.
    pub(super) is_open: bool,
    /// A shell reads the body as commands.
    pub(super) program: Option<Vec<u8>>,
}

impl Scanner<'_> {
    /// Consumes the delimiter behind `<<`.
    pub(super) fn here(&mut self, tabs: bool) -> Option<Here> {
        let blanks = self.rest(0).iter().take_while(|byte| is_blank(**byte)).count();
        self.copy(blanks);
        let (mut delimiter, mut quoted) = (Vec::new(), false);
        while let Some(byte) = self.peek(0) {
            if self.is_replacement() {
                self.refuse(self.at, Doubt::HereDelimiter);
            }
            match byte {
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => break,
                b'\'' | b'"' => {
                    let inside = self.rest(1).iter().take_while(|next| **next != byte).count();
                    delimiter.extend_from_slice(&self.rest(1)[..inside]);
                    self.copy(inside + 2);
                    quoted = true;
                }
                b'\\' => {
                    delimiter.extend(self.peek(1));
                    self.copy(2);
                    quoted = true;
                }
                b'$' | b'`' => {
                    self.be_in_doubt(Doubt::HereDelimiter);
                    return None;
                }
                _ => {
                    delimiter.push(byte);
                    self.copy(1);
                }
            }
        }
        if delimiter.is_empty() || delimiter.contains(&b'\n') {
            self.be_in_doubt(Doubt::HereDelimiter);
            return None;
        }
        Some(Here { delimiter, quoted, tabs, is_open: true, program: None })
    }

    /// Consumes the bodies that begin here.
    pub(super) fn here_documents(&mut self, heres: &mut Vec<Here>) {
        for here in heres.drain(..) {
            let Some((body, line)) = self.body_of(&here) else { return self.endless(&here) };
            let values = self.values;
            self.here_body(&here, body);
            if let Some(program) = here.program.filter(|_| self.values > values && !self.anywhere) {
                self.refuse_evaluated(self.last_value, &program);
            }
            self.copy(line);
        }
    }

    /// Where the body ends, and the length of the line that ends it.
    fn body_of(&self, here: &Here) -> Option<(usize, usize)> {
        let mut at = self.at;
        for line in self.rest(0).split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let tabs = text.iter().take_while(|byte| here.tabs && **byte == b'\t').count();
            if text[tabs..] == here.delimiter {
                return Some((at, line.len()));
            }
            at += line.len();
        }
        None
    }

    /// Consumes a body up to here.
    fn here_body(&mut self, here: &Here, end: usize) {
        if here.quoted {
            let doubt = self.doubt.replace(Doubt::QuotedHere);
            while self.at < end {
                if !self.replacement(Quoting::Single) {
                    self.copy(1);
                }
            }
            self.doubt = doubt;
            return;
        }
        let outer = std::mem::replace(&mut self.end, end);
        while self.at < end {
            self.inside_double(Quoting::Here);
        }
        self.end = outer;
        // A backslash joins the last line with the delimiter.
        if self.source[..end].ends_with(b"\\\n") {
            if !matches!(self.doubt, Some(Doubt::HereDelimiter)) && self.values > 0 {
                self.refuse(self.last_value, Doubt::HereDelimiter);
            }
            self.be_in_doubt(Doubt::HereDelimiter);
        }
    }

    /// Consumes a body that nothing ends.
    fn endless(&mut self, here: &Here) {
        self.be_in_doubt(Doubt::OpenEnd);
        self.here_body(here, self.end);
    }
}
