//! Conditions on what is kept of people: only on what is declared, and as it was declared.

use std::collections::{BTreeMap, BTreeSet};

use super::{Lint, each_leaf};
use crate::foundation::document::below;
use crate::foundation::nearest::nearest;
use crate::rules::attribute::{Attribute, AttributeKind, ValueType};
use crate::rules::leaf::{Leaf, Relation, Test};
use crate::rules::rule::Rule;

pub(super) fn lint(rule: &Rule, declared: &BTreeMap<String, ValueType>, required: &BTreeSet<String>, found: &mut Lint) {
    if rule.of_subject().is_empty() {
        return;
    }
    each_leaf(rule, &mut |leaf, pointer| {
        if let Some(name) =
            leaf.attribute.of_subject().filter(|name| leaf.test == Test::Exists && required.contains(*name))
        {
            let detail = format!(
                "by its `on_missing` nobody without `subject.{name}` gets as far as this: it always holds; declare `ignore` \
                 to let the rule decide"
            );
            found.warn(pointer, "fallback_decides", detail);
        }
        let sides = [(Some(&leaf.attribute), "attr"), (leaf.test.other(), "ref")];
        for (attribute, member) in sides {
            let Some(name) = attribute.and_then(Attribute::of_subject) else { continue };
            match declared.get(name) {
                None => undeclared(name, declared, &below(pointer, member), found),
                Some(given) => {
                    if let Some(wanted) = mismatch(leaf, member == "attr", *given, declared) {
                        let detail = format!(
                            "`subject.{name}` is declared as {}, and this asks for {wanted}: it would never be known",
                            given.describe()
                        );
                        found.error(pointer, "wrong_type", detail);
                    }
                }
            }
        }
    });
}

fn undeclared(name: &str, declared: &BTreeMap<String, ValueType>, pointer: &str, found: &mut Lint) {
    let near = nearest(name, declared.keys().map(String::as_str));
    let hint = near.map_or_else(String::new, |near| format!("; did you mean `subject.{near}`?"));
    let detail = format!("no attribute `{name}` is declared: PUT /v1/attributes/{name} first, with its type{hint}");
    found.error(pointer, "undeclared_attribute", detail);
}

/// The type that a test asks for, in words, where one declared as `given` can't be it.
fn mismatch(
    leaf: &Leaf,
    is_left: bool,
    given: ValueType,
    declared: &BTreeMap<String, ValueType>,
) -> Option<&'static str> {
    let wanted = match &leaf.test {
        Test::Exists | Test::Within(_) => return None,
        Test::Equals(scalar) | Test::Differs(scalar) => scalar.value_type(),
        Test::OneOf(scalars) | Test::NoneOf(scalars) => scalars.first()?.value_type(),
        Test::Compares(..) | Test::Between(..) | Test::Against(Relation::Compares(_), _) => ValueType::Number,
        Test::Contains(_) => ValueType::TextOrList,
        Test::Against(Relation::Contains, _) if is_left => ValueType::TextOrList,
        Test::StartsWith(_) | Test::Against(Relation::Contains | Relation::StartsWith, _) => ValueType::Text,
        Test::Against(Relation::Equals | Relation::Differs, other) => {
            let opposite = if is_left { other } else { &leaf.attribute };
            match type_of(opposite, declared) {
                // Nothing equals a list.
                _ if given == ValueType::List => return Some("text, a number, true or false"),
                Some(opposite) => opposite,
                None => return None,
            }
        }
    };
    (!wanted.admits(given)).then(|| wanted.describe())
}

/// The type of an attribute, where it is known before any check.
fn type_of(attribute: &Attribute, declared: &BTreeMap<String, ValueType>) -> Option<ValueType> {
    match (attribute.of_subject(), attribute.kind()) {
        (Some(name), _) => declared.get(name).copied(),
        (None, AttributeKind::Number | AttributeKind::Duration) => Some(ValueType::Number),
        (None, AttributeKind::Text) => Some(ValueType::Text),
        (None, AttributeKind::Any) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::json::Json;

    fn found(when: &str) -> Vec<(String, &'static str)> {
        let text = format!(r#"{{"tiers":[{{"id":"t","when":{when}}}]}}"#);
        let rule = Rule::parse(&Json::parse(&text).unwrap(), "lounge").unwrap();
        let declared = [
            ("status", ValueType::Text),
            ("nights", ValueType::Number),
            ("banned", ValueType::Boolean),
            ("clubs", ValueType::List),
        ];
        let mut lint_found = Lint::default();
        lint(
            &rule,
            &declared.map(|(name, value_type)| (name.to_owned(), value_type)).into(),
            &BTreeSet::new(),
            &mut lint_found,
        );
        assert!(lint_found.warnings.is_empty());
        lint_found.errors.into_iter().map(|error| (error.path.to_string(), error.code)).collect()
    }

    #[test]
    fn only_what_is_declared_and_as_it_is_declared_can_be_asked_for() {
        for sound in [
            r#"{"attr":"subject.status","op":"in","values":["gold"]}"#,
            r#"{"attr":"subject.status","op":"contains","value":"gold"}"#,
            r#"{"attr":"subject.nights","op":"between","values":[1,2]}"#,
            r#"{"attr":"subject.nights","op":"gte","ref":"context.party"}"#,
            r#"{"attr":"subject.banned","op":"eq","value":false}"#,
            r#"{"attr":"subject.clubs","op":"contains","ref":"subject.status"}"#,
            r#"{"attr":"subject.clubs","op":"exists"}"#,
            r#"{"attr":"subject.status","op":"eq","ref":"context.anything"}"#,
            r#"{"attr":"subject.network","op":"eq","value":"twitter"}"#,
        ] {
            assert_eq!(found(sound), [], "{sound}");
        }
        for (odd, pointer, code) in [
            (r#"{"attr":"subject.statos","op":"eq","value":"gold"}"#, "/tiers/0/when/attr", "undeclared_attribute"),
            (r#"{"attr":"context.a","op":"eq","ref":"subject.b"}"#, "/tiers/0/when/ref", "undeclared_attribute"),
            (r#"{"attr":"subject.status","op":"gte","value":3}"#, "/tiers/0/when", "wrong_type"),
            (r#"{"attr":"subject.nights","op":"eq","value":"3"}"#, "/tiers/0/when", "wrong_type"),
            (r#"{"attr":"subject.nights","op":"starts_with","value":"3"}"#, "/tiers/0/when", "wrong_type"),
            (r#"{"attr":"subject.banned","op":"in","values":["no"]}"#, "/tiers/0/when", "wrong_type"),
            (r#"{"attr":"subject.clubs","op":"eq","value":"a"}"#, "/tiers/0/when", "wrong_type"),
            (r#"{"attr":"subject.clubs","op":"eq","ref":"context.x"}"#, "/tiers/0/when", "wrong_type"),
            (r#"{"attr":"subject.status","op":"lt","ref":"context.party"}"#, "/tiers/0/when", "wrong_type"),
            (r#"{"attr":"subject.status","op":"eq","ref":"context.party"}"#, "/tiers/0/when", "wrong_type"),
        ] {
            assert_eq!(found(odd), [(pointer.to_owned(), code)], "{odd}");
        }
    }
}
