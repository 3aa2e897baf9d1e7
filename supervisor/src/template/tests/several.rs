//! Values with several arguments, and replacement strings with a number.

use super::*;

fn set(name: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
    (name.as_bytes().to_vec(), value.as_bytes().to_vec())
}

#[test]
fn a_number_names_an_argument_and_no_number_all_of_them() {
    let table: [(&[&str], &[&str]); 9] = [
        (&["p", "{1}", "{2}"], &["p", "a/x.c", "b c"]),
        (&["p", "{}"], &["p", "a/x.c", "b c"]),
        (&["p"], &["p", "a/x.c", "b c"]),
        (&["p", "-o={}", "x{1}y{2}"], &["p", "-o=a/x.c b c", "xa/x.cyb c"]),
        (&["p", "{-1}", "{-2/}", "{1.}", "{1//}", "{1/.}"], &["p", "b c", "x.c", "a/x", "a", "x"]),
        (&["p", "{.}"], &["p", "a/x", "b c"]),
        (&["p", "{3}", "{-3}", "x{3}"], &["p", "", "", "x"]),
        (&["p", "[0]{2}", "${1}", "{}"], &["p", "[0]b c", "${1}", "a/x.c", "b c"]),
        (&["p {2} {1/}"], &["p", "b c", "x.c"]),
    ];
    let several = Reading { strings: Strings::of(2), ..reading("sh") };
    for (words, expected) in table {
        let template = parsed(words, &several).expect("a template");
        let argv = template.render(b"a/x.c\0b c", at(1)).argv;
        assert_eq!(argv, expected.map_bytes(), "{words:?}");
    }
    // With one argument, braces in regular expressions have their own meaning.
    let table: [(&[&str], &[&str]); 2] = [
        (&["p", "{1}", "{-1/}", "a{1}"], &["p", "b/c", "c", "ab/c"]),
        (&["p", "[0]{2}", "(a){1}", "x{2}", "{}"], &["p", "[0]{2}", "(a){1}", "x{2}", "b/c"]),
    ];
    for (words, expected) in table {
        assert_eq!(argv(words, b"b/c"), expected.map_bytes(), "{words:?}");
    }
}

trait MapBytes {
    fn map_bytes(&self) -> Vec<Vec<u8>>;
}

impl MapBytes for [&str] {
    fn map_bytes(&self) -> Vec<Vec<u8>> {
        self.iter().map(|word| word.as_bytes().to_vec()).collect()
    }
}

#[test]
fn extensions_and_folders_as_gnu_parallel_has_them() {
    // The value, then {..} {...} {/..} {/...} {+/} {+.} {+..} {+...}, as its Perl code makes them.
    let table = [
        ["a", "a", "a", "a", "a", "", "", "", ""],
        ["a.b", "a.b", "a.b", "a.b", "a.b", "", "b", "", ""],
        ["a.b.c", "a", "a.b.c", "a", "a.b.c", "", "c", "b.c", ""],
        ["a.b.c.d", "a.b", "a", "a.b", "a", "", "d", "c.d", "b.c.d"],
        ["d/a.b.c", "d/a", "d/a.b.c", "a", "a.b.c", "d", "c", "b.c", ""],
        ["d.e/a.b", "d.e/a.b", "d.e/a.b", "a.b", "a.b", "d.e", "b", "", ""],
        ["d.e/a", "d.e/a", "d.e/a", "a", "a", "d.e", "e/a", "", ""],
        ["/a", "/a", "/a", "a", "a", "", "", "", ""],
        ["d/", "d/", "d/", "", "", "d", "", "", ""],
        ["a..", "a", "a..", "a", "a..", "", "", ".", ""],
    ];
    let words = ["p", "{..}", "{...}", "{/..}", "{/...}", "{+/}", "{+.}", "{+..}", "{+...}"];
    for [value, expected @ ..] in table {
        let made = argv(&words, value.as_bytes());
        assert_eq!(made[1..], expected.map_bytes()[..], "{value:?}");
    }
}

#[test]
fn a_script_refers_to_each_argument() {
    let table = [
        ("p; {}", r#"p; "${MSUP_V1}" "${MSUP_V2}""#),
        ("p;q", r#"p;q "${MSUP_V1}" "${MSUP_V2}""#),
        ("p '{}' {2}", r#"p ''"${MSUP_V1} ${MSUP_V2}"'' "${MSUP_V2}""#),
        (r#"p "{.}" {-2/}"#, r#"p "${MSUP_V1_NOEXT} ${MSUP_V2_NOEXT}" "${MSUP_V1_BASE}""#),
        ("x={}; p", r#"x="${MSUP_V1} ${MSUP_V2}"; p"#),
        ("x=a{}; p", r#"x=a"${MSUP_V1} ${MSUP_V2}"; p"#),
        ("p > {}", r#"p > "${MSUP_V1} ${MSUP_V2}""#),
        (">| {} q", r#">| "${MSUP_V1} ${MSUP_V2}" q"#),
        ("p >>{} q", r#"p >>"${MSUP_V1} ${MSUP_V2}" q"#),
        ("for x in {}; do p; done", r#"for x in "${MSUP_V1}" "${MSUP_V2}"; do p; done"#),
        (r"p \ {}", r#"p \ "${MSUP_V1} ${MSUP_V2}""#),
        ("p $(( {} ))", "p $(( ${MSUP_V_NUM:?the value is not a number} ))"),
        ("p $(( {2} ))", "p $(( ${MSUP_V2_NUM:?the value is not a number} ))"),
    ];
    for (line, script) in table {
        assert_eq!(show(&argv(&[line], b"a/b.c\x007")[2]), show(script.as_bytes()), "{line}");
    }
    let env = |line: &str| template(&[line]).render(b"a/b.c\x007", at(1)).env;
    assert_eq!(env("p; {2} {-1} {}"), [set("MSUP_V1", "a/b.c"), set("MSUP_V2", "7")]);
    assert_eq!(env("p; {1/} {3}"), [set("MSUP_V1_BASE", "b.c"), set("MSUP_V3", "")]);
    let numbers = [set("MSUP_V_NUM", ""), set("MSUP_V2_NUM", "7")];
    assert_eq!(env("p $(( {} )) $(( {2} ))"), numbers);
}

#[test]
fn what_is_shown_of_several_can_be_pasted() {
    let shown = |words: &[&str]| show(&template(words).display(b"it's\0b c", at(3)));
    assert_eq!(shown(&["p", "{}", "-{2}"]), show(br"p 'it'\''s' 'b c' '-b c'"));
    assert_eq!(shown(&["p; {}"]), show(br"p; 'it'\''s' 'b c'"));
    let each = Template::each_input(reading("sh"));
    assert_eq!(each.render(b"p\0a b", at(1)).argv, ["p", "a", "b"].map_bytes());
}

#[test]
fn a_number_beyond_the_lists_is_refused() {
    let refused = |word: &str, arguments| {
        let strings = Strings::of(arguments);
        refuse_foreign(&[word.as_bytes().to_vec()], &strings).err().map(|why| why.to_string())
    };
    for (word, arguments) in [("{1}", 1), ("{2}", 2), ("{-2/}", 2), ("[a]{7}", 1), ("${3}", 1)] {
        assert_eq!(refused(word, arguments), None, "{word}");
    }
    for (word, arguments, said) in [
        ("{2}", 1, "one list of values"),
        ("{-2}", 1, "one list of values"),
        ("a {3.}", 2, "no such list"),
    ] {
        let why = refused(word, arguments).expect(word);
        assert!(why.contains(said), "{why}");
    }
}
