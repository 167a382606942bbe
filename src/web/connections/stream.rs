//! The socket of one connection: hands requests on one by one, and doesn't wait for ever for its peer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::{Connection, Connections, FIRST_BYTE};

/// A socket that counts among the open connections.
///
/// actix parses every request that it finds in what was read, each into some kilobytes, before it answers the
/// first. So a read ends where a request's head ends, nothing is read while a request is under way, unless its
/// handler waits for the body, and the rest remains in the system's buffers, where TCP slows the sender.
pub(super) struct GuardedStream {
    socket: TcpStream,
    connections: Arc<Connections>,
    connection: Arc<Connection>,
    /// Read past the end of a head; at most one read's worth.
    ahead: Vec<u8>,
    /// The number of its bytes that were handed on.
    handed: usize,
    lines: EmptyLines,
    /// The last read ended with a head's end: actix shall parse it before more comes.
    at_end_of_head: bool,
    /// Requests that had begun when the last byte was handed on.
    requests: u64,
    head: Deadline,
    write: Deadline,
}

impl GuardedStream {
    pub(super) fn new(socket: TcpStream, connections: Arc<Connections>, connection: Arc<Connection>) -> Self {
        Self {
            socket,
            connection,
            ahead: Vec::new(),
            handed: 0,
            lines: EmptyLines::default(),
            at_end_of_head: false,
            requests: 0,
            head: Deadline::new(connections.bounds.request_head),
            write: Deadline::new(connections.bounds.write),
            connections,
        }
    }

    pub(super) fn connection(&self) -> Arc<Connection> {
        self.connection.clone()
    }

    /// Comes back as soon as the socket has something, without taking it.
    fn wake_for_more(&self, cx: &mut Context<'_>) {
        if !self.ahead.is_empty() || self.socket.poll_read_ready(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }

    /// While nothing may be read: only whether the peer has closed its side.
    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            return Poll::Pending;
        }
        let mut byte = [0];
        match ready!(self.socket.poll_peek(cx, &mut ReadBuf::new(&mut byte)))? {
            0 => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }

    /// Fills the buffer up to the end of a head.
    fn poll_fill(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
            let read = buf.filled().get(before..).unwrap_or_default();
            if !read.is_empty() {
                self.moved();
                if let Some(end) = self.lines.end_in(read) {
                    self.at_end_of_head = true;
                    self.ahead.extend_from_slice(read.get(end..).unwrap_or_default());
                    buf.set_filled(before + end);
                }
            }
            return Poll::Ready(Ok(()));
        }
        let rest = self.ahead.get(self.handed..).unwrap_or_default();
        let rest = rest.get(..rest.len().min(buf.remaining())).unwrap_or_default();
        let end = self.lines.end_in(rest);
        self.at_end_of_head = end.is_some();
        let piece = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
        buf.put_slice(piece);
        self.handed += piece.len();
        if self.handed == self.ahead.len() {
            // Given back: most connections wait most of their time.
            self.ahead = Vec::new();
            self.handed = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn moved(&self) {
        self.connection.moved_at.store(self.connections.now(), Ordering::Relaxed);
    }

    /// Between two requests: whether the connection should end now, as if the peer had ended it.
    fn should_end(&mut self, cx: &mut Context<'_>) -> bool {
        if self.connection.is_evicted() {
            return true;
        }
        if self.head.is_set() {
            // actix times the first head only.
            let is_late = self.requests > 0 && self.head.poll(cx).is_ready();
            if is_late {
                self.connections.count_closed("request_head_timeout");
            }
            return is_late;
        }
        // What has come already is still answered: this is asked when nothing has.
        self.connections.is_draining()
            && (self.requests > 0 || self.connections.is_silent_for(&self.connection, FIRST_BYTE))
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.connection.task.register(cx.waker());
        if std::mem::take(&mut this.at_end_of_head) {
            this.wake_for_more(cx);
            return Poll::Pending;
        }
        let requests = this.connection.requests.load(Ordering::Acquire);
        if requests != this.requests {
            this.requests = requests;
            this.head.unset();
        }
        if this.connection.is_in_flight() {
            if this.connection.is_blocked() || !this.connection.wants_body.load(Ordering::Acquire) {
                return this.poll_closed(cx);
            }
            ready!(this.poll_fill(cx, buf))?;
            this.connection.wants_body.store(false, Ordering::Release);
            return Poll::Ready(Ok(()));
        }
        if this.connection.is_blocked() && !this.connection.is_evicted() {
            // The end of the last answer has still to go out.
            return this.poll_closed(cx);
        }
        let before = buf.filled().len();
        let filled = if this.connection.is_evicted() { Poll::Pending } else { this.poll_fill(cx, buf)? };
        if filled.is_pending() {
            return if this.should_end(cx) { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        if buf.filled().len() > before && !this.head.is_set() {
            this.head.set();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.connection.task.register(cx.waker());
        if let Poll::Ready(written) = Pin::new(&mut this.socket).poll_write(cx, bytes) {
            this.write.unset();
            if matches!(written, Ok(1..)) {
                this.moved();
            }
            if this.connection.blocked.swap(false, Ordering::AcqRel) {
                // What was not read meanwhile may be read now.
                cx.waker().wake_by_ref();
            }
            return Poll::Ready(written);
        }
        this.connection.blocked.store(true, Ordering::Release);
        if !this.write.is_set() {
            this.write.set();
        }
        let is_late = this.write.poll(cx).is_ready();
        if is_late {
            this.connections.count_closed("write_timeout");
        }
        if is_late || this.connection.is_evicted() {
            // At once: else the system would go on keeping what nobody reads.
            let _ = this.socket.set_zero_linger();
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

impl Drop for GuardedStream {
    fn drop(&mut self) {
        self.connections.remove(&self.connection);
    }
}

/// A timer that is made when it is first needed.
struct Deadline {
    after: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    is_set: bool,
}

impl Deadline {
    const fn new(after: Duration) -> Self {
        Self { after, sleep: None, is_set: false }
    }

    const fn is_set(&self) -> bool {
        self.is_set
    }

    fn set(&mut self) {
        self.is_set = true;
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(Instant::now() + self.after),
            None => self.sleep = Some(Box::pin(sleep(self.after))),
        }
    }

    const fn unset(&mut self) {
        self.is_set = false;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sleep {
            Some(sleep) if self.is_set => sleep.as_mut().poll(cx),
            _ => Poll::Pending,
        }
    }
}

/// Finds empty lines, with which heads end (RFC 9112 §2.1), also across reads. A lone LF ends a line too, as
/// it does for actix. A body's are found as well: a read of a body may end early, that is all.
#[derive(Debug, Default)]
struct EmptyLines(LineEnd);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    #[default]
    None,
    /// A line has just ended.
    Lf,
    /// And the next one begins with a CR.
    LfCr,
}

impl EmptyLines {
    /// Just past the first empty line's end in these bytes, which follow those of the last call.
    fn end_in(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            self.0 = match (self.0, byte) {
                (LineEnd::None, b'\n') => LineEnd::Lf,
                (LineEnd::Lf, b'\r') => LineEnd::LfCr,
                (LineEnd::Lf | LineEnd::LfCr, b'\n') => {
                    self.0 = LineEnd::None;
                    return Some(at + 1);
                }
                _ => LineEnd::None,
            };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_its_first_empty_line_also_across_reads() {
        let pieces = |pieces: &[&str]| {
            let mut lines = EmptyLines::default();
            pieces.iter().map(|piece| lines.end_in(piece.as_bytes())).collect::<Vec<_>>()
        };
        assert_eq!(pieces(&["GET / HTTP/1.1\r\nhost: x\r\n\r\nGET"]), [Some(27)]);
        assert_eq!(pieces(&["GET / HTTP/1.0\n\nGET"]), [Some(16)]);
        assert_eq!(pieces(&["a\r\n\n"]), [Some(4)]);
        assert_eq!(pieces(&["a\r", "\n", "\r", "\nb", "\r\n", "\r\n"]), [None, None, None, Some(1), None, Some(2)]);
        assert_eq!(pieces(&["a\r\nb\r\nc\rd\n\re", "\n"]), [None, None]);
        assert_eq!(pieces(&["", "\r\n", "x"]), [None, None, None]);
    }
}
