//! The merits of a question to a rule that is valid and open: which tier is granted, and what a score is worth.

use jiff::Timestamp;

use super::evaluate::{Truth, World};
use super::facts::{Context, Facts};
use super::reason::{Reason, ReasonCode};
use crate::rules::limit::Scope;
use crate::rules::rule::Rule;
use crate::rules::terms::Fallback;
use crate::rules::tier::Tier;

/// The tier that is granted when the rule is valid and open: a decision without its reasons.
pub(super) fn tier_while_open<'a>(rule: &'a Rule, facts: &Facts, now: Timestamp) -> Option<&'a Tier> {
    if facts.is_closed(now) || !rule.rollout().admits(facts.rollout_bucket) {
        return None;
    }
    let world = World::new(facts, now);
    let world = match lacking_score(rule, facts, now) {
        None => world,
        Some((Fallback::Ignore, _)) => world.without_score(),
        Some((Fallback::Deny | Fallback::Refer, _)) => return None,
    };
    if facts.context.person().lacks(rule, now).is_some() {
        return None;
    }
    let is_met = world.meets(rule.when()) == Truth::True && uncountable(rule, &facts.context, now).is_empty();
    if is_met { admitting_tier(rule, world) } else { None }
}

/// The fault of the score, if it has one, and what the rule wants done about it.
pub(super) fn lacking_score(rule: &Rule, facts: &Facts, now: Timestamp) -> Option<(Fallback, ReasonCode)> {
    let policy = rule.score().filter(|_| rule.looks_at_score())?;
    if facts.score.is_none() {
        return Some((policy.on_missing, ReasonCode::ScoreMissing));
    }
    (is_fresh(rule, facts, now) == Some(false)).then_some((policy.on_stale, ReasonCode::ScoreStale))
}

/// Tells whether the score is young enough for the rule; none without both.
pub(super) fn is_fresh(rule: &Rule, facts: &Facts, now: Timestamp) -> Option<bool> {
    let (policy, score) = rule.score().zip(facts.score)?;
    Some(policy.max_age.is_none_or(|max_age| score.age_micros(now) <= max_age.micros()))
}

/// The tier of the highest rank that admits the person and their guests.
pub(super) fn admitting_tier<'a>(rule: &'a Rule, world: World<'_>) -> Option<&'a Tier> {
    let party = world.facts.context.party();
    rule.tiers().iter().find(|tier| world.meets(tier.when.as_ref()) == Truth::True && tier.over_by(party).is_none())
}

/// Why no tier whose condition holds admits the party: the one that comes nearest to it.
pub(super) fn guests_exceeded(rule: &Rule, world: World<'_>) -> Option<Reason> {
    let party = world.facts.context.party();
    let met = rule.tiers().iter().filter(|tier| world.meets(tier.when.as_ref()) == Truth::True);
    met.filter_map(|tier| Reason::guests_exceeded(tier, party)).min_by_key(|reason| reason.over_by)
}

/// The reasons why limits can't count a visit at `now`: what isn't counted must not be granted.
pub(super) fn uncountable(rule: &Rule, context: &Context, now: Timestamp) -> Vec<Reason> {
    let reason = |scope: &Scope| {
        let code = context.uncountable(scope, now)?;
        Some(Reason { attribute: Some(scope.name().into_owned()), ..Reason::new(code) })
    };
    rule.digested().iter().filter_map(reason).collect()
}
