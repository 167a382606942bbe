//! The closed place behind an answer.

use std::sync::Arc;

use super::checker::{Answer, Checker};
use crate::access::Merchant;
use crate::decision::reason::ReasonCode;
use crate::perks::closures::Closure;

impl Checker {
    /// The closure that refused, which has the words for guests; as far as this replica knows it. No I/O.
    #[must_use]
    pub fn closure_behind(&self, merchant: &Merchant, answer: &Answer) -> Option<Arc<Closure>> {
        let closed = answer.decided.reasons.iter().find(|reason| reason.code == ReasonCode::PlaceClosed)?;
        self.catalog.closure_until(&merchant.id, &answer.perk, closed.next_eligible_at?)
    }
}
