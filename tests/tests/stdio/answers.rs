//! What values and answers are, and what is no answer.

use std::io::Write;

use msup_tests::{Sandbox, overheard, run, run_with_input, spawn_piped, summary, wait_until};

use super::{lines, msup, ran, starts, text, write_program};

#[test]
fn a_program_is_started_once_per_worker() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "", "", "");
    let values: Vec<String> = (0..300).map(|n| format!("value {n}")).collect();
    let mut msup = msup(&sandbox, &["-k", "-j2", "--summary", "s.json"]);
    let output = run(msup.arg(":::").args(&values));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(shown, values, "in the order of the input");
    let figures = summary(&sandbox.path().join("s.json"));
    assert_eq!(figures["tasks"]["attempts"], 300);
    let started = starts(&sandbox).len();
    assert!((1..=2).contains(&started), "{started} starts");
}

#[test]
fn an_answer_tells_what_the_task_has_written_and_why_it_failed() {
    let sandbox = Sandbox::new();
    let cases = r#"
bad) printf '%s\n' '{"ok":false,"error":"no such thing","stdout":"half\n","stderr":"hint\n"}';;
quiet) printf '%s\n' '{"ok":true}';;"#;
    write_program(&sandbox, "", cases, "");
    let output = ran(&sandbox, &["-k", "-j1"], &["1", "bad", "quiet", "2"]);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), "1\nhalf\n2\n".into()));
    assert!(said.contains("task 2 failed: error: no such thing: bad\nmsup:     hint\n"), "{said}");
    assert_eq!(starts(&sandbox).len(), 1, "a task that fails costs no program");
    let journal = text(&run(&mut sandbox.msup(["log", "last"])).stdout);
    assert!(journal.contains("2\tfailed: error: no such thing\tattempt 1"), "{journal}");
}

#[test]
fn a_task_that_fails_is_tried_again_by_the_same_program() {
    let sandbox = Sandbox::new();
    let cases = "bad) echo x >>tries; if [ $(wc -l <tries) -lt 3 ]; then fails no; else ok 3; fi;;";
    write_program(&sandbox, "", cases, "");
    let flags = ["-j1", "--retries", "3", "--backoff", "1ms..5ms"];
    let output = ran(&sandbox, &flags, &["bad"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "3\n".into()));
    assert_eq!((starts(&sandbox).len(), lines(&sandbox, "tries").len()), (1, 3));
}

#[test]
fn standard_error_belongs_to_the_running_task() {
    let sandbox = Sandbox::new();
    // More than a pipe holds.
    let cases = r#"
loud*) echo "about $value" >&2; fails no;;
flood) head -c 200000 /dev/zero | tr '\0' '#' >&2; ok flood;;"#;
    write_program(&sandbox, "", cases, "");
    let output = ran(&sandbox, &["-k", "-j1"], &["1", "loud1", "2", "loud2", "flood"]);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), "1\n2\nflood\n".into()));
    for n in 1..=2 {
        let told = format!("task {} failed: error: no: loud{n}\nmsup:     about loud{n}\n", 2 * n);
        assert!(said.contains(&told), "{told}: {said}");
    }
    assert_eq!(said.matches('#').count(), 200_000);
    assert_eq!(starts(&sandbox).len(), 1);
}

#[test]
fn values_arrive_byte_for_byte() {
    let sandbox = Sandbox::new();
    let program = "while IFS= read -r value; do printf '%s\\n' \"$value\" >>got; \
                   echo '{\"ok\":true}'; done";
    let values = b"a b\n\n  -x \xff\t\n'\"$(touch pwned)`\\n\n{}\n\xc3\xa9\nend\n";
    sandbox.file("list", values);
    let flags = ["-j1", "-a", "list", "--worker-stdio", "sh", "-c", program];
    let output = run(&mut sandbox.msup(flags));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(std::fs::read(sandbox.path().join("got")).expect("written"), values);
    assert!(!sandbox.path().join("pwned").exists());
}

#[test]
fn with_nul_bytes_between_them_values_may_hold_newlines() {
    let sandbox = Sandbox::new();
    let program = "while IFS= read -r -d '' value; do printf '%s\\0' \"$value\" >>got; \
                   echo '{\"ok\":true}'; done";
    let values = b"a\nb\0\0\n\0-\n\n\0last\0";
    let flags = ["-j1", "-0", "--worker-stdio", "bash", "-c", program];
    let output = run_with_input(&mut sandbox.msup(flags), values);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(std::fs::read(sandbox.path().join("got")).expect("written"), values);
    let typed = flags.iter().copied().chain([":::", "x\ny"]);
    assert!(run(&mut sandbox.msup(typed)).status.success());
    let got = std::fs::read(sandbox.path().join("got")).expect("written");
    assert_eq!(&got[values.len()..], b"x\ny\0");
}

#[test]
fn large_values_and_answers_pass() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "", "", "");
    let value = "v".repeat(300_000);
    let input = format!("{value}\nsmall\n");
    let output = run_with_input(&mut msup(&sandbox, &["-k", "-j1"]), input.as_bytes());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(output.stdout == input.as_bytes(), "{} bytes", output.stdout.len());
}

#[test]
fn an_answer_that_is_none_fails_its_task_and_costs_the_program() {
    let sandbox = Sandbox::new();
    let cases = r#"
text) echo hello;;
two) printf '%s\n' '{"ok":true}' '{"error":"more"}';;
neither) echo '{"stdout":"x"}';;
unknown) echo '{"ok":true,"result":7}';;
long) head -c 17000000 /dev/zero | tr '\0' x; sleep 1000;;"#;
    write_program(&sandbox, "", cases, "");
    let values = ["1", "text", "2", "two", "3", "neither", "4", "unknown", "5", "long", "6"];
    let output = ran(&sandbox, &["-k", "-j1"], &values);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert_eq!(text(&output.stdout), "1\n2\n3\n4\n5\n6\n");
    for (seq, why) in [
        (2, "the program's answer is no JSON object like {\"ok\": true}: hello (it does not begin"),
        (4, "the program has written more than one line for a task: {\"error\":\"more\"}: two"),
        (6, "the program's answer must say either \"ok\": true or \"error\": \"WHY\": {\"stdo"),
        (8, "the program's answer is no JSON object like {\"ok\": true}: {\"ok\":true,"),
        (10, "the program's answer is longer than 16 MiB: long"),
    ] {
        let told = format!("task {seq} failed: error: {why}");
        assert!(said.contains(&told), "{told}: {said}");
    }
    assert_eq!(starts(&sandbox).len(), 6);
}

/// The second line comes when the task has finished, so the next task is not to blame.
#[test]
fn a_program_that_writes_without_a_task_is_started_anew() {
    let sandbox = Sandbox::new();
    let cases = "slip) ok slip; until [ -e go ]; do sleep 0.01; done; echo more; : >slipped;;";
    write_program(&sandbox, "", cases, "");
    let mut child = spawn_piped(&mut msup(&sandbox, &["-j1", "--joblog", "log"]));
    let said = overheard(&mut child);
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"slip\n").expect("it reads");
    // The line is written when the output was.
    wait_until(|| lines(&sandbox, "log").len() == 2);
    sandbox.file("go", b"");
    wait_until(|| sandbox.path().join("slipped").exists());
    stdin.write_all(b"next\n").expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("ours");
    wait_until(|| said.lock().expect("no panic").contains("2 of 2 tasks succeeded"));
    let said = said.lock().expect("no panic");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "slip\nnext\n".into()));
    assert!(said.contains("wrote to its standard output without a task"), "{said}");
    assert_eq!(starts(&sandbox).len(), 2);
}

/// The second line comes at once, but before the program reads its next task.
#[test]
fn an_answer_to_a_task_that_was_not_read_is_none() {
    let sandbox = Sandbox::new();
    write_program(&sandbox, "", "slip) ok slip; ok more; sleep 0.5;;", "");
    let output = ran(&sandbox, &["-k", "-j1"], &["slip", "1", "slip", "2", "3"]);
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    // Both lines may have arrived together.
    let failed = said.matches("more than one line for a task").count();
    assert_eq!(output.status.code(), Some(failed as i32), "{said}");
    assert_eq!(shown.replace("slip\n", ""), "1\n2\n3\n", "{said}");
    assert_eq!(said.matches("without a task").count() + failed, 2, "{said}");
    assert_eq!(starts(&sandbox).len(), 3);
    // A program that does not wait for its task at all.
    let script = "while :; do echo '{\"ok\":true}'; done";
    let output = run(&mut sandbox.msup(["-j1", "--worker-stdio", script, ":::", "a"]));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
}

#[test]
fn a_single_word_with_shell_syntax_is_a_script() {
    let sandbox = Sandbox::new();
    let script = "while read -r v; do printf '%s%s%s\\n' '{\"ok\":true,\"stdout\":\"' \"$v\" \
                  '.\\n\"}'; done";
    let output = run(&mut sandbox.msup(["-k", "--worker-stdio", script, ":::", "a", "b"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "a.\nb.\n");
    write_program(&sandbox, "", "", "");
    let line = "sh  program";
    let output = run(&mut sandbox.msup(["-k", "--worker-stdio", line, ":::", "a", "b"]));
    assert_eq!(text(&output.stdout), "a\nb\n", "its words, without a shell");
}

#[test]
fn a_program_knows_its_slot_and_its_run() {
    let sandbox = Sandbox::new();
    let before = "shown=\"$MSUP_SLOT $PARALLEL_JOBSLOT $MSUP_THREADS ${MSUP_SEQ-none} \
                  ${MSUP_RUN:+run}\"";
    write_program(&sandbox, before, "x) ok \"$shown\";;", "");
    let output = ran(&sandbox, &["-j1"], &["x"]);
    assert_eq!(text(&output.stdout), "1 1 1 none run\n");
}
