//! Defaults for the flags of a run: `msup.toml` in the folder in which msup is started, and the
//! user's own `config.toml`. They are typed in front of the command line, so that the journal keeps
//! them with it.

mod error;
mod file;
mod keys;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory};

use super::Refusal;
use super::args::Args;
use super::usage::UsageError;
use crate::os::settings_file::{self, SettingsFile};
pub(crate) use error::SettingsError;
use file::{Origin, Setting};

/// In the folder in which msup is started.
const OF_THE_FOLDER: &str = "./msup.toml";

/// Below the user's folder for configuration.
const OF_THE_USER: &str = "msup/config.toml";

/// What a file says.
#[derive(Debug)]
enum Content {
    NotThere,
    Settings(Vec<Setting>),
    /// It is not read; why.
    Untrusted(String),
}

/// What the files have added to a command line.
#[derive(Debug, Default)]
pub(super) struct InFront {
    words: Vec<OsString>,
    /// The flags, each with its file.
    from: Vec<(String, PathBuf)>,
    /// A line about each file that was not read.
    pub(super) warnings: Vec<String>,
}

impl InFront {
    /// The settings before the command line as typed.
    pub(super) fn before(&self, words: Vec<OsString>) -> Vec<OsString> {
        self.words.iter().cloned().chain(words).collect()
    }

    /// Says which files have set the flags that an error names.
    pub(super) fn explain(&self, why: Refusal) -> Refusal {
        let Refusal::Usage(why) = why else { return why };
        let text = why.to_string();
        let continues = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let named = |name: &str| {
            let flag = format!("--{name}");
            let mut rest = text.match_indices(&flag).map(|(at, _)| &text[at + flag.len()..]);
            rest.any(|rest| !rest.starts_with(continues))
        };
        let set: Vec<String> = self
            .from
            .iter()
            .filter(|(name, _)| named(name))
            .map(|(name, path)| format!("{} sets {name}", path.display()))
            .collect();
        if set.is_empty() {
            return Refusal::Usage(why);
        }
        UsageError::WithSettings { why: Box::new(why), set: set.join(", ") }.into()
    }
}

/// What the files add to this command line. Nothing if it is one of GNU parallel, asks for help, or
/// is wrong anyway.
///
/// # Errors
/// A file is wrong.
pub(super) fn read(words: &[OsString]) -> Result<InFront, SettingsError> {
    read_for(words, Args::command(), None)
}

/// The same for a command with these flags. The settings of another file, whose path stands beside
/// them, count more than those of all others.
///
/// # Errors
/// A file is wrong.
pub(super) fn read_for(
    words: &[OsString],
    mut command: Command,
    first: Option<(PathBuf, Vec<Setting>)>,
) -> Result<InFront, SettingsError> {
    command.build();
    let all = std::iter::once(OsString::from("msup")).chain(words.iter().cloned());
    let Ok(typed) = command.try_get_matches_from_mut(all) else { return Ok(InFront::default()) };
    let is_set = |flag: &str| matches!(typed.try_get_one::<bool>(flag), Ok(Some(true)));
    if ["gnu", "no_config", "brief"].into_iter().any(is_set) {
        return Ok(InFront::default());
    }
    let mut added = InFront::default();
    let mut set: Vec<(Setting, PathBuf)> = Vec::new();
    if let Some((path, settings)) = first {
        let free = settings.into_iter().filter(|setting| !is_given(setting, &typed, &command));
        set.extend(free.map(|setting| (setting, path.clone())));
    }
    for (path, origin) in places() {
        match content(&path, origin)? {
            Content::NotThere => {}
            Content::Untrusted(why) => {
                added.warnings.push(format!("{}: {why}: msup does not read it", path.display()));
            }
            Content::Settings(settings) => {
                let is_known = |setting: &Setting| keys::flag(&setting.name, &command).is_some();
                let free = settings.into_iter().filter(is_known).filter(|setting| {
                    let above = set.iter().filter(|(_, from)| *from != path);
                    let names = above.map(|(setting, _)| setting.name.as_str());
                    !is_given(setting, &typed, &command) && !is_replaced(setting, names, &command)
                });
                set.extend(free.map(|setting| (setting, path.clone())).collect::<Vec<_>>());
            }
        }
    }
    for (Setting { name, word }, path) in set {
        if let Some(word) = word {
            added.words.push(word);
            added.from.push((name, path));
        }
    }
    if is_set("quiet") {
        added.warnings.clear();
    }
    Ok(added)
}

/// The settings in the table `[run]` of a pipeline file; `command` has the flags that they can set.
///
/// # Errors
/// The first line that is wrong.
pub(super) fn of_pipeline(
    path: &Path,
    text: &str,
    command: &Command,
) -> Result<Vec<Setting>, SettingsError> {
    file::parse_run(path, text, command)
}

/// The files, the one that counts more before the other.
fn places() -> Vec<(PathBuf, Origin)> {
    let absolute = |path: PathBuf| Some(path).filter(|path| path.is_absolute());
    let named = |name| std::env::var_os(name).map(PathBuf::from);
    let home = || absolute(named("HOME")?).map(|home| home.join(".config"));
    // The specification of XDG_CONFIG_HOME says that relative paths are to be ignored.
    let user = named("XDG_CONFIG_HOME").and_then(absolute).or_else(home);
    let user = user.map(|folder| (folder.join(OF_THE_USER), Origin::User));
    [(OF_THE_FOLDER.into(), Origin::Folder)].into_iter().chain(user).collect()
}

fn content(path: &Path, origin: Origin) -> Result<Content, SettingsError> {
    let unreadable = |why| SettingsError::Unreadable { path: path.to_owned(), why };
    Ok(match settings_file::read(path).map_err(unreadable)? {
        SettingsFile::NotThere => Content::NotThere,
        SettingsFile::Untrusted(why) => Content::Untrusted(why),
        SettingsFile::Text(text) => Content::Settings(file::parse(path, text, origin)?),
    })
}

/// Whether the command line says it, or something that replaces it.
fn is_given(setting: &Setting, typed: &ArgMatches, command: &Command) -> bool {
    let Some(flag) = keys::flag(&setting.name, command) else { return false };
    let given = command
        .get_arguments()
        .filter(|arg| typed.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine));
    given.into_iter().any(|arg| keys::replaces(arg, flag, command))
}

/// Whether one of these settings replaces it.
fn is_replaced<'a>(
    setting: &Setting,
    mut above: impl Iterator<Item = &'a str>,
    command: &Command,
) -> bool {
    let Some(flag) = keys::flag(&setting.name, command) else { return false };
    let found = |name| keys::flag(name, command);
    above.any(|name| found(name).is_some_and(|arg| keys::replaces(arg, flag, command)))
}

/// For each file a line about what msup makes of it.
pub(super) fn describe() -> Vec<String> {
    let of = |(path, origin): (PathBuf, Origin)| {
        let what = match content(&path, origin) {
            Ok(Content::NotThere) => "not there".to_owned(),
            Ok(Content::Untrusted(why)) => format!("not read: {why}"),
            Ok(Content::Settings(settings)) if settings.is_empty() => "read: sets nothing".into(),
            Ok(Content::Settings(settings)) => {
                let names: Vec<String> = settings.into_iter().map(|one| one.name).collect();
                format!("read: sets {}", names.join(", "))
            }
            Err(why) => return format!("refused: {why}"),
        };
        let whose = if origin == Origin::Folder { "this folder" } else { "the user" };
        format!("settings of {whose}: {}: {what}", path.display())
    };
    places().into_iter().map(of).collect()
}
