//! Recording a batch in one statement, which is its own commit (PostgreSQL).
//!
//! A transaction is seven round trips, and the heads are locked for four of them. Here it is one, or two where limits are
//! asked: the events are placed behind the heads as this process left them, and the statement writes them only
//! if that is so (`store::record_at_once`). When another replica has appended meanwhile it writes nothing, and the batch is
//! recorded in a transaction. SQLite has no round trips.
//!
//! Counters are read without a lock: every use of one comes with an event in its merchant's log, so a head
//! that has not moved since this process's last commit says that they are as they were read. Only sums are counted this way:
//! uses that lapse one by one are also swept away, and nothing is appended for that.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use super::batch::{self, Outcomes};
use super::gathered::Batch;
use super::prepared::{PreparedCheck, can_be_at_once};
use super::writer::{Sent, Writer};
use crate::database::session::Unfinished;
use crate::database::{Abort, AnyConnection, Backend, DatabaseError};
use crate::ledger::store::{self, BatchRows};

/// The way round after a batch that could not be recorded at once: twice as many batches go in transactions as the time
/// before, so that a process that others keep overtaking begins with the transaction.
#[derive(Default)]
pub(super) struct Detour {
    left: u32,
    length: u32,
}

impl Detour {
    const LONGEST: u32 = 64;

    fn is_over(&mut self) -> bool {
        let is_over = self.left == 0;
        self.left = self.left.saturating_sub(1);
        is_over
    }

    fn begin(&mut self) {
        // The batch itself is the first.
        self.left = self.length;
        self.length = (self.length * 2).clamp(1, Self::LONGEST);
    }

    const fn end(&mut self) {
        self.length = 0;
    }
}

impl Writer {
    /// Records the batch in one statement, where that can be: on PostgreSQL, if everything in it can be, and the heads
    /// are as this process left them. None where it can't, or was tried in vain: in a transaction then.
    pub(super) fn record_at_once(&mut self, batch: &Batch) -> Option<Result<Outcomes, Abort<Infallible>>> {
        let database = self.context.database.clone();
        let is_simple = batch.redemptions.is_empty() && batch.checks.iter().all(|(check, _)| can_be_at_once(check));
        if database.backend() != Backend::Postgres || !is_simple || !self.detour.is_over() {
            return None;
        }
        let began = Instant::now();
        let result = self.send_at_once(batch);
        match result {
            // A head has moved, or the database is not as it was: the transaction finds out which.
            Err(Abort::Database(DatabaseError::Constraint(_))) => {
                self.detour.begin();
                None
            }
            // The heads aren't known; or another holds a key, or has made a person, which is no sign of a busy replica.
            Ok(None) | Err(Abort::Database(DatabaseError::Duplicate(_))) => None,
            Ok(Some(outcomes)) => {
                self.detour.end();
                let result = Ok(outcomes);
                self.note(began, &result);
                Some(result)
            }
            Err(abort) => {
                let result = Err(abort);
                self.note(began, &result);
                Some(result)
            }
        }
    }

    fn send_at_once(&mut self, batch: &Batch) -> Result<Option<Outcomes>, Abort<Infallible>> {
        let database = self.context.database.clone();
        database.inspect()?;
        let (context, mut known) = (self.context.clone(), self.known.clone());
        let checks: Vec<Arc<PreparedCheck>> = batch.checks.iter().map(|(it, _)| it.clone()).collect();
        let work = move |conn: &mut AnyConnection| {
            let checks: Vec<&PreparedCheck> = checks.iter().map(Arc::as_ref).collect();
            let placed = batch::record_at_once(conn, &context, &mut known, &checks)?;
            let (rows, outcomes) = placed.ok_or(Abort::Refused(()))?;
            Ok(((outcomes, known), rows))
        };
        let send = |conn: &mut AnyConnection, rows: BatchRows| store::record_at_once(conn, &rows);
        let patience = self.context.transaction_patience();
        let (outcomes, known) = match self.session.at_once(patience, work, send) {
            Ok(((outcomes, mut known), versions)) => {
                known.logs.note_versions(&versions);
                (outcomes, known)
            }
            Err(Unfinished::Aborted(Abort::Refused(()))) => return Ok(None),
            Err(Unfinished::Aborted(Abort::Database(error))) => return Err(self.judged(Abort::Database(error))),
            Err(Unfinished::InDoubt(done, error)) => {
                self.if_it_took(done, error, &batch.event_ids(), Sent::Statement)?
            }
        };
        self.committed(known)?;
        Ok(Some(outcomes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches_until_it_is_over(detour: &mut Detour) -> usize {
        let mut batches = 0;
        while !detour.is_over() {
            batches += 1;
        }
        batches
    }

    #[test]
    fn who_keeps_losing_goes_round_for_longer_each_time_and_who_wins_at_once_again() {
        let mut detour = Detour::default();
        let mut lengths = Vec::new();
        for _ in 0..10 {
            detour.begin();
            lengths.push(batches_until_it_is_over(&mut detour));
        }
        assert_eq!(lengths, [0, 1, 2, 4, 8, 16, 32, 64, 64, 64]);
        detour.end();
        detour.begin();
        assert_eq!(batches_until_it_is_over(&mut detour), 0);
    }
}
