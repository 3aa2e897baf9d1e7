//! Tasks that add other tasks: each is run exactly once, whatever is killed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use msup_tests::client::Client;
use msup_tests::{
    Sandbox, TASKS_DO_NOT_KILL, kill, program, records, run, run_with_input, spawn_piped,
    wait_until,
};
use nix::sys::signal::Signal;

fn emits() -> String {
    program("emits").display().to_string()
}

/// Runs the task loop with these flags and values: status, standard output, standard error.
fn outcome(sandbox: &Sandbox, flags: &[&str], values: &[&str]) -> (Option<i32>, String, String) {
    let mut msup = sandbox.msup(flags);
    let output = run(msup.arg("--worker").arg(emits()).arg(":::").args(values));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// The values of all tasks with an end in this journal. Each has one.
fn ended(journal: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(journal).expect("there");
    let mut values = BTreeSet::new();
    for line in text.lines().filter(|line| line.contains(r#""event":"end""#)) {
        let at = line.find(r#""value":""#).expect("a value") + r#""value":""#.len();
        let value = line[at..].split('"').next().expect("a value").to_owned();
        assert!(values.insert(value.clone()), "{value} has two ends");
    }
    values
}

/// The 127 tasks of a tree with a depth of 6.
fn tree() -> BTreeSet<String> {
    let paths = (0..=6).flat_map(|depth| {
        (0..1 << depth).map(move |number: u32| match depth {
            0 => "tree:".to_owned(),
            _ => format!("tree:{number:0depth$b}"),
        })
    });
    paths.collect()
}

#[test]
fn tasks_that_are_added_run_after_the_list_in_their_order() {
    let sandbox = Sandbox::new();
    let values = ["adds:x", "a", "adds:y", "b"];
    let (status, told, said) = outcome(&sandbox, &["-k", "--procs", "1"], &values);
    assert_eq!((status, told.as_str()), (Some(0), "adds:x\na\nadds:y\nb\nx\ny\n"), "{said}");
    assert!(said.contains("6 of 6 tasks succeeded"), "{said}");
}

#[test]
fn a_tree_of_tasks_is_run_whole() {
    let sandbox = Sandbox::new();
    let (status, told, said) = outcome(&sandbox, &["-q"], &["tree:"]);
    assert_eq!(status, Some(0), "{said}");
    let told: Vec<String> = told.lines().map(str::to_owned).collect();
    assert_eq!(told.len(), 127);
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), tree());
}

#[test]
fn a_task_may_add_very_many() {
    let sandbox = Sandbox::new();
    let (status, told, said) = outcome(&sandbox, &["-q", "-k"], &["many:20000", "many:0"]);
    assert_eq!(status, Some(0), "{said}");
    let leaves: Vec<String> = (0..20_000).map(|number| format!("leaf:{number}")).collect();
    assert!(told.lines().skip(2).eq(leaves.iter().map(String::as_str)));
}

/// Their outputs wait for those of the whole list, which is longer than what is read of it at once.
#[test]
fn with_outputs_in_order_added_tasks_do_not_run_ahead_of_the_list() {
    let sandbox = Sandbox::new();
    let list = (1..=5_000).fold("many:270000\n".to_owned(), |list, n| list + &format!("{n}\n"));
    sandbox.file("list", list.as_bytes());
    let mut msup = sandbox.msup(["-q", "-k", "-a", "list", "--worker"]);
    let output = run(msup.arg(emits()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).expect("text");
    let leaves = (0..270_000).map(|number| format!("leaf:{number}"));
    let expected = list.lines().map(str::to_owned).chain(leaves);
    assert!(told.lines().map(str::to_owned).eq(expected));
}

#[test]
fn a_task_that_adds_too_much_fails_and_says_so() {
    let sandbox = Sandbox::new();
    let (status, told, said) = outcome(&sandbox, &["-k"], &["floods", "x"]);
    assert_eq!((status, told.as_str()), (Some(1), "x\n"), "{said}");
    assert!(said.contains("at most 64 MiB"), "{said}");
    assert!(said.contains("1 of 2 tasks succeeded"), "{said}");
}

#[test]
fn attempts_that_fail_or_park_add_nothing() {
    let sandbox = Sandbox::new();
    let flags = ["-q", "-k", "--retries", "2", "--backoff", "1ms..1ms"];
    let (status, told, _) = outcome(&sandbox, &flags, &["fails", "parks"]);
    assert_eq!((status, told.as_str()), (Some(1), "parks\nleaf:after a wait\n"));
}

/// Runs a tree of tasks which park, pin and add others, with a list that cannot be read again, and
/// kills it fifteen times on its way.
fn killed_on_its_way() {
    let sandbox = Sandbox::new();
    sandbox.file("list", b"tree:\ngrove:\nx\ny\n");
    let list = fs::File::open(sandbox.path().join("list")).expect("there");
    let flags = ["-q", "-j2", "--journal", "run", TASKS_DO_NOT_KILL, "--worker"];
    let mut first = sandbox.msup(flags);
    first.arg(emits()).stdin(list);
    let journal = sandbox.path().join("run/journal.jsonl");
    let mut msup = first;
    for round in 1..=15 {
        let mut child = msup.stdout(Stdio::null()).spawn().expect("built");
        let before = if round == 1 { 0 } else { records(&journal, "end") };
        wait_until(|| {
            let is_over = child.try_wait().expect("ours").is_some();
            is_over || journal.exists() && records(&journal, "end") >= before + 14
        });
        kill(child.id() as i32, Signal::SIGKILL);
        child.wait().expect("ours");
        wait_until(|| sandbox.processes().is_empty());
        msup = sandbox.msup(["resume", "-q", "./run"]);
    }
    let output = run(&mut msup);
    let mut expected = tree();
    expected.extend(tree().iter().map(|value| value.replace("tree", "grove")));
    expected.extend(["x".to_owned(), "y".to_owned()]);
    assert_eq!(ended(&journal), expected, "{}", String::from_utf8_lossy(&output.stderr));
    // The folder of a killed run is swept by the next start.
    sandbox.start_once_more();
}

/// The nightly run takes more than two hundred kills.
#[test]
fn a_tree_of_tasks_survives_kills() {
    let rounds = if std::env::var_os("MSUP_NIGHTLY").is_some() { 14 } else { 1 };
    (0..rounds).for_each(|_| killed_on_its_way());
}

#[test]
fn files_of_added_tasks_are_made_once() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("made")).expect("new");
    let (status, _, said) = outcome(&sandbox, &["-q", "--out", "made/{}"], &["tree:"]);
    assert_eq!(status, Some(0), "{said}");
    let made = fs::read_dir(sandbox.path().join("made")).expect("there").flatten();
    let made = made.map(|entry| entry.file_name().to_string_lossy().into_owned());
    assert_eq!(made.collect::<BTreeSet<_>>(), tree());
}

#[test]
fn an_added_task_that_has_failed_can_be_retried() {
    let sandbox = Sandbox::new();
    let (status, told, said) = outcome(&sandbox, &["--journal", "run"], &["adds:wants:it", "a"]);
    assert_eq!(status, Some(1), "{told}{said}");
    assert!(said.contains("2 of 3 tasks succeeded"), "{said}");
    sandbox.file("it", b"");
    let output = run(&mut sandbox.msup(["retry", "-q", "./run"]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"wants:it\n");
}

/// A retry does not run an added task that has not finished, and must not give its number away.
#[test]
fn a_retry_that_adds_tasks_loses_no_unfinished_one() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["-q", "-j2", "--journal", "run", "--worker"]);
    msup.arg(emits()).args([":::", "wants-then-adds:it", "adds:waits:go"]);
    let mut child = msup.stdout(Stdio::null()).spawn().expect("built");
    let journal = sandbox.path().join("run/journal.jsonl");
    let has_begun = || {
        let text = fs::read_to_string(&journal).unwrap_or_default();
        text.lines().any(|line| line.contains(r#""event":"start""#) && line.contains("waits:go"))
    };
    wait_until(|| has_begun() && records(&journal, "end") == 2);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    wait_until(|| sandbox.processes().is_empty());
    sandbox.file("it", b"");
    sandbox.file("go", b"");
    for command in ["retry", "resume"] {
        let output = run(&mut sandbox.msup([command, "-q", "./run"]));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let text = fs::read_to_string(&journal).expect("there");
    let succeeded = |value: &str| {
        let is_end = |line: &&str| line.contains("\"end\"") && line.contains("\"succeeded\"");
        let value = format!("\"value\":\"{value}\"");
        text.lines().filter(is_end).any(|line| line.contains(&value))
    };
    for value in ["wants-then-adds:it", "adds:waits:go", "waits:go", "leaf:late"] {
        assert!(succeeded(value), "{value}");
    }
}

#[test]
fn tasks_of_a_client_add_none() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["serve", "-q", "--worker"]);
    let mut client = Client::start(msup.arg(emits()));
    client.send(["adds:x", "a"]);
    client.end();
    let outcomes = client.outcomes();
    assert_eq!(outcomes.iter().map(|outcome| outcome.state).collect::<Vec<_>>(), [1, 0]);
    assert!(outcomes[0].text.contains("the client submits all of them"), "{}", outcomes[0].text);
    assert_eq!(client.msup.wait().expect("ours").code(), Some(1));
}

#[test]
fn without_a_supervisor_added_tasks_follow_the_list() {
    let sandbox = Sandbox::new();
    let output = run_with_input(&mut sandbox.command(emits()), b"adds:adds:x\na\nfails\n");
    assert_eq!(output.stdout, b"adds:adds:x\na\nadds:x\nx\n");
    assert_eq!(output.status.code(), Some(1));
}

/// A file of at least four million bytes below this folder.
fn large_file(folder: &Path) -> Option<PathBuf> {
    let mut paths = fs::read_dir(folder).expect("readable").map(|entry| entry.expect("one").path());
    paths.find_map(|path| match path.is_dir() {
        true => large_file(&path),
        false => (fs::metadata(&path).ok()?.len() >= 4_000_000).then_some(path),
    })
}

/// The output of a task waits for its turn in a file, which is emptied: the task counts as not
/// finished, and the run does not wait for what it has added.
#[test]
fn a_task_whose_output_is_lost_adds_nothing() {
    let sandbox = Sandbox::new();
    let [gate, done] = ["gate", "done"].map(|name| sandbox.path().join(name));
    let flags = ["-k", "--no-journal", "--procs", "2", "--max-workers", "2", "--worker"];
    let mut msup = sandbox.msup(flags);
    msup.arg(emits()).arg(":::");
    msup.arg(format!("waits:{}", gate.display())).arg("large:4000000");
    // More than there are task slots: the last one runs when the outcome of the large one is in.
    msup.args((0..600).map(|number| number.to_string()));
    msup.arg(format!("touches:{}", done.display()));
    let child = spawn_piped(&mut msup);
    wait_until(|| done.exists());
    fs::write(large_file(&sandbox.path().join("tmp")).expect("it waits in a file"), b"")
        .expect("writable");
    fs::write(gate, b"").expect("a new file");
    let output = child.wait_with_output().expect("ours");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("task 2: its output is lost"), "{said}");
    assert!(!output.status.success(), "{said}");
    assert_eq!(output.stdout.split(|byte| *byte == b'\n').count(), 603, "{said}");
}

/// Its output is too large to be kept, so that what it has added waits for it to be shown, and that
/// waits for a task that was in flight at a kill.
#[test]
fn with_outputs_in_order_a_suspect_does_not_wait_for_what_waits_for_it() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["-q", "-k", "-j1", "--journal", "run", "--worker"]);
    let child = spawn_piped(msup.arg(emits()).args([":::", "waits:go", "large:100000", "x"]));
    let journal = sandbox.path().join("run/journal.jsonl");
    wait_until(|| journal.exists() && records(&journal, "inputs-end") == 1);
    wait_until(|| sandbox.workers(&child).len() == 1);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait_with_output().expect("it was started");
    wait_until(|| sandbox.processes().is_empty());
    sandbox.file("go", b"");
    // For ever, if it waits.
    let output = run(&mut sandbox.msup(["resume", "-q", "./run"]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let large = "x".repeat(100_000);
    let expected = format!("waits:go\n{large}large:100000\nx\nleaf:of a large one\n");
    assert!(output.stdout == expected.as_bytes(), "{said}");
    sandbox.start_once_more();
}
