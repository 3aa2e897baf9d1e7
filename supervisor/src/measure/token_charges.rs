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
/// the number of tokens still owed to commands.
pub(super) fn settle(shared: &Shared<'_>, gauges: &Gauges, procs: u32) -> u32 {
    let (accounts, free) = accounts(shared.tokens, gauges);
    let Balance { charges, spare, owed } = Balance::of(accounts, free, procs);
    for charge in &charges {
        charge.carry_out(shared);
    }
    if !shared.tasks.any_ready() {
        // No ready task could use them, so they may be idle.
        for at in spare {
            let _ = shared.tokens.discharge(at);
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
    let mut accounts: Vec<Account> = gauges.each().map(account).collect();
    let mut free = Vec::new();
    for at in tokens.sight() {
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
