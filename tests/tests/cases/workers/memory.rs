//! Commands that the kernel kills because there is no memory left.

use std::fs;
use std::path::PathBuf;

use msup_tests::{Sandbox, program, run, summary};

/// A control group of the old kind that limits memory, for as long as this lives.
struct Group(PathBuf);

impl Group {
    /// `None`, and a word about it, where this process may not make one.
    fn new(name: &str, bytes: u64) -> Option<Group> {
        let folder = format!("/sys/fs/cgroup/memory/msup-{name}-{}", std::process::id());
        let made = fs::create_dir(&folder).is_ok();
        let group = Group(folder.into());
        if made && fs::write(group.0.join("memory.limit_in_bytes"), bytes.to_string()).is_ok() {
            // With swap space nothing would have to die. A kernel that has none may not have this
            // either.
            let _ = fs::write(group.0.join("memory.swappiness"), "0");
            return Some(group);
        }
        eprintln!("not tested: no control group of the old kind can be made here");
        None
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Three at once are too many, two may be, and alone each has room, however many were asked for.
fn with_less_company(name: &str, arguments: &[&str]) {
    let Some(group) = Group::new(name, 96 << 20) else { return };
    let sandbox = Sandbox::new();
    let mut shell = sandbox.command("sh");
    shell.args(["-c", "echo $$ >\"$0\" && exec \"$@\""]).arg(group.0.join("cgroup.procs"));
    shell.arg(program("msup")).args(arguments).args(["--summary", "s.json", "--"]);
    shell.arg(program("holds_memory")).args(["64", "{}", ":::"]).args(vec!["300"; 6]);
    let output = run(&mut shell);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let summary = summary(&sandbox.path().join("s.json"));
    assert_eq!(summary["tasks"]["succeeded"], 6, "{said}");
    assert!(summary["tasks"]["attempts"].as_u64() > Some(6), "none was killed: {said}");
}

#[test]
fn a_fixed_number_of_jobs_gets_less_company_after_an_out_of_memory_kill() {
    with_less_company("jobs", &["-j", "3"]);
}

#[test]
fn a_cap_that_is_the_number_of_tokens_gets_less_company_after_an_out_of_memory_kill() {
    with_less_company("cap", &["--procs", "3", "--max-workers", "3"]);
}
