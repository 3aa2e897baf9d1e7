//! Commands compute in long turns, and nothing else about how they are scheduled is changed.

use std::process::Command;

use msup_protocol::timeslice::{OF_COMMANDS, is_supported, of};
use msup_tests::{Sandbox, program, run};

fn printed(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn commands_have_long_turns_and_workers_the_usual_ones() {
    let sandbox = Sandbox::new();
    let shown = printed(sandbox.msup(["-q"]).arg(program("shows_timeslice")).args([":::", "x"]));
    let usual = of(0).as_millis();
    let long = if is_supported() { usual.max(OF_COMMANDS.as_millis()) } else { usual };
    assert_eq!(shown, format!("{long} {usual}"));
}

#[test]
fn niceness_stays() {
    let sandbox = Sandbox::new();
    let mut nice = sandbox.command("nice");
    assert_eq!(
        printed(nice.args(["-n", "7"]).arg(program("msup")).args(["-q", "nice # {}", ":::", "x"])),
        "7"
    );
}

/// A user that runs msup only while the CPU is idle means its commands, too.
#[test]
fn a_policy_that_was_chosen_stays() {
    let sandbox = Sandbox::new();
    for (flag, name) in [("-i", "SCHED_IDLE"), ("-b", "SCHED_BATCH")] {
        let mut chrt = sandbox.command("chrt");
        let script = "chrt -p $$ # {}";
        let shown =
            printed(chrt.args([flag, "0"]).arg(program("msup")).args(["-q", script, ":::", "x"]));
        assert!(shown.contains(name), "{shown}");
    }
}
