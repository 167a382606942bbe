//! The end of a process: whoever was let in gets an answer, whoever comes too late is refused.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::databases::TestDatabase;
use crate::support::serve::Serve;

const CLIENTS: usize = 4;

/// Asks on one new connection after another until none is taken any more; how many were cut off.
fn ask_until_refused(address: SocketAddr, answered: &AtomicUsize) -> usize {
    let mut cut_off = 0;
    while let Ok(mut stream) = TcpStream::connect(address) {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut answer = String::new();
        let asked = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let whole = asked.and_then(|()| stream.read_to_string(&mut answer));
        if whole.is_ok() && answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nalive\n") {
            answered.fetch_add(1, Ordering::Relaxed);
        } else {
            cut_off += 1;
        }
    }
    cut_off
}

fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & 1 != 0)
}

#[test]
fn every_signal_to_stop_lets_those_finish_who_had_come() {
    // Under `nohup` programs ignore it, and so does what they start.
    let signals = if is_hangup_ignored() { &["TERM", "INT"][..] } else { &["TERM", "HUP", "INT"] };
    for signal in signals {
        for _ in 0..2 {
            let serve = Serve::start(Path::new(env!("CARGO_BIN_EXE_perkgate")), &TestDatabase::empty_sqlite(), &[]);
            let address = serve.address();
            let answered = AtomicUsize::new(0);
            let (cut_off, ended) = std::thread::scope(|scope| {
                let clients: Vec<_> =
                    (0..CLIENTS).map(|_| scope.spawn(|| ask_until_refused(address, &answered))).collect();
                while answered.load(Ordering::Relaxed) < 20 {
                    std::thread::yield_now();
                }
                let ended = serve.stop(signal);
                (clients.into_iter().map(|client| client.join().unwrap()).sum::<usize>(), ended)
            });
            assert!(ended.success(), "{signal}: {ended}");
            assert_eq!(cut_off, 0, "{signal}: of {answered:?} and these");
        }
    }
}

#[test]
fn idle_connections_do_not_keep_a_process_from_stopping() {
    let serve = Serve::start(
        Path::new(env!("CARGO_BIN_EXE_perkgate")),
        &TestDatabase::empty_sqlite(),
        // Whoever waits for these fails the test by its length.
        &[("keep_alive", "3000s"), ("request_head_timeout", "3000s"), ("shutdown_timeout", "3000s")],
    );
    let open = || {
        let stream = TcpStream::connect(serve.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream
    };
    let (mut kept, mut silent) = (open(), open());
    kept.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = [0; 1024];
    assert!(kept.read(&mut answer).unwrap() > 0);
    assert!(serve.stop("TERM").success());
    assert_eq!(kept.read(&mut answer).unwrap(), 0, "ended in good order");
    assert_eq!(silent.read(&mut answer).unwrap(), 0, "ended in good order");
}
