//! Leaves of conditions: one attribute, tested with a typed operator.

use super::attribute::{Attribute, AttributeKind, ValueType};
use super::time_window::{self, TimeWindow, WITHIN};
use crate::foundation::decimal::Decimal;
use crate::foundation::document::{FieldErrors, Node, text};
use crate::foundation::json::Json;
use crate::foundation::period::{LONGEST, Period};

pub(crate) const MAX_VALUES: usize = 100;
/// The operators that compare with one value.
pub(crate) const OF_A_VALUE: [&str; 8] = ["eq", "neq", "gt", "gte", "lt", "lte", "contains", "starts_with"];
/// The operators that compare with a list.
pub(crate) const OF_VALUES: [&str; 3] = ["in", "not_in", "between"];

/// One test of one attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    pub attribute: Attribute,
    pub test: Test,
}

/// The test of an attribute. Numbers are exact; there are no floats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    Exists,
    Equals(Scalar),
    Differs(Scalar),
    OneOf(Vec<Scalar>),
    NoneOf(Vec<Scalar>),
    Compares(Comparison, Decimal),
    /// Both ends belong to it.
    Between(Decimal, Decimal),
    /// A part of a text, or a member of a list.
    Contains(String),
    StartsWith(String),
    /// Against what another attribute is.
    Against(Relation, Attribute),
    /// Now is in the time around the instant that it is.
    Within(TimeWindow),
}

/// The comparison of an attribute with another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    Equals,
    Differs,
    Compares(Comparison),
    Contains,
    StartsWith,
}

/// The comparison of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Gt,
    Gte,
    Lt,
    Lte,
}

/// A single value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar {
    Text(String),
    Number(Decimal),
    Bool(bool),
}

impl Leaf {
    pub(crate) fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let members = ["attr", "op", "value", "values", "ref"].into_iter().chain(time_window::MEMBERS);
        let fields = node.fields(&members.collect::<Vec<_>>(), errors)?;
        let attribute = fields.required("attr", errors).and_then(|attr| Attribute::read(&attr, errors));
        let op = fields.required("op", errors);
        let op_name = op.as_ref().and_then(|op| op.text(errors));
        let (attribute, op, op_name) = (attribute?, op?, op_name?);
        let kind = attribute.kind();

        let takes = match op_name {
            "exists" | WITHIN => "",
            op if OF_VALUES.contains(&op) => "values",
            op if OF_A_VALUE.contains(&op) => "value",
            _ => {
                return op.refuse(
                    errors,
                    "unknown_operator",
                    "use eq, neq, in, not_in, gt, gte, lt, lte, between, exists, contains, starts_with or within",
                );
            }
        };
        for name in ["value", "values"] {
            if let Some(extra) = fields.optional(name).filter(|_| name != takes) {
                let needs = if takes.is_empty() { "neither `value` nor `values`".into() } else { format!("`{takes}`") };
                return extra.refuse(errors, "unknown_field", format!("`{op_name}` takes {needs}"));
            }
        }
        for name in time_window::MEMBERS {
            if let Some(extra) = fields.optional(name).filter(|_| op_name != WITHIN) {
                return extra.refuse(errors, "unknown_field", format!("`{name}` is for `{WITHIN}` only"));
            }
        }
        if !fits(op_name, &attribute) {
            let detail = format!("`{op_name}` can't be used with `{}`", attribute.name());
            return op.refuse(errors, "operator_not_allowed", detail);
        }
        if let Some(other) = fields.optional("ref") {
            if takes != "value" {
                return other.refuse(errors, "unknown_field", format!("`{op_name}` can't compare with an attribute"));
            }
            if fields.optional("value").is_some() {
                return other.refuse(errors, "unknown_field", "compare with a `value` or with a `ref`, not with both");
            }
            let test = Test::read_against(op_name, &attribute, &other, errors)?;
            return Some(Self { attribute, test });
        }

        if op_name == WITHIN {
            let test = TimeWindow::read(node, &fields, &attribute, errors).map(Test::Within)?;
            return Some(Self { attribute, test });
        }
        let value = if takes.is_empty() { None } else { Some(fields.required(takes, errors)?) };
        let test = match value {
            None => Test::Exists,
            Some(value) => Test::read(op_name, &value, kind, errors)?,
        };
        Some(Self { attribute, test })
    }

    pub(crate) fn to_json(&self) -> Json {
        let age = self.attribute == Attribute::ScoreAge;
        let number = |number: &Decimal| {
            if age {
                text(Period::from_seconds(number.thousandths() / 1000).to_string())
            } else {
                Json::Number(*number)
            }
        };
        let scalar = |scalar: &Scalar| match scalar {
            Scalar::Text(value) => text(value),
            Scalar::Number(value) => Json::Number(*value),
            Scalar::Bool(value) => Json::Bool(*value),
        };
        let list = |values: &[Scalar]| Json::List(values.iter().map(scalar).collect());
        let (op, operand) = match &self.test {
            Test::Exists => ("exists", None),
            Test::Equals(value) => ("eq", Some(("value", scalar(value)))),
            Test::Differs(value) => ("neq", Some(("value", scalar(value)))),
            Test::OneOf(values) => ("in", Some(("values", list(values)))),
            Test::NoneOf(values) => ("not_in", Some(("values", list(values)))),
            Test::Compares(comparison, value) => (comparison.name(), Some(("value", number(value)))),
            Test::Between(low, high) => ("between", Some(("values", Json::List(vec![number(low), number(high)])))),
            Test::Contains(part) => ("contains", Some(("value", text(part)))),
            Test::StartsWith(part) => ("starts_with", Some(("value", text(part)))),
            Test::Against(relation, other) => (relation.name(), Some(("ref", text(other.name())))),
            Test::Within(_) => (WITHIN, None),
        };
        let window = match &self.test {
            Test::Within(window) => window.members(),
            _ => Vec::new(),
        };
        let members =
            [("attr", text(self.attribute.name())), ("op", text(op))].into_iter().chain(operand).chain(window);
        Json::Object(members.map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

/// Tells whether an operator is made for what an attribute can be.
fn fits(op: &str, attribute: &Attribute) -> bool {
    let kind = attribute.kind();
    match op {
        "exists" => true,
        WITHIN => attribute.can_be_instant(),
        "gt" | "gte" | "lt" | "lte" | "between" => kind != AttributeKind::Text,
        "contains" | "starts_with" => matches!(kind, AttributeKind::Text | AttributeKind::Any),
        "in" | "not_in" => *attribute != Attribute::Score && kind != AttributeKind::Duration,
        _ => kind != AttributeKind::Duration,
    }
}

impl Test {
    /// The other attribute that it looks at: in the value's place, or to open by.
    #[must_use]
    pub const fn other(&self) -> Option<&Attribute> {
        match self {
            Self::Against(_, other) => Some(other),
            Self::Within(window) => window.opens_by.as_ref(),
            _ => None,
        }
    }

    /// Reads a comparison with another attribute. Types known to differ are refused; the rest shows at the check.
    fn read_against(op: &str, attribute: &Attribute, node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let relation = Relation::named(op)?;
        let other = Attribute::read(node, errors)?;
        if other == *attribute {
            return node.refuse(errors, "same_attribute", "compare with another attribute, or with a `value`");
        }
        let (kind, others) = (attribute.kind(), other.kind());
        if !fits(op, &other) || (kind != others && kind != AttributeKind::Any && others != AttributeKind::Any) {
            let detail = format!("`{}` can't be compared with `{}` by `{op}`", attribute.name(), other.name());
            return node.refuse(errors, "wrong_type", detail);
        }
        Some(Self::Against(relation, other))
    }

    fn read(op: &str, value: &Node<'_>, kind: AttributeKind, errors: &mut FieldErrors) -> Option<Self> {
        Some(match op {
            "eq" => Self::Equals(Scalar::read(value, kind, errors)?),
            "neq" => Self::Differs(Scalar::read(value, kind, errors)?),
            "in" => Self::OneOf(Scalar::read_list(value, kind, errors)?),
            "not_in" => Self::NoneOf(Scalar::read_list(value, kind, errors)?),
            "between" => {
                let ends = value.list(2..=2, errors)?;
                let ends: Vec<_> = ends.iter().map(|end| read_number(end, kind, errors)).collect();
                let [Some(low), Some(high)] = ends.as_slice() else { return None };
                if low > high {
                    return value.refuse(errors, "out_of_range", "write the lower end first");
                }
                Self::Between(*low, *high)
            }
            "contains" | "starts_with" => {
                let part = value.text(errors)?;
                if part.is_empty() {
                    return value.refuse(
                        errors,
                        "empty",
                        "every text has the empty text in it: write what to look for",
                    );
                }
                if op == "contains" { Self::Contains(part.to_owned()) } else { Self::StartsWith(part.to_owned()) }
            }
            _ => Self::Compares(Comparison::named(op)?, read_number(value, kind, errors)?),
        })
    }
}

/// A number, or for an age a duration, which is a number of seconds from here on.
fn read_number(node: &Node<'_>, kind: AttributeKind, errors: &mut FieldErrors) -> Option<Decimal> {
    if kind == AttributeKind::Duration {
        return Period::read(node, LONGEST, errors).map(|period| Decimal::from_whole(period.seconds()));
    }
    node.number(errors)
}

impl Scalar {
    /// The type of values that can be equal to it.
    #[must_use]
    pub const fn value_type(&self) -> ValueType {
        match self {
            Self::Text(_) => ValueType::Text,
            Self::Number(_) => ValueType::Number,
            Self::Bool(_) => ValueType::Boolean,
        }
    }

    fn read(node: &Node<'_>, kind: AttributeKind, errors: &mut FieldErrors) -> Option<Self> {
        match (node.json(), kind) {
            (Json::Text(_), AttributeKind::Text | AttributeKind::Any) | (_, AttributeKind::Text) => {
                node.text(errors).map(|value| Self::Text(value.to_owned()))
            }
            (Json::Bool(value), AttributeKind::Any) => Some(Self::Bool(*value)),
            (Json::Number(_), _) | (_, AttributeKind::Number | AttributeKind::Duration) => {
                node.number(errors).map(Self::Number)
            }
            (other, AttributeKind::Any) => {
                let detail = format!("this must be text, a number, true or false, and is {}", other.kind());
                node.refuse(errors, "wrong_type", detail)
            }
        }
    }

    fn read_list(node: &Node<'_>, kind: AttributeKind, errors: &mut FieldErrors) -> Option<Vec<Self>> {
        let items = node.list(1..=MAX_VALUES, errors)?;
        let values: Vec<_> = items.iter().map(|item| Self::read(item, kind, errors)).collect();
        let values = values.into_iter().collect::<Option<Vec<_>>>()?;
        let mixed = values
            .iter()
            .zip(values.iter().skip(1))
            .any(|(a, b)| std::mem::discriminant(a) != std::mem::discriminant(b));
        if mixed {
            return node.refuse(errors, "wrong_type", "the values must all be of one type");
        }
        Some(values)
    }
}

impl Comparison {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "gt" => Self::Gt,
            "gte" => Self::Gte,
            "lt" => Self::Lt,
            "lte" => Self::Lte,
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Lt => "lt",
            Self::Lte => "lte",
        }
    }
}

impl Relation {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "eq" => Self::Equals,
            "neq" => Self::Differs,
            "contains" => Self::Contains,
            "starts_with" => Self::StartsWith,
            _ => Self::Compares(Comparison::named(name)?),
        })
    }

    /// As rules write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equals => "eq",
            Self::Differs => "neq",
            Self::Compares(comparison) => comparison.name(),
            Self::Contains => "contains",
            Self::StartsWith => "starts_with",
        }
    }
}

/// The operators that are made for an attribute.
pub(crate) fn operators_of(attribute: &Attribute) -> Vec<&'static str> {
    let all = OF_A_VALUE.into_iter().chain(OF_VALUES).chain(["exists", WITHIN]);
    all.filter(|op| fits(op, attribute)).collect()
}
