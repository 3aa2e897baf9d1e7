//! A worker that digests files: each value is a path, each result a file `NUMBER.sha256` in the
//! folder given as argument, in the format of `sha256sum`.
//!
//! ```sh
//! find /usr/share/doc -type f | msup --worker target/release/examples/digest digests/
//! ```
//!
//! It reads and writes without a token and hashes with one.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use msup_worker::{Ctx, Outcome, Task, TaskError};
use sha2::{Digest, Sha256};

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("digest: needs a folder for the digests as its argument");
        return ExitCode::FAILURE;
    };
    msup_worker::run(|task, ctx| digest(task, ctx, &folder))
}

fn digest(task: &Task, ctx: &mut Ctx<'_>, folder: &Path) -> Result<Outcome, TaskError> {
    let bytes = ctx.blocking(|| std::fs::read(task.path()))?;
    let digest = Sha256::digest(&bytes);
    let mut line: Vec<u8> =
        digest.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
    line.extend_from_slice(b"  ");
    line.extend_from_slice(task.value());
    line.push(b'\n');
    let path = folder.join(format!("{}.sha256", task.seq()));
    ctx.blocking(|| write_atomically(&path, &line))?;
    Ok(Outcome::done())
}

/// After this the file is there with all of its content, or it is as it was before.
fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}
