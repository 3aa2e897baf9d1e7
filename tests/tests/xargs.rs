//! `msup xargs` beside the real xargs (GNU findutils), where that is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use msup_tests::{Sandbox, kill, program, run, run_with_input, wait_until};
use nix::sys::signal::Signal;

/// A line of bash each.
const SAME: &str = include_str!("xargs/same.txt");

/// The guide's page about all this.
const PAGE: &str = include_str!("../../docs/guide/coming-from-xargs.md");

/// Where the real one is, if it is that of GNU, and whether its messages are known.
fn real() -> Option<(PathBuf, bool)> {
    let told = Command::new("xargs").arg("--version").output().ok()?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let version = told.lines().next()?.strip_prefix("xargs (GNU findutils) ")?.to_owned();
    let found = Command::new("sh").args(["-c", "command -v xargs"]).output().ok()?;
    let path = String::from_utf8(found.stdout).ok()?.trim().to_owned();
    Some((path.into(), version.starts_with("4.9.") || version.starts_with("4.10.")))
}

/// A folder in which one of the two is called xargs. The names of both have the same length, which
/// the limits of command lines depend on.
fn named(sandbox: &Sandbox, folder: &str, program: &Path) -> PathBuf {
    let folder = sandbox.path().join(folder);
    fs::create_dir(&folder).expect("a new folder");
    std::os::unix::fs::symlink(program, folder.join("xargs")).expect("a new name");
    folder
}

/// Runs a line of bash in a new folder with some files.
fn ran(sandbox: &Sandbox, named: &Path, line: &str) -> Output {
    let folder = sandbox.path().join("work");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("d")).expect("a new folder");
    fs::create_dir(folder.join("copies")).expect("a new folder");
    for (name, text) in [
        ("f", "a b\nc\n"),
        ("g", "x y\n"),
        ("x.o", ""),
        ("list", "f g\n"),
        ("passwd", "root:x\ndaemon:y\n"),
        ("d/one.txt", "needle\nhay\n"),
        ("d/t w o.txt", "hay\n"),
        ("d/it's.txt", "a needle\n"),
    ] {
        // A quote in a name is what lists without -0 cannot hold.
        if !name.contains(['\'', ' ']) || line.contains("-0") {
            fs::write(folder.join(name), text).expect("writable");
        }
    }
    let mut bash = sandbox.command("bash");
    let path = std::env::var("PATH").unwrap_or_default();
    bash.env("PATH", format!("{}:{path}", named.display())).env("LC_ALL", "C");
    run(bash.current_dir(&folder).args(["-c", line]))
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn lines() -> impl Iterator<Item = &'static str> {
    SAME.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

/// The lines are compared in four parts, at the same time.
const PARTS: usize = 4;

#[test]
fn it_does_what_xargs_does_1() {
    compare(0);
}

#[test]
fn it_does_what_xargs_does_2() {
    compare(1);
}

#[test]
fn it_does_what_xargs_does_3() {
    compare(2);
}

#[test]
fn it_does_what_xargs_does_4() {
    compare(3);
}

fn compare(part: usize) {
    let Some((real, speaks_alike)) = real() else {
        println!("skipped: GNU xargs is not installed");
        return;
    };
    let sandbox = Sandbox::new();
    let real = named(&sandbox, "real", &real);
    let own = named(&sandbox, "msup", &program("msup"));
    let mut different = Vec::new();
    for line in lines().skip(part).step_by(PARTS) {
        let [mut real, mut own] = [&real, &own].map(|named| told(&ran(&sandbox, named, line)));
        if !speaks_alike {
            (real.2, own.2) = (String::new(), String::new());
        }
        if real != own {
            different.push(format!("{line}\n  xargs: {real:?}\n  msup:  {own:?}"));
        }
    }
    assert!(lines().count() >= 60);
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// Random text, the same in each run of this test.
struct Texts(u64);

impl Texts {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) as usize % bound
    }

    /// Mostly blanks, newlines and quotes: where words begin and end.
    fn next(&mut self) -> Vec<u8> {
        const BYTES: &[u8] = b"aab e    \t\n\n\n''\"\"\\\\\r\x0b";
        let length = self.below(25);
        (0..length).map(|_| BYTES[self.below(BYTES.len())]).collect()
    }
}

#[test]
fn random_text_is_split_as_xargs_splits_it() {
    const TEXTS: usize = 40;
    const FLAGS: [&[&str]; 6] =
        [&[], &["-n2"], &["-L1"], &["-I{}"], &["-E", "e"], &["-d", " ", "-L2"]];
    let Some((real, speaks_alike)) = real() else {
        println!("skipped: GNU xargs is not installed");
        return;
    };
    let sandbox = Sandbox::new();
    let own = named(&sandbox, "msup", &program("msup")).join("xargs");
    let mut texts = Texts(1);
    for nth in 0..TEXTS {
        let text = texts.next();
        let flags = FLAGS[nth % FLAGS.len()];
        let [mut real, mut own] = [&real, &own].map(|program| {
            let mut command = sandbox.command(program);
            let shows = "for a; do printf '[%s]' \"$a\"; done; echo";
            let behind: &[&str] = if flags == ["-I{}"] { &["{}"] } else { &[] };
            command.env("LC_ALL", "C").args(flags).args(["sh", "-c", shows, "_"]).args(behind);
            told(&run_with_input(&mut command, &text))
        });
        // It is called by its path here.
        real.2 = real.2.replace("/usr/bin/xargs", "xargs");
        if !speaks_alike {
            (real.2, own.2) = (String::new(), String::new());
        }
        assert_eq!(own, real, "{flags:?}: {:?}", String::from_utf8_lossy(&text));
    }
}

/// The page says what is the same. There is a command line above for each such flag.
#[test]
fn the_guide_calls_the_same_what_is_compared() {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `-"));
    let same: Vec<&str> = rows.filter(|row| row.contains("| same |")).collect();
    assert!(same.len() >= 10, "{same:?}");
    for row in same {
        let first = row.split('|').nth(1).unwrap_or_default();
        for flag in first.split('`').skip(1).step_by(2) {
            let flag = flag.split([' ', '=', '[']).next().unwrap_or_default();
            let is_used = lines().any(|line| line.contains(&format!(" {flag}")));
            assert!(is_used, "{flag} of the page is in no command line");
        }
    }
}

#[test]
fn it_says_nothing_of_its_own_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    let output = run_with_input(&mut sandbox.msup(["xargs", "-n1", "echo"]), b"a b\n");
    assert_eq!(told(&output), (Some(0), "a\nb\n".into(), String::new()));
    let state = sandbox.path().join("state");
    assert!(!state.exists() || fs::read_dir(state).expect("readable").count() == 0, "a journal");
}

#[test]
fn what_it_does_not_have_is_refused_with_an_alternative() {
    let sandbox = Sandbox::new();
    let (status, shown, said) = told(&run(&mut sandbox.msup(["xargs", "-o", "touch", "made"])));
    assert_eq!((status, shown.as_str()), (Some(1), ""));
    assert!(said.starts_with("xargs: -o is not supported: commands cannot read"), "{said}");
    assert!(!sandbox.path().join("made").exists());
}

/// What another command has written does not get into the middle of it.
#[test]
fn outputs_stay_whole() {
    let sandbox = Sandbox::new();
    let script = "for i in 1 2 3 4; do echo $1; sleep 0.01; done";
    let mut msup = sandbox.msup(["xargs", "-P4", "-n1", "sh", "-c", script, "_"]);
    let (_, shown, _) = told(&run_with_input(&mut msup, b"a b c d"));
    let mut outputs: Vec<&str> =
        shown.as_bytes().chunks(8).map(|part| std::str::from_utf8(part).expect("text")).collect();
    outputs.sort_unstable();
    assert_eq!(outputs, ["a\n", "b\n", "c\n", "d\n"].map(|line| line.repeat(4)));
}

/// After a status of 255 the next command does not run, though the list was read.
#[test]
fn nothing_runs_after_what_stops_it() {
    let sandbox = Sandbox::new();
    let script = "echo $1 >>ran; test $1 != 3 || exit 255";
    let list: Vec<u8> = (1..=200).flat_map(|n| format!("{n}\n").into_bytes()).collect();
    for _ in 0..5 {
        let _ = fs::remove_file(sandbox.path().join("ran"));
        let mut msup = sandbox.msup(["xargs", "-n1", "sh", "-c", script, "_"]);
        assert_eq!(run_with_input(&mut msup, &list).status.code(), Some(124));
        assert_eq!(fs::read_to_string(sandbox.path().join("ran")).expect("ran"), "1\n2\n3\n");
    }
}

/// A signal stops the commands, too: xargs leaves them running.
#[test]
fn a_signal_stops_the_commands() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["xargs", "-P2", "-n1", "sh", "-c", "touch $1; sleep 100", "_"]);
    let mut child = msup.stdin(Stdio::piped()).spawn().expect("built");
    use std::io::Write;
    child.stdin.take().expect("a pipe").write_all(b"a b c").expect("it reads");
    wait_until(|| ["a", "b"].iter().all(|name| sandbox.path().join(name).exists()));
    kill(child.id() as i32, Signal::SIGTERM);
    let status = child.wait().expect("ours");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
    wait_until(|| sandbox.processes().is_empty());
    assert!(!sandbox.path().join("c").exists());
}

/// Processes in the background are left alone, and not waited for.
#[test]
fn what_runs_in_the_background_goes_on() {
    let sandbox = Sandbox::new();
    let script = "(while ! test -e go; do sleep 0.01; done; touch done) >/dev/null 2>&1 & echo $1";
    let mut msup = sandbox.msup(["xargs", "-n1", "sh", "-c", script, "_"]);
    let output = run_with_input(&mut msup, b"a");
    assert_eq!(told(&output), (Some(0), "a\n".into(), String::new()));
    sandbox.file("go", b"");
    wait_until(|| sandbox.path().join("done").exists() && sandbox.processes().is_empty());
}

/// A command line as long as the system allows runs; one that is longer would not.
#[test]
fn as_many_arguments_as_the_system_allows() {
    let sandbox = Sandbox::new();
    let list = b"y\n".repeat(400_000);
    let mut msup = sandbox.msup(["xargs", "-s", "9999999", "sh", "-c", "echo $#", "_"]);
    let output = run_with_input(&mut msup, &list);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let counts: Vec<u64> = shown.lines().map(|line| line.parse().expect("a number")).collect();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(counts.iter().sum::<u64>(), 400_000);
    // Ten bytes each: two, and a pointer.
    assert!(counts[0] > 100_000 && counts.len() < 5, "{counts:?}");
}
