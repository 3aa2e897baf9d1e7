//! `msup.toml` and the user's `config.toml`: which value counts, what is refused, and that a run
//! keeps the settings of its first start.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Stdio;

use msup_tests::{Sandbox, kill, records, run, run_with_input, wait_until};
use nix::sys::signal::Signal;

/// A sandbox with a file of the folder and one of the user.
fn sandbox(folder: &str, user: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("msup.toml", folder.as_bytes());
    fs::create_dir_all(sandbox.path().join("config/msup")).expect("writable");
    sandbox.file("config/msup/config.toml", user.as_bytes());
    sandbox
}

/// What is shown, and what is said on standard error, each without the last newline.
fn both(sandbox: &Sandbox, arguments: &[&str]) -> (String, String) {
    let output = run(&mut sandbox.msup(arguments));
    let text = |bytes| String::from_utf8_lossy(bytes).trim_end().to_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// The one line with which msup refuses to start.
fn refusal(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let output = run(&mut sandbox.msup(arguments));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(255), "{said}");
    assert!(output.stdout.is_empty() && said.lines().count() == 1, "{said}");
    said.trim_end().to_owned()
}

#[test]
fn the_command_line_counts_more_than_the_folder_and_this_more_than_the_user() {
    let (folder, user) = ("tagstring = \"folder\"\n", "tagstring = \"user\"\nquiet = true\n");
    let all = ["-q", "echo", ":::", "a"];
    for (sandbox, shown) in [
        (sandbox(folder, user), "folder\ta"),
        (sandbox("", user), "user\ta"),
        (sandbox(folder, ""), "folder\ta"),
        (sandbox("", ""), "a"),
    ] {
        assert_eq!(both(&sandbox, &all), (shown.into(), String::new()));
    }
    let sandbox = sandbox(folder, user);
    let shown = |arguments: &[&str]| both(&sandbox, arguments).0;
    assert_eq!(shown(&["--tagstring", "typed", "echo", ":::", "a"]), "typed\ta");
    assert_eq!(shown(&["--tag", "echo", ":::", "a"]), "a\ta", "it excludes --tagstring");
    assert_eq!(shown(&["--no-config", "echo", ":::", "a"]), "a");
    let quiet = both(&sandbox, &["echo", ":::", "a"]).1;
    assert_eq!(quiet, "", "the user's file sets quiet");
    sandbox.file("msup.toml", b"quiet = false\n");
    assert!(both(&sandbox, &["echo", ":::", "a"]).1.contains("succeeded"), "the folder's not");
}

#[test]
fn what_contradicts_what_counts_more_gives_way() {
    let sandbox = sandbox("jobs = 1\n", "procs = 1\nmax-workers = 1\nmemory = \"1G\"\n");
    let in_flight = |arguments: &[&str]| {
        let mut all = vec!["--no-journal", "--summary", "s.json"];
        all.extend(arguments);
        all.extend(["-q", "true", ":::", "a", "b"]);
        let output = run(&mut sandbox.msup(&all));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let summary = msup_tests::summary(&sandbox.path().join("s.json"));
        (summary["procs"].as_u64(), summary["max_workers"].as_u64())
    };
    assert_eq!(in_flight(&[]), (Some(1), Some(1)));
    assert_eq!(in_flight(&["-j", "3"]), (Some(3), Some(3)));
    assert_eq!(in_flight(&["--procs", "2", "--max-workers", "5"]), (Some(2), Some(5)));
    let line = refusal(&sandbox, &["--no-config", "-j", "1", "--procs", "1", "true", ":::", "a"]);
    assert!(line.contains("cannot be used with"), "{line}");
}

#[test]
fn what_is_wrong_is_named_with_file_line_and_text() {
    let cases = [
        (
            "# one\n\ntimeuot = \"5m\"",
            "line 3: timeuot = \"5m\": unknown key: did you mean 'timeout'?",
        ),
        ("keep_order = true", "line 1: keep_order = true: unknown key: did you mean 'keep-order'?"),
        ("colour = 1", "line 1: colour = 1: unknown key"),
        ("\"\" = 1", "line 1: \"\" = 1: unknown key"),
        ("will-cite = true", "line 1: will-cite = true: unknown key"),
        ("keep-order = \"yes\"", "line 1: keep-order = \"yes\": must be true or false"),
        ("retries = \"3\"", "line 1: retries = \"3\": must be a whole number, without quotes"),
        ("retries = 1.5", "line 1: retries = 1.5: must be a whole number, without quotes"),
        ("retries = 0", "line 1: retries = 0: must be at least 1"),
        ("retries = -1", "line 1: retries = -1: must be a whole number of at least 1"),
        ("jobs = true", "line 1: jobs = true: must be a number, or text in quotes"),
        ("timeout = [1]", "line 1: timeout = [1]: must be a number, or text in quotes"),
        ("leave = 1", "line 1: leave = 1: must be text in quotes"),
        ("leave = \"oj\"", "line 1: leave = \"oj\": must be wait, ok or kill"),
        ("grace = \"soon\"", "line 1: grace = \"soon\": must be a time such as 500ms, 10s or 2m"),
        ("procs = 0", "line 1: procs = 0: must be a number of at least 1, N%, +N or -N"),
        ("schedtrace = 0", "line 1: schedtrace = 0: must be at least 1 millisecond"),
        ("[runs]\njobs = 1", "line 1: [runs]: tables have no meaning here"),
        ("jobs = 1\njobs = 2", "line 2: jobs = 2: duplicate key"),
        ("tag = true\njobs = ", "line 2: jobs =: "),
        ("null = true", "line 1: null = true: 'null' is not set in a file: the same command line"),
        ("worker = \"w\"", "line 1: worker = \"w\": 'worker' is not set in a file"),
        ("help = true", "line 1: help = true: 'help' is not set in a file"),
        ("shell = \"sh\"", "line 1: shell = \"sh\": 'shell' names a program or a file to write"),
        ("joblog = \"log\"", "line 1: joblog = \"log\": 'joblog' names a program or a file"),
    ];
    let sandbox = sandbox("", "");
    for (text, wanted) in cases {
        sandbox.file("msup.toml", text.as_bytes());
        let line = refusal(&sandbox, &["true", ":::", "a"]);
        let wanted = format!("msup: ./msup.toml, {wanted}");
        assert!(line.starts_with(&wanted), "{text}:\n{line}\n{wanted}");
    }
    sandbox.file("msup.toml", b"tag = \xff\n");
    assert!(refusal(&sandbox, &["true", ":::", "a"]).contains("./msup.toml: not UTF-8"));
    sandbox.file("msup.toml", b"leave = \"ok\"\n");
    let line = refusal(&sandbox, &["--leave-timeout", "x", "true", ":::", "a"]);
    assert!(!line.contains("msup.toml"), "--leave-timeout replaces it: {line}");
    sandbox.file("msup.toml", b"jobs = 2\nprocs = 1\n");
    let line = refusal(&sandbox, &["true", ":::", "a"]);
    assert!(line.contains("cannot be used with") && line.contains("./msup.toml sets"), "{line}");
}

#[test]
fn the_users_own_file_may_name_programs_and_files() {
    let sandbox = sandbox("", "shell = \"bash\"\njoblog = \"+all.log\"\nsummary = \"s.json\"\n");
    let (shown, _) = both(&sandbox, &["echo ${BASH_VERSION:+bash} {}", ":::", "a"]);
    assert_eq!(shown, "bash a");
    let log = fs::read_to_string(sandbox.path().join("all.log")).expect("written");
    assert!(log.contains("\t0\t0\t") && sandbox.path().join("s.json").exists(), "{log}");
    sandbox.file("config/msup/config.toml", b"shell = \"perl\"\n");
    let line = refusal(&sandbox, &["true", ":::", "a"]);
    assert!(line.contains("config.toml, line 1: shell = \"perl\": must be sh, bash"), "{line}");
}

#[test]
fn a_resumed_run_has_the_settings_of_its_first_start() {
    let sandbox = sandbox("tagstring = \"first\"\nkeep-order = true\n", "quiet = true\n");
    let script = "test -e go || sleep 100; echo {}";
    let mut msup = sandbox.msup(["-j1", "--journal", "run", script, ":::", "a", "b"]);
    let mut child = msup.stdout(Stdio::null()).spawn().expect("built");
    let journal = sandbox.path().join("run/journal.jsonl");
    wait_until(|| journal.exists() && records(&journal, "start") > 0);
    kill(child.id() as i32, Signal::SIGKILL);
    child.wait().expect("ours");
    wait_until(|| sandbox.processes().is_empty());
    sandbox.file("go", b"");
    for changed in ["tagstring = \"second\"\n", "no such thing\n"] {
        sandbox.file("msup.toml", changed.as_bytes());
        let shown = both(&sandbox, &["resume", "--replay", "./run"]);
        assert_eq!(shown, ("first\ta\nfirst\tb".into(), String::new()), "{changed}");
    }
}

#[test]
fn files_that_another_user_could_have_written_are_not_read() {
    let sandbox = sandbox("tagstring = \"x\"\n", "");
    let path = sandbox.path().join("msup.toml");
    let is_left_out = |why: &str| {
        let (shown, said) = both(&sandbox, &["echo", ":::", "a"]);
        let line = said.lines().next().unwrap_or_default();
        assert_eq!(shown, "a", "{said}");
        assert!(line.starts_with("msup: ./msup.toml: ") && line.contains(why), "{said}");
        assert_eq!(both(&sandbox, &["-q", "echo", ":::", "a"]), ("a".into(), String::new()));
        let (report, _) = both(&sandbox, &["doctor"]);
        assert!(report.contains("./msup.toml: not read: "), "{report}");
    };
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("ours");
    is_left_out("every user can write to it");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).expect("ours");
    assert_eq!(both(&sandbox, &["-q", "echo", ":::", "a"]).0, "x\ta");
    let other = nix::unistd::Uid::from_raw(65534);
    if nix::unistd::chown(&path, Some(other), None).is_err() {
        eprintln!("not tested: only root can give files to another user");
        return;
    }
    is_left_out("it belongs to user 65534");
    // A link of another user to a file of this one, and a pipe that would never end.
    fs::remove_file(&path).expect("ours");
    symlink("config/msup/config.toml", &path).expect("writable");
    sandbox.file("config/msup/config.toml", b"");
    std::os::unix::fs::lchown(&path, Some(65534), None).expect("root");
    is_left_out("it belongs to user 65534");
    fs::remove_file(&path).expect("ours");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("writable");
    nix::unistd::chown(&path, Some(other), None).expect("root");
    is_left_out("it belongs to user 65534");
    nix::unistd::chown(&path, Some(nix::unistd::geteuid()), None).expect("root");
    assert!(refusal(&sandbox, &["true", ":::", "a"]).contains("not a regular file"));
}

#[test]
fn gnu_parallels_reading_serve_and_subcommands_read_no_settings() {
    let sandbox = sandbox("wrong\n", "wrong\n");
    let output = run_with_input(&mut sandbox.msup(["parallel", "echo"]), b"a\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a\n");
    for arguments in [&["log"][..], &["serve", "true"], &["--help"], &["-h"], &["help", "settings"]]
    {
        let said = both(&sandbox, arguments).1;
        assert!(!said.contains("config.toml") && !said.contains("msup.toml"), "{said}");
    }
    let (report, _) = both(&sandbox, &["doctor"]);
    assert!(report.contains("refused: ./msup.toml, line 1: wrong: "), "{report}");
    assert!(report.contains("config/msup/config.toml, line 1: wrong: "), "{report}");
    let sets = sandbox;
    sets.file("msup.toml", b"jobs = 1\ntag = true\n");
    let (report, _) = both(&sets, &["doctor"]);
    assert!(
        report.contains("settings of this folder: ./msup.toml: read: sets jobs, tag"),
        "{report}"
    );
}

#[test]
fn the_example_files_are_right() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../configs");
    let mut read = 0;
    for entry in fs::read_dir(&folder).expect("the repository") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let sandbox = sandbox("", "");
        fs::copy(&path, sandbox.path().join("msup.toml")).expect("readable");
        let output = run(&mut sandbox.msup(["echo", ":::", "a"]));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {said}", path.display());
        let (report, _) = both(&sandbox, &["doctor"]);
        let sets_nothing = report.contains("./msup.toml: read: sets nothing");
        assert_eq!(sets_nothing, path.ends_with("reference.toml"), "{}: {report}", path.display());
        read += 1;
    }
    assert_eq!(read, 5, "the reference, and a file for each use");
}
