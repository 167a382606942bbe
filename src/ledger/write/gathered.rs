//! The entries that were gathered for one transaction, and their callers; and when the next are gathered.
//!
//! A batch costs much the same however many entries it has: a commit, a checkpoint, a handful of statements. Callers who
//! were answered just now ask again in a moment; a batch that began at once would leave them out, and as many would wait
//! for the next: two batches in the place of one. So the writer gives them that moment. It waits only after a batch of
//! many, not when nobody comes for a while, and never for longer than half of what the last batch took, so that nobody
//! waits for those who don't come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::batch::{CheckOutcome, Outcomes};
use super::prepared::PreparedCheck;
use crate::database::DatabaseError;
use crate::ledger::LedgerError;
use crate::ledger::door::{RedeemEntry, Redeemed};

/// The channel of the answer that a caller waits for.
pub(crate) type Reply<T, E = LedgerError> = oneshot::Sender<Result<T, E>>;

/// The entries that one transaction records, with the caller that waits for each.
#[derive(Default)]
pub(super) struct Batch {
    pub checks: Vec<(Arc<PreparedCheck>, Reply<CheckOutcome>)>,
    pub redemptions: Vec<(Arc<RedeemEntry>, Reply<Redeemed>)>,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.checks.len() + self.redemptions.len()
    }

    /// Those for which nobody waits any more are answered and left out.
    pub(super) fn leave_out_late(&mut self, now: Instant) {
        for (_, reply) in self.checks.extract_if(.., |(it, reply)| it.deadline <= now || reply.is_closed()) {
            let _ = reply.send(Err(LedgerError::Busy));
        }
        for (_, reply) in self.redemptions.extract_if(.., |(it, reply)| it.deadline <= now || reply.is_closed()) {
            let _ = reply.send(Err(LedgerError::Busy));
        }
    }

    /// The ids of the events that it may write: replays write none, so any of them tells.
    pub(super) fn event_ids(&self) -> Vec<String> {
        let checks = self.checks.iter().map(|(it, _)| &it.event);
        let events = checks.chain(self.redemptions.iter().map(|(it, _)| &it.event));
        events.map(|event| event.as_str().to_owned()).collect()
    }

    pub(super) fn one_by_one(self) -> impl Iterator<Item = Self> {
        let checks = self.checks.into_iter().map(|it| Self { checks: vec![it], ..Self::default() });
        checks.chain(self.redemptions.into_iter().map(|it| Self { redemptions: vec![it], ..Self::default() }))
    }

    pub(super) fn fail(self, error: &DatabaseError) {
        for (_, reply) in self.checks {
            let _ = reply.send(Err(LedgerError::from(error)));
        }
        for (_, reply) in self.redemptions {
            let _ = reply.send(Err(LedgerError::from(error)));
        }
    }

    pub(super) fn answer(self, recorded: Outcomes) {
        for ((_, reply), outcome) in self.checks.into_iter().zip(recorded.checks) {
            let _ = reply.send(Ok(outcome));
        }
        for ((_, reply), outcome) in self.redemptions.into_iter().zip(recorded.redemptions) {
            let _ = reply.send(Ok(outcome));
        }
    }
}

/// A batch of fewer entries is followed by the next at once: people don't come back within a moment.
const MANY: usize = 8;
/// The longest wait.
const LONGEST: Duration = Duration::from_millis(2);
/// Where nobody has come for so long, nobody does: the workers send all answers before they read what comes next.
const QUIET: Duration = Duration::from_millis(1);
const STEP: Duration = Duration::from_micros(200);

/// The pace of the writer: what it knows of its last batch.
#[derive(Default)]
pub(super) struct Pace {
    entries: usize,
    took: Duration,
}

impl Pace {
    /// Notes how many entries the last batch had, and how long it took.
    pub(super) const fn note(&mut self, entries: usize, took: Duration) {
        (self.entries, self.took) = (entries, took);
    }

    /// Waits for those who were answered in the last batch, beside the `waiting` entries that are there already.
    pub(super) fn wait(&self, largest_batch: usize, mut waiting: impl FnMut() -> usize) {
        let began = Instant::now();
        let (mut seen, mut came) = (waiting(), began);
        let Some((expected, longest)) = self.expected(seen, largest_batch) else { return };
        while seen < expected && began.elapsed() < longest && came.elapsed() < QUIET {
            std::thread::sleep(STEP);
            let now = waiting();
            if now > seen {
                (seen, came) = (now, Instant::now());
            }
        }
    }

    /// How many entries are waited for, and for how long; none where the batch begins at once.
    fn expected(&self, waiting: usize, largest_batch: usize) -> Option<(usize, Duration)> {
        let expected = self.entries.saturating_add(waiting).min(largest_batch);
        let is_worth_it = self.entries >= MANY && waiting < expected;
        is_worth_it.then(|| (expected, LONGEST.min(self.took / 2)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(entries: usize, took_ms: u64) -> Pace {
        let mut pace = Pace::default();
        pace.note(entries, Duration::from_millis(took_ms));
        pace
    }

    #[test]
    fn nobody_waits_where_few_ask_or_the_batch_is_full() {
        assert_eq!(Pace::default().expected(1, 256), None);
        assert_eq!(pace(MANY - 1, 9).expected(1, 256), None);
        assert_eq!(pace(64, 9).expected(64, 64), None);
    }

    #[test]
    fn the_wait_is_for_those_who_were_answered_and_half_as_long_as_that_took() {
        assert_eq!(pace(30, 3).expected(34, 256), Some((64, Duration::from_micros(1500))));
        assert_eq!(pace(30, 300).expected(34, 40), Some((40, LONGEST)));
    }

    #[test]
    fn it_ends_when_all_are_there_and_when_nobody_comes_any_more() {
        let looks = |coming: &mut dyn Iterator<Item = usize>| {
            let mut looks = 0;
            pace(8, 600_000).wait(256, || {
                looks += 1;
                coming.next().unwrap()
            });
            looks
        };
        assert_eq!(looks(&mut [2, 10].into_iter()), 2);
        looks(&mut std::iter::repeat_n(2, 100));
    }
}
