//! A program whose first thread exits at once while another one waits and then writes a file:
//! meanwhile the kernel shows the process as a zombie. Arguments: the wait in milliseconds, the
//! file.

use std::time::Duration;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let ms = arguments.next().and_then(|text| text.parse().ok()).expect("milliseconds");
    let file = arguments.next().expect("a file");
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(ms));
        std::fs::write(file, "done\n").expect("writable");
        std::process::exit(0);
    });
    // SAFETY: exits this thread alone, which owns nothing that the other one uses.
    unsafe { nix::libc::syscall(nix::libc::SYS_exit, 0) };
}
