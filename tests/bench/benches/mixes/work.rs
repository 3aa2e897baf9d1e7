//! What the commands of a mix do, and how many there are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// What starting a command costs, in milliseconds of CPU time, about.
const START: f64 = 1.5;

/// The name of the mix that needs swap space.
pub(crate) const SWAPS: &str = "working sets that swap";

/// A kind of work.
pub(crate) struct Mix {
    pub(crate) name: String,
    pub(crate) is_random: bool,
    /// Command line: a program and its fixed arguments; each task's own is added.
    command: Vec<String>,
    /// What the tasks are given in turn.
    values: Vec<String>,
    /// CPU milliseconds of one task, on average; or what it takes of something else that there is
    /// one of.
    costs: f64,
    /// How many tasks can pay that at once; `None`: as many as there are CPUs.
    at_once: Option<f64>,
    /// The control group it runs in.
    group: Option<PathBuf>,
    /// Whether another process computes all the time.
    pub(crate) has_neighbour: bool,
}

/// A mix, ready to be run.
pub(crate) struct Work {
    pub(crate) command: Vec<String>,
    pub(crate) list: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) tasks: usize,
    pub(crate) group: Option<PathBuf>,
}

/// A process that computes until this is dropped.
pub(crate) struct Neighbour(Child);

impl Neighbour {
    pub(crate) fn start() -> io::Result<Neighbour> {
        Command::new(load()).arg("1000000*c1000").spawn().map(Neighbour)
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn load() -> String {
    env!("CARGO_BIN_EXE_load").to_owned()
}

fn plans(name: &str, costs: f64, plans: &[&str]) -> Mix {
    Mix {
        name: name.to_owned(),
        is_random: false,
        command: vec![load()],
        values: plans.iter().map(|plan| (*plan).to_owned()).collect(),
        costs,
        at_once: None,
        group: None,
        has_neighbour: false,
    }
}

/// The mixes with a name. `server` is where the slow server listens.
pub(crate) fn named(server: &str) -> Vec<Mix> {
    let load = load();
    let pipeline = format!("{load} 4*c2,w10,o4 | {load} i,c4 | {load} i,w5,c2 # $0");
    vec![
        plans("computes", 20.0 + START, &["c20"]),
        Mix { has_neighbour: true, ..plans("computes beside a neighbour", 20.0 + START, &["c20"]) },
        plans("10/50", 20.0 + START, &["2*c10,w50"]),
        plans("1/5", 20.0 + START, &["20*c1,w5"]),
        plans("0.2/1", 20.0 + START, &["100*c0.2,w1"]),
        plans("2/200", 6.0 + START, &["3*c2,w200"]),
        plans("short", 2.0 + START, &["c1", "c2", "c3"]),
        plans("phases", 1000.0 + START, &["c1000,w5000"]),
        plans("threads", 32.0 + START, &["t4,c20", "c16", "c16", "c16"]),
        plans("fsync", 5.0 + START, &["10*s16,c0.5"]),
        plans("lock", 5.0, &["c1,l5"]).limited_to(1.0),
        Mix {
            command: vec!["sh".into(), "-c".into(), pipeline],
            values: vec!["x".into()],
            ..plans("pipeline", 14.0 + 5.0 * START, &[])
        },
        Mix {
            command: ["curl", "-s", "-S", "-o", "/dev/null"].map(str::to_owned).to_vec(),
            values: vec![format!("http://{server}/slow")],
            ..plans("downloads", 9.0, &[])
        },
        Mix {
            command: [
                "curl",
                "-s",
                "-S",
                "-f",
                "--retry",
                "50",
                "--retry-delay",
                "1",
                "-o",
                "/dev/null",
            ]
            .map(str::to_owned)
            .to_vec(),
            values: vec![format!("http://{server}/eight")],
            ..plans("eight at once", 50.0, &[]).limited_to(8.0)
        },
    ]
}

/// Commands that compute for a second, then wait for five, and that twice.
pub(crate) fn alternating() -> Mix {
    plans("1 s computing, 5 s waiting, twice", 2000.0, &["2*c1000,w5000"])
}

/// Writers on a disk with little bandwidth.
pub(crate) fn throttled(group: &Path) -> Mix {
    let one = 256.0 * 1024.0 / crate::throttle::BYTES_PER_SECOND as f64 * 1000.0;
    let mix = plans("throttled disk", one, &["2*s128,c1"]).limited_to(1.0);
    Mix { group: Some(group.to_owned()), ..mix }
}

/// Commands of 64 MiB each, which they look at again and again; together they may have 512 MiB.
pub(crate) fn swaps(group: &Path) -> Mix {
    let plan = "m64,w50,r,c2,w50,r,c2,w50,r,c2,w50,r,c2";
    let mix = plans(SWAPS, 240.0, &[plan]).limited_to(6.0);
    Mix { group: Some(group.to_owned()), ..mix }
}

/// Commands of 64 MiB each that hardly compute; to touch so much takes more CPU time than the rest.
pub(crate) fn large() -> Mix {
    plans("64 MiB each", 50.0, &["m64,c20,w200"])
}

/// Seconds of CPU time that 200 of them take, about.
pub(crate) const LARGE: f64 = 10.0;

/// Mixes drawn at random: computing 0.5 to 20 ms, waiting up to 200 ms, one to twenty times.
pub(crate) fn random(seed: u64, number: u32) -> Vec<Mix> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (1..=number)
        .map(|nth| {
            let cpu = 0.5 * 40_f64.powf(draw());
            let wait = 200.0 * draw().powi(2);
            let rounds = 20_f64.powf(draw()).round();
            let plan = format!("{rounds}*c{cpu:.1},w{wait:.1}");
            let costs = rounds * cpu + START;
            Mix { is_random: true, ..plans(&format!("random {nth}: {plan}"), costs, &[&plan]) }
        })
        .collect()
}

impl Mix {
    fn limited_to(self, at_once: f64) -> Mix {
        Mix { at_once: Some(at_once), ..self }
    }

    /// Writes the list of values for about this time of work.
    pub(crate) fn prepare(&self, procs: u32, seconds: f64, folder: &Path) -> io::Result<Work> {
        let at_once = self.at_once.unwrap_or(f64::from(procs));
        let tasks = (seconds * 1000.0 * at_once / self.costs).ceil() as usize;
        let list = folder.join("list");
        let lines = self.values.iter().cycle().take(tasks).map(|value| format!("{value}\n"));
        fs::write(&list, lines.collect::<String>())?;
        fs::write(folder.join("lock"), b"")?;
        let (command, group) = (self.command.clone(), self.group.clone());
        Ok(Work { command, list, folder: folder.to_owned(), tasks, group })
    }
}
