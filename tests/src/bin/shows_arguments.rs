//! A program that shows its arguments byte for byte: a line for each call, that begins with `=`,
//! and each argument in hexadecimal digits. `.` stands for an empty argument.
//!
//! With `SHOWS_INPUT` in its environment, its standard input is one more argument; with
//! `SHOWS_FOLDER`, its working directory.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStringExt;

fn main() -> io::Result<()> {
    let mut all: Vec<Vec<u8>> = std::env::args_os().skip(1).map(OsString::into_vec).collect();
    if std::env::var_os("SHOWS_INPUT").is_some() {
        let mut input = Vec::new();
        io::stdin().read_to_end(&mut input)?;
        all.push(input);
    }
    if std::env::var_os("SHOWS_FOLDER").is_some() {
        all.push(std::env::current_dir()?.into_os_string().into_vec());
    }
    let words: Vec<String> = all.iter().map(|bytes| digits(bytes)).collect();
    // One write: several of them may share a pipe.
    io::stdout().write_all(format!("={}\n", words.join(" ")).as_bytes())
}

fn digits(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    if bytes.is_empty() {
        return ".".to_owned();
    }
    let pairs = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    pairs.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
