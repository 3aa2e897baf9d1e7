//! `--order longest` with the joblogs of other runs.

use std::fs;

use msup_tests::Sandbox;

use super::{ran, stderr_of, stdout_of};

/// The order in which three values start, by a log of these commands that took 1, 2 and 3 seconds.
fn started(template: &[&str], commands: [&str; 3]) -> String {
    let sandbox = Sandbox::new();
    let lines = commands.iter().zip(1..).map(|(command, seconds)| {
        format!("{seconds}\t:\t1795478552.077\t{seconds:10.3}\t0\t4\t0\t0\t{command}\n")
    });
    sandbox.file("log", lines.collect::<String>().as_bytes());
    let flags = ["-q", "-j1", "--order", "longest", "--from", "log", "--"];
    let values = [":::", "a b", "it's", "c"];
    let output = ran(&sandbox, &[&flags, template, &values].concat(), b"");
    assert_eq!(output.status.code(), Some(0), "{}", stderr_of(&output));
    stdout_of(&output)
}

/// As GNU parallel of different ages, and msup, write them.
#[test]
fn commands_of_scripts_are_known_whatever_quotes_stand_in_the_log() {
    let script = ["echo {} | cat"];
    for [blank, apostrophe] in [
        [r"echo a\ b | cat", r"echo it\'s | cat"],
        ["echo 'a b' | cat", r#"echo 'it'"'"'s' | cat"#],
        ["echo 'a b' | cat", r"echo 'it'\''s' | cat"],
    ] {
        let shown = started(&script, [blank, apostrophe, "echo c | cat"]);
        assert_eq!(shown, "c\nit's\na b\n", "{blank} {apostrophe}");
    }
    let quoted = [r#"echo "'a b'" | cat"#, r#"echo "'it'"'"'s'" | cat"#, r#"echo "c" | cat"#];
    assert_eq!(started(&[r#"echo "{}" | cat"#], quoted), "c\nit's\na b\n");
}

#[test]
fn commands_of_several_words_are_known_too() {
    let log = ["echo 'a b'", "echo it\\'s", "echo c"];
    assert_eq!(started(&["echo"], log), "c\nit's\na b\n");
    assert_eq!(started(&["echo", "{}"], log), "c\nit's\na b\n");
}

#[test]
fn numbers_and_slots_of_the_other_run_do_not_matter() {
    let log = ["echo 17 a\\ b x4 >&1", "echo 18 it\\'s x9 >&1", "echo 3 c x12 >&1"];
    let shown = started(&["echo {#} {} x{%} >&1"], log);
    assert_eq!(shown, "3 c x1\n2 it's x1\n1 a b x1\n");
}

/// A run's own joblog orders the next one, here-documents and all.
#[test]
fn a_joblog_of_msup_orders_the_next_run() {
    let sandbox = Sandbox::new();
    let script = "cat <<E\n{}\nE\necho {} >>started";
    let run = |flags: &[&str]| {
        let output =
            ran(&sandbox, &[&["-q", "-j1"], flags, &[script, ":::", "1", "3", "2"]].concat(), b"");
        assert_eq!(output.status.code(), Some(0), "{}", stderr_of(&output));
    };
    run(&["--joblog", "log"]);
    fs::remove_file(sandbox.path().join("started")).expect("it was written");
    let log = fs::read_to_string(sandbox.path().join("log")).expect("written");
    let lines = log.lines().map(|line| match line.split('\t').collect::<Vec<_>>() {
        // The time that each of them took depends on the machine: the test says what it was.
        mut fields if fields.len() > 8 && fields[1] == ":" => {
            fields[3] = ["10.0", "30.0", "20.0"][fields[0].parse::<usize>().expect("1 to 3") - 1];
            fields.join("\t") + "\n"
        }
        fields => fields.join("\t") + "\n",
    });
    let lines: String = lines.collect();
    assert_ne!(lines, log);
    sandbox.file("log", lines.as_bytes());
    run(&["--order", "longest", "--from", "log"]);
    assert_eq!(fs::read_to_string(sandbox.path().join("started")).expect("written"), "3\n2\n1\n");
}
