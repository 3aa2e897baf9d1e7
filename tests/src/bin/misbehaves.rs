//! A worker that does to its own process what its task's value names, and what no task function
//! should do.

use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::ptr::NonNull;

use msup_protocol::segment::Segment;
use msup_protocol::task::State;
use msup_worker::{Outcome, TaskError, run};
use nix::sys::mman::munmap;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, getppid};

/// The name of the shared memory in `/proc`.
const SEGMENT: &str = "/dev/shm/msup-";

fn main() -> ExitCode {
    run(|task, _ctx| match task.value() {
        b"holds" => holds_no_descriptor(),
        b"unmap" => unmap(),
        b"close" => close_everything(),
        b"exec" => Err(Command::new("/proc/self/exe").exec().into()),
        b"fork" => fork_and_go_on(),
        b"lie" => lie(),
        b"overwrite" => overwrite(),
        _ => Ok(Outcome::done()),
    })
}

/// Without a descriptor it can neither truncate nor punch holes into the memory.
fn holds_no_descriptor() -> Result<Outcome, TaskError> {
    let targets = fs::read_dir("/proc/self/fd")?.flatten();
    let targets = targets.filter_map(|entry| fs::read_link(entry.path()).ok());
    match targets.into_iter().find(|target| target.to_string_lossy().starts_with(SEGMENT)) {
        Some(target) => Err(format!("{} is open", target.display()).into()),
        None => Ok(Outcome::done()),
    }
}

fn unmap() -> Result<Outcome, TaskError> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    for line in maps.lines().filter(|line| line.contains(SEGMENT)) {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let (start, end) = range.ok_or("a range")?;
        let (start, end) = (usize::from_str_radix(start, 16)?, usize::from_str_radix(end, 16)?);
        let start = NonNull::new(std::ptr::without_provenance_mut(start)).ok_or("an address")?;
        // SAFETY: it is not safe: the next read of a word is a fault of this process, which is the
        // point.
        unsafe {
            munmap(start, NonZeroUsize::new(end - start.addr().get()).map_or(0, usize::from))
        }?;
    }
    Ok(Outcome::done())
}

fn close_everything() -> Result<Outcome, TaskError> {
    for fd in 3..1024 {
        let _ = nix::unistd::close(fd);
    }
    Ok(Outcome::done())
}

/// The shared memory, through a descriptor of the supervisor.
fn segment_of_supervisor() -> Result<fs::File, TaskError> {
    let folder = format!("/proc/{}/fd", getppid());
    let fds = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let segment = fds.into_iter().find(|fd| {
        fs::read_link(fd).is_ok_and(|target| target.to_string_lossy().starts_with(SEGMENT))
    });
    Ok(fs::File::options().read(true).write(true).open(segment.ok_or("no segment")?)?)
}

/// Overwrites all of it.
fn overwrite() -> Result<Outcome, TaskError> {
    segment_of_supervisor()?.write_all_at(&vec![0xa5; 1 << 20], 0)?;
    Ok(Outcome::done())
}

/// Overwrites the frames of all waiting and running tasks with garbage, and sets
/// all done bits.
fn lie() -> Result<Outcome, TaskError> {
    let segment = Segment::attach(segment_of_supervisor()?, None)?;
    let shared = segment.shared();
    for index in 0..shared.tasks.len() as u16 {
        let state = shared.tasks.sighted(index).and_then(|seen| seen.state());
        if matches!(state, Some(State::Ready | State::Claimed)) {
            shared.tasks.write(index, b"no task")?;
        }
        shared.done.set(index);
    }
    Ok(Outcome::done())
}

/// The child goes on as if it were the worker. It has no access to the shared memory.
fn fork_and_go_on() -> Result<Outcome, TaskError> {
    // SAFETY: the process has one thread.
    match unsafe { fork() }? {
        ForkResult::Child => Ok(Outcome::done()),
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Signaled(..) => Ok(Outcome::done()),
            other => Err(format!("the copy went on: {other:?}").into()),
        },
    }
}
