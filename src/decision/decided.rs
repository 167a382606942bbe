//! One decision, carried: [`decide`](super::decide::decide) makes it, the limits have their say, and it goes as it is
//! into the log, into the answer and back.
//!
//! A new fact about a decision is a member of [`Decided`]: `decide.rs` finds it, `ledger/write/check.rs` writes it into
//! the event and reads it back, and each view that shows it names it. Everything between embeds [`Decided`] whole.
//!
//! Which rule decided is said by the check, beside its perk: a rule that is tried out may be no version.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::decide::Decision;
use super::reason::{Reason, ReasonCode};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::SourceName;
use crate::foundation::period::Period;
use crate::rules::limit::LimitClaim;
use crate::rules::tier::Tier;
use crate::rules::tier::guests::Guests;
use crate::rules::tier::party::Party;

/// A decision and all there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    pub decision: Decision,
    /// The id of the tier that was granted.
    pub tier: Option<String>,
    /// The tier that the rule granted and the limits refused.
    pub refused_tier: Option<String>,
    /// Never empty unless granted. Of a grant it is `score_met`, or why the score was left out of
    /// account, or nothing where none was needed. Codes only, once the person has been erased.
    pub reasons: Vec<Reason>,
    /// The limits that were asked; none are until the rule has granted.
    pub limits: Vec<LimitTouched>,
    /// The score that was known; none without a rule about one, or once the person has been erased.
    pub score: Option<ScoreSeen>,
    /// The least instant within [`HORIZON`](super::forecast::HORIZON) at which the same facts are granted, if waiting is
    /// all it takes.
    pub next_eligible_at: Option<Timestamp>,
    /// The longest that the granted tier promises to let the person wait.
    pub max_wait: Option<Period>,
    /// The guests that were admitted with the person, where the granted tier says something of guests.
    pub guests: Option<Guests>,
}

/// The score that a decision rested on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreSeen {
    pub source: SourceName,
    pub value: Decimal,
    pub observed_at: Timestamp,
    /// True if it is young enough for the rule.
    pub fresh: bool,
}

/// The answer of one limit to a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitTouched {
    pub id: String,
    pub scope: String,
    pub window: String,
    pub cost: u64,
    pub max: u64,
    /// Used in this window, this check included if it was admitted.
    pub used: u64,
    pub resets_at: Option<Timestamp>,
    /// An override has used it past its maximum.
    pub past_max: bool,
    /// The use, where the limit counts uses one by one; none for a calendar window or a lifetime.
    pub counted: Option<UseTouched>,
}

/// Where one check met a counter whose uses lapse one by one: positions on its own time, which
/// never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UseTouched {
    /// Uses at or behind it had lapsed.
    pub horizon: Timestamp,
    /// Where the use stands: when it was made (rolling), or until when it is held if no door takes
    /// the token (concurrent). None for a refusal.
    pub counts_at: Option<Timestamp>,
}

/// The answer of all limits of a rule to one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    pub admitted: bool,
    pub limits: Vec<LimitTouched>,
    /// Why not, one for each limit that had no room.
    pub refusals: Vec<Reason>,
    /// From when on all of them have room; none where that is never, or nobody knows.
    pub room_at: Option<Timestamp>,
}

impl Decided {
    /// The same, with the closure of the place that refused.
    #[must_use]
    pub fn naming_closure(mut self, closure: Option<&str>) -> Self {
        for reason in self.reasons.iter_mut().filter(|reason| reason.code == ReasonCode::PlaceClosed) {
            reason.closure = closure.map(str::to_owned);
        }
        self
    }

    /// A decision that rests on nothing but its reasons: no tier, no score, no limit.
    #[must_use]
    pub const fn because(decision: Decision, reasons: Vec<Reason>) -> Self {
        Self {
            decision,
            tier: None,
            refused_tier: None,
            reasons,
            limits: Vec::new(),
            score: None,
            next_eligible_at: None,
            max_wait: None,
            guests: None,
        }
    }

    /// A grant of `tier` to `party`, with what the tier promises.
    #[must_use]
    pub fn granted(tier: &Tier, party: &Party, reasons: Vec<Reason>) -> Self {
        let tier_id = Some(tier.id.clone());
        let guests = tier.admitted(party).guests;
        Self { tier: tier_id, max_wait: tier.max_wait, guests, ..Self::because(Decision::Granted, reasons) }
    }

    /// Number of people that are let in of so many who came, the person included: what the token says.
    #[must_use]
    pub fn admitted(&self, party: &Party) -> u64 {
        self.guests.map_or_else(|| party.size(), |guests| guests.admitted().saturating_add(1))
    }

    /// The decision about everybody while the perk is paused, whatever the rule says.
    #[must_use]
    pub fn paused() -> Self {
        Self::because(Decision::Denied, vec![Reason::new(ReasonCode::PerkPaused)])
    }

    /// Tells whether it is a grant.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        self.decision == Decision::Granted
    }

    /// The same, with what the limits say to it: they have the last word about a grant. `next_eligible_at` is when they
    /// have room and all the rest of the rule grants.
    #[must_use]
    pub fn limited(self, admission: Admission, next_eligible_at: Option<Timestamp>) -> Self {
        let Admission { admitted, limits, refusals, room_at: _ } = admission;
        if admitted {
            return Self { limits, ..self };
        }
        let refused = Self::because(Decision::Denied, refusals);
        Self { refused_tier: self.tier, limits, score: self.score, next_eligible_at, ..refused }
    }

    /// The same, with what limits say whose uses are not known: nothing, unless one never admits as much as is claimed.
    #[must_use]
    pub fn within(self, claims: &[LimitClaim]) -> Self {
        let too_large = claims.iter().filter(|claim| claim.never_fits());
        let refusals: Vec<_> = too_large.map(|claim| Reason::limit_reached(claim, None)).collect();
        let (admitted, limits) = (refusals.is_empty(), self.limits.clone());
        self.limited(Admission { admitted, limits, refusals, room_at: None }, None)
    }
}

impl LimitTouched {
    /// The amount that is left in this window.
    #[must_use]
    pub const fn remaining(&self) -> u64 {
        self.max.saturating_sub(self.used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::json::Json;
    use crate::rules::limit::Place;
    use crate::rules::rule::Rule;

    fn claims(max: u64, party: u64) -> Vec<LimitClaim> {
        let limit =
            format!(r#"{{"id":"day","scope":["perk"],"max":{max},"cost":"party","window":{{"calendar":"day"}}}}"#);
        let rule = format!(r#"{{"tiers":[{{"id":"t"}}],"limits":[{limit}]}}"#);
        let rule = Rule::parse(&Json::parse(&rule).unwrap(), "perk").unwrap();
        rule.claims(
            "t",
            &Party::of(party),
            &Place { merchant: "mer_1", location: None, kiosk: None, pass_month: None },
            Timestamp::UNIX_EPOCH,
        )
    }

    fn granted() -> Decided {
        let score = ScoreSeen {
            source: "klout".parse().unwrap(),
            value: Decimal::from_whole(50),
            observed_at: Timestamp::UNIX_EPOCH,
            fresh: true,
        };
        Decided {
            tier: Some("t".into()),
            score: Some(score),
            max_wait: Some(Period::from_seconds(300)),
            ..Decided::because(Decision::Granted, vec![Reason::new(ReasonCode::ScoreMet)])
        }
    }

    fn touched() -> Vec<LimitTouched> {
        vec![LimitTouched {
            id: "day".into(),
            scope: "/perk".into(),
            window: "1970-01-01+00:00".into(),
            cost: 1,
            max: 2,
            used: 2,
            past_max: false,
            resets_at: None,
            counted: None,
        }]
    }

    #[test]
    fn a_limit_takes_the_tier_and_its_promise_and_leaves_what_was_seen() {
        let admitted = Admission { admitted: true, limits: touched(), refusals: Vec::new(), room_at: None };
        assert_eq!(granted().limited(admitted.clone(), None), Decided { limits: touched(), ..granted() });

        let (refusals, next) = (vec![Reason::new(ReasonCode::LimitReached)], Some(Timestamp::MAX));
        let refused = Admission { admitted: false, refusals: refusals.clone(), room_at: None, ..admitted };
        let was = granted().limited(refused, next);
        assert_eq!((was.decision, was.tier, was.max_wait), (Decision::Denied, None, None));
        assert_eq!((was.refused_tier.as_deref(), was.score), (Some("t"), granted().score));
        assert_eq!((was.reasons, was.limits, was.next_eligible_at), (refusals, touched(), next));
    }

    #[test]
    fn a_limit_whose_uses_are_not_known_refuses_only_what_it_never_admits() {
        assert_eq!(granted().within(&claims(2, 2)), granted());
        let refused = Decided { limits: touched(), ..granted() }.within(&claims(2, 3));
        assert_eq!((refused.decision, refused.reasons[0].at_most), (Decision::Denied, Some(2)));
        assert_eq!((refused.limits, refused.next_eligible_at), (touched(), None));
    }
}
