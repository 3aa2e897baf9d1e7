//! The header is written by hand: each function and each member is as the library has it.

use std::collections::BTreeMap;
use std::fs;

use crate::workspace;

/// How C writes the types of the library.
const TYPES: [(&str, &str); 9] = [
    ("c_int", "int"),
    ("u32", "uint32_t"),
    ("u64", "uint64_t"),
    ("usize", "size_t"),
    ("*const u8", "const uint8_t *"),
    ("*const c_char", "const char *"),
    ("*const c_void", "const void *"),
    ("*mut CTask", "struct msup_task *"),
    ("", "void"),
];

fn in_c(rust: &str) -> &'static str {
    let known = TYPES.iter().find(|(name, _)| *name == rust);
    known.unwrap_or_else(|| panic!("{rust}: no type of the header")).1
}

/// What a function returns, and the types of its parameters, in C.
type Signatures = BTreeMap<String, (String, Vec<String>)>;

fn of_the_library(source: &str) -> Signatures {
    let functions = source.split("extern \"C\" fn ").skip(1).map(|rest| {
        let (name, rest) = rest.split_once('(').expect("parameters");
        let (parameters, rest) = rest.split_once(')').expect("their end");
        let returned = rest.split('{').next().expect("a body").trim().trim_start_matches("-> ");
        let types = parameters.split(',').filter_map(|one| Some(one.split_once(':')?.1.trim()));
        let types = types.map(|one| in_c(one).to_owned()).collect();
        (name.to_owned(), (in_c(returned).to_owned(), types))
    });
    functions.collect()
}

/// A declaration without its name, which stands last.
fn type_of(declaration: &str) -> String {
    let declaration = declaration.split_whitespace().collect::<Vec<_>>().join(" ");
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    declaration.trim_end_matches(name).trim_end().to_owned()
}

fn without_comments(header: &str) -> String {
    let parts = header.split("/*").map(|part| part.rsplit("*/").next().unwrap_or(part));
    parts.collect()
}

fn of_the_header(header: &str) -> Signatures {
    let functions = header.split(';').filter(|one| one.contains("msup_") && one.contains('('));
    let functions = functions.map(|declaration| {
        let (head, parameters) = declaration.split_once('(').expect("parameters");
        let parameters = parameters.trim_end().trim_end_matches(')');
        let name = head.rsplit([' ', '*']).next().expect("a name").to_owned();
        let types = parameters.split(',').filter(|one| one.trim() != "void").map(type_of);
        let head = head.lines().last().expect("a line");
        (name, (type_of(head), types.collect()))
    });
    functions.collect()
}

/// The members of a struct: name and type in C.
fn members<'a>(text: &'a str, opened: &str) -> Vec<&'a str> {
    let (_, rest) = text.split_once(opened).expect("the struct");
    let body = rest.split('}').next().expect("its end");
    body.split([',', ';']).map(str::trim).filter(|member| !member.is_empty()).collect()
}

#[test]
fn the_header_is_that_of_the_library() {
    let read = |path| fs::read_to_string(workspace().join(path)).expect("there");
    let library = read("worker/ffi/src/lib.rs");
    let header = without_comments(&read("worker/ffi/include/msup.h"));
    let functions = of_the_library(&library);
    assert!(functions.len() >= 13, "{functions:?}");
    assert_eq!(of_the_header(&header), functions);
    let here = members(&library, "pub struct CTask {").into_iter().map(|member| {
        let (name, rust) = member.split_once(": ").expect("a member");
        (in_c(rust).to_owned(), name.to_owned())
    });
    let there = members(&header, "struct msup_task {").into_iter().map(|member| {
        let name = member.rsplit([' ', '*']).next().expect("a name").to_owned();
        (type_of(member), name)
    });
    assert_eq!(there.collect::<Vec<_>>(), here.collect::<Vec<_>>());
}
