//! Charges tokens to commands: tokens follow the CPU use of commands.

use msup_protocol::layout::Shared;
use msup_protocol::packed::WorkerId;
use msup_protocol::park::Futex;
use msup_protocol::token::{Freed, Sighting, State, Tokens};

use super::gauges::{Gauge, Gauges};

/// A command whose CPU use exceeds its tokens by this much gets one more.
const NEEDS: f64 = 0.6;
/// A command that uses less than this of a token does not need it.
const SPARES: f64 = 0.2;

/// A command that could run in at least this share of the samples computes and does not wait. Where
/// more commands compute than there are tokens, they share the CPUs, and each seems to use little.
const COMPUTES: f64 = 0.95;

/// A command is known after this number of windows. Until then it is presumed to compute.
const KNOWN_AFTER: u32 = 4;

/// A command, the CPUs it uses, and its tokens.
#[derive(Debug)]
struct Account {
    worker: WorkerId,
    command: i32,
    cpus: f64,
    /// Whether its use is known, not presumed.
    is_known: bool,
    /// Whether it was seen to compute all the time.
    computes: bool,
    words: Vec<Sighting>,
}

impl Account {
    fn lacks(&self) -> f64 {
        self.cpus - self.words.len() as f64
    }

    /// Whether it uses so little of its last token that it does not need it.
    fn spares_one(&self) -> bool {
        self.cpus + 1.0 - SPARES < self.words.len() as f64 + 1e-9
    }
}

/// One more token for a command.
#[derive(Debug, PartialEq, Eq)]
struct Charge {
    token: Sighting,
    worker: WorkerId,
    command: i32,
}

/// What is to be done, decided from one look at the tokens.
#[derive(Debug, Default, PartialEq, Eq)]
struct Balance {
    charges: Vec<Charge>,
    /// Tokens of commands that do not need them.
    spare: Vec<Sighting>,
    /// Tokens still owed to commands.
    owed: u32,
}

/// Moves tokens from commands that do not use them to those that use more than they have. Returns
/// the number of tokens still owed to commands. `passes_on`: tokens that are not used go to workers
/// that wait for one, as in task loops; else commands are started without tokens instead.
pub(super) fn settle(shared: &Shared<'_>, gauges: &Gauges, procs: u32, passes_on: bool) -> u32 {
    let (accounts, free) = accounts(shared.tokens, gauges);
    let Balance { charges, spare, owed } = Balance::of(accounts, free, procs);
    for charge in &charges {
        charge.carry_out(shared);
    }
    if passes_on || !shared.tasks.any_ready() {
        // In task loops they are passed on. Else no ready task could use them: they may be idle.
        for at in spare {
            if let Some(Freed::Idle(_)) = shared.tokens.discharge(at)
                && passes_on
            {
                shared.pass_on(&Futex, None);
            }
        }
    }
    owed
}

impl Balance {
    /// `free`: idle tokens; `procs`: the number of tokens there should be.
    fn of(mut accounts: Vec<Account>, mut free: Vec<Sighting>, procs: u32) -> Balance {
        // The commands that use most beyond their tokens come first.
        accounts.sort_by(|one, other| other.lacks().total_cmp(&one.lacks()));
        let sparing = accounts.iter().filter(|account| account.spares_one());
        let mut spare: Vec<Sighting> =
            sparing.filter_map(|account| account.words.last().copied()).collect();
        let (mut charges, mut owed) = (Vec::new(), 0);
        for account in &accounts {
            let mut lacks = account.lacks();
            while lacks >= NEEDS {
                lacks -= 1.0;
                match free.pop().or_else(|| spare.pop()) {
                    Some(token) => charges.push(Charge::of(account, token)),
                    None => owed += u32::from(account.is_known),
                }
            }
        }
        // Where many share the CPUs, none uses a whole token, but together they do.
        let little = || accounts.iter().filter(|account| account.lacks() < NEEDS);
        let mut together = little().map(Account::lacks).sum::<f64>();
        for account in little().filter(|account| account.words.is_empty()) {
            if together < NEEDS {
                break;
            }
            together -= 1.0;
            let Some(token) = free.pop() else { break };
            charges.push(Charge::of(account, token));
        }
        let computing = accounts.iter().filter(|account| account.computes).count() as u32;
        Balance { charges, spare, owed: owed.max(computing.saturating_sub(procs)) }
    }
}

impl Charge {
    fn of(account: &Account, token: Sighting) -> Charge {
        Charge { token, worker: account.worker, command: account.command }
    }

    /// Charges the token to the command, unless that has just exited.
    fn carry_out(&self, shared: &Shared<'_>) {
        let Some(charged) = shared.tokens.charge(self.token, self.worker) else { return };
        let slot = shared.line.slot(self.worker);
        if slot.is_some_and(|slot| slot.command().cast_signed() == self.command) {
            return;
        }
        // Its worker may have looked for its tokens before this one came.
        if let Some(Freed::Idle(_)) = shared.tokens.discharge(charged) {
            shared.pass_on(&Futex, None);
        }
    }
}

/// The commands with the tokens charged to them, and the idle tokens.
fn accounts(tokens: Tokens<'_>, gauges: &Gauges) -> (Vec<Account>, Vec<Sighting>) {
    let account = |(worker, gauge): (WorkerId, &Gauge)| Account {
        worker,
        command: gauge.pid,
        cpus: gauge.cpus,
        is_known: gauge.windows >= KNOWN_AFTER,
        computes: gauge.wants >= COMPUTES,
        words: Vec::new(),
    };
    // Ascending by worker, as the gauges are.
    let mut accounts: Vec<Account> = gauges.each().map(account).collect();
    let mut free = Vec::new();
    for at in tokens.sight() {
        match at.seen.state() {
            Some(State::Idle) => free.push(at),
            Some(State::Foreign) => {
                let owner = at.seen.owner().and_then(|owner| {
                    accounts.binary_search_by_key(&owner, |account| account.worker).ok()
                });
                owner.into_iter().for_each(|owner| accounts[owner].words.push(at));
            }
            _ => {}
        }
    }
    (accounts, free)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use msup_protocol::layout::Sizes;
    use msup_protocol::segment::{self, Segment};

    use super::*;
    use crate::measure::gauges::{Children, Reading};
    use crate::measure::survey::Activity;

    const TOKENS: u32 = 2;

    /// Recorded: microseconds since a command's start, and its CPU time. One computes, on
    /// CPUs that other processes use too. One sleeps.
    const COMPUTES: [(u64, u64); 8] = [
        (76_873, 20_618),
        (124_745, 34_850),
        (165_211, 46_264),
        (212_762, 57_669),
        (260_770, 70_895),
        (304_694, 82_459),
        (348_871, 95_165),
        (398_718, 109_580),
    ];
    const SLEEPS: [(u64, u64); 8] = [
        (58_526, 18_521),
        (98_941, 18_521),
        (139_332, 18_521),
        (179_785, 18_521),
        (220_232, 18_521),
        (270_647, 26_923),
        (314_697, 28_563),
        (358_685, 28_563),
    ];
    /// A command that has a CPU to itself.
    const FILLS: [(u64, u64); 4] =
        [(40_000, 39_900), (80_000, 79_900), (120_000, 119_800), (160_000, 159_800)];

    struct Stage {
        segment: Segment,
        gauges: Gauges,
    }

    impl Stage {
        fn new() -> Stage {
            let sizes = Sizes { tokens: TOKENS, workers: 8, tasks: 4, cell_bytes: 128 };
            let (segment, _fd) = segment::create(sizes, TOKENS, "1", 0).expect("created");
            Stage { segment, gauges: Gauges::new(8) }
        }

        /// A worker runs a command that was measured like this.
        fn runs(&mut self, worker: WorkerId, windows: &[(u64, u64)]) {
            let command = 100 + i32::from(worker);
            let slot = self.segment.shared().line.slot(worker).expect("a slot");
            slot.set_command(command.cast_unsigned());
            let (began, mut before) = (Instant::now(), 0);
            let gauge = self.gauges.of(worker, command, began, || true).expect("a child");
            for (at, used) in windows {
                let own = Some(Duration::from_micros(*used));
                let span = Duration::from_micros(at - before);
                let now = began + Duration::from_micros(*at);
                gauge.sample(Reading { own, children: Children::None }, span, now);
                before = *at;
            }
        }

        /// A worker's command has one more token.
        fn charge(&self, worker: WorkerId) {
            let tokens = self.segment.shared().tokens;
            let held = tokens.acquire(worker).expect("idle");
            tokens.begin_foreign(worker, held).expect("its own");
        }

        /// The tokens still owed, and the workers that have the others; `None`: it is idle.
        fn settle(&self) -> (u32, Vec<Option<WorkerId>>) {
            self.settle_for(false)
        }

        fn settle_for(&self, passes_on: bool) -> (u32, Vec<Option<WorkerId>>) {
            let shared = self.segment.shared();
            let owed = settle(&shared, &self.gauges, TOKENS, passes_on);
            let owner = |at: Sighting| {
                (at.seen.state() == Some(State::Foreign)).then(|| at.seen.owner()).flatten()
            };
            let mut owners: Vec<_> = shared.tokens.sight().map(owner).collect();
            owners.sort_unstable();
            (owed, owners)
        }
    }

    #[test]
    fn a_token_goes_from_a_command_that_sleeps_to_one_that_computes() {
        let mut stage = Stage::new();
        stage.runs(1, &SLEEPS);
        stage.runs(2, &FILLS);
        stage.charge(2);
        stage.charge(1);
        stage.runs(3, &FILLS);
        assert_eq!(stage.settle(), (0, vec![Some(2), Some(3)]));
        stage.runs(4, &SLEEPS);
        assert_eq!(stage.settle(), (0, vec![Some(2), Some(3)]), "it does not use one");
    }

    #[test]
    fn an_idle_token_is_charged_first() {
        let mut stage = Stage::new();
        stage.runs(1, &SLEEPS);
        stage.charge(1);
        stage.runs(2, &FILLS);
        assert!(stage.segment.shared().tasks.publish(0).is_some());
        assert_eq!(stage.settle(), (0, vec![Some(1), Some(2)]));
    }

    #[test]
    fn a_spare_token_is_idle_if_no_task_is_ready() {
        let mut stage = Stage::new();
        stage.runs(1, &SLEEPS);
        stage.charge(1);
        assert!(stage.segment.shared().tasks.publish(0).is_some());
        assert_eq!(stage.settle(), (0, vec![None, Some(1)]), "the next task begins with it");
        assert!(stage.segment.shared().tasks.withdraw(0));
        assert_eq!(stage.settle(), (0, vec![None, None]));
    }

    #[test]
    fn in_a_task_loop_only_a_child_that_computes_keeps_its_token() {
        let mut stage = Stage::new();
        stage.runs(1, &SLEEPS);
        stage.charge(1);
        stage.runs(2, &FILLS);
        stage.charge(2);
        assert!(stage.segment.shared().tasks.publish(0).is_some());
        assert_eq!(stage.settle_for(true), (0, vec![None, Some(2)]));
    }

    #[test]
    fn commands_that_are_presumed_to_compute_are_owed_nothing() {
        // The third uses a little less, so it is the one that gets no token.
        let windows = FILLS.map(|(at, used)| (at, used * 9 / 10));
        let third = |windows: &[_]| {
            let mut stage = Stage::new();
            stage.runs(1, &FILLS);
            stage.runs(2, &FILLS);
            stage.runs(3, windows);
            let (owed, owners) = stage.settle();
            assert!(owners.iter().all(Option::is_some), "{owners:?}");
            owed
        };
        let known = [&windows[..1], &windows[..3], &windows].map(third);
        assert_eq!(known, [0, 0, 1], "at the fourth window it is known");
    }

    /// Four commands share what other processes leave them of two CPUs.
    #[test]
    fn commands_that_each_use_little_need_tokens_together() {
        let mut stage = Stage::new();
        stage.runs(0, &COMPUTES);
        assert_eq!(stage.settle(), (0, vec![None, None]), "a third of a token");
        stage.runs(1, &COMPUTES);
        assert_eq!(stage.settle().1.iter().flatten().count(), 1, "two thirds");
        (2..5).for_each(|worker| stage.runs(worker, &COMPUTES));
        let (owed, owners) = stage.settle();
        assert_eq!((owed, owners.iter().flatten().count()), (0, 2));
        // All could run each time they were asked: they only lack CPUs.
        let activity = Activity { is_runnable: true, resident: 0 };
        for worker in 0..5 {
            (0..20).for_each(|_| stage.gauges.note(worker, activity));
        }
        assert_eq!(stage.settle().0, 5 - TOKENS);
    }

    #[test]
    fn the_command_that_lacks_most_comes_first() {
        let mut stage = Stage::new();
        stage.runs(1, &FILLS);
        stage.charge(1);
        // Two threads.
        stage.runs(2, &FILLS.map(|(at, used)| (at, 2 * used)));
        stage.runs(3, &FILLS);
        assert_eq!(stage.settle(), (2, vec![Some(1), Some(2)]), "both lack one more");
    }

    #[test]
    fn a_command_that_has_just_exited_gets_no_token() {
        let mut stage = Stage::new();
        stage.runs(1, &FILLS);
        stage.segment.shared().line.slot(1).expect("a slot").set_command(0);
        assert_eq!(stage.settle(), (0, vec![None, None]));
    }
}
