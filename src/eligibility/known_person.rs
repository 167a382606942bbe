//! What a rule may go by of a person besides the score: the values that are kept, under the terms that were declared.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::access::Merchant;
use crate::decision::person::PersonFacts;
use crate::foundation::subject::SubjectRefs;
use crate::perks::catalog::Catalog;
use crate::rules::declared::{AttributePolicy, DeclaredAttributes};
use crate::rules::rule::Rule;
use crate::scores::attributes::value::AttributeValue;
use crate::scores::{ScoreError, Scores};

/// What is known of a person, as far as `rule` looks at it. Nothing is looked up for a rule that doesn't.
///
/// # Errors
/// [`ScoreError`].
pub(super) async fn known_person(
    catalog: &Catalog,
    scores: &Scores,
    merchant: &Merchant,
    rule: &Rule,
    subject: Option<&SubjectRefs>,
) -> Result<PersonFacts, ScoreError> {
    if rule.of_subject().is_empty() {
        return Ok(PersonFacts::default());
    }
    let declared = catalog.declared_for(&merchant.id, rule).await?;
    let Some(subject) = subject else { return Ok(facts_of(rule, &declared, &BTreeMap::new())) };
    let held = scores.attributes().find(&merchant.id, subject).await?;
    Ok(facts_of(rule, &declared, &held))
}

/// The facts that a rule looks at, each for as long as its value is good. One of an earlier declaration is none.
pub(super) fn facts_of(
    rule: &Rule,
    declared: &DeclaredAttributes,
    held: &BTreeMap<String, AttributeValue>,
) -> PersonFacts {
    let mut person = PersonFacts::default();
    for name in rule.of_subject() {
        let Some(policy) = declared.get(name) else { continue };
        person.want(name, policy.on_missing);
        let is_of_it = |held: &&AttributeValue| held.declared_at == policy.declared_at.as_microsecond();
        if let Some(held) = held.get(name).filter(is_of_it) {
            person.know(name, held.value.clone(), end_of(held, policy));
        }
    }
    person
}

/// The first instant at which a value is past its end, or older than it may be.
fn end_of(held: &AttributeValue, policy: &AttributePolicy) -> Option<Timestamp> {
    let oldest = policy.max_age.map(|max_age| held.recorded_at.saturating_add(max_age.micros()).saturating_add(1));
    let too_old = oldest.map(|at| Timestamp::from_microsecond(at).unwrap_or(Timestamp::MAX));
    [too_old, held.ends()].into_iter().flatten().min()
}
