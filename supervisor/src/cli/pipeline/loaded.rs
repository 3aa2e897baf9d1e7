//! A pipeline file that was read.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::error::PipelineError;
use crate::cli::plan::Failures;
use crate::cli::{Refusal, concurrency, failures, stdio};
use crate::engine::Leave;
use crate::os::programs;
use crate::pipeline::{
    Action, BadPipeline, Graph, PipelineFile, Scalar, StageId, StageKind, StageLimits, Wrong,
    jobs_of,
};
use crate::template::{Reading, Stages, program_argv};

/// The folder with the histories of the pipelines of a folder.
pub(super) const HISTORIES: &str = ".msup";

/// A pipeline file, and where it is.
pub(super) struct Loaded {
    file: PipelineFile,
    /// As the user named it.
    named: PathBuf,
    /// The folder of its history, below that of the file.
    folder: PathBuf,
}

/// The folder of the history of a pipeline file, if this names one.
pub(in crate::cli) fn history_of(path: &Path) -> Option<PathBuf> {
    let is_pipeline = path.extension().is_some_and(|ending| ending == "toml") && path.is_file();
    let folder = path.parent().unwrap_or(Path::new("")).join(HISTORIES);
    is_pipeline.then(|| folder.join(path.file_stem().unwrap_or_default()))
}

impl Loaded {
    /// # Errors
    /// It cannot be read, or is wrong.
    pub(super) fn read(path: &Path) -> Result<Loaded, PipelineError> {
        let unreadable = |why| PipelineError::Unreadable { path: path.to_owned(), why };
        let text = fs::read(path).map_err(unreadable)?;
        let text = String::from_utf8(text).map_err(|_| PipelineError::NotText(path.to_owned()))?;
        let wrong = |why| PipelineError::Wrong { path: path.to_owned(), why };
        let file = PipelineFile::parse(text).map_err(wrong)?;
        let name = match path.extension() {
            Some(ending) if ending == "toml" => path.file_stem(),
            _ => path.file_name(),
        };
        let stem = name.map_or_else(OsString::new, OsString::from);
        Ok(Loaded { file, named: path.to_owned(), folder: Path::new(HISTORIES).join(stem) })
    }

    pub(super) fn text(&self) -> &str {
        &self.file.text
    }

    pub(super) fn file(&self) -> &PipelineFile {
        &self.file
    }

    pub(super) fn named(&self) -> &Path {
        &self.named
    }

    /// The folder of its history, from that of the file.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Goes to the folder of the file: what it names is there.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn enter(&self) -> Result<(), PipelineError> {
        match self.named.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => std::env::set_current_dir(folder).map_err(PipelineError::Here),
            None => Ok(()),
        }
    }

    /// That this is wrong at this place of the file.
    pub(super) fn wrong_at(&self, span: Range<usize>, why: String) -> PipelineError {
        self.wrong(BadPipeline::new(self.text(), span, Wrong::Value(why)))
    }

    /// The same for a stage: its output, or else what it waits for.
    pub(super) fn wrong_stage(&self, (stage, why): (StageId, String)) -> PipelineError {
        let table = &self.file.stages[stage];
        let out = table.out.as_ref().map(Spanned::span);
        let span = out.or_else(|| table.after.as_ref().map(Spanned::span));
        self.wrong_at(span.unwrap_or(table.name.span()), why)
    }

    fn wrong(&self, why: BadPipeline) -> PipelineError {
        PipelineError::Wrong { path: self.named.clone(), why }
    }

    /// Checks all of it, and makes commands of its stages.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(super) fn check(
        &self,
        reading: &Reading,
        failures: &Failures,
    ) -> Result<(Graph, Stages, Vec<StageKind>), Refusal> {
        let graph = Graph::of(&self.file).map_err(|why| self.wrong(why))?;
        let mut limits = self.limits()?;
        for (limits, table) in limits.iter_mut().zip(&self.file.stages) {
            let Some(worker) = &table.worker else { continue };
            let words: Vec<Vec<u8>> = match worker.get_ref().clone() {
                Action::Script(script) => vec![script.into_bytes()],
                Action::Words(words) => words.into_iter().map(String::into_bytes).collect(),
            };
            let argv = program_argv(&words, reading).map_err(|why| {
                self.wrong(BadPipeline::new(self.text(), worker.span(), Wrong::Template(why)))
            })?;
            let exits_within = match failures.leave {
                Leave::Wait(patience) => patience,
                Leave::Alone | Leave::Kill => Duration::ZERO,
            };
            let given = (exits_within, failures);
            limits.program = Some(stdio::program(argv, b'\n', limits.memory, given));
        }
        let made = jobs_of(&self.file, &graph, reading, &limits);
        let (stages, kinds) = made.map_err(|why| self.wrong(why))?;
        for (id, table) in self.file.stages.iter().enumerate() {
            let program = stages.get(id).template.fixed_program();
            let Some(program) = program else { continue };
            let path = Path::new(OsStr::from_bytes(program));
            let action = table.run.as_ref().or(table.worker.as_ref());
            let (Err(why), Some(action)) = (programs::find(path), action) else { continue };
            return Err(self.wrong_at(action.span(), why.to_string()).into());
        }
        Ok((graph, stages, kinds))
    }

    fn limits(&self) -> Result<Vec<StageLimits>, PipelineError> {
        let all = self.file.stages.iter().map(|table| {
            let memory = table.memory.as_ref().map(|memory| {
                let size = concurrency::size("memory", Some(&memory.get_ref().0)).ok().flatten();
                size.ok_or_else(|| self.bad(memory, "a size of at least 1M, such as 512M or 1.5G"))
            });
            let timeout = table.timeout.as_ref().map(|timeout| {
                let time = failures::time(&timeout.get_ref().0);
                let time = time.filter(|time: &Duration| !time.is_zero());
                time.ok_or_else(|| self.bad(timeout, "a time such as 30s or 5m"))
            });
            let (memory, timeout) = (memory.transpose()?, timeout.transpose()?);
            Ok(StageLimits { memory, timeout, program: None })
        });
        all.collect()
    }

    fn bad(&self, scalar: &Spanned<Scalar>, wanted: &str) -> PipelineError {
        self.wrong_at(scalar.span(), format!("must be {wanted}"))
    }

    /// The stage of this name.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn stage(&self, flag: &'static str, name: &str) -> Result<StageId, PipelineError> {
        let names = || self.file.stages.iter().map(|table| table.name.get_ref().as_str());
        names().position(|known| known == name).ok_or_else(|| {
            let known = names().collect::<Vec<_>>().join(", ");
            PipelineError::NoStage { flag, name: name.to_owned(), known }
        })
    }
}
