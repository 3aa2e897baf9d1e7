//! `msup collect`: what all shards have done.

use std::fs;

use msup_tests::{Sandbox, run};

use super::{TASK, list, said, start};

pub(super) fn collect(sandbox: &Sandbox) -> (Option<i32>, String) {
    let output = run(&mut sandbox.msup(["collect", "journals"]));
    (output.status.code(), said(&output))
}

#[test]
fn what_all_shards_have_done_is_one_report() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    let fails = "[ {} != v9 -o -e right ] || exit 3; echo made {} >{out}";
    for nth in [0, 1, 3] {
        run(&mut start(&sandbox, nth, &["--retries", "1"], fails));
    }
    let (status, text) = collect(&sandbox);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("29 of 30 tasks succeeded, 1 failed so far"), "{text}");
    assert!(text.contains("shard 2/4 has not begun"), "{text}");
    // The command that is printed runs the rest.
    let command = text.lines().find(|line| line.contains("--shard 2/4 ")).expect("named");
    let msup = msup_tests::program("msup");
    let script = command.replacen("msup", &msup.display().to_string(), 1);
    let output = run(sandbox.command("sh").args(["-c", &script]));
    assert_eq!(output.status.code(), Some(0), "{script}: {}", said(&output));
    let (status, text) = collect(&sandbox);
    assert_eq!(status, Some(1), "one has failed: {text}");
    assert!(text.contains("39 of 40 tasks succeeded, 1 failed, in 4 shards"), "{text}");
    assert!(text.contains("task 9 failed: exit 3: v9") && text.contains("--shard 1/4"), "{text}");
    sandbox.file("right", b"");
    assert!(run(&mut start(&sandbox, 1, &["--retries", "1"], fails)).status.success());
    assert_eq!(collect(&sandbox).0, Some(0));
}

#[test]
fn the_joblog_of_all_shards_has_a_line_per_task() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    let fails = "[ {} != v9 ] || exit 3; echo made {} >{out}";
    for nth in 0..4 {
        run(&mut start(&sandbox, nth, &["--retries", "1"], fails));
    }
    let output = run(&mut sandbox.msup(["collect", "--joblog", "all.log", "journals"]));
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = fs::read_to_string(sandbox.path().join("all.log")).expect("written");
    let mut rows: Vec<Vec<&str>> =
        text.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    assert!(text.starts_with("Seq\tHost\tStarttime"), "{text}");
    rows.sort_by_key(|row| row[0].parse::<u32>().expect("a number"));
    assert_eq!(rows.len(), 40);
    for (row, number) in rows.iter().zip(1..) {
        let (seq, exit) = (row[0], row[6]);
        assert_eq!(seq, number.to_string());
        assert_eq!(exit, if number == 9 { "3" } else { "0" }, "{row:?}");
        let value = format!("'v{number}'");
        let command = format!("[ {value} != v9 ] || exit 3; echo made {value} >'out/v{number}'");
        assert_eq!(row[8], command);
    }
    let output = run(&mut sandbox.msup(["collect", "--joblog", "no/folder", "journals"]));
    assert_eq!(output.status.code(), Some(255), "{}", said(&output));
}

#[test]
fn shards_of_different_lists_are_not_collected() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    assert!(run(&mut start(&sandbox, 0, &[], TASK)).status.success());
    sandbox.file("list", b"v1\nv2\n");
    assert!(run(&mut start(&sandbox, 1, &[], TASK)).status.success());
    let (status, text) = collect(&sandbox);
    assert!(status == Some(255) && text.contains("has read another list"), "{text}");
}

#[test]
fn collect_reads_a_folder_that_it_cannot_write() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    for nth in 0..4 {
        assert!(run(&mut start(&sandbox, nth, &[], TASK)).status.success());
    }
    let script = "mount --bind journals journals && mount -o remount,ro,bind journals && \
                  exec \"$0\" collect journals";
    let mut shell = sandbox.command("unshare");
    shell.args(["-m", "sh", "-c", script]).arg(msup_tests::program("msup"));
    let output = run(&mut shell);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("40 of 40 tasks succeeded, in 4 shards"), "{}", said(&output));
}

#[test]
fn what_does_not_belong_together_is_not_collected() {
    let sandbox = Sandbox::new();
    list(&sandbox);
    assert_eq!(collect(&sandbox).0, Some(255), "no such folder");
    fs::create_dir(sandbox.path().join("journals")).expect("writable");
    sandbox.file("journals/notes", b"");
    let (status, text) = collect(&sandbox);
    assert!(status == Some(255) && text.contains("no journals of shards"), "{text}");
    assert!(run(&mut start(&sandbox, 0, &[], TASK)).status.success());
    assert!(run(&mut start(&sandbox, 1, &[], "echo other {} >{out}")).status.success());
    let (status, text) = collect(&sandbox);
    assert!(status == Some(255) && text.contains("of another command"), "{text}");
}
