//! Tests of the command template, many of them with a real `sh`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::*;

fn template(words: &[&str]) -> Template {
    Template::from_words(words.iter().map(|w| w.as_bytes().to_vec()).collect()).expect("valid")
}

fn argv(words: &[&str], value: &str) -> Vec<String> {
    strings(&template(words).render(value.as_bytes(), 7))
}

fn strings(rendered: &Rendered) -> Vec<String> {
    rendered.argv.iter().map(|a| String::from_utf8_lossy(a).into_owned()).collect()
}

fn script(source: &str) -> String {
    let argv = argv(&[source], "v");
    assert_eq!(argv[..2], ["sh", "-c"], "{source}");
    argv[2].clone()
}

#[test]
fn replacement_strings() {
    // value, {.}, {/}, {//}, {/.}
    let table = [
        ("a/b/c.txt", "a/b/c", "c.txt", "a/b", "c"),
        ("c.txt", "c", "c.txt", ".", "c"),
        ("c", "c", "c", ".", "c"),
        ("a/b/", "a/b/", "", "a", ""),
        ("a.d/", "a.d/", "", ".", ""),
        (".bashrc", "", ".bashrc", ".", ""),
        ("a/.bashrc", "a/", ".bashrc", "a", ""),
        ("x.tar.gz", "x.tar", "x.tar.gz", ".", "x.tar"),
        ("a.b/c", "a.b/c", "c", "a.b", "c"),
        ("./c", "./c", "c", ".", "c"),
        ("c.", "c", "c.", ".", "c"),
        ("", "", "", ".", ""),
        ("/", "/", "", "/", ""),
        ("//", "//", "", "/", ""),
        ("/x", "/x", "x", "/", "x"),
        ("/x/", "/x/", "", "/", ""),
        ("//x.y", "//x", "x.y", "/", "x"),
        ("a//b", "a//b", "b", "a", "b"),
        ("..", ".", "..", ".", "."),
        ("a/b\nc.d/e\n.f", "a/b\nc.d/e\n", "e\n.f", "a/b\nc.d", "e\n"),
        ("{/}{}", "{/}{}", "}{}", "{", "}{}"),
    ];
    for (value, noext, base, dir, basenoext) in table {
        let words = ["p", "{}", "{.}", "{/}", "{//}", "{/.}"];
        assert_eq!(
            argv(&words, value),
            ["p", value, noext, base, dir, basenoext],
            "direct {value:?}"
        );
        let rendered = template(&["p {} {.} {/} {//} {/.};"]).render(value.as_bytes(), 1);
        let env: Vec<(&str, &str)> = rendered
            .env
            .iter()
            .map(|(n, v)| (std::str::from_utf8(n).unwrap(), std::str::from_utf8(v).unwrap()))
            .collect();
        let expected = [
            (MSUP_V, value),
            (MSUP_V_NOEXT, noext),
            (MSUP_V_BASE, base),
            (MSUP_V_DIR, dir),
            (MSUP_V_BASENOEXT, basenoext),
        ];
        assert_eq!(env, expected, "script {value:?}");
    }
    assert_eq!(
        argv(&["p", "{#}-{}x{}", "{x}", "{", "{ }"], "v")[1..],
        ["7-vxv", "{x}", "{", "{ }"]
    );
}

#[test]
fn direct_or_shell() {
    for (line, expected) in [
        ("echo {}", vec!["echo", "v"]),
        (" gzip\t-9  {.} ", vec!["gzip", "-9", "v"]),
        ("echo a#b a~b --x=y {#}", vec!["echo", "a#b", "a~b", "--x=y", "7"]),
        ("{} x", vec!["v", "x"]),
        ("sleep 1", vec!["sleep", "1", "v"]),
        ("cdx {}", vec!["cdx", "v"]),
        ("echo cd {}", vec!["echo", "cd", "v"]),
        ("-x {}", vec!["-x", "v"]),
    ] {
        assert_eq!(argv(&[line], "v"), expected, "{line}");
    }
    for line in [
        "a\nb", "a|b", "a&", "a;b", "a<b", "a>b", "(a)", "a)", "a $x", "a `b`", "a \\b", "a \"b\"",
        "a 'b'", "a *", "a ?", "a [b", "a ~", "~/a", "a #b", "#a", "X=1 a", "a {x}", "a {", "a }",
        "a {}}", "a {{}}",
    ] {
        script(line);
    }
    for word in "! . : alias bg break case cd command continue do done elif else esac eval exec \
                 exit export fc fg fi for getopts hash if in jobs local read readonly return set \
                 shift source then times trap type ulimit umask unalias unset until wait while"
        .split(' ')
    {
        script(&format!(" {word} x"));
        script(word);
        assert_eq!(argv(&[word, "x"], "v"), [word, "x", "v"]);
    }
}

#[test]
fn several_words_stay_one_argument_each() {
    assert_eq!(argv(&["a b", "c;d", "$(x)", "", "{}{"], "*"), ["a b", "c;d", "$(x)", "", "*{"]);
    assert_eq!(argv(&["cd", "{%}"], "*"), ["cd", ""]);
}

#[test]
fn value_is_appended_where_nothing_is_replaced() {
    assert_eq!(argv(&["echo"], "a b"), ["echo", "a b"]);
    assert_eq!(argv(&["echo", "x"], "a b"), ["echo", "x", "a b"]);
    assert_eq!(argv(&["echo", "{#}"], "a b"), ["echo", "7"]);
    assert_eq!(script("echo 'x'"), "echo 'x' \"${MSUP_V}\"");
    assert_eq!(script("echo; echo {#}"), "echo; echo 7");
    assert_eq!(script("cd x\necho\n\n"), "cd x\necho \"${MSUP_V}\"");
    assert_eq!(script("echo \\\n"), "echo \\\n \"${MSUP_V}\"");
}

#[test]
fn errors() {
    assert_eq!(Template::from_words(vec![]).unwrap_err(), TemplateError::Empty);
    for blank in ["", " \t", "\n"] {
        let words = vec![blank.as_bytes().to_vec()];
        assert_eq!(Template::from_words(words).unwrap_err(), TemplateError::Empty);
    }
    for words in [vec![b"a\0".to_vec()], vec![b"a".to_vec(), b"\0".to_vec()]] {
        assert_eq!(Template::from_words(words).unwrap_err(), TemplateError::Nul);
    }
}

#[test]
fn fixed_programs() {
    for (words, program) in [
        (&["echo", "{}"][..], Some("echo")),
        (&["echo {}"], Some("echo")),
        (&["{}", "x"], None),
        (&["x{#}", "x"], None),
        (&["{%}"], None),
        (&["", "x"], Some("")),
        (&["{} | x"], Some("sh")),
    ] {
        assert_eq!(template(words).fixed_program(), program.map(str::as_bytes), "{words:?}");
    }
    assert_eq!(Template::each_input().fixed_program(), None);
}

#[test]
fn each_input_is_a_command_line() {
    let argv = |line: &str| strings(&Template::each_input().render(line.as_bytes(), 1));
    assert_eq!(argv(" echo  a"), ["echo", "a"]);
    assert_eq!(argv("echo a;b"), ["sh", "-c", "echo a;b"]);
    assert_eq!(argv("echo {}"), ["sh", "-c", "echo {}"]);
    assert_eq!(argv("echo {%} {#}"), ["sh", "-c", "echo {%} {#}"]);
    assert_eq!(argv("cd"), ["sh", "-c", "cd"]);
    assert_eq!(argv("-x"), ["-x"]);
    assert_eq!(argv("-x;"), ["sh", "-c", " -x;"]);
    assert_eq!(argv("+x;"), ["sh", "-c", " +x;"]);
    assert_eq!(argv(""), ["sh", "-c", ""]);
    assert_eq!(Template::each_input().display(b"echo {} ;", 1), b"echo {} ;");
}

#[test]
fn slot_marks() {
    let marks = |words: &[&str]| template(words).render(b"abc", 12).slot_marks;
    assert_eq!(marks(&["p", "{}"]), []);
    assert_eq!(
        marks(&["p{%}", "x{}{%}{%}{#}{%}", "{%}"]),
        [(0, 1), (1, 4), (1, 4), (1, 6), (2, 0)]
    );
    assert_eq!(marks(&["echo {%}; x '{%}'"]), [(2, 5), (2, 10)]);
    let rendered = template(&["-x;{%}"]).render(b"abc", 12);
    assert_eq!((strings(&rendered)[2].as_str(), rendered.slot_marks[0]), (" -x;", (2, 4)));
    let rendered = template(&["{%}-x;"]).render(b"abc", 12);
    assert_eq!((strings(&rendered)[2].as_str(), rendered.slot_marks[0]), ("-x;", (2, 0)));
    assert_eq!(template(&["p", "{%}{}", "-{%}"]).display(b"a b", 1), b"p '1a b' -1");
    assert_eq!(
        template(&["p {%}; '{}' \"{}\" {}"]).display(b"a'b", 1),
        b"p 1; 'a'\\''b' \"a'b\" 'a'\\''b'"
    );
}

#[test]
fn references_follow_the_quoting() {
    for (source, expected) in [
        ("a {};", "a \"${V}\";"),
        ("a \"{}\"", "a \"${V}\""),
        ("a '{}'", "a ''\"${V}\"''"),
        ("a \"'{}'\" {}", "a \"'${V}'\" \"${V}\""),
        ("a '\"{}' {}", "a '\"'\"${V}\"'' \"${V}\""),
        ("a \"$(b {} '{}')\" {}", "a \"$(b \"${V}\" ''\"${V}\"'')\" \"${V}\""),
        ("a \"$(b \"{}\")-{}\"", "a \"$(b \"${V}\")-${V}\""),
        ("a \"`b {}`-{}\"", "a \"$(b \"${V}\")-${V}\""),
        ("a \"`b \\\"{}\\\"`-{}\"", "a \"$(b \"${V}\")-${V}\""),
        ("a `b \\`c '{}'\\``{}", "a $(b $(c ''\"${V}\"''))\"${V}\""),
        ("a `(b) # '`; '{}'", "a $( (b) # '\n); ''\"${V}\"''"),
        ("a # it's {}\nb {}", "a # it's \"${V}\"\nb \"${V}\""),
        ("a b#it's {} '", "a b#it's '\"${V}\"' '"),
        ("a \\#it\\'s {}", "a \\#it\\'s \"${V}\""),
        ("a \\ #it's {}'", "a \\ #it's '\"${V}\"''"),
        ("(a \"(\" {}) {} # '", "(a \"(\" \"${V}\") \"${V}\" # '"),
        ("a \\{}", "a \"${V}\""),
        ("a \"\\{}\"", "a \"\\\\${V}\""),
        ("a '\\{}'", "a '\\'\"${V}\"''"),
        ("a \"${}\" ${}", "a \"\\$${V}\" \\$\"${V}\""),
        ("a $${}", "a $$\"${V}\""),
        ("a \\\\{}", "a \\\\\"${V}\""),
        ("a \"\\\"{}\"", "a \"\\\"${V}\""),
        ("case {} in (x) a;; esac", "case \"${V}\" in (x) a;; esac"),
    ] {
        assert_eq!(script(source).replace("MSUP_V", "V"), expected, "{source}");
    }
}

/// A directory in which no file may appear.
struct Empty(PathBuf);

impl Empty {
    fn new() -> Empty {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("template-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a fresh directory");
        Empty(path)
    }

    fn check(&self, what: &dyn std::fmt::Debug) {
        let count = std::fs::read_dir(&self.0).expect("still there").count();
        assert_eq!(count, 0, "a value was executed: {what:?}");
    }
}

impl Drop for Empty {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(argv: &[Vec<u8>], env: &[(Vec<u8>, Vec<u8>)], dir: &Path) -> Vec<u8> {
    let os = |bytes: &Vec<u8>| OsStr::from_bytes(bytes).to_owned();
    let output = Command::new(os(&argv[0]))
        .args(argv[1..].iter().map(os))
        .envs(env.iter().map(|(name, value)| (os(name), os(value))))
        .current_dir(dir)
        .output()
        .expect("the program starts");
    output.stdout
}

const HOSTILE: [&[u8]; 22] = [
    b"plain",
    b"",
    b"$(touch FILE)",
    b"`touch FILE`",
    b"'; touch FILE; '",
    b"\"; touch FILE; \"",
    b"'\"'; touch FILE; '\"'",
    b"\n touch FILE\n x",
    b") ; touch FILE; (",
    b"}; touch FILE; {",
    b"\\",
    b"a\\\\b\\n",
    b"\\'\\\"",
    b"-n",
    b"--help",
    b"\xff\xfe\x80\x81\x82\x83\x84\x85\x86\x87\x88",
    b"  two  spaces\t",
    b"*",
    b"${MSUP_V}$HOME {} {#} %s",
    b"# ! ~ & |",
    b"~/x!y!!",
    b"a\n\n",
];

/// What to print `[` value `]` with in every context, and how often it is printed.
const CONTEXTS: [(&str, usize); 16] = [
    ("printf %s%s%s [ {} ]", 1),
    ("printf %s [ {} ]; :", 1),
    ("printf '%s' [{}]; true", 1),
    ("printf %s \"[{}]\"", 1),
    ("printf %s '[{}]'", 1),
    ("printf %s \"$(printf %s [ {} ])\"", 1),
    ("printf %s \"$(printf %s \"[{}]\")\"", 1),
    ("printf %s \"$(printf %s '[{}]')[{}]\"", 2),
    ("printf %s \"`printf %s [ {} ]`\"'[{}]'", 2),
    ("printf %s \"`printf %s \"[{}]\"`[{}]\"", 2),
    ("printf %s \"`printf %s \\\"[{}]\\\"`[{}]\"", 2),
    ("printf %s \"`printf %s '[{}]' # it's`\"[{}]", 2),
    ("# it's {}\n(printf %s [{}]) # \"{}\" `", 1),
    ("x={}; y='{}'; printf %s \"[$x][$y]\"", 2),
    ("f() { printf %s \"$1\"; }; f [{}]", 1),
    ("case {} in '{}') printf %s [\"{}\"];; esac", 1),
];

fn expected(value: &[u8], times: usize) -> Vec<u8> {
    [b"[", value, b"]"].concat().repeat(times)
}

#[test]
fn hostile_values_arrive_exactly() {
    let empty = Empty::new();
    for (source, times) in CONTEXTS {
        let template = template(&[source]);
        for value in HOSTILE {
            let rendered = template.render(value, 1);
            let printed = run(&rendered.argv, &rendered.env, &empty.0);
            assert_eq!(printed, expected(value, times), "{source:?} {:?}", value.escape_ascii());
            empty.check(&source);
        }
    }
}

#[test]
fn displayed_command_does_the_same() {
    let empty = Empty::new();
    let direct = (template(&["printf", "%s", "[{}]"]), 1);
    let scripts = CONTEXTS.iter().map(|&(source, times)| (template(&[source]), times));
    for (template, times) in scripts.chain([direct]) {
        for value in HOSTILE {
            let pasted = template.display(value, 1);
            let shown = String::from_utf8_lossy(&pasted).into_owned();
            let printed = run(&shell::script_argv(pasted), &[], &empty.0);
            assert_eq!(printed, expected(value, times), "{shown}");
            empty.check(&shown);
        }
    }
}

#[test]
fn misjudged_places_execute_nothing() {
    let empty = Empty::new();
    for source in [
        "cat <<EOF\nit's {}\nEOF\nprintf %s '{}'",
        "cat <<'EOF'\n{} \"{}\" it's\nEOF\nprintf %s \"{}\"",
        "printf %s \"$(case x in x) printf %s \"{}\";; esac)\" {}",
        "printf %s \"${x:-{}}\" ${x:-'{}'} \"${x:-'{}'}\" \"${x:-\"{}\"}\"",
        "printf %s ${x:-a #' {} '} {} \"{}\"",
        "printf %s \"{}' {}",
        "printf %s `{}",
        "printf %s $'a\\'{}' {}",
    ] {
        let template = template(&[source]);
        for value in HOSTILE {
            let rendered = template.render(value, 1);
            run(&rendered.argv, &rendered.env, &empty.0);
            run(&shell::script_argv(template.display(value, 1)), &[], &empty.0);
            empty.check(&(source, value.escape_ascii().to_string()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn any_bytes_arrive_exactly(value in prop::collection::vec(1..=255_u8, 0..40)) {
        let empty = Empty::new();
        for (source, times) in CONTEXTS {
            let template = template(&[source]);
            let rendered = template.render(&value, 1);
            let expected = expected(&value, times);
            prop_assert_eq!(&run(&rendered.argv, &rendered.env, &empty.0), &expected, "{}", source);
            let pasted = shell::script_argv(template.display(&value, 1));
            prop_assert_eq!(&run(&pasted, &[], &empty.0), &expected, "display of {}", source);
        }
    }

    #[test]
    fn any_source_parses(source in "[a{}./#%'\"`$()\\\\ \n;-]{1,30}", value in ".{0,8}") {
        if let Ok(template) = Template::from_words(vec![source.into_bytes()]) {
            let rendered = template.render(value.as_bytes(), 3);
            for (word, offset) in rendered.slot_marks {
                prop_assert!(offset as usize <= rendered.argv[word as usize].len());
            }
            template.display(value.as_bytes(), 3);
        }
    }
}
