//! What `--pipe` does with its input: headers, files that are none, joblogs, signals, kills, and
//! flags that mean nothing there.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Output, Stdio};

use msup_tests::{Sandbox, kill, numbers, run, run_with_input, shown_text, wait_until};
use nix::sys::signal::Signal;

/// The exit status of msup with these words, and what it said.
fn ended(sandbox: &Sandbox, words: &[&str], input: &[u8]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = run_with_input(&mut sandbox.msup(words), input);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_header_is_of_the_blocks() {
    let sandbox = Sandbox::new();
    let shown = |words: &[&str], input: &str| shown_text(&sandbox, words, input.as_bytes());
    let tee = ["--pipe", "--tee", "--header", ":", "cat; echo {}", ":::", "h", "a"];
    assert_eq!(shown(&[&["parallel", "-k"], &tee[..]].concat(), "1\n2\n"), "1\n2\nh\n1\n2\na\n");
    assert_eq!(shown(&[&["-kq"], &tee[..]].concat(), "1\n2\n"), "1\n2\nh\n1\n2\na\n");
    let cut = ["-kq", "-N2", "--pipe", "--header"];
    let lines = "#a\n#b\n1\n2\n3\n";
    assert_eq!(shown(&[&cut[..], &["2", "cat"]].concat(), lines), "#a\n#b\n1\n2\n#a\n#b\n3\n");
    let regexp = shown(&[&cut[..], &["(#.*\n)*", "cat"]].concat(), lines);
    assert_eq!(regexp, "#a\n#b\n1\n2\n#a\n#b\n3\n");
    let words = ["--skip-first-line", "--pipe", "-N2", "--header", ":", "cat"];
    for first in [&["-kq"][..], &["parallel", "-k"]] {
        let skipped = shown(&[first, &words].concat(), lines);
        assert_eq!(skipped, "#b\n1\n2\n#b\n3\n", "{first:?}");
    }
}

#[test]
fn flags_that_mean_nothing_are_refused() {
    let sandbox = Sandbox::new();
    for (words, said) in [
        (&["--pipe", "-0", "cat"][..], "-0 means nothing with --pipe: records that end with NUL"),
        (&["--pipe", "-d", "x", "cat"], "-d means nothing with --pipe: what a record ends with"),
        (&["--cat", "-E", "x", "cat"], "-E means nothing with --cat"),
        (&["--fifo", "--csv", "cat"], "--csv means nothing with --fifo"),
        (&["--round-robin", "--shuf", "cat"], "--shuf means nothing with --round-robin"),
        (&["--pipe", "--header", "0", "cat"], "--header 0 means nothing with --pipe"),
        (&["--pipe-part", "-x", "cat"], "-x means nothing with --pipe-part"),
        (&["--cat", "-X", "cat"], "-X means nothing with --cat"),
        (&["--fifo", "-m", "cat"], "-m means nothing with --fifo"),
        (&["--round-robin", "-s", "9", "cat"], "-s means nothing with --round-robin"),
        (&["--cat", "--xargs", "cat"], "--xargs means nothing with --cat"),
        (&["--cat", "--colsep", ",", "cat"], "--colsep means nothing with --cat"),
        (&["--cat", "--trim", "l", "cat"], "--trim means nothing with --cat"),
        (&["--cat", "--link", "cat"], "--link means nothing with --cat"),
        (&["--cat", "--crlf", "cat"], "--crlf means nothing with --cat"),
        (&["--cat", "--worker", "cat"], "--worker means nothing with --cat"),
        (
            &["--pipe", "--tee", "--block", "1k", "wc", ":::", "a"],
            "--block means nothing with --tee",
        ),
        (&["--pipe", "--tee", "--rrs", "wc", ":::", "a"], "--remove-rec-sep means nothing"),
        (&["--pipe", "-N", "0", "cat"], "-N 0: must be the number of records, at least 1"),
        (&["--pipe", "-a", "x", "-a", "y", "cat"], "--pipe takes one file: cat FILE FILE | msup"),
        (&["--pipe", "--tee", "--tmpdir", "none", "wc", ":::", "-l"], "--tee: a copy of the input"),
    ] {
        let (status, _, stderr) = ended(&sandbox, words, b"a\n");
        assert_eq!(status, Some(255), "{words:?}: {stderr}");
        assert!(stderr.contains(said), "{words:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{words:?}: {stderr}");
    }
    let folder = File::open(sandbox.path()).expect("a folder");
    let output = sandbox.msup(["--pipe", "cat"]).stdin(folder).output().expect("it is built");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("standard input: is a directory"), "{said}");
    let mut tee = sandbox.msup(["--pipe", "--tee", "wc", ":::", "-l"]);
    let output = run_with_input(tee.env("TMPDIR", "/none"), b"a\n");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("in /none: No such file or directory (TMPDIR or"), "{said}");
}

#[test]
fn values_of_tee_may_be_separated_and_counted() {
    let sandbox = Sandbox::new();
    let tee = |flags: &[&str], rest: &[&str]| {
        let words = [&["-kq", "--pipe", "--tee"], flags, &["cat; echo {}"], rest].concat();
        shown_text(&sandbox, &words, b"1\n")
    };
    sandbox.file("nuls", b"a\0b\0");
    assert_eq!(tee(&["-0"], &["::::", "nuls"]), "1\na\n1\nb\n");
    assert_eq!(tee(&["-N2"], &[":::", "a", "b", "c"]), "1\na b\n1\nc\n");
    let words = ["-kq", "--pipe", "--tee", "--colsep", ",", "cat; echo {2}", ":::", "a,b"];
    assert_eq!(shown_text(&sandbox, &words, b"1\n"), "1\nb\n");
}

/// The joblog has the commands, and not what they read.
#[test]
fn a_joblog_of_blocks_is_not_rerun_without_them() {
    let sandbox = Sandbox::new();
    for (name, words) in [("own", &["-q"][..]), ("gnu", &["parallel"])] {
        let log = format!("{name}.log");
        let script = format!("cat >> {name}; test -e flag");
        let words = [words, &["--pipe", "--joblog", &log, &script]].concat();
        assert_eq!(ended(&sandbox, &words, b"1\n2\n").0, Some(1));
        let (status, _, stderr) = ended(&sandbox, &["-q", "--retry-failed", "--joblog", &log], b"");
        assert_eq!(status, Some(255), "{stderr}");
        assert!(stderr.contains(&format!("{log}, line 2: the command got a block")), "{stderr}");
        assert!(stderr.contains("--resume-failed"), "{stderr}");
        sandbox.file("flag", b"");
        let again = [&words[..1], &["--resume-failed"], &words[1..]].concat();
        assert_eq!(ended(&sandbox, &again, b"1\n2\n").0, Some(0));
        let got = fs::read_to_string(sandbox.path().join(name)).expect("written");
        assert_eq!(got, "1\n2\n1\n2\n");
        fs::remove_file(sandbox.path().join("flag")).expect("there");
    }
    let tee = ["-q", "--pipe", "--tee", "--joblog", "tee.log", "false {}", ":::", "a"];
    assert_eq!(ended(&sandbox, &tee, b"1\n").0, Some(1));
    let (_, _, stderr) = ended(&sandbox, &["-q", "--retry-failed", "--joblog", "tee.log"], b"");
    assert!(stderr.contains("the command got a block"), "{stderr}");
}

#[test]
fn a_joblog_of_other_blocks_is_not_resumed() {
    let sandbox = Sandbox::new();
    let words = ["-q", "--pipe", "--block", "1k", "--joblog", "log", "wc -l"];
    assert_eq!(ended(&sandbox, &words, &numbers(100)).0, Some(0));
    let again = [&words[..1], &["--resume"], &words[1..]].concat();
    let (status, stdout, stderr) = ended(&sandbox, &again, &numbers(100));
    assert_eq!((status, &stdout[..]), (Some(0), ""), "{stderr}");
    let (status, stdout, stderr) = ended(&sandbox, &again, &numbers(200));
    assert_eq!((status, &stdout[..]), (Some(255), ""), "{stderr}");
    assert!(stderr.contains("line 2: task 1 got a block of 292 bytes, now of 692"), "{stderr}");
}

/// The kernel says of these that they have no bytes, or more than they have.
#[test]
fn files_of_the_kernel_are_read_as_pipes_are() {
    let sandbox = Sandbox::new();
    for path in ["/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled", "/proc/cmdline"] {
        let Ok(content) = fs::read_to_string(path) else { continue };
        assert_eq!(shown_text(&sandbox, &["-q", "--pipe", "-a", path, "cat"], b""), content);
        let stdin = File::open(path).expect("it can be read");
        let output = sandbox.msup(["-q", "--pipe", "cat"]).stdin(stdin).output().expect("built");
        assert_eq!(String::from_utf8_lossy(&output.stdout), content);
    }
    sandbox.file("empty", b"");
    assert_eq!(shown_text(&sandbox, &["-q", "--pipe", "-a", "empty", "echo x"], b""), "");
}

/// A command exits, and has not begun to read what it has got: others get it.
#[test]
fn blocks_that_were_not_read_are_dealt_again() {
    let sandbox = Sandbox::new();
    for (count, block) in [(1_000_000, "1M"), (20_000, "1k")] {
        let script = "test $MSUP_SEQ = 1 && { touch one; exit 0; }
                      until test -e one; do sleep 0.01; done; wc -l";
        let words = ["-q", "--round-robin", "-j2", "--block", block, script];
        let (status, stdout, stderr) = ended(&sandbox, &words, &numbers(count));
        assert_eq!((status, stdout.trim()), (Some(0), &count.to_string()[..]), "{stderr}");
        fs::remove_file(sandbox.path().join("one")).expect("it was started");
    }
    let (status, stdout, stderr) =
        ended(&sandbox, &["-q", "--round-robin", "-j3", "echo {#}"], &numbers(5));
    assert_eq!((status, stdout.lines().count()), (Some(255), 3), "{stderr}");
    assert!(stderr.contains("before they had read it to its end"), "{stderr}");
}

/// The stream goes on for ever, or says nothing any more.
#[test]
fn after_a_signal_no_block_is_dealt() {
    let sandbox = Sandbox::new();
    for goes_on in [true, false] {
        let script = "touch began; cat >/dev/null; touch over";
        let mut msup = sandbox.msup(["-q", "--round-robin", "-j2", "-N1", script]);
        let mut yes = sandbox.command(if goes_on { "yes" } else { "cat" });
        let (theirs, mut ours) = std::io::pipe().expect("a pipe");
        let mut yes = yes.stdin(theirs).stdout(Stdio::piped()).spawn().expect("it exists");
        let mut running = msup.stdin(yes.stdout.take().expect("piped")).spawn().expect("built");
        std::io::Write::write_all(&mut ours, b"a\n").expect("it is read");
        let exists = |name: &str| sandbox.path().join(name).exists();
        wait_until(|| exists("began"));
        assert!(!exists("over"));
        kill(running.id() as i32, Signal::SIGTERM);
        assert_eq!(running.wait().expect("it was started").signal(), Some(15));
        assert!(exists("over"), "its command came to its end");
        drop(ours);
        yes.kill().and_then(|()| yes.wait()).expect("it was started");
        for name in ["began", "over"] {
            fs::remove_file(sandbox.path().join(name)).expect("there");
        }
    }
}

/// The first command starts when its block was found. msup is killed then, and goes on.
#[test]
fn a_file_is_not_cut_to_its_end_before_anything_starts() {
    const RECORD: u64 = 2 << 20;
    const RECORDS: u64 = 200;
    let sandbox = Sandbox::new();
    let big = File::create(sandbox.path().join("big")).expect("room");
    big.write_all_at(b"head\n", 0).expect("room");
    for end in (1..=RECORDS).map(|record| 5 + record * RECORD) {
        big.write_all_at(b"\n", end - 1).expect("room");
    }
    let script = ": > got.{#}; test -e go || sleep 600";
    let flags = ["-q", "-j1", "--journal", "run", "--skip-first-line", "-a", "big"];
    let words = [&flags[..], &["--pipe", "-N1", script]].concat();
    let mut running = sandbox.msup(words).spawn().expect("it is built");
    let got = |number: u64| sandbox.path().join(format!("got.{number}")).exists();
    wait_until(|| got(1));
    let io = fs::read_to_string(format!("/proc/{}/io", running.id())).expect("it runs");
    let read = io.lines().find_map(|line| line.strip_prefix("rchar: ")).expect("a line");
    kill(running.id() as i32, Signal::SIGKILL);
    running.wait().expect("it was started");
    let read: u64 = read.parse().expect("a number");
    assert!(read < RECORDS * RECORD / 2, "{read} bytes were read before");
    sandbox.file("go", b"");
    let output = run(&mut sandbox.msup(["resume", "-q", "./run"]));
    assert!(output.status.success(), "{output:?}");
    assert!((1..=RECORDS).all(got) && !got(RECORDS + 1));
    let output = run(&mut sandbox.msup(["resume", "-a", "big", "./run"]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("-a: this run has a file of blocks"), "{said}");
}
