//! Lines that a stranger can cause, so many at most in a time; how many were left out is said once there is room again.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A bound on lines of one sort.
#[derive(Debug)]
pub struct Throttle {
    most: u32,
    every: Duration,
    current: Mutex<Option<Span>>,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    began: Instant,
    said: u32,
    left_out: u64,
}

impl Throttle {
    /// At most `most` lines in each span of `every`.
    #[must_use]
    pub const fn new(most: u32, every: Duration) -> Self {
        Self { most, every, current: Mutex::new(None) }
    }

    /// Tells whether a line may be written now; then, how many were left out since one last was.
    pub fn take(&self) -> Option<u64> {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> Option<u64> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let span = current.get_or_insert(Span { began: now, said: 0, left_out: 0 });
        if now.saturating_duration_since(span.began) >= self.every {
            (span.began, span.said) = (now, 0);
        }
        if span.said >= self.most {
            span.left_out += 1;
            return None;
        }
        span.said += 1;
        Some(std::mem::take(&mut span.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_counted_until_there_is_room() {
        let (throttle, began) = (Throttle::new(2, Duration::from_secs(1)), Instant::now());
        let at = |millis| throttle.take_at(began + Duration::from_millis(millis));
        assert_eq!([at(0), at(1), at(2), at(999)], [Some(0), Some(0), None, None]);
        assert_eq!([at(1_000), at(1_001), at(1_002)], [Some(2), Some(0), None]);
        assert_eq!([at(9_000), at(9_001)], [Some(1), Some(0)]);
    }
}
