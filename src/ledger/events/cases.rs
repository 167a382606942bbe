//! Referrals and contests: a case is opened, and a person decides it.

use jiff::Timestamp;

use super::canonical::{Nullable, Text, facts};
use super::check::ReasonGiven;
use crate::decision::decide::Decision;

facts! {
    /// The facts of `contest.opened` and `contest.added`.
    pub struct ContestOpened<'a> {
        /// Additions only: the check whose case it belongs to.
        case: Option<Text<'a>>,
        /// When the check was refused.
        decided_at: Timestamp,
        decision: Decision,
        perk: Text<'a>,
        perk_id: Text<'a>,
        reasons: Vec<ReasonGiven<'a>>,
        rule_version: i32,
        subject: Text<'a>,
    }

    /// The facts of `referral.decided`, `contest.upheld`, `contest.overturned` and `contest.closed`.
    pub struct CaseDecided<'a> {
        /// The check that was granted in its place.
        check: Nullable<Text<'a>>,
        /// The status of the case from then on.
        decision: Text<'a>,
        grant: Nullable<Text<'a>>,
        perk: Text<'a>,
        perk_id: Text<'a>,
        rule_version: i32,
        subject: Text<'a>,
    }
}
