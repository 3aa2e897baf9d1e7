//! Makes commands of the stages of a file.

use std::time::Duration;

use msup_protocol::codec::Program;
use toml::Spanned;

use super::checking::{self, Arguments};
use super::error::{BadPipeline, Wrong};
use super::file::{Action, PipelineFile, StageTable};
use super::graph::{Feed, Graph, StageId};
use super::keys::TaskKey;
use super::state::StageKind;
use crate::template::{OutTemplate, Reading, StageJob, Stages, Strings, Template};

/// What is known of a stage besides its table.
#[derive(Clone, Debug, Default)]
pub(crate) struct StageLimits {
    /// Bytes that each process may have.
    pub(crate) memory: Option<u64>,
    pub(crate) timeout: Option<Duration>,
    /// The program of `worker`.
    pub(crate) program: Option<Program>,
}

/// The commands of all stages.
///
/// # Errors
/// The first thing that is wrong with one.
pub(crate) fn of(
    file: &PipelineFile,
    graph: &Graph,
    reading: &Reading,
    limits: &[StageLimits],
) -> Result<(Stages, Vec<StageKind>), BadPipeline> {
    let arguments = checking::arguments(file, graph)?;
    let (mut jobs, mut kinds) = (Vec::new(), Vec::new());
    for (id, (table, arguments)) in file.stages.iter().zip(arguments).enumerate() {
        let job = job((file, graph), (id, table), arguments, (reading, limits[id].clone()))?;
        kinds.push(StageKind { arguments, command: TaskKey::of(&[&job.outline]) });
        jobs.push(job);
    }
    Ok((Stages::new(jobs), kinds))
}

fn job(
    (file, graph): (&PipelineFile, &Graph),
    (id, table): (StageId, &StageTable),
    arguments: Arguments,
    (reading, limits): (&Reading, StageLimits),
) -> Result<StageJob, BadPipeline> {
    let strings = strings(graph, id, arguments);
    let reading = Reading { strings: strings.clone(), ..reading.clone() };
    let action = table.run.as_ref().or(table.worker.as_ref());
    let span = action.map_or(0..0, Spanned::span);
    let wrong = |why| BadPipeline::new(&file.text, span.clone(), Wrong::Template(why));
    let action = action.map(|action| action.get_ref().clone());
    let action = action.unwrap_or_else(|| Action::Script(String::new()));
    let template = template(&action, &reading).map_err(wrong)?;
    let for_none = match arguments {
        Arguments::Inputs => {
            Some(Box::new(self::template(&without_inputs(&action), &reading).map_err(wrong)?))
        }
        Arguments::Parents { .. } | Arguments::Lists => None,
    };
    let out = table.out.as_ref().map(|out| {
        let text = out.get_ref().as_bytes();
        let parsed = match graph.stages[id].domain {
            super::graph::Domain::Single => OutTemplate::parse_for_one(text, &strings),
            _ => OutTemplate::parse(text, &strings),
        };
        parsed.map_err(|why| BadPipeline::new(&file.text, out.span(), Wrong::Out(why)))
    });
    let emits = graph.stages[id].emits;
    // By its name: the same shell may be in several folders.
    let shell = template.shell().unwrap_or_default();
    let shell = shell.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec();
    let text = canonical(&action, graph, id);
    let outline = [text.into_bytes(), shell, format!("{emits:?}{}", table.worker.is_some()).into()];
    Ok(StageJob {
        name: graph.stages[id].name.clone().into_bytes(),
        for_none,
        program: limits.program.map(Box::new),
        fields: graph.parents(id).len().max(1),
        outline: outline.join(&0),
        template,
        out: out.transpose()?,
        reads_lines: action_texts(&action).any(|text| text.contains("{list}")),
        memory: limits.memory,
        threads: table.threads.as_ref().map(|threads| *threads.get_ref()),
        timeout: limits.timeout,
    })
}

/// The replacement strings of a stage.
fn strings(graph: &Graph, id: StageId, arguments: Arguments) -> Strings {
    let mut strings = Strings::of(1);
    (strings.numbered, strings.explicit) = (None, true);
    match arguments {
        Arguments::Inputs => strings.whole = b"{inputs}".into(),
        Arguments::Lists => {
            strings.names = vec![(b"list".to_vec(), 1), (b"list0".to_vec(), 2)];
            strings.bare = Some(1);
        }
        Arguments::Parents { has_item } => {
            let parents = graph.parents(id).iter();
            let mut names: Vec<(Vec<u8>, i32)> = (1..)
                .zip(parents)
                .map(|(number, parent)| {
                    (graph.stages[parent.stage].name.clone().into_bytes(), number)
                })
                .collect();
            if has_item {
                names.push((b"item".to_vec(), names.len() as i32 + 1));
            }
            strings.names = names;
            strings.bare = Some(1);
        }
    }
    strings
}

fn template(
    action: &Action,
    reading: &Reading,
) -> Result<Template, crate::template::TemplateError> {
    match action {
        Action::Script(script) => Template::from_words(vec![script.clone().into_bytes()], reading),
        Action::Words(words) if words.is_empty() => Template::from_words(Vec::new(), reading),
        Action::Words(words) => {
            let words: Vec<Vec<u8>> = words.iter().map(|word| word.clone().into_bytes()).collect();
            Template::several_words(&words, reading)
        }
    }
}

fn action_texts(action: &Action) -> impl Iterator<Item = &str> {
    match action {
        Action::Script(script) => std::slice::from_ref(script).iter(),
        Action::Words(words) => words.iter(),
    }
    .map(String::as_str)
}

/// The command where nothing was gathered.
fn without_inputs(action: &Action) -> Action {
    match action {
        Action::Script(script) => Action::Script(script.replace("{inputs}", "")),
        Action::Words(words) => {
            let words = words.iter().filter(|word| *word != "{inputs}");
            Action::Words(words.map(|word| word.replace("{inputs}", "")).collect())
        }
    }
}

/// The text of a command in which the names of stages do not matter.
fn canonical(action: &Action, graph: &Graph, id: StageId) -> String {
    let mut text = match action {
        Action::Script(script) => script.clone(),
        Action::Words(words) => format!("{words:?}"),
    };
    if let Feed::After(parents) = &graph.stages[id].feed {
        for (number, parent) in parents.iter().enumerate() {
            let name = &graph.stages[parent.stage].name;
            for end in ["}", ".}", "/}", "//}", "/.}"] {
                text = text.replace(&format!("{{{name}{end}"), &format!("{{{}{end}", number + 1));
            }
        }
    }
    text
}
