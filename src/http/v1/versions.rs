//! `/v1/perks/{perk}/versions`: the numbered versions of a perk's rule.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::perks::MadeView;
use crate::access::role::permit::ManagePerks;
use crate::gateway::Gateway;
use crate::http::auth::May;
use crate::http::extract::{Body, IdempotencyKey, PageLimit, Params, Path};
use crate::http::once::{Created, once};
use crate::http::openapi::{
    ProblemsOfBody, ProblemsOfDrafts, ProblemsOfIdempotency, ProblemsOfKeys, ProblemsOfNames, ProblemsOfQuery,
};
use crate::http::problem::Problem;
use crate::ids::PerkSlug;
use crate::json::Json;
use crate::perks::catalog::NewVersion;
use crate::perks::perk::RuleVersion;

/// A new version of a perk's rule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVersionBody {
    #[schema(value_type = Object, example = json!({"at_least": 45, "score": "klout"}))]
    rule: Json,
    #[serde(default)]
    publish: bool,
    #[schema(example = "The lounge was full every evening.")]
    change_note: Option<String>,
}

/// One version of a rule.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionView {
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    version: i32,
    #[schema(example = "published")]
    status: &'static str,
    rule_hash: String,
    /// The whole rule with its defaults filled in.
    #[schema(value_type = Object)]
    rule: Box<RawValue>,
    change_note: Option<String>,
    /// The key that wrote it, or `cli`.
    author: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    published_at: Option<Timestamp>,
}

impl VersionView {
    fn of(perk: PerkSlug, version: RuleVersion) -> Result<Self, Problem> {
        Ok(Self {
            perk,
            version: version.version,
            status: version.status.as_str(),
            rule_hash: version.rule_hash,
            rule: RawValue::from_string(version.rule).map_err(|error| Problem::internal(&error))?,
            change_note: version.change_note,
            author: version.author,
            created_at: version.created_at,
            published_at: version.published_at,
        })
    }
}

/// A page of versions.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionsView {
    versions: Vec<VersionView>,
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
/// A new, numbered version of the perk's rule, published or as a draft that decides nothing. Roles:
/// admin.
#[utoipa::path(
    tag = "perks",
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 printable ASCII characters: a retry gets the first answer"), ("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge")),
    request_body = NewVersionBody,
    extensions(("x-roles" = json!(["admin"]))),
    responses(
        (status = 201, description = "Made", body = MadeView, headers(("Location" = String, description = "Where it is"))),
        ProblemsOfNames, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys
    )
)]
#[post("/perks/{perk}/versions")]
pub async fn create_version(
    caller: May<ManagePerks>,
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
    once(&gateway, &caller, format!("perks/{}/versions", *perk), key, request, work).await
}

/// List versions
///
/// Newest first, with their rules. Roles: admin.
#[utoipa::path(
    tag = "perks",
    params(("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge"), VersionsQuery),
    extensions(("x-roles" = json!(["admin"]))),
    responses((status = 200, description = "One page", body = VersionsView), ProblemsOfNames, ProblemsOfQuery, ProblemsOfKeys)
)]
#[get("/perks/{perk}/versions")]
pub async fn list_versions(
    caller: May<ManagePerks>,
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
    let versions =
        versions.into_iter().map(|version| VersionView::of(perk.clone(), version)).collect::<Result<_, _>>()?;
    Ok(HttpResponse::Ok().json(VersionsView { versions, next_cursor }))
}

/// Show a version
///
/// Roles: admin.
#[utoipa::path(
    tag = "perks",
    params(
        ("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge"),
        ("version" = i32, Path, description = "Its number", example = 1)
    ),
    extensions(("x-roles" = json!(["admin"]))),
    responses((status = 200, description = "The version", body = VersionView), ProblemsOfNames, ProblemsOfKeys)
)]
#[get("/perks/{perk}/versions/{version}")]
pub async fn get_version(
    caller: May<ManagePerks>,
    gateway: Data<Gateway>,
    path: Path<(PerkSlug, i32)>,
) -> Result<HttpResponse, Problem> {
    let (perk, number) = path.into_inner();
    let version = gateway.catalog.find_version(&caller.merchant()?.id, &perk, number).await?;
    Ok(HttpResponse::Ok().json(VersionView::of(perk, version)?))
}

/// Publish a version
///
/// The draft decides from now on, and the version before it is retired. Limits go on counting.
/// Roles: admin.
#[utoipa::path(
    tag = "perks",
    params(
        ("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge"),
        ("version" = i32, Path, description = "Its number", example = 2)
    ),
    extensions(("x-roles" = json!(["admin"]))),
    responses((status = 200, description = "Published", body = VersionView), ProblemsOfDrafts, ProblemsOfNames, ProblemsOfKeys)
)]
#[post("/perks/{perk}/versions/{version}/publish")]
pub async fn publish_version(
    caller: May<ManagePerks>,
    gateway: Data<Gateway>,
    path: Path<(PerkSlug, i32)>,
) -> Result<HttpResponse, Problem> {
    let (perk, number) = path.into_inner();
    let version = gateway.catalog.publish_version(&caller.merchant()?.id, caller.actor(), &perk, number).await?;
    Ok(HttpResponse::Ok().json(VersionView::of(perk, version)?))
}
