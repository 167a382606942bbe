//! Socket options that the system is asked for, beyond what the standard library offers.

use std::net::TcpListener;

use actix_web::rt::net::TcpStream;
#[cfg(target_os = "linux")]
use socket2::{SockFilter, SockRef};

/// The most bytes of an answer that the system may keep while it can't send them.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 64 << 10;

/// Keeps the system from taking megabytes of an answer that the peer doesn't read: it is memory of this
/// machine, if not of this process. What is on its way isn't bounded by this, so fast lines stay fast.
#[cfg(target_os = "linux")]
pub(crate) fn bound_unsent(socket: &TcpStream) {
    if let Err(error) = SockRef::from(socket).set_tcp_notsent_lowat(UNSENT_BYTES) {
        tracing::debug!(%error, "what the system keeps of an answer can't be bounded");
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn bound_unsent(_: &TcpStream) {}

/// From here on no handshake begins on this port: the system drops its first packet, so the caller tries again
/// and is refused once the port is closed. Closing at once would reset connections that stand in the system's
/// queue, whose callers have been answered that they are connected and may have sent a request.
#[cfg(target_os = "linux")]
pub(crate) fn turn_away(listener: &TcpListener) {
    // Classic BPF over the TCP header: load the byte of flags, test SYN, and drop or pass the whole packet.
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_ANY: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    let filter = [
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(JUMP_IF_ANY, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    if let Err(error) = SockRef::from(listener).attach_filter(&filter) {
        tracing::debug!(%error, "newcomers can't be turned away before the port closes");
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn turn_away(_: &TcpListener) {}
