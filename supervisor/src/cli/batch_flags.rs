//! The flags about batches: how many values a command gets.

use std::io::{Write, stderr, stdout};

use super::Refusal;
use super::command::CommandStyle;
use super::concurrency::parse_count;
use super::usage::{BadValue, UsageError};
use crate::arguments::Length;
use crate::input::{BatchSize, CommandRoom, Measure};
use crate::os::limits;
use crate::template::{Feeding, Job, Template};

#[derive(Debug, clap::Args)]
pub(super) struct BatchFlags {
    /// Give each command N values: {} stands for all of them, {2} for the second one. The last
    /// command may get fewer. With 0, the command runs once for each value and gets no value
    #[arg(short = 'n', long, alias = "maxargs", value_name = "N")]
    max_args: Option<String>,

    /// The same; in the reading of GNU parallel, words with {} are repeated for each value
    #[arg(short = 'N', long, alias = "maxreplaceargs", value_name = "N", hide = true)]
    max_replace_args: Option<String>,

    /// Give each command the values of N lines. A line that ends with a blank goes on with the next
    /// one. With --pipe: a record is N lines
    #[arg(short = 'L', long, alias = "maxlines", value_name = "N")]
    max_lines: Option<String>,

    /// Give each command as many values as there is room for. Within a word, {} stands for all of
    /// them
    #[arg(long)]
    xargs: bool,

    /// The same. msup parallel spreads the last of them over all jobs, as GNU parallel does
    #[arg(short = 'm')]
    fill: bool,

    /// The same as -m, and a word with {} in it is repeated for each value
    #[arg(short = 'X')]
    repeat: bool,

    /// A command line has at most N bytes [default: what the system allows]
    #[arg(short = 's', long, alias = "maxchars", value_name = "N")]
    max_chars: Option<String>,

    /// Fail if there is no room for all N values of -n or -L
    #[arg(short = 'x', long)]
    exit: bool,

    /// Show the largest number of bytes that -s can ask for, and exit
    #[arg(long, alias = "maxlinelengthallowed")]
    pub(super) max_line_length_allowed: bool,

    /// Show how long command lines may be, then run
    #[arg(long, alias = "showlimits")]
    show_limits: bool,
}

impl BatchFlags {
    /// How many values make up one, as far as that is known without the command.
    ///
    /// # Errors
    /// A value that a flag does not take.
    pub(super) fn batch(&self) -> Result<BatchSize, BadValue> {
        let values = match (self.typed(), &self.max_lines) {
            (Some(typed), _) => perhaps_none("-n", typed)?,
            (None, Some(typed)) => perhaps_none("-L", typed)?,
            (None, None) if self.fills() => usize::MAX,
            (None, None) => 1,
        };
        // None of them is one for each command all the same.
        Ok(BatchSize { values: values.max(1), ..BatchSize::SINGLE })
    }

    /// The number of values as typed.
    fn typed(&self) -> Option<&String> {
        self.max_replace_args.as_ref().or(self.max_args.as_ref())
    }

    /// What commands get of values: with 0 of them, nothing.
    pub(super) fn feeding(&self) -> Feeding {
        let typed = self.typed().or(self.max_lines.as_ref());
        match typed.and_then(|typed| parse_count(typed)) {
            Some(0) => Feeding::Nothing,
            _ => Feeding::Values,
        }
    }

    /// Those that mean nothing for blocks, and whether they are given.
    pub(super) fn of_values(&self) -> [(&'static str, bool); 5] {
        [
            ("--xargs", self.xargs),
            ("-m", self.fill),
            ("-X", self.repeat),
            ("-s", self.max_chars.is_some()),
            ("-x", self.exit),
        ]
    }

    /// Tells how long command lines may be, if that was asked for.
    pub(super) fn tell_limits(&self, style: CommandStyle) {
        if !self.show_limits {
            return;
        }
        // GNU parallel tells it on standard output. Where that cannot be written, outputs cannot
        // be, either.
        let _ = match style {
            CommandStyle::Own => stderr().write_all(told().as_bytes()),
            CommandStyle::Gnu | CommandStyle::GnuQuoted => stdout().write_all(told().as_bytes()),
        };
    }

    /// The number of records in a block of `--pipe`, if it was given.
    ///
    /// # Errors
    /// It is no number.
    pub(super) fn records(&self) -> Result<Option<u64>, BadValue> {
        let (typed, wanted) = (self.typed(), "the number of records, at least 1");
        let records = typed.map(|typed| number(("-N", wanted), typed)).transpose()?;
        Ok(records.map(|records| records as u64))
    }

    /// The number of parts, usually lines, that make up a record of `--pipe`.
    ///
    /// # Errors
    /// It is no number.
    pub(super) fn lines_of_records(&self) -> Result<u64, BadValue> {
        let (typed, wanted) = (self.max_lines.as_ref(), "the number of lines, at least 1");
        typed.map_or(Ok(1), |typed| number(("-L", wanted), typed).map(|lines| lines as u64))
    }

    /// A line that ends with a blank goes on with the next one.
    pub(super) fn continues_lines(&self) -> bool {
        self.max_lines.is_some() && self.typed().is_none()
    }

    fn fills(&self) -> bool {
        self.xargs || self.fill || self.repeat
    }

    /// How much room there is in a command. The words of `job` are repeated if that was asked for.
    /// `procs`: how many commands run at once.
    ///
    /// # Errors
    /// A value that a flag does not take, or a command that cannot be filled.
    pub(super) fn fit(
        &self,
        batch: &mut BatchSize,
        job: &mut Job,
        (style, procs): (CommandStyle, u32),
    ) -> Result<(), Refusal> {
        let chars = self.chars()?;
        if batch.values == 1 && chars.is_none() {
            return Ok(());
        }
        let Job::Commands(template) = job else {
            return match self.fills() || chars.is_some() {
                true => Err(UsageError::Unfilled.into()),
                false => Ok(()),
            };
        };
        // As GNU parallel does, but not for its -n.
        let is_counted = self.max_replace_args.is_some() || self.max_lines.is_some();
        if self.repeat || is_counted && style != CommandStyle::Own {
            **template = template.as_ref().clone().repeating()?;
        }
        let (total, longest) = limits::arguments();
        let at_most = Length { chars: chars.unwrap_or(usize::MAX), total, grows: 0, longest };
        let command = Box::new(MeasuredCommand(template.as_ref().clone()));
        let must_fit = self.exit && !self.fills() && style == CommandStyle::Own;
        batch.room = Some(CommandRoom { command, at_most, must_fit });
        // As GNU parallel does.
        let spreads = self.fills() && !self.xargs && style != CommandStyle::Own;
        batch.spread = spreads.then_some(procs as usize);
        Ok(())
    }

    fn chars(&self) -> Result<Option<usize>, BadValue> {
        let Some(typed) = &self.max_chars else { return Ok(None) };
        let number = parse_count(typed).filter(|number| *number > 0).map(|number| number as usize);
        let wanted = "the number of bytes of a command line, at least 1";
        number.map(Some).ok_or_else(|| BadValue::new("-s", typed, wanted))
    }
}

fn number((flag, wanted): (&'static str, &'static str), typed: &str) -> Result<usize, BadValue> {
    let number = parse_count(typed).filter(|number| *number > 0).map(|number| number as usize);
    number.ok_or_else(|| BadValue::new(flag, typed, wanted))
}

/// The same where none means that commands get no values.
fn perhaps_none(flag: &'static str, typed: &str) -> Result<usize, BadValue> {
    let number = parse_count(typed).map(|number| number as usize);
    number.ok_or_else(|| {
        BadValue::new(flag, typed, "the number of values (0: commands run without them)")
    })
}

/// The longest command line: of a script, which is one argument, or of several words.
pub(super) fn longest_line(style: CommandStyle) -> usize {
    let (total, longest) = limits::arguments();
    if style == CommandStyle::Own { total } else { longest.min(total) }
}

/// What --show-limits tells.
fn told() -> String {
    let (total, longest) = limits::arguments();
    format!(
        "The system's limit on arguments and variables: {} bytes\n\
         The variables take: {} bytes\n\
         The longest command line: {total} bytes, with {} for each pointer to an argument\n\
         The longest argument, and the longest script: {longest} bytes\n",
        limits::all_arguments(),
        limits::environment(),
        size_of::<usize>(),
    )
}

/// How long commands of this template become.
#[derive(Debug)]
pub(super) struct MeasuredCommand(pub(super) Template);

impl Measure for MeasuredCommand {
    fn base(&self) -> Length {
        self.0.length()
    }

    fn of(&self, argument: &[u8]) -> Length {
        self.0.length_of(argument)
    }
}
