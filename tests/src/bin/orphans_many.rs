//! A worker whose task starts 120 shells, each of which leaves an orphan behind at once. It then
//! waits until neither it nor its supervisor has a child that has exited and is not reaped.

use std::process::{Command, ExitCode};
use std::time::Duration;

use msup_protocol::process_tree;
use msup_worker::{Outcome, run};

fn main() -> ExitCode {
    run(|_, ctx| {
        ctx.blocking(|| {
            for _ in 0..120 {
                Command::new("sh").args(["-c", "true &"]).status()?;
            }
            let own = std::process::id().cast_signed();
            let supervisor = process_tree::look_up(own).map_or(own, |kin| kin.parent);
            let zombies =
                |pid| process_tree::children_of(pid).iter().filter(|kin| kin.exited).count();
            while zombies(own) + zombies(supervisor) > 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok::<_, std::io::Error>(())
        })?;
        Ok(Outcome::done())
    })
}
