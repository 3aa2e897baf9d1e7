//! Memory: what commands may have together, what each may have, and what happens when there is none
//! left.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use msup_tests::{Sandbox, program, run, summary};

/// A control group of the old kind that limits memory, for as long as this lives.
struct Group(PathBuf);

impl Group {
    /// `None` where this process may not make one.
    fn new(bytes: u64) -> Option<Group> {
        let folder = format!("/sys/fs/cgroup/memory/msup-test-{}", std::process::id());
        fs::create_dir(&folder).ok()?;
        let group = Group(folder.into());
        fs::write(group.0.join("memory.limit_in_bytes"), bytes.to_string()).ok()?;
        // With swap space the kernel would have to kill nothing. A kernel without swap may not have
        // this file either.
        let _ = fs::write(group.0.join("memory.swappiness"), "0");
        Some(group)
    }

    /// The same command, but in this group.
    fn holds(&self, command: &Command) -> Command {
        let mut inside = Command::new("sh");
        inside.args(["-c", "echo $$ >\"$0\" && exec \"$@\""]).arg(self.0.join("cgroup.procs"));
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                inside.env(name, value);
            }
        }
        inside.current_dir(command.get_current_dir().expect("the sandbox"));
        inside
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn commands_together_stay_within_the_budget() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "2", "--memory", "200M", "--summary", "s.json", "--"]);
    msup.arg(program("holds_memory")).args(["40", "{}", ":::"]);
    let output = run(msup.args(vec!["150"; 40]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = summary(&sandbox.path().join("s.json"));
    assert_eq!(summary["tasks"]["succeeded"], 40);
    let peak = summary["in_flight"]["peak"].as_u64().expect("a number");
    // One more than fits may start in the instant in which another one exits.
    assert!((3..=5).contains(&peak), "{peak} of 41 MiB each at once");
}

#[test]
fn a_command_that_never_fits_runs_alone() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "4", "--memory", "10M", "--summary", "s.json", "--"]);
    msup.arg(program("holds_memory")).args(["40", "{}", ":::"]);
    let output = run(msup.args(vec!["60"; 20]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = summary(&sandbox.path().join("s.json"));
    assert_eq!(summary["tasks"]["succeeded"], 20);
    let mean = summary["in_flight"]["mean"].as_f64().expect("a number");
    assert!(mean < 2.0, "{mean} at once, mostly one");
}

#[test]
fn a_command_gets_no_more_than_its_own_limit() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--mem-per-task", "32M", "--"]);
    msup.arg(program("holds_memory")).args(["{}", "1", ":::", "4", "64"]);
    let output = run(&mut msup);
    assert_eq!(output.status.code(), Some(1), "one of two");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--mem-per-task"), "{said}");
}

/// Two at once are too many, and the kernel kills one of them. Alone each has room.
#[test]
fn a_task_killed_for_lack_of_memory_runs_again_beside_fewer_others() {
    let Some(group) = Group::new(96 << 20) else {
        eprintln!("skipped: no control group of the old kind can be made here");
        return;
    };
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "2", "--summary", "s.json", "--"]);
    msup.arg(program("holds_memory")).args(["64", "{}", ":::"]).args(vec!["300"; 4]);
    let output = run(&mut group.holds(&msup));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("killed for lack of memory"), "{said}");
    let summary = summary(&sandbox.path().join("s.json"));
    assert_eq!(summary["tasks"]["succeeded"], 4);
    assert!(summary["tasks"]["attempts"].as_u64() > Some(4));
    assert_eq!(summary["tasks"]["quarantined"], 0);
}
