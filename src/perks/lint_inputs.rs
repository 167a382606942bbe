//! The database's knowledge of the world that a rule is held against.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::error::PerkError;
use super::{attributes, observed_attributes, store};
use crate::database::AnyConnection;
use crate::foundation::ids::MerchantId;
use crate::rules::attribute::ValueType;
use crate::rules::lint::LintContext;
use crate::rules::rule::Rule;
use crate::scores::score::Source;

/// The context that `rule` is linted with.
///
/// # Errors
/// [`PerkError::Rule`] when it reads a source that isn't there, and [`PerkError::Database`].
pub(super) fn lint_context(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    rule: &Rule,
    now: Timestamp,
) -> Result<LintContext, PerkError> {
    let source = source_of(conn, merchant, rule)?;
    Ok(LintContext {
        scale: source.as_ref().map(|source| (source.minimum, source.maximum)),
        refresh: source.and_then(|source| source.refresh),
        declared: declared(conn, merchant, rule)?,
        sent: observed_attributes::sent(conn, merchant)?,
        now,
    })
}

/// What is declared of people, where the rule looks at any of it.
fn declared(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    rule: &Rule,
) -> Result<BTreeMap<String, ValueType>, PerkError> {
    if rule.of_subject().is_empty() {
        return Ok(BTreeMap::new());
    }
    let declared = attributes::list_attributes(conn, merchant)?.into_iter();
    Ok(declared.map(|attribute| (attribute.name, attribute.policy.value_type)).collect())
}

/// The source that the rule reads; none without one.
fn source_of(conn: &mut AnyConnection, merchant: &MerchantId, rule: &Rule) -> Result<Option<Source>, PerkError> {
    let Some(policy) = rule.score() else {
        return Ok(None);
    };
    let built_in = Source::klout();
    if policy.source == built_in.name {
        return Ok(Some(built_in));
    }
    let source = store::find_source(conn, merchant, &policy.source)?;
    source.map(Some).ok_or_else(|| PerkError::Rule(vec![rule.unknown_source(policy)]))
}
