//! The bounds on wrong PINs. They are counted in the database, so that a restart or another replica is no new beginning.

use jiff::{SignedDuration, Timestamp};

use super::store::{self, DAY, GuessRow};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{KeyId, MerchantId};

/// Wrong PINs of a clerk in a row at one desk before the first wait.
const FREE_TRIES: i64 = 5;
/// The first wait; it doubles with every wrong PIN after.
const FIRST_WAIT: SignedDuration = SignedDuration::from_mins(15);
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(24);
/// The wait while a PIN is looked at that would begin one: who is right doesn't wait for longer.
const LOOKING: SignedDuration = SignedDuration::from_secs(5);

/// A number of wrong PINs within a period, whatever was right between.
struct Bound {
    /// Its rows' name beside the key.
    name: &'static str,
    most: i64,
    period: SignedDuration,
}

/// For a clerk, at all desks together.
const CLERK_DAY: Bound = Bound { name: DAY, most: 30, period: SignedDuration::from_hours(24) };
/// At one key, of all clerks together.
const DESK_HOUR: Bound = Bound { name: "hour", most: 20, period: SignedDuration::from_hours(1) };
const DESK_DAY: Bound = Bound { name: DAY, most: 50, period: SignedDuration::from_hours(24) };

impl Bound {
    /// Until when no more is taken, where that is so.
    fn closed_until(&self, row: &mut GuessRow, now: i64) -> i64 {
        let end = row.since.saturating_add(micros(self.period));
        if end <= now {
            (row.failures, row.since) = (0, now);
        }
        if row.failures >= self.most { end } else { 0 }
    }
}

/// One try of a clerk's PIN at the key of a desk.
#[derive(Debug, Clone)]
pub(super) struct PinAttempt {
    pub merchant: MerchantId,
    pub clerk: KeyId,
    pub desk: KeyId,
    pub at: Timestamp,
}

/// The counts that a try stands in, in the order in which they are locked everywhere.
struct Counts {
    /// The clerk's at this desk, so that nobody locks a clerk out of the others.
    pair: GuessRow,
    clerk_day: GuessRow,
    desk_hour: GuessRow,
    desk_day: GuessRow,
}

impl PinAttempt {
    /// Counts a try as wrong, before anybody knows; returns until when no more are taken, where that is so.
    pub(super) fn take(&self, conn: &mut AnyConnection) -> Result<Option<Timestamp>, DatabaseError> {
        let mut counts = self.lock(conn)?;
        let now = self.at.as_microsecond();
        let locked = counts.pair.locked_until.max(CLERK_DAY.closed_until(&mut counts.clerk_day, now));
        let locked = locked.max(DESK_HOUR.closed_until(&mut counts.desk_hour, now));
        let locked = locked.max(DESK_DAY.closed_until(&mut counts.desk_day, now));
        if locked > now {
            return Ok(Some(from_micros(locked)));
        }
        for row in counts.rows() {
            row.failures += 1;
        }
        counts.pair.since = now;
        counts.pair.locked_until = wait_after(counts.pair.failures).map_or(0, |_| now.saturating_add(micros(LOOKING)));
        counts.write(conn)?;
        Ok(None)
    }

    /// The PIN was wrong: the wait begins where one is due.
    pub(super) fn fail(&self, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        let mut pair = self.lock(conn)?.pair;
        let Some(wait) = wait_after(pair.failures) else { return Ok(()) };
        pair.locked_until = pair.locked_until.max(self.at.as_microsecond().saturating_add(micros(wait)));
        store::update_guesses(conn, &pair)
    }

    /// The PIN was right: the clerk's count at this desk begins again. The others do not, or who knows one PIN could try
    /// the others' for ever, and who waits for the clerk to sign in the clerk's; they lose this try.
    pub(super) fn give_back(&self, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        let mut counts = self.lock(conn)?;
        for row in counts.rows() {
            row.failures = row.failures.saturating_sub(1).max(0);
        }
        (counts.pair.failures, counts.pair.locked_until) = (0, 0);
        counts.write(conn)
    }

    fn lock(&self, conn: &mut AnyConnection) -> Result<Counts, DatabaseError> {
        let now = self.at.as_microsecond();
        let mut row = |key: &KeyId, counted: &str| store::lock_guesses(conn, &self.merchant, key, counted, now);
        Ok(Counts {
            pair: row(&self.clerk, self.desk.as_str())?,
            clerk_day: row(&self.clerk, CLERK_DAY.name)?,
            desk_hour: row(&self.desk, DESK_HOUR.name)?,
            desk_day: row(&self.desk, DESK_DAY.name)?,
        })
    }
}

impl Counts {
    fn rows(&mut self) -> [&mut GuessRow; 4] {
        [&mut self.pair, &mut self.clerk_day, &mut self.desk_hour, &mut self.desk_day]
    }

    fn write(&mut self, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        for row in self.rows() {
            store::update_guesses(conn, row)?;
        }
        Ok(())
    }
}

fn micros(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The wait after so many wrong PINs in a row.
fn wait_after(failures: i64) -> Option<SignedDuration> {
    let beyond = u32::try_from(failures - FREE_TRIES).ok()?;
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
        assert_eq!(wait_after(FREE_TRIES + 1_000), Some(LONGEST_WAIT));
    }
}
