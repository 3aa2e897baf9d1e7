//! A segment, and processes of this benchmark that play workers on it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use msup_protocol::layout::Sizes;
use msup_protocol::park::Futex;
use msup_protocol::segment::{self, Segment};
use msup_protocol::worker_side::Seat;
use rustix::fs::MemfdFlags;
use rustix::io::FdFlags;
use rustix::mm::{MapFlags, ProtFlags};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// How many words of scratch memory there are.
const SCRATCH: usize = 1 << 16;

/// What parent and children share beside the segment: plain words.
#[derive(Clone, Copy, Debug)]
pub struct Scratch(&'static [AtomicU64]);

impl Scratch {
    /// Fresh memory, to be mapped by any process with the descriptor.
    ///
    /// # Errors
    /// The system refused.
    pub fn memory() -> io::Result<OwnedFd> {
        let memory = rustix::fs::memfd_create("bench", MemfdFlags::empty())?;
        rustix::fs::ftruncate(&memory, SCRATCH as u64 * 8)?;
        Ok(memory)
    }

    /// Maps it.
    ///
    /// # Errors
    /// The system refused.
    pub fn map(fd: impl AsFd) -> io::Result<Scratch> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh mapping at an address that the kernel chooses.
        let base = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), SCRATCH * 8, prot, MapFlags::SHARED, fd, 0)
        }?;
        // SAFETY: page-aligned, that long, never unmapped; atomics may hold any bytes.
        Ok(Scratch(unsafe { std::slice::from_raw_parts(base.cast(), SCRATCH) }))
    }

    /// Where it begins, for other contents than words.
    #[must_use]
    pub fn base(self) -> *mut u8 {
        self.0.as_ptr().cast_mut().cast()
    }

    /// A word.
    #[must_use]
    pub fn at(self, index: usize) -> &'static AtomicU64 {
        &self.0[index]
    }

    /// Waits for a word, without using the CPU.
    pub fn wait_for(self, index: usize, value: u64) {
        while self.at(index).load(Ordering::SeqCst) != value {
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
    }
}

/// A segment with processes around it.
#[derive(Debug)]
pub struct Stage {
    /// The segment.
    pub segment: Segment,
    /// The rest of what is shared.
    pub scratch: Scratch,
    fds: [OwnedFd; 3],
    children: Vec<Child>,
}

/// What a child finds.
#[derive(Debug)]
pub struct Role {
    /// What to play.
    pub name: String,
    /// Numbers from the parent.
    pub numbers: Vec<u64>,
    /// Its worker slot.
    pub slot: u16,
    /// The segment.
    pub segment: &'static Segment,
    /// The rest of what is shared.
    pub scratch: Scratch,
    /// The doorbell.
    pub bell: &'static OwnedFd,
}

impl Role {
    /// The role's seat.
    ///
    /// # Panics
    /// When there is no such slot.
    #[must_use]
    pub fn seat(&self) -> Seat<'static, Futex> {
        let seat = Seat::new(self.segment.shared(), self.slot, Futex).expect("a slot");
        seat.attach();
        seat
    }
}

impl Stage {
    /// A segment with these numbers of tokens and worker slots.
    ///
    /// # Errors
    /// The system refused.
    pub fn new(procs: u32, workers: u32) -> io::Result<Stage> {
        let sizes = Sizes { tokens: procs, workers, tasks: 256, cell_bytes: 4096 };
        let (segment, fd) =
            segment::create(sizes, procs, "bench", 1024).map_err(io::Error::other)?;
        let memory = Scratch::memory()?;
        let bell = rustix::event::eventfd(0, rustix::event::EventfdFlags::NONBLOCK)?;
        rustix::io::fcntl_setfd(&fd, FdFlags::empty())?;
        let scratch = Scratch::map(&memory)?;
        Ok(Stage { segment, scratch, fds: [fd, memory, bell], children: Vec::new() })
    }

    /// Starts a child in this role, on one CPU (counted among those there are) if `cpu` says so.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn play(
        &mut self,
        name: &str,
        slot: u16,
        cpu: Option<usize>,
        numbers: &[u64],
    ) -> io::Result<()> {
        if let Some(slot) = self.segment.shared().line.slot(slot) {
            slot.prepare();
        }
        let fds = self.fds.each_ref().map(|fd| fd.as_raw_fd().to_string()).join(",");
        let numbers = numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let cpu = cpu.and_then(nth_cpu).map_or(String::new(), |cpu| cpu.to_string());
        let child = Command::new(std::env::current_exe()?)
            .args(["--role", name, &fds, &slot.to_string(), &cpu, &numbers])
            .spawn()?;
        self.children.push(child);
        Ok(())
    }

    /// The eventfd by which workers would wake a supervisor.
    #[must_use]
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.fds[2].as_fd()
    }

    /// Waits until all children have exited.
    ///
    /// # Errors
    /// One failed.
    pub fn finish(&mut self) -> io::Result<()> {
        for mut child in self.children.drain(..) {
            if !child.wait()?.success() {
                return Err(io::Error::other("a role failed"));
            }
        }
        Ok(())
    }

    /// Kills all children.
    pub fn kill_children(&mut self) {
        for mut child in self.children.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.kill_children();
    }
}

/// The role this process was started for, if any.
///
/// # Panics
/// When its arguments make no sense.
#[must_use]
pub fn role() -> Option<Role> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [flag, name, fds, slot, cpu, numbers] = arguments.as_slice() else { return None };
    if flag != "--role" {
        return None;
    }
    if let Ok(cpu) = cpu.parse() {
        let mut set = CpuSet::new();
        set.set(cpu);
        let _ = sched_setaffinity(None, &set);
    }
    let mut fds = fds.split(',').map(|fd| {
        let fd = fd.parse().expect("a descriptor");
        // SAFETY: inherited from the parent for this process alone.
        unsafe { OwnedFd::from_raw_fd(fd) }
    });
    let mut next = || fds.next().expect("three descriptors");
    let segment = Segment::attach(next(), None).expect("a segment");
    let scratch = Scratch::map(next()).expect("memory");
    Some(Role {
        name: name.clone(),
        numbers: numbers.split(',').filter_map(|number| number.parse().ok()).collect(),
        slot: slot.parse().expect("a slot"),
        segment: Box::leak(Box::new(segment)),
        scratch,
        bell: Box::leak(Box::new(next())),
    })
}

/// The CPUs that this process may use, whatever a thread is pinned to.
#[must_use]
pub fn cpus() -> CpuSet {
    static ALL: OnceLock<CpuSet> = OnceLock::new();
    *ALL.get_or_init(|| sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new()))
}

fn nth_cpu(nth: usize) -> Option<usize> {
    let all = cpus();
    (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)).nth(nth)
}

/// Keeps this thread on one CPU, counted among those it may use.
pub fn pin(nth: usize) {
    let Some(cpu) = nth_cpu(nth) else { return };
    let mut set = CpuSet::new();
    set.set(cpu);
    let _ = sched_setaffinity(None, &set);
}

/// Lets this thread run anywhere again.
pub fn unpin() {
    let _ = sched_setaffinity(None, &cpus());
}
