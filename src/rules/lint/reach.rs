//! Which values of a number a condition can hold for, and when one condition implies another.

use crate::foundation::decimal::Decimal;
use crate::rules::attribute::Attribute;
use crate::rules::condition::Condition;
use crate::rules::leaf::{Comparison, Leaf, Scalar, Test};

/// The next decimal above.
fn after(value: Decimal) -> Decimal {
    Decimal::from_thousandths(value.thousandths().saturating_add(1))
}

/// The next decimal below.
fn before(value: Decimal) -> Decimal {
    Decimal::from_thousandths(value.thousandths().saturating_sub(1))
}

/// A stretch of numbers outside of which a condition can't hold; empty when `low` is above `high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    pub low: Decimal,
    pub high: Decimal,
}

impl Reach {
    pub(super) const fn new(low: Decimal, high: Decimal) -> Self {
        Self { low, high }
    }

    /// The source's scale, or every score there is.
    pub(super) fn whole(scale: Option<(Decimal, Decimal)>) -> Self {
        let (low, high) =
            scale.unwrap_or((Decimal::from_thousandths(i64::MIN / 2), Decimal::from_thousandths(i64::MAX / 2)));
        Self { low, high }
    }

    pub(super) fn is_empty(self) -> bool {
        self.low > self.high
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self { low: self.low.max(other.low), high: self.high.min(other.high) }
    }

    /// From the least to the greatest of both.
    pub(super) fn or(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    fn contains(self, other: Self) -> bool {
        self.low <= other.low && other.high <= self.high
    }

    /// The values of `attribute` for which `condition` can hold, within `everything`. A bound, not the
    /// exact set: what isn't about the attribute, or stands under `not`, reaches everything.
    pub(super) fn of(condition: &Condition, attribute: &Attribute, everything: Self) -> Self {
        match condition {
            Condition::All(members) => {
                members.iter().fold(everything, |reach, member| reach.and(Self::of(member, attribute, everything)))
            }
            Condition::Any(members) => members
                .iter()
                .map(|member| Self::of(member, attribute, everything))
                .filter(|reach| !reach.is_empty())
                .reduce(Self::or)
                .unwrap_or(Self { low: everything.high, high: before(everything.low) }),
            Condition::Leaf(leaf) if leaf.attribute == *attribute => {
                everything.and(Self::of_test(&leaf.test, everything).unwrap_or(everything))
            }
            Condition::Not(_) | Condition::Leaf(_) => everything,
        }
    }

    /// The numbers that a comparison holds for, exactly.
    fn of_test(test: &Test, everything: Self) -> Option<Self> {
        let Self { low, high } = everything;
        let (low, high) = match test {
            Test::Compares(Comparison::Gte, value) => (*value, high),
            Test::Compares(Comparison::Gt, value) => (after(*value), high),
            Test::Compares(Comparison::Lte, value) => (low, *value),
            Test::Compares(Comparison::Lt, value) => (low, before(*value)),
            Test::Between(from, to) => (*from, *to),
            Test::Equals(Scalar::Number(value)) => (*value, *value),
            _ => return None,
        };
        Some(Self { low, high })
    }
}

/// Tells whether `this` holds whenever `that` does, as far as it can be known from their form; none is a
/// condition that always holds.
pub(super) fn is_implied(this: Option<&Condition>, that: Option<&Condition>) -> bool {
    match (this, that) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(this), Some(that)) => implies(that, this),
    }
}

fn implies(that: &Condition, this: &Condition) -> bool {
    if that == this {
        return true;
    }
    match (that, this) {
        (_, Condition::All(members)) => members.iter().all(|member| implies(that, member)),
        (Condition::Any(members), _) => members.iter().all(|member| implies(member, this)),
        (Condition::All(members), _) if members.iter().any(|member| implies(member, this)) => true,
        (_, Condition::Any(members)) => members.iter().any(|member| implies(that, member)),
        (Condition::Leaf(that), Condition::Leaf(this)) => leaf_implies(that, this),
        _ => false,
    }
}

fn leaf_implies(that: &Leaf, this: &Leaf) -> bool {
    if that.attribute != this.attribute {
        return false;
    }
    let values = |test: &Test| match test {
        Test::Equals(value) => Some(vec![value.clone()]),
        Test::OneOf(values) => Some(values.clone()),
        _ => None,
    };
    if let (Some(narrow), Some(wide)) = (values(&that.test), values(&this.test)) {
        return narrow.iter().all(|value| wide.contains(value));
    }
    let all = Reach::whole(None);
    let reaches = Reach::of_test(&that.test, all).zip(Reach::of_test(&this.test, all));
    // An attribute that has a value at all exists.
    reaches.map_or(this.test == Test::Exists, |(narrow, wide)| wide.contains(narrow))
}
