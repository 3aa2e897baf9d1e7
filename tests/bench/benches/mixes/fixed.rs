//! One mix with `xargs -P` for fixed numbers of processes, and the best of these numbers.

use std::io;

use msup_bench::report::{Report, row};

use crate::peers::{self, Outcome};
use crate::work::Work;

/// The numbers that are tried with xargs, as multiples of the number of tokens, and once more 200.
const TIMES: [u32; 6] = [1, 2, 4, 8, 16, 32];
pub(crate) const MANY: u32 = 200;

/// A run that takes this many times as long as the best so far is stopped. After two such runs in a
/// row, smaller numbers are not tried.
const TOO_SLOW: f64 = 1.15;
const TOO_MANY: u32 = 2;

/// A number is as good as the best one if its run takes at most this many times as long.
const AS_GOOD: f64 = 1.03;

/// The numbers to try when the user has not chosen any.
pub(crate) fn numbers(procs: u32, has_neighbour: bool) -> Vec<u32> {
    if has_neighbour {
        // More would only take the neighbour's CPU away.
        return vec![procs];
    }
    TIMES.map(|times| times * procs).into_iter().chain([MANY]).collect()
}

/// The runs that finished in time: the number of processes and the seconds, by number.
pub(crate) struct Fixed(Vec<(u32, f64)>);

impl Fixed {
    /// Runs the mix once with each of these numbers. `seconds` is what the work takes at full use
    /// of the CPUs.
    pub(crate) fn run(
        report: &mut Report,
        work: &Work,
        numbers: Vec<u32>,
        seconds: f64,
    ) -> io::Result<Fixed> {
        let mut fixed = Fixed(Vec::new());
        let mut too_slow = 0;
        // The largest first: it is mostly near the best, and runs far from that are stopped early.
        for number in numbers.into_iter().rev() {
            let limit = (fixed.shortest() * TOO_SLOW).min(seconds * 4.0 + 10.0);
            let name = format!("xargs -P{number}");
            if too_slow == TOO_MANY {
                println!("  {name:<44} not run");
                continue;
            }
            match peers::xargs(work, number, limit)? {
                Outcome::Took(wall) => {
                    fixed.0.push((number, wall));
                    too_slow = 0;
                    report.add(row("mixes", name, "s", wall));
                }
                Outcome::Late => {
                    // A large number may have been short of memory; a smaller one may not be.
                    too_slow += u32::from(!fixed.0.is_empty());
                    println!("  {name:<44} more than {limit:.1} s");
                }
                Outcome::Failed | Outcome::Absent => println!("  {name:<44} failed"),
            }
        }
        fixed.0.sort_by_key(|run| run.0);
        Ok(fixed)
    }

    fn shortest(&self) -> f64 {
        self.0.iter().map(|run| run.1).fold(f64::INFINITY, f64::min)
    }

    /// The number with the shortest run, and its seconds. `None` if no run finished.
    pub(crate) fn best(&self) -> Option<(u32, f64)> {
        self.0.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The smallest number that is as good as the best one.
    pub(crate) fn fewest_as_good(&self) -> Option<u32> {
        let limit = self.shortest() * AS_GOOD;
        self.0.iter().find(|run| run.1 <= limit).map(|run| run.0)
    }
}
