//! The bounds on wrong passwords. They are counted in the database, so that a restart or another replica is no new
//! beginning. What is counted by is a keyed hash: nobody reads there who tried to log in, or from where.

use jiff::{SignedDuration, Timestamp};

use super::error::LogInError;
use super::session::Session;
use super::store::{self, AttemptRow};
use crate::access::directory::Directory;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;

/// The time after which a count begins again.
pub(super) const PERIOD: SignedDuration = SignedDuration::from_mins(15);

/// Most wrong passwords of one name from one address, or of one session: who types them locks nobody out elsewhere.
const OF_ONE: i64 = 5;
/// Most of one name from anywhere: many addresses try no more than this. It has its price: ten addresses together lock a
/// name for the rest of the period. Who is logged in then goes on, and may still change their password.
const OF_NAME: i64 = 50;
/// Most from one address, of any name: people behind one address share it.
const OF_ADDRESS: i64 = 50;

/// One try at a password. Unknown names are counted as known ones are.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    /// The name and the address together, or the session.
    one: [u8; 32],
    /// None for someone who is logged in.
    name: Option<[u8; 32]>,
    address: [u8; 32],
    at: Timestamp,
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
    fn bounds(&self) -> Vec<([u8; 32], i64)> {
        let mut bounds = vec![(self.one, OF_ONE), (self.address, OF_ADDRESS)];
        bounds.extend(self.name.map(|name| (name, OF_NAME)));
        // Everyone locks in one order.
        bounds.sort_unstable();
        bounds
    }

    /// Counts a try as wrong, before anybody knows: many at once are then no more than as many one by one. One that is
    /// refused leaves no row behind, so that strangers can't fill the table with names.
    pub(super) fn take(&self, conn: &mut AnyConnection) -> Result<Counted, DatabaseError> {
        let (now, period) = (self.at.as_microsecond(), micros(PERIOD));
        let (bounds, mut locked) = (self.bounds(), 0);
        let end_of = |row: &AttemptRow| row.since.saturating_add(period);
        for (counted, most) in &bounds {
            if let Some(row) = store::find_attempts(conn, counted)?.filter(|row| row.failures >= *most) {
                locked = locked.max(end_of(&row));
            }
        }
        if locked > now {
            return Ok(Counted::Locked(from_micros(locked)));
        }
        let (mut rows, mut left): (Vec<AttemptRow>, i64) = (Vec::new(), i64::MAX);
        for (counted, most) in bounds {
            let mut row = store::lock_attempts(conn, &counted, now)?;
            if end_of(&row) <= now {
                (row.failures, row.since) = (0, now);
            }
            // Others may have counted since the look above.
            if row.failures >= most {
                locked = locked.max(end_of(&row));
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
    pub(super) fn clear(&self, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        for (counted, _) in self.bounds() {
            if counted == self.one {
                store::clear_attempts(conn, &counted)?;
            } else {
                store::decrement_attempts(conn, &counted)?;
            }
        }
        Ok(())
    }

    /// Nobody knows whether the password was right: every count loses this try.
    fn give_back(&self, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        self.bounds().iter().try_for_each(|(counted, _)| store::decrement_attempts(conn, counted))
    }
}

impl Directory {
    /// A try to log in, as it is counted.
    pub(super) fn attempt(&self, name: &str, address: &str) -> Attempt {
        let name = name.trim().to_lowercase();
        Attempt {
            one: self.counted(b"log-in of both\0", [address.as_bytes(), name.as_bytes()]),
            name: Some(self.counted(b"log-in of a name\0", [b"", name.as_bytes()])),
            address: self.counted(b"log-in from an address\0", [b"", address.as_bytes()]),
            at: self.clock.now(),
        }
    }

    /// A password or code of someone who is logged in: counted by their session, so that nobody who types their name
    /// elsewhere is in their way.
    pub(super) fn attempt_of(&self, session: &Session, address: &str) -> Attempt {
        Attempt {
            one: self.counted(b"password of a session\0", [b"", &session.token]),
            name: None,
            ..self.attempt(session.account.as_str(), address)
        }
    }

    fn counted(&self, label: &[u8], [one, other]: [&[u8]; 2]) -> [u8; 32] {
        // Its length first, so that no two pairs of parts are one text.
        self.blind(&[label, &(one.len() as u64).to_be_bytes(), one, other])
    }

    /// Counts a try as wrong before anything is looked at; returns how many more may be.
    pub(super) async fn count_try(&self, attempt: &Attempt) -> Result<u32, LogInError> {
        let counted = attempt.clone();
        match self.count_guess(move |conn| counted.take(conn)).await? {
            Counted::Locked(until) => Err(LogInError::Locked { until }),
            Counted::Left(left) => Ok(left),
        }
    }

    /// Gives a counted try back where it ended without an answer, for want of a core or of the database.
    pub(super) async fn settle<T>(&self, attempt: &Attempt, outcome: Result<T, LogInError>) -> Result<T, LogInError> {
        if let Err(LogInError::Busy | LogInError::Database(_)) = &outcome {
            let attempt = attempt.clone();
            let given = self.count_guess(move |conn| attempt.give_back(conn)).await;
            if let Err(error) = given {
                tracing::debug!(%error, "a try at a password could not be given back");
            }
        }
        outcome
    }
}

fn micros(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
