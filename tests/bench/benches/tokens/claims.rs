//! Empty tasks through the task slots: published, claimed, completed, collected.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use msup_bench::go::Figures;
use msup_bench::peers::python_pools;
use msup_bench::report::{Report, quantile, row};
use msup_bench::stage::{Role, Stage};
use msup_protocol::bell::{Bell, Wants};
use msup_protocol::park::Futex;
use msup_protocol::worker_side::Next;

use crate::Effort;

const GROUP: &str = "claim+complete";

/// A worker's task loop without the work.
pub(crate) fn claims(role: &Role) {
    let mut seat = role.seat();
    let shared = seat.shared();
    let bell = Bell::new(shared.header.bell(), role.bell.as_fd());
    let mut token = None;
    while let Ok(Next::Run(held, claim)) = seat.next_task(token.take(), &|| false) {
        let index = claim.index();
        assert!(shared.tasks.complete(role.slot, claim));
        shared.done.set(index);
        bell.ring_for(index);
        token = Some(held);
    }
}

/// Nanoseconds per task with this number of workers: the supervisor's part is played here.
fn through_slots(workers: u16, tasks: u64) -> io::Result<f64> {
    let mut stage = Stage::new(u32::from(workers), u32::from(workers))?;
    for slot in 0..workers {
        stage.play("claims", slot, None, &[])?;
    }
    let shared = stage.segment.shared();
    while shared.line.parked_count() < u32::from(workers) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let eventfd = stage.bell();
    let bell = Bell::new(shared.header.bell(), eventfd);
    let began = Instant::now();
    let (mut published, mut collected, mut slept_at) = (0, 0, 0);
    let mut free: Vec<u16> = (0..shared.tasks.len() as u16).collect();
    while collected < tasks {
        let before = (published, collected);
        while published < tasks
            && let Some(slot) = free.pop()
        {
            assert!(shared.tasks.publish(slot).is_some());
            published += 1;
        }
        if published > before.0 {
            shared.pass_on(&Futex, None);
        }
        for slot in shared.done.drain() {
            let seen = shared.tasks.sighted(slot).expect("a slot");
            assert!(shared.tasks.vacate(slot, seen));
            free.push(slot);
            collected += 1;
        }
        if collected == before.1 {
            // As the event loop does.
            let busy = collected - slept_at >= 32;
            bell.arm(if busy { Wants::Batches } else { Wants::Each });
            if !shared.done.any() {
                slept_at = collected;
                let mut rung = [rustix::event::PollFd::new(&eventfd, rustix::event::PollFlags::IN)];
                let wait = rustix::event::Timespec {
                    tv_sec: 0,
                    tv_nsec: if busy { 1_000_000 } else { 100_000_000 },
                };
                let _ = rustix::event::poll(&mut rung, Some(&wait));
            }
            bell.disarm();
        }
    }
    let took = began.elapsed();
    for slot in 0..workers {
        shared.line.slot(slot).expect("a slot").tell_to_leave();
        shared.line.wake(&Futex, slot);
    }
    stage.finish()?;
    Ok(took.as_nanos() as f64 / tasks as f64)
}

pub(crate) fn measure(report: &mut Report, effort: Effort, go: Option<&Figures>) -> io::Result<()> {
    report.group("empty tasks, published to collected (ns per task)");
    let tasks = 1_000_000 / effort.shorter;
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..effort.rounds.div_ceil(2) {
        samples[0].push(through_slots(1, tasks)?);
        samples[1].push(through_slots(2, tasks)?);
    }
    let [one, two] = samples.each_mut().map(|samples| quantile(samples, 0.5));
    report.add(row(GROUP, "msup, 1 worker", "ns", one));
    report.add(row(GROUP, "msup, 2 workers", "ns", two).aim("at most 300"));
    if let Some(go) = go {
        let name = format!("{}: channels, 2 goroutines", go.version);
        report.add(row(GROUP, name, "ns", go.task).against("msup, 2 workers"));
    }
    match python_pools((20_000 / effort.shorter) as u32) {
        None => println!("  Python was skipped: there is none"),
        Some([pool, executor]) => {
            let pool = row(GROUP, "multiprocessing.Pool(2), chunksize 1", "ns", pool * 1e3);
            report.add(pool.against("msup, 2 workers").aim("at least 50"));
            let executor = row(GROUP, "ProcessPoolExecutor(2), chunksize 1", "ns", executor * 1e3);
            report.add(executor.against("msup, 2 workers"));
        }
    }
    Ok(())
}
