//! The parts of a rule, as they are read: which reading they need, and their canonical form.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use super::blackout::Blackout;
use super::condition::Condition;
use super::engine::FLOOR;
use super::limit::Limit;
use super::messages::Messages;
use super::offers::OtherwiseTerms;
use super::overrides::ByHand;
use super::schedule::Schedule;
use super::terms::{Rollout, ScorePolicy, TokenTerms, Valid};
use super::tier::Tier;
use crate::foundation::document::text;
use crate::foundation::json::Json;

/// The members of a rule's document.
pub(super) const MEMBERS: [&str; 15] = [
    "at_least",
    "names",
    "time_zone",
    "valid",
    "score",
    "schedule",
    "blackouts",
    "when",
    "tiers",
    "limits",
    "token",
    "rollout",
    "otherwise",
    "override",
    "paid",
];

/// The parts of a rule, before it is compiled.
pub(super) struct Parts {
    pub(super) names: Option<Messages>,
    pub(super) zone: TimeZone,
    pub(super) valid: Valid,
    pub(super) score: Option<ScorePolicy>,
    pub(super) schedule: Schedule,
    pub(super) blackouts: Vec<Blackout>,
    pub(super) when: Option<Condition>,
    pub(super) tiers: Vec<Tier>,
    pub(super) limits: Vec<Limit>,
    pub(super) token: TokenTerms,
    pub(super) rollout: Rollout,
    pub(super) otherwise: OtherwiseTerms,
    pub(super) by_hand: ByHand,
}

impl Parts {
    /// The reading that they need together: the newest that any of them needs.
    pub(super) fn engine(&self, instants: &BTreeSet<String>, needs_more: bool) -> u32 {
        let is_plain = self.names.is_none()
            && self.blackouts.is_empty()
            && self.by_hand.is_none()
            && instants.is_empty()
            && !needs_more;
        let own = if is_plain { self.token.engine() } else { FLOOR };
        let (limits, tiers) = (self.limits.iter().map(Limit::engine), self.tiers.iter().map(Tier::engine));
        limits.chain(tiers).chain([own, self.schedule.engine(), self.otherwise.engine()]).max().unwrap_or(own)
    }

    pub(super) fn to_json(&self) -> Json {
        let mut members = vec![
            ("time_zone", text(self.zone.iana_name().unwrap_or("UTC"))),
            ("valid", self.valid.to_json()),
            ("score", self.score.as_ref().map_or(Json::Null, ScorePolicy::to_json)),
            ("schedule", self.schedule.to_json()),
            ("when", self.when.as_ref().map_or(Json::Null, Condition::to_json)),
            ("tiers", Json::List(self.tiers.iter().map(Tier::to_json).collect())),
            ("limits", Json::List(self.limits.iter().map(Limit::to_json).collect())),
            ("token", self.token.to_json()),
            ("rollout", self.rollout.to_json()),
        ];
        members.extend(self.names.as_ref().map(|names| ("names", names.to_json())));
        members.extend(self.otherwise.to_json().map(|otherwise| ("otherwise", otherwise)));
        members.extend(self.by_hand.members());
        if !self.blackouts.is_empty() {
            members.push(("blackouts", Json::List(self.blackouts.iter().map(Blackout::to_json).collect())));
        }
        Json::object(members)
    }
}
