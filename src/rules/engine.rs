//! Readings of rules, by number.
//!
//! A reading is what a rule comes to, given the facts. A rule that asks for nothing that an earlier reading lacks goes on
//! being read by it, and its checks say so: they can be replayed by every build that knows that reading.

/// Scores, conditions, schedules, tiers and limits.
pub const PLAIN: u32 = 2;
/// The wants of a lounge's floor: flight windows, boarding passes, guests, members, blackouts, quarters and years, places
/// of different size, offers, and words for guests.
pub const FLOOR: u32 = 3;

/// The newest reading that this build knows.
pub const ENGINE_VERSION: u32 = FLOOR;
