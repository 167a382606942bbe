//! `/v1/perks/{perk}/diff`: what differs between two versions of a rule.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::WarningView;
use crate::access::role::permit::ManagePerks;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::PerkSlug;
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{ProblemsOfKeys, ProblemsOfNames, ProblemsOfQuery};
use crate::perks::perk::RuleVersion;
use crate::rules::diff::{Change, ChangeKind, diff_documents};
use crate::rules::lint::restarts;
use crate::rules::rule::Rule;
use crate::web::auth::Authorized;
use crate::web::extract::{Params, Path};
use crate::web::params::VersionNumber;
use crate::web::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DiffQuery {
    /// The version to begin from; the published one unless given.
    #[param(value_type = Option<i32>, example = 1)]
    from: Option<VersionNumber>,
    /// The version to arrive at; the latest one unless given.
    #[param(value_type = Option<i32>, example = 2)]
    to: Option<VersionNumber>,
}

/// The differences between two versions.
#[derive(Debug, Serialize, ToSchema)]
pub struct DiffView {
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    #[schema(example = 1)]
    from: i32,
    #[schema(example = 2)]
    to: i32,
    /// Empty when both mean the same.
    changes: Vec<ChangeView>,
    /// The limits that begin again when `to` takes over from `from`, at their places in the rule of `to`.
    warnings: Vec<WarningView>,
}

/// One difference.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RuleChange)]
pub struct ChangeView {
    /// Where in the rule of `to`, as the version shows it; of `from` for what was removed (RFC 6901).
    #[schema(example = "/tiers/1/when")]
    pointer: String,
    #[schema(value_type = enumerations::ChangeKind)]
    kind: ChangeKind,
    #[schema(value_type = Option<serde_json::Value>, example = json!({"attr": "score", "op": "gte", "value": 40}))]
    before: Option<Json>,
    #[schema(value_type = Option<serde_json::Value>, example = json!({"attr": "score", "op": "gte", "value": 45}))]
    after: Option<Json>,
    #[schema(example = "Main lounge: at least 40 → at least 45")]
    sentence: String,
}

impl From<Change> for ChangeView {
    fn from(change: Change) -> Self {
        let Change { pointer, kind, before, after, sentence } = change;
        Self { pointer, kind, before, after, sentence }
    }
}

/// Compare two versions
///
/// Additions, removals and changes, each as a sentence, and the limits that begin again. Tiers and limits are
/// matched by id.
#[utoipa::path(
    tag = "perks",
    params(("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge"), DiffQuery),
    responses((status = 200, description = "The differences", body = DiffView), ProblemsOfNames, ProblemsOfQuery, ProblemsOfKeys)
)]
#[get("/perks/{perk}/diff")]
pub(crate) async fn get_diff(
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
    query: Params<DiffQuery>,
) -> Result<HttpResponse, Problem> {
    let DiffQuery { from, to } = query.into_inner();
    let merchant = &caller.merchant()?.id;
    let perk = gateway.catalog.find_perk(merchant, &slug).await?;
    let from = from.map(|VersionNumber(number)| number).or(perk.published_version).ok_or_else(|| {
        let detail = "Nothing of this perk is published: say which version to begin from.";
        Problem::invalid(vec![FieldError::of_parameter("from", "missing", detail)])
    })?;
    let to = to.map_or(perk.latest_version, |VersionNumber(number)| number);
    let before = gateway.catalog.find_version(merchant, &slug, from).await?;
    let after = gateway.catalog.find_version(merchant, &slug, to).await?;
    let (before, after) = (document(&before)?, document(&after)?);
    let changes = diff_documents(&before, &after).into_iter().map(ChangeView::from).collect();
    // A rule that can't be read any more can't take over from another, nor another from it.
    let rule = |document: &Json| Rule::parse(document, slug.as_str()).ok();
    let restarts = rule(&before).zip(rule(&after)).map(|(old, new)| restarts(&old, &new, gateway.clock.now()));
    let warnings = restarts.unwrap_or_default().into_iter().map(WarningView::of).collect();
    Ok(HttpResponse::Ok().json(DiffView { perk: perk.slug, from, to, changes, warnings }))
}

fn document(version: &RuleVersion) -> Result<Json, Problem> {
    Json::parse(&version.rule).map_err(|error| Problem::internal(&error))
}
