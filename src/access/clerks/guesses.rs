//! How often a PIN may be wrong. Counted in the database, so that a restart or another replica is no new beginning.

use jiff::{SignedDuration, Timestamp};

use super::store::{self, GuessRow};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{KeyId, MerchantId};

/// Wrong PINs of a clerk in a row before the first wait.
const FREE: i64 = 5;
/// The first wait; it doubles with every wrong PIN after.
const FIRST_WAIT: SignedDuration = SignedDuration::from_mins(15);
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(24);
/// Wrong PINs at one key within [`PERIOD`], of all clerks together.
const MOST_OF_KEY: i64 = 20;
const PERIOD: SignedDuration = SignedDuration::from_hours(1);

/// One try of a clerk's PIN at the key of a desk.
#[derive(Debug, Clone)]
pub(super) struct Guesses {
    pub merchant: MerchantId,
    pub clerk: KeyId,
    pub desk: KeyId,
    pub at: Timestamp,
}

impl Guesses {
    /// Counts a try as wrong, before anybody knows; returns until when no more are taken, where that is so.
    pub(super) fn take(&self, conn: &mut AnyConnection) -> Result<Option<Timestamp>, DatabaseError> {
        let [mut clerk, mut desk] = self.lock(conn)?;
        let now = self.at.as_microsecond();
        if desk.since.saturating_add(micros(PERIOD)) <= now {
            (desk.failures, desk.since) = (0, now);
        }
        let mut locked = clerk.locked_until;
        if desk.failures >= MOST_OF_KEY {
            locked = locked.max(desk.since.saturating_add(micros(PERIOD)));
        }
        if locked > now {
            return Ok(Some(from_micros(locked)));
        }
        clerk.failures += 1;
        desk.failures += 1;
        clerk.since = now;
        clerk.locked_until = wait_after(clerk.failures).map_or(0, |wait| now.saturating_add(micros(wait)));
        store::update_guesses(conn, &clerk)?;
        store::update_guesses(conn, &desk)?;
        Ok(None)
    }

    /// The PIN was right: the clerk's count begins again. The key's does not, or who knows one PIN could try the others'
    /// for ever; it loses this try.
    pub(super) fn give_back(&self, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        let [mut clerk, mut desk] = self.lock(conn)?;
        (clerk.failures, clerk.locked_until) = (0, 0);
        desk.failures = desk.failures.saturating_sub(1).max(0);
        store::update_guesses(conn, &clerk)?;
        store::update_guesses(conn, &desk)
    }

    /// In one order everywhere: clerks before desks.
    fn lock(&self, conn: &mut AnyConnection) -> Result<[GuessRow; 2], DatabaseError> {
        let now = self.at.as_microsecond();
        Ok([
            store::lock_guesses(conn, &self.merchant, &self.clerk, now)?,
            store::lock_guesses(conn, &self.merchant, &self.desk, now)?,
        ])
    }
}

fn micros(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The wait after so many wrong PINs in a row.
fn wait_after(failures: i64) -> Option<SignedDuration> {
    let beyond = u32::try_from(failures - FREE).ok()?;
    let doubled = 2_i32.checked_pow(beyond).and_then(|times| FIRST_WAIT.checked_mul(times));
    Some(doubled.map_or(LONGEST_WAIT, |wait| wait.min(LONGEST_WAIT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_day() {
        let minutes: Vec<_> = (1..16).map(|failures| wait_after(failures).map(|wait| wait.as_mins())).collect();
        let waits = [15, 30, 60, 120, 240, 480, 960, 1440, 1440, 1440, 1440].map(Some);
        assert_eq!(minutes, [[None; 4].as_slice(), waits.as_slice()].concat());
        assert_eq!(wait_after(i64::MAX), None, "no count is that long");
        assert_eq!(wait_after(FREE + 1_000), Some(LONGEST_WAIT));
    }
}
