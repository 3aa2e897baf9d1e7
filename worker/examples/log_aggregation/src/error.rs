//! Why a log has no report.

use std::io;

use crate::lines::LONGEST_LINE;

/// Lines are counted from 1. The text does not name the log: the caller knows it.
#[derive(Debug, thiserror::Error)]
pub enum BadLog {
    /// Its name tells the format, and this one does not.
    #[error("its name must end in .log, .jsonl, .log.gz or .jsonl.gz")]
    Name,
    /// The compressed data is damaged or cut off.
    #[error("it cannot be decompressed after line {after}: {why}")]
    Compression {
        /// The last line that was read; 0 if there was none.
        after: u64,
        /// What the decompression reports.
        why: io::Error,
    },
    /// A line that would need too much memory.
    #[error("line {0} is longer than {LONGEST_LINE} bytes")]
    LongLine(u64),
    /// A line with other bytes than UTF-8.
    #[error("line {0} is not UTF-8")]
    NotText(u64),
    /// A line of another format, or with an impossible value.
    #[error("line {0} has another format")]
    Format(u64),
    /// The report cannot be written as JSON.
    #[error("its report cannot be made: {0}")]
    Report(#[from] serde_json::Error),
}
