//! The entries that were gathered for one transaction, and their callers.

use std::sync::Arc;
use std::time::Instant;

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
