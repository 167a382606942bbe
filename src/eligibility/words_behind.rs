//! The words for the guest of an answer: those of its rule, and of the place that was closed.

use std::sync::Arc;

use super::checker::{Answer, Checker};
use crate::access::Merchant;
use crate::perks::active_perk::Deciding;
use crate::perks::error::PerkError;
use crate::rules::messages::Messages;

impl Checker {
    /// The rule that an answer was decided by, which has the words and names for its guest; none where it can't be read
    /// now: the answer stands all the same, and there are standard sentences. No I/O where it decides still.
    pub async fn rule_behind(&self, merchant: &Merchant, answer: &Answer) -> Option<Arc<Deciding>> {
        let read = self.catalog.read_version(&merchant.id, &answer.perk, answer.rule_version).await;
        let said = |error: &PerkError| {
            tracing::debug!(%error, "standard sentences are said to guests: the rule can't be read");
        };
        read.inspect_err(said).ok()
    }

    /// The words of the closure that refused, if it had some; those that it was made with, though it may be over or another's
    /// by now. None where they can't be read: there are standard sentences. No I/O where it closes still.
    pub async fn words_of_closure_behind(&self, merchant: &Merchant, answer: &Answer) -> Option<Messages> {
        let closure = answer.decided.reasons.iter().find_map(|reason| reason.closure.as_deref())?;
        let said = |error: &PerkError| {
            tracing::debug!(%error, "a standard sentence is said to guests: the closure can't be read");
        };
        self.catalog.words_of_closure(&merchant.id, &answer.perk, closure).await.inspect_err(said).ok()?
    }
}
