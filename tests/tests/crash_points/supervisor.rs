//! Points at which the supervisor dies.

use msup_tests::{Sandbox, groups, run, segments_of, summary};

use super::is_killed;

/// The supervisor itself dies at `label` while it starts; the next start cleans up after it.
fn the_supervisor_dies(label: &str) {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["true", ":::", "x"]);
    msup.env("MSUP_CRASH_SUPERVISOR", format!("{label}:crashed"));
    let mut child = msup.spawn().expect("msup is built");
    let pid = child.id();
    assert!(is_killed(child.wait().expect("ours")), "{label} was not reached");
    assert!(run(&mut sandbox.msup(["true", ":::", "x"])).status.success());
    assert_eq!(segments_of(pid), [].into());
    assert_eq!(groups::of_process(pid), Vec::<std::path::PathBuf>::new());
    // What it left of files, the sandbox looks for.
}

#[test]
fn segment_named() {
    the_supervisor_dies("segment_named");
}

#[test]
fn folder_before_lock() {
    the_supervisor_dies("folder_before_lock");
}

/// The supervisor dies at `label` while it begins its journal. What `msup log` says of that.
fn the_supervisor_dies_beginning(label: &str, told: &str) {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["true", ":::", "x"]);
    msup.env("MSUP_CRASH_SUPERVISOR", format!("{label}:crashed"));
    assert!(is_killed(msup.status().expect("msup is built")), "{label} was not reached");
    let lines = |words: &[&str]| {
        let output = run(&mut sandbox.msup(words));
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    assert!(lines(&["resume"]).contains("nothing to resume"));
    let log = lines(&["log"]);
    // With a line of headings.
    assert!(log.contains(told) && log.lines().count() <= 2, "{log}");
    assert!(run(&mut sandbox.msup(["-q", "true", ":::", "y"])).status.success());
    lines(&["clean"]);
    let left = std::fs::read_dir(sandbox.path().join("state/msup")).expect("readable");
    assert_eq!(left.count(), 0, "{label}");
}

#[test]
fn place_before_journal() {
    the_supervisor_dies_beginning("place_before_journal", "");
}

#[test]
fn journal_before_run() {
    the_supervisor_dies_beginning("journal_before_run", "empty");
}

#[test]
fn group_made() {
    if groups::are_made_here(&Sandbox::new()) {
        the_supervisor_dies("group_made");
    }
}

/// The supervisor dies at `label` while it renames a file into place. `is_placed`: whether the file
/// is there then; `runs`: how often the task has run after a resume.
fn the_supervisor_dies_committing(label: &str, is_placed: bool, runs: usize) {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--out", "{}.out", "--", "sh", "-c"]);
    msup.args(["echo $1 >>log; echo $1 >$2; echo printed", "sh", "{}", "{out}", ":::", "x"]);
    msup.env("MSUP_CRASH_SUPERVISOR", format!("{label}:crashed"));
    let mut child = msup.spawn().expect("msup is built");
    assert!(is_killed(child.wait().expect("ours")), "{label} was not reached");
    let file = sandbox.path().join("x.out");
    assert_eq!(file.exists(), is_placed);
    let after = run(&mut sandbox.msup(["resume", "--summary", "s.json"]));
    let said = String::from_utf8_lossy(&after.stderr).into_owned();
    assert!(after.status.success(), "{said}");
    assert_eq!(after.stdout, b"printed\n");
    assert_eq!(std::fs::read(&file).expect("made"), b"x\n");
    let log = std::fs::read_to_string(sandbox.path().join("log")).expect("it ran");
    assert_eq!(log.lines().count(), runs);
    let figures = summary(&sandbox.path().join("s.json"));
    assert_eq!(figures["tasks"]["succeeded"], 1);
    let entries = std::fs::read_dir(sandbox.path()).expect("readable").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    assert_eq!(names.filter(|name| name.starts_with(".msup-")).count(), 0);
    let again = run(&mut sandbox.msup(["resume"]));
    assert!(String::from_utf8_lossy(&again.stderr).contains("this run is finished: 1 succeeded"));
}

#[test]
fn secured_before_intent() {
    the_supervisor_dies_committing("secured_before_intent", false, 2);
}

#[test]
fn intent_before_rename() {
    the_supervisor_dies_committing("intent_before_rename", false, 2);
}

/// The supervisor dies when the files of a result are written, and have not their names yet.
#[test]
fn filed_before_names() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--results", "made", "echo $0 >>log; echo", ":::", "x"]);
    msup.env("MSUP_CRASH_SUPERVISOR", "filed_before_names:crashed");
    assert!(is_killed(msup.spawn().expect("msup is built").wait().expect("ours")));
    let folder = sandbox.path().join("made/1/x");
    let names = || {
        let entries = std::fs::read_dir(&folder).expect("readable").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.collect::<std::collections::BTreeSet<String>>()
    };
    assert!(names().iter().all(|name| name.starts_with(".msup-1-")), "{:?}", names());
    let after = run(&mut sandbox.msup(["resume"]));
    assert!(after.status.success(), "{}", String::from_utf8_lossy(&after.stderr));
    assert_eq!(names(), ["seq", "stderr", "stdout"].map(str::to_owned).into());
    assert_eq!(std::fs::read(folder.join("stdout")).expect("made"), b"x\n");
    let log = std::fs::read_to_string(sandbox.path().join("log")).expect("it ran");
    assert_eq!(log.lines().count(), 2);
}

/// The supervisor of a shard dies at `label`; the next start does the rest. `claims`: how often its
/// file has been claimed then.
fn a_start_dies(label: &str, claims: usize) {
    let sandbox = Sandbox::new();
    sandbox.file("list", b"w\nx\n");
    let start = || {
        let mut msup = sandbox.msup(["--shard", "1/2", "--journal", "j", "--out", "{}.out"]);
        msup.args(["echo {} >>log; echo made {} >{out}", "::::", "list"]);
        msup
    };
    let mut msup = start();
    msup.env("MSUP_CRASH_SUPERVISOR", format!("{label}:crashed"));
    assert!(is_killed(msup.status().expect("msup is built")), "{label} was not reached");
    assert!(!sandbox.path().join("w.out").exists());
    let after = run(&mut start());
    assert!(after.status.success(), "{}", String::from_utf8_lossy(&after.stderr));
    assert_eq!(std::fs::read(sandbox.path().join("w.out")).expect("made"), b"made w\n");
    let names = |folder: &str| {
        let entries = std::fs::read_dir(sandbox.path().join(folder)).expect("readable").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(".").iter().filter(|name| name.starts_with(".msup-")).count(), 0);
    assert_eq!(names("j/shard-1").len(), 2, "starts");
    assert_eq!(names("j/claims-1").iter().filter(|name| name.contains('-')).count(), claims);
    assert!(run(&mut sandbox.msup(["collect", "j"])).status.code() == Some(1), "0/2 is missing");
}

#[test]
fn start_before_journal() {
    a_start_dies("start_before_journal", 1);
}

/// The next start sweeps the temporary file of the dead one, whose claim counts no more.
#[test]
fn claim_before_rename() {
    a_start_dies("claim_before_rename", 2);
}

/// What the task printed was not kept yet: it runs again.
#[test]
fn rename_before_end() {
    the_supervisor_dies_committing("rename_before_end", true, 2);
}

/// The supervisor dies when the output of the second task is kept, and the journal does not say so
/// yet. With a file, its record says that the task has finished.
#[test]
fn kept_before_unshown() {
    for (flags, runs) in [(&[][..], 2), (&["--out", "{}.out"][..], 1)] {
        let sandbox = Sandbox::new();
        let mut msup = sandbox.msup(["-k", "-j2"]);
        let script = "echo $1 >>log; [ $1 = b ] || until [ -e go ]; do sleep 0.01; done; \
                      echo printed $1; [ -z $2 ] || : >$2";
        let out = if flags.is_empty() { "" } else { "{out}" };
        msup.args(flags).args(["--", "sh", "-c", script, "sh", "{}", out, ":::", "a", "b"]);
        msup.env("MSUP_CRASH_SUPERVISOR", "kept_before_unshown:crashed");
        assert!(is_killed(msup.spawn().expect("msup is built").wait().expect("ours")));
        sandbox.file("go", b"");
        let after = run(&mut sandbox.msup(["resume"]));
        assert!(after.status.success(), "{}", String::from_utf8_lossy(&after.stderr));
        assert_eq!(after.stdout, b"printed a\nprinted b\n");
        let log = std::fs::read_to_string(sandbox.path().join("log")).expect("it ran");
        assert_eq!(log.lines().filter(|line| *line == "b").count(), runs);
    }
}
