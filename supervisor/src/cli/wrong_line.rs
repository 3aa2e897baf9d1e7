//! What is wrong with a command line, in one line.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::choices;

/// With fewer letters than this, what was meant is anybody's guess.
const LEAST_OF_A_NAME: usize = 3;

/// The unknown flag of this error.
pub(super) fn unknown(why: &clap::Error) -> Option<&str> {
    if why.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    match why.get(ContextKind::InvalidArg)? {
        ContextValue::String(typed) => Some(typed.split('=').next().unwrap_or(typed)),
        _ => None,
    }
}

/// A line about an error: the first sentence of clap's text, and what was probably meant.
pub(super) fn one_line(why: &clap::Error, command: &clap::Command) -> String {
    if let Some(line) = wrong_number(why).or_else(|| wrong_choice(why)) {
        return line;
    }
    let text = why.to_string();
    let sentence: Vec<&str> =
        text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let sentence = sentence.join(" ");
    let meant =
        suggested(why, command).map_or(String::new(), |meant| format!(": did you mean '{meant}'?"));
    let sentence = sentence.trim_start_matches("error: ");
    format!("{sentence}{meant} (see {} --help)", command.get_name())
}

/// What was probably meant, under its name in --help.
pub(super) fn suggested(why: &clap::Error, command: &clap::Command) -> Option<String> {
    if let Some(near) = unknown(why).and_then(|typed| nearly_begun(typed, command)) {
        return Some(near);
    }
    let meant =
        [ContextKind::SuggestedArg, ContextKind::SuggestedValue, ContextKind::SuggestedSubcommand]
            .into_iter()
            .find_map(|kind| match why.get(kind)? {
                ContextValue::String(one) => Some(one.clone()),
                ContextValue::Strings(several) => several.first().cloned(),
                _ => None,
            })?;
    Some(documented(meant, command))
}

/// A flag of about the same length that begins with all that was typed but the last letter: of
/// `--retries` and `--retry-failed` the first one is more like `--retry`.
fn nearly_begun(typed: &str, command: &clap::Command) -> Option<String> {
    let beginning = typed.strip_prefix("--")?.char_indices().next_back().map(|(at, _)| at)?;
    let beginning = typed.get(2..2 + beginning).filter(|text| text.len() >= LEAST_OF_A_NAME)?;
    let flags = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let flags = flags.filter_map(clap::Arg::get_long).filter(|name| name.starts_with(beginning));
    let near = flags.min_by_key(|name| name.len().abs_diff(typed.len() - 2))?;
    Some(format!("--{near}"))
}

/// The name of a flag in --help, if this is another name of the flag.
fn documented(typed: String, command: &clap::Command) -> String {
    let Some(name) = typed.strip_prefix("--") else { return typed };
    let is_it = |arg: &&clap::Arg| arg.get_all_aliases().is_some_and(|all| all.contains(&name));
    let flag = command.get_arguments().filter(|arg| !arg.is_hide_set()).find(is_it);
    flag.and_then(clap::Arg::get_long).map_or(typed.clone(), |long| format!("--{long}"))
}

/// A line about a value that is none of the words of a list. clap reports an empty value in the
/// same way, without a list.
fn wrong_choice(why: &clap::Error) -> Option<String> {
    if why.kind() != ErrorKind::InvalidValue {
        return None;
    }
    let (ContextValue::String(flag), ContextValue::String(value)) =
        (why.get(ContextKind::InvalidArg)?, why.get(ContextKind::InvalidValue)?)
    else {
        return None;
    };
    let ContextValue::Strings(words) = why.get(ContextKind::ValidValue)? else { return None };
    if words.is_empty() {
        return None;
    }
    let flag = flag.split_whitespace().next()?;
    let meant = match why.get(ContextKind::SuggestedValue) {
        Some(ContextValue::String(meant)) => format!(": did you mean '{meant}'?"),
        _ => String::new(),
    };
    Some(format!("{flag} {value}: must be {}{meant}", choices::list(words)))
}

/// A line about a value that is no number.
fn wrong_number(why: &clap::Error) -> Option<String> {
    if why.kind() != ErrorKind::ValueValidation {
        return None;
    }
    let (ContextValue::String(flag), ContextValue::String(value)) =
        (why.get(ContextKind::InvalidArg)?, why.get(ContextKind::InvalidValue)?)
    else {
        return None;
    };
    let flag = flag.split_whitespace().next()?;
    let wanted = match flag {
        "--idle-timeout" => "a number of seconds",
        _ => "a whole number of at least 1",
    };
    Some(format!("{flag} {value}: must be {wanted}"))
}
