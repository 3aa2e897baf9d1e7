//! The pipelines of configs/pipelines: on real inputs, twice, and again after changes.

use std::path::{Path, PathBuf};
use std::process::Command;

use msup_tests::{copy_program, run};

use super::{Place, counts, said};

fn folder(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    root.join("configs/pipelines").join(name)
}

/// What is changed, and what is expected to run then.
type Change = (&'static str, fn(&Place), &'static [(&'static str, u64)]);

/// A pipeline, the programs that it needs, what its first run does, and what it does after changes.
struct Config {
    name: &'static str,
    needs: &'static [&'static str],
    first: &'static [(&'static str, u64)],
    changes: [Change; 3],
}

fn touch(place: &Place, name: &str) {
    let content = std::fs::read(place.path(name)).expect("readable");
    std::fs::write(place.path(name), content).expect("writable");
}

fn replace(place: &Place, text: &str, by: &str) {
    let old = place.read("p.toml");
    assert!(old.contains(text), "{text}");
    place.write("p.toml", &old.replace(text, by));
}

fn delete(place: &Place, name: &str) {
    std::fs::remove_file(place.path(name)).unwrap_or_else(|why| panic!("{name}: {why}"));
}

const CONFIGS: [Config; 5] = [
    Config {
        name: "media",
        needs: &["sox", "soxi"],
        first: &[("norm", 8), ("spectrogram", 8), ("length", 8), ("entry", 8), ("gallery", 1)],
        changes: [
            (
                "an input",
                |place| touch(place, "in/tone440.wav"),
                &[("norm", 1), ("spectrogram", 1), ("length", 1), ("entry", 1), ("gallery", 1)],
            ),
            (
                "a command",
                |place| replace(place, "-x 300", "-x 200"),
                &[("norm", 8), ("spectrogram", 8), ("length", 8), ("entry", 8), ("gallery", 1)],
            ),
            ("an output", |place| delete(place, "site/index.html"), &[("gallery", 1)]),
        ],
    },
    Config {
        name: "text",
        needs: &["curl", "python3"],
        first: &[("fetch", 12), ("extract", 12), ("count", 12), ("total", 1)],
        changes: [
            (
                "an input",
                |place| touch(place, "pages/page03.html"),
                &[("fetch", 1), ("extract", 1), ("count", 1), ("total", 1)],
            ),
            (
                "a command",
                |place| replace(place, "s/<[^>]*>/ /g", "s/<[^>]*>//g"),
                &[("extract", 12), ("count", 12), ("total", 1)],
            ),
            (
                "an output",
                |place| delete(place, "counts/page07.txt"),
                &[("count", 1), ("total", 1)],
            ),
        ],
    },
    Config {
        name: "logs",
        needs: &["awk", "xargs"],
        first: &[("split", 6), ("parse", 18), ("merge", 1)],
        changes: [
            (
                "an input",
                |place| touch(place, "logs/c.log"),
                &[("split", 1), ("parse", 3), ("merge", 1)],
            ),
            (
                "a command",
                |place| replace(place, "| sort > {out}\"", "| sort -r > {out}\""),
                &[("parse", 18), ("merge", 1)],
            ),
            ("an output", |place| delete(place, "parsed/a.01.tsv"), &[("parse", 1), ("merge", 1)]),
        ],
    },
    Config {
        name: "images",
        needs: &["gm"],
        first: &[("thumbnail", 12), ("frame", 12), ("sheet", 1)],
        changes: [
            (
                "an input",
                |place| touch(place, "in/one/one-red.png"),
                &[("thumbnail", 1), ("frame", 12), ("sheet", 1)],
            ),
            ("a command", |place| replace(place, "2x10", "2x12"), &[("frame", 12), ("sheet", 1)]),
            ("an output", |place| delete(place, "sheet.png"), &[("frame", 12), ("sheet", 1)]),
        ],
    },
    Config {
        name: "builds",
        needs: &["cc"],
        first: &[("compile", 10), ("link", 10), ("test", 10), ("report", 1)],
        changes: [
            (
                "an input",
                |place| touch(place, "projects/p4/main.c"),
                &[("compile", 1), ("link", 1), ("test", 1), ("report", 1)],
            ),
            (
                "a command",
                |place| replace(place, "-O1", "-O0"),
                &[("compile", 10), ("link", 10), ("test", 10), ("report", 1)],
            ),
            (
                "an output",
                |place| delete(place, "bin/projects/p9/result.txt"),
                &[("test", 1), ("report", 1)],
            ),
        ],
    },
];

fn is_there(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", "command -v \"$0\" >/dev/null", program]).status();
    found.is_ok_and(|status| status.success())
}

/// A server for the pages of the pipeline that fetches them; stopped by its process id.
struct Server(std::process::Child, String);

impl Server {
    fn start(place: &Place) -> Server {
        use std::io::{BufRead, BufReader};
        let script = "import http.server, functools\n\
            handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory='www')\n\
            server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)\n\
            print(server.server_port, flush=True)\nserver.serve_forever()";
        let mut python = place.sandbox.command("python3");
        python.args(["-c", script]).stdout(std::process::Stdio::piped());
        let mut child = python.stderr(std::process::Stdio::null()).spawn().expect("python3");
        let mut port = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut port).expect("a port");
        Server(child, format!("http://127.0.0.1:{}", port.trim()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn check(config: &Config) {
    if let Some(missing) = config.needs.iter().find(|program| !is_there(program)) {
        println!("skipped: there is no {missing}");
        return;
    }
    let pipeline = std::fs::read_to_string(folder(config.name).join("pipeline.toml"));
    let place = Place::new(&pipeline.expect("the pipeline"));
    for entry in std::fs::read_dir(folder(config.name)).expect("readable").flatten() {
        copy_program(&entry.path(), &place.sandbox.path().join(entry.file_name()));
    }
    let made = run(&mut place.sandbox.command("./make-inputs"));
    assert!(made.status.success(), "{}: {}", config.name, said(&made));
    let server = (config.name == "text").then(|| Server::start(&place));
    let address = server.as_ref().map_or("", |server| server.1.as_str());
    let ran = |what: &str| {
        let mut msup = place.sandbox.msup(["run", "--summary", "s.json", "p.toml"]);
        let _ = std::fs::remove_file(place.path("s.json"));
        let output = run(msup.env("SERVER", address));
        assert!(output.status.success(), "{}, {what}: {}", config.name, said(&output));
        place.counts("succeeded")
    };
    assert_eq!(ran("first"), counts(config.first), "{}", config.name);
    assert_eq!(ran("second"), counts(&[]), "{}", config.name);
    for (what, change, expected) in config.changes {
        change(&place);
        assert_eq!(ran(what), counts(expected), "{}: {what}", config.name);
        assert_eq!(ran(what), counts(&[]), "{}: {what}, again", config.name);
    }
}

#[test]
fn sounds() {
    check(&CONFIGS[0]);
}

#[test]
fn pages() {
    check(&CONFIGS[1]);
}

#[test]
fn logs() {
    check(&CONFIGS[2]);
}

#[test]
fn pictures() {
    check(&CONFIGS[3]);
}

#[test]
fn programs() {
    check(&CONFIGS[4]);
}
