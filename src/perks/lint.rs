//! What is wrong or odd about a rule that can be read: rules that can't work are refused, oddities
//! are pointed out.

use jiff::Timestamp;

use super::condition::{Attribute, Comparison, Condition, Leaf, Scalar, Test};
use super::limit::{Cost, Unit, Window};
use super::read::Issue;
use super::rule::{Rule, Tier};
use crate::decimal::Decimal;

/// What was found; a rule with errors must not be published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lint {
    pub errors: Vec<Issue>,
    pub warnings: Vec<Issue>,
}

impl Lint {
    fn error(&mut self, pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) {
        self.errors.push(Issue { pointer: pointer.into(), code, detail: detail.into() });
    }

    fn warn(&mut self, pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) {
        self.warnings.push(Issue { pointer: pointer.into(), code, detail: detail.into() });
    }
}

/// Looks `rule` over; `scale` is the least and the greatest score its source gives, if it has one.
#[must_use]
pub fn lint(rule: &Rule, scale: Option<(Decimal, Decimal)>, now: Timestamp) -> Lint {
    let mut found = Lint::default();
    lint_times(rule, now, &mut found);
    lint_tiers(rule, scale, &mut found);
    lint_limits(rule, &mut found);
    if rule.score().is_some() && !rule.looks_at_score() {
        found.warn("/score", "score_unused", "no condition looks at the score: leave it out, or add one");
    }
    found
}

fn lint_times(rule: &Rule, now: Timestamp, found: &mut Lint) {
    let from = rule.valid().from.map(|(_, at)| at);
    let until = rule.valid().until.map(|(_, at)| at);
    if from.zip(until).is_some_and(|(from, until)| until <= from) {
        return found.error("/valid/until", "until_not_after_from", "`until` must be later than `from`");
    }
    if rule.schedule().has_no_opening() {
        return found.error("/schedule/open", "never_open", "add the hours it is open, or leave `open` out for always");
    }
    if until.is_some_and(|until| until <= now) {
        return found.warn("/valid/until", "already_over", "this time has passed: the rule admits nobody");
    }
    let opens = rule.schedule().first_open(rule.time_zone(), from.unwrap_or(now).max(now));
    if opens.is_none_or(|opens| until.is_some_and(|until| opens >= until)) {
        found.error("/schedule", "never_open", "it isn't open at any time at which the rule is valid");
    }
}

fn lint_tiers(rule: &Rule, scale: Option<(Decimal, Decimal)>, found: &mut Lint) {
    let everything = Reach::whole(scale);
    let gate = rule.when().map_or(everything, |when| Reach::of(when, everything));
    if gate.is_empty() {
        found.error("/when", "unreachable", "no score on the source's scale meets this condition");
        return;
    }
    let mut higher: Vec<(&Tier, Decimal)> = Vec::new();
    for tier in rule.tiers() {
        let own = tier.when.as_ref().map_or(everything, |when| Reach::of(when, everything));
        let reach = own.and(gate);
        if reach.is_empty() {
            let detail = format!("no score on the source's scale reaches `{}`", tier.id);
            found.error(&tier.pointer, "unreachable_tier", detail);
            continue;
        }
        if let Some((easier, _)) = higher.iter().find(|(_, least)| *least <= reach.low) {
            let detail = format!("whoever reaches `{}` already has `{}`, which ranks higher", tier.id, easier.id);
            found.error(&tier.pointer, "shadowed_tier", detail);
            continue;
        }
        let admits_from = match &tier.when {
            None => Some(everything.low),
            Some(Condition::Leaf(leaf)) => threshold(leaf),
            Some(_) => None,
        };
        if let Some(least) = admits_from {
            if least <= everything.low && rule.when().is_none() {
                let detail = format!("`{}` admits everyone: no score is below it", tier.id);
                found.warn(&tier.pointer, "admits_everyone", detail);
            }
            higher.push((tier, least));
        }
    }
}

fn lint_limits(rule: &Rule, found: &mut Lint) {
    for (at, limit) in rule.limits().iter().enumerate() {
        if let Cost::Fixed(cost) = limit.cost
            && cost > limit.max
        {
            let detail = format!("one grant costs {cost}, which is more than the limit of {}", limit.max);
            found.error(format!("/limits/{at}/cost"), "cost_above_max", detail);
        }
        let hours = match limit.window {
            Window::Calendar(Unit::Hour) => 1,
            Window::Calendar(Unit::Day) => 24,
            Window::Calendar(Unit::Week | Unit::Month) | Window::Lifetime => continue,
        };
        if rule.token().ttl.seconds() > hours * 3600 {
            let detail = format!("tokens outlive the window of `{}`: a held one adds to the next window", limit.id);
            found.warn("/token/ttl", "token_outlives_window", detail);
        }
    }
}

/// The least score from which on a lone comparison holds.
fn threshold(leaf: &Leaf) -> Option<Decimal> {
    match (&leaf.attribute, &leaf.test) {
        (Attribute::Score, Test::Compares(Comparison::Gte, value)) => Some(*value),
        (Attribute::Score, Test::Compares(Comparison::Gt, value)) => Some(after(*value)),
        _ => None,
    }
}

/// The next decimal above.
fn after(value: Decimal) -> Decimal {
    Decimal::from_thousandths(value.thousandths().saturating_add(1))
}

/// The next decimal below.
fn before(value: Decimal) -> Decimal {
    Decimal::from_thousandths(value.thousandths().saturating_sub(1))
}

/// A stretch of scores outside of which a condition can't hold; empty when `low` is above `high`.
#[derive(Debug, Clone, Copy)]
struct Reach {
    low: Decimal,
    high: Decimal,
}

impl Reach {
    /// The source's scale, or every score there is.
    fn whole(scale: Option<(Decimal, Decimal)>) -> Self {
        let (low, high) =
            scale.unwrap_or((Decimal::from_thousandths(i64::MIN / 2), Decimal::from_thousandths(i64::MAX / 2)));
        Self { low, high }
    }

    fn is_empty(self) -> bool {
        self.low > self.high
    }

    fn and(self, other: Self) -> Self {
        Self { low: self.low.max(other.low), high: self.high.min(other.high) }
    }

    /// A bound, not the exact set: what isn't about the score, or stands under `not`, reaches everything.
    fn of(condition: &Condition, everything: Self) -> Self {
        match condition {
            Condition::All(members) => {
                members.iter().fold(everything, |reach, member| reach.and(Self::of(member, everything)))
            }
            Condition::Any(members) => members
                .iter()
                .map(|member| Self::of(member, everything))
                .filter(|reach| !reach.is_empty())
                .reduce(|a, b| Self { low: a.low.min(b.low), high: a.high.max(b.high) })
                .unwrap_or(Self { low: everything.high, high: before(everything.low) }),
            Condition::Not(_) => everything,
            Condition::Leaf(leaf) => Self::of_leaf(leaf, everything),
        }
    }

    fn of_leaf(leaf: &Leaf, everything: Self) -> Self {
        if leaf.attribute != Attribute::Score {
            return everything;
        }
        let Self { low, high } = everything;
        let (from, to) = match &leaf.test {
            Test::Compares(Comparison::Gte, value) => (*value, high),
            Test::Compares(Comparison::Gt, value) => (after(*value), high),
            Test::Compares(Comparison::Lte, value) => (low, *value),
            Test::Compares(Comparison::Lt, value) => (low, before(*value)),
            Test::Between(from, to) => (*from, *to),
            Test::Equals(Scalar::Number(value)) => (*value, *value),
            _ => (low, high),
        };
        everything.and(Self { low: from, high: to })
    }
}
