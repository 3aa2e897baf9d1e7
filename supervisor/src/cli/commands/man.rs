//! `msup man [PAGE]`: manual pages, from the definitions of the flags and the texts of topics.

use std::ffi::{OsStr, OsString};
use std::io;

use clap::Command;
use clap_mangen::Man;
use roff::{Roff, roman};

use super::whole;
use crate::cli::topics::{self, TOPICS, Topic};
use crate::cli::{Refusal, UsageError, choices, help};

/// The sections of the manual: commands, and what explains.
const COMMANDS: &str = "1";
const SUBJECTS: &str = "7";

/// The date of a page: the version stands beside it. An empty one would be left out, and the
/// version taken for it.
const NO_DATE: &str = " ";

/// A line of fewer words that ends with a colon is a heading.
const WORDS_OF_A_SENTENCE: usize = 4;

/// Subcommands with a page of their own.
const OF_SUBCOMMANDS: [&str; 10] =
    ["run", "resume", "retry", "log", "report", "trace", "top", "ctl", "clean", "serve"];

/// What `msup man` can be asked for.
pub(super) fn pages() -> Vec<&'static str> {
    OF_SUBCOMMANDS.into_iter().chain(subjects()).collect()
}

/// Topics with a page of their own. Where a subcommand has the same name, its page says all.
fn subjects() -> impl Iterator<Item = &'static str> {
    TOPICS.iter().map(|topic| topic.name).filter(|name| !OF_SUBCOMMANDS.contains(name))
}

/// A page in the language of man.
///
/// # Errors
/// There is no page of this name.
pub(in crate::cli) fn text(words: &[OsString]) -> Result<String, Refusal> {
    let page = match words {
        [] => main_page(),
        [word] if OF_SUBCOMMANDS.iter().any(|name| word == name) => subcommand(word),
        [word] => match topics::topic(word) {
            Some(topic) => of_topic(topic),
            None => return Err(no_page(word).into()),
        },
        [word, ..] => return Err(no_page(word).into()),
    };
    // Writing into memory cannot fail.
    Ok(page.map(|page| String::from_utf8_lossy(&page).into_owned()).unwrap_or_default())
}

fn no_page(word: &OsStr) -> UsageError {
    let names: Vec<String> = pages().into_iter().map(str::to_owned).collect();
    let known = choices::list(&names).replace(" or ", " and ");
    UsageError::Page { word: word.display().to_string(), known }
}

/// `msup(1)`: the flags, then what `msup --help` says after them.
fn main_page() -> io::Result<Vec<u8>> {
    let command = whole::command();
    let mut page = of_flags(&command, "msup")?;
    let mut roff = Roff::new();
    roff.control("SH", ["SUBCOMMANDS"]);
    for subcommand in command.get_subcommands() {
        roff.control("TP", []);
        roff.text([roff::bold(format!("msup {}", subcommand.get_name()))]);
        let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
        roff.text([roman(about.split(['.', ':']).next().unwrap_or_default())]);
    }
    roff.control("SH", ["REPLACEMENT STRINGS AND LISTS"]);
    add_text(&mut roff, help::AFTER);
    roff.control("SH", ["SEE ALSO"]);
    let others = OF_SUBCOMMANDS.iter().map(|name| format!("msup-{name}({COMMANDS})"));
    let others = others.chain(subjects().map(|name| format!("msup-{name}({SUBJECTS})")));
    let others: Vec<String> = others.chain(["parallel(1)".into(), "xargs(1)".into()]).collect();
    roff.text([roman(others.join(", "))]);
    roff.to_writer(&mut page)?;
    Ok(page)
}

fn subcommand(name: &OsStr) -> io::Result<Vec<u8>> {
    let whole = whole::command();
    let found = whole.get_subcommands().find(|command| name == command.get_name());
    let Some(command) = found else { return Ok(Vec::new()) };
    let mut page = of_flags(command, &format!("msup-{}", command.get_name()))?;
    let mut roff = Roff::new();
    if let Some(topic) = topics::topic(name) {
        roff.control("SH", ["NOTES"]);
        add_text(&mut roff, topic.text);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman("msup(1)")]);
    roff.to_writer(&mut page)?;
    Ok(page)
}

fn of_topic(topic: &Topic) -> io::Result<Vec<u8>> {
    let mut roff = Roff::new();
    let title = format!("msup-{}", topic.name);
    let version = concat!("msup ", env!("CARGO_PKG_VERSION"));
    roff.control("TH", [title.as_str(), SUBJECTS, NO_DATE, version]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{title} - {}", topic.about))]);
    roff.control("SH", ["DESCRIPTION"]);
    add_text(&mut roff, topic.text);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman("msup(1)")]);
    let mut page = Vec::new();
    roff.to_writer(&mut page)?;
    Ok(page)
}

/// Name, synopsis, description and flags of a command.
fn of_flags(command: &Command, name: &str) -> io::Result<Vec<u8>> {
    let description = command.get_about().map(ToString::to_string).unwrap_or_default();
    let about = description.split(['.', ':', ',']).next().unwrap_or_default();
    let version = concat!("msup ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).title(name).section(COMMANDS).date(NO_DATE).source(version);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    let mut roff = Roff::new();
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{name} - {}", lowercase(about)))]);
    roff.to_writer(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    Ok(page)
}

/// As a phrase after a dash: the first letter is small.
fn lowercase(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(char::to_lowercase).into_iter().flatten().chain(chars).collect()
}

/// A text with headings, paragraphs and lines that stay as they are.
fn add_text(roff: &mut Roff, text: &str) {
    let (mut stays, mut begins, mut follows_heading) = (false, true, true);
    for line in text.lines() {
        let is_indented = line.starts_with(' ');
        if stays && !is_indented {
            roff.control("fi", []);
            roff.control("RE", []);
        }
        if is_indented && !stays {
            roff.control("RS", []);
            roff.control("nf", []);
        }
        stays = is_indented;
        if line.is_empty() {
            begins = true;
            continue;
        }
        if is_indented {
            roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        } else if begins && line.ends_with(':') && line.split(' ').count() < WORDS_OF_A_SENTENCE {
            roff.control("SH", [line.trim_end_matches(':').to_uppercase().as_str()]);
            follows_heading = true;
            continue;
        } else {
            // A paragraph begins after a heading anyway.
            if begins && !follows_heading {
                roff.control("PP", []);
            }
            roff.text([roman(line)]);
            begins = false;
        }
        follows_heading = false;
    }
    if stays {
        roff.control("fi", []);
        roff.control("RE", []);
    }
}
