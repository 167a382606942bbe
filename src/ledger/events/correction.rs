//! `grant.corrected`: more or fewer came than were granted.

use jiff::Timestamp;

use super::canonical::{Nullable, Text, facts};
use super::check::GuestsGranted;
use super::occupancy::OccupancyUseLeft;

facts! {
    /// The facts of a correction. Why, and the ages of the children, are sealed.
    pub struct GrantCorrected<'a> {
        check: Text<'a>,
        /// The party from now on: the row of the grant holds it as it stands here.
        corrected: PartyCorrected<'a>,
        /// When it was asked for: the time by which limits counted. The event's own comes a moment later.
        corrected_at: Timestamp,
        /// Number of people that limits count, and how many it was before.
        counted: u64,
        kiosk: Nullable<Text<'a>>,
        /// The counters that went on counting another number.
        limits: Vec<LimitCorrected<'a>>,
        location: Nullable<Text<'a>>,
        perk: Text<'a>,
        perk_id: Text<'a>,
        rule_version: i32,
        subject: Text<'a>,
        tier: Text<'a>,
        was_counted: u64,
        /// Number of people that were let in before, the person included.
        was_party: u64,
    }

    /// The party of a grant as it was corrected last.
    pub struct PartyCorrected<'a> {
        /// How often it was.
        corrections: u64,
        /// The uses that the grant makes of each limit that counts people.
        costs: Vec<CostCorrected<'a>>,
        guests: Option<GuestsGranted>,
        /// Number of people that are let in, the person included.
        party: u64,
    }

    /// The uses that a grant makes of a limit.
    pub struct CostCorrected<'a> {
        cost: u64,
        limit: Text<'a>,
    }

    /// A limit that counts a grant otherwise.
    pub struct LimitCorrected<'a> {
        /// Corrections of who is inside that had taken off these people already.
        corrections: Option<Vec<OccupancyUseLeft<'a>>>,
        cost: u64,
        /// Up to where uses had lapsed, where they lapse one by one.
        horizon: Option<Timestamp>,
        id: Text<'a>,
        max: u64,
        scope: Text<'a>,
        used: u64,
        was_cost: u64,
        window: Text<'a>,
    }
}
