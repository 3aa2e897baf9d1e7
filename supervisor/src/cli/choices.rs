//! Flags whose values are words of a short list.

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::engine::AtCap;
use crate::journal::Durability;

/// `--order`: which tasks start first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Order {
    Longest,
}

/// `--leave`: what becomes of processes that a command leaves running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LeaveFlag {
    Wait,
    Ok,
    Kill,
}

/// `--trim`: where blanks are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trim {
    Nothing,
    Left,
    Right,
    Both,
}

impl Trim {
    /// Whether they are removed from the beginning and from the end.
    pub(super) fn sides(self) -> [bool; 2] {
        match self {
            Trim::Nothing => [false, false],
            Trim::Left => [true, false],
            Trim::Right => [false, true],
            Trim::Both => [true, true],
        }
    }
}

impl ValueEnum for Trim {
    fn value_variants<'a>() -> &'a [Self] {
        &[Trim::Nothing, Trim::Left, Trim::Right, Trim::Both]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Trim::Nothing => "n".into(),
            Trim::Left => "l".into(),
            Trim::Right => "r".into(),
            Trim::Both => PossibleValue::new("lr").alias("rl"),
        })
    }
}

macro_rules! words {
    ($type:ty: $($variant:ident $word:literal),+) => {
        impl ValueEnum for $type {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(<$type>::$variant),+]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                Some(match self { $(<$type>::$variant => $word),+ }.into())
            }
        }
    };
}

words!(AtCap: Wait "wait", Fail "fail");
words!(Durability: Process "process", Batch "batch", Task "task");

/// These words as an error names them: `wait, ok or kill`.
pub(super) fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [before @ .., last] => format!("{} or {last}", before.join(", ")),
    }
}
