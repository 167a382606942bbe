//! `token.redeemed` and `token.redeemed_offline`: a door took a token.

use jiff::Timestamp;

use super::canonical::{Nullable, Text, facts, present};
use super::check::GuestsGranted;
use super::occupancy::OccupancyUseLeft;

facts! {
    /// The facts of `token.redeemed`. The first events had nothing of what the token states, from `party` to `tier`, and
    /// later ones `null` where claims couldn't be read. A token may state no party. `token.redeemed_offline`, whose own
    /// time is when the gateway heard of it, has `expires_at` and `redeemed_at` too.
    pub struct TokenRedeemed<'a> {
        attempt_sha256: Text<'a>,
        check: Text<'a>,
        door: Text<'a>,
        /// When the token expires by itself.
        expires_at: Option<Timestamp>,
        /// The guests as they stood, where the tier says something of guests.
        guests: Option<GuestsGranted>,
        /// The places that the guest goes on holding.
        holds: Option<Vec<PlaceHeld<'a>>>,
        kiosk: Nullable<Text<'a>>,
        location: Nullable<Text<'a>>,
        /// How the grant had ended when the gateway heard of it; absent where it had not.
        meanwhile: Option<Text<'a>>,
        /// Why a desk granted it by hand; absent where a rule did.
        override_reason: Option<Text<'a>>,
        /// True where it was granted for pay; absent where it was not.
        paid: Option<bool>,
        #[serde(default, deserialize_with = "present")]
        party: Option<Nullable<i32>>,
        #[serde(default, deserialize_with = "present")]
        perk: Option<Nullable<Text<'a>>>,
        perk_id: Text<'a>,
        /// When the door says it took the token.
        redeemed_at: Option<Timestamp>,
        #[serde(default, deserialize_with = "present")]
        rule_version: Option<Nullable<i32>>,
        slot: Text<'a>,
        #[serde(default, deserialize_with = "present")]
        subject: Option<Nullable<Text<'a>>>,
        #[serde(default, deserialize_with = "present")]
        tier: Option<Nullable<Text<'a>>>,
    }

    /// A place under a concurrent limit, and when it is free at the latest.
    pub struct PlaceHeld<'a> {
        /// Corrections of who is inside that had taken off these people, who come in all the same.
        corrections: Option<Vec<OccupancyUseLeft<'a>>>,
        id: Text<'a>,
        scope: Text<'a>,
        until: Timestamp,
    }
}
