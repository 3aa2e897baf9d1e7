//! What regular expressions match, beside Perl where that is installed.

use super::*;
use std::process::Command;

/// Expressions and texts. What Perl matches, if it is installed, is what msup matches.
const MATCHES: &[(&str, &str)] = &[
    ("[a&&b]+", "xa&b"),
    ("[+--]+", "a+,-b"),
    ("[a~~b]+", "~a"),
    ("[[a]+", "x[a"),
    ("[a[b]c]", "b]"),
    ("[]a]+", "x]a"),
    ("[^]a]+", "]xy"),
    ("[a-]+", "x-a"),
    (r"[\w-.]+", "a-.!"),
    (r"[a-\d]+", "b-1a"),
    (r"[\]\-\\]+", r"x]-\"),
    ("[[:alpha:]_]+", "1ab_"),
    ("[[:^digit:]]+", "1ab"),
    (r"[\h]+", "a \tb"),
    (r"[\b]", "a\u{8}"),
    (r"[\101]", "xA"),
    ("[a b]+", "xa b"),
    (r"\<a\>", "a <a>"),
    (r"\-\&\~\#\ \'\,", "x-&~# ',"),
    (r"\d+", "\u{663}4"),
    (r"\w+", "\u{e4}b"),
    (r"\s+", "\u{a0}\u{b}x"),
    (r"\bb", "\u{e4}b"),
    (r"\v+", "a\u{b}\u{c}b"),
    (r"\h+", "a \tb"),
    (r"\H+", " ab"),
    (r"\N+", "\nab\n"),
    ("(?i)X", "ax"),
    ("(?i:X)Y", "axy axY"),
    ("(?#what)a", "ba"),
    ("a{,b", "a{,b"),
    ("{x}", "{x}"),
    ("a{2}", "aaa"),
    ("a{1,}?", "aaa"),
    (r"\x9b", "a\u{9b}"),
    (r"\x41\x{42}", "AB"),
    (r"\x2,", "a\u{2},"),
    (r"\cA\e\0\012", "\u{1}\u{1b}\0\n"),
    ("(?<n>a)b", "cab"),
    ("\u{e4}+", "\u{e4}\u{e4}"),
    ("[\u{e4}]", "\u{e4}"),
    ("a|b*", "cb"),
    ("^b", "a\nb"),
    ("a.b", "a\nb"),
];

fn found(regexp: &str, text: &str) -> String {
    let regexp = of_perl(regexp.as_bytes(), RegexpModes::default()).expect(regexp);
    match regexp.find(text.as_bytes()) {
        Some(found) => format!("{} {}", found.start(), found.end()),
        None => "none".into(),
    }
}

#[test]
fn it_matches_what_perl_matches() {
    let code = "$, = ' '; $r = shift; $t = shift; if ($t =~ /$r/) { print $-[0], $+[0] } \
                else { print 'none' }";
    for (regexp, text) in MATCHES {
        // A NUL byte cannot be a word of a command line.
        let (code, text) = (code.replace("$t = shift", "$t = <STDIN>"), *text);
        let mut perl = Command::new("perl");
        perl.args(["-0777", "-e", &code, regexp]);
        perl.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        perl.stderr(std::process::Stdio::null());
        let own = found(regexp, text);
        let Ok(mut child) = perl.spawn() else { continue };
        let mut stdin = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut stdin, text.as_bytes()).expect("it reads");
        drop(stdin);
        let shown = child.wait_with_output().expect("it ends").stdout;
        assert_eq!(own, String::from_utf8_lossy(&shown), "{regexp} in {text:?}");
    }
}

#[test]
fn what_the_crate_cannot_do_is_refused() {
    for (regexp, says) in [
        ("(", "not a regular expression: unclosed group"),
        ("[a", "not a regular expression: a [ is not closed"),
        ("a)", "not a regular expression: "),
        ("*a", "not a regular expression: "),
        ("a**", "a repetition is repeated"),
        ("[b-a]", "a range in [ ] has a wrong order"),
        ("[[:foo:]]", "[:foo:] is no class"),
        (r"(a)\1", r"msup has no \1 in regular expressions"),
        (r"\b{start}", r"msup has no \b{ in"),
        ("(?=a)", "msup has no (?= in"),
        ("(?<!a)", "msup has no (?< in"),
        ("(?x)a b", "msup has no (?x in"),
        ("a++", "msup has no possessive repetition (+ behind a repetition) in"),
        (r"\R", r"msup has no \R in"),
        (r"\pL", r"msup has no \p in"),
        (r"\x{100}", "msup has no character with the number 100 in"),
        ("a{,3}", "write {0,3} or \\{,3} in the place of {,3}"),
    ] {
        let why = of_perl(regexp.as_bytes(), RegexpModes::default()).expect_err(regexp).to_string();
        assert!(why.starts_with(regexp) && why.contains(says), "{why}");
        assert!(!why.contains('\n'), "{why}");
    }
}

#[test]
fn blanks_and_comments_mean_nothing_where_that_is_asked_for() {
    let modes = RegexpModes { spaced: true, ..RegexpModes::default() };
    let regexp = of_perl(b"a b # c(\n [ d]\\ ", modes).expect("valid");
    assert!(regexp.is_match(b"abd ") && regexp.is_match(b"ab  ") && !regexp.is_match(b"abd"));
}

#[test]
fn separators_match_something() {
    for regexp in ["", "|", "^", "x*", r"\b", "$", "a|", "(a?)"] {
        let why = of_separator(regexp.as_bytes()).expect_err(regexp).to_string();
        assert!(why.contains("matches an empty text"), "{why}");
    }
    assert!(of_separator(b"(,)|;+").is_ok());
}
