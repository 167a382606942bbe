//! `token.redeemed`: a door took a token.

use jiff::Timestamp;

use super::canonical::{Nullable, Text, facts, present};
use super::check::GuestsGranted;

facts! {
    /// The facts of `token.redeemed`. The first events had nothing of what the token states, from `party` to `tier`, and
    /// later ones `null` where claims couldn't be read. A token may state no party.
    pub struct TokenRedeemed<'a> {
        attempt_sha256: Text<'a>,
        check: Text<'a>,
        door: Text<'a>,
        /// The guests as they stood, where the tier says something of guests.
        guests: Option<GuestsGranted>,
        /// The places that the guest goes on holding.
        holds: Option<Vec<PlaceHeld<'a>>>,
        kiosk: Nullable<Text<'a>>,
        location: Nullable<Text<'a>>,
        #[serde(default, deserialize_with = "present")]
        party: Option<Nullable<i32>>,
        #[serde(default, deserialize_with = "present")]
        perk: Option<Nullable<Text<'a>>>,
        perk_id: Text<'a>,
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
        id: Text<'a>,
        scope: Text<'a>,
        until: Timestamp,
    }
}
