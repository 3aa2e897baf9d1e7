//! The input of the run that was cut off: kept, cut off, or changed since.

use std::fs;
use std::io::Write;

use msup_tests::{Sandbox, kill, spawn_piped, wait_until};
use nix::sys::signal::Signal;

use super::{NOTES, kill_after, lines, resume, text, told};

#[test]
fn values_that_cannot_be_read_again_are_kept() {
    let sandbox = Sandbox::new();
    let names: Vec<String> = (0..30).map(|n| format!("a b\n{n} \u{e9}")).collect();
    let input = names.iter().flat_map(|name| name.bytes().chain([0])).collect::<Vec<u8>>();
    let mut first = sandbox.msup(["-0", "-j2", "--", "sh", "-c", NOTES, "sh"]);
    let mut child = spawn_piped(&mut first);
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(&input).expect("it reads");
    drop(stdin);
    let log = sandbox.path().join("log");
    wait_until(|| told(&sandbox).contains("inputs-end"));
    wait_until(|| lines(&log).len() >= 10);
    kill_after(&sandbox, child, 4);
    let after = resume(&sandbox, &[]);
    assert!(after.status.success(), "{}", text(&after.stderr));
    let ended = fs::read_to_string(&log).expect("readable");
    for name in &names {
        assert!(ended.contains(&format!("end {name}\n")), "{name:?}");
    }
}

#[test]
fn input_that_was_cut_off_is_never_a_success() {
    let sandbox = Sandbox::new();
    let mut child = spawn_piped(&mut sandbox.msup(["-j2", "--", "sh", "-c", NOTES, "sh"]));
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"1\n2\n3\n").expect("it reads");
    // More would come.
    kill_after(&sandbox, child, 1);
    drop(stdin);
    let after = resume(&sandbox, &[]);
    assert_eq!(after.status.code(), Some(255));
    assert!(text(&after.stderr).contains("only 3 values were read before the run was stopped"));
    let ended = lines(&sandbox.path().join("log"));
    for n in ["end 1", "end 2", "end 3"] {
        assert!(ended.iter().any(|line| line == n), "{n}");
    }
}

#[test]
fn tasks_are_known_by_their_values_not_by_their_positions() {
    let sandbox = Sandbox::new();
    sandbox.file("list", b"c\na\nb\na\n");
    let script = "echo $1 >>log; test -e slow && test $1 = b && sleep 100; true";
    sandbox.file("slow", b"");
    let msup =
        spawn_piped(&mut sandbox.msup(["-j1", "-a", "list", "--", "sh", "-c", script, "sh"]));
    let log = sandbox.path().join("log");
    wait_until(|| lines(&log) == ["c", "a", "b"]);
    wait_until(|| told(&sandbox).matches("\"end\"").count() == 2);
    kill(msup.id() as i32, Signal::SIGKILL);
    msup.wait_with_output().expect("it was started");
    fs::remove_file(sandbox.path().join("slow")).expect("it is there");
    // In another order, with one that is new, and one that is gone.
    sandbox.file("list", b"a\nnew\nb\na\n");
    let after = resume(&sandbox, &[]);
    assert!(after.status.success(), "{}", text(&after.stderr));
    assert!(text(&after.stderr).contains("1 task of the journal is not in the input any more"));
    assert_eq!(lines(&log), ["c", "a", "b", "new", "a", "b"], "what was cut off is run last");
}
