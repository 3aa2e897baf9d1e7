//! What all forms of the example share: from the content of a log to a report, and from a report to
//! a file that is never half written. The forms differ only in what they run at once:
//! `src/bin/aggregate-logs.rs` is a worker for msup, `src/bin/aggregate-threads.rs` has threads,
//! `aggregate.py` and `go/main.go` are the same in Python and Go.

mod aggregate;
mod error;
mod lines;
mod record;
mod reports;

pub mod generate;

pub use aggregate::aggregate;
pub use error::BadLog;
pub use lines::LONGEST_LINE;
pub use reports::{report_path, write_atomically};
