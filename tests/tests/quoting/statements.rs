//! Statements of scripts in which a value may stand, and what `./dump` shows then.

/// Which shells know a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    All,
    /// Those with `[[` and arrays.
    Rich,
    BashAndZsh,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Statement {
    pub(crate) text: &'static str,
    /// A line for each call, in the notation of `filled`.
    pub(crate) shows: &'static [&'static str],
    known_to: Known,
    /// The guide leaves open whether msup can replace `{}` here. If it does, the value arrives.
    pub(crate) may_be_refused: bool,
}

impl Statement {
    pub(crate) fn is_known_to(&self, shell: &str) -> bool {
        match self.known_to {
            Known::All => true,
            Known::Rich => ["bash", "zsh", "ksh", "mksh"].contains(&shell),
            Known::BashAndZsh => ["bash", "zsh"].contains(&shell),
        }
    }
}

const fn plain(text: &'static str, shows: &'static [&'static str]) -> Statement {
    Statement { text, shows, known_to: Known::All, may_be_refused: false }
}

const fn rich(text: &'static str, shows: &'static [&'static str]) -> Statement {
    Statement { known_to: Known::Rich, ..plain(text, shows) }
}

const fn open(text: &'static str, shows: &'static [&'static str]) -> Statement {
    Statement { may_be_refused: true, ..plain(text, shows) }
}

const fn in_two(text: &'static str, shows: &'static [&'static str]) -> Statement {
    Statement { known_to: Known::BashAndZsh, ..open(text, shows) }
}

pub(crate) const STATEMENTS: &[Statement] = &[
    // Words, with and without quotes.
    plain("./dump {}", &["@"]),
    plain("./dump {} {}", &["@|@"]),
    plain("./dump a{}b{}c", &["a@b@c"]),
    plain("./dump \"{}\" '{}'", &["@|@"]),
    plain("./dump \"a {} b\" 'c {} d'", &["a @ b|c @ d"]),
    plain("./dump \"'{}'\" '\"{}\"'", &["'@'|\"@\""]),
    plain("./dump \\\\{} \\'{}\\' \\\"{}\\\" \\$x{}", &["\\@|'@'|\"@\"|$x@"]),
    plain("./dump \"\\\"{}\\\"\" \"\\\\{}\" \"\\$x{}\"", &["\"@\"|\\@|$x@"]),
    plain("./dump -- {} -x", &["--|@|-x"]),
    plain("./dump {} 2>&1 >&1", &["@"]),
    plain("./dump x # {}\n", &["x"]),
    plain("./dump x # it's \"{}\n", &["x"]),
    plain("./dump {} \\\n  {}", &["@|@"]),
    // Variables, parameters, loops, functions.
    plain("x={}; ./dump \"$x\"", &["@"]),
    plain("x=\"{}\"; ./dump \"$x\"", &["@"]),
    plain("x='{}'; ./dump \"$x\"", &["@"]),
    plain("x=a{}b; ./dump \"$x\"", &["a@b"]),
    plain("x={} y=b; ./dump \"$x$y\"", &["@b"]),
    plain("export y={}; ./dump \"$y\"", &["@"]),
    plain("z={} env ./dump {}", &["@"]),
    plain("z={} sh -c './dump \"$z\"'", &["@"]),
    plain("sh -c './dump \"$1\"' _ {}", &["@"]),
    plain("sh -c './dump \"$@\"' _ \"{}\" '{}'", &["@|@"]),
    plain("set -- {} b; ./dump \"$@\"", &["@|b"]),
    plain("for i in {} b; do ./dump \"$i\"; done", &["@", "b"]),
    plain("f() { ./dump \"$@\"; }; f {} c", &["@|c"]),
    plain("f() { ./dump {} \"$1\"; }; f c", &["@|c"]),
    // Compared and matched as text.
    plain("case {} in {}) ./dump yes;; *) ./dump no;; esac", &["yes"]),
    plain("case x{} in x\"{}\") ./dump yes;; *) ./dump no;; esac", &["yes"]),
    plain("case \"{}\" in '') ./dump x;; *) ./dump x;; esac; ./dump {}", &["x", "@"]),
    plain("[ x{} = x{} ] && ./dump yes", &["yes"]),
    plain("test -n x{} && ./dump yes", &["yes"]),
    plain("if [ \"x{}\" = 'x{}' ]; then ./dump yes; fi", &["yes"]),
    rich("[[ {} == {} ]] && ./dump yes", &["yes"]),
    rich("[[ x{}y == *{}* ]] && ./dump yes", &["yes"]),
    rich("[[ -n x{} ]] && ./dump yes", &["yes"]),
    rich("[[ \"{}\" = '{}' ]] && ./dump yes", &["yes"]),
    rich("[[ a != a{}b ]] && ./dump yes", &["yes"]),
    // Substitutions.
    plain("./dump \"$(printf %s {}; echo .)\"", &["@."]),
    plain("./dump \"$(printf %s \"{}\"; echo .)\"", &["@."]),
    plain("./dump \"$(printf %s '{}'; echo .)\" {}", &["@.|@"]),
    plain("./dump \"a $(printf %s \"$(printf %s {}; echo .)\"; echo .) b\"", &["a @.. b"]),
    plain("x=$(printf %s '{}'; echo .); ./dump \"$x\"", &["@."]),
    open("./dump \"`printf %s {}; echo .`\"", &["@."]),
    open("x=`printf %s '{}'; echo .`; ./dump \"$x\"", &["@."]),
    open("unset u; ./dump \"${u:-{}}\"", &["@"]),
    open("unset u; ./dump \"${u-a {} b}\"", &["a @ b"]),
    open("u=1; ./dump \"${u:+{}}\"", &["@"]),
    open("unset u; : \"${u:={}}\"; ./dump \"$u\"", &["@"]),
    open("u={}b; ./dump \"${u#{}}\"", &["b"]),
    open("u=a{}; ./dump \"${u%{}}\"", &["a"]),
    open("u=a{}; ./dump \"${u%\"{}\"}\"", &["a"]),
    // Standard input.
    plain("printf %s {} | SHOWS_INPUT=1 ./dump", &["@"]),
    plain("printf '%s.' \"{}\" | SHOWS_INPUT=1 ./dump {}", &["@|@."]),
    plain("printf '%s\\0' {} | xargs -0 ./dump", &["@"]),
    plain("SHOWS_INPUT=1 ./dump <<E\n{}\nE\n", &["@\n"]),
    plain("SHOWS_INPUT=1 ./dump {} <<E\na {} b\nE\n", &["@|a @ b\n"]),
    plain("SHOWS_INPUT=1 ./dump <<E\n\"{}\" '{}' \\\\{}\nE\n", &["\"@\" '@' \\@\n"]),
    plain("SHOWS_INPUT=1 ./dump <<-E\n\t{} b\n\tE\n", &["@ b\n"]),
    rich("SHOWS_INPUT=1 ./dump <<< {}", &["@\n"]),
    rich("SHOWS_INPUT=1 ./dump <<<\"a {} b\"", &["a @ b\n"]),
    in_two("SHOWS_INPUT=1 ./dump < <(printf %s {})", &["@"]),
    // Arrays and declarations.
    rich("a=({} b); ./dump \"${a[@]}\"", &["@|b"]),
    rich("a=(x \"{}\" 'y {}'); ./dump \"${a[@]}\"", &["x|@|y @"]),
    rich("typeset t={}; ./dump \"$t\"", &["@"]),
    in_two("l() { local v={}; ./dump \"$v\"; }; l", &["@"]),
    in_two("a=(x); a+=({}); ./dump \"${a[@]}\"", &["x|@"]),
    // Programs before the command, groups and lists.
    plain("(./dump {})", &["@"]),
    plain("{ ./dump {}; }", &["@"]),
    plain("cd . && command ./dump {}", &["@"]),
    plain("(exec ./dump {})", &["@"]),
    plain("env -- ./dump {}", &["@"]),
    plain("nice ./dump {}", &["@"]),
    plain("timeout 100 ./dump {}", &["@"]),
    plain("false || ./dump {}", &["@"]),
    plain("if ! false; then ./dump {}; else ./dump; fi", &["@"]),
    plain("./dump {} | cat", &["@"]),
    plain("./dump {} & wait", &["@"]),
];

/// What may stand around a statement: `@@` stands for it.
pub(crate) const AROUND: &[&str] = &[
    "@@",
    "( @@\n)",
    "{ @@\n}",
    "if true\nthen @@\nfi",
    "while :\ndo @@\nbreak\ndone",
    "for k in 1; do @@\ndone",
    "case x in x) @@\n;; esac",
    "g() {\n@@\n}\ng",
    "{ @@\n} | cat",
    "{ @@\n} &\nwait",
    "printf '%s\\n' \"$( @@\n)\"",
    "x=$( @@\n)\nprintf '%s\\n' \"$x\"",
];
