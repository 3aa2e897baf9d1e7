//! Where something stands in a pipeline file.

use std::fmt;
use std::ops::Range;

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilePlace {
    /// From 1.
    line: usize,
    /// From 1, in characters.
    column: usize,
    /// How many characters of the line it takes, at least 1.
    width: usize,
    /// The whole line.
    text: String,
}

impl FilePlace {
    /// That of these bytes of a text, as far as they stand on one line.
    pub(crate) fn of(text: &str, span: Range<usize>) -> FilePlace {
        let begin = text.floor_char_boundary(span.start);
        let end = text.floor_char_boundary(span.end).max(begin);
        let line_begin = text[..begin].rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[line_begin..].lines().next().unwrap_or_default();
        let line_end = line_begin + line.len();
        let marked = text.get(begin..end.min(line_end)).unwrap_or_default();
        FilePlace {
            line: text[..begin].matches('\n').count() + 1,
            column: text[line_begin..begin].chars().count() + 1,
            width: marked.trim_end().chars().count().max(1),
            text: line.trim_end().to_owned(),
        }
    }

    /// The line with its number, and below it what is meant underlined.
    pub(crate) fn excerpt(&self) -> String {
        let number = self.line.to_string();
        let tab = |c: char| if c == '\t' { '\t' } else { ' ' };
        let indent: String = self.text.chars().take(self.column - 1).map(tab).collect();
        let (margin, marks) = (" ".repeat(number.len()), "^".repeat(self.width));
        format!("  {number} | {}\n  {margin} | {indent}{marks}", self.text)
    }
}

impl fmt::Display for FilePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_shown_and_the_part_underlined() {
        let text = "a = 1\n\u{e9}b = \"two\"  \n";
        let at = text.find("\"two\"").expect("it is there");
        let place = FilePlace::of(text, at..at + 5);
        assert_eq!(place.to_string(), "line 2, column 6");
        assert_eq!(place.excerpt(), "  2 | \u{e9}b = \"two\"\n    |      ^^^^^");
    }

    #[test]
    fn what_ends_on_another_line_or_beyond_the_text_is_underlined_to_the_end_of_its_line() {
        let text = "from = {\n}\n";
        assert_eq!(FilePlace::of(text, 7..10).excerpt(), "  1 | from = {\n    |        ^");
        assert_eq!(FilePlace::of(text, 99..99).to_string(), "line 3, column 1");
        assert_eq!(FilePlace::of("", 0..0).excerpt(), "  1 | \n    | ^");
    }
}
