//! `grant.released` and `grant.voided`: the end of a grant before its time; `grant.freed`: what one that was undone had used.

use jiff::Timestamp;

use super::canonical::{Nullable, Text, facts, present};
use super::check::GuestsGranted;
use super::occupancy::OccupancyUseLeft;

facts! {
    /// The facts of the end of a grant. Earlier events have `null` for what the token states where claims couldn't be
    /// read. A token may state no party.
    pub struct GrantEnded<'a> {
        check: Text<'a>,
        /// The event's own time is that of its turn, which may come a moment later. The first ends had that alone.
        ended_at: Option<Timestamp>,
        /// Voids of undone grants only: when what it used of limits is to be free, where that is later.
        frees_at: Option<Timestamp>,
        /// The guests as they stood, where the tier says something of guests.
        guests: Option<GuestsGranted>,
        /// Voids only: what it used of limits was left used.
        keeps_uses: Option<bool>,
        /// Releases only, as the location.
        #[serde(default, deserialize_with = "present")]
        kiosk: Option<Nullable<Text<'a>>>,
        #[serde(default, deserialize_with = "present")]
        location: Option<Nullable<Text<'a>>>,
        /// The first voids had it in the clear, as revocations of tokens still do.
        note: Option<Text<'a>>,
        party: Nullable<i32>,
        perk: Nullable<Text<'a>>,
        perk_id: Text<'a>,
        /// Voids of undone grants only: why.
        reason: Option<Text<'a>>,
        /// The uses of limits that came back.
        returned: Vec<UseReturned<'a>>,
        /// True where the token was revoked.
        revoked: Option<bool>,
        rule_version: Nullable<i32>,
        subject: Nullable<Text<'a>>,
        tier: Nullable<Text<'a>>,
    }

    /// The use of one limit that came back.
    pub struct UseReturned<'a> {
        /// Corrections of who is inside that had taken off these people already.
        corrections: Option<Vec<OccupancyUseLeft<'a>>>,
        cost: u64,
        id: Text<'a>,
        /// Places only: when it had been free by itself; absent where it was held still.
        lapsed_at: Option<Timestamp>,
        scope: Text<'a>,
        window: Text<'a>,
    }
}
