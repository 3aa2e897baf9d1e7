//! Where the values come from, and how they are separated.

use std::ffi::OsString;
use std::fs::File;
use std::io::{IsTerminal, Write, stderr};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::earlier_times::JobLog;
use super::logs::Continued;
use super::other_tools;
use crate::input::{Format, Source};
use crate::journal::KeptInput;

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
) -> Result<(Vec<OsString>, Option<Vec<OsString>>), String> {
    if !literal {
        other_tools::refuse_separators(&words)?;
    }
    let Some(at) = words.iter().position(|word| word == ":::") else { return Ok((words, None)) };
    let mut command = words;
    let values = command.split_off(at).split_off(1);
    if !literal && values.iter().any(|value| value == ":::") {
        return Err("a second ':::': msup takes one list of values: write the combinations out, \
                    one a line, and read them with -a FILE (--literal takes ':::' as a value)"
            .into());
    }
    Ok((command, Some(values)))
}

/// What was typed after `:::`, or the file of `-a`, or standard input. Opens the file.
///
/// # Errors
/// One line that says what is wrong.
pub(super) fn source(
    file: Option<PathBuf>,
    values: Option<Vec<OsString>>,
) -> Result<Source, String> {
    match (file, values) {
        (Some(_), Some(_)) => Err("-a and ':::' both give values: use one of them".into()),
        (Some(path), None) if path == Path::new("-") => source(None, None),
        (Some(path), None) => match File::open(&path) {
            Ok(file) if file.metadata().is_ok_and(|meta| meta.is_dir()) => {
                Err(format!("-a {}: is a directory", path.display()))
            }
            Ok(file) => Ok(Source::File(file, path)),
            Err(why) => Err(format!("-a {}: {why}", path.display())),
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
/// One line that says which values are missing or damaged.
pub(super) fn source_again(
    continued: &mut Continued,
    arg_file: Option<PathBuf>,
    values: Option<Vec<OsString>>,
) -> Result<(Source, bool), String> {
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
        let kept = kept.map_err(|why| format!("{}: {why}", path.display()))?;
        // A power cut may have left the record that all were read, and not all of them.
        continued.cut_off = past.inputs.is_none_or(|total| kept.values < total);
        continued.missing = kept.missing;
        return Ok((Source::Kept(spool, path, kept.parts), true));
    }
    if !past.kept.is_empty() {
        let path = continued.folder.inputs();
        let why = "the values of this run were kept here and are gone: give them with -a FILE";
        return Err(format!("{}: {why}", path.display()));
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
        assert_eq!(split(words("a b")), Ok((words("a b"), None)));
        assert_eq!(split(words("a ::: b c")), Ok((words("a"), Some(words("b c")))));
        assert_eq!(split(words(":::")), Ok((vec![], Some(vec![]))));
        assert!(split(words("a ::: b ::: c")).is_err());
    }
}
