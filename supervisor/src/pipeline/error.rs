//! What is wrong with a pipeline file.

use std::fmt;
use std::ops::Range;

use super::place::FilePlace;
use super::references::GatherOnly;
use crate::template::{OutTemplateError, TemplateError};

/// Something is wrong at this place.
#[derive(Debug)]
pub(crate) struct BadPipeline {
    /// Nothing stands there if the whole file is meant.
    place: Option<Box<FilePlace>>,
    why: Box<Wrong>,
}

impl BadPipeline {
    pub(crate) fn new(text: &str, span: Range<usize>, why: Wrong) -> BadPipeline {
        let is_one = !text.is_empty() && !matches!(why, Wrong::NoStages);
        let place = is_one.then(|| Box::new(FilePlace::of(text, span)));
        BadPipeline { place, why: Box::new(why) }
    }
}

impl std::error::Error for BadPipeline {}

impl BadPipeline {
    /// The line that is meant, with the part underlined.
    pub(crate) fn excerpt(&self) -> Option<String> {
        self.place.as_ref().map(|place| place.excerpt())
    }
}

impl fmt::Display for BadPipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.why),
            None => self.why.fmt(f),
        }
    }
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Wrong {
    /// What the parser says.
    #[error("{0}")]
    Syntax(String),
    #[error("there is no [[stage]] in it")]
    NoStages,
    #[error("{count} stages: a pipeline has at most {most}")]
    TooManyStages { count: usize, most: usize },
    #[error(
        "unknown key '{key}'{}",
        near.as_ref().map_or(String::new(), |near| format!(": did you mean '{near}'?"))
    )]
    UnknownKey { key: String, near: Option<String> },
    #[error(
        "'{0}' cannot be the name of a stage: write letters, digits, `_` and `-`, and no digit or \
         `-` first"
    )]
    Name(String),
    #[error("'{0}' cannot be the name of a stage: {{{0}}} has a meaning of its own")]
    Reserved(String),
    #[error("two stages are named '{0}'")]
    Twice(String),
    #[error("stage '{0}' needs one of `from`, `after` and `gather`")]
    NoOrigin(String),
    #[error("stage '{0}' has more than one of `from`, `after` and `gather`")]
    ManyOrigins(String),
    #[error("stage '{0}' needs `run` or `worker`")]
    NoAction(String),
    #[error("stage '{0}' has both `run` and `worker`")]
    TwoActions(String),
    #[error("`after` names no stage")]
    AfterNothing,
    #[error("`after` names '{0}' twice")]
    ParentTwice(String),
    #[error(
        "there is no stage '{name}'{}",
        near.as_ref().map_or(String::new(), |near| format!(": did you mean '{near}'?"))
    )]
    NoStage { name: String, near: Option<String> },
    #[error("stages wait for each other: {0}")]
    Cycle(String),
    #[error(
        "'{one}' and '{other}' have no items in common: join stages that have the same items, or \
         whose sources have the same values"
    )]
    NoLineage { one: String, other: String },
    #[error("{0} needs `out`: there is nothing else to remove")]
    TemporaryWithoutOut(&'static str),
    #[error("`temporary` needs a stage that reads the output: nothing would be left of it")]
    TemporaryUnread,
    #[error("a stage with `emits` has no `out`: what it prints is its result")]
    EmitsOut,
    #[error("`min` belongs to a stage with `gather`")]
    MinWithoutGather,
    #[error("must be a number of items, or a percentage such as \"95%\"")]
    Min,
    #[error("must be at least 1")]
    Zero,
    #[error("`ahead` has no effect here: no stage runs once for each of its items")]
    AheadOfNothing,
    #[error("{0}")]
    GatherOnly(GatherOnly),
    #[error("{{{0}}}: stage '{0}' is not among the stages in `after`")]
    NotAParent(String),
    #[error("{{}} could be any of {0}: name one of them, or use {{item}}")]
    Ambiguous(String),
    #[error("{{item}}: there is one task, not one for each item")]
    NoItem,
    #[error("{{out}}: the stage has no `out`")]
    NoOut,
    #[error("{0} has no meaning here")]
    InOut(String),
    #[error("{{#}} is no name of an item: it changes when the list does")]
    Number,
    #[error("every task would write this file: put {{}}, {{item}} or the name of a stage into it")]
    SameForAll,
    #[error(
        "a worker reads its values from its standard input: nothing is replaced in its command"
    )]
    Worker,
    #[error("stage '{0}' makes the same files")]
    SameOut(String),
    #[error("{0}")]
    Template(#[from] TemplateError),
    #[error("{0}")]
    Out(#[from] OutTemplateError),
    /// What a reader of values says.
    #[error("{0}")]
    Value(String),
}
