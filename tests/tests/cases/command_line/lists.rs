//! Lists that were made on other systems.

use msup_tests::{Sandbox, run_with_input};

use super::{assert_refused, ran, stderr_of, stdout_of};

const LIST: &[u8] = b"\xef\xbb\xbfa.txt\r\nb.txt\r\n";

#[test]
fn crlf_line_endings_of_a_list_are_reported_once_with_the_way_out() {
    let sandbox = Sandbox::new();
    let output = ran(&sandbox, &["-k", "cat"], b"a.txt\r\nb.txt\r\n");
    let stderr = stderr_of(&output);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stderr.matches("the list has CRLF line ends").count(), 1, "{stderr}");
    assert!(stderr.contains("--crlf") && stderr.contains("a.txt\\r"), "{stderr}");
    // Where nothing else is to be said, neither is this.
    assert!(!stderr_of(&ran(&sandbox, &["-q", "true"], b"a.txt\r\n")).contains("CRLF"));
}

#[test]
fn a_byte_order_mark_is_told() {
    let sandbox = Sandbox::new();
    let stderr = stderr_of(&ran(&sandbox, &["true"], b"\xef\xbb\xbfa.txt\nb.txt\n"));
    assert!(stderr.contains("byte order mark") && stderr.contains("--crlf"), "{stderr}");
    let stderr = stderr_of(&ran(&sandbox, &["true"], b"a.txt\nb.txt\n\xef\xbb\xbfc\n"));
    assert!(!stderr.contains("byte order mark"), "in another line it is a character: {stderr}");
}

#[test]
fn crlf_line_endings_and_the_mark_are_stripped_on_request() {
    let sandbox = Sandbox::new();
    sandbox.file("list", LIST);
    for (arguments, input) in [(&["--crlf"][..], LIST), (&["--crlf", "-a", "list"], b"")] {
        let output = ran(&sandbox, &[arguments, &["-q", "-k", "printf", "<%s>"]].concat(), input);
        assert_eq!(
            (stdout_of(&output), stderr_of(&output)),
            ("<a.txt><b.txt>".into(), String::new())
        );
    }
    let commands = run_with_input(
        &mut sandbox.msup(["-q", "-k", "--crlf"]),
        b"echo a\r\n\r\necho b | cat\r\n",
    );
    assert_eq!((stdout_of(&commands), commands.status.code()), ("a\nb\n".into(), Some(0)));
    assert_refused(&["--crlf", "-0", "true"], &["--crlf", "--null"]);
}

/// What was kept of standard input has been stripped already.
#[test]
fn a_resumed_run_takes_the_stripped_values() {
    let sandbox = Sandbox::new();
    let flags = ["-q", "-k", "--crlf", "--journal", "./j", "-j1", "--halt", "now,fail=1"];
    let script = "[ $1 = b ] && exit 1; printf \"<%s>\" \"$1\"";
    let command = [&flags[..], &["sh", "-c", script, "sh"]].concat();
    let first = ran(&sandbox, &command, b"\xef\xbb\xbfa\r\nb\r\nc\r\nd\r\n");
    assert_eq!(stdout_of(&first), "<a>");
    let second = ran(&sandbox, &["resume", "-q", "./j"], b"");
    assert_eq!(stdout_of(&second), "<c><d>", "{}", stderr_of(&second));
}

#[test]
fn a_list_in_utf_16_is_refused_as_such() {
    let sandbox = Sandbox::new();
    let output = ran(&sandbox, &["-q", "echo"], b"\xff\xfea\0\n\0b\0\n\0");
    let stderr = stderr_of(&output);
    assert_eq!((output.status.code(), stdout_of(&output)), (Some(255), String::new()), "{stderr}");
    assert!(stderr.contains("UTF-16") && stderr.contains("iconv"), "{stderr}");
}
