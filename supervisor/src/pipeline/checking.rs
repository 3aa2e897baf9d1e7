//! Checks what the commands and outputs of stages name, and finds out which arguments they get.

use std::ops::Range;

use toml::Spanned;

use super::error::{BadPipeline, Wrong};
use super::file::{Action, PipelineFile, StageTable};
use super::graph::{Domain, Feed, Graph, StageId};
use super::references::{GatherOnly, Reference, other_braces, references};

/// What a task of a stage gets as arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arguments {
    /// The outputs of its parents, and the value from the source if there is one.
    Parents { has_item: bool },
    /// All outputs of the stage that it gathers.
    Inputs,
    /// The names of two files with all these: one on each line, and with NUL bytes behind them.
    Lists,
}

/// Strings that are replaced in the commands of other runs, and have no meaning in pipelines.
const OF_COMMANDS: [&str; 5] = ["{..}", "{/..}", "{...}", "{+.}", "{+/}"];

/// What braces stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Item,
    Parent(StageId),
    Other,
}

/// The name of an output: what its braces stand for, with their forms, and the text around them.
type Pattern = (Vec<(Meaning, String)>, String);

/// A stage that is being checked.
struct Checked<'a> {
    file: &'a PipelineFile,
    graph: &'a Graph,
    id: StageId,
}

/// Checks all stages.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn arguments(file: &PipelineFile, graph: &Graph) -> Result<Vec<Arguments>, BadPipeline> {
    let mut outs: Vec<(StageId, Pattern)> = Vec::new();
    let mut arguments = Vec::with_capacity(graph.stages.len());
    for id in 0..graph.stages.len() {
        let checked = Checked { file, graph, id };
        checked.flags()?;
        arguments.push(checked.arguments()?);
        let Some(out) = &file.stages[id].out else { continue };
        let pattern = checked.out(out)?;
        let is_same = |other: &&(StageId, Pattern)| {
            let is_one_domain = graph.stages[other.0].domain == graph.stages[id].domain;
            is_one_domain && other.1 == pattern
        };
        if let Some((other, ..)) = outs.iter().find(is_same) {
            let why = Wrong::SameOut(graph.stages[*other].name.clone());
            return Err(checked.wrong(out.span(), why));
        }
        outs.push((id, pattern));
    }
    Ok(arguments)
}

impl Checked<'_> {
    fn table(&self) -> &StageTable {
        &self.file.stages[self.id]
    }

    fn wrong(&self, span: Range<usize>, why: Wrong) -> BadPipeline {
        BadPipeline::new(&self.file.text, span, why)
    }

    fn is_gather(&self) -> bool {
        matches!(self.graph.stages[self.id].feed, Feed::Gather(_))
    }

    fn has_item(&self) -> bool {
        self.graph.stages[self.id].domain != Domain::Single
    }

    /// Flags that need other stages.
    fn flags(&self) -> Result<(), BadPipeline> {
        let (table, stage) = (self.table(), &self.graph.stages[self.id]);
        if let (Some(temporary), true) = (&table.temporary, stage.readers.is_empty())
            && stage.temporary
        {
            return Err(self.wrong(temporary.span(), Wrong::TemporaryUnread));
        }
        let reads_each =
            |reader: &StageId| matches!(self.graph.stages[*reader].feed, Feed::After(_));
        if let Some(ahead) = &table.ahead
            && !stage.readers.iter().any(reads_each)
        {
            return Err(self.wrong(ahead.span(), Wrong::AheadOfNothing));
        }
        Ok(())
    }

    /// Checks the command.
    fn arguments(&self) -> Result<Arguments, BadPipeline> {
        let action = self.table().run.as_ref().or(self.table().worker.as_ref());
        let Some(action) = action else { return Ok(self.plain()) };
        let texts: Vec<&str> = match action.get_ref() {
            Action::Script(script) => vec![script],
            Action::Words(words) => words.iter().map(String::as_str).collect(),
        };
        let mut named = Vec::new();
        for text in texts {
            if let Some(other) = other_braces(text).find(|braces| OF_COMMANDS.contains(braces)) {
                return Err(self.wrong(action.span(), Wrong::InOut(other.to_owned())));
            }
            for reference in references(text) {
                let span = self.span(action, text, &reference);
                if self.table().worker.is_some() {
                    return Err(self.wrong(span, Wrong::Worker));
                }
                self.meaning(&reference, false).map_err(|why| self.wrong(span, why))?;
                named.push(reference.name);
            }
        }
        if named.contains(&"inputs") && named.iter().any(|name| matches!(*name, "list" | "list0")) {
            return Err(self.wrong(action.span(), Wrong::GatherOnly(GatherOnly::InputsOrList)));
        }
        Ok(match self.is_gather() {
            true if named.contains(&"inputs") => Arguments::Inputs,
            true => Arguments::Lists,
            false => self.plain(),
        })
    }

    fn plain(&self) -> Arguments {
        Arguments::Parents { has_item: self.has_item() }
    }

    /// Where a reference stands in the file.
    fn span<T>(&self, within: &Spanned<T>, text: &str, reference: &Reference<'_>) -> Range<usize> {
        let whole = within.span();
        let braces = &text[reference.at..reference.at + reference.len];
        // In a string with escapes it is found by what it looks like.
        let before = text[..reference.at].matches(braces).count();
        let found = self.file.text[whole.clone()].match_indices(braces).nth(before);
        found.map_or(whole.clone(), |(at, _)| whole.start + at..whole.start + at + braces.len())
    }

    /// What braces stand for; `None` if they are only text.
    fn meaning(&self, reference: &Reference<'_>, in_out: bool) -> Result<Option<Meaning>, Wrong> {
        let Reference { name, form, .. } = *reference;
        let stage = &self.graph.stages[self.id];
        let parents = self.graph.parents(self.id);
        let is_gather = self.is_gather();
        match name {
            "" if is_gather && form.is_empty() => Err(Wrong::GatherOnly(GatherOnly::NoValue)),
            "" if is_gather => Ok(None),
            "" => match parents {
                [] => Ok(Some(Meaning::Item)),
                [parent] => Ok(Some(Meaning::Parent(parent.stage))),
                several => {
                    let names =
                        several.iter().map(|one| self.graph.stages[one.stage].name.as_str());
                    Err(Wrong::Ambiguous(names.collect::<Vec<_>>().join(", ")))
                }
            },
            "item" if !self.has_item() => Err(Wrong::NoItem),
            "item" => Ok(Some(Meaning::Item)),
            "out" | "threads" if in_out => Err(Wrong::InOut(format!("{{{name}}}"))),
            "out" if !stage.has_out => Err(Wrong::NoOut),
            "out" | "threads" => Ok(Some(Meaning::Other)),
            "inputs" | "list" | "list0" if in_out => Err(Wrong::InOut(format!("{{{name}}}"))),
            "inputs" if !is_gather => Err(Wrong::GatherOnly(GatherOnly::Only("inputs"))),
            "list" if !is_gather => Err(Wrong::GatherOnly(GatherOnly::Only("list"))),
            "list0" if !is_gather => Err(Wrong::GatherOnly(GatherOnly::Only("list0"))),
            "inputs" | "list" | "list0" => Ok(Some(Meaning::Other)),
            name => {
                let known = self.graph.stages.iter().position(|stage| stage.name == name);
                let Some(id) = known else { return Ok(None) };
                match parents.iter().any(|parent| parent.stage == id) {
                    true => Ok(Some(Meaning::Parent(id))),
                    false => Err(Wrong::NotAParent(name.to_owned())),
                }
            }
        }
    }

    /// Checks the name of the output.
    fn out(&self, out: &Spanned<String>) -> Result<Pattern, BadPipeline> {
        let (span, text) = (out.span(), out.get_ref());
        if let Some(other) = other_braces(text).next() {
            let why = if other == "{#}" { Wrong::Number } else { Wrong::InOut(other.to_owned()) };
            return Err(self.wrong(span, why));
        }
        let (mut meanings, mut around, mut end) = (Vec::new(), String::new(), 0);
        for reference in references(text) {
            let place = || self.span(out, text, &reference);
            let meaning = self.meaning(&reference, true).map_err(|why| self.wrong(place(), why))?;
            let Some(meaning) = meaning else {
                let braces = text[reference.at..reference.at + reference.len].to_owned();
                return Err(self.wrong(place(), Wrong::InOut(braces)));
            };
            around += &text[end..reference.at];
            around.push('\0');
            end = reference.at + reference.len;
            // The value of a stage without parents is the item, by whatever name.
            meanings.push((meaning, reference.form.to_owned()));
        }
        around += &text[end..];
        if meanings.is_empty() && self.has_item() {
            return Err(self.wrong(span, Wrong::SameForAll));
        }
        Ok((meanings, around))
    }
}
