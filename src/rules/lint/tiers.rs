//! Tiers that nobody reaches, that an easier one hides, or whose thresholds are off the scale.

use super::limits::sizes_of_tier;
use super::reach::{Reach, is_implied};
use super::{Lint, each_leaf, walk};
use crate::foundation::decimal::Decimal;
use crate::foundation::document::below;
use crate::rules::attribute::Attribute;
use crate::rules::condition::Condition;
use crate::rules::leaf::{Leaf, Scalar, Test};
use crate::rules::rule::Rule;
use crate::rules::terms::Fallback;
use crate::rules::tier::Tier;
use crate::rules::tier::guests::{GuestTerms, Over};

/// A tier that someone reaches, and the scores it can be reached with.
struct Reached<'a> {
    tier: &'a Tier,
    scores: Reach,
}

pub(super) fn lint(rule: &Rule, scale: Option<(Decimal, Decimal)>, found: &mut Lint) {
    let everything = Reach::whole(scale);
    let scores = |when: &Condition| Reach::of(when, &Attribute::Score, everything);
    let gate = rule.when().map_or(everything, scores);
    if gate.is_empty() {
        return found.error("/when", "unreachable", "no score on the source's scale meets this condition");
    }
    // Where a rule goes on without a score, a tier that asks for one is never in the way of all others.
    let needs_score =
        rule.score().is_none_or(|policy| policy.on_missing == Fallback::Deny && policy.on_stale == Fallback::Deny);
    let mut higher: Vec<Reached<'_>> = Vec::new();
    let mut unreachable = Vec::new();
    for tier in rule.tiers() {
        let reach = tier.when.as_ref().map_or(everything, scores).and(gate);
        if reach.is_empty() {
            let detail = format!("no score on the source's scale reaches `{}`", tier.id);
            found.error(&tier.pointer, "unreachable_tier", detail);
            unreachable.push(tier.pointer.as_str());
            continue;
        }
        if let Some(GuestTerms { max, under: None, over: Over::Deny, .. }) = tier.guests {
            let (party, sizes) = (max.saturating_add(1), sizes_of_tier(rule, tier));
            if sizes.low > Decimal::from_whole(i64::try_from(party).unwrap_or(i64::MAX)) && !sizes.is_empty() {
                let detail = format!(
                    "the smallest party that meets the condition of `{}` is {}, and it admits {party} at most",
                    tier.id, sizes.low
                );
                let of_tier = tier.pointer.trim_end_matches("/when");
                found.error(below(of_tier, "guests"), "unreachable_tier", detail);
                unreachable.push(tier.pointer.as_str());
                continue;
            }
        }
        if let Some(easier) = higher.iter().find(|higher| is_shadowed(higher.tier, tier, reach, needs_score)) {
            let detail =
                format!("anyone who reaches `{}` already has `{}`, which ranks higher", tier.id, easier.tier.id);
            found.error(&tier.pointer, "shadowed_tier", detail);
            continue;
        }
        for above in higher.iter().filter(|above| is_easier(above, tier, reach)) {
            let detail = format!(
                "`{}` ranks above `{}` and begins at lower scores, {} and {}: a better score gets the lesser tier",
                above.tier.id, tier.id, above.scores.low, reach.low
            );
            found.warn(&above.tier.pointer, "higher_tier_easier", detail);
        }
        let admits_from = admits_from(tier, everything, needs_score);
        // A floor that promises a longest wait is there for everyone.
        let is_floor = tier.when.is_none() && tier.max_wait.is_some();
        if admits_from.is_some_and(|least| least <= everything.low) && rule.when().is_none() && !is_floor {
            let detail = format!("`{}` admits everyone: no score is below it", tier.id);
            found.warn(&tier.pointer, "admits_everyone", detail);
        }
        higher.push(Reached { tier, scores: reach });
    }
    if let Some((low, high)) = scale {
        lint_thresholds(rule, low, high, &unreachable, found);
    }
}

/// The least score from which on a tier admits, where the score alone decides.
fn admits_from(tier: &Tier, everything: Reach, needs_score: bool) -> Option<Decimal> {
    match &tier.when {
        None => Some(everything.low),
        Some(Condition::Leaf(leaf)) if needs_score && leaf.attribute == Attribute::Score => {
            let reach = Reach::of(&Condition::Leaf(leaf.clone()), &Attribute::Score, Reach::whole(None));
            let is_open_above = matches!(&leaf.test, Test::Compares(..)) && reach.high == Reach::whole(None).high;
            is_open_above.then_some(reach.low)
        }
        Some(_) => None,
    }
}

/// Tells whether everyone who reaches `lower`, with scores of `reach`, already has `higher`.
fn is_shadowed(higher: &Tier, lower: &Tier, reach: Reach, needs_score: bool) -> bool {
    if higher.guests.is_some_and(|terms| !terms.admit_all_that(lower.guests.as_ref())) {
        return false;
    }
    // The scale can make a threshold certain where the conditions' form doesn't.
    let by_score = admits_from(higher, Reach::whole(None), needs_score).is_some_and(|least| least <= reach.low);
    by_score || is_implied(higher.when.as_ref(), lower.when.as_ref())
}

/// Tells whether a tier that ranks higher asks for less of a score than `lower`, and for nothing else that
/// `lower` doesn't ask for too: someone who rises then falls to the lesser tier.
fn is_easier(above: &Reached<'_>, lower: &Tier, reach: Reach) -> bool {
    let (Some(asked), Some(asked_lower)) = (other_terms(above.tier), other_terms(lower)) else { return false };
    above.scores.low < reach.low && asked.iter().all(|leaf| asked_lower.contains(leaf))
}

/// The terms that a tier asks for besides the score; none where they aren't a plain list.
fn other_terms(tier: &Tier) -> Option<Vec<&Leaf>> {
    fn gather<'a>(condition: &'a Condition, into: &mut Vec<&'a Leaf>) -> bool {
        match condition {
            Condition::All(members) => members.iter().all(|member| gather(member, into)),
            Condition::Any(_) | Condition::Not(_) => false,
            Condition::Leaf(leaf) => {
                if leaf.attribute != Attribute::Score {
                    into.push(leaf);
                }
                true
            }
        }
    }
    let mut terms = Vec::new();
    tier.when.as_ref().is_none_or(|when| gather(when, &mut terms)).then_some(terms)
}

fn lint_thresholds(rule: &Rule, low: Decimal, high: Decimal, unreachable: &[&str], found: &mut Lint) {
    // Of a tier that nobody reaches that has been said, and this would be why.
    let mut said = Vec::new();
    for tier in rule.tiers().iter().filter(|tier| unreachable.contains(&tier.pointer.as_str())) {
        if let Some(when) = &tier.when {
            walk(when, &tier.pointer, &mut |_, pointer| said.push(pointer.to_owned()));
        }
    }
    each_leaf(rule, &mut |leaf, pointer| {
        if leaf.attribute != Attribute::Score || said.iter().any(|known| known == pointer) {
            return;
        }
        let numbers = match &leaf.test {
            Test::Between(from, to) => vec![*from, *to],
            Test::Compares(_, value) | Test::Equals(Scalar::Number(value)) | Test::Differs(Scalar::Number(value)) => {
                vec![*value]
            }
            _ => Vec::new(),
        };
        for value in numbers.into_iter().filter(|value| *value < low || *value > high) {
            let side = if value < low { "below" } else { "above" };
            let detail =
                format!("{value} is {side} the source's scale, {low} to {high}: this never makes a difference");
            found.warn(pointer, "threshold_off_scale", detail);
        }
    });
}
