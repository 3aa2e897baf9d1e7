//! Creating a segment: reserved before it is touched, and unlinked before any process is started.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::ptr::NonNull;

use rustix::fs::{FallocateFlags, Mode};
use rustix::shm::OFlags;
use shared_memory::{ShmemConf, ShmemError};

use super::fault::Guard;
use super::{Keeper, Memory, Segment};
use crate::crash;
use crate::layout::{BadSizes, Header, Layout, Sizes};
use crate::process_tree::Identity;
use crate::slot::Status;
use crate::token::{State, TokenWord};

/// Why a segment cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Sizes out of range.
    #[error(transparent)]
    Sizes(#[from] BadSizes),
    /// There is no room for it.
    #[error("shared memory is full: {bytes} bytes are needed in /dev/shm (make room there)")]
    Full {
        /// The number of bytes needed.
        bytes: usize,
    },
    /// The `shared_memory` crate failed.
    #[error("cannot create shared memory in /dev/shm: {}", words(.0))]
    Mapping(#[from] ShmemError),
    /// A system call failed.
    #[error("cannot reserve shared memory in /dev/shm: {0}")]
    System(#[from] io::Error),
}

/// The crate tells only the numbers of system errors.
fn words(why: &ShmemError) -> String {
    match why {
        ShmemError::MapCreateFailed(errno)
        | ShmemError::MapOpenFailed(errno)
        | ShmemError::UnknownOsError(errno) => {
            io::Error::from_raw_os_error(*errno as i32).to_string()
        }
        other => other.to_string(),
    }
}

/// Creates a segment with `procs` idle tokens (the other token words are retired), all slots vacant
/// and all task slots free. Returns it with the descriptor that workers inherit. The segment has no
/// name any more, so there is nothing to clean up, whatever happens to this process.
///
/// # Errors
/// [`CreateError`]; nothing is left behind.
pub fn create(
    sizes: Sizes,
    procs: u32,
    release: &str,
    nofile: u64,
) -> Result<(Segment, OwnedFd), CreateError> {
    let layout = Layout::of(sizes)?;
    let name = fresh_name();
    let mut mapping = ShmemConf::new().os_id(&name).size(layout.total).create()?;
    // A second descriptor, because the crate does not expose its own. From here on every error path
    // drops `mapping`, which removes the name.
    let fd =
        rustix::shm::open(name.as_str(), OFlags::RDWR, Mode::empty()).map_err(io::Error::from)?;
    // Reserved before the first touch: on a full /dev/shm a touch would raise SIGBUS.
    match rustix::fs::fallocate(&fd, FallocateFlags::empty(), 0, layout.total as u64) {
        Ok(()) => {}
        Err(rustix::io::Errno::NOSPC) => return Err(CreateError::Full { bytes: layout.total }),
        Err(errno) => return Err(io::Error::from(errno).into()),
    }
    // CRASH: segment_named. The next start sweeps a name whose owner is dead.
    crash::point("segment_named");
    rustix::shm::unlink(name.as_str()).map_err(io::Error::from)?;
    mapping.set_owner(false);
    let base = NonNull::new(mapping.as_ptr()).ok_or_else(|| io::Error::other("mapped at null"))?;
    let guard = Guard::new(base.as_ptr(), layout.total);
    // Dropped in this order: the next mapping at this address must not count as a segment.
    let keeper = Keeper::Crate { _guard: guard, _mapping: mapping };
    let memory = Memory { base, len: layout.total, keeper };
    let segment = Segment { memory, sizes, layout };
    set_up(&segment, procs, release, nofile);
    Ok((segment, fd))
}

fn set_up(segment: &Segment, procs: u32, release: &str, nofile: u64) {
    let words: &[TokenWord] =
        segment.memory.slice(segment.layout.tokens, segment.sizes.tokens as usize);
    for (index, word) in words.iter().enumerate() {
        word.set_up(if index < procs as usize { State::Idle } else { State::Retired });
    }
    let shared = segment.shared();
    shared.tasks.set_up();
    for slot in (0..shared.line.len()).filter_map(|worker| shared.line.slot(worker as u16)) {
        slot.set_status(Status::Vacant);
    }
    let header: &Header = shared.header;
    header.set_up(segment.sizes, procs, release, nofile);
}

/// Removes segments whose creator died between naming and unlinking them. Returns their number.
pub fn sweep() -> usize {
    let Ok(entries) = std::fs::read_dir(Path::new("/dev/shm")) else { return 0 };
    let mine = format!("msup-{}-", rustix::process::getuid().as_raw());
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            let owner = name.strip_prefix(&mine).and_then(Identity::of_name);
            owner.and_then(Identity::is_gone) == Some(true)
        })
        .filter(|name| rustix::shm::unlink(format!("/{name}")).is_ok())
        .count()
}

fn fresh_name() -> String {
    let uid = rustix::process::getuid().as_raw();
    format!("/msup-{uid}-{}-{:x}", Identity::own(), crate::sync::now_ns())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { tokens: 4, workers: 8, tasks: 16, cell_bytes: 128 };

    #[test]
    fn a_created_segment_can_be_mapped_and_has_no_name() {
        let (segment, fd) = create(SIZES, 2, "1.2.3", 99).expect("created");
        // The folder may hold names of other tests.
        let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
        let name = std::fs::read_link(link).expect("open").display().to_string();
        assert!(name.ends_with(" (deleted)"), "{name}");
        let mapped = Segment::attach(&fd, Some("1.2.3")).expect("mapped");
        assert_eq!(mapped.sizes(), SIZES);
        assert_eq!(mapped.shared().tokens.census().idle, 2);
        assert_eq!(mapped.shared().tokens.census().live, 2);
        assert_eq!(mapped.shared().header.nofile(), 99);
        let held = mapped.shared().tokens.acquire(3).expect("idle");
        assert_eq!(segment.shared().tokens.census().running, 1, "the same memory");
        assert!(segment.shared().tokens.release(held).is_ok());
        assert!(Segment::attach(&fd, Some("1.2.4")).is_err());
    }

    #[test]
    fn a_segment_that_was_truncated_is_empty_to_its_creator() {
        let (segment, fd) = create(SIZES, 2, "1.2.3", 99).expect("created");
        let identity = segment.shared().header.identity();
        rustix::fs::ftruncate(&fd, 0).expect("nothing forbids it");
        assert_ne!(segment.shared().header.identity(), identity);
        assert_eq!(segment.shared().tokens.census().idle, 0);
        segment.shared().tasks.write(3, b"it can be written to").expect("a slot");
    }

    #[test]
    fn something_else_is_not_a_segment() {
        let file = std::fs::File::open("/proc/self/exe").expect("this test");
        assert!(Segment::attach(&file, None).is_err());
    }

    #[test]
    fn only_names_of_the_dead_are_swept() {
        let uid = rustix::process::getuid().as_raw();
        let own = Identity::own().to_string();
        let living = format!("/dev/shm/msup-{uid}-{own}-test");
        // The same process id, but another start time.
        let dead = format!("/dev/shm/msup-{uid}-{own}1-test");
        for path in [&living, &dead] {
            std::fs::write(path, b"").expect("writable");
        }
        sweep();
        assert!(Path::new(&living).exists() && !Path::new(&dead).exists());
        std::fs::remove_file(&living).expect("ours");
    }
}
