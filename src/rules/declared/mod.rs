//! Attributes of people as a merchant declares them: which values they have, how long one is good for, and what becomes
//! of a person without one.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::attribute::ValueType;
use super::terms::Fallback;
use crate::foundation::period::Period;

/// A declared attribute, as far as it decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributePolicy {
    pub value_type: ValueType,
    /// A value is not known any more this long after it was recorded; none is too old without it.
    pub max_age: Option<Period>,
    pub on_missing: Fallback,
    /// Tells it from an earlier one of the same name: values belong to theirs.
    pub declared_at: Timestamp,
}

/// A merchant's declared attributes, by their names.
pub type DeclaredAttributes = BTreeMap<String, AttributePolicy>;

/// The types that an attribute can be declared with.
pub const TYPES: [ValueType; 4] = [ValueType::Text, ValueType::Number, ValueType::Boolean, ValueType::List];

/// The name of a type on the wire and in rows.
#[must_use]
pub const fn type_name(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::Text => "text",
        ValueType::Number => "number",
        ValueType::Boolean => "boolean",
        ValueType::List => "list",
        ValueType::TextOrList => "text_or_list",
        ValueType::Instant => "instant",
    }
}

/// The type of that name, of those that can be declared.
#[must_use]
pub fn declared_type(name: &str) -> Option<ValueType> {
    TYPES.into_iter().find(|value_type| type_name(*value_type) == name)
}
