//! One file of settings: its lines, checked and turned into flags.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::Path;

use clap::{Command, CommandFactory, Parser};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::error::{BadSetting, FileLine, SettingsError};
use super::keys::{self, Key, ValueKind};
use crate::cli::args::Args;
use crate::cli::plan;
use crate::cli::wrong_line::{one_line, suggested};

/// Other integers (0x10) are not how flags are typed.
const DECIMAL: u32 = 10;

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Setting {
    /// The name of its flag, without dashes.
    pub(super) name: String,
    /// What is typed for it; nothing for a switch that is off.
    pub(super) word: Option<OsString>,
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Folder,
    User,
}

/// The settings of a file, in the order of its lines.
///
/// # Errors
/// The first line that is wrong.
pub(super) fn parse(
    path: &Path,
    text: Vec<u8>,
    origin: Origin,
) -> Result<Vec<Setting>, SettingsError> {
    let text = String::from_utf8(text).map_err(|_| SettingsError::NotText(path.to_owned()))?;
    let wrong = |at: usize, why| {
        let (path, place) = (path.to_owned(), FileLine::of(&text, at));
        SettingsError::Line { path, place, why }
    };
    let table = DeTable::parse(&text).map_err(|why| {
        let at = why.span().map_or(text.len(), |span| span.start);
        wrong(at, BadSetting::Syntax(why.message().replace('\n', ", ")))
    })?;
    entries(table.get_ref(), &text, (&Args::command(), origin)).map_err(|(at, why)| wrong(at, why))
}

/// The settings in the table `[run]` of a pipeline file, which is known to be TOML.
///
/// # Errors
/// The first line that is wrong.
pub(super) fn parse_run(
    path: &Path,
    text: &str,
    command: &Command,
) -> Result<Vec<Setting>, SettingsError> {
    let Ok(document) = DeTable::parse(text) else { return Ok(Vec::new()) };
    let run = document.get_ref().iter().find(|(key, _)| key.get_ref().as_ref() == "run");
    let Some(DeValue::Table(run)) = run.map(|(_, value)| value.get_ref()) else {
        return Ok(Vec::new());
    };
    entries(run, text, (command, Origin::User)).map_err(|(at, why)| SettingsError::Line {
        path: path.to_owned(),
        place: FileLine::of(text, at),
        why,
    })
}

/// The settings of a table, in the order of their lines.
///
/// # Errors
/// What is wrong, and where.
fn entries(
    table: &DeTable<'_>,
    text: &str,
    known: (&Command, Origin),
) -> Result<Vec<Setting>, (usize, BadSetting)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let of = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &Cow<'_, str> = key.get_ref();
        let setting = setting(name, value.get_ref(), &text[value.span()], known);
        setting.map_err(|why| (key.span().start, why))
    };
    entries.into_iter().map(of).collect()
}

fn setting(
    name: &str,
    value: &DeValue<'_>,
    raw: &str,
    (command, origin): (&Command, Origin),
) -> Result<Setting, BadSetting> {
    let kind = match keys::key(name, command) {
        Key::Setting(kind) => kind,
        Key::OfTheUser(kind) if origin == Origin::User => kind,
        Key::OfTheUser(_) => return Err(BadSetting::OfTheUser(name.to_owned())),
        Key::NotSet(why) => return Err(BadSetting::NotSet { flag: name.to_owned(), why }),
        Key::Unknown if value.is_table() => return Err(BadSetting::Table),
        Key::Unknown => return Err(BadSetting::Unknown(nearest(name, command))),
    };
    let word = word(name, value, raw, kind).map_err(|wanted| BadSetting::Wanted(wanted.into()))?;
    if let Some(word) = &word {
        check(name, word)?;
    }
    Ok(Setting { name: name.to_owned(), word })
}

/// What is typed for a setting.
///
/// # Errors
/// What the value must be.
fn word(
    name: &str,
    value: &DeValue<'_>,
    raw: &str,
    kind: ValueKind,
) -> Result<Option<OsString>, &'static str> {
    let flag = |value: &str| Ok(Some(format!("--{name}={value}").into()));
    // As it stands there: +2 and 2 are different.
    let number = || raw.replace('_', "");
    let is_decimal = |integer: &DeInteger<'_>| integer.radix() == DECIMAL;
    match (kind, value) {
        (ValueKind::Switch, DeValue::Boolean(true)) => Ok(Some(format!("--{name}").into())),
        (ValueKind::Switch, DeValue::Boolean(false)) => Ok(None),
        (ValueKind::Switch, _) => Err("true or false"),
        (ValueKind::Text | ValueKind::NumberOrText, DeValue::String(text)) => flag(text),
        (ValueKind::Text, _) => Err("text in quotes"),
        (_, DeValue::Integer(integer)) if is_decimal(integer) => flag(&number()),
        (ValueKind::WholeNumber, _) => Err("a whole number, without quotes"),
        (_, DeValue::Float(_)) => flag(&number()),
        (ValueKind::Number, _) => Err("a number, without quotes"),
        (ValueKind::NumberOrText, _) => Err("a number, or text in quotes"),
    }
}

/// Checks the value as if it had been typed.
fn check(name: &str, word: &OsString) -> Result<(), BadSetting> {
    let args = Args::try_parse_from(["msup".into(), word.clone()]);
    let wrong = match args {
        Ok(args) => plan::check_alone(&args).err().map(|why| why.to_string()),
        Err(why) => Some(one_line(&why, &Args::command())),
    };
    let Some(line) = wrong else { return Ok(()) };
    // The line of the file stands before it: the flag and its value need not be said again.
    let must_be = line.split_once(": must be ").filter(|(flag, _)| flag.contains(name));
    Err(match must_be {
        Some((_, wanted)) => BadSetting::Wanted(wanted.to_owned()),
        None => BadSetting::Syntax(line),
    })
}

/// The setting that was probably meant.
fn nearest(name: &str, command: &Command) -> Option<String> {
    let typed = ["msup".to_owned(), format!("--{}", name.replace('_', "-"))];
    let why = Args::try_parse_from(typed).err();
    let meant = match why {
        Some(why) => suggested(&why, command)?.trim_start_matches('-').to_owned(),
        None => name.replace('_', "-"),
    };
    let is_setting = matches!(keys::key(&meant, command), Key::Setting(_) | Key::OfTheUser(_));
    is_setting.then_some(meant)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const REFERENCE: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/reference.toml"));

    /// The settings of the reference, which are commented out, each with whether its comment says
    /// that it is an example.
    fn reference() -> Vec<(&'static str, bool)> {
        let mut found = Vec::new();
        let mut comment = String::new();
        for line in REFERENCE.lines() {
            match line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_lowercase()))
            {
                Some(setting) => found.push((setting, comment.contains("n example:"))),
                None if line.is_empty() => comment.clear(),
                None => comment += &line[1..],
            }
        }
        found
    }

    #[test]
    fn the_reference_names_every_key_with_a_value_that_it_takes() {
        let mut named = BTreeSet::new();
        for (line, _) in reference() {
            let origin = Origin::User;
            let settings = parse(Path::new("reference"), line.into(), origin).expect(line);
            assert_eq!(settings.len(), 1, "{line}");
            assert!(named.insert(settings[0].name.clone()), "{line}: twice");
            let of_the_user = parse(Path::new(""), line.into(), Origin::Folder).is_err();
            let at = REFERENCE.find(line).expect("it is from there");
            let comment = REFERENCE[..at].rsplit("\n\n").next().unwrap_or_default();
            let comment = comment.replace("\n# ", " ");
            assert_eq!(comment.contains("only in the user's own file"), of_the_user, "{line}");
        }
        let command = Args::command();
        let names = command.get_arguments().filter_map(clap::Arg::get_long);
        let is_setting =
            |name: &&str| matches!(keys::key(name, &command), Key::Setting(_) | Key::OfTheUser(_));
        let all: BTreeSet<String> = names.filter(is_setting).map(str::to_owned).collect();
        assert_eq!(named, all, "each key stands in configs/reference.toml, or in NOT_SET");
    }

    #[test]
    fn the_reference_shows_the_defaults() {
        let command = Args::command();
        let mut known = 0;
        for (line, is_example) in reference() {
            let (name, shown) = line.split_once(" = ").expect("a setting");
            let flag = keys::flag(name, &command).expect("a flag");
            let shown = shown.trim_matches('"');
            let default = flag.get_default_values().first().map(|value| value.to_string_lossy());
            let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
            if let Some(default) = default {
                assert_eq!((default.as_ref(), is_example), (shown, false), "{line}");
            } else if !flag.get_action().takes_values() {
                assert_eq!((shown, is_example), ("false", false), "{line}");
            } else if !is_example && name != "procs" && name != "halt" {
                let in_help = help.split_once("[default: ").map(|(_, rest)| rest).expect(line);
                assert!(in_help.starts_with(shown), "{line}: {help}");
            } else {
                continue;
            }
            known += 1;
        }
        assert!(known > 15, "{known}");
    }
}
