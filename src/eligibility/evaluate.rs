//! The truth of a condition, by Kleene's three-valued logic: what isn't known is neither true nor false.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::facts::{Facts, Value, millionths};
use crate::decimal::Decimal;
use crate::json::Json;
use crate::perks::condition::{Attribute, Comparison, Condition, Leaf, Scalar, Test};

/// True, false or unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    False,
    Unknown,
    True,
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// Facts at an instant, possibly with another score in place of the true one.
#[derive(Clone, Copy)]
pub(super) struct World<'a> {
    facts: &'a Facts,
    now: Timestamp,
    score: Option<Decimal>,
}

impl<'a> World<'a> {
    pub(super) fn new(facts: &'a Facts, now: Timestamp) -> Self {
        Self { facts, now, score: facts.score.map(|score| score.value) }
    }

    /// The same, if the score were another one.
    pub(super) fn if_score_were(self, score: Decimal) -> Self {
        Self { score: Some(score), ..self }
    }

    /// Whether a condition holds; one that was left out does.
    pub(super) fn meets(self, condition: Option<&Condition>) -> Truth {
        condition.map_or(Truth::True, |condition| self.truth(condition))
    }

    fn truth(self, condition: &Condition) -> Truth {
        match condition {
            Condition::All(members) => {
                // The least of them; `False` can't be undercut, so looking on is pointless.
                let mut least = Truth::True;
                for member in members {
                    match self.truth(member) {
                        Truth::False => return Truth::False,
                        Truth::Unknown => least = Truth::Unknown,
                        Truth::True => {}
                    }
                }
                least
            }
            Condition::Any(members) => {
                let mut greatest = Truth::False;
                for member in members {
                    match self.truth(member) {
                        Truth::True => return Truth::True,
                        Truth::Unknown => greatest = Truth::Unknown,
                        Truth::False => {}
                    }
                }
                greatest
            }
            Condition::Not(inner) => match self.truth(inner) {
                Truth::True => Truth::False,
                Truth::Unknown => Truth::Unknown,
                Truth::False => Truth::True,
            },
            Condition::Leaf(leaf) => self.leaf(leaf),
        }
    }

    fn leaf(self, leaf: &Leaf) -> Truth {
        let value = match &leaf.attribute {
            Attribute::Score => self.score.map(|score| Value::Number(millionths(score))),
            other => self.facts.value(other, self.now),
        };
        if leaf.test == Test::Exists {
            return value.is_some().into();
        }
        value.map_or(Truth::Unknown, |value| test(&leaf.test, value))
    }

    /// The attributes because of which `condition` is as true as it is.
    pub(super) fn causes(self, condition: &Condition) -> BTreeSet<Attribute> {
        let mut causes = BTreeSet::new();
        self.add_causes(condition, &mut causes);
        causes
    }

    fn add_causes(self, condition: &Condition, causes: &mut BTreeSet<Attribute>) {
        let whole = self.truth(condition);
        match condition {
            // Members of another truth did not bring the whole to the one it has.
            Condition::All(members) | Condition::Any(members) => {
                for member in members.iter().filter(|member| self.truth(member) == whole) {
                    self.add_causes(member, causes);
                }
            }
            Condition::Not(inner) => self.add_causes(inner, causes),
            Condition::Leaf(leaf) => {
                causes.insert(leaf.attribute.clone());
            }
        }
    }
}

/// The scores at which the truth of a condition can turn, each being the first on its far side.
pub(super) fn turning_points(condition: Option<&Condition>, into: &mut BTreeSet<Decimal>) {
    let Some(condition) = condition else { return };
    condition.each_leaf(&mut |leaf| {
        let ends = match (&leaf.attribute, &leaf.test) {
            (Attribute::Score, Test::Compares(_, value)) => [Some(*value), None],
            (Attribute::Score, Test::Equals(Scalar::Number(value)) | Test::Differs(Scalar::Number(value))) => {
                [Some(*value), None]
            }
            (Attribute::Score, Test::Between(low, high)) => [Some(*low), Some(*high)],
            _ => [None, None],
        };
        for end in ends.into_iter().flatten() {
            into.insert(end);
            into.insert(Decimal::from_thousandths(end.thousandths().saturating_add(1)));
        }
    });
}

/// A test of a value that is there. A value of a type that the test isn't made for says nothing:
/// were it false, `neq`, `not_in` and `not` would let it through.
fn test(test: &Test, value: Value<'_>) -> Truth {
    match (test, value) {
        (Test::Exists, _) => Truth::True,
        (Test::Equals(wanted), value) => equal(wanted, value),
        (Test::Differs(wanted), value) => negate(equal(wanted, value)),
        (Test::OneOf(wanted), value) => one_of(wanted, value),
        (Test::NoneOf(wanted), value) => negate(one_of(wanted, value)),
        (Test::Compares(comparison, bound), Value::Number(number)) => {
            let bound = millionths(*bound);
            match comparison {
                Comparison::Gt => number > bound,
                Comparison::Gte => number >= bound,
                Comparison::Lt => number < bound,
                Comparison::Lte => number <= bound,
            }
            .into()
        }
        (Test::Between(low, high), Value::Number(number)) => {
            (millionths(*low)..=millionths(*high)).contains(&number).into()
        }
        (Test::Contains(part), Value::Text(text)) => text.contains(part.as_str()).into(),
        (Test::Contains(part), Value::List(items)) => {
            items.iter().any(|item| matches!(item, Json::Text(text) if text == part)).into()
        }
        (Test::StartsWith(part), Value::Text(text)) => text.starts_with(part.as_str()).into(),
        _ => Truth::Unknown,
    }
}

fn equal(wanted: &Scalar, value: Value<'_>) -> Truth {
    match (wanted, value) {
        (Scalar::Text(wanted), Value::Text(text)) => (wanted == text).into(),
        (Scalar::Number(wanted), Value::Number(number)) => (millionths(*wanted) == number).into(),
        (Scalar::Bool(wanted), Value::Bool(value)) => (*wanted == value).into(),
        _ => Truth::Unknown,
    }
}

/// The values are all of one type, so the first tells whether they can be compared at all.
fn one_of(wanted: &[Scalar], value: Value<'_>) -> Truth {
    let mut answer = Truth::False;
    for wanted in wanted {
        match equal(wanted, value) {
            Truth::False => {}
            other => {
                answer = other;
                break;
            }
        }
    }
    answer
}

fn negate(truth: Truth) -> Truth {
    match truth {
        Truth::True => Truth::False,
        Truth::Unknown => Truth::Unknown,
        Truth::False => Truth::True,
    }
}
