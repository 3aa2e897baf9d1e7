//! Lists of commands: words and `case`.

use super::builtins::{Builtin, assigned, is_computed, is_declaring};
use super::level::{Case, Ending, Level, Target, Word};
use super::{Dialect, Doubt, Quoting, Scanner};
use crate::template::second_evaluation::is_expanded;
use crate::template::shell_words::{is_assignment, is_blank, is_name_byte};

/// Words behind which a command begins.
const BEFORE_COMMANDS: [&[u8]; 21] = [
    b"if",
    b"then",
    b"else",
    b"elif",
    b"fi",
    b"do",
    b"done",
    b"while",
    b"until",
    b"!",
    b"{",
    b"}",
    b"time",
    b"coproc",
    b"command",
    b"builtin",
    b"exec",
    b"nocorrect",
    b"noglob",
    b"always",
    b"nohup",
];

/// Builtins that run their arguments as code, or expand them.
const EVALUATING: [&[u8]; 6] = [b"eval", b"trap", b"alias", b"compgen", b"complete", b"emulate"];

/// Some of them are builtins, which may have options before the command.
const WITH_OPTIONS: [&[u8]; 7] =
    [b"command", b"builtin", b"exec", b"time", b"coproc", b"noglob", b"nocorrect"];

/// Comparisons that shells evaluate as expressions.
const COMPARING: [&[u8]; 6] = [b"-eq", b"-ne", b"-lt", b"-le", b"-gt", b"-ge"];

impl Scanner<'_> {
    /// Consumes commands, and what ends them.
    pub(super) fn commands(&mut self, ending: Ending) {
        let numeric = std::mem::replace(&mut self.numeric, false);
        let mut level = Level::new(ending);
        self.list(&mut level);
        self.numeric = numeric;
    }

    fn list(&mut self, level: &mut Level) {
        while let Some(byte) = self.peek(0) {
            match byte {
                b' ' | b'\t' => {
                    self.end_word(level);
                    self.copy(1);
                }
                b'\n' => {
                    self.end_word(level);
                    self.end_command(level);
                    self.copy(1);
                    self.here_documents(&mut level.heres);
                    level.next_command();
                }
                b'#' if level.word.is_none() => self.comment(),
                b'\\' if self.peek(1) == Some(b'\n') => self.continued_line(),
                b';' | b'&' | b'|' => self.operator(level, byte),
                b'<' | b'>' if !level.condition => self.redirection(level),
                b'(' => self.open(level),
                b')' => {
                    if self.close(level) {
                        return;
                    }
                }
                _ => self.part_of_word(level),
            }
        }
        self.end_word(level);
        self.end_command(level);
        if level.ending == Ending::Parenthesis || !level.cases.is_empty() || !level.heres.is_empty()
        {
            self.open_end();
        }
    }

    /// Consumes a comment; replacement strings in it mean nothing.
    pub(super) fn comment(&mut self) {
        let len = self.rest(0).iter().take_while(|byte| **byte != b'\n').count();
        self.copy(len);
    }

    fn part_of_word(&mut self, level: &mut Level) {
        self.begin_word(level);
        let (from, values) = (self.at, self.values);
        self.element();
        if level.word.is_some_and(|word| self.source[word.start..self.at].ends_with(b"[")) {
            self.subscript_of_assignment(level);
        }
        // Some shells look for the bodies right behind this line break.
        if !level.heres.is_empty() && self.source[from..self.at].contains(&b'\n') {
            if self.values > values {
                self.refuse(self.last_value, Doubt::HereStart);
            }
            self.be_in_doubt(Doubt::HereStart);
        }
    }

    /// Consumes a quote, an expansion, a replacement string or a character.
    pub(super) fn element(&mut self) {
        if self.replacement(Quoting::Unquoted) {
            return;
        }
        match self.source[self.at] {
            b'\'' => self.single(),
            b'"' => self.double(),
            b'\\' => self.backslash(Quoting::Unquoted),
            b'$' => self.dollar(Quoting::Unquoted),
            b'`' => self.backtick(Quoting::Unquoted),
            _ => self.copy(1),
        }
    }

    /// Consumes `[..]` of `name[..]=`: an expression, unless the array is of another kind.
    fn subscript_of_assignment(&mut self, level: &Level) {
        let word = level.word.map_or(&[][..], |word| &self.source[word.start..self.at - 1]);
        if !level.begins || word.is_empty() || !word.iter().all(|byte| is_name_byte(*byte)) {
            return;
        }
        self.numeric = true;
        while self.peek(0).is_some_and(|byte| byte != b']' && byte != b'\n' && !is_blank(byte)) {
            self.element();
        }
        self.numeric = level.numeric;
    }

    pub(super) fn begin_word(&mut self, level: &mut Level) {
        if level.word.is_none() {
            level.word = Some(Word { start: self.at, values: self.values });
            let compares = (level.condition || level.compares)
                && (COMPARING.contains(&level.previous.as_slice())
                    || COMPARING.contains(&self.word_after()));
            let assigns = level.begins || level.declares;
            self.numeric = level.numeric || compares || (assigns && self.assigns_computed());
        }
    }

    /// The word behind the one that begins here, as far as blanks tell.
    fn word_after(&self) -> &[u8] {
        let mut words = self.rest(0).split(|byte| is_blank(*byte) || *byte == b'\n');
        words.next();
        words.find(|word| !word.is_empty()).unwrap_or_default()
    }

    pub(super) fn end_word(&mut self, level: &mut Level) {
        let Some(Word { start, values }) = level.word.take() else { return };
        self.numeric = false;
        let typed = &self.source[start..self.at];
        let has_value = self.values > values;
        if let Some(target) = level.redirects.take() {
            self.end_target(level, target, has_value);
            return;
        }
        let word = unquoted(typed);
        if level.begins {
            level.evaluation.begins();
        }
        if let Some(program) = level.evaluation.word(&word, has_value).filter(|_| !self.anywhere) {
            let program = program.to_vec();
            self.refuse_evaluated(self.last_value, &program);
        }
        let masked = unquoted(&self.strings.masked(typed));
        let is_print = self.dialect == Dialect::Zsh && level.command.first == b"print";
        if is_print && !level.begins && word.starts_with(b"-") && word.contains(&b'P') {
            // Substitutions in what it prints are run (promptsubst).
            level.evaluation.evaluates_all(b"print -P");
        }
        self.follow_builtin(level, &masked, has_value);
        if let Some(case) = level.cases.last_mut().filter(|case| **case != Case::List) {
            let next = match (*case, typed) {
                (Case::Subject, _) => Case::In,
                (Case::In, b"in") => Case::Pattern { begun: false },
                (Case::Pattern { begun: false }, b"esac") => {
                    level.cases.pop();
                    level.begins = false;
                    return;
                }
                (Case::Pattern { .. }, _) => Case::Pattern { begun: true },
                _ => {
                    if has_value {
                        self.refuse(self.last_value, Doubt::Case);
                    }
                    self.be_in_doubt(Doubt::Case);
                    Case::In
                }
            };
            *case = next;
        } else if level.condition {
            level.condition = typed != b"]]";
            // In zsh, a command may follow.
            level.begins = !level.condition;
        } else if level.begins {
            self.first_word(level, typed, &word);
        } else if level.previous == b"function" {
            level.begins = true;
        } else if level.command.first == b"repeat" && level.command.behind == 1 {
            // `repeat 3 COMMAND`
            (level.begins, level.numeric) = (true, false);
            level.builtin = Builtin::default();
        } else if is_loop(&level.command.first)
            && level.command.behind == 2
            && matches!(typed, b"do" | b"{")
        {
            // `for x do`
            level.begins = true;
        } else if level.declares && typed.starts_with(b"-") {
            let is_rich = matches!(self.dialect, Dialect::Zsh | Dialect::Ksh);
            let is_number = |letter: &u8| *letter == b'i' || (is_rich && b"FE".contains(letter));
            level.numeric |= typed.iter().any(is_number);
        }
        level.command.behind += 1;
        level.previous = typed.to_vec();
    }

    /// The target of a redirection.
    fn end_target(&mut self, level: &mut Level, target: Target, has_value: bool) {
        match target {
            _ if !has_value => {}
            Target::Duplicate if !self.anywhere => self.refuse(self.last_value, Doubt::Duplicate),
            Target::Input => level.command.input = Some(self.last_value),
            Target::Duplicate | Target::File => {}
        }
    }

    /// A word where a command may begin.
    fn first_word(&mut self, level: &mut Level, typed: &[u8], word: &[u8]) {
        let is_option =
            word.first() == Some(&b'-') && WITH_OPTIONS.contains(&&level.command.first[..]);
        if is_option {
            // `exec -a NAME`
            level.previous_is_option = level.command.first == b"exec" && word.ends_with(b"a");
            return;
        }
        let is_argument = std::mem::take(&mut level.previous_is_option);
        level.begins = BEFORE_COMMANDS.contains(&word)
            || is_assignment(typed)
            || is_argument
            || level.previous == b"coproc"
            || (self.dialect == Dialect::Zsh && word == b"-");
        if !is_assignment(typed) {
            (level.command.first, level.command.behind) = (word.to_vec(), 0);
        }
        let builtin = Builtin::named(word, self.dialect);
        if builtin.is_known() {
            level.numeric = builtin.computes;
            level.builtin = builtin;
        }
        match typed {
            b"case" => level.cases.push(Case::Subject),
            b"esac" if level.cases.last() == Some(&Case::List) => {
                level.cases.pop();
            }
            b"[[" => level.condition = true,
            _ if EVALUATING.contains(&word) => level.evaluation.evaluates_all(word),
            b"." | b"source" => level.evaluation.sources(word),
            _ if is_declaring(word) => {
                level.declares = true;
                level.numeric |= word == b"integer";
            }
            _ => {
                level.numeric |= word == b"let";
                let evaluates = matches!(self.dialect, Dialect::Zsh | Dialect::Ksh);
                level.compares = evaluates && matches!(word, b"[" | b"test");
            }
        }
    }

    /// A word of a command: whether a value in it would be taken for a name, or computed.
    fn follow_builtin(&mut self, level: &mut Level, masked: &[u8], has_value: bool) {
        let mut doubt = level.builtin.word(masked, has_value, self.dialect);
        level.numeric |= level.builtin.computes;
        let assigns = level.begins || level.declares;
        let name = assigned(masked).filter(|_| assigns);
        if let Some(name) = name.filter(|_| has_value) {
            if is_expanded(name) {
                doubt = Some(Doubt::Expanded);
            }
            // bash reads `declare x={}` as elements if x is an array.
            let array = [name, b"=("].concat();
            let is_array = self.source.windows(array.len()).any(|part| part == array);
            if level.declares
                && is_array
                && matches!(&level.command.first[..], b"declare" | b"typeset")
            {
                doubt = Some(Doubt::Elements);
            }
        }
        if level.declares && level.numeric && !masked.starts_with(b"-") {
            self.integers.push(name.unwrap_or(masked).to_vec());
        }
        if let Some(doubt) = doubt.filter(|_| !self.anywhere) {
            self.refuse(self.last_value, doubt);
        }
    }

    /// Whether an assignment begins here to a variable whose value is computed.
    fn assigns_computed(&self) -> bool {
        let name = self.rest(0).iter().take_while(|byte| is_name_byte(**byte)).count();
        let (name, rest) = self.rest(0).split_at(name);
        let assigns = rest.starts_with(b"=") || rest.starts_with(b"+=");
        assigns && (is_computed(name) || self.integers.iter().any(|known| known == name))
    }

    pub(super) fn refuse_evaluated(&mut self, place: usize, program: &[u8]) {
        self.refuse(place, Doubt::Evaluated);
        self.refused = self.refused.take().map(|refused| refused.by(program));
    }

    /// Whether a replacement string stands here.
    pub(super) fn is_replacement(&self) -> bool {
        self.replacement_at(0).is_some()
    }
}

/// Whether this word begins a loop over words.
pub(super) fn is_loop(word: &[u8]) -> bool {
    matches!(word, b"for" | b"foreach" | b"select")
}

/// A word without its quotes.
fn unquoted(word: &[u8]) -> Vec<u8> {
    word.iter().copied().filter(|byte| !b"'\"\\".contains(byte)).collect()
}
