//! `--results`, `--files` and `--tmpdir`: outputs in files and tables, as the real GNU parallel
//! writes them where it is installed, and what a kill leaves of them.

mod clashes;
mod kills;
mod tables;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output};

use msup_tests::{Sandbox, program, run, run_with_input};

/// Words of a command line, and the standard input.
type Case = (&'static [&'static str], &'static str);

const STREAMS: &str = "printf 'out %s\\n' {}; echo err >&2; exit 3";

/// Both programs make the same tree.
const TREES: [Case; 20] = [
    (&["--results", "made", STREAMS, ":::", "a", "b c"], ""),
    (&["--results", "made/", STREAMS, ":::", "a"], ""),
    (&["--result", "made/below/it", "echo", ":::", "a"], ""),
    (&["--res", "made", "echo", ":::", "a", "b", ":::", "c", "d/e"], ""),
    (&["--results", "made", "echo", ":::", "a/b", "c\\d", "e\tf", "\u{e4}", "%41", "*"], ""),
    (&["--results", "made", "echo", ":::", ""], ""),
    (&["-0", "--results", "made", "echo"], "l\nine\0-x\0\u{7f} \u{1}\0"),
    (&["-N2", "--results", "made", "echo", ":::", "a", "b", "c"], ""),
    (&["-n2", "--results", "made", "echo", ":::", "a", "b", "c", ":::", "d"], ""),
    (&["--colsep", ",", "--results", "made", "echo {2}"], "a,b\nc,d,e\n"),
    (&["--header", ":", "--results", "made", "echo", ":::", "x", "1", "2", ":::", "y", "3"], ""),
    (&["--header", ":", "--colsep", ",", "--results", "made", "echo {b}"], "a,b\nc,d\n"),
    (&["-n2", "--header", ":", "--results", "made", "echo", ":::", "x", "1", "2"], ""),
    (&["--results", "made/{1}-{2}", STREAMS, ":::", "a", ":::", "b", "c/d"], ""),
    (&["--results", "made/{2}/{1}/", STREAMS, ":::", "a", ":::", "b", "c/d"], ""),
    (&["--results", "made/{/.}.{#}", "echo", ":::", "x/a.c", "/y/b.d"], ""),
    (&["-k", "--tag", "--results", "made", STREAMS, ":::", "a", "b"], ""),
    (&["--retries", "2", "--results", "made", STREAMS, ":::", "a"], ""),
    (&["-k", "--files", "--results", "made", "echo", ":::", "a", "b"], ""),
    (&["-k", "--tag", "--files", "--results", "made/{}.x", "echo", ":::", "a", "b"], ""),
];

fn is_there() -> bool {
    let real = Command::new("parallel").arg("--version").output();
    let is_there = real.is_ok_and(|output| output.stdout.starts_with(b"GNU parallel"));
    if !is_there {
        println!("skipped: GNU parallel is not installed");
    }
    is_there
}

/// What `msup parallel`, or the real program, does with these words in a sandbox of its own.
fn ran(is_real: bool, words: &[&str], input: &str) -> (Sandbox, Output) {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("home")).expect("writable");
    // A script of bash, so that both programs find the same shell.
    let mut bash = sandbox.command("bash");
    bash.env("HOME", sandbox.path().join("home")).env_remove("PARALLEL");
    bash.args(["-c", "\"$@\"; exit $?", "bash"]);
    if is_real {
        bash.args(["parallel", "--will-cite"]);
    } else {
        bash.arg(program("msup")).arg("parallel");
    }
    let output = run_with_input(bash.args(words), input.as_bytes());
    (sandbox, output)
}

/// The files below a folder with their contents; folders end with a slash.
fn tree(folder: &Path) -> BTreeMap<String, String> {
    let mut tree = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().expect("readable").is_dir() {
            let below = self::tree(&entry.path());
            tree.extend(below.into_iter().map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
            tree.insert(name + "/", String::new());
        } else {
            let bytes = fs::read(entry.path()).expect("readable");
            tree.insert(name, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    tree
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn trees_are_those_of_gnu_parallel() {
    if !is_there() {
        return;
    }
    for (words, input) in TREES {
        let [real, own] = [true, false].map(|is_real| {
            let (sandbox, output) = ran(is_real, words, input);
            let tree = tree(&sandbox.path().join("made"));
            (output.status.code(), text(&output.stdout), text(&output.stderr), tree)
        });
        assert!(real.3.keys().any(|name| name.ends_with("seq")), "{words:?}: {real:?}");
        assert_eq!(own, real, "{words:?}");
    }
}

#[test]
fn values_that_are_too_long_are_cut_as_by_gnu_parallel() {
    if !is_there() {
        return;
    }
    let long = "x".repeat(300) + "/";
    let words = ["--results", "made", "true", ":::", &long, &"\u{e4}".repeat(200)];
    let names = |is_real| {
        let (sandbox, _) = ran(is_real, &words, "");
        let names = fs::read_dir(sandbox.path().join("made/1")).expect("made");
        let mut names: Vec<Vec<u8>> =
            names.map(|name| name.expect("readable").file_name().as_bytes().to_vec()).collect();
        names.sort();
        names
    };
    let own = names(false);
    assert_eq!(own.iter().map(Vec::len).collect::<Vec<_>>(), [255, 255]);
    assert_eq!(own, names(true));
}

/// GNU parallel loses one of the results.
#[test]
fn two_values_that_have_the_same_beginning_are_told() {
    let [one, other] = ["1", "2"].map(|end| "x".repeat(260) + end);
    let words = ["-j1", "--results", "made", "echo", ":::", &one, &other];
    let (sandbox, output) = ran(false, &words, "");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(255), "{said}");
    assert!(said.contains("tasks 1 and 2") && said.contains("made/{#}") || said.contains("{#}"));
    let tree = tree(&sandbox.path().join("made"));
    assert_eq!(tree.values().filter(|content| content.as_str() == one.clone() + "\n").count(), 1);
}

#[test]
fn results_are_not_shown_and_need_no_gnu_reading() {
    let sandbox = Sandbox::new();
    let out = run(&mut sandbox.msup(["-q", "--results", "made", "echo", ":::", "a", ".", ".."]));
    assert_eq!(
        (out.status.code(), text(&out.stdout), text(&out.stderr)),
        (Some(0), "".into(), "".into())
    );
    let tree = tree(&sandbox.path().join("made"));
    for (name, content) in [
        ("1/a/stdout", "a\n"),
        ("1/\\./stdout", ".\n"),
        ("1/\\../stdout", "..\n"),
        ("1/a/seq", "1"),
    ] {
        assert_eq!(tree.get(name).map(String::as_str), Some(content), "{tree:?}");
    }
    assert_eq!(tree.len(), 1 + 3 + 9);
}

/// Values that would be other folders, or none.
#[test]
fn no_value_leaves_the_folder() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("inside")).expect("writable");
    fs::create_dir(sandbox.path().join("inside/home")).expect("writable");
    let long = "y".repeat(300);
    let values =
        ["..", "../..", "../../x", "/", "/etc/passwd", "-rf", "a\nb", "./../..", ".", &long, "\\"];
    for template in ["out", "out/{}.x", "out/{}/", "out/d{}/{}"] {
        let mut msup = sandbox.msup(["parallel", "-0", "--results", template, "printf %s {}"]);
        msup.current_dir(sandbox.path().join("inside"));
        let mut msup_again = sandbox.msup(["clean"]);
        let input = values.map(|value| value.to_owned() + "\0").concat();
        let output = run_with_input(&mut msup, input.as_bytes());
        let (said, failed) = (text(&output.stderr), output.status.code());
        let refused = said.lines().filter(|line| line.contains("--results: ")).count();
        assert_eq!(failed, Some(refused as i32), "{template}: {said}");
        let made = tree(&sandbox.path().join("inside"));
        assert!(made.keys().all(|name| name.starts_with("out/") || name == "home/"), "{made:?}");
        let files = made.keys().filter(|name| !name.ends_with('/')).count();
        assert!(template.contains('{') || files == 3 * values.len(), "{template}: {made:?}");
        let around = tree(sandbox.path());
        let is_known = |name: &String| {
            ["inside/", "state/", "tmp/"].iter().any(|known| name.starts_with(known))
        };
        assert!(around.keys().all(is_known), "{template}: {around:?}");
        assert!(run(&mut msup_again).status.success());
        fs::remove_dir_all(sandbox.path().join("inside/out")).expect("made");
    }
}

#[test]
fn what_is_in_the_way_is_told_and_stops_the_run() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path().join("made/1")).expect("writable");
    sandbox.file("made/1/a", b"mine");
    let output = run(&mut sandbox.msup(["--results", "made", "echo", ":::", "a"]));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(255), "{said}");
    assert!(said.contains("made/1/a"), "{said}");
    assert_eq!(fs::read(sandbox.path().join("made/1/a")).expect("there"), b"mine");
    fs::remove_file(sandbox.path().join("made/1/a")).expect("there");
    assert!(run(&mut sandbox.msup(["resume", "-q"])).status.success());
    assert_eq!(fs::read(sandbox.path().join("made/1/a/stdout")).expect("made"), b"a\n");
}

#[test]
fn results_tell_what_has_run() {
    let words = |script| ["--results", "made", "-j1", script, ":::", "1", "2", "3"];
    let [real, own] = [true, false].map(|is_real| {
        if is_real && !is_there() {
            return None;
        }
        let (sandbox, _) = ran(is_real, &words("echo {}; [ {} != 2 ]")[..6], "");
        let mut again = sandbox.command("bash");
        again.env("HOME", sandbox.path()).args(["-c", "\"$@\"; exit $?", "bash"]);
        match is_real {
            true => again.args(["parallel", "--will-cite"]),
            false => again.arg(program("msup")).arg("parallel"),
        };
        let output = run(again.arg("--resume").args(words("echo again {}; [ {} = 1 ]")));
        Some((output.status.code(), text(&output.stderr), tree(&sandbox.path().join("made"))))
    });
    let own = own.expect("it is here");
    assert_eq!((own.0, own.2["1/1/stdout"].as_str()), (Some(2), "1\n"), "{own:?}");
    assert_eq!(own.2["1/3/stdout"], "again 3\n");
    assert!(real.is_none_or(|real| real == own));
}

#[test]
fn names_of_files_are_shown_instead_of_outputs() {
    let sandbox = Sandbox::new();
    let parallel = |words: &[&str]| {
        let output = run(sandbox.msup(["parallel", "-k"]).args(words));
        assert!(output.status.success(), "{}", text(&output.stderr));
        (text(&output.stdout), text(&output.stderr))
    };
    let (shown, said) = parallel(&["--files", "echo {}; echo err >&2", ":::", "a", "b"]);
    assert_eq!(said, "", "as there");
    let names: Vec<&str> = shown.lines().collect();
    for (name, content) in names.iter().zip(["a\n", "b\n"]) {
        assert!(name.starts_with(&format!("{}/par", sandbox.path().join("tmp").display())));
        assert!(name.ends_with(".par") && fs::read_to_string(name).expect("made") == content);
        fs::remove_file(name).expect("made");
    }
    assert_eq!(names.len(), 2);
    fs::create_dir(sandbox.path().join("other")).expect("writable");
    let words =
        ["--tag", "--tmpdir", "other", "--output-as-files", "echo $TMPDIR; echo", ":::", "a"];
    let (shown, _) = parallel(&words);
    let name = shown.strip_prefix("a\tother/par").expect(&shown);
    let file = sandbox.path().join(format!("other/par{}", name.trim_end()));
    assert_eq!(fs::read_to_string(file).expect("made"), "other\na\n");
    let own = run(&mut sandbox.msup(["-q", "--files", "echo x >&2; true", ":::", "a"]));
    assert_eq!(text(&own.stderr), "x\n", "nothing is lost in msup's own reading");
    fs::remove_file(text(&own.stdout).trim_end()).expect("made");
}

#[test]
fn outputs_in_files_are_not_replayed() {
    let sandbox = Sandbox::new();
    run(&mut sandbox.msup(["--journal", "j", "--results", "made", "echo {}; exit {}", ":::", "1"]));
    let output = run(&mut sandbox.msup(["resume", "--replay", "./j"]));
    assert_eq!(output.status.code(), Some(255), "nothing was shown");
    assert!(text(&output.stderr).contains("in files"), "{}", text(&output.stderr));
}

#[test]
fn what_cannot_be_done_is_told() {
    let sandbox = Sandbox::new();
    for (words, part) in [
        (&["--results", "", "echo", ":::", "a"] as &[&str], "--results"),
        (&["--results", "d/{%}", "echo", ":::", "a"], "use {#}"),
        (&["--results", "x.csv", "--files", "echo", ":::", "a"], "--files"),
        (&["--results", "no/such/x.csv", "echo", ":::", "a"], "--results no/such/x.csv"),
        (&["--tmpdir", "nowhere", "echo", ":::", "a"], "nowhere"),
    ] {
        let output = run(&mut sandbox.msup(words));
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.lines().count()), (Some(255), 1), "{said}");
        assert!(said.contains(part), "{said}");
    }
}
