//! Bounds on what open connections may cost, so that nobody without a key can use the memory up.
//!
//! actix reads as far ahead as it finds bytes and writes for as long as a peer lets it wait. Here a
//! connection has one request and one answer at a time, its buffers are small, a peer that doesn't
//! read is cut off, and when there are too many connections the longest idle one makes room.
//!
//! - this file: the open connections, which of them makes room, and how they end when the process stops
//! - `stream.rs`: the socket of one connection: what is read ahead, and the time-outs
//! - `exchange.rs`: the middleware that tells the connection of its request and cuts answers into pieces
//! - `listen.rs`: an actix server over all that

mod exchange;
mod listen;
mod stream;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

pub(crate) use exchange::track;
pub(crate) use listen::{Listening, Running, listen};
use stream::GuardedStream;

use crate::telemetry::meters;

/// The bounds of a listener's connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The listener's name in metrics.
    pub listener: &'static str,
    /// The most connections at once.
    pub connections: usize,
    /// The longest time a peer may leave an answer unread.
    pub write: Duration,
    /// The longest time a peer may take to send a request's head.
    pub request_head: Duration,
}

/// While the process stops, how long a connection that has sent nothing yet may still send its request.
const FIRST_BYTE: Duration = Duration::from_secs(1);

/// The interval at which connections look whether they should end, while the process stops.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The open connections of one listener.
#[derive(Debug)]
pub(crate) struct Connections {
    bounds: Bounds,
    /// The instant that `moved_at` counts from.
    began: Instant,
    open: Mutex<Open>,
    draining: AtomicBool,
    closed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// By when bytes last moved, as known when a connection was last ranked: a lower bound, put right only
    /// when room is needed. So a request costs no lock.
    ranked: BTreeMap<Rank, Arc<Connection>>,
}

/// `moved_at` when it was ranked, then the connection's number.
type Rank = (u64, u64);

/// One open connection, as its socket, its request and the process's end see it.
#[derive(Debug)]
pub(crate) struct Connection {
    number: u64,
    /// Its rank's first half; changed under the lock of [`Open`] only.
    ranked_at: AtomicU64,
    /// Milliseconds after the listener's beginning at which bytes last moved.
    moved_at: AtomicU64,
    /// Requests that have begun.
    requests: AtomicU64,
    /// Requests whose answer is not written yet: the gateway is at work, not the peer.
    in_flight: AtomicU32,
    /// The handler waits for more of the request's body.
    wants_body: AtomicBool,
    /// Written bytes don't go out: the peer doesn't read.
    blocked: AtomicBool,
    /// It is to end: another one needed its place.
    evicted: AtomicBool,
    /// Wakes the task that owns the socket.
    task: AtomicWaker,
}

impl Connection {
    fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Acquire)
    }

    fn is_in_flight(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) > 0
    }

    fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Acquire)
    }

    /// The peer's turn: to send a request, or to read an answer.
    fn waits_for_peer(&self) -> bool {
        !self.is_in_flight() || self.is_blocked()
    }
}

impl Connections {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        let this = Self {
            bounds,
            began: Instant::now(),
            open: Mutex::default(),
            draining: AtomicBool::new(false),
            closed: Notify::new(),
        };
        Arc::new(this)
    }

    /// A place for one more. When all are taken, the connection that has been idle the longest ends: one that
    /// has no request under way, or whose peer doesn't read its answer. None when the gateway is at work for
    /// every one of them.
    fn admit(&self) -> Option<Arc<Connection>> {
        let mut open = self.open();
        if open.ranked.len() >= self.bounds.connections && !self.evict(&mut open) {
            self.count_closed("refused");
            return None;
        }
        let (number, now) = (open.next, self.now());
        open.next += 1;
        let connection = Arc::new(Connection {
            number,
            ranked_at: AtomicU64::new(now),
            moved_at: AtomicU64::new(now),
            requests: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            wants_body: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            evicted: AtomicBool::new(false),
            task: AtomicWaker::new(),
        });
        open.ranked.insert((now, number), connection.clone());
        self.count(&open);
        Some(connection)
    }

    /// Ends the longest idle connection, if one is idle. Each look puts one rank right, and a rank that was
    /// put right once is right until bytes move again: over time that is one step for each time they did.
    fn evict(&self, open: &mut Open) -> bool {
        let began = self.now();
        while let Some(first) = open.ranked.first_entry() {
            let (ranked_at, number) = *first.key();
            let connection = first.get().clone();
            let moved_at = connection.moved_at.load(Ordering::Relaxed);
            let is_idle = connection.waits_for_peer();
            if is_idle && moved_at <= ranked_at {
                first.remove();
                connection.evicted.store(true, Ordering::Release);
                connection.task.wake();
                self.count_closed("evicted");
                return true;
            }
            if ranked_at > began {
                // Everything before it was looked at by now.
                return false;
            }
            first.remove();
            let ranked_at = if is_idle { moved_at } else { began + 1 };
            connection.ranked_at.store(ranked_at, Ordering::Relaxed);
            open.ranked.insert((ranked_at, number), connection);
        }
        false
    }

    fn remove(&self, connection: &Connection) {
        let mut open = self.open();
        open.ranked.remove(&(connection.ranked_at.load(Ordering::Relaxed), connection.number));
        self.count(&open);
        drop(open);
        self.closed.notify_waiters();
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Lets the connections come to their end and returns when none is left: each may finish its request, one
    /// that is new may still send one, and idle ones close.
    pub(crate) async fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        loop {
            let closed = self.closed.notified();
            {
                let open = self.open();
                if open.ranked.is_empty() {
                    return;
                }
                open.ranked.values().for_each(|connection| connection.task.wake());
            }
            let _ = tokio::time::timeout(LOOK_EVERY, closed).await;
        }
    }

    /// The number of connections that have come so far.
    pub(crate) fn admitted(&self) -> u64 {
        self.open().next
    }

    pub(crate) fn len(&self) -> usize {
        self.open().ranked.len()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, open: &Open) {
        meters().http_connections.set_count([self.bounds.listener], open.ranked.len() as u64);
    }

    fn count_closed(&self, reason: &'static str) {
        meters().http_connections_closed.count([self.bounds.listener, reason]);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Tells whether this much time has passed since bytes moved.
    fn is_silent_for(&self, connection: &Connection, time: Duration) -> bool {
        let since = connection.moved_at.load(Ordering::Relaxed);
        u128::from(self.now().saturating_sub(since)) >= time.as_millis()
    }
}
