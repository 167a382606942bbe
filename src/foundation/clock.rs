//! The current time: the system's clock in production, a hand-set one in tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// The one source of wall-clock time. Everything else in the crate is handed an instant.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The operating system's clock.
    System,
    /// A clock that moves only when it is set; microseconds since the Unix epoch.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `at` until it is moved.
    #[must_use]
    pub fn fixed(at: Timestamp) -> Self {
        Self::Fixed(Arc::new(AtomicI64::new(at.as_microsecond())))
    }

    /// Now, in whole microseconds: what the database can hold, so that a stored instant reads
    /// back as the one that was decided on.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let micros = match self {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
            Self::System => Timestamp::now().as_microsecond(),
            Self::Fixed(at) => at.load(Ordering::SeqCst),
        };
        from_micros(micros)
    }

    /// Moves a fixed clock to `at`; the system's clock is left alone.
    pub fn set(&self, at: Timestamp) {
        if let Self::Fixed(cell) = self {
            cell.store(at.as_microsecond(), Ordering::SeqCst);
        }
    }
}

/// The instant `micros` microseconds after the Unix epoch, clamped to what a timestamp can hold.
#[must_use]
pub fn from_micros(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// The instant `seconds` seconds after the Unix epoch, clamped likewise.
#[must_use]
pub fn from_seconds(seconds: i64) -> Timestamp {
    from_micros(seconds.saturating_mul(1_000_000))
}
