//! Values, outputs and statuses arrive as they are, whatever bytes they are made of.

mod arguments;
mod names;
mod outputs;
mod statuses;

use std::process::Output;

/// Names that programs which quote by hand get wrong.
const NAMES: &[&[u8]] = &[
    b"plain",
    b"with space",
    b"  spaces around  ",
    b"it's",
    b"''",
    b"'; touch x; '",
    b"say \"so\"",
    b"\"; touch x; \"",
    b"both ' and \"",
    b"new\nline",
    b"newline at the end\n",
    b"\n",
    b"tab\there",
    b"\t",
    b"carriage\rreturn\r\n",
    b"-n",
    b"--help",
    b"--",
    b":::",
    b"latin \xe9\xff\xfe",
    b"\x80",
    b"\xf0\x9f\xa6\x80 crab",
    b"\xf0\x9f",
    b"*",
    b"?[a-z]*{a,b}",
    b"$(touch x)",
    b"`touch x`",
    b"; touch x",
    b"| touch x",
    b"& touch x &",
    b"> x",
    b"$HOME ${HOME} $1 $@ $$",
    b"!!",
    b"~",
    b"# no comment",
    b"back\\slash",
    b"\\",
    b"\\n\\0\\\\",
    b"%s%d%%",
    b"{}",
    b"{#} {%} {/} {.}",
    b"\x01\x02\x1b[31m\x7f",
    b"",
    b"after the empty one",
];

fn nul_terminated(values: &[&[u8]]) -> Vec<u8> {
    values.iter().flat_map(|value| [value, &b"\0"[..]].concat()).collect()
}

fn stderr_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
