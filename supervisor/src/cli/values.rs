//! Where the values come from, and how they are separated.

use std::ffi::OsString;
use std::fs::File;
use std::io::{IsTerminal, Write, stderr};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::commands::resume_retry::ResumeError;
use super::earlier_times::JobLog;
use super::logs::Continued;
use super::usage::UsageError;
use super::{Refusal, other_tools};
use crate::input::{Format, Source};
use crate::journal::{JournalError, KeptInput};

/// The values, one for each task.
#[derive(Debug)]
pub(crate) struct Values {
    pub(crate) source: Source,
    pub(crate) format: Format,
    /// Start the longest first, as told by this.
    pub(crate) longest_first: Option<JobLog>,
}

/// The words before `:::`, and the values after it if there is one.
pub(super) fn split(
    words: Vec<OsString>,
    literal: bool,
) -> Result<(Vec<OsString>, Option<Vec<OsString>>), UsageError> {
    if !literal {
        other_tools::refuse_separators(&words)?;
    }
    let Some(at) = words.iter().position(|word| word == ":::") else { return Ok((words, None)) };
    let mut command = words;
    let values = command.split_off(at).split_off(1);
    if !literal && values.iter().any(|value| value == ":::") {
        return Err(UsageError::TwoLists);
    }
    Ok((command, Some(values)))
}

/// What was typed after `:::`, or the file of `-a`, or standard input. Opens the file.
///
/// # Errors
/// Both were given, or the file cannot be read.
pub(super) fn source(
    file: Option<PathBuf>,
    values: Option<Vec<OsString>>,
) -> Result<Source, UsageError> {
    match (file, values) {
        (Some(_), Some(_)) => Err(UsageError::TwoSources),
        (Some(path), None) if path == Path::new("-") => source(None, None),
        (Some(path), None) => match File::open(&path) {
            Ok(file) if file.metadata().is_ok_and(|meta| meta.is_dir()) => {
                Err(UsageError::ListIsFolder(path))
            }
            Ok(file) => Ok(Source::File(file, path)),
            Err(why) => Err(UsageError::File { flag: "-a", path, why }),
        },
        (None, Some(values)) => {
            Ok(Source::Arguments(values.into_iter().map(OsString::into_vec).collect()))
        }
        (None, None) => {
            if std::io::stdin().is_terminal() {
                let hint = "reading values from the terminal, one a line, until Ctrl-D";
                let _ = writeln!(stderr(), "msup: {hint}");
            }
            Ok(Source::Stdin)
        }
    }
}

/// The values of a run that continues, and whether NUL bytes separate them as they were kept.
///
/// # Errors
/// The values cannot be read, or were kept and are gone.
pub(super) fn source_again(
    continued: &mut Continued,
    arg_file: Option<PathBuf>,
    values: Option<Vec<OsString>>,
) -> Result<(Source, bool), Refusal> {
    if continued.retried.is_some() {
        return Ok((Source::Arguments(Vec::new()), false));
    }
    if let Some(path) = continued.arg_file.take() {
        return Ok((source(Some(path), None)?, false));
    }
    let past = &continued.past;
    if let Some(spool) = continued.folder.open_inputs()? {
        let path = continued.folder.inputs();
        let kept = KeptInput::check(&spool, &past.kept, past.inputs, &past.seed);
        let kept = kept.map_err(JournalError::at(&path))?;
        // A power cut may have left the record that all were read, and not all of them.
        continued.cut_off = past.inputs.is_none_or(|total| kept.values < total);
        continued.missing = kept.missing;
        return Ok((Source::Kept(spool, path, kept.parts), true));
    }
    if !past.kept.is_empty() {
        return Err(ResumeError::ValuesGone(continued.folder.inputs()).into());
    }
    Ok((source(arg_file, values)?, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_after_the_separator() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let split = |words| split(words, false);
        for (line, parts) in [
            ("a b", (words("a b"), None)),
            ("a ::: b c", (words("a"), Some(words("b c")))),
            (":::", (vec![], Some(vec![]))),
        ] {
            assert_eq!(split(words(line)).expect("one list"), parts, "{line}");
        }
        assert!(matches!(split(words("a ::: b ::: c")), Err(UsageError::TwoLists)));
    }
}
