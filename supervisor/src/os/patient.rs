//! A writer for standard output and error: waits while a pipe is full, even when another process
//! has made it non-blocking.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// An unbuffered writer that waits instead of failing with "try again".
#[derive(Debug)]
pub(crate) struct Patient(OwnedFd);

impl Patient {
    /// A second descriptor of the same file.
    pub(crate) fn on(fd: impl AsFd) -> io::Result<Patient> {
        fd.as_fd().try_clone_to_owned().map(Patient)
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(&self.0, bytes) {
                Err(Errno::AGAIN) => {
                    let mut writable = [PollFd::new(&self.0, PollFlags::OUT)];
                    let _ = poll(&mut writable, None);
                }
                written => return Ok(written?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_full_pipe_is_waited_for() {
        let (reader, writer) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).expect("a pipe");
        let mut patient = Patient::on(&writer).expect("a descriptor");
        let content = vec![7; 1 << 20];
        let expected = content.clone();
        let writes = std::thread::spawn(move || patient.write_all(&content));
        drop(writer);
        rustix::io::ioctl_fionbio(&reader, false).expect("a pipe");
        let mut read = Vec::new();
        std::fs::File::from(reader).read_to_end(&mut read).expect("readable");
        writes.join().expect("no panic").expect("all written");
        assert!(read == expected);
    }
}
