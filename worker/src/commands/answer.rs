//! The answer of a program that keeps running: a line of JSON (docs/guide/stdio-workers.md).

use serde::Deserialize;

/// At most this number of bytes of what a program has written is shown in an error.
const SHOWN: usize = 60;

/// What a program says about a task.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Why the task has failed, if it has.
    pub(super) failure: Option<String>,
    /// What the task has written, as far as the answer tells.
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// What a program has done that the protocol does not allow.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadAnswer {
    /// The beginning of the line, and why.
    #[error("the program's answer is no JSON object like {{\"ok\": true}}: {0} ({1})")]
    Malformed(String, #[source] serde_json::Error),
    #[error("the program's answer must say either \"ok\": true or \"error\": \"WHY\": {0}")]
    Unclear(String),
    #[error("the program has written more than one line for a task: {0}")]
    More(String),
    #[error("the program's answer is longer than 16 MiB")]
    TooLong,
    #[error("the program has closed its standard input")]
    Deaf,
    #[error("the program has answered before it had read the whole value")]
    Early,
}

/// The line as programs write it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    ok: Option<bool>,
    error: Option<String>,
    #[serde(default)]
    stdout: String,
    #[serde(default)]
    stderr: String,
}

impl Answer {
    /// Reads a line, without its newline.
    ///
    /// # Errors
    /// It is no answer.
    pub(super) fn parse(line: &[u8]) -> Result<Answer, BadAnswer> {
        // An array of the same values is not what the protocol says.
        let is_object = line.trim_ascii_start().starts_with(b"{");
        let fields = match is_object {
            true => serde_json::from_slice(line),
            false => Err(serde::de::Error::custom("it does not begin with {")),
        };
        let Fields { ok, error, stdout, stderr } =
            fields.map_err(|why| BadAnswer::Malformed(beginning(line), why))?;
        let failure = match (ok, error) {
            (Some(true), None) => None,
            (None | Some(false), Some(why)) => Some(why),
            _ => return Err(BadAnswer::Unclear(beginning(line))),
        };
        Ok(Answer { failure, stdout, stderr })
    }
}

impl BadAnswer {
    /// The program has written `more` after its answer.
    pub(super) fn more(more: &[u8]) -> BadAnswer {
        let line = more.split(|byte| *byte == b'\n').next().unwrap_or_default();
        BadAnswer::More(beginning(line))
    }
}

fn beginning(line: &[u8]) -> String {
    let shown = &line[..line.len().min(SHOWN)];
    let dots = if shown.len() < line.len() { "..." } else { "" };
    format!("{}{dots}", String::from_utf8_lossy(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Answer, String> {
        Answer::parse(line.as_bytes()).map_err(|why| why.to_string())
    }

    fn answer(failure: Option<&str>, stdout: &str, stderr: &str) -> Answer {
        let failure = failure.map(str::to_owned);
        Answer { failure, stdout: stdout.to_owned(), stderr: stderr.to_owned() }
    }

    #[test]
    fn what_answers_mean() {
        assert_eq!(parse("{\"ok\":true}"), Ok(answer(None, "", "")));
        let shown = " {\"ok\": true, \"stdout\": \"3 a\\n\"}\r";
        assert_eq!(parse(shown), Ok(answer(None, "3 a\n", "")));
        assert_eq!(parse("{\"error\":\"no\"}"), Ok(answer(Some("no"), "", "")));
        let both = "{\"ok\":false,\"error\":\"no\",\"stdout\":\"1\",\"stderr\":\"\u{e9}\"}";
        assert_eq!(parse(both), Ok(answer(Some("no"), "1", "\u{e9}")));
    }

    #[test]
    fn what_is_no_answer() {
        for (line, says) in [
            ("", "no JSON object like {\"ok\": true}:  (it does not begin with {)"),
            ("hello", "true}: hello (it does not begin with {)"),
            ("7", "does not begin with {"),
            ("[true,null,\"\",\"\"]", "does not begin with {"),
            ("{hello}", "true}: {hello} (key must be a string at line 1 column 2)"),
            ("{\"ok\":true} {\"ok\":true}", "trailing characters"),
            ("{\"ok\":true,\"result\":7}", "unknown field `result`"),
            ("{\"ok\":true,\"ok\":true}", "duplicate field"),
            ("{\"ok\":\"yes\"}", "invalid type"),
            ("{\"ok\":true,\"stdout\":7}", "invalid type"),
            ("{}", "must say either"),
            ("{\"ok\":false}", "must say either"),
            ("{\"ok\":true,\"error\":\"no\"}", "must say either"),
        ] {
            let why = parse(line).expect_err(line);
            assert!(why.contains(says) && !why.contains('\n'), "{line}: {why}");
        }
        assert!(Answer::parse(b"{\"ok\":true,\"stdout\":\"\xff\"}").is_err(), "no UTF-8");
        let long = format!("{}{}", "\u{e9}".repeat(29), "x".repeat(100));
        let why = parse(&long).expect_err("no JSON");
        assert!(why.contains(&format!(": {}xx... (", "\u{e9}".repeat(29))), "{why}");
    }
}
