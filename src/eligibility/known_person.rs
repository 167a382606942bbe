//! The facts that are kept of a person: the score and the attributes that a rule looks at, these under their terms.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::access::Merchant;
use crate::decision::person::PersonFacts;
use crate::foundation::subject::SubjectRefs;
use crate::perks::catalog::Catalog;
use crate::rules::declared::{AttributePolicy, DeclaredAttributes};
use crate::rules::rule::Rule;
use crate::rules::terms::Fallback;
use crate::scores::attributes::value::AttributeValue;
use crate::scores::{Score, ScoreError, Scores};

/// The attributes of a person that `rule` looks at. Nothing is looked up for a rule that looks at none.
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
    let is_later = |name: &String| {
        let of = |policy: &AttributePolicy| policy.declared_at.as_microsecond();
        held.get(name).zip(declared.get(name)).is_some_and(|(held, policy)| held.declared_at > of(policy))
    };
    if rule.of_subject().iter().any(is_later) {
        // Declared again, of which another replica has heard already.
        return Ok(facts_of(rule, &*catalog.declared_now(&merchant.id).await?, &held));
    }
    Ok(facts_of(rule, &declared, &held))
}

/// The attributes that `rule` looks at and that are only known of the person since `at`.
///
/// # Errors
/// [`ScoreError`].
pub(super) async fn known_later(
    scores: &Scores,
    merchant: &Merchant,
    rule: &Rule,
    subject: &SubjectRefs,
    at: Timestamp,
) -> Result<Vec<String>, ScoreError> {
    if rule.of_subject().is_empty() {
        return Ok(Vec::new());
    }
    let held = scores.attributes().find(&merchant.id, subject).await?;
    let is_later =
        |(name, held): &(&String, &AttributeValue)| rule.of_subject().contains(*name) && held.recorded() > at;
    Ok(held.iter().filter(is_later).map(|(name, _)| name.clone()).collect())
}

/// The score and the attributes that `rule` looks at, asked for at once.
///
/// # Errors
/// [`ScoreError`].
pub(super) async fn known_of(
    catalog: &Catalog,
    scores: &Scores,
    merchant: &Merchant,
    rule: &Rule,
    subject: &SubjectRefs,
) -> Result<(Option<Score>, PersonFacts), ScoreError> {
    let score = async {
        match rule.score() {
            Some(policy) if rule.looks_at_score() => scores.find(&merchant.id, &policy.source, subject).await,
            _ => Ok(None),
        }
    };
    if rule.of_subject().is_empty() {
        return Ok((score.await?, PersonFacts::default()));
    }
    tokio::try_join!(score, Box::pin(known_person(catalog, scores, merchant, rule, Some(subject))))
}

/// The facts that a rule looks at, each for as long as its value is good. One of an earlier declaration is none.
pub(super) fn facts_of(
    rule: &Rule,
    declared: &DeclaredAttributes,
    held: &BTreeMap<String, AttributeValue>,
) -> PersonFacts {
    let mut person = PersonFacts::default();
    for name in rule.of_subject() {
        let Some(policy) = declared.get(name) else {
            // Nobody knows what it was declared to mean for those who have none: nobody is let in for want of it.
            person.want(name, Fallback::Deny);
            continue;
        };
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
