//! Members of the context that one part of a rule takes for another type than the next: no check can meet both.

use std::collections::BTreeMap;

use super::{Lint, each_leaf};
use crate::foundation::document::below;
use crate::rules::attribute::{Attribute, ValueType};
use crate::rules::leaf::{Relation, Test};
use crate::rules::rule::Rule;

pub(super) fn lint(rule: &Rule, found: &mut Lint) {
    let mut known: BTreeMap<String, (ValueType, String)> = BTreeMap::new();
    let mut differing = Vec::new();
    each_leaf(rule, &mut |leaf, pointer| {
        let Attribute::Context(name) = &leaf.attribute else { return };
        let Some(wanted) = wanted(&leaf.test) else { return };
        match known.get_mut(name) {
            None => {
                known.insert(name.clone(), (wanted, pointer.to_owned()));
            }
            Some((first, at)) => match both(*first, wanted) {
                Some(narrower) => *first = narrower,
                None => differing.push((pointer.to_owned(), name.clone(), wanted, *first, at.clone())),
            },
        }
    });
    for (pointer, name, wanted, first, at) in differing {
        let detail = format!(
            "`context.{name}` is taken for {} here, and for {} at {at}: a check that says one can't meet the other",
            wanted.describe(),
            first.describe()
        );
        found.warn(pointer, "contradictory_types", detail);
    }
    for (nth, limit) in rule.limits().iter().enumerate() {
        for name in limit.scope.iter().filter_map(|scope| scope.member()) {
            if let Some((ValueType::TextOrList | ValueType::List, at)) = known.get(name) {
                let detail = format!(
                    "`{}` counts by `context.{name}`, in which {at} looks for a part: a list can't be counted by, and is refused",
                    limit.id
                );
                found.warn(below(&below("/limits", &nth.to_string()), "scope"), "counts_by_list", detail);
            }
        }
    }
}

/// The type that a test is made for; none where any fits.
fn wanted(test: &Test) -> Option<ValueType> {
    Some(match test {
        Test::Exists | Test::Against(Relation::Equals | Relation::Differs | Relation::Contains, _) => return None,
        Test::Equals(scalar) | Test::Differs(scalar) => scalar.value_type(),
        Test::OneOf(scalars) | Test::NoneOf(scalars) => scalars.first()?.value_type(),
        Test::Compares(..) | Test::Between(..) | Test::Against(Relation::Compares(_), _) => ValueType::Number,
        Test::Contains(_) => ValueType::TextOrList,
        Test::StartsWith(_) | Test::Against(Relation::StartsWith, _) => ValueType::Text,
        Test::Within(_) => ValueType::Instant,
    })
}

/// The type of a value that meets both; none where no value does.
fn both(one: ValueType, other: ValueType) -> Option<ValueType> {
    let is_text = |it| matches!(it, ValueType::Text | ValueType::TextOrList | ValueType::Instant);
    match (one, other) {
        (one, other) if one == other => Some(one),
        // An instant is a text.
        (one, other) if is_text(one) && is_text(other) => {
            Some(if [one, other].contains(&ValueType::Instant) { ValueType::Instant } else { ValueType::Text })
        }
        _ => None,
    }
}
