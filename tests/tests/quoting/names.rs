//! Values in tags, in names of folders and of files.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::values::{Random, list, without};
use super::{Place, line};

/// A path of these bytes below a folder.
fn below(folder: &Path, bytes: &[u8]) -> PathBuf {
    folder.join(OsStr::from_bytes(bytes))
}

#[test]
fn tags_have_the_value() {
    for (flags, before, after) in [
        (&["--tag"][..], "", ""),
        (&["--tagstring", "<{}>"], "<", ">"),
        (&["--tagstring", "$(touch MADE) '{1}'"], "$(touch MADE) '", "'"),
    ] {
        let place = Place::new();
        let values = without(b"\n", Random::new(150).values(60, 5000));
        for command in [&["./dump", "{}"][..], &["./dump {}; true"]] {
            let words = [&["-0"], flags, &["--"], command].concat();
            let output = place.msup(&words, &list(&values, 0));
            let tagged = |value: &Vec<u8>| {
                let tag = [before.as_bytes(), value, after.as_bytes(), b"\t"].concat();
                [tag, line(std::slice::from_ref(value))].concat()
            };
            let expected: Vec<Vec<u8>> = values.iter().map(tagged).collect();
            place.compare(&words, &output, &expected);
        }
    }
}

/// Values that can be a part of a file's name, each once.
fn parts_of_names(test: u64, longest: usize) -> Vec<Vec<u8>> {
    let mut values = without(b"/", Random::new(test).values(150, longest));
    values.retain(|value| value.len() <= longest);
    values.sort();
    values.dedup();
    values
}

#[test]
fn commands_run_in_folders_named_by_values() {
    let place = Place::new();
    let values = parts_of_names(160, 250);
    let folders = place.path().join("folders");
    for value in &values {
        let name = [b"x", &value[..]].concat();
        fs::create_dir_all(below(&folders, &name)).expect("a new folder");
    }
    let dump = msup_tests::program("shows_arguments");
    let dump = dump.to_str().expect("UTF-8");
    let script = format!("{dump} {{}}; true");
    for command in [&[dump, "{}"][..], &[&script]] {
        let words = [&["-0", "--wd", "folders/x{}", "--"], command].concat();
        let mut msup = place.sandbox.msup([&["-q", "-k"], &words[..]].concat());
        msup.env("SHOWS_FOLDER", "1").env("SHELL", "/bin/sh");
        let output = msup_tests::run_with_input(&mut msup, &list(&values, 0));
        let in_folder = |value: &Vec<u8>| {
            let root = folders.canonicalize().expect("there");
            let folder = [root.as_os_str().as_bytes(), b"/x", value].concat();
            line(&[value.clone(), folder])
        };
        let expected: Vec<Vec<u8>> = values.iter().map(in_folder).collect();
        place.compare(&words, &output, &expected);
    }
}

/// The name of the folder for a value, as the guide describes it.
fn folder_of(value: &[u8]) -> Vec<u8> {
    let quoted = |byte: &u8| match byte {
        b'/' => b"\\_".to_vec(),
        b'\t' => b"\\t".to_vec(),
        b'\\' => b"\\\\".to_vec(),
        byte => vec![*byte],
    };
    let mut name = match value {
        b"." => b"\\.".to_vec(),
        b".." => b"\\..".to_vec(),
        value => value.iter().flat_map(quoted).collect(),
    };
    name.truncate(255);
    name
}

/// All files below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn results_are_in_folders_named_by_values() {
    for command in [&["--", "./dump", "{}"][..], &["./dump '{}'; true"]] {
        let place = Place::new();
        let mut values = Random::new(170).values(150, 3000);
        values.extend(["", ".", "..", "/", "./", "...", "a/../b"].map(|v| v.as_bytes().to_vec()));
        // Of two values that would share a folder, one is left out.
        let mut names = BTreeSet::new();
        values.retain(|value| names.insert(folder_of(value)));
        // A value that is not there has the folder above all others.
        values.retain(|value| {
            !["stdout", "stderr", "seq"].contains(&&*String::from_utf8_lossy(value))
        });
        let words = [&["-0", "--results", "results"], command].concat();
        let output = place.msup(&words, &list(&values, 0));
        place.compare(&words, &output, &[]);
        let results = place.path().join("results/1");
        for (nth, value) in values.iter().enumerate() {
            let folder = below(&results, &folder_of(value));
            let shown = fs::read(folder.join("stdout")).expect("a result");
            let expected = [line(std::slice::from_ref(value)), b"\n".to_vec()].concat();
            assert!(shown == expected, "{words:?}: {}", super::brief(value));
            let seq = fs::read_to_string(folder.join("seq")).expect("a result");
            assert_eq!(seq.trim(), (nth + 1).to_string(), "{}", super::brief(value));
        }
        assert_eq!(files_below(&place.path().join("results")).len(), values.len() * 3);
    }
}

#[test]
fn results_are_in_files_named_by_values() {
    let place = Place::new();
    let values = without(b"\\\t", parts_of_names(180, 200));
    let words = ["-0", "--results", "results/x{}", "--", "./dump", "{}"];
    let output = place.msup(&words, &list(&values, 0));
    place.compare(&words, &output, &[]);
    let results = place.path().join("results");
    for value in &values {
        let name = [b"x", &value[..]].concat();
        let shown = fs::read(below(&results, &name)).expect("a result");
        let expected = [line(std::slice::from_ref(value)), b"\n".to_vec()].concat();
        assert!(shown == expected, "{}", super::brief(value));
    }
    assert_eq!(files_below(&results).len(), values.len() * 3);
}

/// A value that leads out of the folder fails its task.
#[test]
fn no_result_leaves_its_folder() {
    for template in ["results/{}", "results/x/{}", "results/{}/"] {
        let place = Place::new();
        let outside = place.path().join("MADE").into_os_string().into_encoded_bytes();
        let mut values: Vec<Vec<u8>> = [
            "../MADE",
            "../../MADE",
            "../../../MADE",
            "a/../../MADE",
            "x/../../../MADE",
            "./../MADE",
            "..//MADE",
            "a/b/../../../MADE",
            "..",
            "../..",
            "x/../..",
        ]
        .map(|value| value.as_bytes().to_vec())
        .into();
        values.push(outside);
        values.push(b"inside".to_vec());
        let output = place.msup(&["-0", "--results", template, "--", "./dump"], &list(&values, 0));
        assert_ne!(output.status.code(), Some(0), "{template}");
        assert_eq!(place.made(), Vec::<String>::new(), "{template}");
        let above = place.path().parent().expect("a folder").join("MADE");
        assert!(!above.exists(), "{template}");
        let files = files_below(&place.path().join("results"));
        let is_inside = |path: &PathBuf| path.iter().any(|part| part.to_string_lossy() == "inside");
        assert!(files.iter().any(is_inside), "{template}: {files:?}");
    }
}
