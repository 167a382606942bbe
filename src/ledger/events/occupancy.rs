//! `occupancy.corrected`: more or fewer are inside than the counter says.

use jiff::Timestamp;

use super::canonical::{Nullable, Text, facts};

facts! {
    /// The facts of a correction of how many are inside, which is about a perk. It names nobody.
    pub struct OccupancyCorrected<'a> {
        /// The other limits that count who is inside there, where they could be corrected too. The first corrections were of
        /// one limit each.
        also: Option<Vec<OccupancyOfLimit<'a>>>,
        /// By the counter's time: up to where uses had lapsed.
        corrected_at: Timestamp,
        correction: Text<'a>,
        /// How many more, or fewer, are inside than were counted.
        delta: i64,
        limit: Text<'a>,
        /// None where the perk is counted as a whole.
        location: Nullable<Text<'a>>,
        max: u64,
        perk: Text<'a>,
        perk_id: Text<'a>,
        reason: Text<'a>,
        scope: Text<'a>,
        /// How many are inside from now on.
        used: u64,
        /// The uses that it makes of the limit.
        uses: Vec<OccupancyUse<'a>>,
    }

    /// Another limit that was corrected with it.
    pub struct OccupancyOfLimit<'a> {
        /// By its own counter's time.
        corrected_at: Timestamp,
        /// Nearer to nothing than the other where fewer are counted than were taken off.
        delta: i64,
        id: Text<'a>,
        max: u64,
        scope: Text<'a>,
        used: u64,
        uses: Vec<OccupancyUse<'a>>,
    }

    /// One use of a correction, below zero for those who left.
    pub struct OccupancyUse<'a> {
        cost: i64,
        /// The name of the use, in the place of a grant's.
        id: Text<'a>,
        /// When it lapses.
        until: Timestamp,
    }

    /// A use of a correction whose people were taken off twice, as they turned out to have left, or to come in after all.
    pub struct OccupancyUseLeft<'a> {
        /// Its cost from now on, at most nothing; one of no cost is no more.
        cost: i64,
        id: Text<'a>,
    }
}
