//! `--resume`, `--resume-failed` and `--retry-failed` with the joblogs of msup and of the real GNU
//! parallel, where it is installed: the same tasks run.

use std::fs;
use std::process::{Command, Output, Stdio};

use msup_tests::{Sandbox, kill, program, records, run, wait_until};
use nix::sys::signal::Signal;

fn is_there() -> bool {
    let real = Command::new("parallel").arg("--version").output();
    let is_there = real.is_ok_and(|output| output.stdout.starts_with(b"GNU parallel"));
    if !is_there {
        println!("skipped: GNU parallel is not installed");
    }
    is_there
}

/// A command line for one of the two programs, in a shell that both find.
fn parallel<S: AsRef<std::ffi::OsStr>>(sandbox: &Sandbox, is_real: bool, words: &[S]) -> Command {
    let mut bash = sandbox.command("bash");
    bash.env("HOME", sandbox.path()).env_remove("PARALLEL").args(["-c", "\"$@\"; exit $?", "bash"]);
    if is_real {
        bash.args(["parallel", "--will-cite"]);
    } else {
        bash.arg(program("msup")).arg("parallel");
    }
    bash.args(words);
    bash
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The lines of the joblog without its times: number, exit status, signal and command.
fn log(sandbox: &Sandbox) -> Vec<String> {
    let log = fs::read_to_string(sandbox.path().join("log")).expect("made");
    let fields = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        assert_eq!(fields.len(), 9, "{line}");
        [fields[0], fields[6], fields[7], fields[8]].join(" ")
    };
    assert_eq!(log.lines().filter(|line| line.starts_with("Seq\t")).count(), 1, "{log}");
    log.lines().skip(1).map(fields).collect()
}

/// The joblog of a run that is halted by the first failure: tasks 1 and 2 are in it, and in another
/// folder for each call.
fn halted(is_real: bool) -> Sandbox {
    let sandbox = Sandbox::new();
    let words = ["-j1", "--halt", "soon,fail=1", "--joblog", "log"];
    let words = [&words[..], &WORK].concat();
    let mut command = parallel(&sandbox, is_real, &words);
    let output = run(&mut command);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    assert_eq!(log(&sandbox).len(), 2);
    sandbox
}

const WORK: [&str; 7] = ["echo ran 'a  b' {}; exit {}", ":::", "0", "7", "0", "1", "0"];

/// Every program goes on with the joblog of either, three times.
#[test]
fn the_same_tasks_run_as_with_gnu_parallel() {
    if !is_there() {
        return;
    }
    for is_written_by_real in [true, false] {
        let told = [true, false].map(|is_real| {
            let sandbox = halted(is_written_by_real);
            let mut told = Vec::new();
            for (flag, work) in [
                ("--resume", &WORK[..]),
                ("--resume", &WORK),
                ("--resume-failed", &WORK),
                ("--retry-failed", &[]),
                ("--retry-failed", &["something", "else", ":::", "x"]),
            ] {
                let words = [&["-k", "-j1", "--joblog", "log", flag], work].concat();
                let Output { status, stdout, stderr } =
                    run(&mut parallel(&sandbox, is_real, &words));
                told.push((status.code(), text(&stdout), text(&stderr), log(&sandbox)));
            }
            told
        });
        assert_eq!(told[0][0].1, "ran a b 0\nran a b 1\nran a b 0\n".replace("a b", "a  b"));
        assert_eq!(told[0][0].0, Some(1));
        assert_eq!((told[0][1].0, told[0][1].1.as_str()), (Some(0), ""));
        assert_eq!(told[0][3].0, Some(2));
        assert_eq!(told[1], told[0], "written by the real one: {is_written_by_real}");
    }
}

/// Task 2 and those after it run until the file `go` is there.
const SLOW: [&str; 8] = [
    "--joblog",
    "log",
    "if [ {} -gt 1 ]; then while [ ! -e go ]; do sleep 0.01; done; fi; echo {} >>ran",
    ":::",
    "1",
    "2",
    "3",
    "4",
];

#[test]
fn a_killed_run_is_gone_on_with_from_its_joblog() {
    for is_real in [true, false] {
        if is_real && !is_there() {
            continue;
        }
        let sandbox = Sandbox::new();
        let words = [&["parallel", "-j2"], &SLOW[..]].concat();
        let mut msup = sandbox.msup(words);
        let mut child = msup.stdout(Stdio::null()).spawn().expect("built");
        let joblog = sandbox.path().join("log");
        let lines = || fs::read_to_string(&joblog).map_or(0, |text| text.lines().count());
        wait_until(|| lines() == 2);
        kill(child.id() as i32, Signal::SIGKILL);
        child.wait().expect("ours");
        wait_until(|| sandbox.processes().is_empty());
        sandbox.file("go", b"");
        if !is_real {
            // As a kill in the middle of a write leaves it.
            let torn = fs::read_to_string(&joblog).expect("written") + "3\t:\t1795982343.424\t  ";
            fs::write(&joblog, torn).expect("writable");
        }
        let words = [&["-j1", "--resume"], &SLOW[..]].concat();
        let output = run(&mut parallel(&sandbox, is_real, &words));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let ran = fs::read_to_string(sandbox.path().join("ran")).expect("written");
        assert_eq!(ran, "1\n2\n3\n4\n");
        let numbers: Vec<String> =
            log(&sandbox).iter().map(|line| line.split(' ').next().expect("one").into()).collect();
        assert_eq!(numbers, ["1", "2", "3", "4"]);
        sandbox.start_once_more();
    }
}

/// GNU parallel runs commands that were not asked for, and skips others.
#[test]
fn a_joblog_of_other_commands_is_refused() {
    let sandbox = halted(false);
    let before = log(&sandbox);
    for (work, task) in [
        (&["echo other {}; exit {}", ":::", "0", "7", "0"] as &[&str], "task 1 "),
        (&[WORK[0], ":::", "0", "new", "7", "0"], "task 2 "),
    ] {
        for flag in ["--resume", "--resume-failed"] {
            let words = [&["--joblog", "log", flag], work].concat();
            let output = run(&mut parallel(&sandbox, false, &words));
            let said = text(&output.stderr);
            assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(255), ""));
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(said.contains("--joblog log, line ") && said.contains(task), "{said}");
            assert_eq!(log(&sandbox), before, "nothing has run");
        }
    }
    // A difference in quotes is none.
    let own = ["-q", "--joblog", "log", "--resume", "echo ran \"a  b\" {}; exit {}"];
    let output = run(sandbox.msup(own).args(&WORK[1..]));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 3);
}

#[test]
fn what_is_missing_is_told() {
    let sandbox = Sandbox::new();
    sandbox.file("other", b"no joblog\n");
    for (words, part) in [
        (&["--resume", "echo", ":::", "a"] as &[&str], "msup resume"),
        (&["--resume-failed", "echo", ":::", "a"], "msup resume"),
        (&["parallel", "--resume", "echo", ":::", "a"], "--joblog FILE"),
        (&["--retry-failed"], "--joblog FILE"),
        (&["--retry-failed", "--joblog", "none"], "none: there is no such joblog"),
        (&["--retry-failed", "--joblog", "other", "echo"], "line 1"),
        (&["--resume", "--joblog", "other", "echo", ":::", "a"], "other, line 1"),
        (&["--resume", "--results", "x.csv", "echo", ":::", "a"], "--joblog FILE"),
        (&["--resume", "--retry-failed", "--joblog", "other"], "cannot be used with"),
    ] {
        let output = run(&mut sandbox.msup(words));
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.lines().count()), (Some(255), 1), "{said}");
        assert!(said.contains(part), "{words:?}: {said}");
        assert_eq!(text(&output.stdout), "");
    }
    assert_eq!(fs::read(sandbox.path().join("other")).expect("there"), b"no joblog\n");
    sandbox.file("log", b"");
    let words = ["parallel", "--resume", "--joblog", "log", "echo", ":::", "a"];
    assert_eq!(text(&run(&mut sandbox.msup(words)).stdout), "a\n", "an empty log tells of no task");
    assert_eq!(log(&sandbox), ["1 0 0 echo a"]);
    let words = ["-q", "--retry-failed", "--joblog", "log", "echo"];
    let said = text(&run(&mut sandbox.msup(words)).stderr);
    assert!(said.contains("leave COMMAND"), "{said}");
}

/// The journal of the run that goes on, and the joblog, both tell the truth.
#[test]
fn a_run_that_goes_on_from_a_joblog_is_resumed_itself() {
    for flag in ["--resume", "--resume-failed", "--retry-failed"] {
        let sandbox = Sandbox::new();
        let script = "echo {} >>ran; if [ -e slow ] && [ {} = 2 ]; then : >began; sleep 1000; fi; \
                      test -e right";
        let work = [script, ":::", "1", "2", "3"];
        let words = [&["-q", "-j1", "--joblog", "log"], &work[..]].concat();
        assert_eq!(run(&mut sandbox.msup(words)).status.code(), Some(3));
        if flag == "--resume" {
            let all = fs::read_to_string(sandbox.path().join("log")).expect("made");
            let first: Vec<&str> = all.split_inclusive('\n').take(2).collect();
            fs::write(sandbox.path().join("log"), first.concat()).expect("writable");
        }
        for file in ["slow", "right", "ran"] {
            sandbox.file(file, b"");
        }
        let mut words = vec!["-q", "-j1", "--journal", "j", "--joblog", "log", flag];
        words.extend(work.iter().filter(|_| flag != "--retry-failed"));
        let mut child = sandbox.msup(words).spawn().expect("built");
        wait_until(|| sandbox.path().join("began").exists());
        // The worker takes the second task before the end of the first one is written down.
        let (journal, before) = (sandbox.path().join("j/journal.jsonl"), flag != "--resume");
        wait_until(|| records(&journal, "end") == usize::from(before));
        kill(child.id() as i32, Signal::SIGKILL);
        child.wait().expect("ours");
        wait_until(|| sandbox.processes().is_empty());
        fs::remove_file(sandbox.path().join("slow")).expect("ours");
        let output = run(&mut sandbox.msup(["resume", "./j"]));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{flag}: {said}");
        let ran = fs::read_to_string(sandbox.path().join("ran")).expect("written");
        let expected = if flag == "--resume" { "2\n2\n3\n" } else { "1\n2\n2\n3\n" };
        let mut ran: Vec<&str> = ran.split_inclusive('\n').collect();
        ran.sort_unstable();
        assert_eq!(ran.concat(), expected, "{flag}: {said}");
        let mut lines = log(&sandbox);
        lines.retain(|line| line.split(' ').nth(1) == Some("0"));
        assert_eq!(lines.len(), if flag == "--resume" { 2 } else { 3 }, "{flag}: {lines:?}");
        assert!(!said.contains("not in the input"), "{flag}: {said}");
    }
}

#[test]
fn a_line_break_in_a_command_is_one_when_it_runs_again() {
    let sandbox = Sandbox::new();
    let words = ["--joblog", "log", "-0", "echo {}\ntest -e right"];
    let mut first = parallel(&sandbox, false, &words);
    msup_tests::run_with_input(&mut first, b"a\nb\0");
    sandbox.file("right", b"");
    for is_real in [false, true] {
        if is_real && !is_there() {
            continue;
        }
        let log = fs::read(sandbox.path().join("log")).expect("made");
        let output = run(&mut parallel(&sandbox, is_real, &["--joblog", "log", "--retry-failed"]));
        assert_eq!(text(&output.stdout), "a\nb\n", "{}", text(&output.stderr));
        fs::write(sandbox.path().join("log"), log).expect("writable");
    }
}

/// Numbers that the joblog lacks have no tasks.
#[test]
fn a_joblog_with_gaps_is_run_again_with_its_numbers() {
    let sandbox = Sandbox::new();
    let line = |seq, command| format!("{seq}\t:\t1.000\t     1.000\t0\t0\t1\t0\t{command}\n");
    sandbox.file("log", (line(3, "echo three") + &line(300, "echo $PARALLEL_SEQ")).as_bytes());
    let words = ["parallel", "-k", "--joblog", "log", "--retry-failed"];
    let output = run(&mut sandbox.msup(words));
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "three\n300\n"));
    let all = fs::read_to_string(sandbox.path().join("log")).expect("there");
    let numbers: Vec<&str> = all.lines().filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(numbers[..2], ["3", "300"]);
    assert_eq!(numbers.len(), 4);
}

#[test]
fn a_failed_task_whose_line_was_cut_off_is_not_forgotten() {
    let sandbox = Sandbox::new();
    let words = ["parallel", "--joblog", "log", "exit {}", ":::", "1"];
    run(&mut sandbox.msup(words));
    let path = sandbox.path().join("log");
    let text = std::fs::read(&path).expect("written");
    std::fs::write(&path, &text[..text.len() - 3]).expect("writable");
    let output = run(&mut sandbox.msup(["parallel", "--retry-failed", "--joblog", "log"]));
    assert_eq!(output.status.code(), Some(255));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("its last line is cut off") && said.contains("--resume-failed"),
        "{said}"
    );
    assert_eq!(std::fs::read(&path).expect("there").len(), text.len() - 3, "it stays");
    let words = ["parallel", "--resume-failed", "--joblog", "log", "exit {}", ":::", "1"];
    assert_eq!(run(&mut sandbox.msup(words)).status.code(), Some(1));
}
