//! The flags about where and how commands run.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::command::CommandStyle;
use super::usage::{BadValue, UsageError};
use crate::template::{Strings, Surroundings};

#[derive(Debug, Default, clap::Args)]
pub(super) struct PlaceFlags {
    /// Run commands in the folder DIR, in which replacement strings may stand. '...': each in a
    /// temporary folder of its own, which is removed when its task has finished
    #[arg(
        long,
        aliases = ["workdir", "work-dir"],
        value_name = "DIR",
        conflicts_with_all = ["worker", "worker_stdio"]
    )]
    wd: Option<OsString>,

    /// Run commands at this nice level, if that is not below the level of msup
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        conflicts_with_all = ["worker", "worker_stdio"]
    )]
    nice: Option<String>,

    /// Print a warning if the variable or exported function NAME is not in msup's environment.
    /// Commands always get the whole environment
    #[arg(long, value_name = "NAME,...")]
    env: Vec<String>,

    /// Give commands a variable NAME with the number of their slot, from 0
    #[arg(
        long,
        alias = "processslotvar",
        value_name = "NAME",
        conflicts_with_all = ["worker", "worker_stdio"]
    )]
    process_slot_var: Option<String>,
}

/// The nice levels that there are.
const LEVELS: std::ops::RangeInclusive<i8> = -20..=19;

/// The variable that GNU parallel always sets.
const SLOT_OF_GNU: &str = "PARALLEL_JOBSLOT0";

impl PlaceFlags {
    /// Whether commands run in other folders than msup.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.wd.as_deref().is_some_and(|folder| folder != "." && !folder.is_empty())
    }

    /// # Errors
    /// The first flag whose value is wrong.
    pub(super) fn surroundings(
        &self,
        strings: &Strings,
        style: CommandStyle,
    ) -> Result<Surroundings, UsageError> {
        let is_gnu = style != CommandStyle::Own;
        let nice = self.nice.as_deref().map(|text| {
            let level = text.parse().ok().filter(|level| LEVELS.contains(level));
            level.ok_or_else(|| BadValue::new("--nice", text, "a level from -20 to 19"))
        });
        let folder = self.wd.as_deref().filter(|_| self.is_elsewhere()).map(OsStr::as_bytes);
        let variable = self.process_slot_var.as_deref();
        if let Some(name) = variable.filter(|name| !is_name(name)) {
            let wanted = "the name of a variable: letters, digits and _";
            return Err(BadValue::new("--process-slot-var", name, wanted).into());
        }
        let variable = variable.or(is_gnu.then_some(SLOT_OF_GNU)).unwrap_or_default();
        let made = Surroundings::new(folder, is_gnu, nice.transpose()?, variable, strings);
        made.map_err(UsageError::Folder)
    }

    /// The names of the variables of --env.
    #[cfg(feature = "nats")]
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        let names = self.env.iter().flat_map(|names| names.split(',')).map(str::trim);
        names.filter(|name| !name.is_empty())
    }

    /// A line about a variable of --env that is not there; the names are checked.
    ///
    /// # Errors
    /// A name stands for all variables.
    pub(super) fn missing_variable(
        &self,
        style: CommandStyle,
    ) -> Result<Option<String>, UsageError> {
        let names = || self.env.iter().flat_map(|names| names.split(',')).map(str::trim);
        if style != CommandStyle::Own {
            return Ok(None);
        }
        if names().any(|name| name == "_") {
            return Err(UsageError::EnvOfAll);
        }
        let is_there = |name: &&str| {
            let function = format!("BASH_FUNC_{name}%%");
            std::env::var_os(name).is_some() || std::env::var_os(function).is_some()
        };
        let missing = names().find(|name| !name.is_empty() && !is_there(name));
        Ok(missing.map(|name| {
            format!("--env {name}: not in the environment of msup: export it first (export {name})")
        }))
    }
}

fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(is_part) && name.starts_with(|c: char| !c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_values_are_refused() {
        let refused = |flags: PlaceFlags| {
            let made = flags.surroundings(&Strings::USUAL, CommandStyle::Own);
            made.expect_err("refused").to_string()
        };
        let nice = |level: &str| PlaceFlags { nice: Some(level.into()), ..Default::default() };
        assert!(refused(nice("20")).starts_with("--nice 20: "));
        assert!(refused(nice("x")).starts_with("--nice x: "));
        let variable = PlaceFlags { process_slot_var: Some("1x".into()), ..Default::default() };
        assert!(refused(variable).starts_with("--process-slot-var 1x: "));
        let folder = PlaceFlags { wd: Some("{%}".into()), ..Default::default() };
        assert!(refused(folder).starts_with("--wd: {%}"));
        assert!(nice("-20").surroundings(&Strings::USUAL, CommandStyle::Own).is_ok());
    }

    #[test]
    fn variables_must_be_there() {
        let missing = |names: &str, style| {
            let flags = PlaceFlags { env: vec![names.into()], ..Default::default() };
            flags.missing_variable(style).map_err(|why| why.to_string())
        };
        assert_eq!(missing("PATH", CommandStyle::Own), Ok(None));
        let line = missing("PATH,MSUP_NO_SUCH", CommandStyle::Own).expect("a line");
        assert!(line.is_some_and(|line| line.starts_with("--env MSUP_NO_SUCH: ")));
        assert!(missing("_", CommandStyle::Own).is_err_and(|why| why.contains("leave it out")));
        assert_eq!(missing("_,MSUP_NO_SUCH", CommandStyle::Gnu), Ok(None));
    }
}
