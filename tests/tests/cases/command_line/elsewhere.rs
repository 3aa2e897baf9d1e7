//! Flags and replacement strings of GNU parallel and xargs that msup does not have are
//! refused.

use super::{assert_refused, shown};

#[test]
fn separators_can_be_meant_literally() {
    assert_eq!(shown(&["echo {} ::::", ":::", "a"]), "a ::::\n");
    assert_eq!(
        shown(&["--literal", "echo", "::::", ":::", "a", ":::+", ":::"]),
        [":::: a\n", ":::: :::+\n", ":::: :::\n"].concat()
    );
}

#[test]
fn replacement_strings_of_other_tools_are_refused_with_the_alternative() {
    for string in ["{2}", "{2.}", "{-2/}", "{12}", "{//.}"] {
        assert_refused(&["echo", string, ":::", "A"], &[string, "--literal"]);
        assert_refused(&["echo", "{}", &format!("x={string}"), ":::", "A"], &[string]);
        assert_refused(&[&format!("echo '<{string}>' | cat"), ":::", "A"], &[string]);
        assert_refused(
            &["--out", &format!("{string}{{}}"), "cp", "{}", "{out}", ":::", "A"],
            &[string, "--out"],
        );
    }
    for words in
        [&["echo", "{= s/a/b/ =}"][..], &["echo", "{=2 s/a/b/ =}"], &["echo {=s/a/b/=} | cat"]]
    {
        assert_refused(&[words, &[":::", "A"]].concat(), &["{= =}", "--literal"]);
    }
    assert_refused(&["echo", "{=", "s/a/b/", "=}", ":::", "A"], &["{= =}", "--literal"]);
    assert_refused(&["echo", "{3}", ":::", "A", ":::", "B"], &["{3}", "no such list"]);
}

#[test]
fn flags_of_gnu_parallel_that_no_reading_has_are_refused_with_the_alternative() {
    for (words, instead) in [
        (&["parallel", "--embed"][..], "write a script"),
        (&["parallel", "--shebang-wrap", "echo"], "write a script"),
        (&["parallel", "--ctrlc", "echo", ":::", "a"], "leave it out"),
        (&["--parset", "x", "echo", ":::", "a"], "mapfile"),
        (&["-J", "prof", "echo", ":::", "a"], "msup.toml"),
    ] {
        assert_refused(words, &["is not supported", instead]);
    }
}

#[test]
fn braces_that_are_no_replacement_strings_stay() {
    for text in [
        "{print}",
        "{print $1}",
        "{1..3}",
        "${1}",
        "${10}",
        "${var}",
        "${x##*/}",
        "${x%.*}",
        "{a,b}",
        "{,.bak}",
        "{\"a\":1}",
        "{\"a\": {}}",
        "{ }",
        "{x}",
        "a{2}",
        "[0-9]{4}",
        "(ab){1}",
        ".{3}",
        "{1,3}",
        "{host}",
        "{%s}",
        "{:5}",
        "{0}",
        "{",
        "}",
        "{{",
        "=}",
        "{=",
        "${-1}",
    ] {
        let expected = format!("{}\n", text.replace("{}", "v"));
        assert_eq!(
            shown(&["printf", "%s\\n", text, "{#}", ":::", "v"]),
            expected + "1\n",
            "{text}"
        );
    }
    assert_eq!(
        shown(&["echo a1b22 | grep -oE '[0-9]{2}'; awk 'END {print NR}' {}", ":::", "/dev/null"]),
        "22\n0\n"
    );
    assert_eq!(shown(&["x=ab; set -- p; echo ${x#a} ${1} {}", ":::", "v"]), "b p v\n");
}

#[test]
fn braces_can_be_meant_literally() {
    assert_eq!(shown(&["--literal", "echo", "{1}", "{..}", "{}", ":::", "A"]), "{1} {..} A\n");
    assert_eq!(
        shown(&["--literal", "echo a | awk '{1} END {print NR}' && echo {}", ":::", "A"]),
        "1\nA\n"
    );
}

/// Task loops get values, and their arguments are what is typed.
#[test]
fn replacement_strings_in_the_arguments_of_a_task_loop_are_refused() {
    assert_refused(&["--worker", "/bin/true", "--", "--file={}", ":::", "A"], &["{}", "--worker"]);
    assert_refused(&["--worker", "/bin/true", "{1}", ":::", "A"], &["{1}", "--worker"]);
}

#[test]
fn flags_of_other_tools_are_refused_with_the_alternative() {
    let cases: [(&[&str], &[&str]); 12] = [
        (&["-L", "x"], &["-L x", "the number of values"]),
        (&["-I", ""], &["-I", "at least one character"]),
        (&["-n", "x"], &["-n x", "the number of values"]),
        (&["--colsep", "("], &["--colsep", "regular expression"]),
        (&["--header", "x+"], &["--header", "the first value"]),
        (&["--pipe", "--block", "1M"], &["--pipe", "leave ':::'"]),
        (&["-S", "server"], &["-S", "ssh"]),
        (&["--resume-failed"], &["--resume-failed", "--joblog"]),
        (&["--resume"], &["--resume", "msup resume"]),
        (&["--memsuspend", "1G"], &["--memsuspend", "--memory"]),
        (&["--filter", "x"], &["--filter", "grep"]),
        (&["--sshlog"], &["--sshlog", "ssh"]),
    ];
    for (flags, parts) in cases {
        assert_refused(&[flags, &["echo", ":::", "a"]].concat(), parts);
    }
}

#[test]
fn what_msup_does_anyway_may_be_asked_for() {
    for flag in ["-r", "--no-run-if-empty", "--will-cite", "--no-notice", "--group", "-0r"] {
        assert_eq!(shown(&[flag, "echo", ":::", "a"]), "a\n", "{flag}");
    }
    assert_eq!(shown(&["-a", "-", "echo"]), "", "standard input");
}

#[test]
fn values_that_ask_for_what_msup_does_are_accepted() {
    for flags in [
        &["-n", "1"][..],
        &["-n1"],
        &["-N1"],
        &["--max-args", "1"],
        &["-L", "1"],
        &["-L1"],
        &["-I", "{}"],
        &["-I{}"],
        &["-i"],
        &["-n1", "-I{}", "-P2"],
    ] {
        assert_eq!(shown(&[flags, &["echo", "x{}", ":::", "a"]].concat()), "xa\n", "{flags:?}");
    }
}
