//! The database's knowledge of the world that a rule is held against.

use jiff::Timestamp;

use super::error::PerkError;
use super::{observed_attributes, store};
use crate::database::AnyConnection;
use crate::foundation::ids::MerchantId;
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
        sent: observed_attributes::sent(conn, merchant)?,
        now,
    })
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
