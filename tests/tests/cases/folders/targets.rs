//! The files that tasks make (`--out`), where others may write, and by whatever name they are
//! called.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use msup_tests::{Sandbox, kill, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

use super::{cannot_give_away, folder, give_away, msup_in, said, text};

/// What lies in a folder, hidden files too.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("readable").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Runs a command for each of these files, all of which are to be one and the same, one after the
/// other.
fn one_file(sandbox: &Sandbox, files: &[&str]) {
    let script = "echo $1 >$2";
    let flags = ["-j1", "--out", "{}", "--", "sh", "-c", script, "sh", "{}", "{out}", ":::"];
    let (words, status) = said(&msup_in(sandbox, sandbox.path(), &[&flags, files].concat()));
    assert_eq!(status, Some(files.len() as i32 - 1), "{files:?}: {words}");
    assert!(words.contains("task 1 already makes this file"), "{files:?}: {words}");
    let made = fs::read_to_string(sandbox.path().join(files[0])).expect("it was made");
    assert_eq!(made, format!("{}\n", files[0]), "{files:?}");
}

#[test]
fn one_file_by_several_names_is_made_once() {
    let sandbox = Sandbox::new();
    folder(&sandbox, "x/deep");
    symlink("x", sandbox.path().join("y")).expect("writable");
    symlink(sandbox.path().join("x/deep"), sandbox.path().join("z")).expect("writable");
    let whole = sandbox.path().join("a").display().to_string();
    one_file(&sandbox, &["a", "x/../a", "./a", "x//../a", "y/../a", "z/../../a", &whole]);
    one_file(&sandbox, &["x/b", "y/b", "y/./deep/../b", "z/../b"]);
    one_file(&sandbox, &["x/deep/c", "z/c", "y/deep/c"]);
}

#[test]
fn one_file_in_a_folder_that_is_not_there_yet_is_made_once() {
    let sandbox = Sandbox::new();
    // Leads nowhere until the first task's folder is made.
    symlink("new", sandbox.path().join("link")).expect("writable");
    one_file(&sandbox, &["new/a", "new/../new/a", "link/a"]);
    one_file(&sandbox, &["fresh/er/a", "fresh/er/../er/a", "fresh/../fresh/er/a"]);
    assert_eq!(names(&sandbox.path().join("new")), ["a".to_owned()].into());
}

#[test]
fn files_of_one_name_in_several_folders_are_several_files() {
    let sandbox = Sandbox::new();
    folder(&sandbox, "x");
    let flags = ["-q", "--out", "{}", "--", "sh", "-c", "echo $1 >$2", "sh", "{}", "{out}", ":::"];
    let files = ["a", "x/a", "new/a", "new/er/a", "new/../b", "x/../../c"];
    let (words, status) =
        said(&msup_in(&sandbox, &folder(&sandbox, "here"), &[&flags[..], &files].concat()));
    assert_eq!(status, Some(0), "{words}");
}

#[test]
fn a_task_cannot_foresee_the_temporary_file_of_another_one() {
    let sandbox = Sandbox::new();
    let victim = sandbox.file("victim", b"precious");
    // All that can be known of a temporary file once the run has begun: the run, the numbers, the
    // name.
    let script = "case $1 in a) for try in 1 2; do ln -s victim .msup-$MSUP_RUN-2.$try-b.out; \
                  ln -s victim s.json.$MSUP_RUN.tmp; ln -s victim .s.json.$MSUP_RUN.tmp; \
                  ln -s victim .msup-$MSUP_RUN-$(echo $2 | cut -d- -f4)-2.1-b.out; done;; esac; \
                  echo $1 >$2";
    let flags = ["-q", "-j1", "--summary", "s.json", "--out", "{}.out", "--", "sh", "-c", script];
    let output = run(sandbox.msup(flags).args(["sh", "{}", "{out}", ":::", "a", "b"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(fs::read(&victim).expect("readable"), b"precious");
    assert!(fs::symlink_metadata(sandbox.path().join("b.out")).expect("made").is_file());
    assert!(fs::symlink_metadata(sandbox.path().join("s.json")).expect("made").is_file());
}

#[test]
fn a_first_generation_removes_nothing_that_looks_like_its_own() {
    let sandbox = Sandbox::new();
    folder(&sandbox, "b");
    let script = "test $1 = a && echo >b/.msup-$MSUP_RUN-2.1-x; echo $1 >$2";
    let flags = ["-q", "-j1", "--out", "{}/out", "--", "sh", "-c", script, "sh", "{}", "{out}"];
    let mut child = spawn_piped(&mut sandbox.msup(flags));
    let mut values = child.stdin.take().expect("piped");
    values.write_all(b"a\n").expect("it reads");
    wait_until(|| sandbox.path().join("a/out").exists());
    // Only now is the folder `b` looked at.
    values.write_all(b"b\n").expect("it reads");
    drop(values);
    let output = child.wait_with_output().expect("it was started");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let left = names(&sandbox.path().join("b"));
    assert!(left.len() == 2 && left.iter().any(|name| name.ends_with("-2.1-x")), "{left:?}");
}

/// In a folder of this mode: where two tasks wrote, as seen from the sandbox.
fn written_in(sandbox: &Sandbox, name: &str, mode: u32) -> Vec<String> {
    let place = folder(sandbox, name);
    fs::set_permissions(&place, fs::Permissions::from_mode(mode)).expect("ours");
    let script = "echo $1 >$2; echo $2; stat -c %a $(dirname $2)";
    let out = format!("{name}/{{}}.png");
    let flags = ["-q", "-k", "--out", &out, "--", "sh", "-c", script, "sh", "{}", "{out}"];
    let output = run(sandbox.msup(flags).args([":::", "a", "b"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(names(&place), ["a.png".to_owned(), "b.png".to_owned()].into());
    text(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn tasks_write_in_a_private_folder_of_a_shared_folder() {
    let sandbox = Sandbox::new();
    for (name, mode) in [("open", 0o777), ("sticky", 0o1777)] {
        let lines = written_in(&sandbox, name, mode);
        assert_eq!((&lines[1][..], &lines[3][..]), ("700", "700"), "{lines:?}");
        for (line, end) in [(&lines[0], "-a.png"), (&lines[2], "-b.png")] {
            let parts: Vec<&str> = line.split('/').collect();
            assert!(parts.len() == 3 && parts[0] == name && line.ends_with(end), "{line}");
        }
    }
    for (name, mode) in [("mine", 0o755), ("ours", 0o775)] {
        let lines = written_in(&sandbox, name, mode);
        for line in [&lines[0], &lines[2]] {
            assert_eq!(line.split('/').count(), 2, "beside its place: {line}");
        }
    }
}

#[test]
fn what_a_killed_run_leaves_in_a_shared_folder_is_swept() {
    let sandbox = Sandbox::new();
    let shared = folder(&sandbox, "shared");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).expect("ours");
    let script = "echo $1 >$2; case $1 in b|c) test -e go || { touch $1; exec sleep 1000; };; esac";
    let flags = ["-q", "-j3", "--out", "shared/{}.out", "--", "sh", "-c", script, "sh", "{}"];
    let mut msup = sandbox.msup(flags);
    let child = spawn_piped(msup.args(["{out}", ":::", "a", "b", "c"]));
    wait_until(|| ["b", "c", "shared/a.out"].iter().all(|name| sandbox.path().join(name).exists()));
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait_with_output().expect("it was started");
    wait_until(|| sandbox.processes().is_empty());
    let hidden = |name: &String| name.starts_with(".msup-");
    let left: Vec<String> = names(&shared).into_iter().filter(hidden).collect();
    assert_eq!(left.len(), 1, "{left:?}");
    // Another user's file of the same kind is not ours to remove.
    let theirs = format!("{}-theirs", left[0]);
    fs::write(shared.join(&theirs), b"").expect("writable");
    if !cannot_give_away() {
        give_away(&shared.join(&theirs));
    }
    sandbox.file("go", b"");
    let (words, status) = said(&msup_in(&sandbox, sandbox.path(), &["resume"]));
    assert_eq!(status, Some(0), "{words}");
    let made = names(&shared);
    assert!(made.is_superset(&["a.out", "b.out", "c.out"].map(str::to_owned).into()), "{made:?}");
    let left: Vec<&String> = made.iter().filter(|name| hidden(name)).collect();
    assert!(left.iter().all(|name| **name == theirs), "{left:?}");
    let is_root = nix::unistd::geteuid().is_root();
    assert_eq!(left.len(), usize::from(is_root));
}

/// The last task has finished when the run is killed: no task writes there again.
#[test]
#[cfg(debug_assertions)]
fn an_empty_private_folder_of_a_killed_run_is_swept() {
    let sandbox = Sandbox::new();
    let shared = folder(&sandbox, "shared");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).expect("ours");
    let mut msup = sandbox.msup(["-q", "-j1", "--out", "{}/out", "--", "sh", "-c"]);
    msup.args(["echo $1 >>log; echo $1 >$2", "sh", "{}", "{out}", ":::", "shared"]);
    msup.env("MSUP_CRASH_SUPERVISOR", "rename_before_end:crashed");
    assert!(!run(&mut msup).status.success());
    wait_until(|| sandbox.processes().is_empty());
    let before = fs::metadata(shared.join("out")).expect("it was placed").ino();
    assert_eq!(names(&shared).len(), 2, "the file, and the private folder");
    let (words, status) = said(&msup_in(&sandbox, sandbox.path(), &["resume"]));
    assert_eq!(status, Some(0), "{words}");
    assert_eq!(names(&shared), ["out".to_owned()].into());
    assert_eq!(fs::metadata(shared.join("out")).expect("still there").ino(), before);
    let log = fs::read_to_string(sandbox.path().join("log")).expect("it ran");
    assert_eq!(log.lines().count(), 1);
}

#[test]
fn two_names_of_one_folder_do_not_sweep_each_others_files() {
    let sandbox = Sandbox::new();
    folder(&sandbox, "x");
    symlink("x", sandbox.path().join("y")).expect("writable");
    // The first one has written, and waits until the second one is there, through the other name.
    let script = "echo $1 >$2; touch $3; test $3 = b || while ! test -e b; do sleep 0.01; done";
    let flags = ["-q", "-j2", "--out", "{}", "--", "sh", "-c", script, "sh", "{}", "{out}", "{/}"];
    let mut msup = sandbox.msup(flags);
    // Of a run that goes on: there it matters what looks like an earlier generation's.
    cut_off_in(&sandbox, &mut msup);
    let mut child = spawn_piped(&mut sandbox.msup(["resume", "-q", "-a", "/dev/stdin"]));
    let mut values = child.stdin.take().expect("piped");
    values.write_all(b"x/a\n").expect("it reads");
    wait_until(|| sandbox.path().join("a").exists());
    values.write_all(b"y/b\n").expect("it reads");
    drop(values);
    let output = child.wait_with_output().expect("it was started");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(names(&sandbox.path().join("x")), ["a".to_owned(), "b".to_owned()].into());
}

/// Kills a run that waits for its first value.
fn cut_off_in(sandbox: &Sandbox, msup: &mut Command) {
    let mut child = spawn_piped(msup);
    let values = child.stdin.take();
    let journal = || super::runs(sandbox).first().map(|run| run.join("journal.jsonl"));
    wait_until(|| {
        journal().is_some_and(|path| fs::metadata(path).is_ok_and(|meta| meta.len() > 0))
    });
    kill(child.id() as i32, Signal::SIGKILL);
    drop(values);
    child.wait_with_output().expect("it was started");
}
