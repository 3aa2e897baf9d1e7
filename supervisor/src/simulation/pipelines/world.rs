//! The files and runs of a simulated pipeline.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Bug;
use super::plan::Plan;
use crate::arguments::{self, Length};
use crate::pipeline::{
    Feed, Files, Graph, History, Made, Pipeline, PipelineFile, Removal, Scope, SourceKind,
    SourceValues, StageLimits, StepFate, TaskEnd, TaskKey, TaskOrder, TaskStep, Unfinished,
    jobs_of,
};
use crate::simulation::random::Random;
use crate::template::{Feeding, Reading, Shell, Strings};

/// Runs with faults before the last one.
const DISTURBED: u64 = 4;

/// Inputs of sources.
const INPUTS: u64 = 5;

/// A file: its content, and what can be seen of it.
#[derive(Clone, Copy, Debug)]
struct File {
    content: u64,
    made: Made,
}

#[derive(Clone, Default)]
struct Disk(BTreeMap<Vec<u8>, File>);

impl Files for Disk {
    fn look(&mut self, path: &[u8]) -> Option<Made> {
        self.0.get(path).map(|file| file.made)
    }

    fn real_folder(&mut self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn hash(&mut self, path: &[u8]) -> Option<TaskKey> {
        self.0.get(path).map(|file| TaskKey::of(&[&file.content.to_le_bytes()]))
    }
}

/// How a run goes.
struct Course {
    at_once: usize,
    /// Tasks fail once in this number of times, and msup dies after this number of steps.
    failures: Option<u64>,
    death: Option<u64>,
}

pub(super) struct World {
    plan: Plan,
    disk: Disk,
    clock: i64,
    history: History,
    bug: Option<Bug>,
}

impl World {
    pub(super) fn new(random: &mut Random, bug: Option<Bug>) -> World {
        let plan = Plan::draw(random);
        let (disk, history) = Default::default();
        let mut world = World { plan, disk, clock: 0, history, bug };
        for input in 0..1 + random.below(INPUTS) {
            world.write_input(input, random.draw());
        }
        world
    }

    fn write(&mut self, path: Vec<u8>, content: u64) -> Made {
        self.clock += 1;
        let made = Made { size: content % 3, mtime: self.clock };
        self.disk.0.insert(path, File { content, made });
        made
    }

    fn write_input(&mut self, number: u64, content: u64) {
        self.write(format!("in/{number}").into(), content);
    }

    /// # Errors
    /// What is wrong.
    pub(super) fn play(&mut self, random: &mut Random) -> Result<(), String> {
        for _ in 0..random.below(DISTURBED) {
            let course = Course {
                at_once: 1 + random.below(4) as usize,
                failures: random.once_in(2).then(|| 2 + random.below(6)),
                death: random.once_in(2).then(|| random.below(40)),
            };
            self.run(&course, random)?;
            if random.once_in(2) {
                self.edit(random);
            }
        }
        let course = Course { at_once: 2, failures: None, death: None };
        self.run(&course, random)?;
        self.judge(random)?;
        let ran = self.run(&course, random)?;
        match ran.first() {
            Some(what) => Err(format!("{what} runs again, and nothing has changed")),
            None => Ok(()),
        }
    }

    fn edit(&mut self, random: &mut Random) {
        match random.below(5) {
            0 => self.write_input(random.below(INPUTS), random.draw()),
            1 => {
                let inputs = self.disk.0.keys().filter(|path| path.starts_with(b"in/")).count();
                let path = format!("in/{}", random.below(INPUTS)).into_bytes();
                if inputs > 1 {
                    self.disk.0.remove(&path);
                }
            }
            2 => {
                let outputs = self.disk.0.keys().filter(|path| path.starts_with(b"o/"));
                let outputs: Vec<Vec<u8>> = outputs.cloned().collect();
                if !outputs.is_empty() {
                    let at = random.below(outputs.len() as u64) as usize;
                    self.disk.0.remove(&outputs[at]);
                }
            }
            _ => self.plan.edit(random),
        }
    }

    fn pipeline(&self) -> Result<Pipeline, String> {
        let text = self.plan.text(self.bug != Some(Bug::ForgetsCommand));
        let wrong = |why: &dyn std::fmt::Display| format!("{why}\n{text}");
        let file = PipelineFile::parse(text.clone()).map_err(|why| wrong(&why))?;
        let mut graph = Graph::of(&file).map_err(|why| wrong(&why))?;
        let reading = Reading {
            shell: Shell::sh(),
            fixed_shell: true,
            unsafe_replace: false,
            strings: Strings::USUAL,
            feeding: Feeding::Values,
        };
        let limits = vec![StageLimits::default(); graph.stages.len()];
        let made = jobs_of(&file, &graph, &reading, &limits);
        let (stages, kinds) = made.map_err(|why| wrong(&why))?;
        let inputs = self.disk.0.keys().filter(|path| path.starts_with(b"in/"));
        let inputs: Vec<Vec<u8>> = inputs.cloned().collect();
        let sources = graph.stages.iter().enumerate();
        let sources = sources.filter(|(_, stage)| stage.feed == Feed::Source);
        let kind = SourceKind::Found;
        let sources = sources.map(|(stage, _)| SourceValues {
            stage,
            values: inputs.clone(),
            kind,
            pattern: None,
            list: None,
        });
        let sources = sources.collect();
        if self.bug == Some(Bug::ForgetsParent) {
            forget_parents(&mut graph);
        }
        let by_content = self.clock % 3 == 0;
        let folder = b".msup/p".to_vec();
        const MANY: usize = 1 << 20;
        let room = Length { chars: MANY, total: MANY, grows: MANY, longest: MANY };
        let asked = Scope { ahead: 4, folder, by_content, room, ..Scope::default() };
        let history = self.history.clone();
        Ok(Pipeline::new((graph, Rc::new(stages), kinds), sources, history, asked))
    }

    /// Runs the pipeline. Returns what has run.
    fn run(&mut self, course: &Course, random: &mut Random) -> Result<Vec<String>, String> {
        let mut pipeline = self.pipeline()?;
        let mut running: Vec<TaskOrder> = Vec::new();
        let (mut ran, mut notes, mut steps) = (Vec::new(), Vec::new(), 0);
        loop {
            pipeline.advance(1 + random.below(4) as usize, &mut self.disk);
            for Removal { path, made } in pipeline.take_removals() {
                if self.disk.look(&path) == Some(made) {
                    self.disk.0.remove(&path);
                }
            }
            while running.len() < course.at_once
                && let Some(order) = pipeline.take(random.once_in(2) || running.is_empty(), 3)
            {
                self.check_limits(&order, &running)?;
                running.push(order);
            }
            if course.death.is_some_and(|death| steps >= death) {
                self.die(running, &mut notes, random)?;
                self.remember(None, notes);
                return Ok(ran);
            }
            steps += 1;
            if running.is_empty() {
                match pipeline.has_undecided() {
                    true => continue,
                    false => break,
                }
            }
            let order = running.swap_remove(random.below(running.len() as u64) as usize);
            let what = String::from_utf8_lossy(&order.value).into_owned();
            let fails = course.failures.is_some_and(|failures| random.once_in(failures));
            self.clock += 1;
            let step = TaskStep::of(&order, self.clock);
            let ended = match fails {
                true => {
                    let fate = StepFate::Failed;
                    step.note(fate.clone(), pipeline.history_mut());
                    notes.push((step, fate));
                    TaskEnd::Failed
                }
                false => {
                    let (made, values) = self.execute(&order)?;
                    let fate = succeeded(made, &values);
                    let made = made.or(step.ran());
                    step.note(fate.clone(), pipeline.history_mut());
                    notes.push((step, fate));
                    if self.bug == Some(Bug::RemovesTooEarly) {
                        self.remove_what_was_read(&order);
                    }
                    TaskEnd::Succeeded { made, values }
                }
            };
            ran.push(what);
            pipeline.ended(order.task, ended);
        }
        self.remember(Some(pipeline.history().clone()), notes);
        match pipeline.is_over() {
            true => Ok(ran),
            false => Err(format!("tasks wait for ever after {ran:?}\n{}", self.plan.text(true))),
        }
    }

    /// What the next run knows: the history that this one has written, unless it died, and what its
    /// journal says.
    fn remember(&mut self, written: Option<History>, notes: Vec<(TaskStep, StepFate)>) {
        self.history = written.unwrap_or_else(|| std::mem::take(&mut self.history));
        notes.into_iter().for_each(|(step, fate)| step.note(fate, &mut self.history));
    }

    fn check_limits(&self, order: &TaskOrder, running: &[TaskOrder]) -> Result<(), String> {
        let stage = &self.plan.0[order.task.stage];
        let beside = running.iter().filter(|other| other.task.stage == order.task.stage).count();
        match stage.max {
            Some(max) if beside as u64 >= max => Err(format!("more than {max} at once")),
            _ => Ok(()),
        }
    }

    /// What a task reads.
    fn reads(order: &TaskOrder) -> Vec<Vec<u8>> {
        match (&order.lists, &order.arguments) {
            (Some(lists), _) => lists.paths.clone(),
            (None, Some(joined)) => arguments::split(joined).map(<[u8]>::to_vec).collect(),
            (None, None) => Vec::new(),
        }
    }

    /// Does what a task does: its output depends on its command and on all that it reads.
    fn execute(&mut self, order: &TaskOrder) -> Result<(Option<Made>, Vec<Vec<u8>>), String> {
        let what = String::from_utf8_lossy(&order.value).into_owned();
        let stage = self.plan.0[order.task.stage].clone();
        let mut content = Random::new(stage.version).draw();
        for path in World::reads(order) {
            let is_file = path.starts_with(b"in/") || path.starts_with(b"o/");
            let read = match self.disk.0.get(&path) {
                Some(file) => file.content,
                None if is_file => {
                    let path = String::from_utf8_lossy(&path);
                    let text = self.plan.text(true);
                    return Err(format!("{what} reads {path}, which is not there\n{text}"));
                }
                None => u64::from(crc32fast::hash(&path)),
            };
            content = Random::new(content ^ read).draw();
        }
        if stage.emits {
            let item = match what.split_once(": ") {
                Some((_, item)) => item.rsplit('/').next().unwrap_or_default().to_owned(),
                None => format!("x{}", order.task.stage),
            };
            let value = |n| format!("{item}.{}.{n}", content % 3).into_bytes();
            return Ok((None, (0..content % 4).map(value).collect()));
        }
        if !stage.has_out {
            return Ok((None, Vec::new()));
        }
        let item = what.split_once(": ").map_or("", |(_, item)| item);
        let base = item.rsplit('/').next().unwrap_or_default();
        let path = self.plan.out(order.task.stage).replace("{item/}", base);
        Ok((Some(self.write(path.into(), content)), Vec::new()))
    }

    fn remove_what_was_read(&mut self, order: &TaskOrder) {
        for path in World::reads(order) {
            let text = String::from_utf8_lossy(&path).into_owned();
            let at = text.strip_prefix("o/").and_then(|rest| rest.split('/').next()?.parse().ok());
            if at.is_some_and(|at: usize| self.plan.0[at].temporary) {
                self.disk.0.remove(&path);
            }
        }
    }

    /// msup is killed. Of each task that runs, the output may just have been placed.
    fn die(
        &mut self,
        running: Vec<TaskOrder>,
        notes: &mut Vec<(TaskStep, StepFate)>,
        random: &mut Random,
    ) -> Result<(), String> {
        let alone = u32::from(running.len() == 1);
        for order in running {
            let fate = if random.once_in(3) {
                let (made, values) = self.execute(&order)?;
                succeeded(made, &values)
            } else {
                let unfinished =
                    Unfinished { attempts: 1, is_suspect: true, alone, ..Unfinished::default() };
                StepFate::Unfinished(unfinished)
            };
            self.clock += 1;
            notes.push((TaskStep::of(&order, self.clock), fate));
        }
        Ok(())
    }

    /// Compares all outputs with those of a first run in a clean folder.
    fn judge(&mut self, random: &mut Random) -> Result<(), String> {
        let mut clean = World {
            plan: self.plan.clone(),
            disk: Disk::default(),
            clock: 0,
            history: History::default(),
            bug: None,
        };
        let inputs = self.disk.0.iter().filter(|(path, _)| path.starts_with(b"in/"));
        for (path, file) in inputs {
            clean.write(path.clone(), file.content);
        }
        clean.run(&Course { at_once: 3, failures: None, death: None }, random)?;
        let shown = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
        for (path, file) in &clean.disk.0 {
            let own = self.disk.0.get(path).map(|own| own.content);
            if own != Some(file.content) {
                let text = self.plan.text(true);
                return Err(format!("{}: {own:?}, not {}\n{text}", shown(path), file.content));
            }
        }
        for path in self.disk.0.keys().filter(|path| path.starts_with(b"o/")) {
            let text = shown(path);
            let at = text.split('/').nth(1).and_then(|at| at.parse::<usize>().ok());
            let is_temporary = at.is_some_and(|at| self.plan.0[at].temporary);
            // What was made of items that are gone is left alone.
            if is_temporary && self.is_of_an_item(&text) {
                return Err(format!("{text} is left\n{}", self.plan.text(true)));
            }
        }
        Ok(())
    }

    /// Whether the item of this output is still one.
    fn is_of_an_item(&self, output: &str) -> bool {
        let item = output.rsplit('/').next().unwrap_or_default();
        self.disk.0.contains_key(format!("in/{item}").as_bytes())
    }
}

fn succeeded(made: Option<Made>, values: &[Vec<u8>]) -> StepFate {
    StepFate::Succeeded { made, values: values.to_vec(), seconds: 1.0 }
}

/// Joins do not know of their last parents.
fn forget_parents(graph: &mut Graph) {
    for id in 0..graph.stages.len() {
        let Feed::After(parents) = &mut graph.stages[id].feed else { continue };
        if parents.len() < 2 {
            continue;
        }
        let Some(forgotten) = parents.pop() else { continue };
        graph.stages[forgotten.stage].readers.retain(|reader| *reader != id);
    }
}
