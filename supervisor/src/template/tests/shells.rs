//! Values given to real shells: each arrives as it is, and none is executed.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::*;

/// A directory of its own for commands to run in, in which any new file is noticed.
pub(super) struct Scene {
    dir: PathBuf,
}

impl Scene {
    pub(super) fn new() -> Scene {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("template-{}-{count}", std::process::id()));
        fs::create_dir(&dir).expect("a new directory");
        fs::write(dir.join("witness"), "").expect("a file for globs to match");
        Scene { dir }
    }

    /// Runs a command, checks that it created no file.
    pub(super) fn run(&self, shell: &str, rendered: &Rendered) -> Output {
        let arg = |at: usize| OsStr::from_bytes(&rendered.argv[at]);
        let mut command = Command::new(arg(0));
        command.args((1..rendered.argv.len()).map(arg));
        for (name, value) in &rendered.env {
            command.env(OsStr::from_bytes(name), OsStr::from_bytes(value));
        }
        let output = command.current_dir(&self.dir).stdin(Stdio::null()).output();
        let output = output.expect("the command starts");
        let files: Vec<_> =
            fs::read_dir(&self.dir).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(files, ["witness"], "{shell} ran a value: {rendered:?}");
        output
    }

    /// Checks what a command prints for a value: when rendered, and when its display is pasted.
    fn check(&self, shell: &str, words: &[&str], value: &[u8], expected: &[u8]) {
        let template = match parsed(words, &reading(shell)) {
            Ok(template) => template,
            // What only these read differently is refused.
            Err(TemplateError::Refused(_))
                if ["bash", "zsh", "ksh", "ksh93", "mksh"].contains(&shell) =>
            {
                return assert!(words[0].contains("${"), "{shell}: {words:?}");
            }
            Err(why) => panic!("{shell}, {words:?}: {why}"),
        };
        let mut rendered = template.render(value, at(7));
        rendered.argv = rendered.clone().argv_in_slot_1();
        let pasted = pasted(shell, &template, value);
        for (way, run) in [("rendered", rendered), ("displayed", pasted)] {
            let output = self.run(shell, &run);
            assert_eq!(
                show(&output.stdout),
                show(expected),
                "{way}, {shell}, {words:?}, value {}, script {}, stderr {}",
                show(value),
                show(run.argv.last().expect("an argument")),
                show(&output.stderr),
            );
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.dir).expect("the directory can be removed");
    }
}

/// The display of a task's command as a script of its own.
pub(super) fn pasted(shell: &str, template: &Template, value: &[u8]) -> Rendered {
    let shown = template.display(value, at(7));
    Rendered::without_replacements(script::literal_argv(&reading(shell).shell, &shown))
}

/// `sh`, and those of the other shells that are there.
pub(super) fn shells() -> &'static [&'static str] {
    static SHELLS: OnceLock<Vec<&str>> = OnceLock::new();
    SHELLS.get_or_init(|| {
        let present = |name: &&str| {
            let shell = reading(name).shell;
            let argv = script::literal_argv(&shell, b":");
            let mut command = Command::new(OsStr::from_bytes(&argv[0]));
            command.args(argv[1..].iter().map(|arg| OsStr::from_bytes(arg)));
            command.status().is_ok()
        };
        let all = ["sh", "bash", "dash", "zsh", "ksh", "ksh93", "mksh", "busybox"];
        all.into_iter().filter(present).collect()
    })
}

/// Lines with the value where `@` is in what they print.
const CONTEXTS: [(&str, &str); 63] = [
    ("printf '<%s>' {}", "<@>"),
    ("printf '<%s>'", "<@>"),
    ("printf '<%s>' x{}y", "<x@y>"),
    (r#"printf '<%s>' "{}""#, "<@>"),
    (r#"printf '<%s>' "x{}y""#, "<x@y>"),
    (r#"printf '<%s>' "it's {}" {}"#, "<it's @><@>"),
    ("printf '<%s>' '{}'", "<@>"),
    ("printf '<%s>' 'x{}\"y'", "<x@\"y>"),
    (r#"printf '<%s>' '{}'"{}"{}"#, "<@@@>"),
    (r#"printf '<%s>' "$(printf '<%s>' {})""#, "<<@>>"),
    (r#"printf '<%s>' "$(printf '<%s>' "{}")" '{}'"#, "<<@>><@>"),
    (r#"printf '<%s>' "$(printf '<%s>' 'x{}')" {}"#, "<<x@>><@>"),
    (r#"printf '<%s>' "a$( (printf '<%s>' "$(printf '<%s>' {})") )b""#, "<a<<@>>b>"),
    (r#"printf '<%s>' "`printf '<%s>' {}`""#, "<<@>>"),
    (r#"printf '<%s>' "`printf '<%s>' '{}'`" "{}""#, "<<@>><@>"),
    (r#"printf '<%s>' "`printf \"<%s>\" \"{}\"`""#, "<<@>>"),
    (r#"printf '<%s>' "`printf '<%s>' "{}"`""#, "<<@>>"),
    (r#"printf '<%s>' "`printf '<%s>' \`printf x\` "\`printf '<%s>' {}\`"`""#, "<<x><<@>>>"),
    (r#"printf '<%s>' "`printf '<%s>' {} # it's`" '{}'"#, "<<@>><@>"),
    (r#"printf '<%s>' "`(printf '<%s>' {})`""#, "<<@>>"),
    (r#"printf '<%s>' "`printf '<%s>' \\\\{}`""#, r"<<\@>>"),
    ("(printf '<%s>' {}; (printf '<%s>' '{}'))", "<@><@>"),
    ("((printf '<%s>' {}) | cat)", "<@>"),
    ("printf \\\n'<%s>' \\\n{}", "<@>"),
    ("printf '<%s>' a\\\n{}", "<a@>"),
    ("printf '<%s>' \"a\\\n{}\"", "<a@>"),
    (r"printf '<%s>' \{} \\{} \'{}", r"<@><\@><'@>"),
    (r#"printf '<%s>' "\{}" "\\{}" "\"{}""#, r#"<\@><\@><"@>"#),
    (r"printf '<%s>' '\{}' '\\{}'", r"<\@><\\@>"),
    (r#"printf '<%s>' ${} "${}" '${}' "\${}""#, "<$@><$@><$@><$@>"),
    (r#"x=a; printf '<%s>' $x{} "$x{}" "${x}{}" $x{#} "$x{%}""#, "<a@><a@><a@><a7><a1>"),
    ("printf '<%s>' ${x:-{}} ${x:-'{}'} ${x-\"{}\"}", "<@><@><@>"),
    (r#"printf '<%s>' "${x:-{}}" "${x:-it's {}}" {}"#, "<@><it's @><@>"),
    ("# it's {}\nprintf '<%s>' {} # isn't \"{}\n", "<@>"),
    ("printf '<%s>' a#'{}'#\"{}\" $#{}", "<a#@#@><0@>"),
    ("x={}; printf '<%s>' \"$x\"", "<@>"),
    ("x={} y='{}' sh -c 'printf \"<%s>\" \"$x\" \"$y\"'", "<@><@>"),
    ("for x in {} '{}'; do printf '<%s>' \"$x\"; done", "<@><@>"),
    ("case {} in x{}) ;; \"{}\") printf '<%s>' '{}';; esac", "<@>"),
    ("case x{} in *{}) printf '<%s>' {};; esac", "<@>"),
    ("f() { printf '<%s>' \"$1\"; }; f {}; f '{}'", "<@><@>"),
    ("printf '<%s>' {} | cat; { printf '<%s>' {}; }", "<@><@>"),
    ("test x{} = x\"{}\" && printf '<%s>' {}", "<@>"),
    ("printf '<%s>' {}\nprintf '<%s>' {}", "<@><@>"),
    ("printf '<%s>' $((1 + {#})) {#} '{%}' \"{#}{%}\" {}", "<8><7><1><71><@>"),
    ("x=a{}; printf '<%s>' \"${x#a}\" \"${x%{}}\" ${x%'{}'}", "<@><a><a>"),
    (r#"printf '<%s>' "$(case x in x) printf '<%s>' {};; *) : {};; esac)" {}"#, "<<@>><@>"),
    (
        r#"x="$(case {} in *.nonsense) : {};; *) printf '<%s>' {};; esac)"; printf '<%s>' "$x""#,
        "<<@>>",
    ),
    (
        r#"printf '<%s>' "$(case a in (b|c) :;; (a) printf '<%s>' "{}" ;; esac; printf x)" '{}'"#,
        "<<@>x><@>",
    ),
    ("case x in x) case y in y) printf '<%s>' {};; esac;; esac; printf '<%s>' '{}'", "<@><@>"),
    ("case in in in) printf '<%s>' {} esac;; esac", "<@><esac>"),
    (
        "for case in a; do printf '<%s>' {}; done; echo esac {} >/dev/null; printf '<%s>' {}",
        "<@><@>",
    ),
    ("cat <<E\n<{}> it's <{}>\nE\nprintf '<%s>' {} '{}'", "<@> it's <@>\n<@><@>"),
    ("cat <<-E; printf '<%s>' {}\n\t<{}>\"{}\"\n\tE\nprintf '<%s>' \"{}\"", "<@>\"@\"\n<@><@>"),
    (
        "cat <<'E'; printf '<%s>' {}\nit's $x `\" )\nE\nprintf '<%s>' \"{}\"",
        "it's $x `\" )\n<@><@>",
    ),
    ("printf '<%s>' \"$(cat <<E\n({}) )'\nE\n)\" {}", "<(@) )'><@>"),
    (
        "cat <<E\n$(printf '<%s>' {} \"{}\" '{}') \\{} \\\\{} ${} $x{#}\nE\n",
        "<@><@><@> \\@ \\@ $@ 7\n",
    ),
    ("cat <<E # it's\n{}\nE\n: '{}'", "@\n"),
    ("cat <<E | cat\n<${x:-{}}>\nE\n", "<@>\n"),
    ("f () { printf '<%s>' {}; }; f; (f)", "<@><@>"),
    ("if [ {} = x{} ]; then :; elif ! test {} = \"{}\"; then :; else printf '<%s>' {}; fi", "<@>"),
    (
        "printf '<%s>' \"$((1 + $(printf 1) ))\" \"$( (printf '<%s>' {}) )\" $((2))'{}'",
        "<2><<@>><2@>",
    ),
    ("trap 'printf \"<%s>\" \"$x\"' EXIT; x={}", "<@>"),
];

pub(super) const HOSTILE: [&[u8]; 28] = [
    b"",
    b" ",
    b"plain",
    b"a b  c",
    b"$(touch pwned)",
    b"`touch pwned`",
    b"; touch pwned;",
    b"'; touch pwned; '",
    b"\"; touch pwned; \"",
    b"'\"; touch pwned; \"'",
    b"$(touch pwned)`touch pwned`'$(touch pwned)'\"$(touch pwned)\"",
    b"\n touch pwned\n#",
    b"\n\n",
    b"\\",
    b"\\\\'\\\"\\",
    b"\\\n",
    b"-n",
    b"--",
    b"-rf *",
    b"*",
    b"w?tness [a-z]* ~ {a,b}",
    b"\xff\xfe\x80\x81\x82\x83\x84\x85\x86\x87\x88\xc3",
    b"'",
    b"\"",
    b"${MSUP_V} $MSUP_V $0 $$",
    b"a}b ${x:-)",
    b"# x !! !x %s %d\t\r\x01\x7f",
    b"<<EOF >pwned",
];

#[test]
fn hostile_values_arrive_exactly_through_shells() {
    let scene = Scene::new();
    for (number, shell) in shells().iter().enumerate() {
        let step = if number == 0 { 1 } else { 5 };
        for (index, (line, prints)) in CONTEXTS.into_iter().enumerate() {
            // Every value meets the other shells in some contexts: all pairs would take long.
            for value in HOSTILE.into_iter().skip(index % step).step_by(step) {
                scene.check(shell, &[line], value, &filled(prints, value));
            }
        }
    }
}

/// What a context prints for a value.
fn filled(prints: &str, value: &[u8]) -> Vec<u8> {
    prints.as_bytes().split(|&byte| byte == b'@').collect::<Vec<_>>().join(value)
}

#[test]
fn hostile_values_arrive_exactly_without_a_shell() {
    let scene = Scene::new();
    for shell in shells() {
        for value in HOSTILE {
            let words = ["env", "printf", "<%s>", "{}", "x{}y", "{#}{%}"];
            scene.check(shell, &words, value, &filled("<@><x@y><71>", value));
        }
    }
}

#[test]
fn scripts_may_begin_like_options() {
    let scene = Scene::new();
    for shell in shells() {
        for line in ["-p 2>&-; printf '<%s>' {}", "+p 2>&-; printf '<%s>' {}"] {
            scene.check(shell, &[line], b"-v", b"<-v>");
        }
    }
}

#[test]
fn arithmetic_takes_numbers_only() {
    let scene = Scene::new();
    for shell in shells() {
        for (value, sum) in [("5", "6"), ("-3", "-2"), ("+1", "2"), ("0x10", "17")] {
            scene.check(shell, &["printf %s $(( {} + 1 ))"], value.as_bytes(), sum.as_bytes());
        }
        scene.check(shell, &[r#"printf %s "$(( ({/.}) * (2) ))" '{}'"#], b"a/21.x", b"42a/21.x");
        for value in ["a[$(touch pwned)]", "x", "", "1+1", "$(touch pwned)", "0x", "-"] {
            for line in ["printf %s $(( {} + 1 ))", r#"printf %s "$(({}))""#] {
                let rendered = parsed(&[line], &reading(shell)).expect("a template");
                let rendered = rendered.render(value.as_bytes(), at(1));
                let output = scene.run(shell, &rendered);
                assert!(!output.status.success(), "{value}");
                assert_eq!(show(&output.stdout), "");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_value_arrives_exactly(
        value in prop::collection::vec(1..=255_u8, 0..48),
        context in 0..CONTEXTS.len(),
        shell in 0..shells().len(),
    ) {
        let (line, prints) = CONTEXTS[context];
        Scene::new().check(shells()[shell], &[line], &value, &filled(prints, &value));
    }

    #[test]
    fn any_nesting_passes_values_exactly(
        value in prop::collection::vec(1..=255_u8, 0..16),
        place in 0..4_usize,
        wraps in prop::collection::vec(0..6_usize, 0..5),
    ) {
        let place = ["{}", "\"{}\"", "'{}'", "'a'\"{}\"b"][place];
        let mut line = format!("printf '<%s>' {place};");
        let mut prints = format!("<{}>", if place.len() > 4 { "a@b" } else { "@" });
        for wrap in wraps {
            (line, prints) = match wrap {
                0 => (format!("( {line} )"), prints),
                1 => (format!("{{ {line} }}"), prints),
                2 => (format!("# don't\n{line}"), prints),
                3 => (format!("if :; then {line} fi"), prints),
                4 => (format!("printf '<%s>' x\"$( {line})\";"), format!("<x{prints}>")),
                _ => (format!("printf '<%s>' \"it's $(:; {line})\";"), format!("<it's {prints}>")),
            };
            // Each form is a list of commands only with its own terminator.
            if wrap <= 1 || wrap == 3 {
                line.push(';');
            }
        }
        Scene::new().check("sh", &[&line], &value, &filled(&prints, &value));
    }
}
