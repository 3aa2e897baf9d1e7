//! The forms of the example that can run here, and the logs for them.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use msup_bench::go;
use msup_bench::programs::run;

/// How many of 100 logs are poisoned.
const POISON: &str = "0.1";

/// The exit status by which the Python form says that its executor is missing.
const SKIPPED: i32 = 77;

/// What a form is compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Naive,
    Tuned,
    Msup,
    Go,
    /// Go without a bound.
    NaiveGo,
    Python,
}

/// A program that reads the list of logs; its last argument is the folder for the reports.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) command: Vec<OsString>,
}

/// A program of the workspace, as it was built for this benchmark.
pub(crate) fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_load")).with_file_name(name)
}

fn example(file: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace");
    root.join("worker/examples/log_aggregation").join(file)
}

/// All forms that can run here; prints why another one cannot. msup writes its summary to
/// `FOLDER/summary.json`.
pub(crate) fn all(python: &str, folder: &Path) -> Vec<Form> {
    let threads =
        |form: &str| -> Vec<OsString> { vec![program("aggregate-threads").into(), form.into()] };
    let form = |name, kind, command| Form { name, kind, command };
    let msup: Vec<OsString> = vec![
        program("msup").into(),
        "-q".into(),
        "--summary".into(),
        folder.join("summary.json").into(),
        "--worker".into(),
        program("aggregate-logs").into(),
    ];
    let mut forms = vec![
        form("a thread for each log", Kind::Naive, threads("naive")),
        form("a pool with a thread per CPU", Kind::Tuned, threads("pool")),
        form("100 threads and a semaphore", Kind::Tuned, threads("semaphore")),
        form("msup, default flags", Kind::Msup, msup),
    ];
    match build_go(folder) {
        Ok(program) => {
            forms.push(form("Go, 100 goroutines", Kind::Go, vec![program.clone().into()]));
            let each = vec![program.into(), "-goroutines".into(), "0".into()];
            forms.push(form("Go, a goroutine for each log", Kind::NaiveGo, each));
        }
        Err(why) => println!("Go was skipped: {why}"),
    }
    match python_program(python) {
        Ok(python) => {
            let script = vec![python, example("aggregate.py").into()];
            // The package from the tree, with the programs that were just built.
            let package = example("../../python").into_os_string();
            let programs = program("msup").with_file_name("").into_os_string();
            let mut with_msup: Vec<OsString> = vec!["env".into()];
            with_msup.push(assigned("PYTHONPATH=", package));
            with_msup.push(assigned("MSUP_PROGRAMS=", programs));
            with_msup.extend(script.iter().cloned());
            with_msup.extend(["--executor", "msup"].map(OsString::from));
            let why = skipped(&with_msup, folder);
            forms.push(form("Python, concurrent.futures", Kind::Python, script));
            match why {
                None => forms.push(form("Python, msup.Executor", Kind::Python, with_msup)),
                Some(why) => println!("Python with msup.Executor: {why}"),
            }
        }
        Err(why) => println!("Python was skipped: {why}"),
    }
    forms
}

fn assigned(name: &str, value: OsString) -> OsString {
    let mut text = OsString::from(name);
    text.push(value);
    text
}

fn build_go(folder: &Path) -> Result<PathBuf, String> {
    let target = program("load");
    let target = target.ancestors().nth(2).ok_or("no target folder")?;
    let go = go::install(&target.join("peer-go"))?;
    let program = folder.join("aggregate-go");
    let mut build = Command::new(go);
    build.args(["build", "-o"]).arg(&program).env("GOTOOLCHAIN", "local");
    run(build.current_dir(example("go")))?;
    Ok(program)
}

/// The interpreter itself: a launcher in its place would be measured, too.
fn python_program(python: &str) -> Result<OsString, String> {
    let path = run(Command::new(python).args(["-c", "import sys; print(sys.executable)"]))?;
    Ok(path.trim().into())
}

/// Why the form does not run here, if it says so.
fn skipped(command: &[OsString], folder: &Path) -> Option<String> {
    let mut trial = Command::new(&command[0]);
    let output = trial.args(&command[1..]).arg(folder).stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    (output.status.code() == Some(SKIPPED)).then_some(said)
}

/// The logs of a benchmark.
#[derive(Debug)]
pub(crate) struct Logs {
    /// The file with their paths.
    pub(crate) list: PathBuf,
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) files: usize,
    /// How many have no report.
    pub(crate) poison: usize,
    /// The size of the lines of all that have a report, in bytes.
    pub(crate) bytes: f64,
    /// The size of all logs on the disk, in bytes.
    pub(crate) disk_bytes: f64,
}

impl Logs {
    /// Makes them in the folder `logs` in `folder`.
    ///
    /// # Errors
    /// They cannot be written, or the size is none.
    pub(crate) fn make(folder: &Path, files: usize, size: &str) -> io::Result<Logs> {
        let place = folder.join("logs");
        let mut make = Command::new(program("make-logs"));
        make.args(["--files", &files.to_string(), "--size", size, "--poison", POISON]).arg(&place);
        let made = run(&mut make).map_err(io::Error::other)?;
        let made: serde_json::Value = serde_json::from_str(&made)?;
        let entries = fs::read_dir(&place)?.map(|entry| Ok(entry?.path()));
        let mut paths = entries.collect::<io::Result<Vec<PathBuf>>>()?;
        paths.sort();
        let list = folder.join("list");
        let lines: Vec<String> = paths.iter().map(|path| format!("{}\n", path.display())).collect();
        fs::write(&list, lines.concat())?;
        let number = |name: &str| made[name].as_f64().unwrap_or(f64::NAN);
        let poison = made["poison"].as_array().map_or(0, Vec::len);
        let (bytes, disk_bytes) = (number("bytes"), number("disk_bytes"));
        rustix::fs::sync();
        Ok(Logs { list, files: paths.len(), paths, poison, bytes, disk_bytes })
    }

    /// How many have a report.
    pub(crate) fn good(&self) -> usize {
        self.files - self.poison
    }

    /// Reads them into the kernel's cache, where they are not part of a run's memory.
    ///
    /// # Errors
    /// One cannot be read.
    pub(crate) fn recall(&self) -> io::Result<()> {
        for path in &self.paths {
            io::copy(&mut File::open(path)?, &mut io::sink())?;
        }
        Ok(())
    }

    /// Removes them from the kernel's cache, so that each run reads them from the disk.
    ///
    /// # Errors
    /// One cannot be opened.
    pub(crate) fn forget(&self) -> io::Result<()> {
        for path in &self.paths {
            rustix::fs::fadvise(&File::open(path)?, 0, None, rustix::fs::Advice::DontNeed)?;
        }
        Ok(())
    }
}
