//! Pipelines (`msup run`): real stages, processes, kills and files.

mod again;
mod configs;
mod faults;
mod kills;
mod outputs;
mod runs;
mod stale;
mod workers;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use msup_tests::{Sandbox, run, summary};

/// A sandbox with a pipeline file, `p.toml`, and its inputs.
#[expect(missing_debug_implementations, reason = "a sandbox has none")]
pub struct Place {
    pub sandbox: Sandbox,
}

impl Place {
    pub fn new(pipeline: &str) -> Place {
        let place = Place { sandbox: Sandbox::new() };
        place.sandbox.file("p.toml", pipeline.as_bytes());
        place
    }

    /// With this number of files `in/N.txt`.
    pub fn with_inputs(pipeline: &str, inputs: u32) -> Place {
        let place = Place::new(pipeline);
        std::fs::create_dir(place.path("in")).expect("writable");
        for input in 0..inputs {
            place.write(&format!("in/{input}.txt"), &format!("input {input}\n"));
        }
        place
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.sandbox.path().join(name)
    }

    pub fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).expect("writable");
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    pub fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// `msup run FLAGS p.toml`
    pub fn run(&self, flags: &[&str]) -> Output {
        let words = ["run", "--summary", "s.json"].iter().chain(flags).chain(&["p.toml"]);
        let _ = std::fs::remove_file(self.path("s.json"));
        run(&mut self.sandbox.msup(words))
    }

    /// The same. Returns how many tasks of each stage have succeeded, without stages with none.
    pub fn ran(&self, flags: &[&str]) -> BTreeMap<String, u64> {
        let output = self.run(flags);
        assert!(output.status.success(), "{}", said(&output));
        self.counts("succeeded")
    }

    /// The counts of the last run, if anything has run.
    pub fn counts(&self, what: &str) -> BTreeMap<String, u64> {
        if !self.has("s.json") {
            return BTreeMap::new();
        }
        let summary = summary(&self.path("s.json"));
        let stages = summary["stages"].as_array().expect("stages").iter();
        let counts = stages.map(|stage| {
            let name = stage["name"].as_str().expect("a name").to_owned();
            (name, stage[what].as_u64().expect("a number"))
        });
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

/// What msup said.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn counts(expected: &[(&str, u64)]) -> BTreeMap<String, u64> {
    expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// All files below a folder, but for the history, by their names.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("readable").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                // A killed run leaves its socket.
                let name = path.strip_prefix(folder).expect("below it").display().to_string();
                found.insert(name, std::fs::read(&path).expect("readable"));
            }
        }
    }
    found.retain(|name, _| !name.starts_with(".msup"));
    found
}
