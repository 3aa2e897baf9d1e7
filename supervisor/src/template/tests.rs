//! Tests of templates: tables for what is rendered.

mod edited;
mod random;
mod refusals;
mod several;
mod shells;

use super::*;

fn at(seq: u64) -> Facts<'static> {
    let totals = Totals { tasks: 120, slots: 16 };
    Facts { seq, threads: 4, out: b"out dir/x.png", totals }
}

fn reading(shell: &str) -> Reading {
    let shell = Shell::named(shell.as_ref()).expect("a known shell");
    Reading {
        shell,
        fixed_shell: false,
        unsafe_replace: false,
        strings: Strings::USUAL,
        feeding: Feeding::Values,
    }
}

fn parsed(words: &[&str], reading: &Reading) -> Result<Template, TemplateError> {
    Template::from_words(words.iter().map(|word| word.as_bytes().to_vec()).collect(), reading)
}

fn template(words: &[&str]) -> Template {
    parsed(words, &reading("sh")).expect("a template")
}

fn argv(words: &[&str], value: &[u8]) -> Vec<Vec<u8>> {
    template(words).render(value, at(7)).argv
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn is_script(line: &str) -> bool {
    matches!(template(&[line]).kind, Kind::Script(_))
}

#[test]
fn replacement_strings() {
    // The value, then {} {.} {/} {//} {/.}, as GNU parallel's Perl code makes them.
    let table = [
        ["", "", "", "", ".", ""],
        ["a", "a", "a", "a", ".", "a"],
        ["a.b", "a.b", "a", "a.b", ".", "a"],
        ["a.b.c", "a.b.c", "a.b", "a.b.c", ".", "a.b"],
        ["a.", "a.", "a", "a.", ".", "a"],
        [".rc", ".rc", "", ".rc", ".", ""],
        ["d/.rc", "d/.rc", "d/", ".rc", "d", ""],
        ["d.x/a", "d.x/a", "d.x/a", "a", "d.x", "a"],
        ["d.x/a.b", "d.x/a.b", "d.x/a", "a.b", "d.x", "a"],
        ["d/e/a.b", "d/e/a.b", "d/e/a", "a.b", "d/e", "a"],
        ["/", "/", "/", "", "/", ""],
        ["//", "//", "//", "", "/", ""],
        ["/x.y", "/x.y", "/x", "x.y", "/", "x"],
        ["//x", "//x", "//x", "x", "/", "x"],
        ["//x/y", "//x/y", "//x/y", "y", "//x", "y"],
        ["x/", "x/", "x/", "", ".", ""],
        ["x.y/", "x.y/", "x.y/", "", ".", ""],
        ["a/b/", "a/b/", "a/b/", "", "a", ""],
        ["a//b//", "a//b//", "a//b//", "", "a", ""],
        ["///a///", "///a///", "///a///", "", "/", ""],
        [".", ".", "", ".", ".", ""],
        ["..", "..", ".", "..", ".", "."],
        ["../", "../", "../", "", ".", ""],
        ["a\nb/c\nd.e\n", "a\nb/c\nd.e\n", "a\nb/c\nd", "c\nd.e\n", "a\nb", "c\nd"],
    ];
    let template = template(&["{}", "{.}", "{/}", "{//}", "{/.}"]);
    for [value, expected @ ..] in table {
        let argv = template.render(value.as_bytes(), at(1)).argv;
        assert_eq!(argv, expected.map(|part| part.as_bytes().to_vec()), "{value:?}");
    }
}

#[test]
fn values_arrive_as_bytes_and_are_not_scanned_again() {
    let value = b"-{}\xff\n'{.}\" {#}{%}";
    assert_eq!(argv(&["p", "{}", "a{}b{}"], value)[1], value);
    let twice = [b"a", &value[..], b"b", value].concat();
    assert_eq!(argv(&["p", "a{}b{}"], value)[1], twice);
    assert!(template(&["p", "{}"]).render(value, at(1)).slot_marks.is_empty());
}

#[test]
fn other_braces_are_literal() {
    for literal in ["{0}", "{foo}", "{", "}", "{ }", "{....}", "{///}", "{1:}", "{{", "}{"] {
        let expected: [&[u8]; 3] = [b"p", literal.as_bytes(), b"v"];
        assert_eq!(argv(&["p", literal], b"v"), expected, "{literal}");
    }
    assert_eq!(argv(&["p", "{{}}", "{}}"], b"v")[1..], [b"{v}".to_vec(), b"v}".to_vec()]);
}

#[test]
fn several_words_are_never_parsed_again() {
    let words = ["cd", "a b", "$x;", "", "it's", "{}"];
    let expected: [&[u8]; 6] = [b"cd", b"a b", b"$x;", b"", b"it's", b"v w"];
    assert_eq!(argv(&words, b"v w"), expected);
}

#[test]
fn value_is_appended_only_without_any_replacement_string() {
    assert_eq!(argv(&["p", "a"], b"v w").last().unwrap(), b"v w");
    assert_eq!(argv(&["p a"], b"v w"), [&b"p"[..], b"a", b"v w"]);
    assert_eq!(argv(&["p {#}"], b"v"), [&b"p"[..], b"7"]);
    assert_eq!(argv(&["p {%}"], b"v"), [&b"p"[..], b""]);
    assert_eq!(argv(&["p {//}"], b"v"), [&b"p"[..], b"."]);
    assert_eq!(argv(&["p;q"], b"v"), [&b"sh"[..], b"-c", b"p;q \"${MSUP_V}\""]);
    assert_eq!(argv(&["p;q {#}"], b"v"), [&b"sh"[..], b"-c", b"p;q 7"]);
    // Not as a command of its own, where a script ends in newlines.
    assert_eq!(argv(&["p\nq \n\n"], b"v")[2], b"p\nq \"${MSUP_V}\"");
    assert_eq!(argv(&["p \\\n"], b"v")[2], b"p \\\n \"${MSUP_V}\"");
}

#[test]
fn errors() {
    let from = |words: &[&[u8]]| {
        let words = words.iter().map(|word| word.to_vec()).collect();
        Template::from_words(words, &reading("sh")).unwrap_err()
    };
    assert_eq!(from(&[]), TemplateError::Empty);
    assert_eq!(from(&[b""]), TemplateError::Empty);
    assert_eq!(from(&[b" \t\n"]), TemplateError::Empty);
    assert_eq!(from(&[b"a\0b"]), TemplateError::NulInWord);
    assert_eq!(from(&[b"a", b"\0"]), TemplateError::NulInWord);
    for error in [TemplateError::Empty, TemplateError::NulInWord] {
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn lines_that_need_a_shell() {
    let shell = [
        "p\nq",
        "p|q",
        "p&",
        "p;q",
        "p <a",
        "p >a",
        "(p)",
        "p $x",
        "p `q`",
        "p \\a",
        "p \"a\"",
        "p 'a'",
        "p *.c",
        "p a?",
        "p [a]",
        "p #a",
        "#p",
        "p ~",
        "~/p",
        "p a=~/b",
        "p a:~b",
        "p {a,b}",
        "p {0}",
        "p {}}",
        "! p",
        "A=1 p",
        "A+=1 p",
        "_a=",
        "if",
        ". p",
        ": p",
        "cd {}",
        "  cd x",
        "\ttype",
        "time p",
        "exec p",
        "p {} > {.}.out",
    ];
    for line in shell {
        assert!(is_script(line), "{line:?}");
        assert_eq!(template(&[line]).fixed_program(), Some(&b"sh"[..]));
    }
}

#[test]
fn lines_that_need_no_shell() {
    let direct = [
        "p",
        " p  a\tb ",
        "p {}",
        "p {1}",
        "{} a",
        "{/}x",
        "p a=b",
        "p a]",
        "p a%",
        "p 100%",
        "p a^b",
        "p !",
        "p a!",
        "p a#b",
        "p {#}",
        "p {%}#",
        "p a~",
        "p {}~",
        "p -o=x",
        "p @a,b:c+d",
        "/bin/cd x",
        "p cd",
        "cd{} x",
        "{}cd",
        "1a=b p",
        "a-b=c p",
        "=a p",
        "{}=1 p",
        "p \u{e9}",
        "p\n",
        "p a \n\n",
        "echo a",
        "printf x",
        "test a",
        "true",
        "kill 1",
    ];
    for line in direct {
        assert!(!is_script(line), "{line:?}");
    }
    assert_eq!(argv(&[" p  a\tb {}"], b"v"), [&b"p"[..], b"a", b"b", b"v"]);
}

#[test]
fn fixed_program() {
    assert_eq!(template(&["p", "{}"]).fixed_program(), Some(&b"p"[..]));
    assert_eq!(template(&["p {}"]).fixed_program(), Some(&b"p"[..]));
    assert_eq!(template(&["{}", "a"]).fixed_program(), None);
    assert_eq!(template(&["p{#}"]).fixed_program(), None);
    assert_eq!(template(&["{%}/p a"]).fixed_program(), None);
    assert_eq!(template(&["", "a"]).fixed_program(), Some(&b""[..]));
    assert_eq!(Template::each_input(reading("sh")).fixed_program(), None);
}

#[test]
fn each_input_is_its_own_command_line() {
    let argv = |line: &[u8]| Template::each_input(reading("sh")).render(line, at(1)).argv;
    assert_eq!(argv(b" p a  -b"), [&b"p"[..], b"a", b"-b"]);
    assert_eq!(argv(b"p {}"), [&b"sh"[..], b"-c", b"p {}"]);
    assert_eq!(argv(b"p \xff"), [&b"p"[..], b"\xff"]);
    assert_eq!(argv(b"cd /; p"), [&b"sh"[..], b"-c", b"cd /; p"]);
    assert_eq!(argv(b"-p; q"), [&b"sh"[..], b"-c", b"--", b"-p; q"]);
    assert_eq!(argv(b""), [&b"sh"[..], b"-c", b""]);
    assert_eq!(argv(b" \t"), [&b"sh"[..], b"-c", b" \t"]);
    assert_eq!(Template::each_input(reading("sh")).display(b"p {}; 'q", at(1)), b"p {}; 'q");
}

#[test]
fn slot_marks_are_offsets_without_slot_numbers() {
    let marks = |words: &[&str], value: &[u8]| -> Vec<(u32, u32)> {
        let rendered = template(words).render(value, at(10));
        rendered.slot_marks.iter().map(|mark| (mark.arg, mark.at)).collect()
    };
    assert_eq!(marks(&["p", "{}"], b"v"), []);
    assert_eq!(
        marks(&["p{%}", "{%}{%}", "{}-{%}-{#}{%}"], b"val"),
        [(0, 1), (1, 0), (1, 0), (2, 4), (2, 7),]
    );
    assert_eq!(marks(&["p {%}; q {#} {%}"], b"v"), [(2, 2), (2, 9)]);
    assert_eq!(marks(&["-p {%};"], b"v"), [(3, 3)]);
    assert_eq!(marks(&["{%}; '{%}' # {%}"], b"v"), [(2, 0), (2, 3)]);
}

#[test]
fn references_are_quoted_for_their_place() {
    let table = [
        ("p; {}", r#"p; "${MSUP_V}""#),
        (r#"p "{}""#, r#"p "${MSUP_V}""#),
        ("p '{}'", r#"p ''"${MSUP_V}"''"#),
        (r#"p "$(q {.})""#, r#"p "$(q "${MSUP_V_NOEXT}")""#),
        (r#"p "`q {/}`""#, r#"p "$(q "${MSUP_V_BASE}")""#),
        (r#"p "`q`" {}"#, r#"p "`q`" "${MSUP_V}""#),
        ("p # it's {}\nq {//}", "p # it's {}\nq \"${MSUP_V_DIR}\""),
        ("p $# {/.}", r#"p $# "${MSUP_V_BASE_NOEXT}""#),
        (r"p \{}", r#"p "${MSUP_V}""#),
        (r"p \\{}", r#"p \\"${MSUP_V}""#),
        (r#"p "\{}""#, r#"p "\\${MSUP_V}""#),
        ("p ${}", r#"p "$""${MSUP_V}""#),
        (r#"p "${}""#, r#"p "$""${MSUP_V}""#),
        ("p $x{}", r#"p $x"${MSUP_V}""#),
        ("p $x{#}", r#"p $x""7"#),
        ("p {#}>f", r#"p 7"">f"#),
        ("p $(( {} + {#} ))", "p $(( ${MSUP_V_NUM:?the value is not a number} + 7 ))"),
        ("p ${x:-{}}", r#"p ${x:-"${MSUP_V}"}"#),
        (r#"p "${x:-{}}""#, r#"p "${x:-${MSUP_V}}""#),
        (r#"p "${x%{}}""#, r#"p "${x%"${MSUP_V}"}""#),
        ("p ${x:{}}", "p ${x:${MSUP_V_NUM:?the value is not a number}}"),
    ];
    for (line, script) in table {
        assert_eq!(show(&argv(&[line], b"v")[2]), show(script.as_bytes()), "{line}");
    }
    let env = template(&["p; {} '{}' {/} {}"]).render(b"a/b", at(1)).env;
    let set = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    assert_eq!(env, [set("MSUP_V", "a/b"), set("MSUP_V_BASE", "b")]);
}

#[test]
fn display_can_be_pasted() {
    let shown = |words: &[&str]| show(&template(words).display(b"it's", at(3)));
    let table: [(&[&str], &str); 9] = [
        (&["p", "-a", "{}", "", "b c"], r"p -a 'it'\''s' '' 'b c'"),
        (&["if", "{#}{%}"], "'if' 31"),
        (&["A=b", "c=d{%}"], "'A=b' c=d1"),
        (&["p; {}"], r"p; 'it'\''s'"),
        (&["p '<{}>'"], r"p '<it'\''s>'"),
        (&[r#"p "<{}>{%}""#], r#"p "<"'it'\''s'">1""#),
        (&["p {#} # {}"], "p 3 # {}"),
        (&["p ${x} {}"], r#"MSUP_V='it'\''s' sh -c 'p ${x} "${MSUP_V}"'"#),
        (&["-p ${x} {%}"], "sh -c -- '-p ${x} 1'"),
    ];
    for (words, expected) in table {
        assert_eq!(shown(words), show(expected.as_bytes()), "{words:?}");
    }
}
