//! Well-known command lines (`one_liners.txt`) do the same with msup in the place of GNU parallel.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use msup_tests::{Sandbox, program, run, write_program};

/// Stands for programs that make a file of another one: copies their last but one argument that is
/// a file, or what they are asked to show.
const STAND_IN: &str = "#!/bin/sh\n\
    for last; do :; done\n\
    case $0 in\n\
    */samtools) [ \"$1\" = index ] && exec cp \"$2\" \"$2.bai\"; exec cat \"$last\" ;;\n\
    */bwa) exec cat \"$3\" \"$4\" ;;\n\
    *) for word; do [ -f \"$word\" ] && exec cp \"$word\" \"$last\"; done ;;\n\
    esac\n";

/// A folder with what the command lines use. `own`: `parallel` is msup.
fn place(own: bool) -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, content) in [
        ("list", "one\ntwo words\nit's\n"),
        ("a.txt", "1\n2\n"),
        ("c d.txt", "3\n"),
        ("x.log", "x\n"),
        ("y.log", "y\n"),
        ("p.jpg", "p"),
        ("q r.jpg", "q"),
        ("s.wav", "s"),
        ("data.csv", "1,one\n2,two, too\n"),
        ("people.tsv", "name\tage\nAnn\t30\nBo\t40\n"),
        ("seqs.fa", ">a\nACGT\nAC\n>b\nGG\n>c\nT\n"),
        ("r_1.fastq", "f\n"),
        ("r_2.fastq", "r\n"),
        ("m.sam", "sam\n"),
    ] {
        sandbox.file(name, content.as_bytes());
    }
    let bin = sandbox.path().join("bin");
    fs::create_dir(&bin).expect("writable");
    for name in ["convert", "ffmpeg", "samtools", "bwa"] {
        write_program(&bin.join(name), STAND_IN.as_bytes());
    }
    if own {
        std::os::unix::fs::symlink(program("msup"), bin.join("parallel")).expect("a new name");
    }
    sandbox
}

/// What a command line leaves: its exit status, what it has shown, in order of its lines, and all
/// files with their content.
fn done(own: bool, line: &str) -> (Option<i32>, Vec<String>, BTreeMap<PathBuf, Vec<u8>>) {
    let sandbox = place(own);
    let path = std::env::var("PATH").expect("a path");
    let path = format!("{}:{path}", sandbox.path().join("bin").display());
    let mut bash = sandbox.command("bash");
    bash.env("PATH", path).env("HOME", sandbox.path().join("tmp")).env_remove("PARALLEL");
    let Output { status, stdout, .. } = run(bash.args(["-c", line]));
    let mut lines: Vec<String> =
        String::from_utf8_lossy(&stdout).lines().map(str::to_owned).collect();
    if !line.contains("-k") {
        lines.sort();
    }
    let mut files = BTreeMap::new();
    collect(sandbox.path(), sandbox.path(), &mut files);
    let _ = fs::remove_dir_all(sandbox.path().join("tmp/.parallel"));
    (status.code(), lines, files)
}

/// All files below a folder but those of the programs themselves.
fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("readable").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let is_own = ["bin", "state", "tmp", "config", "jobs.log"].iter().any(|own| name == *own);
        if is_own && folder == root {
            continue;
        }
        match path.is_dir() {
            true => collect(root, &path, files),
            false => {
                let content = fs::read(&path).expect("readable");
                files.insert(path.strip_prefix(root).expect("below it").into(), content);
            }
        }
    }
}

#[test]
fn they_do_the_same() {
    let real = Command::new("parallel").arg("--version").output();
    if !real.is_ok_and(|output| output.stdout.starts_with(b"GNU parallel")) {
        println!("skipped: GNU parallel is not installed");
        return;
    }
    let lines = include_str!("one_liners.txt").lines().filter(|line| !line.starts_with('#'));
    let mut different = Vec::new();
    for line in lines {
        let [real, own] = [false, true].map(|own| done(own, line));
        if real != own {
            different.push(format!("{line}\n  {real:?}\n  {own:?}"));
        }
    }
    assert!(different.is_empty(), "{} lines:\n{}", different.len(), different.join("\n"));
}
