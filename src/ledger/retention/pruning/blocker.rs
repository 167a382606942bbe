//! Why old bodies can't go now, and until when.

use jiff::Timestamp;

/// A reason that stands in the way of pruning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockedBy {
    /// A retry under an idempotency key reads its answer from the event.
    Retries,
    /// A door may still take the token of a grant, and its check is asked for.
    UnspentGrants,
    /// A guest still holds a place under a concurrent limit.
    HeldPlaces,
    /// A limit's window is open, and its counter is proven by the events.
    OpenWindows,
    /// Nobody has decided about the check yet.
    OpenReferrals,
}

impl BlockedBy {
    /// A stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Retries => "retries",
            Self::UnspentGrants => "unspent_grants",
            Self::HeldPlaces => "held_places",
            Self::OpenWindows => "open_windows",
            Self::OpenReferrals => "open_referrals",
        }
    }

    /// A description of the things that are counted.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Retries => "events younger than 24 hours, from which retries under an idempotency key are answered",
            Self::UnspentGrants => "grants whose tokens a door may still take",
            Self::HeldPlaces => "places that guests hold under a concurrent limit",
            Self::OpenWindows => "uses of limits whose windows may still be open, which the events prove",
            Self::OpenReferrals => "referrals and contests that nobody has decided",
        }
    }
}

/// Something that stands in the way, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PruningBlocker {
    pub reason: BlockedBy,
    pub count: u64,
    /// None where it is not time that lifts it.
    pub until: Option<Timestamp>,
}
