//! Random pipeline files.

use std::fmt::Write;

use crate::pipeline::{Graph, PipelineFile};
use crate::simulation::random::Random;

/// Stages of a pipeline.
const STAGES: u64 = 6;

/// Where a stage gets its items from.
#[derive(Clone, Debug)]
pub(super) enum From {
    Source,
    After(Vec<usize>),
    Gather(usize),
}

#[derive(Clone, Debug)]
pub(super) struct StagePlan {
    pub(super) from: From,
    /// There is one task, not one for each item.
    pub(super) is_single: bool,
    pub(super) has_out: bool,
    pub(super) temporary: bool,
    pub(super) emits: bool,
    pub(super) max: Option<u64>,
    ahead: Option<u64>,
    /// Changes of the command.
    pub(super) version: u64,
    /// Changes of the name.
    name: u64,
}

/// A pipeline file.
#[derive(Clone, Debug)]
pub(super) struct Plan(pub(super) Vec<StagePlan>);

impl Plan {
    pub(super) fn draw(random: &mut Random) -> Plan {
        let mut plan = Plan(Vec::new());
        for at in 0..2 + random.below(STAGES - 1) as usize {
            let stage = plan.draw_stage(at, random);
            plan.0.push(stage);
            if !plan.is_joined()
                && let From::After(parents) = &mut plan.0[at].from
            {
                parents.truncate(1);
                plan.0[at].is_single = plan.is_single(at);
            }
        }
        // A temporary output needs a reader.
        for at in 0..plan.0.len() {
            let is_read = plan.0.iter().any(|stage| stage.reads(at));
            plan.0[at].temporary &= is_read;
            let reads_each =
                |stage: &StagePlan| matches!(&stage.from, From::After(all) if all.contains(&at));
            if !plan.0.iter().any(reads_each) {
                plan.0[at].ahead = None;
            }
        }
        plan
    }

    fn draw_stage(&self, at: usize, random: &mut Random) -> StagePlan {
        let other = |random: &mut Random| random.below(at as u64) as usize;
        let from = match random.below(8) {
            _ if at == 0 => From::Source,
            0 => From::Source,
            1 | 2 => From::Gather(other(random)),
            3..6 => From::After(vec![other(random)]),
            _ => {
                let (one, two) = (other(random), other(random));
                match one != two {
                    true => From::After(vec![one, two]),
                    false => From::After(vec![one]),
                }
            }
        };
        let emits = random.once_in(5);
        let has_out = !emits && !random.once_in(6);
        StagePlan {
            is_single: self.is_single_after(&from),
            has_out,
            temporary: has_out && random.once_in(2),
            emits,
            max: random.once_in(4).then(|| 1 + random.below(2)),
            ahead: random.once_in(5).then(|| 1 + random.below(3)),
            version: 0,
            name: 0,
            from,
        }
    }

    fn is_single(&self, at: usize) -> bool {
        self.is_single_after(&self.0[at].from)
    }

    fn is_single_after(&self, from: &From) -> bool {
        let is_single = |parent: &usize| self.0[*parent].is_single && !self.0[*parent].emits;
        match from {
            From::Source => false,
            From::Gather(_) => true,
            From::After(parents) => parents.iter().all(is_single),
        }
    }

    /// Whether each join has items.
    fn is_joined(&self) -> bool {
        let file = PipelineFile::parse(self.text(true));
        file.and_then(|file| Graph::of(&file)).is_ok()
    }

    pub(super) fn name(&self, at: usize) -> String {
        format!("s{at}n{}", self.0[at].name)
    }

    /// The output of a stage for an item.
    pub(super) fn out(&self, at: usize) -> String {
        match self.0[at].is_single {
            true => format!("o/{at}"),
            false => format!("o/{at}/{{item/}}"),
        }
    }

    /// One change: a command, or a name.
    pub(super) fn edit(&mut self, random: &mut Random) {
        let at = random.below(self.0.len() as u64) as usize;
        match random.once_in(3) {
            true => self.0[at].name += 1,
            false => self.0[at].version += 1,
        }
    }

    /// The file. `tells_versions`: commands show what has changed in them.
    pub(super) fn text(&self, tells_versions: bool) -> String {
        let mut text = String::new();
        for (at, stage) in self.0.iter().enumerate() {
            let quoted = |names: &[usize]| {
                let names = names.iter().map(|parent| format!("'{}'", self.name(*parent)));
                names.collect::<Vec<_>>().join(", ")
            };
            let (from, reads) = match &stage.from {
                From::Source => ("from = 'in/*'".to_owned(), "{}".to_owned()),
                From::Gather(of) => (format!("gather = {}", quoted(&[*of])), "{inputs}".to_owned()),
                From::After(parents) => {
                    let names = parents.iter().map(|parent| format!("{{{}}}", self.name(*parent)));
                    let reads = names.collect::<Vec<_>>().join(" ");
                    (format!("after = [{}]", quoted(parents)), reads)
                }
            };
            let version = if tells_versions { stage.version } else { 0 };
            let name = self.name(at);
            let _ = write!(text, "[[stage]]\nname = '{name}'\n{from}\nrun = 'v{version} {reads}");
            if stage.has_out {
                let _ = write!(text, " {{out}}'\nout = '{}'\n", self.out(at));
            } else {
                text += "'\n";
            }
            for (key, is) in
                [("temporary = true", stage.temporary), ("emits = 'lines'", stage.emits)]
            {
                if is {
                    let _ = writeln!(text, "{key}");
                }
            }
            for (key, number) in [("max", stage.max), ("ahead", stage.ahead)] {
                if let Some(number) = number {
                    let _ = writeln!(text, "{key} = {number}");
                }
            }
        }
        text
    }
}

impl StagePlan {
    fn reads(&self, at: usize) -> bool {
        match &self.from {
            From::Source => false,
            From::Gather(of) => *of == at,
            From::After(parents) => parents.contains(&at),
        }
    }
}
