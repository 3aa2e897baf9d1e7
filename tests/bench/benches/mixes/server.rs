//! A slow server on loopback: `/slow` answers after a while, `/eight` serves eight at once and
//! tells all others to come back later.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// How long an answer takes, on each path.
const SLOW: Duration = Duration::from_millis(100);
const EIGHT: Duration = Duration::from_millis(50);
const AT_ONCE: u32 = 8;
const BODY: usize = 256 << 10;

static SERVED: AtomicU32 = AtomicU32::new(0);

/// Runs until the process exits.
pub(crate) struct Server {
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start() -> io::Result<Server> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that has gone away is no error.
                thread::spawn(move || answer(stream));
            }
        });
        Ok(Server { address })
    }
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    if !request.contains("/eight") {
        thread::sleep(SLOW);
        return respond(&mut stream, "200 OK", BODY);
    }
    let is_full = SERVED.fetch_add(1, Ordering::SeqCst) >= AT_ONCE;
    if !is_full {
        thread::sleep(EIGHT);
    }
    SERVED.fetch_sub(1, Ordering::SeqCst);
    if is_full {
        respond(&mut stream, "429 Too Many Requests", 0)
    } else {
        respond(&mut stream, "200 OK", 1024)
    }
}

fn respond(stream: &mut TcpStream, status: &str, length: usize) -> io::Result<()> {
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(&vec![b'x'; length])
}
