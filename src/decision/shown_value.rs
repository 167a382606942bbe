//! The values of a trace: what a condition asked for and what was there.

use jiff::Timestamp;
use serde::Serialize;

use super::evaluate::World;
use super::facts::{Facts, Value};
use crate::foundation::decimal::Decimal;
use crate::foundation::period::written;
use crate::rules::attribute::Attribute;
use crate::rules::leaf::{Leaf, Scalar, Test};

/// A value as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ShownValue {
    Bool(bool),
    Number(Decimal),
    Text(String),
    List(Vec<ShownValue>),
}

/// The value that a leaf asks for, if it is known.
pub(super) fn wanted(leaf: &Leaf, facts: &Facts, world: World<'_>, now: Timestamp) -> Option<ShownValue> {
    let scalar = |scalar: &Scalar| match scalar {
        Scalar::Text(text) => ShownValue::Text(text.clone()),
        Scalar::Number(number) => ShownValue::Number(*number),
        Scalar::Bool(value) => ShownValue::Bool(*value),
    };
    match &leaf.test {
        Test::Exists => None,
        Test::Equals(value) | Test::Differs(value) => Some(scalar(value)),
        Test::OneOf(values) | Test::NoneOf(values) => Some(ShownValue::List(values.iter().map(scalar).collect())),
        Test::Compares(_, bound) => Some(ShownValue::Number(*bound)),
        Test::Between(low, high) => Some(ShownValue::List(vec![ShownValue::Number(*low), ShownValue::Number(*high)])),
        Test::Contains(part) | Test::StartsWith(part) => Some(ShownValue::Text(part.clone())),
        // The first and the last instant of it; how far it reaches, where they aren't known.
        Test::Within(window) => {
            let ends = match world.edges(&leaf.attribute, window) {
                Some((opens, closes)) => [opens.to_string(), closes.to_string()],
                None => [written(window.before), written(window.after)],
            };
            Some(ShownValue::List(ends.map(ShownValue::Text).into()))
        }
        Test::Against(_, other) => facts.value(other, now).map(|value| had(other, value)),
    }
}

/// The value that was there.
pub(super) fn had(attribute: &Attribute, value: Value<'_>) -> ShownValue {
    match value {
        // What is finer than a thousandth of a second is not shown; it still counts.
        Value::Number(millionths) => ShownValue::Number(match attribute {
            Attribute::ScoreAge => Decimal::from_thousandths(millionths.div_euclid(1000)),
            Attribute::Score
            | Attribute::Network
            | Attribute::Subject(_)
            | Attribute::Context(_)
            | Attribute::BoardingPass(_)
            | Attribute::Occupancy => Decimal::from_thousandths(millionths / 1000),
        }),
        Value::Text(text) => ShownValue::Text(text.to_owned()),
        Value::Bool(value) => ShownValue::Bool(value),
        Value::List(items) => ShownValue::List(
            items.iter().filter_map(|item| item.as_text().map(|text| ShownValue::Text(text.to_owned()))).collect(),
        ),
    }
}
