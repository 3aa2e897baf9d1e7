//! Reading the lines of `--schedtrace`.

use std::collections::BTreeMap;

/// The numbers of one line; those with a decimal point are in thousandths.
pub type Line = BTreeMap<String, u64>;

/// The trace lines in `msup`'s standard error, without a last incomplete one.
///
/// # Panics
/// If a line begins like a trace line but is none.
#[must_use]
pub fn lines(text: &str) -> Vec<Line> {
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    whole.lines().filter(|line| line.starts_with("MSUP ")).map(fields).collect()
}

/// The `name=number` pairs of a trace line after its `MSUP 104ms:`, and that time as `at_ms`.
fn fields(line: &str) -> Line {
    let (at, rest) = line.split_once(": ").expect("a time, then fields");
    let at = at.strip_prefix("MSUP ").and_then(|at| at.strip_suffix("ms")).expect(line);
    let fields = rest.split(' ').map(|field| field.split_once('=').expect("name=value"));
    // The reason for the target is a word.
    let fields = fields.filter(|(name, _)| *name != "limit");
    let number = |(name, value): (&str, &str)| {
        let whole = || value.parse::<u64>().expect("a number");
        let thousandths = || (value.parse::<f64>().expect("a number") * 1000.0) as u64;
        (name.to_owned(), if value.contains('.') { thousandths() } else { whole() })
    };
    fields.chain([("at_ms", at)]).map(number).collect()
}

/// CPU seconds that commands have used, according to the lines.
#[must_use]
pub fn seconds_used(lines: &[Line]) -> f64 {
    let spans = lines.windows(2).map(|two| (two[1]["at_ms"] - two[0]["at_ms"], two[1]["used"]));
    spans.map(|(ms, used)| ms as f64 * used as f64 / 1e6).sum()
}
