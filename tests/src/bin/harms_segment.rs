//! `harms_segment overwrite|header|truncate`: a command that does this to the shared memory of its
//! own run, through a descriptor of its supervisor, and then stays until it is killed.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use msup_tests::parent_of;

fn main() {
    let mut pid = std::process::id() as i32;
    let segment = loop {
        pid = parent_of(pid).expect("a run has a supervisor");
        if let Some(segment) = segment_of(pid) {
            break File::options().write(true).open(segment).expect("of the same user");
        }
    };
    match std::env::args().nth(1).as_deref() {
        Some("overwrite") => segment.write_all_at(&vec![0xa5; 1 << 20], 0).expect("writable"),
        Some("header") => segment.write_all_at(&[0; 64], 0).expect("writable"),
        Some("truncate") => segment.set_len(0).expect("writable"),
        other => panic!("{other:?}: which harm?"),
    }
    std::thread::sleep(std::time::Duration::from_secs(60));
}

fn segment_of(pid: i32) -> Option<PathBuf> {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten().map(|fd| fd.path());
    fds.into_iter().find(|fd| {
        let target = fs::read_link(fd).unwrap_or_default();
        target.to_string_lossy().starts_with("/dev/shm/msup-")
    })
}
