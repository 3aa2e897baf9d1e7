//! A process writes over the shared memory during a run: the supervisor notices, makes a new
//! segment with new workers, and every task gets its outcome all the same. G2, G9.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Child;

use msup_protocol::layout::{Layout, Sizes};
use msup_tests::{Sandbox, inside, overheard, program, spawn_piped, summary, wait_until};

/// The segment, as any process of the same user can find it.
fn segment_of(msup: &Child) -> Option<PathBuf> {
    let folder = format!("/proc/{}/fd", msup.id());
    let fds = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    fds.into_iter().find(|fd| {
        let target = fs::read_link(fd).unwrap_or_default();
        target.to_string_lossy().starts_with("/dev/shm/msup-")
    })
}

/// Bytes that look like nothing.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (state >> 33) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Writes noise of this length over the segment, from this offset on, three times in a run.
fn overwritten_three_times(offset: u64, len: usize, worker: Option<&str>) {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "2", "-k", "--summary", "s.json", "-a", "list"]);
    let values: String = (0..600).map(|n| format!("{n}\n")).collect();
    sandbox.file("list", values.as_bytes());
    match worker {
        Some(worker) => msup.arg("--worker").arg(program(worker)),
        None => msup.args(["--", "sh", "-c", "sleep 0.005; echo done $1; : >ran.$1", "sh", "{}"]),
    };
    let mut child = spawn_piped(&mut msup);
    let ran = |n: usize| sandbox.path().join(format!("ran.{n}")).exists();
    for round in 0..3 {
        match worker {
            Some(_) => std::thread::sleep(std::time::Duration::from_millis(20)),
            None => wait_until(|| ran(100 * round + 20)),
        }
        let Some(segment) = segment_of(&child) else { break };
        let Ok(file) = fs::File::options().write(true).open(segment) else { break };
        let _ = file.write_all_at(&noise(round as u64 + 1, len), offset);
    }
    let mut stderr = child.stderr.take().expect("piped");
    let said = std::thread::spawn(move || {
        let mut said = String::new();
        std::io::Read::read_to_string(&mut stderr, &mut said).expect("text");
        said
    });
    let output = child.wait_with_output().expect("ours");
    let said = said.join().expect("no panic");
    assert_eq!(output.status.code(), Some(0), "{said}");
    let expected: String = (0..600).map(|n| format!("done {n}\n")).collect();
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{said}");
    let summary = summary(&sandbox.path().join("s.json"));
    assert_eq!(summary["tasks"]["succeeded"], 600);
    assert_eq!(summary["tokens"]["idle_at_end"], 2);
    let epochs = summary["tokens"]["epochs"].as_u64().expect("a number");
    let told = said.matches("the shared memory was overwritten").count() as u64;
    assert_eq!(epochs, told, "{said}");
    if worker.is_none() {
        assert!(epochs >= 1, "not noticed: {said}");
    }
}

/// Where the first token word stands.
fn first_token() -> u64 {
    let sizes = Sizes { tokens: 6, workers: 200, tasks: 512, cell_bytes: 4096 };
    Layout::of(sizes).expect("possible sizes").tokens as u64
}

#[test]
fn noise_over_everything() {
    overwritten_three_times(0, 1 << 20, None);
}

#[test]
fn noise_over_the_tokens() {
    overwritten_three_times(first_token(), 6 * 64, None);
}

#[test]
fn noise_over_the_task_slots() {
    // Token words, worker slots and bitmaps are before them.
    overwritten_three_times(26_432, 3200, None);
}

#[test]
fn noise_over_one_word() {
    overwritten_three_times(first_token(), 8, None);
}

/// Two files are complete, and the journal cannot say that they are to be placed, when the epoch
/// is over: msup does not wait for it, and their tasks run again once there is space.
#[test]
fn noise_while_the_journal_is_full() {
    let sandbox = Sandbox::new();
    // Whatever is written of it does not fit into what is left of a page.
    let value = "v".repeat(8000);
    let command =
        "sh -c 'echo >>began; while ! test -e go; do sleep 0.01; done; echo made >$2' sh {} {out}";
    let msup = program("msup").display().to_string();
    let script = format!("exec {msup} -j2 --out '{{#}}.out' -- {command} ::: {value}1 {value}2");
    let Some(mut shell) = sandbox.on_small_disk("state", 256 << 10, &script) else { return };
    let mut child = spawn_piped(&mut shell);
    let said = overheard(&mut child);
    let has_said = |words: &str| said.lock().expect("no panic").contains(words);
    let began = || fs::read(sandbox.path().join("began")).map_or(0, |lines| lines.len());
    wait_until(|| began() == 2);
    let filler = inside(&child, &sandbox.path().join("state/filler"));
    let full = fs::write(&filler, vec![0; 1 << 20]).expect_err("there is no such room");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    sandbox.file("go", b"");
    wait_until(|| has_said("no space left for the journal"));
    assert!(!sandbox.path().join("1.out").exists(), "placed, and not journaled");
    let segment = segment_of(&child).expect("it lives");
    let segment = fs::File::options().write(true).open(segment).expect("ours");
    segment.write_all_at(&noise(1, 384), first_token()).expect("ours");
    wait_until(|| has_said("the shared memory was overwritten"));
    fs::remove_file(&filler).expect("it is there");
    let output = child.wait_with_output().expect("ours");
    let said = said.lock().expect("no panic").clone();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(began(), 4, "each was run again");
    for made in ["1.out", "2.out"] {
        assert_eq!(fs::read(sandbox.path().join(made)).expect("made"), b"made\n");
    }
    let files = fs::read_dir(sandbox.path()).expect("readable").flatten();
    let left = files.filter(|entry| entry.file_name().to_string_lossy().starts_with(".msup-"));
    assert_eq!(left.count(), 0, "temporary files are left");
}

#[test]
fn noise_over_everything_while_task_loops_run() {
    overwritten_three_times(0, 1 << 20, Some("says_done"));
}

/// All workers have exited and msup only waits for its output to be read: it needs the memory no
/// more, and what it reports of the tokens is true all the same.
#[test]
fn noise_after_the_last_worker_has_exited() {
    let sandbox = Sandbox::new();
    let mut msup = sandbox.msup(["--procs", "2", "--summary", "s.json"]);
    // Much more than a pipe holds, and the test does not read it yet.
    msup.args(["--", "sh", "-c", "head -c 500000 /dev/zero; : >$1", "sh", "{}", ":::", "1", "2"]);
    let mut child = spawn_piped(&mut msup);
    let has_finished = |name: &str| sandbox.path().join(name).exists();
    wait_until(|| has_finished("1") && has_finished("2") && sandbox.workers(&child).is_empty());
    let segment = segment_of(&child).expect("it lives");
    let segment = fs::File::options().write(true).open(segment).expect("ours");
    segment.write_all_at(&noise(1, 1 << 20), 0).expect("ours");
    let said = overheard(&mut child);
    let output = child.wait_with_output().expect("ours");
    let said = said.lock().expect("no panic").clone();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(output.stdout.len(), 1_000_000, "{said}");
    let summary = summary(&sandbox.path().join("s.json"));
    assert_eq!(summary["tasks"]["succeeded"], 2);
    assert_eq!(summary["tokens"]["idle_at_end"], 2);
    // The supervisor may have looked once more between the two.
    let told = said.matches("the shared memory was overwritten").count();
    assert_eq!(summary["tokens"]["epochs"], told, "{said}");
}
