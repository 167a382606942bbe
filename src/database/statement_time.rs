//! How long ago this thread sent a statement to PostgreSQL. The driver keeps most of the server's error codes to itself;
//! the server judges a wrong statement at once, and what may do the next time after it has waited for something.

use std::cell::Cell;
use std::time::{Duration, Instant};

use diesel::connection::{Instrumentation, InstrumentationEvent};

thread_local! {
    static SENT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Notes when statements are sent on a connection.
pub(super) struct NoteSending;

impl Instrumentation for NoteSending {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { .. } = event {
            SENT.set(Some(Instant::now()));
        }
    }
}

/// The time since this thread last sent a statement; none where that was asked before.
pub(super) fn since_sent() -> Option<Duration> {
    SENT.take().map(|sent| sent.elapsed())
}
