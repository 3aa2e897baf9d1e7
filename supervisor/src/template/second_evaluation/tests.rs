//! Which words a shell would parse a second time.

use super::*;

fn evaluates(line: &str) -> bool {
    let mut evaluation = Evaluation::default();
    line.split('|').any(|word| evaluation.word(word.as_bytes(), word.contains("{}")).is_some())
}

#[test]
fn scripts_of_shells_are_found_wherever_the_shell_stands() {
    for line in [
        "sh|-c|echo {}",
        "bash|-c|{}",
        "/bin/bash|-lc|echo {}",
        "bash|-c|-e|echo {}",
        "bash|-euo|pipefail|-c|echo {}",
        "bash|--norc|-c|echo {}",
        "bash|-O|extglob|-c|echo {}",
        "env|A=b|sudo|-u|x|zsh|-c|echo {}",
        "busybox|sh|-c|echo {}",
        "su|-|user|-c|echo {}",
        "su|--command=echo {}",
        "su|-s|/bin/sh|user|-c|echo {}",
        "ksh|-xc|a{}b",
        "find|.|-exec|sh|-c|cat {}|;",
        "$SHELL|-c|echo {}",
        "env|-S|sh -c \"echo {}\"",
        "env|-i|-vS|echo {}",
        "env|-Secho {}",
        "env|--split-string=echo {}",
        "env|-S|sh -c|echo {}",
        "env|-S|'sh' -c|echo {}",
        "env|A=b|sh|-c|{}",
    ] {
        assert!(evaluates(line), "{line}");
    }
    for line in [
        "sh|-c|echo $1|_|{}",
        "bash|job|-c|{}",
        "bash|{}|-c",
        "sh|{}",
        "bash|-x|{}",
        "grep|-c|{}",
        "sort|-c|{}",
        "su|user|-c|echo|{}",
        "echo|{}",
        "bash|-o|{}",
        "tar|-cf|{}.tar|{}",
        "env|A={}|echo|{}",
        "env|-S|printf %s|{}",
        "env|-u|A|sort|-S|{}",
    ] {
        assert!(!evaluates(line), "{line}");
    }
}
