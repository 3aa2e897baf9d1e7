//! Colours, for terminals only.

/// The style of a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextStyle {
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
}

/// Whether there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint {
    pub(crate) colours: bool,
}

impl Paint {
    /// For a stream, which may be a terminal; a non-empty `NO_COLOR` turns colours off.
    pub(crate) fn of(is_terminal: bool) -> Paint {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Paint { colours: is_terminal && !refused && !is_dumb }
    }

    pub(crate) fn text(self, style: TextStyle, text: &str) -> String {
        let code = match style {
            TextStyle::Bold => "1",
            TextStyle::Dim => "2",
            TextStyle::Good => "32",
            TextStyle::Bad => "31",
            TextStyle::Plain => "",
        };
        if !self.colours || code.is_empty() || text.is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{code}m{text}\x1b[m")
    }
}
