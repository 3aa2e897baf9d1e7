//! Folders of runs, and what another user can put there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use msup_tests::{Sandbox, run, run_with_input};

use super::{cannot_give_away, cut_off, folder, give_away, msup_in, runs, said, text, was_resumed};

/// What takes a run's id or folder, without that.
const ALL: [&[&str]; 4] = [&["resume"], &["retry", "--failed"], &["log"], &["clean"]];

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o7777
}

/// The journal's folder of a run that was cut off.
fn begun(sandbox: &Sandbox) -> PathBuf {
    cut_off(sandbox, sandbox.path(), "a", &["--journal", "kept"]);
    sandbox.path().join("kept")
}

#[test]
fn a_word_without_a_slash_is_never_a_folder_here() {
    let sandbox = Sandbox::new();
    let kept = begun(&sandbox);
    for command in ALL {
        for word in ["kept", ".", ".."] {
            let place = if word == "." { &kept } else { sandbox.path() };
            let (words, status) = said(&msup_in(&sandbox, place, &[command, &[word]].concat()));
            assert_eq!(status, Some(255), "{command:?} {word}: {words}");
            assert!(words.lines().count() == 1 && words.contains(word), "{words}");
        }
    }
    assert!(!was_resumed(sandbox.path(), "a") && kept.join("journal.jsonl").exists());
    let (words, status) = said(&msup_in(&sandbox, sandbox.path(), &["resume", "./kept"]));
    assert!(status == Some(0) && was_resumed(sandbox.path(), "a"), "{words}");
}

#[test]
fn clean_removes_nothing_from_a_folder_that_is_no_run() {
    let sandbox = Sandbox::new();
    let mine = folder(&sandbox, "mine");
    let files = ["journal.jsonl", "inputs", "outputs", "lock"].map(|name| mine.join(name));
    for content in ["{\"event\":\"mine\"}\n", "my diary", "{\"n\":1}\n"] {
        for file in &files {
            fs::write(file, content).expect("writable");
        }
        for flags in [&["clean", "./mine"][..], &["clean", "-n", "./mine"]] {
            let (words, status) = said(&msup_in(&sandbox, sandbox.path(), flags));
            assert_eq!(status, Some(255), "{content:?}: {words}");
            assert!(words.contains("not an msup journal"), "{words}");
        }
        for file in &files {
            assert_eq!(fs::read_to_string(file).expect("there"), content, "{}", file.display());
        }
    }
}

#[test]
fn clean_removes_a_run_whose_journal_is_damaged() {
    let sandbox = Sandbox::new();
    let kept = begun(&sandbox);
    let journal = kept.join("journal.jsonl");
    let mut content = fs::read(&journal).expect("there");
    content[20] ^= 1;
    fs::write(&journal, content).expect("writable");
    let (words, status) = said(&msup_in(&sandbox, sandbox.path(), &["clean", "./kept"]));
    assert_eq!(status, Some(0), "{words}");
    assert!(!kept.exists());
    // Removes what the run that was cut off has left in the folder for temporary files.
    assert!(run(&mut sandbox.msup(["true", ":::", "x"])).status.success());
}

#[test]
fn a_folder_or_journal_of_another_user_is_refused() {
    let sandbox = Sandbox::new();
    if cannot_give_away() {
        return;
    }
    let kept = begun(&sandbox);
    let refused = |what: &str| {
        for command in ALL {
            let (words, status) =
                said(&msup_in(&sandbox, sandbox.path(), &[command, &["./kept"]].concat()));
            assert_eq!(status, Some(255), "{what}, {command:?}: {words}");
            assert!(words.contains("65534") && words.lines().count() == 1, "{what}: {words}");
            assert!(kept.join("journal.jsonl").exists(), "{what}, {command:?}");
        }
    };
    give_away(&kept);
    refused("the folder");
    std::os::unix::fs::chown(&kept, Some(0), Some(0)).expect("root may");
    give_away(&kept.join("journal.jsonl"));
    refused("the journal");
    assert!(!was_resumed(sandbox.path(), "a"));
    sandbox.start_once_more();
}

#[test]
fn a_run_of_another_user_among_ones_own_is_passed_over() {
    let sandbox = Sandbox::new();
    if cannot_give_away() {
        return;
    }
    let here = sandbox.path();
    cut_off(&sandbox, here, "a", &[]);
    let theirs = super::runs(&sandbox).remove(0);
    give_away(&theirs);
    let (words, status) = said(&msup_in(&sandbox, here, &["resume"]));
    assert!(status == Some(255) && !was_resumed(here, "a"), "{words}");
    let id = theirs.file_name().expect("a name").to_str().expect("text");
    for command in ALL {
        let (words, status) = said(&msup_in(&sandbox, here, &[command, &[id]].concat()));
        assert!(status == Some(255) && words.contains("65534"), "{command:?}: {words}");
    }
    assert!(run(&mut sandbox.msup(["clean", "--all"])).status.success());
    assert!(theirs.join("journal.jsonl").exists());
    sandbox.start_once_more();
}

#[test]
fn a_folder_that_every_user_may_write_to_is_refused() {
    let sandbox = Sandbox::new();
    let kept = begun(&sandbox);
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o777)).expect("ours");
    for command in ALL {
        let (words, status) =
            said(&msup_in(&sandbox, sandbox.path(), &[command, &["./kept"]].concat()));
        assert!(status == Some(255) && words.contains("chmod"), "{command:?}: {words}");
    }
    let shared = folder(&sandbox, "shared");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).expect("ours");
    let begin = ["--journal", "shared", "touch", ":::", "x"];
    let (words, status) = said(&msup_in(&sandbox, sandbox.path(), &begin));
    assert!(status == Some(255) && words.contains("chmod"), "{words}");
    assert!(fs::read_dir(&shared).expect("readable").next().is_none(), "nothing is left there");
    assert!(!sandbox.path().join("x").exists());
}

#[test]
fn links_in_the_journals_folder_are_not_followed() {
    for name in ["journal.jsonl", "inputs", "lock", "generation"] {
        let sandbox = Sandbox::new();
        let victim = sandbox.file("victim", b"precious");
        for target in [&victim, &sandbox.path().join("nothing")] {
            let kept = folder(&sandbox, "kept");
            symlink(target, kept.join(name)).expect("writable");
            let mut msup = sandbox.msup(["--journal", "kept", "--", "touch"]);
            let (words, status) = said(&run_with_input(&mut msup, b"ran\n"));
            assert_eq!(status, Some(255), "{name}: {words}");
            assert!(words.contains(name) && words.lines().count() == 1, "{words}");
            assert!(!sandbox.path().join("ran").exists(), "{name}");
            assert!(!sandbox.path().join("nothing").exists(), "{name}");
            assert_eq!(fs::read(&victim).expect("readable"), b"precious", "{name}");
            let left: Vec<_> = fs::read_dir(&kept).expect("readable").flatten().collect();
            assert!(left.len() == 1 && left[0].file_name() == name, "{name}: {left:?}");
            fs::remove_dir_all(&kept).expect("ours");
        }
    }
}

#[test]
fn links_in_the_journals_folder_are_not_followed_by_a_resume() {
    for name in ["journal.jsonl", "inputs", "lock", "generation"] {
        let sandbox = Sandbox::new();
        let kept = begun(&sandbox);
        let real = sandbox.path().join("real");
        let _ = fs::rename(kept.join(name), &real);
        fs::write(&real, fs::read(&real).unwrap_or_default()).expect("writable");
        symlink(&real, kept.join(name)).expect("writable");
        let before = fs::read(&real).expect("readable");
        let (words, status) = said(&msup_in(&sandbox, sandbox.path(), &["resume", "./kept"]));
        assert!(status == Some(255) && !was_resumed(sandbox.path(), "a"), "{name}: {words}");
        assert_eq!(fs::read(&real).expect("readable"), before, "{name}");
        sandbox.start_once_more();
    }
}

#[test]
fn a_users_own_files_are_not_taken_for_those_of_a_run() {
    for name in ["inputs", "lock", "generation"] {
        let sandbox = Sandbox::new();
        let kept = folder(&sandbox, "kept");
        fs::write(kept.join(name), b"precious").expect("writable");
        let mut msup = sandbox.msup(["--journal", "kept", "--", "touch"]);
        let (words, status) = said(&run_with_input(&mut msup, b"ran\n"));
        assert!(status == Some(255) && words.contains(name), "{name}: {words}");
        assert_eq!(fs::read(kept.join(name)).expect("readable"), b"precious");
        assert_eq!(fs::read_dir(&kept).expect("readable").count(), 1, "nothing is left there");
    }
}

#[test]
fn what_a_run_keeps_is_for_its_user_alone() {
    let sandbox = Sandbox::new();
    let open = folder(&sandbox, "open");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).expect("ours");
    for place in ["open", "deep/er/made"] {
        let mut command = sandbox.command("sh");
        let msup = msup_tests::program("msup");
        let script = "umask 022; exec \"$1\" -j1 --journal \"$2\" -- test secret !=";
        let output =
            run_with_input(command.args(["-c", script, "sh"]).arg(msup).arg(place), b"value\n");
        assert!(output.status.success(), "{}", text(&output.stderr));
        let place = sandbox.path().join(place);
        for name in ["journal.jsonl", "inputs", "lock", "generation"] {
            assert_eq!(mode(&place.join(name)), 0o600, "{name}");
        }
    }
    assert_eq!(mode(&sandbox.path().join("deep/er/made")), 0o700);
    // Those that an earlier release made: closed when the run is taken up again.
    let journal = open.join("journal.jsonl");
    let whole = fs::read(&journal).expect("readable");
    let end = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').expect("lines");
    fs::write(&journal, &whole[..=end]).expect("writable");
    for name in ["journal.jsonl", "inputs", "lock", "generation"] {
        fs::set_permissions(open.join(name), fs::Permissions::from_mode(0o644)).expect("ours");
    }
    assert!(run(&mut sandbox.msup(["resume", "./open"])).status.success());
    for name in ["journal.jsonl", "inputs", "lock", "generation"] {
        assert_eq!(mode(&open.join(name)), 0o600, "{name}");
    }
}

#[test]
fn a_journal_that_is_no_file_is_refused_at_once() {
    for name in ["journal.jsonl", "inputs", "lock", "generation"] {
        let sandbox = Sandbox::new();
        let kept = folder(&sandbox, "kept");
        let fifo = kept.join(name);
        assert!(run(sandbox.command("mkfifo").arg(&fifo)).status.success());
        let mut msup = sandbox.msup(["--journal", "kept", "--", "touch"]);
        let (words, status) = said(&run_with_input(&mut msup, b"ran\n"));
        assert!(status == Some(255) && words.contains(name), "{name}: {words}");
        let (words, status) = said(&msup_in(&sandbox, sandbox.path(), &["resume", "./kept"]));
        assert_eq!(status, Some(255), "{name}: {words}");
        assert!(!sandbox.path().join("ran").exists());
    }
}

/// Looking at all runs takes time: old ones are removed together.
#[test]
fn the_newest_500_runs_are_kept_once_there_are_50_more() {
    let sandbox = Sandbox::new();
    let one_more = || assert!(run(&mut sandbox.msup(["-q", "true", ":::", "x"])).status.success());
    one_more();
    let first = runs(&sandbox).remove(0);
    let place = first.parent().expect("the folder of all runs").to_owned();
    let copy = |nth: usize| {
        let copy = place.join(format!("{nth:013}-0"));
        fs::create_dir(&copy).expect("writable");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o700)).expect("ours");
        for file in fs::read_dir(&first).expect("readable").flatten() {
            if file.file_name() != "lock" {
                fs::copy(file.path(), copy.join(file.file_name())).expect("writable");
            }
        }
    };
    // Older than the first one, and finished.
    (1..=547).for_each(copy);
    one_more();
    assert_eq!(runs(&sandbox).len(), 549, "not yet");
    one_more();
    assert_eq!(runs(&sandbox).len(), 500);
    assert!(first.exists() && !place.join("0000000000001-0").exists(), "the oldest are gone");
}
