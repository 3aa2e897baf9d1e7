//! Why a value cannot stand where it does.

use crate::template::second_evaluation::safe_form;

/// What makes a place uncertain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Something before or around it is not closed.
    OpenEnd,
    Deep,
    /// `$'..'`
    AnsiQuotes,
    /// Behind `$'..\'..'`.
    AfterAnsiQuotes,
    /// Quotes within `${..}`.
    BraceQuotes,
    /// `${..}` of a kind that only some shells have.
    Parameter,
    /// `((..))` where it may be arithmetic or not.
    Arithmetic,
    /// `'..'` that is read as an expression.
    QuotedExpression,
    /// `$[..]`
    OldArithmetic,
    /// `<<'EOF'`
    QuotedHere,
    HereDelimiter,
    /// A here-document that may begin in several places.
    HereStart,
    /// Backticks in a here-document or in other backticks.
    Backticks,
    /// `case` that is none.
    Case,
    Parenthesis,
    /// A word that is run as code.
    Evaluated,
    /// A word that is taken for the name of a variable.
    Name,
    /// One that is computed.
    Computed,
    /// `declare -a x={}`
    Elements,
    /// `*({})` in zsh.
    Pattern,
    /// `PS4={}`
    Expanded,
    /// Behind a value that may be an option or an operator.
    Operator,
    /// Behind an operator that a continued line cuts.
    OperatorOverLines,
    /// `>&{}`
    Duplicate,
}

impl Doubt {
    fn reason(self) -> &'static str {
        match self {
            Doubt::OpenEnd => "a quote, a parenthesis or a here-document is not closed",
            Doubt::Deep => "it is nested too deep",
            Doubt::AnsiQuotes => "$'..' takes no values: put it outside of these quotes",
            Doubt::AfterAnsiQuotes => "behind $'..\\'..', which shells read differently",
            Doubt::BraceQuotes => "values and quotes inside ${..} are read differently by shells",
            Doubt::Parameter => "shells read this ${..} differently",
            Doubt::Arithmetic => "shells read ((..)) differently: use $((..)) or test",
            Doubt::QuotedExpression => {
                "'..' is read as an expression here: put it outside of the quotes"
            }
            Doubt::OldArithmetic => "shells read $[..] differently: use $((..))",
            Doubt::QuotedHere => {
                "a here-document with a quoted delimiter takes no values: write the delimiter \
                 without quotes"
            }
            Doubt::HereDelimiter => "the delimiter of a here-document cannot be a value",
            Doubt::HereStart => "where the here-document begins, shells read differently",
            Doubt::Backticks => "backticks in these are read differently by shells: use $(..)",
            Doubt::Case => "shells read this case differently",
            Doubt::Parenthesis => "shells read the parentheses before it differently",
            Doubt::Evaluated => "it would be run as code",
            Doubt::Name => {
                "the shell takes it for the name of a variable, and the index of an array in that \
                 would be run as code; write the name itself (or insist with --unsafe-replace)"
            }
            Doubt::Computed => {
                "the shell computes it, and the index of an array in that would be run as code; \
                 write $(({})) (or insist with --unsafe-replace)"
            }
            Doubt::Elements => {
                "the shell reads it as the elements of an array, and it would be run as code; \
                 write x=({}) (or insist with --unsafe-replace)"
            }
            Doubt::Pattern => {
                "zsh runs code that stands in the parentheses of a pattern; quote the whole word \
                 (or insist with --unsafe-replace)"
            }
            Doubt::Expanded => {
                "the shell expands this variable when it uses it, and it would be run as code; \
                 use another variable (or insist with --unsafe-replace)"
            }
            Doubt::Operator => {
                "the value before it may be -v, and this one the name of a variable, which would \
                 be run as code; write the operator or the format itself (or insist with \
                 --unsafe-replace)"
            }
            Doubt::OperatorOverLines => {
                "shells read the operator before it, which is cut by a continued line, \
                 differently: write it on one line"
            }
            Doubt::Duplicate => {
                "bash expands the word behind >& twice, and it would be run as code; \
                 write > {} 2>&1 (or insist with --unsafe-replace)"
            }
        }
    }
}

/// A place of a value that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Refused {
    /// The character that begins the replacement string, from 1, and its line if there are several.
    line: Option<usize>,
    character: usize,
    /// The source from there.
    excerpt: String,
    doubt: Doubt,
    /// The program that runs it as code.
    program: Option<Vec<u8>>,
}

/// The number of characters that show which place is meant.
const EXCERPT: usize = 24;

impl Refused {
    pub(super) fn new(source: &[u8], place: usize, doubt: Doubt) -> Refused {
        let before = &source[..place];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let line = source.contains(&b'\n').then_some(lines);
        let character = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
        let rest = String::from_utf8_lossy(&source[place..]);
        let excerpt = rest.chars().take(EXCERPT).flat_map(char::escape_debug).collect();
        Refused { line, character, excerpt, doubt, program: None }
    }

    pub(super) fn doubt(&self) -> Doubt {
        self.doubt
    }

    /// The program that would run it as code.
    pub(super) fn program(&self) -> Option<&[u8]> {
        self.program.as_deref()
    }

    /// Run as code by this program.
    pub(super) fn by(self, program: &[u8]) -> Refused {
        Refused { program: Some(program.to_vec()), ..self }
    }
}

/// What works in places where a value is refused.
const VARIABLE: &str = "; or give it to a variable first, such as 'x={}', and use \"$x\"";

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Refused { line, character, excerpt, doubt, program } = self;
        let line = line.map_or(String::new(), |line| format!("line {line}, "));
        write!(f, "the value at {line}character {character} ('{excerpt}')")?;
        match (program, doubt) {
            (Some(program), _) => {
                let name = program.escape_ascii();
                write!(f, " in what {name} runs: {}", safe_form(program, b"{}"))
            }
            // A variable is evaluated once more in an expression, and not at all in such a
            // here-document.
            (
                None,
                Doubt::OpenEnd
                | Doubt::Arithmetic
                | Doubt::QuotedExpression
                | Doubt::OldArithmetic
                | Doubt::QuotedHere
                | Doubt::HereDelimiter
                | Doubt::Name
                | Doubt::Computed
                | Doubt::Elements
                | Doubt::Expanded
                | Doubt::Operator
                | Doubt::OperatorOverLines
                | Doubt::Duplicate,
            ) => write!(f, ": {}", doubt.reason()),
            (None, _) => write!(f, ": {}{VARIABLE}", doubt.reason()),
        }
    }
}
