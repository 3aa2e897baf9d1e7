//! How commands are run: when they start, where, and with which variables.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use msup_tests::{Sandbox, has_begun, kill, run, spawn_piped, wait_until};
use nix::sys::signal::Signal;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn lines(file: &Path) -> usize {
    fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

#[test]
fn starts_are_as_far_apart_as_the_delay() {
    let sandbox = Sandbox::new();
    for flags in [&["-j0"][..], &[], &["-j2"]] {
        let began = Instant::now();
        let words =
            [flags, &["-q", "-k", "--delay", "0.2", "echo", ":::", "a", "b", "c", "d"]].concat();
        let output = run(&mut sandbox.msup(words));
        assert_eq!(text(&output), "a\nb\nc\nd\n", "{}", said(&output));
        assert!(began.elapsed() >= Duration::from_millis(600), "three pauses");
    }
}

/// A command that fails makes the delay longer.
#[test]
fn a_delay_may_adapt() {
    let sandbox = Sandbox::new();
    let began = Instant::now();
    let words = ["-q", "-j1", "--delay", "100msauto", "false", ":::", "a", "b", "c", "d"];
    assert_eq!(run(&mut sandbox.msup(words)).status.code(), Some(4));
    // 130 ms, 169 ms and 219 ms.
    assert!(began.elapsed() >= Duration::from_millis(518));
}

#[test]
fn a_command_decides_when_tasks_start() {
    let sandbox = Sandbox::new();
    let at = |name: &str| sandbox.path().join(name);
    let mut msup = sandbox.msup(["-q", "-k", "--limit", "echo >>asked; test -e go"]);
    let began = Instant::now();
    let child = spawn_piped(msup.args(["echo", ":::", "a", "b"]));
    wait_until(|| lines(&at("asked")) == 3);
    assert!(began.elapsed() >= Duration::from_secs(2), "it waits a second between two looks");
    sandbox.file("go", b"");
    let output = child.wait_with_output().expect("ours");
    assert_eq!((output.status.code(), text(&output).as_str()), (Some(0), "a\nb\n"));
    assert!(lines(&at("asked")) >= 5, "each start is asked for");
}

#[test]
fn the_youngest_task_makes_room_and_runs_again() {
    let sandbox = Sandbox::new();
    let at = |name: &str| sandbox.path().join(name);
    let script = "echo {} >>starts; while ! test -e go; do sleep 0.02; done; echo {}";
    let mut msup = sandbox.msup(["-k", "-j2", "--limit", "! test -e full || exit 2", script]);
    let child = spawn_piped(msup.args([":::", "a", "b"]));
    wait_until(|| lines(&at("starts")) == 2);
    sandbox.file("full", b"");
    let tasks = || {
        let environments = sandbox.processes().into_iter().filter_map(|pid| {
            let text = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            Some(String::from_utf8_lossy(&text).contains("starts; while"))
        });
        environments.filter(|is_task| *is_task).count()
    };
    // msup itself has the script among its arguments, too.
    wait_until(|| tasks() == 2);
    fs::remove_file(at("full")).expect("there");
    wait_until(|| lines(&at("starts")) >= 3);
    sandbox.file("go", b"");
    let output = child.wait_with_output().expect("ours");
    assert_eq!((output.status.code(), text(&output).as_str()), (Some(0), "a\nb\n"), "{output:?}");
}

#[test]
fn a_limit_that_is_no_command_is_told_of_once() {
    let sandbox = Sandbox::new();
    let mut msup =
        sandbox.msup(["--limit", "echo >>asked; test -e go || exit 7", "echo", ":::", "a"]);
    let child = spawn_piped(&mut msup);
    wait_until(|| lines(&sandbox.path().join("asked")) == 2);
    sandbox.file("go", b"");
    let output = child.wait_with_output().expect("ours");
    assert_eq!(said(&output).matches("--limit: the command exited with 7").count(), 1);
}

/// Its shell is found along `$PATH`.
#[test]
fn a_limit_without_the_path_of_a_shell() {
    for shell in [None, Some("bash")] {
        let sandbox = Sandbox::new();
        let mut msup = sandbox.msup(["-q", "--limit", "true", "echo", ":::", "a"]);
        msup.env_remove("SHELL").envs(shell.map(|shell| ("SHELL", shell)));
        assert_eq!(text(&run(&mut msup)), "a\n", "{shell:?}");
    }
}

#[test]
fn a_machine_that_has_room_starts_all() {
    let sandbox = Sandbox::new();
    let words =
        ["-q", "-k", "--load", "100000", "--memfree", "1", "--noswap", "echo", ":::", "a", "b"];
    let output = run(&mut sandbox.msup(words));
    assert_eq!((output.status.code(), text(&output).as_str()), (Some(0), "a\nb\n"));
}

/// No machine has that much memory.
#[test]
fn without_memory_nothing_starts() {
    let sandbox = Sandbox::new();
    let mut msup =
        sandbox.msup(["--journal", "run", "--memfree", "100000T", "--limit", "touch asked"]);
    let child = spawn_piped(msup.args(["touch", ":::", "made"]));
    wait_until(|| has_begun(&sandbox, "run"));
    kill(child.id() as i32, Signal::SIGTERM);
    let output = child.wait_with_output().expect("ours");
    assert!(!output.status.success() && !sandbox.path().join("made").exists(), "{output:?}");
    assert!(!sandbox.path().join("asked").exists(), "memory is looked at first");
}

/// A script that ends when this number of tasks run at once.
fn until_there_are(number: u32) -> String {
    format!("touch at.{{#}}; until test $(ls at.* | wc -l) -ge {number}; do sleep 0.01; done")
}

/// The first task runs alone, until it has written a larger number.
#[test]
fn more_run_when_the_file_says_so() {
    let sandbox = Sandbox::new();
    sandbox.file("jobs", b"1\n");
    let others = until_there_are(3);
    let script = format!("case {{#}} in 1) echo 3 >jobs;; *) {others};; esac; echo {{}}");
    for words in [&["-j", "jobs"][..], &["-j", "jobs", "--memory", "1G"]] {
        sandbox.file("jobs", b"1\n");
        let words = [&["-q", "-k"], words, &[&script, ":::", "a", "b", "c", "d"]].concat();
        let output = run(&mut sandbox.msup(words));
        assert_eq!(text(&output), "a\nb\nc\nd\n", "{}", said(&output));
        for at in ["at.2", "at.3", "at.4"] {
            fs::remove_file(sandbox.path().join(at)).expect("each has run");
        }
    }
}

/// Three run, and lower the number to one: the others run one after the other.
#[test]
fn fewer_run_when_the_file_says_so() {
    let sandbox = Sandbox::new();
    sandbox.file("jobs", b"3\n");
    let first = until_there_are(3);
    let script = format!(
        "if test {{#}} -le 3; then
           {first}; test {{#}} != 1 || echo 1 >jobs
           until test \"$(cat jobs)\" = 1; do sleep 0.01; done; exit
         fi
         mkdir alone || exit; sleep 0.05; rmdir alone; test $(cat jobs) = 1"
    );
    let values: Vec<String> = (1..=9).map(|value| value.to_string()).collect();
    let mut msup = sandbox.msup(["-j", "jobs", &script, ":::"]);
    let output = run(msup.args(values));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

/// It is also looked at while nothing finishes.
#[test]
fn the_file_is_looked_at_while_tasks_run() {
    let sandbox = Sandbox::new();
    sandbox.file("jobs", b"1\n");
    let script = until_there_are(2);
    let child = spawn_piped(&mut sandbox.msup(["-q", "-j", "jobs", &script, ":::", "a", "b"]));
    wait_until(|| sandbox.path().join("at.1").exists());
    sandbox.file("jobs", b"2");
    assert!(child.wait_with_output().expect("ours").status.success());
}

#[test]
fn a_file_without_a_number_is_told_of() {
    let sandbox = Sandbox::new();
    sandbox.file("word", b"many\n");
    for (name, why) in [("word", "word: must be a number"), ("none", "none: must be a number")] {
        let output = run(&mut sandbox.msup(["-j", name, "echo", ":::", "a"]));
        assert_eq!((output.status.code(), text(&output).as_str()), (Some(255), ""));
        assert!(said(&output).contains(why) && said(&output).lines().count() == 1, "{output:?}");
    }
    sandbox.file("jobs", b"1\n");
    let words = ["-k", "-j", "jobs", "echo many >jobs; echo", ":::", "a", "b"];
    let output = run(&mut sandbox.msup(words));
    assert_eq!((output.status.code(), text(&output).as_str()), (Some(0), "a\nb\n"));
    let told = "--jobs jobs: it says 'many' now, which is no number of jobs";
    assert_eq!(said(&output).matches(told).count(), 1, "{}", said(&output));
}

#[test]
fn commands_run_in_their_folders() {
    let sandbox = Sandbox::new();
    for folder in ["d/a b", "d/c"] {
        fs::create_dir_all(sandbox.path().join(folder)).expect("new");
    }
    let pwd = |words: &[&str]| {
        let output = run(&mut sandbox.msup([&["-q", "-k"], words].concat()));
        let root = sandbox.path().canonicalize().expect("there");
        let shown = text(&output).replace(root.to_str().expect("text"), "");
        (output.status.code(), shown, said(&output))
    };
    let ok = |shown: &str| (Some(0), shown.to_owned(), String::new());
    assert_eq!(pwd(&["--wd", "d/{}", "pwd #", ":::", "a b", "c"]), ok("/d/a b\n/d/c\n"));
    assert_eq!(pwd(&["--wd", ".", "pwd #", ":::", "x"]), ok("\n"));
    let (status, _, said) = pwd(&["--wd", "d/{}", "touch", ":::", "none"]);
    assert!(status == Some(1) && said.contains("d/none: no such folder (--wd)"), "{said}");
    // GNU parallel makes it.
    let output = run(&mut sandbox.msup(["parallel", "--wd", "new/{}", "pwd; true", ":::", "x"]));
    assert!(text(&output).ends_with("/new/x\n"), "{output:?}");
    // The file that a task makes is where it was asked for.
    let words = ["-q", "--wd", "d", "--out", "{}.out", "echo {} >{out}", ":::", "a"];
    assert!(run(&mut sandbox.msup(words)).status.success());
    assert_eq!(fs::read(sandbox.path().join("a.out")).expect("made"), b"a\n");
}

#[test]
fn a_temporary_folder_is_for_one_task() {
    let sandbox = Sandbox::new();
    let script = "pwd; ls; echo >x{}; mkdir -p y/z";
    let output =
        run(&mut sandbox.msup(["-q", "-k", "-j1", "--wd", "...", script, ":::", "a", "b"]));
    let shown = text(&output);
    let folders: Vec<&str> = shown.lines().collect();
    assert!(folders.len() == 2 && folders[0] != folders[1], "each is empty: {shown}");
    for folder in folders {
        assert!(folder.starts_with('/') && !Path::new(folder).exists(), "{folder}");
    }
    // The folder of a task whose worker is killed goes, too.
    let words =
        ["-q", "--outside-limit", "1", "--wd", "...", "pwd >&2; pwd >$HOME/here; kill -9 $PPID #"];
    let mut msup = sandbox.msup(words);
    run(msup.args([":::", "a"]).env("HOME", sandbox.path()));
    let folder = fs::read_to_string(sandbox.path().join("here")).expect("written");
    assert!(!Path::new(folder.trim_end()).exists(), "{folder}");
}

#[test]
fn commands_have_their_nice_level_and_variables() {
    let sandbox = Sandbox::new();
    let shown =
        |words: &[&str]| text(&run(&mut sandbox.msup([&["-q", "-k", "-j2"], words].concat())));
    assert_eq!(shown(&["--nice", "19", "nice #", ":::", "x"]), "19\n");
    let words =
        ["--process-slot-var", "GPU", "test $((GPU + 1)) = {%} && echo {}", ":::", "a", "b"];
    assert_eq!(shown(&words), "a\nb\n");
    let output = run(&mut sandbox.msup(["--env", "PATH,MSUP_NO_SUCH", "true", ":::", "a"]));
    assert!(
        said(&output).starts_with("msup: --env MSUP_NO_SUCH: not in the environment"),
        "{output:?}"
    );
    let output = run(&mut sandbox.msup(["--env", "_", "true", ":::", "a"]));
    assert!(output.status.code() == Some(255) && said(&output).contains("leave it out"));
}

#[test]
fn files_give_flags_in_gnu_mode_only() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join(".parallel")).expect("new");
    sandbox.file(".parallel/config", b"# -n9\n--tagstring 'x y' -k\n");
    sandbox.file(".parallel/other", b"--tagstring z\n");
    let shown = |words: &[&str]| {
        let mut msup = sandbox.msup(words);
        text(&run(msup.env("HOME", sandbox.path()).env_remove("XDG_CONFIG_HOME")))
    };
    assert_eq!(shown(&["parallel", "echo", ":::", "a"]), "x y\ta\n");
    assert_eq!(shown(&["parallel", "-J", "other", "echo", ":::", "a"]), "z\ta\n");
    assert_eq!(shown(&["parallel", "--tagstring", "w", "echo", ":::", "a"]), "w\ta\n");
    assert_eq!(shown(&["parallel", "--plain", "echo", ":::", "a"]), "a\n");
    assert_eq!(shown(&["-q", "echo", ":::", "a"]), "a\n");
}

#[test]
fn in_gnu_mode_a_halt_is_told_in_the_words_of_gnu_parallel() {
    let sandbox = Sandbox::new();
    let told = |words: &[&str]| {
        let output = run(&mut sandbox.msup([&["parallel"], words].concat()));
        (output.status.code(), said(&output))
    };
    let words = ["-j1", "--halt", "soon,fail=1", "exit", ":::", "0", "3", "0"];
    assert_eq!(told(&words), (Some(3), "parallel: This job failed:\nexit 3\n".into()));
    let words = ["-j1", "--halt", "now,success=1", "exit", ":::", "1", "0"];
    assert_eq!(told(&words), (Some(0), "parallel: This job succeeded:\nexit 0\n".into()));
    let script = "if test {} = 0; then until test -e two; do sleep 0.01; done; \
                  else touch two; sleep 1; fi";
    let words = ["-j2", "--halt", "soon,done=1", script, ":::", "0", "2"];
    let (status, said) = told(&words);
    let waits = "parallel: Starting no more jobs. Waiting for 1 jobs to finish.\n";
    assert!(status == Some(0) && said.contains(waits), "{said}");
}

#[test]
fn scripts_that_ask_for_a_version_get_one() {
    let sandbox = Sandbox::new();
    let asked = |words: &[&str]| {
        let output = run(&mut sandbox.msup([&["parallel"], words].concat()));
        (output.status.code(), text(&output))
    };
    assert!(asked(&["--version"]).1.starts_with("GNU parallel 20221122\n"));
    assert_eq!(asked(&["--minversion", "20200101"]), (Some(0), "20221122\n".into()));
    assert_eq!(asked(&["--minversion", "20300101"]), (Some(255), "20221122\n".into()));
    let (status, threads) = asked(&["--number-of-threads"]);
    assert!(status == Some(0) && threads.trim_end().parse::<u32>().is_ok(), "{threads}");
    assert_eq!(asked(&["--citation"]).0, Some(0));
    let own = run(&mut sandbox.msup(["--version"]));
    assert!(text(&own).starts_with("msup "), "{own:?}");
}
