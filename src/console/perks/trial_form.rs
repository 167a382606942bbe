//! Parts that the pages of a version share, and those of trials: which one is meant, and what is wrong with a trial.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use serde::Deserialize;

use super::board::tier_name;
use super::show::status_words;
use crate::eligibility::rule_selection::TrialError;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{MerchantId, PerkSlug};
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::perks::perk::{Perk, RuleVersion};
use crate::web::params::VersionNumber;
use crate::web::problem::{Problem, sentence};

/// The most versions that are offered.
const MOST: u32 = 50;

/// The version that a page is of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct TrialQuery {
    pub(super) version: Option<VersionNumber>,
}

/// The perk, and the version of it that is asked for; without one what is being written comes first.
pub(super) async fn asked_version(
    gateway: &Gateway,
    merchant: &MerchantId,
    slug: &PerkSlug,
    version: Option<VersionNumber>,
) -> Result<(Perk, RuleVersion), Problem> {
    let perk = gateway.catalog.find_perk(merchant, slug).await?;
    let number = version.map_or(perk.latest_version, |VersionNumber(version)| version);
    let version = gateway.catalog.find_version(merchant, slug, number).await?;
    Ok((perk, version))
}

/// The faults that a page shows of a trial that was refused, with its status.
///
/// # Errors
/// The refusals that no field of the form can mend.
pub(super) fn trial_faults(error: TrialError) -> Result<(StatusCode, Vec<String>), Problem> {
    match error {
        TrialError::Perk(_) => Err(error.into()),
        TrialError::Context(errors) => {
            let detail = |error: &FieldError| format!("{}: {}", error.path.as_str(), sentence(&error.detail));
            Ok((StatusCode::UNPROCESSABLE_ENTITY, errors.iter().map(detail).collect()))
        }
        error if error.field().is_some() || matches!(error, TrialError::Running | TrialError::Crowded) => {
            let words = vec![sentence(&error.to_string())];
            Ok((Problem::from(error).kind.status(), words))
        }
        error => Err(error.into()),
    }
}

/// A version to choose.
pub(super) struct VersionChoice {
    pub number: i32,
    pub status: &'static str,
    pub is_chosen: bool,
}

impl VersionChoice {
    /// The newest versions of a perk, and the one that is chosen.
    pub(super) async fn list(
        gateway: &Gateway,
        merchant: &MerchantId,
        slug: &PerkSlug,
        chosen: i32,
    ) -> Result<Vec<Self>, Problem> {
        let versions = gateway.catalog.list_versions(merchant, slug, None, MOST).await?;
        let mut choices: Vec<Self> = versions
            .iter()
            .map(|it| Self { number: it.version, status: status_words(it.status).1, is_chosen: it.version == chosen })
            .collect();
        if !choices.iter().any(|it| it.is_chosen) {
            choices.push(Self { number: chosen, status: "older", is_chosen: true });
        }
        Ok(choices)
    }
}

/// The names of a rule's tiers, by id.
pub(super) fn tier_names(rule: &Json) -> BTreeMap<String, String> {
    let tiers = rule.member("tiers").and_then(Json::as_list).unwrap_or_default();
    let named = |tier: &Json| Some((tier.member("id")?.as_text()?.to_owned(), tier_name(tier)));
    tiers.iter().filter_map(named).collect()
}

/// A reason's code in words: `Score below threshold`.
pub(super) fn words_of_code(code: &str) -> String {
    let mut letters = code.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters.map(|letter| if letter == '_' { ' ' } else { letter })).collect()
}
