//! `--pipe` and what belongs to it: blocks of the input on the standard input of commands, beside
//! the real GNU parallel where it is installed.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use msup_tests::{
    Sandbox, kill, numbers, program, run, run_with_input, shown, shown_text, wait_until,
};
use nix::sys::signal::Signal;

/// Command lines, and which input they get.
const SAME: [(&[&str], &str); 50] = [
    (&["--pipe", "wc"], "big"),
    (&["--pipe", "wc", "-l"], "lines"),
    (&["--pipe", "wc"], "empty"),
    (&["--spreadstdin", "wc"], "big"),
    (&["--pipe", "--block", "3M", "wc"], "big"),
    (&["--pipe", "--block", "300k", "sort -n | tail -1"], "big"),
    (&["--pipe", "--block", "1m", "wc -c"], "big"),
    (&["--pipe-part", "-a", "big", "wc"], "empty"),
    (&["--pipepart", "-a", "big", "--block", "2M", "wc"], "empty"),
    (&["--pipe-part", "-a", "big", "--block", "-2", "-j2", "wc"], "empty"),
    (&["--pipe", "-N3", "paste -sd,"], "lines"),
    (&["--pipe", "-N", "3", "wc -l; echo {#}"], "lines"),
    (&["--pipe", "-n", "4", "paste -sd,"], "lines"),
    (&["--pipe", "-N1", "cat; echo $PARALLEL_SEQ"], "lines"),
    (&["--pipe", "--block", "4", "paste -sd,"], "lines"),
    (&["--pipe", "--block", "10", "paste -sd,"], "lines"),
    (&["--pipe", "--recend", "", "--block", "7", "cat; echo"], "lines"),
    (&["--pipe", "--recstart", "START", "-N1", "cat; echo"], "starts"),
    (&["--pipe", "--recstart", "START", "--recend", "\\n", "-N1", "cat; echo"], "starts"),
    (&["--pipe", "--recend", "::", "-N1", "cat; echo"], "colons"),
    (&["--pipe", "--recend", "::", "-N2", "--rrs", "cat; echo"], "colons"),
    (&["--pipe", "--recend", "::", "--remove-rec-sep", "cat; echo"], "colons"),
    (&["--pipe", "--recend", "\\0", "-N1", "tr '\\0' ,; echo"], "nuls"),
    (&["--pipe", "--regexp", "--recend", "[0-9]+", "-N1", "cat; echo"], "digits"),
    (
        &["--pipe", "--regexp", "--recstart", "[a-z]", "--recend", "[0-9]", "-N1", "cat; echo"],
        "digits",
    ),
    (&["--pipe", "--regexp", "--recstart", "^1", "-N1", "cat; echo --"], "lines"),
    (&["--pipe", "--recend", ",", "--header", ":", "-N1", "cat; echo"], "commas"),
    (&["--pipe", "--header", "99", "-N5", "paste -sd,"], "lines"),
    (&["--pipe", "--header", ":", "-N5", "paste -sd,"], "lines"),
    (&["--pipe", "-q", "grep", "-c", "^1"], "lines"),
    (&["--pipe", "-N5", "--tag", "wc -l"], "lines"),
    (&["--pipe", "-N5", "--tagstring", "{#}", "wc -l"], "lines"),
    (&["--pipe", "-N4", "--dry-run", "wc -l"], "lines"),
    (&["--pipe", "-N4", "cat >/dev/null; exit {#}"], "lines"),
    (&["--pipe", "-N2", "head -1"], "lines"),
    (&["--pipe", "-N5", "--cat", "wc -l < {}"], "lines"),
    (&["--cat", "-N5", "sort -nr {} | head -1"], "lines"),
    (&["--pipe", "-N5", "--fifo", "wc -l < {}"], "lines"),
    (&["--fifo", "--block", "3M", "wc < {}; exit {#}"], "big"),
    (&["--pipe-part", "-a", "big", "--block", "2M", "--fifo", "sort -n {} | tail -1"], "empty"),
    (&["--pipe", "--tee", "wc {}", ":::", "-l", "-c"], "big"),
    (&["--pipe-part", "-a", "big", "--tee", "grep -c {}", ":::", "1", "7"], "empty"),
    (&["--pipe", "--recend", "", "-N1", "cat; echo"], "digits"),
    (&["--pipe", "--recend", "", "-N3", "cat; echo"], "digits"),
    (&["--pipe", "--recend", "--", "-N1", "cat; echo"], "dashes"),
    (&["--pipe", "--regexp", "--recstart", "[0-9]", "-N1", "cat; echo"], "digits"),
    (&["--pipe", "--regexp", "--recstart", "[0-9]", "cat; echo"], "digits"),
    (&["--pipe", "--regexp", "--recend", "[0-9]+", "cat; echo"], "digits"),
    (&["--pipe", "--regexp", "--recend", "[a&&b]", "-N1", "cat; echo"], "digits"),
    (&["--pipe", "--regexp", "--recend", r"\<", "-N1", "cat; echo"], "digits"),
];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("big", &numbers(1_000_000));
    sandbox.file("lines", &numbers(10));
    sandbox.file("empty", b"");
    sandbox.file("starts", b"STARTa\nb\nSTARTc\nSTARTd START");
    sandbox.file("commas", b"a,b,c,");
    sandbox.file("colons", b"a::b b::c\n::d");
    sandbox.file("nuls", b"a\0b\n\0c");
    sandbox.file("digits", b"a1b22c333d");
    sandbox.file("dashes", b"a--b-c--d");
    sandbox
}

fn ran(sandbox: &Sandbox, program: &Path, words: &[&str], input: &str) -> (Option<i32>, String) {
    let mut bash = sandbox.command("bash");
    let script = "p=$1; i=$2; shift 2; \"$p\" -k \"$@\" < \"$i\"; exit $?";
    bash.env("HOME", sandbox.path()).env_remove("PARALLEL");
    let Output { status, stdout, .. } =
        run(bash.args(["-c", script, "bash"]).arg(program).arg(input).args(words));
    (status.code(), String::from_utf8_lossy(&stdout).into_owned())
}

#[test]
fn blocks_are_those_of_gnu_parallel() {
    let real = Command::new("parallel").arg("--version").output();
    if !real.is_ok_and(|output| output.stdout.starts_with(b"GNU parallel")) {
        println!("skipped: GNU parallel is not installed");
        return;
    }
    let sandbox = sandbox();
    let own = sandbox.path().join("parallel");
    std::os::unix::fs::symlink(program("msup"), &own).expect("a new name");
    let mut different = Vec::new();
    for (words, input) in SAME {
        let [real, own] = [Path::new("parallel"), &own].map(|one| ran(&sandbox, one, words, input));
        if real != own {
            different.push(format!("{words:?} < {input}: {real:?} and {own:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn a_pipe_arrives_whole_and_in_order() {
    let sandbox = Sandbox::new();
    let input = numbers(300_000);
    for flags in [
        &["--pipe", "--block", "10k"][..],
        &["--pipe", "-N", "777"],
        &["--pipe", "--block", "1", "-N100"],
        &["--pipe", "--recend", "", "--block", "99991"],
    ] {
        let words = [&["-k", "-q", "--no-journal"], flags, &["cat"]].concat();
        assert!(shown(&sandbox, &words, &input) == input, "{flags:?}");
    }
}

#[test]
fn the_same_with_records_removed_in_files_and_dealt() {
    let sandbox = Sandbox::new();
    let input = numbers(50_000);
    let bare: Vec<u8> = input.iter().copied().filter(|byte| *byte != b'\n').collect();
    let removed = shown(&sandbox, &["-kq", "--pipe", "--block", "10k", "--rrs", "cat"], &input);
    assert!(removed == bare);
    let cat = ["-kq", "--pipe", "--cat", "--block", "10k", "cat", "{}"];
    assert!(shown(&sandbox, &cat, &input) == input);
    let dealt = ["-q", "--round-robin", "-j3", "--block", "5k", "cat"];
    let dealt = shown_text(&sandbox, &dealt, &input);
    let mut lines: Vec<u32> = dealt.lines().map(|line| line.parse().expect("whole")).collect();
    lines.sort_unstable();
    assert!(lines.into_iter().eq(1..=50_000), "each line once, none cut");
}

#[test]
fn a_command_that_reads_nothing_holds_nothing_up() {
    let sandbox = Sandbox::new();
    for (flag, script) in [("--pipe", "echo {#}"), ("--fifo", "echo {#} #")] {
        let words = ["-q", flag, "--block", "1M", "-k", script];
        let said = shown_text(&sandbox, &words, &numbers(1_000_000));
        assert_eq!(said.lines().count(), 7, "{flag}");
    }
}

/// Commands open their FIFO late, never read it to its end, or open it again.
#[test]
fn a_fifo_holds_nothing_up() {
    let sandbox = Sandbox::new();
    let input = numbers(500_000);
    let ran = |script: &str| {
        let mut msup = sandbox.msup(["-kq", "--fifo", "--block", "1M", script]);
        let Output { status, stdout, .. } = run_with_input(&mut msup, &input);
        (status.code(), stdout)
    };
    assert!(ran("cat {}") == (Some(0), input.clone()));
    assert!(ran("sleep 0.2; cat {} & sleep 0.1") == (Some(0), input.clone()), "in the background");
    assert_eq!(ran("head -c1 {} >/dev/null; echo {#}"), (Some(0), b"1\n2\n3\n4\n".into()));
    assert_eq!(ran(": < {}; echo {#}"), (Some(0), b"1\n2\n3\n4\n".into()));
    assert_eq!(ran("rm {}; echo {#}"), (Some(0), b"1\n2\n3\n4\n".into()));
    let (status, stdout) = ran("cat {} && ! test -e {} && cat {}");
    assert!(status == Some(4) && stdout == input, "the second time there is none");
}

/// msup is killed while commands wait for what they have not opened, and for more than they get.
#[test]
fn a_fifo_goes_with_its_run() {
    let sandbox = Sandbox::new();
    sandbox.file("list", &numbers(100));
    let script = "touch at.{#}; test {#} = 2 || exec 3<{}; test -e go || sleep 600
                  test {#} = 2 && cat {} || cat <&3";
    let words = ["-q", "-j2", "--journal", "run", "-a", "list", "--fifo", "-N50", script];
    let mut running = sandbox.msup(words).spawn().expect("it is built");
    let has_begun = |at: &str| sandbox.path().join(at).exists();
    wait_until(|| has_begun("at.1") && has_begun("at.2"));
    kill(running.id() as i32, Signal::SIGKILL);
    running.wait().expect("it was started");
    sandbox.file("go", b"");
    let output = run(&mut sandbox.msup(["resume", "-q", "./run"]));
    assert!(output.status.code() == Some(0), "{output:?}");
}

/// The stream stays open, and says more only when what it has said was handed over.
#[test]
fn a_block_that_is_late_is_handed_over() {
    let sandbox = Sandbox::new();
    for flags in
        [&["--pipe"][..], &["--pipe", "-L2"], &["--round-robin", "-j1"], &["--round-robin", "-j2"]]
    {
        let words = [flags, &["-q", "--block-timeout", "100ms", "tee -a got; echo >>got"]].concat();
        let mut running = sandbox.msup(words).stdin(Stdio::piped()).spawn().expect("it is built");
        let mut stdin = running.stdin.take().expect("piped");
        let got = || std::fs::read_to_string(sandbox.path().join("got")).unwrap_or_default();
        stdin.write_all(b"a\nb\nc").expect("it reads");
        wait_until(|| got().starts_with("a\nb\n"));
        assert!(!got().contains('c'), "{flags:?}: no record is cut");
        stdin.write_all(b"\nd\n").expect("it reads");
        wait_until(|| got().contains("c\nd\n"));
        drop(stdin);
        assert!(running.wait().expect("it was started").success());
        std::fs::remove_file(sandbox.path().join("got")).expect("there");
    }
}

/// A failed attempt has read its block: the next one gets it again.
#[test]
fn a_retry_gets_the_same_block() {
    let sandbox = Sandbox::new();
    let words = ["-kq", "--pipe", "-N2", "--retries", "2", "--backoff", "1ms..1ms"];
    let script = "cat; test $MSUP_ATTEMPT = 2";
    let words = [&words[..], &[script]].concat();
    assert_eq!(shown_text(&sandbox, &words, &numbers(5)), "1\n2\n3\n4\n5\n");
}

#[test]
fn a_block_that_was_dealt_is_not_given_to_another_attempt() {
    let sandbox = Sandbox::new();
    let words = ["-q", "--round-robin", "-j1", "cat; kill -9 $$"];
    let output = run_with_input(&mut sandbox.msup(words), &numbers(5));
    assert_eq!(output.status.code(), Some(1));
    let words = ["-q", "--round-robin", "-j2", "--block", "1k", "head -1"];
    let output = run_with_input(&mut sandbox.msup(words), &numbers(1_000_000));
    assert_eq!(output.status.code(), Some(255));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("before they had read it to its end"), "{said}");
}

/// The run is killed and resumed until it is over. No block is lost, none differs.
#[test]
fn blocks_of_a_file_survive_kills() {
    let sandbox = Sandbox::new();
    let input = numbers(2_000);
    sandbox.file("list", &input);
    let script = "cat > out.{#}; sleep 0.05";
    let mut msup = sandbox.msup(["-q", "-j2", "--journal", "run", "--pipe", "-N20", script]);
    let list = std::fs::File::open(sandbox.path().join("list")).expect("just written");
    let mut running = msup.stdin(list).spawn().expect("it is built");
    for done in [20, 40, 60] {
        let name = format!("out.{done}");
        wait_until(|| sandbox.path().join(&name).exists());
        kill(running.id() as i32, Signal::SIGKILL);
        running.wait().expect("it was started");
        running = sandbox.msup(["resume", "-q", "./run"]).spawn().expect("it is built");
    }
    assert!(running.wait().expect("it was started").success());
    let parts = (1..=100).flat_map(|part| {
        std::fs::read(sandbox.path().join(format!("out.{part}"))).expect("each block was run")
    });
    assert!(parts.eq(input));
}

#[test]
fn a_file_that_has_changed_is_not_resumed() {
    let sandbox = Sandbox::new();
    sandbox.file("list", &numbers(10));
    let words = ["-q", "--journal", "run", "-a", "list", "--pipe", "-N5", "-k", "cat; exit {#}"];
    assert_eq!(run(&mut sandbox.msup(words)).status.code(), Some(2));
    sandbox.file("list", &numbers(11));
    let output = run(&mut sandbox.msup(["retry", "./run"]));
    assert_eq!(output.status.code(), Some(255));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("list: the file has changed"), "{said}");
}

#[test]
fn what_cannot_be_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.file("list", b"a\n");
    for (words, said) in [
        (&["--block", "1M", "wc"][..], "--block means nothing without --pipe"),
        (&["--pipe"], "which command?"),
        (&["--pipe", "wc", ":::", "a"], "leave ':::' and the values out"),
        (&["--pipe", "--tee", "wc"], "behind ':::'"),
        (&["--pipe-part", "wc"], "give it with -a FILE"),
        (&["--pipe", "--block", "x", "wc"], "--block x: must be a size"),
        (&["--pipe", "--block", "-3", "wc"], "--block -3: must be a size"),
        (&["--pipe", "--regexp", "--recend", "(", "wc"], "not a regular expression"),
        (&["--pipe", "--recend", "\\q", "wc"], "--recend \\q: must be"),
        (&["--pipe", "-a", ".", "wc"], "is a directory"),
        (&["--pipe", "-a", "none", "wc"], "-a none: "),
        (&["--pipe", "--journal", "run", "wc"], "has a journal only if"),
        (&["--round-robin", "--retries", "2", "wc"], "--retries"),
        (&["--pipe", "--block-timeout", "0", "wc"], "--block-timeout 0: must be a time"),
        (&["--block-timeout", "1", "wc"], "--block-timeout means nothing without --pipe"),
        (&["--fifo", "--cat", "wc"], "--cat"),
        (&["--fifo", "--tee", "wc", ":::", "a"], "--tee"),
    ] {
        let output = run_with_input(&mut sandbox.msup(words), b"a\n");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{words:?}: {stderr}");
        assert!(stderr.contains(said), "{words:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{words:?}: {stderr}");
    }
}

/// More goes through than the machine would hold: what is done with is given back.
#[test]
fn a_stream_takes_no_more_memory_than_its_blocks() {
    const MIB: u64 = 1 << 20;
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["-q", "-j1", "--pipe", "--block", "1M", "cat > /dev/null"]);
    let mut running = msup.stdin(Stdio::piped()).spawn().expect("it is built");
    let mut stdin = running.stdin.take().expect("piped");
    let line = [&[b'x'; 1023][..], b"\n"].concat();
    let (mut held, piece) = (0, line.repeat(16 * 1024));
    for _ in 0..48 {
        stdin.write_all(&piece).expect("it reads");
        held = held.max(spool_bytes(running.id()));
    }
    drop(stdin);
    assert!(running.wait().expect("it was started").success());
    // 256 MiB of blocks, and what was read and not cut.
    assert!(held > 0 && held < 270 * MIB, "{held} bytes of 768 MiB were held");
}

/// The memory of the file of blocks of this process.
fn spool_bytes(pid: u32) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let spools = fds.filter(|fd| {
        std::fs::read_link(fd.path()).is_ok_and(|to| to.to_string_lossy().contains("msup-blocks"))
    });
    spools
        .filter_map(|fd| Some(std::fs::metadata(fd.path()).ok()?.blocks() * 512))
        .max()
        .unwrap_or(0)
}
