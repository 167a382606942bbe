//! The verdict on a rule that someone writes in a page, before it is saved.

use super::rule_text::said;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{MerchantId, PerkSlug};
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::perks::error::PerkError;
use crate::rules::lint::Lint;
use crate::rules::rule::Rule;
use crate::web::problem::Problem;

/// A rule that was read, or the reasons why not.
pub(super) struct Judged {
    /// None where it can't be read.
    pub rule: Option<Rule>,
    /// The faults that stop it.
    pub errors: Vec<FieldError>,
    /// Its oddities.
    pub warnings: Vec<FieldError>,
}

/// Reads a document and lints it as the perk's next version, or as the first of a new perk. The details are in the words of
/// pages.
///
/// # Errors
/// The database's.
pub(super) async fn judge(
    gateway: &Gateway,
    merchant: &MerchantId,
    slug: &PerkSlug,
    document: &Json,
) -> Result<Judged, Problem> {
    let rule = match Rule::parse(document, slug.as_str()) {
        Ok(rule) => rule,
        Err(errors) => return Ok(Judged { rule: None, errors: in_words(errors), warnings: Vec::new() }),
    };
    let Lint { errors, warnings } = match gateway.catalog.lint(merchant, slug, &rule).await {
        Ok(lint) => lint,
        Err(PerkError::Rule(errors)) => Lint { errors, warnings: Vec::new() },
        Err(error) => return Err(error.into()),
    };
    Ok(Judged { rule: Some(rule), errors: in_words(errors), warnings: in_words(warnings) })
}

pub(super) fn in_words(errors: Vec<FieldError>) -> Vec<FieldError> {
    let words = |error: FieldError| FieldError { detail: said(&error.detail), ..error };
    errors.into_iter().map(words).collect()
}
