//! The names that rules look at and that are known not to be declared.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::database::followed::POLL_EVERY;
use crate::foundation::ids::MerchantId;

/// Names that the database was asked about and that were not declared. Each check of a rule that looks at one would
/// wait for the database to say so again, which the next poll says anyway.
#[derive(Debug, Clone, Default)]
pub(in crate::perks) struct Undeclared {
    asked: Arc<Mutex<HashMap<(MerchantId, String), Instant>>>,
}

impl Undeclared {
    /// True if the database said of each within the last poll's interval that it is not declared.
    pub(super) fn knows(&self, merchant: &MerchantId, names: &[String], now: Instant) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known =
            |name: &String| asked.get(&(merchant.clone(), name.clone())).is_some_and(|at| is_recent(*at, now));
        names.iter().all(is_known)
    }

    /// Remembers that these are not declared.
    pub(super) fn remember(&self, merchant: &MerchantId, names: Vec<String>, now: Instant) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, at| is_recent(*at, now));
        asked.extend(names.into_iter().map(|name| ((merchant.clone(), name), now)));
    }
}

fn is_recent(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < POLL_EVERY
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_name_is_not_asked_about_again_until_a_poll_would_have_said_it() {
        let merchant: MerchantId = "mer_018f3c2e7b7a7000800000000000abcd".parse().unwrap();
        let other: MerchantId = "mer_018f3c2e7b7a7000800000000000abce".parse().unwrap();
        let (known, begun) = (Undeclared::default(), Instant::now());
        let names = |of: &[&str]| of.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(!known.knows(&merchant, &names(&["status"]), begun));
        known.remember(&merchant, names(&["status"]), begun);
        assert!(known.knows(&merchant, &names(&["status"]), begun));
        assert!(!known.knows(&other, &names(&["status"]), begun));
        assert!(!known.knows(&merchant, &names(&["status", "nights"]), begun));
        let later = begun + POLL_EVERY - Duration::from_millis(1);
        known.remember(&merchant, names(&["nights"]), later);
        assert!(known.knows(&merchant, &names(&["status", "nights"]), later));
        assert!(!known.knows(&merchant, &names(&["status"]), begun + POLL_EVERY));
        known.remember(&merchant, Vec::new(), begun + POLL_EVERY);
        assert_eq!(known.asked.lock().unwrap().len(), 1, "what is old is dropped");
    }
}
