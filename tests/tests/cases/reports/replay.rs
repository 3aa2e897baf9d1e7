//! Outputs that were shown before a run was cut off: kept with it, and shown again on request.

use std::fs::{self, File};
use std::process::Command;

use msup_tests::{Sandbox, kill, records, run, wait_until};
use nix::sys::signal::Signal;

/// Each task shows its value on both streams; from the third one on they wait for a file.
const TASK: &str = "[ {} -le 2 ] || { : >began.{}; until [ -e go ]; do sleep 0.01; done; }; \
                    echo out {}; echo err {} >&2; [ {} != 2 ]";

/// Standard output and error go to these files, which are emptied first, as `>` does.
fn into_files<'a>(command: &'a mut Command, sandbox: &Sandbox, name: &str) -> &'a mut Command {
    let file = |ending: &str| {
        File::create(sandbox.path().join(format!("{name}.{ending}"))).expect("writable")
    };
    command.stdout(file("out")).stderr(file("err"))
}

fn content(sandbox: &Sandbox, name: &str) -> String {
    fs::read_to_string(sandbox.path().join(name)).expect("written")
}

/// A run of six tasks, two of which have finished when it is killed.
fn cut_off(sandbox: &Sandbox, flags: &[&str], signal: Signal) {
    let mut msup = sandbox.msup(flags);
    msup.args(["-k", "-j2", TASK, ":::", "1", "2", "3", "4", "5", "6"]);
    let mut child = into_files(&mut msup, sandbox, "res").spawn().expect("built");
    wait_until(|| [3, 4].iter().all(|n| sandbox.path().join(format!("began.{n}")).exists()));
    wait_until(|| content(sandbox, "res.out") == "out 1\nout 2\n");
    let ends = || -> usize {
        let runs = fs::read_dir(sandbox.path().join("state/msup")).into_iter().flatten().flatten();
        runs.map(|run| records(&run.path().join("journal.jsonl"), "end")).sum()
    };
    wait_until(|| flags.contains(&"--no-journal") || ends() == 2);
    kill(child.id() as i32, signal);
    if signal == Signal::SIGINT {
        kill(child.id() as i32, Signal::SIGTERM);
        wait_until(|| {
            kill(child.id() as i32, Signal::SIGTERM);
            child.try_wait().expect("ours").is_some()
        });
    }
    child.wait().expect("ours");
    sandbox.file("go", b"");
}

const ALL: &str = "out 1\nout 2\nout 3\nout 4\nout 5\nout 6\n";

#[test]
fn a_replay_is_complete_and_in_order() {
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let sandbox = Sandbox::new();
        cut_off(&sandbox, &[], signal);
        let mut msup = sandbox.msup(["resume", "--replay"]);
        let status = into_files(&mut msup, &sandbox, "res").status().expect("built");
        assert_eq!(status.code(), Some(1), "one has failed");
        assert_eq!(content(&sandbox, "res.out"), ALL);
        let said = content(&sandbox, "res.err");
        for number in 1..=6 {
            assert_eq!(said.matches(&format!("err {number}\n")).count(), 1, "{said}");
        }
        assert!(!said.contains("empty file"), "{said}");
        // It can be shown as often as wanted, when all is done, too.
        let mut msup = sandbox.msup(["resume", "--replay", &last_run(&sandbox)]);
        let status = into_files(&mut msup, &sandbox, "res").status().expect("built");
        assert_eq!((status.code(), content(&sandbox, "res.out").as_str()), (Some(1), ALL));
        let began = (1..=6).filter(|n| sandbox.path().join(format!("began.{n}")).exists()).count();
        assert_eq!(began, 4);
        if signal == Signal::SIGKILL {
            sandbox.start_once_more();
        }
    }
}

fn last_run(sandbox: &Sandbox) -> String {
    let runs = fs::read_dir(sandbox.path().join("state/msup")).expect("there");
    let mut names: Vec<String> =
        runs.map(|run| run.expect("readable").file_name().into_string().expect("an id")).collect();
    names.sort();
    names.pop().expect("a run")
}

#[test]
fn a_resume_into_an_emptied_file_says_what_it_will_lack() {
    let sandbox = Sandbox::new();
    cut_off(&sandbox, &[], Signal::SIGINT);
    let mut msup = sandbox.msup(["resume"]);
    into_files(&mut msup, &sandbox, "res").status().expect("built");
    assert_eq!(content(&sandbox, "res.out"), "out 3\nout 4\nout 5\nout 6\n");
    let said = content(&sandbox, "res.err");
    let warning =
        "msup: standard output is an empty file and will lack the outputs of 2 finished tasks";
    assert!(said.contains(warning) && said.contains("msup resume --replay"), "{said}");
}

#[test]
fn nothing_is_said_where_nothing_is_lost() {
    // A file that is appended to has the earlier outputs.
    let sandbox = Sandbox::new();
    cut_off(&sandbox, &[], Signal::SIGINT);
    let file = File::options().append(true).open(sandbox.path().join("res.out")).expect("there");
    let output = sandbox.msup(["resume"]).stdout(file).output().expect("built");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("empty file"));
    assert_eq!(content(&sandbox, "res.out"), ALL);
    // Tasks that show nothing have lost nothing.
    let sandbox = Sandbox::new();
    let halting = ["--journal", "j", "-j1", "--halt", "now,done=2", "true", ":::", "1", "2", "3"];
    run(&mut sandbox.msup(halting));
    let mut msup = sandbox.msup(["resume", "./j"]);
    into_files(&mut msup, &sandbox, "res").status().expect("built");
    assert!(!content(&sandbox, "res.err").contains("empty file"));
}

#[test]
fn large_outputs_are_kept_only_on_request() {
    for (flags, expected) in [(&[][..], 3), (&["--keep-output"], 300_003)] {
        let sandbox = Sandbox::new();
        let script = "head -c {} /dev/zero";
        let mut msup = sandbox.msup(flags);
        msup.args(["--journal", "j", "-k", "-j1", "--halt", "now,done=2", script]);
        run(msup.args([":::", "3", "300000", "1"]));
        let output = run(&mut sandbox.msup(["resume", "--replay", "./j"]));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.stdout.len(), expected + 1, "{said}");
        let is_whole = expected > 3;
        assert_eq!(output.status.code(), Some(if is_whole { 0 } else { 255 }), "{said}");
        assert_eq!(said.contains("1 output was too large to be kept"), !is_whole, "{said}");
    }
}

#[test]
fn a_list_in_another_order_is_replayed_in_that_order() {
    let sandbox = Sandbox::new();
    sandbox.file("list", b"a\nb\nc\n");
    let script = "echo {}; [ {} != c ] || [ -e well ]";
    let halting = ["--journal", "j", "-k", "-j1", "--halt", "now,done=2", "-a", "list", script];
    run(&mut sandbox.msup(halting));
    sandbox.file("list", b"c\nb\na\nd\n");
    sandbox.file("well", b"");
    let output = run(&mut sandbox.msup(["resume", "--replay", "-a", "list", "./j"]));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "c\nb\na\nd\n");
}

#[test]
fn outputs_go_with_their_run_and_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    run(&mut sandbox.msup(["--journal", "j", "echo", ":::", "secret"]));
    let kept = sandbox.path().join("j/outputs");
    let mode = fs::metadata(&kept).expect("kept").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(run(&mut sandbox.msup(["clean", "./j"])).status.code(), Some(0));
    assert!(!sandbox.path().join("j").exists());
    // Without a journal nothing is kept.
    run(&mut sandbox.msup(["--no-journal", "echo", ":::", "secret"]));
    let runs = fs::read_dir(sandbox.path().join("state/msup"));
    assert_eq!(runs.map_or(0, Iterator::count), 0);
}

#[test]
fn a_run_whose_outputs_are_gone_is_not_replayed() {
    let sandbox = Sandbox::new();
    run(&mut sandbox.msup([
        "--journal",
        "j",
        "-j1",
        "--halt",
        "now,done=1",
        "echo",
        ":::",
        "1",
        "2",
    ]));
    fs::remove_file(sandbox.path().join("j/outputs")).expect("kept");
    let output = run(&mut sandbox.msup(["resume", "--replay", "./j"]));
    assert_eq!(output.status.code(), Some(255));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--replay: ./j: the outputs of this run were not kept"), "{said}");
    assert_eq!(run(&mut sandbox.msup(["resume", "./j"])).stdout, b"2\n", "it can be resumed");
}

/// Keeping is a convenience: what cannot be kept costs no task.
#[test]
fn a_full_disk_stops_the_keeping_and_not_the_run() {
    let sandbox = Sandbox::new();
    let script = "\"$MSUP\" -q --journal disk/j -j1 'head -c 60000 /dev/zero #' \
                  ::: 1 2 3 4 5 6 7 8 >out; echo $?; ls disk/j";
    let Some(mut shell) = sandbox.on_small_disk("disk", 300_000, script) else { return };
    let output = run(shell.env("MSUP", msup_tests::program("msup")));
    let [shown, said] = [output.stdout, output.stderr].map(|b| String::from_utf8(b).expect("text"));
    assert!(shown.starts_with("0\n") && shown.contains("outputs"), "{shown}{said}");
    assert!(said.contains("msup: outputs are not kept any more: No space left"), "{said}");
    assert_eq!(fs::metadata(sandbox.path().join("out")).expect("there").len(), 8 * 60_000);
}
