//! Pipelines on files in memory: what runs, and what does not.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::jobs::{self, StageLimits};
use super::*;
use crate::arguments::Length;
use crate::template::{Feeding, Reading, Shell, Strings};

mod faults;
mod garbage;
mod refused;
mod runs;

/// Files, and what is known of earlier runs.
#[derive(Default)]
pub(super) struct World {
    files: BTreeMap<Vec<u8>, Made>,
    pub(super) history: History,
    clock: i64,
    /// What the tasks of these stages emit, by their items.
    pub(super) emits: HashMap<String, Vec<&'static str>>,
    /// Tasks that fail.
    pub(super) fails: Vec<&'static str>,
    pub(super) failed_items: usize,
    pub(super) kept: usize,
    /// The largest number of tasks of one stage that ran at once.
    pub(super) most: BTreeMap<String, usize>,
}

struct Disk<'a>(&'a BTreeMap<Vec<u8>, Made>);

impl Files for Disk<'_> {
    fn look(&mut self, path: &[u8]) -> Option<Made> {
        self.0.get(path).copied()
    }

    /// Files have the same content as long as they have the same size.
    fn real_folder(&mut self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn hash(&mut self, path: &[u8]) -> Option<TaskKey> {
        self.look(path).map(|made| TaskKey::of(&[&made.size.to_le_bytes()]))
    }
}

pub(super) fn reading() -> Reading {
    Reading {
        shell: Shell::sh(),
        fixed_shell: true,
        unsafe_replace: false,
        strings: Strings::USUAL,
        feeding: Feeding::Values,
    }
}

impl World {
    /// With these input files.
    pub(super) fn with(inputs: &[&str]) -> World {
        let mut world = World::default();
        inputs.iter().for_each(|path| world.touch(path));
        world
    }

    pub(super) fn touch(&mut self, path: &str) {
        self.clock += 1;
        self.files.insert(path.into(), Made { size: 1, mtime: self.clock });
    }

    pub(super) fn remove(&mut self, path: &str) {
        assert!(self.files.remove(path.as_bytes()).is_some(), "{path}");
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.files.contains_key(path.as_bytes())
    }

    fn pipeline(&self, text: &str, asked: Scope) -> Pipeline {
        let file = PipelineFile::parse(text.to_owned()).expect(text);
        let graph = Graph::of(&file).expect(text);
        let limits = vec![StageLimits::default(); graph.stages.len()];
        let (stages, kinds) = jobs::of(&file, &graph, &reading(), &limits).expect(text);
        let sources = file.stages.iter().enumerate().filter_map(|(id, table)| {
            let (mut kind, mut pattern) = (SourceKind::Given, None);
            let values = match table.from.as_ref()?.get_ref() {
                SourceTable::Values(values) => values.iter().map(|v| v.clone().into()).collect(),
                SourceTable::Glob(glob) => {
                    kind = SourceKind::Found;
                    pattern = Some(FilePattern::new(glob).expect(glob));
                    self.glob(glob)
                }
                other => panic!("{other:?}"),
            };
            Some(SourceValues { stage: id, values, kind, pattern, list: None })
        });
        let (sources, history) = (sources.collect(), self.history.clone());
        let room = Length { chars: 10_000, total: 10_000, grows: 10_000, longest: 10_000 };
        let asked = Scope { ahead: 100, folder: b".msup/p".to_vec(), room, ..asked };
        Pipeline::new((graph, Rc::new(stages), kinds), sources, history, asked)
    }

    /// `FOLDER/*`
    fn glob(&self, glob: &str) -> Vec<Vec<u8>> {
        let folder = glob.strip_suffix('*').expect("a simple glob").as_bytes();
        self.files.keys().filter(|path| path.starts_with(folder)).cloned().collect()
    }

    /// Runs a pipeline, at most `at_once` tasks at once. Returns the tasks that have run.
    pub(super) fn run_with(&mut self, text: &str, asked: Scope, at_once: usize) -> Vec<String> {
        let mut pipeline = self.pipeline(text, asked);
        let (mut ran, mut running) = (Vec::new(), Vec::<(TaskOrder, String)>::new());
        loop {
            pipeline.advance(3, &mut Disk(&self.files));
            for removal in pipeline.take_removals() {
                assert_eq!(self.files.remove(&removal.path), Some(removal.made));
            }
            while running.len() < at_once
                && let Some(order) = pipeline.take(true, 100)
            {
                let what = order.value.clone();
                running.push((order, String::from_utf8(what).expect("UTF-8")));
                let mut by_stage: BTreeMap<&str, usize> = BTreeMap::new();
                for (_, what) in &running {
                    *by_stage.entry(what.split(':').next().unwrap_or_default()).or_default() += 1;
                }
                for (stage, count) in by_stage {
                    let most = self.most.entry(stage.to_owned()).or_default();
                    *most = (*most).max(count);
                }
            }
            if running.is_empty() {
                if pipeline.has_undecided() {
                    continue;
                }
                break;
            }
            let (order, what) = running.remove(0);
            if order.refused.is_none() {
                ran.push(what.clone());
            }
            self.finish(&mut pipeline, &order, &what);
        }
        assert!(pipeline.is_over());
        (self.failed_items, self.kept) = (
            pipeline.failed_items(),
            pipeline.counts().iter().map(|counts| counts.kept_temporary).sum(),
        );
        ran
    }

    fn finish(&mut self, pipeline: &mut Pipeline, order: &TaskOrder, what: &str) {
        let (job, arguments) = (pipeline.stages.get(order.task.stage), order.arguments.as_deref());
        let output = job.output(arguments).expect("a path");
        let command = job.command(arguments);
        for read in String::from_utf8_lossy(&command).split(' ') {
            let is_made = read.starts_with("tmp/") || read.starts_with("out/");
            assert!(!is_made || read.as_bytes() == output || self.has(read), "{what}: no {read}");
        }
        self.clock += 1;
        let step = TaskStep::of(order, self.clock);
        if order.refused.is_some() {
            step.note(StepFate::Failed, &mut self.history);
            return pipeline.ended(order.task, TaskEnd::Failed);
        }
        if self.fails.contains(&what) {
            step.note(StepFate::Failed, &mut self.history);
            return pipeline.ended(order.task, TaskEnd::Failed);
        }
        let made = (!output.is_empty()).then(|| {
            self.clock += 1;
            let made = Made { size: 1, mtime: self.clock };
            self.files.insert(output, made);
            made
        });
        let values = self.emits.get(what).cloned().unwrap_or_default();
        let values: Vec<Vec<u8>> = values.into_iter().map(|value| value.into()).collect();
        let fate = StepFate::Succeeded { made, values: values.clone(), seconds: 1.0 };
        step.note(fate, &mut self.history);
        let made = made.or(step.ran());
        pipeline.ended(order.task, TaskEnd::Succeeded { made, values });
    }

    pub(super) fn run(&mut self, text: &str) -> Vec<String> {
        self.run_with(text, Scope::default(), 2)
    }

    /// What a dry run says: each stage with the reasons why tasks would run.
    pub(super) fn outlook(&self, text: &str) -> Vec<(String, Vec<(&'static str, usize)>)> {
        let mut pipeline = self.pipeline(text, Scope { is_dry: true, ..Scope::default() });
        pipeline.look_ahead(&mut Disk(&self.files));
        assert!(pipeline.take(true, 100).is_none() && pipeline.take_removals().is_empty());
        let reasons = |counts: &super::outlook::StageCounts| {
            counts.reasons.iter().map(|(reason, count, _)| (*reason, *count)).collect()
        };
        pipeline.counts().iter().map(|counts| (counts.name.clone(), reasons(counts))).collect()
    }
}
