//! The Python package: its own tests, with the programs of this build; the wheel.
//!
//! Each file of tests runs in a sandbox: no process and no file may survive it. Where there is no
//! Python, nothing is tested, and a line says so.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use msup_tests::{Sandbox, program, run};

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../worker/python").canonicalize().expect("there")
}

/// The folder with the programs of this build.
fn programs() -> PathBuf {
    program("libmsup.so");
    program("msup").parent().expect("a folder").to_owned()
}

/// The real program of this Python, if it can run the package.
fn real(python: impl AsRef<Path>) -> Option<PathBuf> {
    let code = "import sys; print(sys.executable if sys.version_info >= (3, 9) else '')";
    let output = Command::new(python.as_ref()).args(["-c", code]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !path.is_empty()).then(|| path.into())
}

/// The Python that a user gets.
fn python() -> Option<PathBuf> {
    let found = real("python3");
    if found.is_none() {
        eprintln!("not tested: no python3 of version 3.9 or later here");
    }
    found
}

/// All others of other versions: in the path, and those that pyenv has.
fn other_pythons() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        (9..=19).filter_map(|minor| real(format!("python3.{minor}"))).collect();
    if let Ok(output) = Command::new("pyenv").arg("root").output() {
        let root = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let versions = fs::read_dir(Path::new(&root).join("versions")).into_iter().flatten();
        let paths = versions.flatten().map(|version| version.path().join("bin/python3"));
        found.extend(paths.filter_map(real));
    }
    found.sort();
    found.dedup();
    let usual = real("python3");
    found.retain(|path| Some(path) != usual.as_ref());
    found
}

/// A program with the package from the source, and the programs of this build.
fn with_package(sandbox: &Sandbox, python: &Path) -> Command {
    let tests = package().join("tests");
    let path = [package(), tests].map(PathBuf::into_os_string).join::<&std::ffi::OsStr>(":".as_ref());
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
fn examples_of_the_guide() {
    if let Some(python) = python() {
        check(&python, &["test_guide"]);
    }
}

/// CPython's own tests of executors, where a Python has them.
#[test]
fn generic_tests_of_cpython() {
    let pythons: Vec<PathBuf> = real("python3").into_iter().chain(other_pythons()).collect();
    if pythons.is_empty() {
        eprintln!("not tested: no python3 of version 3.9 or later here");
    }
    let has_tests = |python: &&PathBuf| {
        let code = "import test.test_concurrent_futures";
        Command::new(python).args(["-c", code]).output().is_ok_and(|end| end.status.success())
    };
    // The newest one and the oldest one: the tests differ.
    let having: Vec<&PathBuf> = pythons.iter().filter(has_tests).collect();
    match having.as_slice() {
        [] => eprintln!("not tested: no Python here has its tests"),
        [one] => check(one, &["test_generic"]),
        [first, .., last] => {
            check(first, &["test_generic"]);
            check(last, &["test_generic"]);
        }
    }
}

#[test]
fn other_versions_of_python() {
    for python in other_pythons() {
        check(&python, &["test_parts", "test_executor", "test_crashes"]);
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
    let modules = fs::read_dir(package().join("msup")).expect("there").map(|entry| {
        entry.expect("readable").file_name().to_string_lossy().into_owned()
    });
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
