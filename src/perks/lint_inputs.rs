//! The database's knowledge of the world that a rule is held against.

use jiff::Timestamp;

use super::error::PerkError;
use super::{attributes, observed_attributes};
use crate::database::AnyConnection;
use crate::foundation::ids::MerchantId;
use crate::rules::declared::{AttributePolicy, DeclaredAttributes};
use crate::rules::lint::LintContext;
use crate::rules::rule::Rule;
use crate::rules::terms::Fallback;
use crate::scores::find_source;
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
    let declared = declared(conn, merchant, rule)?;
    let is_required = |policy: &AttributePolicy| policy.on_missing != Fallback::Ignore;
    Ok(LintContext {
        scale: source.as_ref().map(|source| (source.minimum, source.maximum)),
        refresh: source.and_then(|source| source.refresh),
        required: declared.iter().filter(|(_, policy)| is_required(policy)).map(|(name, _)| name.clone()).collect(),
        declared: declared.into_iter().map(|(name, policy)| (name, policy.value_type)).collect(),
        sent: observed_attributes::sent(conn, merchant)?,
        now,
    })
}

/// The declarations of attributes of people, where the rule looks at any.
fn declared(conn: &mut AnyConnection, merchant: &MerchantId, rule: &Rule) -> Result<DeclaredAttributes, PerkError> {
    if rule.of_subject().is_empty() {
        return Ok(DeclaredAttributes::new());
    }
    let declared = attributes::list_attributes(conn, merchant)?.into_iter();
    Ok(declared.map(|attribute| (attribute.name, attribute.policy)).collect())
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
    let source = find_source(conn, merchant, &policy.source)?;
    source.map(Some).ok_or_else(|| PerkError::Rule(vec![rule.unknown_source(policy)]))
}
