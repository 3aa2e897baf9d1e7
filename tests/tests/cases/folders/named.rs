//! Files that users name, for the joblog and the figures: what may stand there, and what may not.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Stdio;

use msup_tests::{Sandbox, run};

use super::{cannot_give_away, folder, msup_in, said, text};

/// Each flag with what it is followed by.
const FLAGS: [&str; 2] = ["--joblog", "--summary"];

#[test]
fn a_pipe_without_a_reader_is_refused_at_once() {
    let sandbox = Sandbox::new();
    assert!(run(sandbox.command("mkfifo").arg("pipe")).status.success());
    for flag in FLAGS {
        let (words, status) =
            said(&msup_in(&sandbox, sandbox.path(), &[flag, "pipe", "touch", ":::", "ran"]));
        assert!(status == Some(255) && words.contains(&format!("{flag} pipe: ")), "{words}");
        assert!(!sandbox.path().join("ran").exists());
        assert_eq!(super::runs(&sandbox).len(), 0, "a failed start leaves no run");
    }
    let from = ["--joblog", "+pipe", "touch", ":::", "ran"];
    assert_eq!(msup_in(&sandbox, sandbox.path(), &from).status.code(), Some(255));
}

#[test]
fn neither_pipes_with_a_reader_nor_folders_are_files() {
    let sandbox = Sandbox::new();
    for flag in FLAGS {
        // Standard error is a pipe here.
        for place in ["/dev/stderr", "/dev/fd/2", ".", "tmp", "/dev/stdout"] {
            let (words, status) =
                said(&msup_in(&sandbox, sandbox.path(), &[flag, place, "true", ":::", "x"]));
            assert!(status == Some(255) && words.contains(place), "{flag} {place}: {words}");
        }
    }
}

#[test]
fn devices_are_written_to() {
    let sandbox = Sandbox::new();
    for flag in FLAGS {
        let output =
            msup_in(&sandbox, sandbox.path(), &["-q", flag, "/dev/null", "true", ":::", "x"]);
        assert!(output.status.success(), "{flag}: {}", text(&output.stderr));
    }
    assert!(fs::metadata("/dev/null").expect("there").permissions().mode() & 0o666 == 0o666);
    let output =
        msup_in(&sandbox, sandbox.path(), &["-q", "--summary", "/dev/full", "true", ":::", "x"]);
    assert_eq!(output.status.code(), Some(255), "{}", text(&output.stderr));
}

/// A file that standard output goes to as well is added to, and stays where it is.
#[test]
fn standard_output_may_be_named_where_it_is_a_file() {
    let sandbox = Sandbox::new();
    for flag in FLAGS {
        let path = sandbox.file("out", b"before\n");
        let out = fs::File::options().append(true).open(&path).expect("ours");
        let inode = fs::metadata(&path).expect("there").ino();
        let mut msup = sandbox.msup(["-q", flag, "/dev/stdout", "echo", ":::", "printed"]);
        let status = msup.stdout(out).stderr(Stdio::null()).status().expect("msup is built");
        assert!(status.success());
        let content = fs::read_to_string(&path).expect("readable");
        assert!(content.starts_with("before\n") && content.contains("printed\n"), "{content}");
        assert!(
            content.contains("\techo printed\n") || content.contains("\"schema\""),
            "{content}"
        );
        assert_eq!(fs::metadata(&path).expect("there").ino(), inode);
    }
}

#[test]
fn a_link_of_ones_own_stands_for_what_it_leads_to() {
    let sandbox = Sandbox::new();
    folder(&sandbox, "far");
    for flag in FLAGS {
        let name = flag.trim_start_matches('-');
        fs::write(sandbox.path().join("far").join(name), b"old").expect("writable");
        symlink(format!("far/{name}"), sandbox.path().join(name)).expect("writable");
        let output = msup_in(&sandbox, sandbox.path(), &["-q", flag, name, "true", ":::", "x"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(sandbox.path().join(name).is_symlink(), "{flag}");
        let content = fs::read_to_string(sandbox.path().join("far").join(name)).expect("readable");
        assert!(!content.contains("old") && content.len() > 20, "{flag}: {content}");
    }
    assert_eq!(fs::read_dir(sandbox.path().join("far")).expect("readable").count(), 2);
}

#[test]
fn a_link_of_another_user_in_a_shared_folder_is_refused() {
    let sandbox = Sandbox::new();
    if cannot_give_away() {
        return;
    }
    let shared = folder(&sandbox, "shared");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).expect("ours");
    let victim = sandbox.file("victim", b"precious");
    symlink(&victim, shared.join("log")).expect("writable");
    std::os::unix::fs::lchown(shared.join("log"), Some(super::STRANGER), None).expect("root may");
    for flag in FLAGS {
        let (words, status) =
            said(&msup_in(&sandbox, sandbox.path(), &[flag, "shared/log", "true", ":::", "x"]));
        assert!(status == Some(255) && words.contains("65534"), "{flag}: {words}");
        assert_eq!(fs::read(&victim).expect("readable"), b"precious");
    }
}
