//! Parts of the page of an answer.

use super::words::Moment;

/// A grant, and what can be done about it.
pub(super) struct GrantView {
    pub tag: String,
    pub people: u64,
    /// The children who are too young to count, and the age that they are under.
    pub young: Option<(u64, u8)>,
    pub terms: Option<String>,
    pub is_corrected: bool,
    pub correct_until: Option<Moment>,
    pub undo_until: Option<Moment>,
}

/// A way by hand.
pub(super) struct OpeningView {
    pub reasons: Vec<(String, String)>,
    pub tiers: Vec<(String, String)>,
    pub left: u64,
    pub resets: Option<Moment>,
    pub until: Moment,
    /// The price of the first offer that has one, with its currency.
    pub price: Option<(String, String)>,
}

impl GrantView {
    pub(super) const fn fewer(&self) -> u64 {
        self.people.saturating_sub(1)
    }
}
