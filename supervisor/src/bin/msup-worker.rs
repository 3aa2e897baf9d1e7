//! The worker that runs commands; started by `msup`.

fn main() -> std::process::ExitCode {
    msup_worker::commands::main(env!("CARGO_PKG_VERSION"))
}
