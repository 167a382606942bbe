//! `/v1/perks/{perk}/versions`: the numbered versions of a perk's rule.

use std::collections::BTreeMap;

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, post, put};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::rules::RuleView;
use super::{MadeView, WarningView};
use crate::access::role::permit::ManagePerks;
use crate::eligibility::shown::version::VersionShown;
use crate::foundation::ids::{MerchantId, PerkSlug};
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{
    ProblemsOfBody, ProblemsOfDrafts, ProblemsOfEdits, ProblemsOfIdempotency, ProblemsOfKeys, ProblemsOfNames,
    ProblemsOfQuery, ProblemsOfRetired,
};
use crate::perks::perk::{Made, NewVersion, RuleVersion};
use crate::web::auth::Authorized;
use crate::web::extract::{Body, IdempotencyKey, PageLimit, Params, Path};
use crate::web::once::{Created, once};
use crate::web::preconditions::IfMatch;
use crate::web::problem::Problem;

/// A new version of a perk's rule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVersionBody {
    #[schema(value_type = RuleView)]
    rule: Json,
    #[serde(default)]
    publish: bool,
    #[schema(example = "The lounge was full every evening.")]
    change_note: Option<String>,
}

/// The new content of a draft.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditBody {
    #[schema(value_type = RuleView)]
    rule: Json,
    /// Left out, there is none.
    change_note: Option<String>,
}

/// One version of a rule.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `eligibility::shown` writes")]
pub struct VersionView {
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    version: i32,
    #[schema(value_type = enumerations::VersionStatus)]
    status: &'static str,
    rule_hash: String,
    /// The whole rule with its defaults filled in.
    #[schema(value_type = RuleView)]
    rule: Box<RawValue>,
    change_note: Option<String>,
    /// The key that wrote it, or `cli`.
    created_by: String,
    /// The others who wrote on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    editors: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    submitted_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    submitted_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    approved_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_by: Option<String>,
    /// When it decides from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    scheduled_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    published_by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    published_at: Option<Timestamp>,
    /// The note of its last step: by the reviewer, for instance, who sent it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    step_note: Option<String>,
    /// The labels of the keys that are named above, by key.
    #[schema(example = json!({"key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70": "Ada"}))]
    key_labels: BTreeMap<String, String>,
}

/// The version with what a client is shown of it.
fn shown(perk: PerkSlug, version: RuleVersion, labels: &BTreeMap<String, String>) -> Result<VersionShown, Problem> {
    VersionShown::of(perk, version, labels).map_err(|error| Problem::internal(&error))
}

/// The labels of the keys that these versions name.
async fn labels_of<'a>(
    gateway: &Gateway,
    merchant: &MerchantId,
    versions: impl IntoIterator<Item = &'a RuleVersion>,
) -> Result<BTreeMap<String, String>, Problem> {
    let keys = versions.into_iter().flat_map(RuleVersion::people).map(str::to_owned).collect();
    Ok(gateway.directory.labels_of(merchant, keys).await?)
}

/// A version after a step of its life.
#[derive(Debug, Serialize, ToSchema)]
pub struct SteppedView {
    #[serde(flatten)]
    #[schema(value_type = VersionView)]
    version: VersionShown,
    /// Warnings about it, while it is on its way to decide.
    warnings: Vec<WarningView>,
}

/// A version with what `If-Match` takes.
async fn answer(
    gateway: &Gateway,
    merchant: &MerchantId,
    perk: PerkSlug,
    version: RuleVersion,
) -> Result<HttpResponse, Problem> {
    let tag = format!("\"{}\"", version.etag());
    let labels = labels_of(gateway, merchant, [&version]).await?;
    Ok(HttpResponse::Ok().insert_header((header::ETAG, tag)).json(shown(perk, version, &labels)?))
}

/// The same, after a step.
pub(crate) async fn answer_step(gateway: &Gateway, merchant: &MerchantId, made: Made) -> Result<HttpResponse, Problem> {
    let tag = format!("\"{}\"", made.version.etag());
    let labels = labels_of(gateway, merchant, [&made.version]).await?;
    let version = shown(made.perk.slug, made.version, &labels)?;
    let warnings = made.warnings.into_iter().map(WarningView::of_rule).collect();
    Ok(HttpResponse::Ok().insert_header((header::ETAG, tag)).json(SteppedView { version, warnings }))
}

/// A page of versions.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionsView {
    #[schema(value_type = Vec<VersionView>)]
    versions: Vec<VersionShown>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VersionsQuery {
    /// Entries a page, 1–200; 50 unless given.
    #[param(value_type = Option<u16>)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// A version's number as a cursor; query parameters come as text.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub struct Cursor(i32);

impl TryFrom<String> for Cursor {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        text.parse().map(Self).map_err(|_| "a cursor is what `next_cursor` said")
    }
}

/// Add a version
///
/// A new, numbered version of the perk's rule, published or as a draft that decides nothing. Where the
/// merchant asks for four eyes, what is to be published goes into review instead.
#[utoipa::path(
    tag = "perks",
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 printable ASCII characters: a retry gets the first answer"), ("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge")),
    request_body = NewVersionBody,
    responses(
        (status = 201, description = "Made", body = MadeView, headers(("Location" = String, description = "Where it is"))),
        ProblemsOfRetired, ProblemsOfNames, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys
    )
)]
#[post("/perks/{perk}/versions")]
pub(crate) async fn create_version(
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
    perk: Path<PerkSlug>,
    key: IdempotencyKey,
    body: Body<NewVersionBody>,
) -> Result<HttpResponse, Problem> {
    let request = body.hash();
    let merchant = &caller.merchant()?.id;
    let work = async {
        let NewVersionBody { rule, publish, change_note } = body.into_inner();
        let version = NewVersion { rule, publish, change_note };
        let made = gateway.catalog.create_version(merchant, caller.actor(), &perk, version).await?;
        let location = format!("/v1/perks/{}/versions/{}", made.perk.slug, made.version.version);
        Created::new(Some(location), &MadeView::from(made))
    };
    Box::pin(once(&gateway, &caller, format!("perks/{}/versions", *perk), key, request, work)).await
}

/// List versions
///
/// Newest first, with their rules.
#[utoipa::path(
    tag = "perks",
    params(("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge"), VersionsQuery),
    responses((status = 200, description = "One page", body = VersionsView), ProblemsOfNames, ProblemsOfQuery, ProblemsOfKeys)
)]
#[get("/perks/{perk}/versions")]
pub(crate) async fn list_versions(
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
    perk: Path<PerkSlug>,
    query: Params<VersionsQuery>,
) -> Result<HttpResponse, Problem> {
    let VersionsQuery { limit, cursor } = query.into_inner();
    let limit = limit.unwrap_or_default();
    let before = cursor.map(|Cursor(version)| version);
    let merchant = &caller.merchant()?.id;
    let fetched = gateway.catalog.list_versions(merchant, &perk, before, u32::from(limit.get()) + 1).await?;
    let (versions, next_cursor) = limit.page(fetched, |version| version.version.to_string());
    let labels = labels_of(&gateway, merchant, &versions).await?;
    let versions = versions.into_iter().map(|version| shown(perk.clone(), version, &labels));
    let versions = versions.collect::<Result<_, _>>()?;
    Ok(HttpResponse::Ok().json(VersionsView { versions, next_cursor }))
}

/// Show a version
#[utoipa::path(
    tag = "perks",
    params(
        ("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge"),
        ("version" = i32, Path, description = "Its number", example = 1)
    ),
    responses(
        (status = 200, description = "The version", body = VersionView, headers(("ETag" = String, description = "What `If-Match` takes"))),
        ProblemsOfNames, ProblemsOfKeys
    )
)]
#[get("/perks/{perk}/versions/{version}")]
pub(crate) async fn get_version(
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
    path: Path<(PerkSlug, i32)>,
) -> Result<HttpResponse, Problem> {
    let (perk, number) = path.into_inner();
    let merchant = &caller.merchant()?.id;
    let version = gateway.catalog.find_version(merchant, &perk, number).await?;
    answer(&gateway, merchant, perk, version).await
}

/// Edit a draft
///
/// Replaces its rule and its change note. Send the `ETag` of what you edited as `If-Match`, so that
/// nobody's edit is lost. What has left the draft is not changed: withdraw it, or add a version.
#[utoipa::path(
    tag = "perks",
    params(
        ("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge"),
        ("version" = i32, Path, description = "Its number", example = 2),
        ("If-Match" = String, Header, description = "The draft's `ETag`, or `*` for whatever it is by now")
    ),
    request_body = EditBody,
    responses(
        (status = 200, description = "Edited", body = MadeView, headers(("ETag" = String, description = "What `If-Match` takes next"))),
        ProblemsOfDrafts, ProblemsOfEdits, ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys
    )
)]
#[put("/perks/{perk}/versions/{version}")]
pub(crate) async fn edit_version(
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
    path: Path<(PerkSlug, i32)>,
    expected: IfMatch,
    body: Body<EditBody>,
) -> Result<HttpResponse, Problem> {
    let (perk, number) = path.into_inner();
    let merchant = &caller.merchant()?.id;
    let expected = match expected.required("version") {
        Ok(expected) => expected,
        // What isn't there, or isn't the caller's, is reported first.
        Err(problem) => {
            gateway.catalog.find_version(merchant, &perk, number).await?;
            return Err(problem);
        }
    };
    let EditBody { rule, change_note } = body.into_inner();
    let new = NewVersion { rule, publish: false, change_note };
    let made = gateway.catalog.edit_version(merchant, caller.actor(), &perk, number, new, expected).await?;
    let tag = format!("\"{}\"", made.version.etag());
    Ok(HttpResponse::Ok().insert_header((header::ETAG, tag)).json(MadeView::from(made)))
}

/// Delete a draft
///
/// Its number is never given again. With `If-Match`, only while it is what you looked at.
#[utoipa::path(
    tag = "perks",
    params(
        ("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge"),
        ("version" = i32, Path, description = "Its number", example = 2),
        ("If-Match" = Option<String>, Header, description = "The draft's `ETag`")
    ),
    responses((status = 204, description = "Deleted"), ProblemsOfDrafts, ProblemsOfNames, ProblemsOfKeys)
)]
#[delete("/perks/{perk}/versions/{version}")]
pub(crate) async fn delete_version(
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
    path: Path<(PerkSlug, i32)>,
    expected: IfMatch,
) -> Result<HttpResponse, Problem> {
    let (perk, number) = path.into_inner();
    let merchant = &caller.merchant()?.id;
    gateway.catalog.delete_version(merchant, caller.actor(), &perk, number, expected.or_anything()).await?;
    Ok(HttpResponse::NoContent().finish())
}
