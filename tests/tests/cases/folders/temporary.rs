//! The run's folder for temporary files: other users cannot block it, and tasks may remove it.

use std::fs;
use std::path::{Path, PathBuf};

use msup_tests::{Sandbox, run, spawn_piped, wait_until};

use super::{cannot_give_away, give_away, said, text};

/// What a task prints: more than is kept in memory.
const MANY: usize = 200_000;

/// Prints its value, and so much more of it.
const PRINT: &str = "head -c 200000 /dev/zero | tr '\\0' ${1:-x}";

/// Runs this script for each of these values, one after the other, and shows what each of them
/// printed.
fn printed(sandbox: &Sandbox, flags: &[&str], script: &str, values: &[&str]) -> String {
    let mut msup = sandbox.msup(flags);
    msup.args(["-j1", "--", "sh", "-c", script, "sh", "{}", ":::"]).args(values);
    let output = run(&mut msup);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let all: String = values.iter().map(|value| value.repeat(MANY)).collect();
    let shown = text(&output.stdout);
    // An attempt that is repeated may be shown after later tasks.
    let is_whole = values.iter().all(|value| shown.contains(&value.repeat(MANY)));
    let is_right = if flags.contains(&"-k") { shown == all } else { is_whole };
    assert!(shown.len() == all.len() && is_right, "{} of {}", shown.len(), all.len());
    text(&output.stderr)
}

/// All folders below this one.
fn folders(place: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path());
    entries
        .filter(|path| path.is_dir())
        .flat_map(|path| [folders(&path), vec![path]].concat())
        .collect()
}

#[test]
fn another_user_cannot_take_the_place_of_the_folder() {
    let sandbox = Sandbox::new();
    let user = nix::unistd::geteuid();
    let tmp = sandbox.path().join("tmp");
    let places = [format!("msup-{user}"), "msup".to_owned()];
    for place in &places {
        fs::create_dir(tmp.join(place)).expect("writable");
        if !cannot_give_away() {
            give_away(&tmp.join(place));
        }
    }
    fs::write(tmp.join(format!("msup-{user}-x")), b"").expect("writable");
    printed(&sandbox, &["-q"], PRINT, &["a"]);
    for place in &places {
        fs::remove_dir(tmp.join(place)).expect("no other process has touched it");
    }
    fs::remove_file(tmp.join(format!("msup-{user}-x"))).expect("no other process has touched it");
}

/// Another machine's process cannot be looked up here, and may have the number of one that is gone
/// here.
#[test]
fn the_folder_of_a_run_that_lives_is_left_though_its_process_seems_to_be_gone() {
    let sandbox = Sandbox::new();
    let script = "touch started; while ! test -e go; do sleep 0.01; done";
    let child = spawn_piped(&mut sandbox.msup(["-j1", "--", "sh", "-c", script, ":::", "x"]));
    wait_until(|| sandbox.path().join("started").exists());
    let tmp = sandbox.path().join("tmp");
    let number = format!("-{}-", child.id());
    let named = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().contains(&number))
    };
    let own = folders(&tmp).into_iter().find(named).expect("a folder that bears its number");
    let name = own.file_name().expect("a name").to_string_lossy().replace(&number, "-4194303-");
    let seems_gone = own.with_file_name(name);
    fs::rename(&own, &seems_gone).expect("ours");
    sandbox.start_once_more();
    assert!(seems_gone.is_dir(), "its lock is held");
    sandbox.file("go", b"");
    assert!(child.wait_with_output().expect("it was started").status.success());
    sandbox.start_once_more();
    assert!(!seems_gone.exists(), "its lock is free now");
}

#[test]
fn a_run_goes_on_when_a_task_removes_its_folder() {
    let sandbox = Sandbox::new();
    let script = format!("test $1 = b && rm -rf $TMPDIR/*; {PRINT}");
    let words = printed(&sandbox, &[], &script, &["a", "b", "c", "d"]);
    let folder = sandbox.path().join("tmp").display().to_string();
    assert!(words.contains(&folder) && words.contains("TMPDIR"), "it is told: {words}");
}

#[test]
fn a_run_goes_on_when_every_task_removes_its_folder() {
    let sandbox = Sandbox::new();
    for flags in [&["-q"][..], &["-q", "-k"], &["-q", "--no-journal"]] {
        // Before it prints, after some output, and after all of it.
        for script in [
            format!("rm -rf $TMPDIR/*; {PRINT}"),
            "half() { head -c 100000 /dev/zero | tr '\\0' $1; }; half $1; rm -rf $TMPDIR/*; \
             half $1"
                .to_owned(),
            format!("{PRINT}; rm -rf $TMPDIR/*"),
            format!("{PRINT}; rm -rf $TMPDIR; mkdir $TMPDIR"),
        ] {
            printed(&sandbox, flags, &script, &["a", "b", "c"]);
        }
    }
}

#[test]
fn tasks_too_large_for_memory_are_told_again_when_the_folder_is_removed() {
    let sandbox = Sandbox::new();
    let values: Vec<String> = ["a", "b", "c", "d"].iter().map(|name| name.repeat(20_000)).collect();
    let script = "rm -rf $TMPDIR/*; printf %s $1 | cut -c 1 | tee -a log";
    let mut msup = sandbox.msup(["-k", "-j1", "--", "sh", "-c", script, "sh", "{}", ":::"]);
    let output = run(msup.args(&values));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "a\nb\nc\nd\n", "{}", text(&output.stderr));
    let ran = fs::read_to_string(sandbox.path().join("log")).expect("written");
    assert_eq!(ran.lines().count(), 4, "none of them was run twice");
}

#[test]
fn an_output_that_waits_for_its_turn_is_not_lost_with_the_folder() {
    let sandbox = Sandbox::new();
    let script = format!(
        "case $1 in a) while ! test -e go; do sleep 0.01; done;; \
         d) rm -rf $TMPDIR/*; touch go;; esac; {PRINT}"
    );
    let mut msup =
        sandbox.msup(["-k", "--procs", "2", "--max-workers", "2", "--", "sh", "-c", &script]);
    let output = run(msup.args(["sh", "{}", ":::", "a", "b", "c", "d"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let all: String = ["a", "b", "c", "d"].iter().map(|value| value.repeat(MANY)).collect();
    assert!(text(&output.stdout) == all, "{} of {}", output.stdout.len(), all.len());
}

/// What a task puts into the place of what it has printed.
fn put_in_place(what: &str) -> String {
    format!("{PRINT}; for f in $(find $TMPDIR -type f -size +100k); do rm $f; {what} $f; done")
}

#[test]
fn an_output_that_a_task_replaces_is_what_it_printed() {
    let sandbox = Sandbox::new();
    sandbox.file("other", "y".repeat(MANY).as_bytes());
    for what in ["mkfifo", "ln -s /dev/zero", "ln -s $PWD/other", "mkdir", "cp other", "ln other"] {
        printed(&sandbox, &["-q", "--no-journal"], &put_in_place(what), &["a", "b"]);
    }
}

#[test]
fn an_output_replaced_after_the_task_has_finished_is_never_shown() {
    let sandbox = Sandbox::new();
    // Where its own output would be it finds that of the task before, if that is still there.
    let script = format!(
        "{}; {PRINT}",
        "for f in $(find $TMPDIR -type f -size +100k); do rm $f; ln -s /dev/zero $f; done"
    );
    let mut msup = sandbox.msup(["-k", "-j2", "--", "sh", "-c", &script, "sh", "{}", ":::"]);
    let output = run(msup.args(["a", "b", "c", "d", "e", "f"]));
    let shown = text(&output.stdout);
    assert!(shown.bytes().all(|byte| byte != 0), "{}", text(&output.stderr));
    if output.status.success() {
        assert_eq!(shown.len(), 6 * MANY, "{}", text(&output.stderr));
    }
}

#[test]
fn a_full_folder_is_named_with_its_variable() {
    let sandbox = Sandbox::new();
    let msup = msup_tests::program("msup").display().to_string();
    let script = format!("TMPDIR=$PWD/disk exec {msup} --no-journal -- sh -c '{PRINT}' sh ::: a");
    let Some(mut command) = sandbox.on_small_disk("disk", 100 << 10, &script) else { return };
    let (words, status) = said(&run(&mut command));
    assert_eq!(status, Some(1), "{words}");
    let folder = sandbox.path().join("disk").display().to_string();
    assert!(words.contains(&folder) && words.contains("TMPDIR"), "{words}");
}

/// A part of the last block was written: this is not a change by another process.
#[test]
fn a_full_folder_is_not_taken_for_a_changed_output() {
    for bytes in [8 << 10, 64 << 10, 300 << 10] {
        let sandbox = Sandbox::new();
        let msup = msup_tests::program("msup").display().to_string();
        let task = "seq 20000; sleep 0.1; seq 20000; : {}";
        let script =
            format!("TMPDIR=$PWD/disk exec {msup} --no-journal -j4 '{task}' ::: $(seq 8) >shown");
        let Some(mut command) = sandbox.on_small_disk("disk", bytes, &script) else { return };
        let (words, _) = said(&run(&mut command));
        assert!(words.contains("No space left") && !words.contains("changed"), "{bytes}: {words}");
    }
}

#[test]
fn shared_memory_that_cannot_be_made_is_named() {
    let sandbox = Sandbox::new();
    let msup = msup_tests::program("msup").display().to_string();
    let script = format!("mount -t tmpfs -o ro none /dev/shm && exec {msup} true ::: a");
    let Some(mut command) = sandbox.on_small_disk("disk", 100 << 10, &script) else { return };
    let (words, status) = said(&run(&mut command));
    assert!(status == Some(255) && words.contains("/dev/shm"), "{words}");
}

#[test]
fn the_next_start_removes_what_a_killed_run_leaves() {
    let sandbox = Sandbox::new();
    super::cut_off(&sandbox, sandbox.path(), "a", &[]);
    assert_eq!(sandbox.residue().len(), 1);
    // Its folder may have lost all it had, or have been made again by a worker.
    for path in folders(&sandbox.path().join("tmp")) {
        for file in
            fs::read_dir(&path).expect("readable").flatten().filter(|file| file.path().is_file())
        {
            fs::remove_file(file.path()).expect("ours");
        }
    }
    sandbox.start_once_more();
    assert_eq!(sandbox.residue(), Vec::<PathBuf>::new());
}
