//! Failures that go on: a line when they begin, a line with their number when they are over, and none
//! between, however often it is tried.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One thing that either works or doesn't. It starts out working.
#[derive(Debug)]
pub struct Outage {
    began: &'static str,
    over: &'static str,
    /// Equal to `current` being there; read without the lock, as it is asked for each success.
    failing: AtomicBool,
    current: Mutex<Option<Failing>>,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    since: Instant,
    last: Instant,
    failures: u64,
}

impl Outage {
    /// `began` and `over` are the words of the two lines.
    #[must_use]
    pub const fn new(began: &'static str, over: &'static str) -> Self {
        Self { began, over, failing: AtomicBool::new(false), current: Mutex::new(None) }
    }

    /// Notes a failure. The first one is a warning, those that follow are lines for debugging.
    pub fn failed(&self, error: &dyn Display) {
        let now = Instant::now();
        let mut current = self.lock();
        if let Some(failing) = &mut *current {
            failing.failures += 1;
            failing.last = now;
            tracing::debug!(%error, failures = failing.failures, "{}", self.began);
        } else {
            *current = Some(Failing { since: now, last: now, failures: 1 });
            self.failing.store(true, Ordering::Release);
            tracing::warn!(%error, "{}", self.began);
        }
    }

    /// Notes a success: whatever was failing is over.
    pub fn succeeded(&self) {
        if self.failing.load(Ordering::Acquire) {
            self.end(Duration::ZERO);
        }
    }

    /// For what only failures tell of: it is over once none came for `quiet`.
    pub fn over_after(&self, quiet: Duration) {
        if self.failing.load(Ordering::Acquire) {
            self.end(quiet);
        }
    }

    fn end(&self, quiet: Duration) {
        let mut current = self.lock();
        if let Some(Failing { since, failures, .. }) = current.take_if(|failing| failing.last.elapsed() >= quiet) {
            self.failing.store(false, Ordering::Release);
            let seconds = since.elapsed().as_secs_f32();
            tracing::info!(failures, seconds, "{}", self.over);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Failing>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use tracing::Level;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn an_outage_is_two_lines_however_often_it_fails() {
        let lines = Lines::default();
        let subscriber =
            tracing_subscriber::fmt().with_max_level(Level::INFO).with_ansi(false).with_writer(lines.clone());
        let outage = Outage::new("it fails", "it works again");
        tracing::subscriber::with_default(subscriber.finish(), || {
            outage.succeeded();
            for _ in 0..2 {
                for _ in 0..1000 {
                    outage.failed(&"refused");
                }
                outage.over_after(Duration::from_hours(1));
                outage.succeeded();
                outage.succeeded();
            }
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].contains("WARN") && lines[0].contains("it fails") && lines[0].contains("refused"), "{text}");
        assert!(lines[1].contains("INFO") && lines[1].contains("it works again"), "{text}");
        assert!(lines[1].contains("failures=1000"), "{text}");
    }
}
