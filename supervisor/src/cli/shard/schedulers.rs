//! What the variables of schedulers say about the share of this process.

use super::{ShardChoice, ShardError, at_most};
use crate::shard::Shard;

/// A scheduler that runs a program many times and tells each which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheduler {
    Slurm,
    Kubernetes,
    Aws,
    Pbs,
    Sge,
    HyperQueue,
}

/// What a scheduler says.
#[derive(Debug)]
pub(super) struct Assigned {
    pub(super) scheduler: Scheduler,
    pub(super) shard: Shard,
    /// The variables that say it, with their values.
    told_by: String,
}

impl Assigned {
    pub(super) fn choice(self) -> ShardChoice {
        ShardChoice { shard: self.shard, told_by: Some(self.told_by) }
    }
}

/// Looks up variables that hold numbers.
struct Numbers<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Numbers<'_> {
    fn get(&self, variable: &'static str) -> Result<Option<u64>, ShardError> {
        let value = (self.variable)(variable).filter(|value| !value.is_empty());
        // What SGE sets outside of arrays.
        let Some(value) = value.filter(|value| value != "undefined") else { return Ok(None) };
        match value.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(ShardError::NotANumber { variable, value }),
        }
    }
}

/// Names of variables: of the number of a task, of the smallest and largest one, of their distance,
/// and of how many there are, if a variable says that.
struct ArrayNames {
    id: &'static str,
    least: &'static str,
    most: &'static str,
    step: &'static str,
    count: Option<&'static str>,
}

const SLURM_ARRAY: ArrayNames = ArrayNames {
    id: "SLURM_ARRAY_TASK_ID",
    least: "SLURM_ARRAY_TASK_MIN",
    most: "SLURM_ARRAY_TASK_MAX",
    step: "SLURM_ARRAY_TASK_STEP",
    count: Some("SLURM_ARRAY_TASK_COUNT"),
};

const SGE_ARRAY: ArrayNames = ArrayNames {
    id: "SGE_TASK_ID",
    least: "SGE_TASK_FIRST",
    most: "SGE_TASK_LAST",
    step: "SGE_TASK_STEPSIZE",
    count: None,
};

/// Set in steps that `srun` starts. Batch scripts have the number of a process, too, and are none.
const SLURM_STEP: [&str; 3] = ["SLURM_STEP_ID", "SLURM_PROCID", "SLURM_NTASKS"];

impl Scheduler {
    pub(super) const ALL: [Scheduler; 6] = [
        Scheduler::Slurm,
        Scheduler::Kubernetes,
        Scheduler::Aws,
        Scheduler::Pbs,
        Scheduler::Sge,
        Scheduler::HyperQueue,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Scheduler::Slurm => "slurm",
            Scheduler::Kubernetes => "kubernetes",
            Scheduler::Aws => "aws",
            Scheduler::Pbs => "pbs",
            Scheduler::Sge => "sge",
            Scheduler::HyperQueue => "hq",
        }
    }

    pub(super) fn named(name: &str) -> Option<Scheduler> {
        Scheduler::ALL.into_iter().find(|scheduler| scheduler.name() == name)
    }

    /// The variable that says which one this process is.
    pub(super) fn variable(self) -> &'static str {
        match self {
            Scheduler::Slurm => SLURM_ARRAY.id,
            Scheduler::Kubernetes => "JOB_COMPLETION_INDEX",
            Scheduler::Aws => "AWS_BATCH_JOB_ARRAY_INDEX",
            Scheduler::Pbs => "PBS_ARRAY_INDEX",
            Scheduler::Sge => SGE_ARRAY.id,
            Scheduler::HyperQueue => "HQ_TASK_ID",
        }
    }

    /// What it says, if it has started this process. `shards`: how many shards there are, if that
    /// was typed.
    ///
    /// # Errors
    /// Its variables contradict each other, or are not complete.
    pub(super) fn tells(
        self,
        shards: Option<u64>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Assigned>, ShardError> {
        let numbers = Numbers { variable };
        let shard = match self {
            Scheduler::Slurm => return slurm(&numbers, shards),
            Scheduler::Sge => array(&SGE_ARRAY, &numbers, shards)?,
            Scheduler::Aws => {
                let count = numbers.get("AWS_BATCH_JOB_ARRAY_SIZE")?;
                indexed(self.variable(), &numbers, shards.or(count))?
            }
            Scheduler::Kubernetes | Scheduler::Pbs | Scheduler::HyperQueue => {
                indexed(self.variable(), &numbers, shards)?
            }
        };
        let told_by = told_by(self.variable(), variable);
        Ok(shard.map(|shard| Assigned { scheduler: self, shard, told_by }))
    }
}

/// A process of an array, of a step, or of a step in a task of an array.
fn slurm(numbers: &Numbers<'_>, shards: Option<u64>) -> Result<Option<Assigned>, ShardError> {
    let array = array(&SLURM_ARRAY, numbers, shards)?;
    let [step, process, processes] = SLURM_STEP;
    let is_step = (numbers.variable)(step).is_some_and(|value| !value.is_empty());
    let of_step = match (is_step, numbers.get(process)?, numbers.get(processes)?) {
        (false, ..) => None,
        (true, Some(nth), Some(of)) if nth < of => Some(Shard { nth, of }),
        (true, ..) => return Err(ShardError::NoCount { variable: process }),
    };
    // A step of one process divides nothing.
    let of_step = of_step.filter(|step| step.of > 1 || array.is_none() && shards.is_none());
    let (shard, names) = match (array, of_step) {
        (None, None) => return Ok(None),
        (Some(array), None) => (array, vec![SLURM_ARRAY.id]),
        (None, Some(step)) => match shards.filter(|shards| *shards != step.of) {
            Some(shards) => return Err(ShardError::Differs { shard: step, shards }),
            None => (step, vec![process, processes]),
        },
        (Some(array), Some(step)) => {
            let (nth, of) = (array.nth * step.of + step.nth, array.of * step.of);
            at_most(of)?;
            (Shard { nth, of }, vec![SLURM_ARRAY.id, process, processes])
        }
    };
    let told_by = names.into_iter().map(|name| told_by(name, numbers.variable));
    let told_by = told_by.collect::<Vec<_>>().join(", ");
    Ok(Some(Assigned { scheduler: Scheduler::Slurm, shard, told_by }))
}

/// A task of an array whose numbers may begin anywhere. With `shards`, its number is that of the
/// shard: the array may have holes.
fn array(
    names: &ArrayNames,
    numbers: &Numbers<'_>,
    shards: Option<u64>,
) -> Result<Option<Shard>, ShardError> {
    let Some(id) = numbers.get(names.id)? else { return Ok(None) };
    if shards.is_some() {
        return indexed(names.id, numbers, shards);
    }
    let no_count = ShardError::NoCount { variable: names.id };
    let (Some(least), Some(most)) = (numbers.get(names.least)?, numbers.get(names.most)?) else {
        return Err(no_count);
    };
    let step = numbers.get(names.step)?.unwrap_or(1).max(1);
    at_most(most)?;
    if !(least..=most).contains(&id) {
        return Err(no_count);
    }
    let whole = (most - least) / step + 1;
    let count = names.count.map_or(Ok(Some(whole)), |name| numbers.get(name))?.unwrap_or(whole);
    if count != whole || (id - least) % step != 0 {
        return Err(ShardError::Holes { count, whole });
    }
    Ok(Some(Shard { nth: (id - least) / step, of: whole }))
}

/// A task whose number from 0 is in this variable.
fn indexed(
    variable: &'static str,
    numbers: &Numbers<'_>,
    of: Option<u64>,
) -> Result<Option<Shard>, ShardError> {
    let Some(nth) = numbers.get(variable)? else { return Ok(None) };
    match of {
        None => Err(ShardError::NoCount { variable }),
        Some(of) if nth < of => Ok(Some(Shard { nth, of })),
        Some(of) => Err(ShardError::OutOfRange { variable, value: nth, of }),
    }
}

fn told_by(name: &'static str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    format!("{name}={}", variable(name).unwrap_or_default())
}

/// The names of all schedulers.
pub(super) fn names() -> String {
    Scheduler::ALL.map(Scheduler::name).join(", ")
}

/// The variables of all schedulers.
pub(super) fn variables() -> String {
    let [_, process, _] = SLURM_STEP;
    let mut all = Scheduler::ALL.map(Scheduler::variable).to_vec();
    all.insert(1, process);
    all.join(", ")
}
