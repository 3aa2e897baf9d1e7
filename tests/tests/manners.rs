//! Help, manual pages and completions: what they print, and that other programs understand it.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use msup_tests::screen::Screen;
use msup_tests::{Sandbox, run, wait_until};

const PAGES: [&str; 12] = [
    "resume", "retry", "log", "clean", "serve", "inputs", "strings", "failures", "outputs",
    "settings", "parallel", "xargs",
];

/// What is printed; nothing may be said on standard error.
fn printed(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let output = run(sandbox.msup(arguments).env("COLUMNS", "80"));
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The flags that are listed in --help.
fn flags(help: &str) -> BTreeSet<String> {
    let begins =
        help.lines().filter(|line| line.starts_with("  -") || line.starts_with("      --"));
    let words = begins.filter_map(|line| {
        let mut words = line.split([' ', '=', '[', ',']).filter(|word| !word.is_empty());
        words.find(|word| word.starts_with("--")).map(str::to_owned)
    });
    words.collect()
}

#[test]
fn without_a_command_line_a_terminal_gets_one_screen_of_help() {
    let sandbox = Sandbox::new();
    let screen = Screen::new(24, 80);
    let mut child = screen.start(&mut sandbox.msup([""; 0]));
    let status = child.wait().expect("ours");
    wait_until(|| screen.rows().iter().any(|row| row.starts_with("More: msup --help")));
    let rows = screen.rows();
    assert!(rows[0].starts_with("Run COMMAND once per input value"), "{rows:#?}");
    assert_eq!(status.code(), Some(255));
    let short = printed(&sandbox, &["-h"]);
    assert_eq!(printed(&sandbox, &["help"]), short);
    assert_eq!(printed(&sandbox, &["-k", "-h", "true"]), short);
    assert_eq!(rows.join("\n").trim_end(), short.trim_end());
}

#[test]
fn help_is_asked_for_in_several_ways() {
    let sandbox = Sandbox::new();
    let all = printed(&sandbox, &["--help"]);
    assert!(flags(&all).len() > 45, "{all}");
    assert_eq!(printed(&sandbox, &["help", "--all"]), all);
    assert_eq!(printed(&sandbox, &["help", "log"]), printed(&sandbox, &["log", "--help"]));
    assert_eq!(
        printed(&sandbox, &["help", "replacement"]),
        printed(&sandbox, &["help", "strings"])
    );
    for topic in ["inputs", "strings", "pipelines", "failures", "resume", "outputs", "settings"] {
        let text = printed(&sandbox, &["help", topic]);
        assert!(text.starts_with(&format!("msup help {topic}: ")) && text.lines().count() > 15);
    }
    for known in ["doctor", "help", "man", "completions"] {
        for flag in ["-h", "--help"] {
            assert!(printed(&sandbox, &[known, flag]).contains("Usage: msup "), "{known} {flag}");
        }
    }
    for (wrong, named) in [
        (
            &["help", "nothing"][..],
            "inputs, strings, pipelines, failures, resume, outputs, settings, parallel and xargs",
        ),
        (
            &["man", "nothing"],
            "resume, retry, log, report, trace, top, ctl, clean, serve, inputs, strings",
        ),
        (&["completions", "tcsh"], "bash, zsh or fish"),
    ] {
        let output = run(&mut sandbox.msup(wrong));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.lines().count()), (Some(255), 1), "{said}");
        assert!(said.contains(named) && output.stdout.is_empty(), "{said}");
    }
}

#[test]
fn what_was_probably_meant_is_said() {
    let sandbox = Sandbox::new();
    for (wrong, said) in [
        (
            &["--jbos", "3", "true"][..],
            "unexpected argument '--jbos' found: did you mean '--jobs'?",
        ),
        (&["--no-confg", "true"], "did you mean '--no-config'?"),
        (&["--halt", "nwo,fial=1", "true"], "now,success=1: did you mean 'now,fail=1'?"),
        (&["--halt", "son,done=20%", "true"], "did you mean 'soon,done=20%'?"),
        (&["--leave", "killl", "true"], "must be wait, ok or kill: did you mean 'kill'?"),
        (&["mna"], "mna: no such program: did you mean 'msup man'?"),
        (&["completion"], "did you mean 'msup completions'?"),
    ] {
        let output = run(&mut sandbox.msup(wrong));
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), line.lines().count()), (Some(255), 1), "{line}");
        assert!(line.contains(said), "{wrong:?}: {line}");
    }
    let line = run(&mut sandbox.msup(["--halt", "nwo,fail=x", "true"])).stderr;
    let line = String::from_utf8_lossy(&line).into_owned();
    assert!(!line.contains("did you mean"), "no advice that is refused, too: {line}");
}

#[test]
fn narrow_and_wide_terminals_break_no_words() {
    let sandbox = Sandbox::new();
    for arguments in [&["-h"][..], &["--help"], &["help", "inputs"], &["help", "settings"]] {
        let mut words = Vec::new();
        for columns in [50_usize, 80, 200] {
            let mut msup = sandbox.msup(arguments);
            let output = run(msup.env("COLUMNS", columns.to_string()));
            let text = String::from_utf8(output.stdout).expect("text");
            // Usage lines and the list of subcommands are as they are.
            let is_fixed = |line: &str| line.contains("msup ") || line.starts_with("  ");
            let is_long = |line: &&str| line.chars().count() > columns && line.contains(' ');
            let too_long = text.lines().find(|line| is_long(line) && !is_fixed(line));
            assert_eq!(too_long, None, "{arguments:?} in {columns} columns");
            let all: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            words.push(all);
        }
        assert!(words[0] == words[1] && words[1] == words[2], "{arguments:?}");
    }
}

/// The page as a terminal shows it, and what groff warns of.
fn rendered(sandbox: &Sandbox, page: &str) -> Option<(String, String)> {
    let path = sandbox.file("page.man", page.as_bytes());
    let mut groff = sandbox.command("groff");
    let groff = groff.args(["-ww", "-man", "-rHY=0", "-Tascii", "-P-cbou"]).arg(path).output();
    let Ok(output) = groff else {
        eprintln!("not tested: no groff here");
        return None;
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Some((text(output.stdout), text(output.stderr)))
}

#[test]
fn manual_pages_are_rendered_without_warnings_and_have_all_flags() {
    let sandbox = Sandbox::new();
    for (page, arguments) in std::iter::once(("", vec!["man"]))
        .chain(PAGES.into_iter().map(|page| (page, vec!["man", page])))
    {
        let source = printed(&sandbox, &arguments);
        let Some((text, warnings)) = rendered(&sandbox, &source) else { return };
        assert_eq!(warnings, "", "{page}");
        let name = if page.is_empty() { "msup".to_owned() } else { format!("msup-{page}") };
        let one_blank = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(one_blank.contains(&format!("NAME {name} - ")), "{page}: {text}");
        let is_topic =
            ["inputs", "strings", "failures", "outputs", "settings", "parallel", "xargs"]
                .contains(&page);
        let help = match (page, is_topic) {
            ("", _) => printed(&sandbox, &["--help"]),
            (page, false) => printed(&sandbox, &[page, "--help"]),
            (page, true) => printed(&sandbox, &["help", page]),
        };
        let words = |text: &str| text.split_whitespace().collect::<String>();
        let whole = words(&text);
        if is_topic {
            let last = help.trim_end().rsplit('\n').next().expect("a line");
            assert!(whole.contains(&words(last)), "{page}: {last}");
        }
        let missing = flags(&help).into_iter().find(|flag| !whole.contains(flag.as_str()));
        assert_eq!(missing, None, "{page}: {text}");
    }
}

/// What bash offers for the last of these words.
fn offered(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let script = r#"
        source ./msup.bash
        [[ $(complete -p msup) == *"-F _msup_words "* ]] || exit 3
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
        _msup_words msup "${@: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = sandbox.command("bash");
    let output = run(bash.args(["--norc", "-c", script, "bash"]).args(words));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {said}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_flags_their_values_and_subcommands() {
    let sandbox = Sandbox::new();
    sandbox.file("msup.bash", printed(&sandbox, &["completions", "bash"]).as_bytes());
    sandbox.file("values.list", b"");
    let offered = |words: &[&str]| offered(&sandbox, words);
    assert_eq!(offered(&["msup", "--time"]), ["--timeout"]);
    assert_eq!(
        offered(&["msup", "-k", "--me"]),
        ["--memory", "--mem-per-task", "--memfree", "--metrics"]
    );
    assert_eq!(offered(&["msup", "--leave", ""]), ["wait", "ok", "kill"]);
    assert_eq!(offered(&["msup", "-a", "val"]), ["values.list"]);
    assert!(offered(&["msup", "res"]).contains(&"resume".to_owned()));
    assert!(offered(&["msup", "xar"]).contains(&"xargs".to_owned()));
    // Behind COMMAND, bash offers names of files where nothing else is offered.
    for words in [&["msup", "gzip", ":::", "re"][..], &["msup", "-j", "2", "gzip", "res"]] {
        assert_eq!(offered(words), [""; 0], "{words:?}");
    }
    assert_eq!(offered(&["msup", "-j", "2", "-k", "--time"]), ["--timeout"]);
    assert_eq!(offered(&["msup", "parallel", "--time"]), ["--timeout"]);
    assert_eq!(
        offered(&["msup", "xargs", "--max-"]),
        ["--max-lines", "--max-args", "--max-chars", "--max-procs"]
    );
    assert_eq!(offered(&["msup", "xargs", "gzip", "re"]), [""; 0]);
    assert_eq!(offered(&["msup", "resume", "--rep"]), ["--replay"]);
    assert_eq!(offered(&["msup", "retry", "--q"]), ["--quarantined", "--quiet"]);
    assert_eq!(offered(&["msup", "help", "s"]), ["strings", "settings"]);
    assert_eq!(offered(&["msup", "man", "ser"]), ["serve"]);
    assert_eq!(offered(&["msup", "completions", "z"]), ["zsh"]);
    assert_eq!(offered(&["msup", "--gn"]), [""; 0], "hidden flags are not offered");
}

#[test]
fn completions_of_all_shells_have_all_flags_and_are_valid() {
    let sandbox = Sandbox::new();
    let wanted = flags(&printed(&sandbox, &["--help"]));
    for (shell, mark, check) in [
        ("bash", "complete -F _msup ", "-n"),
        ("zsh", "#compdef msup\n", "-n"),
        ("fish", "complete -c msup ", "--no-execute"),
    ] {
        let text = printed(&sandbox, &["completions", shell]);
        assert!(text.contains(mark), "{shell}: {text}");
        for flag in &wanted {
            // fish has them without dashes, after -l.
            let name = flag.trim_start_matches('-');
            let is_there = text.contains(flag.as_str()) || text.contains(&format!("-l {name} "));
            assert!(is_there, "{shell}: {flag}");
        }
        let path = sandbox.path().join(format!("completions.{shell}"));
        fs::write(&path, text).expect("writable");
        match Command::new(shell).arg(check).arg(&path).output() {
            Ok(output) => assert!(output.status.success(), "{shell}: {output:?}"),
            Err(_) => eprintln!("not tested: no {shell} here"),
        }
    }
}
