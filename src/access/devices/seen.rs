//! When screens were last there, to the minute. Their looks only note it in memory; it is written behind them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::foundation::ids::{KeyId, MerchantId};

/// The interval at which a screen is written that is there with the page that is written of it.
const WRITTEN_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// The time after which a screen that is away is forgotten here.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(1);

/// The longest version of a page that is kept, in letters.
const LONGEST_PAGE: usize = 40;

/// A look of a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::access) struct Look {
    pub key: KeyId,
    pub merchant: MerchantId,
    pub at: Timestamp,
    /// The version of the page that it shows.
    pub page: String,
}

struct Seen {
    look: Look,
    /// The instant and the page as they were last written.
    written: Option<(Timestamp, String)>,
}

impl Seen {
    fn is_due(&self) -> bool {
        let is_written = |(at, page): &(Timestamp, String)| {
            *page == self.look.page && self.look.at.duration_since(*at) < WRITTEN_EVERY
        };
        !self.written.as_ref().is_some_and(is_written)
    }
}

/// The screens that were there of late.
#[derive(Default)]
pub(in crate::access) struct SeenDevices(Mutex<HashMap<KeyId, Seen>>);

impl SeenDevices {
    pub(super) fn note(&self, key: KeyId, merchant: MerchantId, at: Timestamp, page: &str) {
        let page = page.chars().filter(char::is_ascii_graphic).take(LONGEST_PAGE).collect();
        let look = Look { key: key.clone(), merchant, at, page };
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.entry(key).and_modify(|known| known.look = look.clone()).or_insert(Seen { look, written: None });
    }

    /// Takes the looks that are to be written, as if they were; in the order of the keys, so that replicas that write the
    /// same ones take turns.
    pub(in crate::access) fn take(&self, now: Timestamp) -> Vec<Look> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        for known in seen.values_mut().filter(|known| known.is_due()) {
            known.written = Some((known.look.at, known.look.page.clone()));
            due.push(known.look.clone());
        }
        seen.retain(|_, known| now.duration_since(known.look.at) < KEPT_FOR);
        due.sort_by(|one, other| one.key.cmp(&other.key));
        due
    }

    /// Takes these back, which could not be written.
    pub(in crate::access) fn put_back(&self, looks: Vec<Look>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for look in looks {
            seen.entry(look.key.clone())
                .and_modify(|known| known.written = None)
                .or_insert(Seen { look, written: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_is_written_once_a_minute_or_with_another_page() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let key: KeyId = "key_00000000000070008000000000000001".parse().unwrap();
        let merchant: MerchantId = "mer_00000000000070008000000000000001".parse().unwrap();
        let seen = SeenDevices::default();
        let taken = |second: i64, page: &str| {
            seen.note(key.clone(), merchant.clone(), at(second), page);
            seen.take(at(second)).into_iter().map(|look| (look.at, look.page)).collect::<Vec<_>>()
        };
        assert_eq!(taken(0, "one"), [(at(0), "one".to_owned())]);
        assert_eq!(taken(59, "one"), []);
        assert_eq!(taken(60, "one"), [(at(60), "one".to_owned())]);
        assert_eq!(taken(61, "two\n\u{e9}"), [(at(61), "two".to_owned())]);
        assert_eq!(taken(62, &"x".repeat(50)), [(at(62), "x".repeat(40))]);
        assert_eq!(taken(63, &"x".repeat(60)), [], "what is cut off makes no other page");

        seen.note(key.clone(), merchant.clone(), at(200), "y");
        let looks = seen.take(at(200));
        seen.put_back(looks.clone());
        assert_eq!(seen.take(at(201)), looks, "what could not be written is written the next time");
        assert_eq!(seen.take(at(200 + 3_600)), []);
        assert!(seen.0.lock().unwrap().is_empty(), "who is away is forgotten");
    }
}
