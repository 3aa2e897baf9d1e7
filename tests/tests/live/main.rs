//! Outputs while tasks run (`--lb`, `-u`, `--tty`), and how outputs look (`-v`, `-t`, `--color`).

mod looks;
mod stops;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use msup_tests::screen::Screen;
use msup_tests::{Sandbox, run, wait_until};

/// What a program writes, as it comes.
struct Heard {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Heard {
    fn start(command: &mut Command) -> Heard {
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("msup is built");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Heard { child, lines }
    }

    /// The next line, as soon as it is there.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("text");
        line
    }

    /// All that follows, and the exit status.
    fn rest(mut self) -> (String, Option<i32>) {
        let mut rest = Vec::new();
        self.lines.read_to_end(&mut rest).expect("readable");
        let status = self.child.wait().expect("ours").code();
        (String::from_utf8_lossy(&rest).into_owned(), status)
    }
}

/// Makes a pipe with this name. A task that reads from it waits until it is [`opened`].
fn fifo(sandbox: &Sandbox, name: &str) {
    let path = sandbox.path().join(name);
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("writable");
}

/// Lets the task go on that reads from it.
fn opened(sandbox: &Sandbox, name: &str) {
    fs::write(sandbox.path().join(name), b"").expect("a task reads from it");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether GNU parallel is installed; else the test says that it is skipped.
fn has_parallel() -> bool {
    let real = Command::new("parallel").arg("--version").output();
    let is_there = real.is_ok_and(|output| output.stdout.starts_with(b"GNU parallel"));
    if !is_there {
        println!("skipped: GNU parallel is not installed");
    }
    is_there
}

/// A name for msup that makes it GNU parallel.
fn link(sandbox: &Sandbox) -> std::path::PathBuf {
    let link = sandbox.path().join("parallel");
    std::os::unix::fs::symlink(msup_tests::program("msup"), &link).expect("a new name");
    link
}

/// Status, standard output and standard error of these words for a GNU parallel.
fn as_parallel(sandbox: &Sandbox, program: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    // A script of bash, so that both programs find the same shell.
    let mut bash = sandbox.command("bash");
    bash.env("HOME", sandbox.path()).env_remove("PARALLEL");
    let output = run(bash.args(["-c", "\"$@\"; exit $?", "bash"]).arg(program).args(words));
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_line_is_shown_while_its_task_runs() {
    for flags in [&["--lb"][..], &["--line-buffer", "-k"], &["-u"], &["--ungroup", "-k"]] {
        let sandbox = Sandbox::new();
        fifo(&sandbox, "gate");
        let mut msup = sandbox.msup(["-q"]);
        msup.args(flags).args(["echo first; cat gate; echo last {}", ":::", "x"]);
        let mut heard = Heard::start(&mut msup);
        assert_eq!(heard.line(), "first\n", "{flags:?}");
        assert!(heard.child.try_wait().expect("ours").is_none());
        opened(&sandbox, "gate");
        assert_eq!(heard.rest(), ("last x\n".into(), Some(0)), "{flags:?}");
    }
}

#[test]
fn a_line_on_standard_error_is_shown_while_its_task_runs() {
    let sandbox = Sandbox::new();
    fifo(&sandbox, "gate");
    let mut msup =
        sandbox.msup(["-q", "--lb", "--tag", "echo first >&2; cat gate; : {}", ":::", "x"]);
    let mut child = msup.stderr(Stdio::piped()).spawn().expect("msup is built");
    let said = msup_tests::overheard(&mut child);
    wait_until(|| *said.lock().expect("no panic") == "x\tfirst\n");
    opened(&sandbox, "gate");
    assert!(child.wait().expect("ours").success());
}

/// The beginning of a line waits for its end; lines of others do not wait for it.
#[test]
fn the_beginning_of_a_line_waits_for_its_end() {
    let sandbox = Sandbox::new();
    ["gate", "other"].into_iter().for_each(|name| fifo(&sandbox, name));
    // The second task begins when the first one has written the beginning of its line.
    let script = "case {} in 1) echo one; printf ha; : >other; cat gate; echo lf;; \
                  2) cat other; echo two;; esac";
    let mut msup = sandbox.msup(["-q", "--lb", "-j2", script, ":::", "1", "2"]);
    let mut heard = Heard::start(&mut msup);
    assert_eq!([heard.line(), heard.line()], ["one\n", "two\n"]);
    opened(&sandbox, "gate");
    assert_eq!(heard.rest(), ("half\n".into(), Some(0)));
}

#[test]
fn long_lines_of_several_tasks_are_never_mixed() {
    const LINE: usize = 1 << 20;
    let sandbox = Sandbox::new();
    let values: Vec<String> = "abcdefgh".chars().map(String::from).collect();
    let script = "for n in 1 2 3; do head -c 1048576 /dev/zero | tr '\\0' {}; echo; done; \
                  echo {} >&2";
    let output = run(sandbox.msup(["-q", "--lb", "-j8", script, ":::"]).args(&values));
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<&[u8]> = output.stdout.split(|byte| *byte == b'\n').collect();
    let (last, lines) = lines.split_last().expect("one at least");
    assert!(last.is_empty() && lines.len() == 3 * values.len());
    for line in lines {
        assert!(line.len() == LINE && line.iter().all(|byte| *byte == line[0]), "mixed");
    }
    for value in &values {
        let of_it = lines.iter().filter(|line| line[0] == value.as_bytes()[0]);
        assert_eq!(of_it.count(), 3, "{value}");
    }
    let mut said: Vec<char> = text(&output.stderr).lines().flat_map(str::chars).collect();
    said.sort_unstable();
    assert_eq!(said, ('a'..='h').collect::<Vec<_>>());
}

/// With `-k` the first unfinished task is shown as it runs, and the others wait: in files, when
/// they are large.
#[test]
fn in_order_only_the_first_unfinished_task_is_shown_while_it_runs() {
    let sandbox = Sandbox::new();
    ["gate", "second", "third"].into_iter().for_each(|name| fifo(&sandbox, name));
    let script = "case {} in \
        1) echo one; cat gate; echo 1;; \
        2) yes two | head -c 60000000; echo; : >filled; cat second; echo 2;; \
        3) echo three; : >done; cat third;; esac";
    let mut msup = sandbox.msup(["-q", "--lb", "-k", "-j3", script, ":::", "1", "2", "3"]);
    let mut heard = Heard::start(&mut msup);
    assert_eq!(heard.line(), "one\n");
    let has = |name: &str| sandbox.path().join(name).exists();
    wait_until(|| has("filled") && has("done"));
    opened(&sandbox, "third");
    let status = fs::read_to_string(format!("/proc/{}/status", heard.child.id())).expect("there");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a figure");
    let peak: u64 = peak.trim().trim_end_matches(" kB").trim().parse().expect("a number");
    assert!(peak < 50_000, "{peak} KiB: what waits must not be in memory");
    opened(&sandbox, "gate");
    assert_eq!(heard.line(), "1\n");
    // Now the second one is shown, which runs.
    let mut taken = vec![0; 60_000_000];
    heard.lines.read_exact(&mut taken).expect("it is shown");
    assert!(taken.chunks(4).all(|line| line == b"two\n"));
    assert_eq!(heard.line(), "\n");
    opened(&sandbox, "second");
    assert_eq!(heard.rest(), ("2\nthree\n".into(), Some(0)));
}

/// A task that has not ended its last line.
#[test]
fn a_last_line_without_an_end_is_not_joined_with_the_line_of_another_task() {
    let sandbox = Sandbox::new();
    let shown = |flags: &[&str]| {
        let mut msup = sandbox.msup(flags);
        text(&run(msup.args(["-j1", "printf '%s\\n+' {}; true", ":::", "a", "b"])).stdout)
    };
    assert_eq!(shown(&["-q", "--lb"]), "a\n+\nb\n+");
    // As without --lb.
    assert_eq!(shown(&["-q", "--lb", "-k"]), "a\n+b\n+");
    // As GNU parallel does it.
    assert_eq!(shown(&["parallel", "--lb"]), "a\n+b\n+");
}

#[test]
fn what_was_shown_is_counted_in_the_joblog() {
    let sandbox = Sandbox::new();
    let script = "echo 12345; printf 78; echo err >&2; true {}";
    let mut msup = sandbox.msup(["-q", "--lb", "--joblog", "log", script, ":::", "x", "y"]);
    assert!(run(&mut msup).status.success());
    let log = fs::read_to_string(sandbox.path().join("log")).expect("written");
    let received: Vec<&str> =
        log.lines().skip(1).filter_map(|line| line.split('\t').nth(5)).collect();
    assert_eq!(received, ["8", "8"], "{log}");
}

/// What is not kept cannot be shown again.
#[test]
fn what_cannot_be_kept_is_refused() {
    let sandbox = Sandbox::new();
    let said = |words: &[&str]| {
        let output = run(&mut sandbox.msup(words));
        assert_eq!(output.status.code(), Some(255), "{words:?}");
        text(&output.stderr)
    };
    for flags in [&["--lb", "--keep-output"][..], &["-u", "--keep-output"], &["--lb", "-u"]] {
        let said = said(&[flags, &["echo", ":::", "a"]].concat());
        assert!(said.contains("cannot be used with"), "{said}");
    }
    for (flag, name) in [("--lb", "lb"), ("-u", "direct")] {
        run(&mut sandbox.msup(["-q", flag, "--journal", name, "exit {}", ":::", "0", "1"]));
        let said = said(&["resume", "--replay", &format!("./{name}")]);
        assert!(said.contains("are not kept: leave it out"), "{said}");
    }
}

/// A terminal is read from, one command at a time, and nothing is held back.
#[test]
fn commands_read_from_the_terminal() {
    let sandbox = Sandbox::new();
    let screen = Screen::new(24, 80);
    let script = "\"$MSUP\" -q --tty 'printf \"{}? \"; read x; echo \"{}=$x\" | tee -a answers' \
                  ::: a b";
    let mut shell = screen.shell(&sandbox, script);
    for (prompt, typed) in [("a? ", "one"), ("b? ", "two")] {
        wait_until(|| screen.all_rows().iter().any(|row| row.starts_with(prompt.trim_end())));
        screen.type_keys(format!("{typed}\r").as_bytes());
    }
    assert!(shell.wait().expect("ours").success());
    let answers = fs::read_to_string(sandbox.path().join("answers")).expect("written");
    assert_eq!(answers, "a=one\nb=two\n");
}

#[test]
fn without_a_terminal_there_is_nothing_to_read_from() {
    let sandbox = Sandbox::new();
    let alone = |words: &[&str]| {
        let mut setsid = sandbox.command("setsid");
        run(setsid.arg("--wait").arg(msup_tests::program("msup")).args(words))
    };
    for flag in ["--tty", "--open-tty", "-o"] {
        let output = alone(&[flag, "cat", ":::", "/dev/null"]);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(255) && said.contains("tty /dev/tty: "), "{said}");
    }
    // As in GNU parallel.
    let output = alone(&["parallel", "--tty", "cat; echo", ":::", "a"]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "a\n"));
}
