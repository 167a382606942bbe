//! The truth of a condition, by Kleene's three-valued logic: what isn't known is neither true nor false.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::facts::{Facts, Value, millionths};
use super::timing::Missed;
use crate::foundation::decimal::Decimal;
use crate::foundation::json::Json;
use crate::rules::attribute::{Attribute, PassField, ValueType};
use crate::rules::condition::Condition;
use crate::rules::leaf::{Comparison, Leaf, Relation, Scalar, Test};

/// True, false or unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    False,
    Unknown,
    True,
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// A value that is there, of a type that its test says nothing about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mistyped {
    pub wanted: ValueType,
    pub given: ValueType,
}

/// The causes that a truth is due to.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    /// Attributes; those whose value is of the wrong type say so.
    pub attributes: BTreeMap<Attribute, Option<Mistyped>>,
    /// Time windows that now is not in, with the attributes that they lie around.
    pub windows: BTreeSet<(Missed, Attribute)>,
}

impl Causes {
    /// True if it is the score alone that isn't there.
    pub(super) fn are_of_score(&self) -> bool {
        let is_of_score = |attribute: &Attribute| matches!(attribute, Attribute::Score | Attribute::ScoreAge);
        self.windows.is_empty() && !self.attributes.is_empty() && self.attributes.keys().all(is_of_score)
    }
}

/// Facts at an instant, possibly with another score in place of the true one, or with none.
#[derive(Clone, Copy)]
pub(crate) struct World<'a> {
    pub(super) facts: &'a Facts,
    pub(super) now: Timestamp,
    score: Option<Decimal>,
}

impl<'a> World<'a> {
    pub(crate) fn new(facts: &'a Facts, now: Timestamp) -> Self {
        Self { facts, now, score: facts.score.map(|score| score.value) }
    }

    /// The same, if there were no score.
    pub(crate) fn without_score(self) -> Self {
        Self { score: None, ..self }
    }

    /// The score, unless there is none or it is left out of account.
    pub(crate) fn score(self) -> Option<Decimal> {
        self.score
    }

    /// Tells whether the value of an attribute is known.
    pub(crate) fn knows(self, attribute: &Attribute) -> bool {
        self.value(attribute).is_some()
    }

    /// True if a boarding pass was shown and no leg of it counts.
    pub(crate) fn has_undated_pass(self) -> bool {
        self.facts.context.is_undated()
    }

    /// True if a boarding pass was shown and one of its legs counts: its date is recorded, whatever else is looked at.
    pub(crate) fn has_pass(self) -> bool {
        self.knows(&Attribute::BoardingPass(PassField::Date))
    }

    /// True if the flight of the boarding pass is on a later day.
    pub(crate) fn is_before_flight(self) -> bool {
        let days = self.value(&Attribute::BoardingPass(PassField::DaysFromToday));
        matches!(days, Some(Value::Number(days)) if days > 0)
    }

    /// The same, if the score were another one.
    pub(crate) fn if_score_were(self, score: Decimal) -> Self {
        Self { score: Some(score), ..self }
    }

    /// Tells whether a condition holds; one that was left out does.
    pub(crate) fn meets(self, condition: Option<&Condition>) -> Truth {
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

    pub(super) fn value(self, attribute: &Attribute) -> Option<Value<'a>> {
        match attribute {
            Attribute::Score => self.score.map(|score| Value::Number(millionths(score))),
            Attribute::ScoreAge if self.score.is_none() => None,
            other => self.facts.value(other, self.now),
        }
    }

    fn leaf(self, leaf: &Leaf) -> Truth {
        let value = self.value(&leaf.attribute);
        match (&leaf.test, value) {
            (Test::Exists, value) => value.is_some().into(),
            (_, None) => Truth::Unknown,
            (Test::Within(window), Some(_)) => self
                .edges(&leaf.attribute, window)
                .map_or(Truth::Unknown, |(opens, closes)| (opens <= self.now && self.now <= closes).into()),
            (Test::Against(relation, other), Some(value)) => {
                self.value(other).map_or(Truth::Unknown, |other| relate(*relation, value, other))
            }
            (tested, Some(value)) => test(tested, value),
        }
    }

    /// The reasons why `condition` is as true as it is.
    pub(crate) fn causes(self, condition: &Condition) -> Causes {
        let mut causes = Causes::default();
        self.add_causes(condition, &mut causes);
        causes
    }

    fn add_causes(self, condition: &Condition, causes: &mut Causes) {
        let whole = self.truth(condition);
        match condition {
            // Members of another truth did not bring the whole to the one it has.
            Condition::All(members) | Condition::Any(members) => {
                for member in members.iter().filter(|member| self.truth(member) == whole) {
                    self.add_causes(member, causes);
                }
            }
            Condition::Not(inner) => self.add_causes(inner, causes),
            Condition::Leaf(leaf) => self.add_leaf_causes(leaf, whole, causes),
        }
    }

    /// Adds the causes of one leaf. Of two that are compared, an unknown truth is due to the missing one, or,
    /// when both are there, to the one whose type the test isn't made for.
    fn add_leaf_causes(self, leaf: &Leaf, truth: Truth, causes: &mut Causes) {
        if let Some(missed) = self.missed(leaf) {
            causes.windows.insert((missed, leaf.attribute.clone()));
            return;
        }
        let compared = || std::iter::once(&leaf.attribute).chain(leaf.test.other());
        // A time window does without the instant that it would open by.
        let needed = || compared().take(if matches!(leaf.test, Test::Within(_)) { 1 } else { 2 });
        let missing: Vec<_> = needed().filter(|attribute| self.value(attribute).is_none()).collect();
        let mistyped = || compared().filter_map(|attribute| Some((attribute, self.mistyped(leaf, attribute)?)));
        // Whatever order the members of a condition stand in, of one attribute the same is reported.
        let mut add = |attribute: &Attribute, mistyped: Option<Mistyped>| {
            let known = causes.attributes.entry(attribute.clone()).or_insert(mistyped);
            *known = (*known).min(mistyped);
        };
        if truth != Truth::Unknown {
            add(&leaf.attribute, None);
        } else if !missing.is_empty() {
            for attribute in missing {
                add(attribute, None);
            }
        } else if mistyped().next().is_some() {
            for (attribute, mistyped) in mistyped() {
                add(attribute, Some(mistyped));
            }
        } else {
            for attribute in compared() {
                add(attribute, None);
            }
        }
    }

    /// The mismatch in type of an attribute's value and what its leaf tests; none where it fits, or isn't there.
    fn mistyped(self, leaf: &Leaf, attribute: &Attribute) -> Option<Mistyped> {
        let given = self.value(attribute)?.value_type();
        let is_left = *attribute == leaf.attribute;
        let wanted = match &leaf.test {
            Test::Exists => return None,
            Test::Within(_) => {
                let is_instant = self.facts.instant(attribute).is_some();
                return (!is_instant).then_some(Mistyped { wanted: ValueType::Instant, given });
            }
            Test::Equals(scalar) | Test::Differs(scalar) => scalar.value_type(),
            Test::OneOf(scalars) | Test::NoneOf(scalars) => scalars.first()?.value_type(),
            Test::Compares(..) | Test::Between(..) | Test::Against(Relation::Compares(_), _) => ValueType::Number,
            Test::Contains(_) => ValueType::TextOrList,
            Test::Against(Relation::Contains, _) if is_left => ValueType::TextOrList,
            Test::StartsWith(_) | Test::Against(Relation::Contains | Relation::StartsWith, _) => ValueType::Text,
            Test::Against(Relation::Equals | Relation::Differs, other) => {
                let opposite = self.value(if is_left { other } else { &leaf.attribute })?.value_type();
                match (given, opposite) {
                    (ValueType::List, ValueType::List) => ValueType::Text,
                    // Nothing equals a list: it is the list that doesn't fit.
                    (given, ValueType::List) => given,
                    (_, opposite) => opposite,
                }
            }
        };
        (!wanted.admits(given)).then_some(Mistyped { wanted, given })
    }

    /// The scores at which the truth of a condition can turn, each being the first on its far side.
    /// Where the score is compared with another attribute, that one's value is such a score.
    pub(crate) fn turning_points(self, condition: Option<&Condition>, into: &mut BTreeSet<Decimal>) {
        let Some(condition) = condition else { return };
        condition.each_leaf(&mut |leaf| {
            let ends = match (&leaf.attribute, &leaf.test) {
                (Attribute::Score, Test::Compares(_, value)) => [Some(*value), None],
                (Attribute::Score, Test::Equals(Scalar::Number(value)) | Test::Differs(Scalar::Number(value))) => {
                    [Some(*value), None]
                }
                (Attribute::Score, Test::Between(low, high)) => [Some(*low), Some(*high)],
                (Attribute::Score, Test::Against(_, other)) | (other, Test::Against(_, Attribute::Score)) => {
                    [self.number(other), None]
                }
                _ => [None, None],
            };
            for end in ends.into_iter().flatten() {
                into.insert(end);
                into.insert(Decimal::from_thousandths(end.thousandths().saturating_add(1)));
            }
        });
    }

    fn number(self, attribute: &Attribute) -> Option<Decimal> {
        match self.value(attribute)? {
            // What a caller says has three decimals at most: nothing is lost.
            Value::Number(millionths) => Some(Decimal::from_thousandths(millionths / 1000)),
            _ => None,
        }
    }
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
        (Test::Compares(comparison, bound), Value::Number(number)) => compare(*comparison, number, millionths(*bound)),
        (Test::Between(low, high), Value::Number(number)) => {
            (millionths(*low)..=millionths(*high)).contains(&number).into()
        }
        (Test::Contains(part), Value::Text(whole)) => whole.contains(part.as_str()).into(),
        (Test::Contains(part), Value::List(items)) => {
            items.iter().any(|item| matches!(item, Json::Text(member) if member == part)).into()
        }
        (Test::StartsWith(part), Value::Text(whole)) => whole.starts_with(part.as_str()).into(),
        _ => Truth::Unknown,
    }
}

/// A test of one value by another. The empty text is in every text, and a list has no order: neither
/// says anything.
fn relate(relation: Relation, value: Value<'_>, other: Value<'_>) -> Truth {
    match (relation, value, other) {
        (Relation::Equals, value, other) => alike(value, other),
        (Relation::Differs, value, other) => negate(alike(value, other)),
        (Relation::Compares(comparison), Value::Number(number), Value::Number(bound)) => {
            compare(comparison, number, bound)
        }
        (Relation::Contains | Relation::StartsWith, _, Value::Text("")) => Truth::Unknown,
        (Relation::Contains, Value::Text(whole), Value::Text(part)) => whole.contains(part).into(),
        (Relation::Contains, Value::List(items), Value::Text(part)) => {
            items.iter().any(|item| matches!(item, Json::Text(member) if member == part)).into()
        }
        (Relation::StartsWith, Value::Text(whole), Value::Text(part)) => whole.starts_with(part).into(),
        _ => Truth::Unknown,
    }
}

fn compare(comparison: Comparison, number: i64, bound: i64) -> Truth {
    match comparison {
        Comparison::Gt => number > bound,
        Comparison::Gte => number >= bound,
        Comparison::Lt => number < bound,
        Comparison::Lte => number <= bound,
    }
    .into()
}

fn alike(value: Value<'_>, other: Value<'_>) -> Truth {
    match (value, other) {
        (Value::Text(a), Value::Text(b)) => (a == b).into(),
        (Value::Number(a), Value::Number(b)) => (a == b).into(),
        (Value::Bool(a), Value::Bool(b)) => (a == b).into(),
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

#[cfg(test)]
mod tests {
    use super::Truth::{False, True, Unknown};
    use super::*;
    use crate::decision::facts::Context;
    use crate::rules::rule::Rule;

    fn truth(when: &str, context: &str) -> Truth {
        let rule = format!(r#"{{"tiers":[{{"id":"t","when":{when}}}]}}"#);
        let rule = Rule::parse(&Json::parse(&rule).unwrap(), "perk").unwrap();
        let context = Context::parse(&Json::parse(context).unwrap()).unwrap();
        let facts = Facts { network: Some("twitter".into()), context, ..Facts::default() };
        World::new(&facts, Timestamp::UNIX_EPOCH).meets(rule.tiers()[0].when.as_ref())
    }

    const LEAVES: [(&str, Truth); 3] = [
        (r#"{"attr":"context.yes","op":"eq","value":true}"#, True),
        (r#"{"attr":"context.no","op":"eq","value":true}"#, False),
        (r#"{"attr":"context.what","op":"eq","value":true}"#, Unknown),
    ];
    const KNOWN: &str = r#"{"yes":true,"no":false}"#;

    #[test]
    fn all_any_and_not_follow_kleenes_tables() {
        let strength = |truth| match truth {
            False => 0,
            Unknown => 1,
            True => 2,
        };
        for (a, a_is) in LEAVES {
            assert_eq!(truth(a, KNOWN), a_is);
            let opposite = [True, Unknown, False][strength(a_is)];
            assert_eq!(truth(&format!(r#"{{"not":{a}}}"#), KNOWN), opposite);
            for (b, b_is) in LEAVES {
                let (weak, strong) = if strength(a_is) < strength(b_is) { (a_is, b_is) } else { (b_is, a_is) };
                assert_eq!(truth(&format!(r#"{{"all":[{a},{b}]}}"#), KNOWN), weak, "{a} {b}");
                assert_eq!(truth(&format!(r#"{{"any":[{a},{b}]}}"#), KNOWN), strong, "{a} {b}");
            }
        }
    }

    #[test]
    fn an_attribute_is_compared_with_another_one() {
        let context =
            r#"{"gate":"A7","wing":"A","none":"","seats":2.5,"rows":2,"vip":true,"ok":true,"tags":["A7"],"party":2}"#;
        for (left, op, right, is) in [
            ("context.party", "lte", "context.seats", True),
            ("context.party", "gt", "context.seats", False),
            ("context.party", "gte", "context.rows", True),
            ("context.party", "lt", "context.rows", False),
            ("context.party", "eq", "context.rows", True),
            ("context.seats", "neq", "context.rows", True),
            ("context.seats", "lte", "context.gate", Unknown),
            ("context.gate", "neq", "context.rows", Unknown),
            ("context.vip", "eq", "context.ok", True),
            ("context.tags", "eq", "context.gate", Unknown),
            ("context.gate", "starts_with", "context.wing", True),
            ("context.wing", "starts_with", "context.gate", False),
            ("context.gate", "contains", "context.wing", True),
            ("context.gate", "contains", "context.none", Unknown),
            ("context.tags", "contains", "context.gate", True),
            ("context.tags", "contains", "context.wing", False),
            ("context.gate", "contains", "context.tags", Unknown),
            ("subject.network", "eq", "context.gate", False),
            ("context.party", "lte", "context.gone", Unknown),
            ("context.gone", "neq", "context.party", Unknown),
        ] {
            let leaf = format!(r#"{{"attr":"{left}","op":"{op}","ref":"{right}"}}"#);
            assert_eq!(truth(&leaf, context), is, "{leaf}");
        }
    }

    #[test]
    fn each_operator_tells_true_false_and_unknown() {
        let context = r#"{"text":"gate A7","number":12.5,"bool":true,"list":["gold","sfo"]}"#;
        for (attr, rest, is) in [
            ("text", r#""op":"eq","value":"gate A7""#, True),
            ("text", r#""op":"eq","value":"Gate A7""#, False),
            ("text", r#""op":"neq","value":"gate A7""#, False),
            ("text", r#""op":"eq","value":7"#, Unknown),
            ("text", r#""op":"neq","value":7"#, Unknown),
            ("text", r#""op":"in","values":["x","gate A7"]"#, True),
            ("text", r#""op":"not_in","values":["x"]"#, True),
            ("text", r#""op":"not_in","values":[1,2]"#, Unknown),
            ("text", r#""op":"contains","value":"A"#, True),
            ("text", r#""op":"contains","value":"B"#, False),
            ("text", r#""op":"starts_with","value":"gate"#, True),
            ("text", r#""op":"starts_with","value":"A7"#, False),
            ("text", r#""op":"gt","value":1"#, Unknown),
            ("number", r#""op":"eq","value":12.5"#, True),
            ("number", r#""op":"gt","value":12.5"#, False),
            ("number", r#""op":"gte","value":12.5"#, True),
            ("number", r#""op":"gt","value":12.499"#, True),
            ("number", r#""op":"lt","value":12.5"#, False),
            ("number", r#""op":"lte","value":12.5"#, True),
            ("number", r#""op":"between","values":[12.5,13]"#, True),
            ("number", r#""op":"between","values":[12,12.499]"#, False),
            ("number", r#""op":"contains","value":"1"#, Unknown),
            ("bool", r#""op":"neq","value":false"#, True),
            ("bool", r#""op":"in","values":["true"]"#, Unknown),
            ("list", r#""op":"contains","value":"gold"#, True),
            ("list", r#""op":"contains","value":"gol"#, False),
            ("list", r#""op":"eq","value":"gold"#, Unknown),
            ("list", r#""op":"exists""#, True),
            ("gone", r#""op":"exists""#, False),
            ("gone", r#""op":"neq","value":1"#, Unknown),
            ("party", r#""op":"exists""#, True),
            ("party", r#""op":"eq","value":1"#, True),
        ] {
            let end = if rest.matches('"').count() % 2 == 1 { "\"" } else { "" };
            assert_eq!(truth(&format!(r#"{{"attr":"context.{attr}",{rest}{end}}}"#), context), is, "{attr} {rest}");
        }
        assert_eq!(truth(r#"{"attr":"subject.network","op":"eq","value":"twitter"}"#, "{}"), True);
    }
}
