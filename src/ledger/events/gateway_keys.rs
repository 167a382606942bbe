//! The gateway's own keys, in the operator's log.

use jiff::Timestamp;

use super::canonical::{Nullable, Text, facts};

facts! {
    /// The facts of `gateway_key.created` and `gateway_key.rotated`.
    pub struct KeyBegun<'a> {
        public_key: Nullable<Text<'a>>,
        purpose: Text<'a>,
        /// The keys that it takes over from: rotations only.
        retires: Option<Vec<KeyRetired<'a>>>,
        retires_at: Nullable<Timestamp>,
        signs_from: Timestamp,
    }

    /// The facts of `gateway_key.revoked`.
    pub struct KeyWithdrawn<'a> {
        next: NextKey<'a>,
        /// The other keys' new dates, as there may be no other event about them.
        retires: Vec<KeyRetired<'a>>,
        revoked_at: Timestamp,
    }

    /// The key that signs in the place of one that was withdrawn.
    pub struct NextKey<'a> {
        kid: Text<'a>,
        signs_from: Timestamp,
    }

    /// A key, and when it retires.
    pub struct KeyRetired<'a> {
        at: Nullable<Timestamp>,
        kid: Text<'a>,
    }
}
