//! Stages whose tasks are done by a program that keeps running.

use super::{Place, counts, said};

const WORKER: &str = r#"#!/bin/sh
echo started >> starts
while read -r line; do
  in=$(printf '%s' "$line" | cut -f 1)
  out=$(printf '%s' "$line" | cut -f 2)
  case $in in
    *bad*) echo '{"error": "a bad one"}';;
    *) tr a-z A-Z < "$in" > "$out"; echo '{"ok": true}';;
  esac
done
"#;

#[test]
fn a_stage_may_be_a_program_that_keeps_running() {
    let pipeline = "[[stage]]\nname = 'copy'\nfrom = 'in/*.txt'\nrun = 'cp {} {out}'\n\
                    out = 't/{/}'\ntemporary = true\n\
                    [[stage]]\nname = 'up'\nafter = 'copy'\nworker = './up'\nout = 'out/{/}'\n\
                    [[stage]]\nname = 'count'\nafter = 'up'\nrun = 'wc -c < {} > {out}'\n\
                    out = 'out/{/}.n'\n";
    let place = Place::with_inputs(pipeline, 20);
    place.sandbox.program("up", WORKER.as_bytes());
    assert_eq!(place.ran(&[]), counts(&[("copy", 20), ("up", 20), ("count", 20)]));
    assert_eq!(place.read("out/7.txt"), "INPUT 7\n");
    let starts = place.read("starts").lines().count();
    assert!(starts < 20, "{starts} programs for 20 tasks");
    assert_eq!(place.ran(&[]), counts(&[]));
    place.write("in/bad.txt", "x\n");
    let output = place.run(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("a bad one: up: in/bad.txt"), "{}", said(&output));
}

#[test]
fn a_path_that_a_worker_cannot_read_fails_its_task() {
    let place = Place::new("[[stage]]\nname = 'a'\nfrom = {null = 'list'}\nworker = 'cat'\n");
    place.write("list", "x\ty\0");
    let output = place.run(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("a path with a tab or a newline"), "{}", said(&output));
}
