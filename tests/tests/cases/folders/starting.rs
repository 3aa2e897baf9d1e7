//! A start that fails leaves nothing behind, and says which folder and which variable it was about.

use std::fs;

use msup_tests::{Sandbox, run};

use super::{cut_off, folder, msup_in, runs, said, text, was_resumed};

/// What is in a folder as a process with its own mounts sees it.
const LIST: &str = "echo; find state | sort";

#[test]
fn a_start_on_a_full_disk_leaves_nothing() {
    let sandbox = Sandbox::new();
    let msup = msup_tests::program("msup").display().to_string();
    let script = format!(
        "head -c 4096 /dev/zero >state/filler; \
         {msup} --journal state/new -- touch ran ::: 1; echo $?; \
         mkdir state/there; {msup} --journal state/there -- touch ran ::: 1; echo $?; \
         XDG_STATE_HOME=$PWD/state {msup} -q -- touch default ::: 1; echo $?; {LIST}"
    );
    let Some(mut command) = sandbox.on_small_disk("state", 4096, &script) else { return };
    let output = run(&mut command);
    let (shown, words) = (text(&output.stdout), text(&output.stderr));
    let (statuses, left) = shown.split_once("\n\n").expect("a list");
    assert_eq!(statuses, "255\n255\n0", "{words}");
    let mut left: Vec<&str> = left.lines().collect();
    // The place of all runs may stay; no run does.
    left.retain(|path| *path != "state/msup");
    assert_eq!(left, ["state", "state/filler", "state/there"], "{words}");
    assert!(words.contains("state/new"), "the path is named: {words}");
    assert!(!sandbox.path().join("ran").exists());
}

#[test]
fn a_start_that_fails_for_its_joblog_leaves_no_run() {
    let sandbox = Sandbox::new();
    for flag in ["--joblog", "--summary"] {
        let refused =
            msup_in(&sandbox, sandbox.path(), &[flag, "no/such/file", "touch", ":::", "ran"]);
        let (words, status) = said(&refused);
        assert!(status == Some(255) && words.contains("no/such/file"), "{words}");
        assert_eq!(runs(&sandbox), Vec::<std::path::PathBuf>::new());
        assert!(!sandbox.path().join("ran").exists());
        let named = [flag, "no/such/file", "--journal", "a/b", "true", ":::", "x"];
        assert_eq!(msup_in(&sandbox, sandbox.path(), &named).status.code(), Some(255));
        assert!(!sandbox.path().join("a").exists());
    }
}

#[test]
fn a_start_that_fails_for_its_journal_leaves_the_joblog_as_it_was() {
    let sandbox = Sandbox::new();
    let jobs = sandbox.file("jobs", b"of an earlier run\n");
    sandbox.file("file", b"");
    let refused = ["--joblog", "jobs", "--journal", "file/x", "true", ":::", "x"];
    assert_eq!(msup_in(&sandbox, sandbox.path(), &refused).status.code(), Some(255));
    assert_eq!(fs::read(&jobs).expect("readable"), b"of an earlier run\n");
}

#[test]
fn an_empty_journal_is_an_empty_run() {
    let sandbox = Sandbox::new();
    let here = sandbox.path();
    cut_off(&sandbox, here, "a", &[]);
    // Killed before its first record, or in the middle of it.
    for (name, content) in
        [("9999999999999-0", &b""[..]), ("9999999999999-1", b"{\"n\":1,\"t\":17")]
    {
        let empty = folder(&sandbox, &format!("state/msup/{name}"));
        fs::write(empty.join("journal.jsonl"), content).expect("writable");
    }
    let (words, status) = said(&msup_in(&sandbox, here, &["resume", "9999999999999-0"]));
    assert!(status == Some(255) && words.contains("empty"), "{words}");
    let (words, status) = said(&msup_in(&sandbox, here, &["resume"]));
    assert!(status == Some(0) && was_resumed(here, "a"), "{words}");
    let listed = msup_in(&sandbox, here, &["log"]);
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    assert_eq!(text(&listed.stdout).lines().filter(|line| line.contains("empty")).count(), 2);
    // A run may be begun where an empty one is.
    let mut again =
        sandbox.msup(["--journal", "state/msup/9999999999999-1", "touch", ":::", "ran"]);
    let output = run(&mut again);
    assert!(output.status.success() && here.join("ran").exists(), "{}", text(&output.stderr));
    assert!(msup_in(&sandbox, here, &["clean"]).status.success());
    assert_eq!(runs(&sandbox), Vec::<std::path::PathBuf>::new());
}

#[test]
fn no_home_is_created() {
    let sandbox = Sandbox::new();
    let home = sandbox.path().join("home");
    for state in [None, Some("home/.local/state")] {
        let mut msup = sandbox.msup(["true", ":::", "x"]);
        msup.env("HOME", &home).env_remove("XDG_STATE_HOME");
        if let Some(state) = state {
            msup.env("XDG_STATE_HOME", sandbox.path().join(state));
        }
        let (words, status) = said(&run(&mut msup));
        assert_eq!(status, Some(0), "the run itself goes on: {words}");
        assert!(!home.exists(), "{words}");
        assert!(words.contains("no journal is kept"), "{words}");
        assert_eq!(words.matches("HOME").count(), 1, "{words}");
        assert!(words.contains(&home.display().to_string()), "{words}");
    }
}

#[test]
fn what_cannot_be_written_is_named_with_its_variable() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("file", b"").display().to_string();
    for (variable, unset) in [("XDG_STATE_HOME", "HOME"), ("HOME", "XDG_STATE_HOME")] {
        let mut msup = sandbox.msup(["true", ":::", "x"]);
        msup.env_remove(unset).env(variable, &file);
        let (words, status) = said(&run(&mut msup));
        assert_eq!(status, Some(0), "{words}");
        assert!(words.contains(&file) && words.contains(variable), "{words}");
    }
    for place in [file.as_str(), "/proc/nowhere"] {
        let (words, status) = said(&run(sandbox.msup(["true", ":::", "x"]).env("TMPDIR", place)));
        assert_eq!(status, Some(255), "{words}");
        assert!(words.contains(place) && words.contains("TMPDIR"), "{words}");
    }
}
