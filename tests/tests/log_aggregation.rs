//! The log aggregation example: all its forms write the same reports, a poisoned log fails alone,
//! and a killed run is resumed to the reports of an undisturbed one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use msup_tests::{
    Sandbox, kill, program, records, run, run_with_input, spawn_piped, summary, wait_until,
};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

fn example(file: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    root.join("worker/examples/log_aggregation").join(file)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Makes 30 logs of this mean size in the folder `logs`, a share of them poisoned. Returns the list
/// of their paths, and those of the poisoned ones.
fn make_logs(sandbox: &Sandbox, size: &str, poison: &str) -> (Vec<String>, Vec<String>) {
    let mut make = sandbox.command(program("make-logs"));
    make.args(["--files", "30", "--size", size, "--poison", poison, "--long-line", "2M", "logs"]);
    let output = run(&mut make);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let poison = made["poison"].as_array().expect("a list").iter();
    let poison = poison.map(|path| path.as_str().expect("text").to_owned()).collect();
    let logs = fs::read_dir(sandbox.path().join("logs")).expect("it was made");
    let name = |entry: fs::DirEntry| format!("logs/{}", entry.file_name().display());
    let mut logs: Vec<String> = logs.map(|entry| name(entry.expect("readable"))).collect();
    logs.sort();
    (logs, poison)
}

/// All files in this folder of the sandbox, hidden ones included.
fn files(sandbox: &Sandbox, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(sandbox.path().join(folder)).expect("a folder");
    let read = |entry: fs::DirEntry| {
        let content = fs::read(entry.path()).expect("readable");
        (entry.file_name().to_string_lossy().into_owned(), content)
    };
    entries.map(|entry| read(entry.expect("readable"))).collect()
}

fn lines(list: &[String]) -> Vec<u8> {
    list.iter().flat_map(|path| format!("{path}\n").into_bytes()).collect()
}

/// Whether this program can be started; prints a note if not.
fn is_here(sandbox: &Sandbox, program: &str, argument: &str) -> bool {
    let is_here = sandbox.command(program).arg(argument).output().is_ok_and(|o| o.status.success());
    if !is_here {
        eprintln!("not tested: no {program} here");
    }
    is_here
}

/// Each form by its name, with the command that writes its reports into the folder of that name.
fn forms(sandbox: &Sandbox) -> Vec<(&'static str, Command)> {
    let with = |start: Command, arguments: &[&str], folder: &'static str| {
        fs::create_dir(sandbox.path().join(folder)).expect("room");
        let mut command = start;
        command.args(arguments).arg(folder);
        (folder, command)
    };
    let threads = || sandbox.command(program("aggregate-threads"));
    let worker = program("aggregate-logs");
    let msup = sandbox.msup(["--worker".as_ref(), worker.as_os_str()]);
    let mut forms = vec![
        with(threads(), &["naive"], "naive"),
        with(threads(), &["pool"], "pool"),
        with(threads(), &["semaphore", "--procs", "3"], "semaphore"),
        with(msup, &[], "msup"),
        with(sandbox.command(&worker), &[], "absent"),
    ];
    if is_here(sandbox, "python3", "--version") {
        let mut python = sandbox.command("python3");
        python.arg(example("aggregate.py"));
        forms.push(with(python, &[], "python"));
        let programs = program("msup").with_file_name("");
        if programs.join("libmsup.so").exists() {
            let mut python = sandbox.command("python3");
            python.env("PYTHONPATH", example("../../python")).env("MSUP_PROGRAMS", programs);
            python.arg(example("aggregate.py"));
            forms.push(with(python, &["--executor", "msup"], "python-msup"));
        } else {
            eprintln!("not tested: the library is not built: cargo build --workspace");
        }
    }
    if is_here(sandbox, "go", "version") {
        let program = sandbox.path().join("aggregate-go");
        let mut build = sandbox.command("go");
        build.args(["build", "-o"]).arg(&program).current_dir(example("go"));
        build.env("GOCACHE", sandbox.path().join("go-cache")).env("GOTOOLCHAIN", "local");
        let built = run(&mut build);
        // Before 1.21, Go has not all packages that the example uses.
        let is_old = text(&built.stderr).contains("is not in GOROOT");
        assert!(built.status.success() || is_old, "{}", text(&built.stderr));
        if is_old {
            eprintln!("not tested: Go is older than 1.21");
            return forms;
        }
        forms.push(with(sandbox.command(&program), &[], "pool-of-goroutines"));
        forms.push(with(sandbox.command(&program), &["-goroutines", "0"], "goroutines"));
    }
    forms
}

#[test]
fn all_forms_write_the_same_reports() {
    let sandbox = Sandbox::new();
    let (logs, poison) = make_logs(&sandbox, "8K", "0");
    assert_eq!((logs.len(), poison.len()), (30, 0));
    let mut expected = BTreeMap::new();
    for (form, mut command) in forms(&sandbox) {
        let output = run_with_input(&mut command, &lines(&logs));
        assert!(output.status.success(), "{form}: {}", text(&output.stderr));
        let reports = files(&sandbox, form);
        if expected.is_empty() {
            let named: Vec<String> = reports.keys().map(|name| format!("logs/{name}")).collect();
            let of_logs: Vec<String> = logs.iter().map(|log| format!("{log}.json")).collect();
            assert_eq!(named, of_logs);
            expected = reports;
        } else {
            assert!(reports == expected, "{form} differs");
        }
    }
}

#[test]
fn poisoned_logs_fail_alone_and_are_named() {
    let sandbox = Sandbox::new();
    let (logs, poison) = make_logs(&sandbox, "8K", "10");
    assert_eq!(poison.len(), 3);
    let of_others = logs.iter().filter(|log| !poison.contains(log));
    let of_others: Vec<String> = of_others.map(|log| format!("{}.json", &log[5..])).collect();
    let mut expected = BTreeMap::new();
    for (form, mut command) in forms(&sandbox) {
        let output = run_with_input(&mut command, &lines(&logs));
        let said = text(&output.stderr);
        let status = if form == "msup" || form == "absent" { 3 } else { 1 };
        assert_eq!(output.status.code(), Some(status), "{form}: {said}");
        for log in &poison {
            // Without msup the worker has only the numbers of its lines.
            let number = logs.iter().position(|one| one == log).expect("it is in the list") + 1;
            let name = if form == "absent" { format!("task {number}:") } else { log.clone() };
            assert_eq!(said.matches(&name).count(), 1, "{form}: {name}: {said}");
        }
        for why in ["it cannot be decompressed after line", "is not UTF-8", "is longer than"] {
            assert!(said.contains(why), "{form}: {why}: {said}");
        }
        let reports = files(&sandbox, form);
        if expected.is_empty() {
            expected = reports;
            assert_eq!(expected.keys().collect::<Vec<_>>(), of_others.iter().collect::<Vec<_>>());
        } else {
            assert!(reports == expected, "{form} differs");
        }
    }
}

#[test]
fn a_killed_run_is_resumed_to_the_same_reports() {
    let sandbox = Sandbox::new();
    let (mut logs, _) = make_logs(&sandbox, "32K", "0");
    // The last one is a pipe: the run cannot be finished before it is killed.
    let last = "logs/events-pipe.jsonl";
    let pipe = sandbox.path().join(last);
    logs.push(last.to_owned());
    sandbox.file("list", &lines(&logs));
    // An undisturbed run, where it is a file.
    let plain = logs.iter().find(|log| log.ends_with(".jsonl")).expect("one of four");
    let content = fs::read(sandbox.path().join(plain)).expect("there");
    fs::write(&pipe, &content).expect("room");
    fs::create_dir(sandbox.path().join("expected")).expect("room");
    let mut pool = sandbox.command(program("aggregate-threads"));
    let output = run_with_input(pool.args(["pool", "expected"]), &lines(&logs));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let expected = files(&sandbox, "expected");
    fs::remove_file(&pipe).expect("there");
    mkfifo(&pipe, Mode::S_IRWXU).expect("a file system with pipes");
    fs::create_dir(sandbox.path().join("reports")).expect("room");
    let whole = |reports: &BTreeMap<String, Vec<u8>>| {
        reports.keys().filter(|name| !name.starts_with('.')).count()
    };
    let mut msup = sandbox.msup(["--journal", "kept", "-a", "list", "--worker"]);
    msup.arg(program("aggregate-logs")).arg("reports");
    let mut msup = spawn_piped(&mut msup);
    let journal = sandbox.path().join("kept/journal.jsonl");
    for reports in [4, 12, 20] {
        wait_until(|| records(&journal, "end") >= reports);
        kill(msup.id() as i32, Signal::SIGKILL);
        msup.wait_with_output().expect("it was started");
        wait_until(|| sandbox.processes().is_empty());
        let found = files(&sandbox, "reports");
        assert!((reports..logs.len()).contains(&whole(&found)));
        for (name, content) in found.iter().filter(|(name, _)| !name.starts_with('.')) {
            assert!(expected[name] == *content, "{name} is half-written");
        }
        msup = spawn_piped(&mut sandbox.msup(["resume", "--summary", "s.json", "./kept"]));
    }
    // The last start waits for what comes through the pipe.
    fs::write(&pipe, &content).expect("it is read");
    let output = msup.wait_with_output().expect("it was started");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let resumed = files(&sandbox, "reports");
    assert_eq!(resumed.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert!(resumed == expected, "the reports differ");
    let figures = summary(&sandbox.path().join("s.json"));
    assert_eq!(figures["tasks"]["succeeded"], logs.len());
    assert!(figures["tasks"]["skipped"].as_u64() >= Some(20), "{figures}");
}

fn guide() -> String {
    let page = example("../../../docs/guide/log-aggregation.md");
    fs::read_to_string(page).expect("it is there")
}

#[test]
fn the_guide_shows_the_worker_as_it_is() {
    let source = fs::read_to_string(example("src/bin/aggregate-logs.rs")).expect("it is there");
    let (_, code) = source.split_once("\n\n").expect("a comment, then code");
    assert!(guide().contains(&format!("```rust\n{code}```")));
}

/// The blocks of the guide that are marked with this word.
fn blocks(page: &str, mark: &str) -> Vec<String> {
    let begin = format!("```{mark}\n");
    let blocks = page.split(&begin).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// The lines of a report, sorted, without the time that the run took.
fn timeless(report: &str) -> Vec<String> {
    let cut = |line: &str| match line.split_once(" in ") {
        Some((before, rest)) => {
            format!("{before}; {}", rest.split_once(" s; ").map_or("", |s| s.1))
        }
        None => line.to_owned(),
    };
    let mut lines: Vec<String> = report.lines().map(cut).collect();
    lines.sort();
    lines
}

#[test]
fn the_commands_of_the_guide_do_what_it_says() {
    let sandbox = Sandbox::new();
    let page = guide();
    let (commands, shown) = (blocks(&page, "sh"), blocks(&page, "text"));
    assert_eq!((commands.len(), shown.len()), (2, 1));
    let own = program("msup").parent().expect("a folder").display().to_string();
    let path = format!("{own}:{}", std::env::var("PATH").unwrap_or_default());
    let bash = |script: &str| run(sandbox.command("bash").args(["-c", script]).env("PATH", &path));
    let first = bash(&commands[0]);
    assert_eq!(first.status.code(), Some(3), "{}", text(&first.stderr));
    assert_eq!(timeless(&text(&first.stderr)), timeless(&shown[0]));
    let reports = files(&sandbox, "reports");
    assert_eq!(reports.len(), 97);
    fs::remove_dir_all(sandbox.path().join("reports")).expect("there");
    fs::create_dir(sandbox.path().join("reports")).expect("room");
    let others = bash(&commands[1]);
    let failed = text(&others.stderr);
    assert_eq!(failed.matches("aggregate-threads: 3 logs failed").count(), 3, "{failed}");
    assert!(files(&sandbox, "reports") == reports);
}
