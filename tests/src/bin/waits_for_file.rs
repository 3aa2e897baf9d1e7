//! A task function that computes until a file exists. The value `make` creates it; any other first
//! creates `FILE.awaited`.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use msup_worker::Outcome;

fn main() -> ExitCode {
    let file = std::env::args().nth(1).expect("a file");
    msup_worker::run(|task, _ctx| {
        match task.value() {
            b"make" => File::create(&file)?,
            _ => File::create(format!("{file}.awaited"))?,
        };
        while !Path::new(&file).exists() {
            std::thread::yield_now();
        }
        Ok(Outcome::done())
    })
}
