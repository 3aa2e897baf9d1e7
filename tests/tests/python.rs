//! The Python package: its own tests, with the programs of this build; the wheel.
//!
//! Each file of tests runs in a sandbox: no process and no file may survive it. Where there is no
//! Python, nothing is tested, and a line says so.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

// Makes cargo build the library.
use msup as _;
use msup_tests::{Sandbox, program, run};

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../worker/python").canonicalize().expect("there")
}

/// A folder with the programs and the library of this build.
fn programs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-programs");
        let exe = std::env::current_exe().expect("this test has a path");
        // Cargo builds the library of a test beside it, and nowhere else.
        let library = exe.parent().expect("target/PROFILE/deps").join("libmsup.so");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("writable");
        for file in [program("msup"), program("msup-worker"), library] {
            assert!(file.is_file(), "{} is not built", file.display());
            symlink(&file, folder.join(file.file_name().expect("a name"))).expect("writable");
        }
        folder
    })
}

/// A Python that can run the package: 9 for version 3.9, and its real program.
type Python = (u32, PathBuf);

/// The real program of this Python, if it can run the package.
fn real(python: impl AsRef<Path>) -> Option<Python> {
    let code = "import os, sys; print(sys.version_info[1], os.path.realpath(sys.executable))";
    let output = Command::new(python.as_ref()).args(["-c", code]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (minor, path) = text.trim().split_once(' ')?;
    let minor = minor.parse().ok().filter(|minor| *minor >= 9)?;
    output.status.success().then(|| (minor, path.into()))
}

/// The Python that a user gets.
fn python() -> Option<PathBuf> {
    let found = real("python3");
    if found.is_none() {
        eprintln!("not tested: no python3 of version 3.9 or later here");
    }
    found.map(|(_, path)| path)
}

/// All that are here, the oldest version first: in the path, and those that pyenv has.
fn pythons() -> Vec<Python> {
    let names = (9..=19).map(|minor| format!("python3.{minor}"));
    let mut found: Vec<Python> = names.chain(["python3".into()]).filter_map(real).collect();
    if let Ok(output) = Command::new("pyenv").arg("root").output() {
        let root = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let versions = fs::read_dir(Path::new(&root).join("versions")).into_iter().flatten();
        let paths = versions.flatten().map(|version| version.path().join("bin/python3"));
        found.extend(paths.filter_map(real));
    }
    found.sort();
    found.dedup();
    found
}

/// A program with the package from the source, and the programs of this build.
fn with_package(sandbox: &Sandbox, python: &Path) -> Command {
    let tests = package().join("tests");
    let path =
        [package(), tests].map(PathBuf::into_os_string).join::<&std::ffi::OsStr>(":".as_ref());
    let mut command = sandbox.command(python);
    command
        .env("PYTHONPATH", path)
        .env("PYTHONPYCACHEPREFIX", Path::new(env!("CARGO_TARGET_TMPDIR")).join("pycache"))
        .env("MSUP_PROGRAMS", programs());
    command
}

/// Runs files of the package's tests.
fn check(python: &Path, files: &[&str]) {
    for file in files {
        let sandbox = Sandbox::new();
        let output = run(with_package(&sandbox, python).args(["-m", "unittest", "-v", file]));
        let said = said(&output);
        assert!(output.status.success(), "{file} with {}:\n{said}", python.display());
        eprintln!("{} with {}: {}", file, python.display(), said.lines().last().unwrap_or(""));
        // The folders of runs that the tests have killed.
        sandbox.start_once_more();
    }
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

#[test]
fn parts_of_the_package() {
    if let Some(python) = python() {
        check(&python, &["test_parts"]);
    }
}

#[test]
fn an_executor_runs_calls() {
    if let Some(python) = python() {
        check(&python, &["test_executor"]);
    }
}

#[test]
fn a_crash_fails_one_future() {
    if let Some(python) = python() {
        check(&python, &["test_crashes"]);
    }
}

#[test]
fn whole_programs() {
    if let Some(python) = python() {
        check(&python, &["test_programs"]);
    }
}

#[test]
fn hostile_tasks_and_results() {
    if let Some(python) = python() {
        check(&python, &["test_hostile", "test_captured"]);
    }
}

#[test]
fn programs_at_a_bad_moment() {
    if let Some(python) = python() {
        check(&python, &["test_hostile_programs"]);
    }
}

#[test]
fn examples_of_the_guide() {
    if let Some(python) = python() {
        check(&python, &["test_guide"]);
    }
}

/// CPython's own tests of executors, with the oldest and the newest Python that has them.
#[test]
fn generic_tests_of_cpython() {
    let has_tests = |(_, python): &Python| {
        let code = "import test.test_concurrent_futures";
        Command::new(python).args(["-c", code]).output().is_ok_and(|end| end.status.success())
    };
    let having: Vec<Python> = pythons().into_iter().filter(has_tests).collect();
    match having.as_slice() {
        [] => eprintln!("not tested: no Python here has its tests"),
        [(_, one)] => check(one, &["test_generic"]),
        [(_, oldest), .., (_, newest)] => {
            check(oldest, &["test_generic"]);
            check(newest, &["test_generic"]);
        }
    }
}

#[test]
fn other_versions_of_python() {
    let usual = python();
    for (_, python) in pythons().into_iter().filter(|(_, path)| Some(path) != usual.as_ref()) {
        let files = ["test_parts", "test_executor", "test_hostile", "test_captured"];
        check(&python, &files);
        check(&python, &["test_hostile_programs"]);
    }
}

/// What the wheel holds beside its metadata.
const CONTENT: [&str; 3] = ["_programs/libmsup.so", "_programs/msup", "_programs/msup-worker"];

#[test]
fn a_wheel_has_all_that_is_needed() {
    let Some(python) = python() else { return };
    let sandbox = Sandbox::new();
    let succeeded = |command: &mut Command| {
        let output = run(command);
        assert!(output.status.success(), "{command:?}:\n{}", said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let place = sandbox.path().join("venv");
    succeeded(sandbox.command(&python).args(["-m", "venv"]).arg(&place));
    let pip = place.join("bin/pip");
    let download = ["download", "-q", "--no-deps", "-d", "downloads", "setuptools>=77"];
    if !run(sandbox.command(&pip).args(download)).status.success() {
        eprintln!("not tested: pip cannot get setuptools here");
        return;
    }
    // A build leaves files beside the source.
    succeeded(sandbox.command("cp").arg("-r").arg(package()).arg("source"));
    let build = ["wheel", "-q", "--no-deps", "-w", "wheels", "./source"];
    succeeded(sandbox.command(&pip).args(build).env("MSUP_PROGRAMS", programs()));
    let wheels: Vec<OsString> = fs::read_dir(sandbox.path().join("wheels"))
        .expect("it was made")
        .map(|entry| entry.expect("readable").file_name())
        .collect();
    let [wheel] = wheels.as_slice() else { panic!("{wheels:?}") };
    let name = wheel.to_string_lossy();
    let machine = std::env::consts::ARCH;
    assert_eq!(name, format!("msup-0.1.0-py3-none-linux_{machine}.whl"));
    let install = ["install", "-q", "--no-index"];
    let wheel = sandbox.path().join("wheels").join(&*name);
    succeeded(sandbox.command(&pip).args(install).arg(&wheel));
    let listed = succeeded(sandbox.command(&python).args(["-m", "zipfile", "-l"]).arg(&wheel));
    let modules = fs::read_dir(package().join("msup"))
        .expect("there")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned());
    let modules = modules.filter(|name| name.ends_with(".py") || name == "py.typed");
    for name in modules.chain(CONTENT.map(str::to_owned)) {
        assert!(listed.contains(&format!("msup/{name} ")), "{name}:\n{listed}");
    }
    assert!(!listed.contains("tests/"), "{listed}");
    let code = "import msup\nwith msup.Executor(procs=1) as pool: print(*pool.map(abs, [-1, 2]))";
    let venv_python = place.join("bin/python");
    assert_eq!(succeeded(sandbox.command(venv_python).args(["-c", code])), "1 2\n");
    let version = succeeded(sandbox.command(place.join("bin/msup")).arg("--version"));
    assert!(version.starts_with("msup "), "{version}");
}
