//! Charges tokens to commands: tokens follow the CPU use of commands.

use msup_protocol::layout::Shared;
use msup_protocol::packed::WorkerId;
use msup_protocol::park::Futex;
use msup_protocol::token::{Freed, Sighting, State};

use super::sampler::Gauge;

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
struct Account {
    worker: WorkerId,
    command: i32,
    cpus: f64,
    /// Whether its use is known, not presumed.
    is_known: bool,
    words: Vec<Sighting>,
}

/// Moves tokens from commands that do not use them to those that use more than they have. Returns
/// the number of tokens still owed to commands.
pub(super) fn settle(shared: &Shared<'_>, gauges: &[Option<Gauge>], procs: u32) -> u32 {
    let (mut accounts, mut free) = accounts(shared, gauges);
    // The commands that use most beyond their tokens come first.
    accounts.sort_by(|one, other| other.lacks().total_cmp(&one.lacks()));
    let mut spare: Vec<Sighting> = accounts
        .iter()
        .filter(|account| account.cpus + 1.0 - SPARES < account.words.len() as f64 + 1e-9)
        .filter_map(|account| account.words.last().copied())
        .collect();
    let mut owed = 0;
    for account in &accounts {
        let mut lacks = account.lacks();
        while lacks >= NEEDS {
            lacks -= 1.0;
            let Some(at) = free.pop().or_else(|| spare.pop()) else {
                owed += u32::from(account.is_known);
                continue;
            };
            charge(shared, at, account);
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
        let Some(at) = free.pop() else { break };
        charge(shared, at, account);
    }
    if !shared.tasks.any_ready() {
        // No ready task could use them, so they may be idle.
        for at in spare {
            let _ = shared.tokens.discharge(at);
        }
    }
    let computing = gauges.iter().flatten().filter(|gauge| gauge.wants >= COMPUTES).count() as u32;
    owed.max(computing.saturating_sub(procs))
}

impl Account {
    fn lacks(&self) -> f64 {
        self.cpus - self.words.len() as f64
    }
}

fn accounts(shared: &Shared<'_>, gauges: &[Option<Gauge>]) -> (Vec<Account>, Vec<Sighting>) {
    let mut accounts: Vec<Account> = (0..)
        .zip(gauges)
        .filter_map(|(worker, gauge)| {
            let Gauge { pid, cpus, windows, .. } = gauge.as_ref()?;
            let is_known = *windows >= KNOWN_AFTER;
            Some(Account { worker, command: *pid, cpus: *cpus, is_known, words: Vec::new() })
        })
        .collect();
    let mut free = Vec::new();
    for at in shared.tokens.sight() {
        match at.seen.state() {
            Some(State::Idle) => free.push(at),
            Some(State::Foreign) => {
                let owner = at.seen.owner();
                let account = accounts.iter_mut().find(|account| Some(account.worker) == owner);
                account.into_iter().for_each(|account| account.words.push(at));
            }
            _ => {}
        }
    }
    (accounts, free)
}

/// Charges one more token to a command, unless it has just exited.
fn charge(shared: &Shared<'_>, at: Sighting, account: &Account) {
    let Some(charged) = shared.tokens.charge(at, account.worker) else { return };
    let slot = shared.line.slot(account.worker);
    if slot.is_some_and(|slot| slot.command().cast_signed() == account.command) {
        return;
    }
    // Its worker may have looked for its tokens before this one came.
    if let Some(Freed::Idle(_)) = shared.tokens.discharge(charged) {
        shared.pass_on(&Futex, None);
    }
}
