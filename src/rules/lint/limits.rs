//! Limits that no grant fits into, or that a held token outlives.

use super::Lint;
use super::reach::Reach;
use crate::foundation::decimal::Decimal;
use crate::foundation::document::below;
use crate::foundation::period::Period;
use crate::rules::attribute::{Attribute, PARTY};
use crate::rules::condition::Condition;
use crate::rules::limit::{Cost, Limit, MAX_PARTY, Scope, Unit, Window};
use crate::rules::rule::Rule;
use crate::rules::tier::Tier;
use crate::rules::tier::guests::GuestTerms;

/// A stay of two days is no visit.
const LONG_STAY: Period = Period::from_days(2);

pub(super) fn lint(rule: &Rule, found: &mut Lint) {
    lint_overrides(rule, found);
    let parties = parties(rule);
    for (at, limit) in rule.limits().iter().enumerate() {
        let pointer = format!("/limits/{at}");
        for (location, max) in limit.max.each() {
            match limit.cost {
                Cost::Fixed(cost) if cost > max => {
                    let place = here(location);
                    let detail = format!("one grant costs {cost}, which is more than the limit of {max}{place}");
                    let at = location.map(|location| limit.max.pointer_at(&pointer, Some(location)));
                    found.error(at.unwrap_or_else(|| below(&pointer, "cost")), "cost_above_max", detail);
                }
                Cost::Fixed(_) => {}
                Cost::Party => lint_party(&pointer, limit, (location, max), parties, found),
            }
        }
        lint_shared_counter(&pointer, limit, found);
        lint_long_stay(&pointer, limit, found);
        let Window::Calendar(unit) = limit.window else { continue };
        let hours = match unit {
            Unit::Hour => 1,
            Unit::Day => 24,
            Unit::Week | Unit::Month | Unit::Quarter | Unit::Year => continue,
        };
        if rule.token().ttl.seconds() > hours * 3600 {
            let detail = format!("tokens outlive the window of `{}`: a held one adds to the next window", limit.id);
            found.warn("/token/ttl", "token_outlives_window", detail);
        }
    }
}

/// Overrides of this perk fill what others are granted from, past a maximum that their rules hold.
fn lint_overrides(rule: &Rule, found: &mut Lint) {
    for (name, terms) in rule.by_hand().each() {
        let are = if name == "paid" { "paid entries" } else { "overrides" };
        let shared = |limit: &&Limit| limit.is_across_perks() && terms.past_limits.contains(&limit.id);
        for limit in rule.limits().iter().filter(shared) {
            let detail = format!(
                "`{}` counts for all perks of the merchant together: {are} of this one go past the maximum of each",
                limit.id
            );
            found.warn(format!("/{name}/past_limits"), "shared_counter", detail);
        }
        if terms.limit().is_across_perks() {
            let detail = format!(
                "{are} are counted for all perks of the merchant together: each holds the sum to its own `max`"
            );
            found.warn(format!("/{name}/scope"), "shared_counter", detail);
        }
    }
}

/// Guests who leave unseen hold their places for as long as a stay may be.
fn lint_long_stay(pointer: &str, limit: &Limit, found: &mut Lint) {
    let Window::Concurrent { max_stay } = limit.window else { return };
    if max_stay.seconds() > LONG_STAY.seconds() {
        let detail = format!(
            "who leaves `{}` unseen holds a place for {max_stay}: let `max_stay` be as long as guests really stay",
            limit.id
        );
        found.warn(below(&below(&below(pointer, "window"), "concurrent"), "max_stay"), "long_stay", detail);
    }
}

/// A counter that several locations share has one sum, and each location holds it to a maximum of its own.
fn lint_shared_counter(pointer: &str, limit: &Limit, found: &mut Lint) {
    if !limit.max.is_by_location() || limit.scope.contains(&Scope::Location) {
        return;
    }
    let detail = format!(
        "`{}` isn't counted by location: one count of all of them is held to another maximum at each. Add `location` to \
         its scope, unless that is meant",
        limit.id
    );
    found.warn(below(pointer, "scope"), "maxima_share_a_count", detail);
}

/// A location as a detail ends with it.
fn here(location: Option<&str>) -> String {
    location.map(|location| format!(" at {location}")).unwrap_or_default()
}

/// A limit that counts people must hold a party: one that is smaller refuses every larger party, at any
/// time, and says that the limit was reached.
fn lint_party(pointer: &str, limit: &Limit, (location, max): (Option<&str>, u64), parties: Reach, found: &mut Lint) {
    let (pointer, here) = (limit.max.pointer_at(pointer, location), here(location));
    let (max, Reach { low, high }) = (Decimal::from_whole(i64::try_from(max).unwrap_or(i64::MAX)), parties);
    if low > max && !parties.is_empty() {
        let detail =
            format!("the smallest party that is admitted is {low}, which is more than the limit of {max}{here}");
        return found.error(pointer, "limit_below_party", detail);
    }
    // Where the rule itself bounds no party, a limit is a way to; but not one of a single person.
    let is_bounded = high < Decimal::from_whole(MAX_PARTY);
    let least = if is_bounded { high } else { Decimal::from_whole(2) };
    if max < least {
        let detail = if is_bounded {
            format!("parties of up to {high} are admitted, and those above {max} never fit this limit{here}")
        } else {
            format!("no party of two ever fits this limit{here}: count grants with \"cost\":1, or bound context.party")
        };
        found.warn(pointer, "limit_below_party", detail);
    }
}

/// The numbers of people that limits count of the parties which a tier admits, `sizes` being theirs.
fn counted(tier: &Tier, sizes: Reach) -> Reach {
    // Of no party at all none is counted.
    let Some(GuestTerms { max, under, .. }) = tier.guests.filter(|_| !sizes.is_empty()) else { return sizes };
    let one = Decimal::from_whole(1);
    let most = Decimal::from_whole(i64::try_from(max).unwrap_or(MAX_PARTY).saturating_add(1));
    // All but the person may be too young to count.
    let low = if under.is_some() { one } else { sizes.low };
    Reach::new(low.min(most), sizes.high.min(most))
}

/// The sizes of the parties that meet the rule's own condition.
fn sizes_of_rule(rule: &Rule) -> Reach {
    sizes_of(rule.when())
}

/// The sizes of the parties that meet the condition of a tier, whether or not it admits so many guests.
pub(super) fn sizes_of_tier(rule: &Rule, tier: &Tier) -> Reach {
    sizes_of(tier.when.as_ref()).and(sizes_of_rule(rule))
}

fn sizes_of(when: Option<&Condition>) -> Reach {
    let everything = Reach::new(Decimal::from_whole(1), Decimal::from_whole(MAX_PARTY));
    when.map_or(everything, |when| Reach::of(when, &Attribute::Context(PARTY.to_owned()), everything))
}

/// The numbers of people that limits count of the parties that some tier can admit.
fn parties(rule: &Rule) -> Reach {
    let tiers = rule.tiers().iter().map(|tier| counted(tier, sizes_of_tier(rule, tier)));
    tiers.filter(|reach| !reach.is_empty()).reduce(Reach::or).unwrap_or(sizes_of_rule(rule))
}
