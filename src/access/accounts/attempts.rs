//! The bounds on wrong passwords. They are counted in the database, so that a restart or another replica is no new
//! beginning. What is counted by is a keyed hash: nobody reads there who tried to log in, or from where.

use jiff::{SignedDuration, Timestamp};

use super::store::{self, AttemptRow};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;

/// The time after which a count begins again.
pub(super) const PERIOD: SignedDuration = SignedDuration::from_mins(15);

/// Most wrong passwords of one name from one address, so that nobody locks a person out of their account from elsewhere.
const OF_BOTH: i64 = 5;
/// Most of one name from anywhere: many addresses try no more than this.
const OF_NAME: i64 = 50;
/// Most from one address, of any name.
const OF_ADDRESS: i64 = 50;

/// One try to log in. Unknown names are counted as known ones are.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub both: [u8; 32],
    pub name: [u8; 32],
    pub address: [u8; 32],
    pub at: Timestamp,
}

/// The outcome of counting a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// So many more may be wrong.
    Left(u32),
    /// No more are taken until then.
    Locked(Timestamp),
}

impl Attempt {
    fn bounds(&self) -> [([u8; 32], i64); 3] {
        let mut bounds = [(self.both, OF_BOTH), (self.name, OF_NAME), (self.address, OF_ADDRESS)];
        // Everyone locks in one order.
        bounds.sort_unstable();
        bounds
    }

    /// Counts a try as wrong, before anybody knows: many at once are then no more than as many one by one.
    pub(super) fn take(&self, conn: &mut AnyConnection) -> Result<Counted, DatabaseError> {
        let (now, period) = (self.at.as_microsecond(), micros(PERIOD));
        let (mut rows, mut left, mut locked): (Vec<AttemptRow>, i64, i64) = (Vec::new(), i64::MAX, 0);
        for (counted, most) in self.bounds() {
            let mut row = store::lock_attempts(conn, &counted, now)?;
            let end = row.since.saturating_add(period);
            if end <= now {
                (row.failures, row.since) = (0, now);
            }
            if row.failures >= most {
                locked = locked.max(end);
            }
            row.failures += 1;
            left = left.min(most - row.failures);
            rows.push(row);
        }
        if locked > now {
            return Ok(Counted::Locked(from_micros(locked)));
        }
        rows.iter().try_for_each(|row| store::update_attempts(conn, row))?;
        Ok(Counted::Left(u32::try_from(left).unwrap_or(0)))
    }

    /// The password was right: the count of this name from this address begins again, and the others lose this try.
    pub(super) fn give_back(&self, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        for (counted, _) in self.bounds() {
            let mut row = store::lock_attempts(conn, &counted, self.at.as_microsecond())?;
            row.failures = if counted == self.both { 0 } else { row.failures.saturating_sub(1).max(0) };
            store::update_attempts(conn, &row)?;
        }
        Ok(())
    }
}

fn micros(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
