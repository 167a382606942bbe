//! Ports for servers that are stopped and started again, or that start after their address was handed out.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// A port that nobody listens on, and that the system gives to nobody who asks for any (on Linux those begin at
/// 32768). Were it one of those, another test could be given it before, or while, its server doesn't listen.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(97);
    let candidates = std::iter::repeat_with(|| first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)));
    let mut ports = candidates.map(|number| u16::try_from(20_000 + number % 10_000).unwrap());
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// [`free_port`] as an address.
pub(crate) fn free_address() -> String {
    format!("127.0.0.1:{}", free_port())
}
