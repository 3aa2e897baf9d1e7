//! The flags about replacement strings.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use super::command::CommandStyle;
use super::shared::Runners;
use super::usage::{BadValue, UsageError};
use crate::template::{Rule, Strings};

#[derive(Debug, Default, clap::Args)]
pub(super) struct StringFlags {
    /// Have more replacement strings, as in bash: {:-TEXT} {:2} {:2:3} {#REGEXP} {##REGEXP}
    /// {%REGEXP} {%%REGEXP} {/REGEXP/TEXT} {^REGEXP} {^^REGEXP} {,REGEXP} {,,REGEXP}; {uniq} and
    /// {choose_k} leave combinations out
    #[arg(long)]
    pub(super) plus: bool,

    /// Have the replacement string TAG, which stands for what CODE makes of the value:
    /// s/REGEXP/STRING/, tr/a-z/A-Z/, $_=uc($_) and the like. A group in TAG stands for $$1 in CODE
    #[arg(long, value_name = "TAG CODE")]
    rpl: Vec<String>,

    /// Use STRING in the place of {.}
    #[arg(short = 'U', long, alias = "er", value_name = "STRING")]
    extensionreplace: Option<OsString>,

    /// Use STRING in the place of {/}
    #[arg(long, alias = "bnr", value_name = "STRING")]
    basenamereplace: Option<OsString>,

    /// Use STRING in the place of {//}
    #[arg(long, alias = "dnr", value_name = "STRING")]
    dirnamereplace: Option<OsString>,

    /// Use STRING in the place of {/.}
    #[arg(long, alias = "bner", value_name = "STRING")]
    basenameextensionreplace: Option<OsString>,

    /// Use STRING in the place of {#}
    #[arg(long, value_name = "STRING")]
    seqreplace: Option<OsString>,

    /// Use STRING in the place of {%}
    #[arg(long, value_name = "STRING")]
    slotreplace: Option<OsString>,

    /// What stands around code in COMMAND, which msup refuses: both halves in one word [default:
    /// {==}]
    #[arg(long, value_name = "STRING")]
    parens: Option<OsString>,
}

impl StringFlags {
    /// The replacement strings of a run whose values have this number of arguments, and whose
    /// columns have these names. With --literal, braces with a number are taken literally.
    ///
    /// # Errors
    /// A flag does not give a replacement string.
    pub(super) fn strings(
        &self,
        running: &Runners,
        style: CommandStyle,
        arguments: usize,
        names: Vec<(Vec<u8>, i32)>,
    ) -> Result<Strings, UsageError> {
        let mut strings = Strings::of(arguments);
        if running.literal {
            strings.numbered = None;
        }
        if let Some(whole) = &running.replace {
            strings.whole = whole.as_bytes().to_vec().into();
        }
        strings.gnu = style != CommandStyle::Own;
        (strings.plus, strings.names) = (self.plus, names);
        let rules = self.rpl.iter().map(|typed| Rule::parse(typed)).collect::<Result<_, _>>();
        strings.rules = rules.map_err(UsageError::Rule)?;
        for (flag, usual, other) in [
            ("-U", "{.}", &self.extensionreplace),
            ("--basenamereplace", "{/}", &self.basenamereplace),
            ("--dirnamereplace", "{//}", &self.dirnamereplace),
            ("--basenameextensionreplace", "{/.}", &self.basenameextensionreplace),
            ("--seqreplace", "{#}", &self.seqreplace),
            ("--slotreplace", "{%}", &self.slotreplace),
        ] {
            match other {
                None => {}
                Some(other) if other.is_empty() => {
                    let wanted = "a string of at least one character";
                    return Err(BadValue::new(flag, "''", wanted).into());
                }
                Some(other) => strings.rename(usual, other.as_bytes()),
            }
        }
        if let Some(parens) = &self.parens {
            let (open, close) = parens.as_bytes().split_at(parens.len() / 2);
            if open.is_empty() {
                let wanted = "at least two characters, such as ,,,,";
                return Err(BadValue::new("--parens", &parens.display().to_string(), wanted).into());
            }
            strings.parentheses = [Cow::Owned(open.to_vec()), Cow::Owned(close.to_vec())];
        }
        Ok(strings)
    }
}
