//! Which share of the tasks this run has (`--shard`): typed, or told by a scheduler.

mod schedulers;

use std::fmt;

use schedulers::{Assigned, Scheduler};

use crate::shard::Shard;

/// More shards than any scheduler has jobs in an array.
const SHARDS_AT_MOST: u64 = 1_000_000;

/// Which share of the tasks a run has.
#[derive(Debug, clap::Args)]
pub(super) struct ShardFlags {
    /// Run only the tasks whose number modulo N is I, from 0 to N-1. auto: as the scheduler says
    /// that has started msup (an array of Slurm, an indexed job of Kubernetes, ...); auto:slurm and
    /// the like choose one of several
    #[arg(
        long,
        value_name = "I/N|auto",
        conflicts_with_all = ["shuf", "xargs", "fill", "repeat", "pipe", "pipe_part"]
    )]
    shard: Option<String>,

    /// With --shard auto: there are N shards. For schedulers that do not tell it, and for arrays
    /// with holes
    #[arg(long, value_name = "N")]
    shards: Option<u64>,

    /// The shard of the first start, kept with a run: a resume may have another environment.
    #[arg(long, hide = true)]
    kept_shard: Option<String>,
}

impl ShardFlags {
    /// The shard of this run, if it has only a share of the tasks.
    ///
    /// # Errors
    /// What was typed is none, or no scheduler says which one it is.
    pub(super) fn choice(&self) -> Result<Option<ShardChoice>, ShardError> {
        let variable = |name: &str| std::env::var_os(name)?.into_string().ok();
        match &self.kept_shard {
            Some(kept) => read(Some(kept), None, &variable),
            None => read(self.shard.as_deref(), self.shards, &variable),
        }
    }
}

/// The flag that keeps a shard with a run.
pub(super) fn kept(shard: Option<Shard>) -> impl Iterator<Item = Vec<u8>> {
    shard.map(|shard| format!("--kept-shard={shard}").into_bytes()).into_iter()
}

/// The share of this run, and what told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardChoice {
    pub(crate) shard: Shard,
    /// The variables that told it, unless it was typed.
    pub(crate) told_by: Option<String>,
}

impl fmt::Display for ShardChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}", self.shard)?;
        match &self.told_by {
            Some(variables) => write!(f, " ({variables})"),
            None => Ok(()),
        }
    }
}

/// Why there is no share for this run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ShardError {
    #[error("--shard {0}: expected I/N (I from 0 to N-1), auto, or auto: and one of {names}",
        names = schedulers::names())]
    Malformed(String),
    #[error("--shard {nth}/{of}: shards are numbered from 0: the last one is {last}/{of}",
        last = .of.saturating_sub(1))]
    Beyond { nth: u64, of: u64 },
    #[error("--shards {0}: expected a number of at least 1")]
    NoShards(u64),
    #[error("--shards {shards} and --shard {shard} differ: leave out --shards")]
    Differs { shard: Shard, shards: u64 },
    #[error("{0} shards: at most {SHARDS_AT_MOST} are possible")]
    TooMany(u64),
    #[error("--shards needs --shard auto")]
    OnlyShards,
    #[error(
        "--shard auto: no scheduler says which shard this is: {variable} is not set; use \
        --shard I/N"
    )]
    NotSet { variable: &'static str },
    #[error("--shard auto: no scheduler says which shard this is (none of {variables} is set); \
        use --shard I/N", variables = schedulers::variables())]
    NoScheduler,
    #[error("--shard auto: {variable} does not say how many shards there are: add --shards N")]
    NoCount { variable: &'static str },
    #[error("--shard auto: {variable} is '{value}', which is no number")]
    NotANumber { variable: &'static str, value: String },
    #[error("--shard auto: {variable} is {value}: with --shards {of} it must be at most {last}",
        last = .of.saturating_sub(1))]
    OutOfRange { variable: &'static str, value: u64, of: u64 },
    #[error(
        "--shard auto: the array has {count} of {whole} tasks: add --shards N, and run those \
        that are left out with --shard I/N"
    )]
    Holes { count: u64, whole: u64 },
    #[error(
        "--shard auto: {one} and {other} both say which shard this is: use --shard \
        auto:{one} or --shard auto:{other}"
    )]
    Several { one: &'static str, other: &'static str },
}

/// Reads `--shard` and `--shards`; `variable` looks up a variable of the environment.
///
/// # Errors
/// [`ShardError`].
fn read(
    shard: Option<&str>,
    shards: Option<u64>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<ShardChoice>, ShardError> {
    if shards == Some(0) {
        return Err(ShardError::NoShards(0));
    }
    at_most(shards.unwrap_or(1))?;
    let Some(typed) = shard else {
        return if shards.is_some() { Err(ShardError::OnlyShards) } else { Ok(None) };
    };
    let malformed = || ShardError::Malformed(typed.to_owned());
    if typed == "auto" {
        return from_any(shards, variable).map(Some);
    }
    if let Some(name) = typed.strip_prefix("auto:") {
        let scheduler = Scheduler::named(name).ok_or_else(malformed)?;
        let told = scheduler.tells(shards, variable)?;
        let variable = scheduler.variable();
        return told.map(Assigned::choice).ok_or(ShardError::NotSet { variable }).map(Some);
    }
    let number = |text: &str| {
        // A sign is none of a number.
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    };
    let both = typed.split_once('/').and_then(|(nth, of)| Some((number(nth)?, number(of)?)));
    let (nth, of) = both.ok_or_else(malformed)?;
    if nth >= of {
        return Err(ShardError::Beyond { nth, of });
    }
    at_most(of)?;
    let shard = Shard { nth, of };
    match shards.filter(|shards| *shards != of) {
        Some(shards) => Err(ShardError::Differs { shard, shards }),
        None => Ok(Some(ShardChoice { shard, told_by: None })),
    }
}

/// The only scheduler that divides the tasks. One that runs this process alone divides nothing.
fn from_any(
    shards: Option<u64>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<ShardChoice, ShardError> {
    let (mut all, mut wrong) = (Vec::new(), None);
    for scheduler in Scheduler::ALL {
        match scheduler.tells(shards, variable) {
            Ok(told) => all.extend(told),
            Err(why) => wrong = wrong.or(Some(why)),
        }
    }
    let divides = all.iter().any(|told| told.shard.of > 1);
    if divides {
        all.retain(|told| told.shard.of > 1);
    } else if let Some(why) = wrong {
        return Err(why);
    } else {
        all.truncate(1);
    }
    match <[Assigned; 1]>::try_from(all) {
        Ok([told]) => Ok(told.choice()),
        Err(all) => match all.as_slice() {
            [one, other, ..] => {
                let [one, other] = [one, other].map(|told| told.scheduler.name());
                Err(ShardError::Several { one, other })
            }
            _ => Err(ShardError::NoScheduler),
        },
    }
}

/// Makes sure that there are not too many shards: `msup collect` looks at each.
///
/// # Errors
/// There are.
fn at_most(shards: u64) -> Result<(), ShardError> {
    if shards > SHARDS_AT_MOST { Err(ShardError::TooMany(shards)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_in(
        environment: &str,
        shard: &str,
        shards: Option<u64>,
    ) -> Result<(String, String), String> {
        let variable = |name: &str| {
            let mut all = environment.split_whitespace().filter_map(|one| one.split_once('='));
            all.find(|(other, _)| *other == name).map(|(_, value)| value.to_owned())
        };
        let read = read(Some(shard), shards, &variable).map_err(|why| why.to_string())?;
        let ShardChoice { shard, told_by } = read.expect("a shard was asked for");
        Ok((shard.to_string(), told_by.unwrap_or_default()))
    }

    fn shard_in(environment: &str, shards: Option<u64>) -> String {
        match read_in(environment, "auto", shards) {
            Ok((shard, _)) => shard,
            Err(why) => why,
        }
    }

    const ARRAY: &str = "SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=16 \
        SLURM_ARRAY_TASK_COUNT=16 SLURM_ARRAY_TASK_STEP=1";

    #[test]
    fn a_shard_that_is_typed() {
        assert_eq!(read_in("", "3/16", None), Ok(("3/16".into(), String::new())));
        assert_eq!(read_in(ARRAY, "0/1", Some(1)).map(|read| read.0), Ok("0/1".into()));
        for wrong in ["", "3", "/", "a/b", "-1/4", "+1/4", "1/", "1/4/2", "auto:", "auto:pbx"] {
            let why = read_in(ARRAY, wrong, None).expect_err(wrong);
            assert!(why.starts_with(&format!("--shard {wrong}: expected I/N")), "{why}");
        }
        let why = read_in("", "4/4", None).expect_err("no such shard");
        assert_eq!(why, "--shard 4/4: shards are numbered from 0: the last one is 3/4");
        assert!(read_in("", "0/0", None).is_err());
        let why = read_in("", "1/4", Some(5)).expect_err("they differ");
        assert!(why.contains("--shards 5 and --shard 1/4 differ"), "{why}");
        assert_eq!(read(None, Some(5), &|_| None), Err(ShardError::OnlyShards));
        assert_eq!(read(None, None, &|_| None), Ok(None));
    }

    #[test]
    fn an_array_of_slurm() {
        let (shard, told_by) = read_in(ARRAY, "auto", None).expect("a shard");
        assert_eq!((shard.as_str(), told_by.as_str()), ("6/16", "SLURM_ARRAY_TASK_ID=7"));
        let stepped = "SLURM_ARRAY_TASK_ID=9 SLURM_ARRAY_TASK_MIN=5 SLURM_ARRAY_TASK_MAX=13 \
            SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_STEP=4";
        assert_eq!(shard_in(stepped, None), "1/3");
        let holes = ARRAY.replace("COUNT=16", "COUNT=3");
        assert!(shard_in(&holes, None).contains("the array has 3 of 16 tasks: add --shards N"));
        assert_eq!(shard_in(&holes, Some(20)), "7/20", "the number itself");
        assert!(
            shard_in(&holes, Some(7)).contains("ID is 7: with --shards 7 it must be at most 6")
        );
        assert!(shard_in("SLURM_ARRAY_TASK_ID=x", None).contains("ID is 'x', which is no number"));
    }

    #[test]
    fn steps_of_slurm() {
        let step = "SLURM_PROCID=2 SLURM_NTASKS=4 SLURM_STEP_ID=0";
        assert_eq!(shard_in(step, None), "2/4");
        let both = format!("{ARRAY} {step}");
        assert_eq!(shard_in(&both, None), "26/64", "array and step multiply");
        let batch = format!("{ARRAY} SLURM_PROCID=0 SLURM_NTASKS=4");
        assert_eq!(shard_in(&batch, None), "6/16", "a batch script is no step");
        assert!(shard_in("SLURM_PROCID=0 SLURM_NTASKS=4", None).contains("no scheduler says"));
    }

    #[test]
    fn other_schedulers() {
        for (environment, shards, expected) in [
            ("JOB_COMPLETION_INDEX=2", Some(5), "2/5"),
            ("AWS_BATCH_JOB_ARRAY_INDEX=3 AWS_BATCH_JOB_ARRAY_SIZE=9", None, "3/9"),
            ("PBS_ARRAY_INDEX=0", Some(2), "0/2"),
            ("HQ_TASK_ID=1", Some(2), "1/2"),
            ("SGE_TASK_ID=6 SGE_TASK_FIRST=2 SGE_TASK_LAST=8 SGE_TASK_STEPSIZE=2", None, "2/4"),
        ] {
            assert_eq!(shard_in(environment, shards), expected, "{environment}");
        }
        for needs in ["JOB_COMPLETION_INDEX=2", "PBS_ARRAY_INDEX=0", "HQ_TASK_ID=1"] {
            let why = shard_in(needs, None);
            assert!(
                why.contains("does not say how many shards there are: add --shards N"),
                "{why}"
            );
        }
        assert!(shard_in("SGE_TASK_ID=undefined", None).contains("no scheduler says"));
    }

    #[test]
    fn two_schedulers_are_one_too_many() {
        let aws = "AWS_BATCH_JOB_ARRAY_INDEX=3 AWS_BATCH_JOB_ARRAY_SIZE=9";
        let why = shard_in(&format!("{ARRAY} {aws}"), None);
        assert!(why.contains("slurm and aws both say which shard this is"), "{why}");
        let chosen = read_in(&format!("{ARRAY} {aws}"), "auto:aws", None).expect("a shard");
        assert_eq!(chosen.0, "3/9");
        let alone = "SLURM_PROCID=0 SLURM_NTASKS=1 SLURM_STEP_ID=0";
        assert_eq!(shard_in(&format!("{alone} {aws}"), None), "3/9", "one of one divides nothing");
        assert_eq!(shard_in(alone, None), "0/1");
        let why = read_in(ARRAY, "auto:pbs", None).expect_err("not there");
        assert!(why.contains("PBS_ARRAY_INDEX is not set"), "{why}");
    }
}
