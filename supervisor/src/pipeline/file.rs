//! A pipeline file: its stages as they are written, with their places.

use std::fmt;

use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor, value};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::error::{BadPipeline, Wrong};

/// A pipeline has at most this number of stages: items are what there are many of, and some checks
/// compare all stages with each other.
const STAGES_AT_MOST: usize = 1000;

/// A pipeline file.
#[derive(Debug)]
pub(crate) struct PipelineFile {
    pub(crate) text: String,
    pub(crate) stages: Vec<StageTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    /// Flags, which are read elsewhere.
    #[serde(default, rename = "run")]
    _run: Option<IgnoredAny>,
    #[serde(default)]
    stage: Vec<StageTable>,
}

/// `[[stage]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StageTable {
    pub(crate) name: Spanned<String>,
    pub(crate) from: Option<Spanned<SourceTable>>,
    pub(crate) after: Option<Spanned<Names>>,
    pub(crate) gather: Option<Spanned<String>>,
    pub(crate) run: Option<Spanned<Action>>,
    pub(crate) worker: Option<Spanned<Action>>,
    pub(crate) out: Option<Spanned<String>>,
    pub(crate) temporary: Option<Spanned<bool>>,
    pub(crate) emits: Option<Spanned<Separator>>,
    pub(crate) min: Option<Spanned<Scalar>>,
    pub(crate) max: Option<Spanned<u32>>,
    pub(crate) ahead: Option<Spanned<u32>>,
    pub(crate) threads: Option<Spanned<u32>>,
    pub(crate) memory: Option<Spanned<Scalar>>,
    pub(crate) timeout: Option<Spanned<Scalar>>,
}

/// What separates the values that a stage prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Separator {
    Lines,
    Null,
}

/// One name, or several.
#[derive(Debug)]
pub(crate) struct Names(pub(crate) Vec<String>);

/// What a stage runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A shell runs it.
    Script(String),
    /// It is executed directly.
    Words(Vec<String>),
}

/// A number, or text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scalar(pub(crate) String);

/// Where values come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SourceTable {
    Glob(String),
    Lines(String),
    Null(String),
    Command { command: String, null: bool },
    Values(Vec<String>),
    Stdin { null: bool },
}

impl PipelineFile {
    /// # Errors
    /// The first thing that is wrong.
    pub(crate) fn parse(text: String) -> Result<PipelineFile, BadPipeline> {
        let document: Document = toml::from_str(&text).map_err(|why| {
            let span = why.span().unwrap_or(text.len()..text.len());
            BadPipeline::new(&text, span.clone(), wrong(why.message(), &text[span]))
        })?;
        if let Some(table) = document.stage.get(STAGES_AT_MOST) {
            let why = Wrong::TooManyStages { count: document.stage.len(), most: STAGES_AT_MOST };
            return Err(BadPipeline::new(&text, table.name.span(), why));
        }
        if document.stage.is_empty() {
            return Err(BadPipeline::new(&text, 0..0, Wrong::NoStages));
        }
        Ok(PipelineFile { text, stages: document.stage })
    }
}

/// What the parser says, in our words where it lists all keys.
fn wrong(message: &str, marked: &str) -> Wrong {
    let Some(rest) = message.strip_prefix("unknown field `") else {
        let plain = message.replace('\n', ", ").replace("expected u32", "expected a whole number");
        let plain = plain.replace("missing field `name`", "this stage has no `name`");
        let plain = plain.replace("wanted string or table", "expected \"lines\" or \"null\"");
        return Wrong::Syntax(plain.replace("expected a sequence", "expected [[stage]]"));
    };
    let (name, known) = rest.split_once('`').unwrap_or((marked, ""));
    let known = known.split('`').skip(1).step_by(2);
    let near = known.map(|key| (distance(name, key), key)).min();
    let near = near.filter(|(mistakes, _)| *mistakes <= 2).map(|(_, key)| key.to_owned());
    Wrong::UnknownKey { key: name.to_owned(), near }
}

/// The number of letters that were left out, added or changed.
pub(super) fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.chars().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[row.len() - 1]
}

/// A string or a list of strings.
fn strings<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<(Vec<String>, bool), D::Error> {
    struct OneOrSeveral(&'static str);
    impl<'de> Visitor<'de> for OneOrSeveral {
        type Value = (Vec<String>, bool);

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok((vec![text.to_owned()], false))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(text) = seq.next_element()? {
                all.push(text);
            }
            Ok((all, true))
        }
    }
    deserializer.deserialize_any(OneOrSeveral(expected))
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Names, D::Error> {
        strings(deserializer, "the name of a stage, or a list of names").map(|(all, _)| Names(all))
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Action, D::Error> {
        let expected = "a shell script as text in quotes, or a list of a program and its arguments";
        Ok(match strings(deserializer, expected)? {
            (mut script, false) => Action::Script(script.remove(0)),
            (words, true) => Action::Words(words),
        })
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scalar, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or text in quotes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// `true`, or text.
enum Flag {
    Set(bool),
    Text(String),
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Flag, D::Error> {
        struct BoolOrText;
        impl Visitor<'_> for BoolOrText {
            type Value = Flag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, or text in quotes")
            }

            fn visit_bool<E: de::Error>(self, set: bool) -> Result<Flag, E> {
                Ok(Flag::Set(set))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Flag, E> {
                Ok(Flag::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(BoolOrText)
    }
}

/// `from` as a table.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FromTable {
    lines: Option<String>,
    null: Option<Flag>,
    command: Option<String>,
    values: Option<Vec<String>>,
    stdin: Option<Flag>,
}

impl FromTable {
    /// The one source that it names.
    fn source(self) -> Result<SourceTable, &'static str> {
        let FromTable { lines, null, command, values, stdin } = self;
        let named = [lines.is_some(), command.is_some(), values.is_some(), stdin.is_some()];
        let named = named.into_iter().filter(|is| *is).count();
        Ok(match (lines, null, command, values, stdin) {
            (Some(path), None, ..) if named == 1 => SourceTable::Lines(path),
            (None, Some(Flag::Text(path)), ..) if named == 0 => SourceTable::Null(path),
            (_, None | Some(Flag::Set(_)), Some(command), ..) if named == 1 => {
                SourceTable::Command { command, null: false }
            }
            (_, None, _, Some(values), _) if named == 1 => SourceTable::Values(values),
            (_, None, _, _, Some(Flag::Set(true))) if named == 1 => {
                SourceTable::Stdin { null: false }
            }
            (_, None, _, _, Some(Flag::Text(null))) if named == 1 && null == "null" => {
                SourceTable::Stdin { null: true }
            }
            _ => return Err(SOURCES),
        })
    }
}

const SOURCES: &str = "one of: a glob in quotes, {lines = \"FILE\"}, {null = \"FILE\"}, {command = \
                       \"COMMAND\"}, {command = \"COMMAND\", null = true}, {values = [\"a\", \
                       \"b\"]}, {stdin = true}, {stdin = \"null\"}";

impl<'de> Deserialize<'de> for SourceTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SourceTable, D::Error> {
        struct GlobOrTable;
        impl<'de> Visitor<'de> for GlobOrTable {
            type Value = SourceTable;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(SOURCES)
            }

            fn visit_str<E: de::Error>(self, glob: &str) -> Result<SourceTable, E> {
                Ok(SourceTable::Glob(glob.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SourceTable, A::Error> {
                let table = FromTable::deserialize(value::MapAccessDeserializer::new(map))?;
                let is_null = matches!(table.null, Some(Flag::Set(true)));
                let source = table.source().map_err(de::Error::custom)?;
                Ok(match source {
                    SourceTable::Command { command, .. } => {
                        SourceTable::Command { command, null: is_null }
                    }
                    source => source,
                })
            }
        }
        deserializer.deserialize_any(GlobOrTable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(line: &str) -> Result<StageTable, String> {
        let text = format!("[[stage]]\nname = \"a\"\n{line}\n");
        match PipelineFile::parse(text) {
            Ok(mut file) => Ok(file.stages.remove(0)),
            Err(why) => Err(format!("{why}\n{}", why.excerpt().unwrap_or_default())),
        }
    }

    #[test]
    fn sources_are_written_in_several_ways() {
        let text = |text: &str| text.to_owned();
        for (written, source) in [
            ("\"in/*.mp3\"", SourceTable::Glob(text("in/*.mp3"))),
            ("{lines = \"l\"}", SourceTable::Lines(text("l"))),
            ("{null = \"l\"}", SourceTable::Null(text("l"))),
            ("{command = \"ls\"}", SourceTable::Command { command: text("ls"), null: false }),
            (
                "{command = \"find -print0\", null = true}",
                SourceTable::Command { command: text("find -print0"), null: true },
            ),
            ("{values = [\"x\", \"y\"]}", SourceTable::Values(vec![text("x"), text("y")])),
            ("{stdin = true}", SourceTable::Stdin { null: false }),
            ("{stdin = \"null\"}", SourceTable::Stdin { null: true }),
        ] {
            let stage = stage(&format!("from = {written}")).expect(written);
            assert_eq!(stage.from.expect("given").into_inner(), source, "{written}");
        }
        for wrong in [
            "{}",
            "{lines = \"a\", null = \"b\"}",
            "{stdin = false}",
            "{stdin = \"lines\"}",
            "{values = [\"x\"], null = true}",
            "3",
        ] {
            let why = stage(&format!("from = {wrong}")).expect_err(wrong);
            assert!(why.contains("{lines = \"FILE\"}") && why.contains("line 3"), "{wrong}: {why}");
        }
    }

    #[test]
    fn commands_are_scripts_or_words() {
        let action = |line: &str| stage(line).map(|stage| stage.run.expect("given").into_inner());
        assert_eq!(action("run = \"a {}\""), Ok(Action::Script("a {}".into())));
        let words = vec!["a".to_owned(), "{}".to_owned()];
        assert_eq!(action("run = [\"a\", \"{}\"]"), Ok(Action::Words(words)));
        assert!(action("run = 3").expect_err("a number").contains("a shell script"));
    }

    const REFERENCE: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/pipelines/reference.toml"));

    #[test]
    fn the_reference_names_every_key() {
        PipelineFile::parse(REFERENCE.to_owned()).expect("a pipeline file");
        let why = toml::from_str::<Document>("[[stage]]\nname = 'a'\nother = 1\n");
        let why = why.err().expect("an unknown key").message().to_owned();
        let keys: Vec<&str> = why.split('`').skip(3).step_by(2).collect();
        assert_eq!(keys.len(), 15, "{why}");
        for key in keys {
            let begins = |line: &str| {
                line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
            };
            assert!(REFERENCE.lines().any(begins), "{key}");
        }
    }

    #[test]
    fn an_unknown_key_is_named_with_the_one_that_was_meant() {
        let why = stage("temporay = true").expect_err("unknown");
        assert!(why.contains("unknown key 'temporay': did you mean 'temporary'?"), "{why}");
        assert!(
            why.contains("  3 | temporay = true\n    | ^^^^^^^^\n") || why.ends_with("^^^^^^^^")
        );
        assert!(stage("colour = 1").expect_err("unknown").contains("unknown key 'colour'"));
        let why = PipelineFile::parse("stages = 1".into()).expect_err("unknown").to_string();
        assert!(why.contains("did you mean 'stage'?"), "{why}");
        assert!(PipelineFile::parse(String::new()).is_err(), "no stages");
    }
}
