//! Task loops in C: the example of worker/ffi, and calls in the wrong order.

mod header;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use msup_tests::{Sandbox, run, run_with_input};

// Makes cargo build the library.
use msup as _;

/// Compiles a program with the shared library.
fn compiled(sandbox: &Sandbox, source: &Path) -> PathBuf {
    let exe = std::env::current_exe().expect("this test has a path");
    let libraries = exe.parent().expect("target/PROFILE/deps");
    let program = sandbox.path().join(source.file_stem().expect("a name"));
    let mut compiler = Command::new("cc");
    compiler
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-I"])
        .arg(workspace().join("worker/ffi/include"))
        .arg(source)
        .arg("-o")
        .arg(&program)
        .arg(format!("-L{}", libraries.display()))
        .arg("-lmsup")
        .arg(format!("-Wl,-rpath,{}", libraries.display()));
    let done = run(&mut compiler);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    program
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn lines_of(bytes: &[u8]) -> Vec<String> {
    let mut lines: Vec<String> =
        String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn the_example_counts_lines_with_and_without_msup() {
    let sandbox = Sandbox::new();
    let lines = compiled(&sandbox, &workspace().join("worker/ffi/examples/lines.c"));
    for (name, content) in [("a", "1\n2\n"), ("b c", ""), ("d", &"x\n".repeat(100_000))] {
        sandbox.file(name, content.as_bytes());
    }
    let expected = ["0 b c", "100000 d", "2 a"];
    let mut with = sandbox.msup(["-q", "--worker"]);
    let done = run(with.arg(&lines).args([":::", "a", "b c", "d"]));
    assert_eq!(lines_of(&done.stdout), expected);
    assert!(done.status.success());
    let alone = run_with_input(&mut sandbox.command(&lines), b"a\nb c\nd\n");
    assert_eq!(lines_of(&alone.stdout), expected);
    assert!(alone.status.success());
}

#[test]
fn what_fails_in_c_says_why() {
    let sandbox = Sandbox::new();
    let lines = compiled(&sandbox, &workspace().join("worker/ffi/examples/lines.c"));
    sandbox.file("a", b"1\n");
    let mut with = sandbox.msup(["--worker"]);
    let done = run(with.arg(&lines).args([":::", "a", "missing"]));
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("error: missing: No such file or directory"), "{said}");
    let alone = run_with_input(&mut sandbox.command(&lines), b"missing\na\n");
    assert_eq!((alone.status.code(), &alone.stdout[..]), (Some(1), &b"1 a\n"[..]));
    assert_eq!(alone.stderr, b"task 1: missing: No such file or directory\n");
}

#[test]
fn calls_in_the_wrong_order_are_errors() {
    let sandbox = Sandbox::new();
    let misuse = compiled(&sandbox, &workspace().join("tests/tests/c_abi/misuse.c"));
    let expected = "\
next -1 call msup_attach() first, in the same thread
done -1 call msup_attach() first, in the same thread
attach 1\u{20}
attach -1 msup_attach() was called before
done -1 no task is running: wait for the next one first
write -1 no task is running: wait for the next one first
emit -1 no task is running: wait for the next one first
next 1\u{20}
park 0\u{20}
park -1 no task is running: wait for the next one first
next 1\u{20}
attempt 2 with state
next -1 task 1 is running: report its outcome first
write -1 there is no stream 7
emit 0\u{20}
done 0\u{20}
next 1\u{20}
b, 1 byte
done 0\u{20}
fail -1 no task is running: wait for the next one first
";
    let alone = run_with_input(&mut sandbox.command(&misuse), b"a\n");
    assert_eq!(String::from_utf8_lossy(&alone.stdout), expected);
    // What the program itself prints goes to its standard output as msup has set it.
    let mut with =
        sandbox.msup(["-q", "--procs", "1", "--max-workers", "1", "--worker", "sh", "--"]);
    let script = "exec \"$1\" >\"$2\"";
    with.args(["-c", script, "sh"]).arg(&misuse).args(["told", ":::", "a"]);
    let done = run(with.stderr(Stdio::inherit()));
    assert!(done.status.success(), "{done:?}");
    let told = std::fs::read_to_string(sandbox.path().join("told")).expect("written");
    assert_eq!(told, expected);
}

/// Skipped where valgrind is not installed.
#[test]
fn the_example_is_clean_under_valgrind() {
    let sandbox = Sandbox::new();
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: valgrind is not installed");
        return;
    }
    let lines = compiled(&sandbox, &workspace().join("worker/ffi/examples/lines.c"));
    sandbox.file("a", b"1\n2\n");
    let flags =
        ["--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite"];
    let mut alone = sandbox.command("valgrind");
    let done = run_with_input(alone.args(flags).arg(&lines), b"a\nmissing\n");
    assert_eq!((done.status.code(), &done.stdout[..]), (Some(1), &b"2 a\n"[..]));
    let mut with = sandbox.msup(["-q", "--worker", "valgrind", "--"]);
    let done = run(with.args(flags).arg(&lines).args([":::", "a"]));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(done.stdout, b"2 a\n");
}
