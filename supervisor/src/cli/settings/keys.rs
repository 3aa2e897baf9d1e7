//! Which flags can be set in a file, and which cannot, and why.

use std::any::TypeId;

use clap::{Arg, Command};

/// Flags that name a program, or a file to write: only the user's own file sets them. The file of
/// a folder comes with what was unpacked or cloned there.
const OF_THE_USER: [&str; 6] = ["shell", "joblog", "summary", "metrics", "notify", "tmpdir"];

/// Headings of the help whose flags belong to one command line, and why.
const NOT_SET_UNDER: [(&str, &str); 4] = [
    ("Input", "the same command line would run other commands"),
    ("Input as blocks", "the same command line would run other commands"),
    ("Commands", "it belongs to one COMMAND"),
    ("Help and settings", "it is not about a run"),
];

/// Flags below these headings that can be set.
const BUT: [&str; 2] = ["shell", "start-timeout"];

/// Other flags that belong to one command line.
const NOT_SET: [(&[&str], &str); 4] = [
    (&["out", "results", "files", "tty", "open-tty"], "it belongs to one COMMAND"),
    (
        &["order", "from", "journal", "resume", "resume-failed", "retry-failed", "shard", "shards"],
        "it belongs to one run",
    ),
    (&["limit"], "it names a program"),
    (&["interactive"], "it belongs to one run"),
];

/// Flags that say one thing in several ways: one that is given replaces what a file says with
/// another.
const RIVALS: [&[&str]; 6] = [
    &["jobs", "procs", "max-workers"],
    &["bar", "progress", "quiet"],
    &["grace", "termseq"],
    &["leave", "leave-timeout"],
    &["memory", "worker-stdio"],
    &["tag", "tagstring"],
];

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueKind {
    Switch,
    WholeNumber,
    Number,
    /// Words, which may be a number.
    NumberOrText,
    Text,
}

/// What is known of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    Setting(ValueKind),
    /// Only in the user's own file.
    OfTheUser(ValueKind),
    /// A flag that no file sets; why.
    NotSet(&'static str),
    Unknown,
}

/// What this key is.
pub(super) fn key(name: &str, command: &Command) -> Key {
    let Some(arg) = flag(name, command) else { return Key::Unknown };
    let heading = arg.get_help_heading();
    let under = NOT_SET_UNDER.iter().find(|(known, _)| heading == Some(known));
    let alone = NOT_SET.iter().find(|(names, _)| names.contains(&name)).map(|(_, why)| why);
    match under.map(|(_, why)| why).filter(|_| !BUT.contains(&name)).or(alone) {
        Some(why) => Key::NotSet(why),
        None if OF_THE_USER.contains(&name) => Key::OfTheUser(kind(arg)),
        None => Key::Setting(kind(arg)),
    }
}

/// The flag of this name in the help.
pub(super) fn flag<'c>(name: &str, command: &'c Command) -> Option<&'c Arg> {
    let is_it = |arg: &&Arg| arg.get_long() == Some(name) && !arg.is_hide_set();
    command.get_arguments().find(is_it)
}

fn kind(arg: &Arg) -> ValueKind {
    if !arg.get_action().takes_values() {
        return ValueKind::Switch;
    }
    let parsed = arg.get_value_parser().type_id();
    let is = |known: TypeId| parsed == known;
    if is(TypeId::of::<u32>()) || is(TypeId::of::<u64>()) {
        ValueKind::WholeNumber
    } else if is(TypeId::of::<f64>()) {
        ValueKind::Number
    } else if is(TypeId::of::<String>()) {
        ValueKind::NumberOrText
    } else {
        ValueKind::Text
    }
}

/// Whether the one flag, given, replaces what a file says with the other.
pub(super) fn replaces(given: &Arg, set: &Arg, command: &Command) -> bool {
    let excludes = |one: &Arg, other: &Arg| {
        let all = command.get_arg_conflicts_with(one);
        all.iter().any(|arg| arg.get_id() == other.get_id())
    };
    let name = |arg: &Arg| arg.get_long().unwrap_or_default().to_owned();
    let (given_name, set_name) = (name(given), name(set));
    let are_rivals =
        RIVALS.iter().any(|group| group.contains(&&*given_name) && group.contains(&&*set_name));
    given_name == set_name || are_rivals || excludes(given, set) || excludes(set, given)
}
