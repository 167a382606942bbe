//! `/v1/perks`: what a merchant offers.

pub mod approvals;
pub mod backtests;
pub mod closures;
pub mod diff;
pub mod guest_terms;
pub mod occupancy;
pub mod override_terms;
pub mod picture;
pub mod rules;
pub mod simulations;
pub mod steps;
pub(crate) mod trace;
pub mod trials;
pub mod version_steps;
pub mod versions;

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::role::permit::ManagePerks;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{self, MAX_NOTE, MerchantId, NameError, PerkSlug};
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{
    ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys, ProblemsOfNames, ProblemsOfQuery, ProblemsOfTaken,
};
use crate::perks::catalog::MAX_NAME;
use crate::perks::perk::{Made, NewVersion};
use crate::perks::perk::{Perk, Scheduled, VersionStatus};
use crate::perks::purpose::{Purpose, PurposeError};
use crate::rules::rule::Rule;
use crate::web::auth::Authorized;
use crate::web::extract::{Body, IdempotencyKey, PageLimit, Params, Path};
use crate::web::once::{Created, once};
use crate::web::problem::{Problem, sentence};
use rules::RuleView;

/// A perk with its first rule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPerkBody {
    /// Its short name, unique within the merchant.
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: String,
    #[schema(example = "San Francisco lounge")]
    name: String,
    /// Its purpose; `other` unless given. Employment, credit, insurance, housing and essential services are refused.
    #[schema(value_type = Option<enumerations::Purpose>)]
    purpose: Option<String>,
    /// The rule that says who may have it.
    #[schema(value_type = RuleView)]
    rule: Json,
    /// Let it decide at once; otherwise it is a draft.
    #[serde(default)]
    publish: bool,
    change_note: Option<String>,
}

/// A perk.
#[derive(Debug, Serialize, ToSchema)]
pub struct PerkView {
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    #[schema(example = "San Francisco lounge")]
    name: String,
    /// Its declared purpose.
    #[schema(value_type = enumerations::Purpose)]
    purpose: Purpose,
    #[schema(value_type = enumerations::PerkStatus)]
    status: &'static str,
    /// The highest number that a version was ever given.
    latest_version: i32,
    /// The version that decides.
    published_version: Option<i32>,
    /// The version that decides from `scheduled_at` on. Absent while none is scheduled.
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_version: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    scheduled_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// The one who paused, resumed or retired it last: a key, or `cli`. Absent when nobody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    status_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_note: Option<String>,
}

impl PerkView {
    fn of(perk: Perk, scheduled: Option<Scheduled>) -> Self {
        let status = perk.shown_status();
        let (status_by, status_at) = perk.status_changed.map(|it| (it.by, it.at)).unzip();
        Self {
            perk: perk.slug,
            name: perk.name,
            purpose: perk.purpose,
            status,
            latest_version: perk.latest_version,
            published_version: perk.published_version,
            scheduled_version: scheduled.map(|it| it.version),
            scheduled_at: scheduled.map(|it| it.at),
            created_at: perk.created_at,
            status_by,
            status_at,
            status_note: perk.status_note,
        }
    }
}

/// The version that was made, and what is odd about it.
#[derive(Debug, Serialize, ToSchema)]
pub struct MadeView {
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    #[schema(example = "San Francisco lounge")]
    name: String,
    /// `draft` or `published`; `in_review` where it was to be published and someone else must
    /// approve it first.
    #[schema(value_type = enumerations::VersionStatus)]
    status: &'static str,
    version: i32,
    /// SHA-256 of the rule's canonical JSON (RFC 8785).
    #[schema(example = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    rule_hash: String,
    warnings: Vec<WarningView>,
}

/// Something odd about a rule that works.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Warning)]
pub struct WarningView {
    /// Where in the body (RFC 6901).
    #[schema(example = "/rule/tiers/0/when")]
    pointer: String,
    /// `limits_restart`: once this decides, a limit begins again, and who had used it up is let in. `perk_paused`: the
    /// perk grants nothing until it is resumed, whichever version decides.
    #[schema(example = "limits_restart")]
    code: &'static str,
    detail: String,
}

impl WarningView {
    /// At its place in the rule.
    pub(crate) fn of(warning: FieldError) -> Self {
        let FieldError { path, code, detail } = warning;
        Self { pointer: path.to_string(), code, detail: sentence(&detail) }
    }

    /// At its place in what has the rule as a member.
    pub(super) fn of_rule(warning: FieldError) -> Self {
        Self::of(warning.below("/rule"))
    }
}

impl From<Made> for MadeView {
    fn from(made: Made) -> Self {
        let waits = (made.version.status == VersionStatus::InReview).then(|| WarningView {
            pointer: "/publish".to_owned(),
            code: "approval_required",
            detail: "This merchant asks for four eyes: it is in review, and decides once someone other than its \
                     author has approved it and it is published."
                .to_owned(),
        });
        Self {
            perk: made.perk.slug,
            name: made.perk.name,
            status: made.version.status.as_str(),
            version: made.version.version,
            rule_hash: made.version.rule_hash,
            warnings: made.warnings.into_iter().map(WarningView::of_rule).chain(waits).collect(),
        }
    }
}

/// A page of perks.
#[derive(Debug, Serialize, ToSchema)]
pub struct PerksView {
    perks: Vec<PerkView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PerksQuery {
    /// Entries a page, 1–200; 50 unless given.
    #[param(value_type = Option<u16>)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<PerkSlug>,
}

/// A purpose from a body.
pub fn read_purpose(text: &str) -> Result<Purpose, Problem> {
    Purpose::parse(text)
        .map_err(|error| Problem::invalid(vec![FieldError::at("/purpose", error.code(), error.to_string())]))
}

/// Reads a new perk, and refuses it with everything that is wrong with it, not only the first of it.
fn read_new(body: NewPerkBody) -> Result<(PerkSlug, String, Purpose, NewVersion), Problem> {
    let NewPerkBody { perk, name, purpose, rule, publish, change_note } = body;
    let unfit =
        |pointer: &'static str| move |error: NameError| FieldError::at(pointer, "invalid_value", error.to_string());
    let slug = perk.parse::<PerkSlug>().map_err(unfit("/perk"));
    let label = ids::label(&name, MAX_NAME).map_err(unfit("/name"));
    let of_purpose = |error: PurposeError| FieldError::at("/purpose", error.code(), error.to_string());
    let purpose = purpose.as_deref().map(Purpose::parse).transpose().map_err(of_purpose);
    let note = change_note.as_deref().filter(|note| !note.trim().is_empty());
    let note = note.map(|note| ids::label(note, MAX_NOTE)).transpose().map_err(unfit("/change_note"));
    let (slug, name, purpose) = match (slug, label, purpose, note) {
        (Ok(slug), Ok(name), Ok(purpose), Ok(_)) => (slug, name, purpose.unwrap_or_default()),
        (slug, name, purpose, note) => {
            let errors = [slug.err(), name.err(), purpose.err(), note.err()];
            let mut errors: Vec<FieldError> = errors.into_iter().flatten().collect();
            // The audience is none of the errors.
            let of_rule = Rule::parse(&rule, "perk").err().unwrap_or_default();
            errors.extend(of_rule.into_iter().map(|error| error.below("/rule")));
            return Err(Problem::invalid(errors));
        }
    };
    Ok((slug, name, purpose, NewVersion { rule, publish, change_note }))
}

/// Make a perk
///
/// With its first rule, published or as a draft.
#[utoipa::path(
    tag = "perks",
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 printable ASCII characters: a retry gets the first answer")),
    request_body = NewPerkBody,
    responses(
        (status = 201, description = "Made", body = MadeView, headers(("Location" = String, description = "Where it is"))),
        ProblemsOfTaken, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys
    )
)]
#[post("/perks")]
pub(crate) async fn create_perk(
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
    key: IdempotencyKey,
    body: Body<NewPerkBody>,
) -> Result<HttpResponse, Problem> {
    let request = body.hash();
    let merchant = &caller.merchant()?.id;
    let work = async {
        let (perk, name, purpose, version) = read_new(body.into_inner())?;
        let made = gateway.catalog.create_perk_for(merchant, caller.actor(), perk, &name, purpose, version).await?;
        Created::new(Some(format!("/v1/perks/{}", made.perk.slug)), &MadeView::from(made))
    };
    Box::pin(once(&gateway, &caller, "perks", key, request, work)).await
}

/// List perks
///
/// By short name. One whose only draft was deleted is left out.
#[utoipa::path(
    tag = "perks",
    params(PerksQuery),
    responses((status = 200, description = "One page", body = PerksView), ProblemsOfQuery, ProblemsOfKeys)
)]
#[get("/perks")]
pub(crate) async fn list_perks(
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
    query: Params<PerksQuery>,
) -> Result<HttpResponse, Problem> {
    let PerksQuery { limit, cursor } = query.into_inner();
    let limit = limit.unwrap_or_default();
    let after = cursor.map(String::from);
    let merchant = &caller.merchant()?.id;
    let fetched = gateway.catalog.list_perks(merchant, after, u32::from(limit.get()) + 1).await?;
    let schedules = gateway.catalog.list_schedules(merchant).await?;
    let (perks, next_cursor) = limit.page(fetched, |perk| perk.slug.to_string());
    let view = |perk: Perk| {
        let next = schedules.get(&perk.id).copied();
        PerkView::of(perk, next)
    };
    Ok(HttpResponse::Ok().json(PerksView { perks: perks.into_iter().map(view).collect(), next_cursor }))
}

/// Show a perk
#[utoipa::path(
    tag = "perks",
    params(("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge")),
    responses((status = 200, description = "The perk", body = PerkView), ProblemsOfNames, ProblemsOfKeys)
)]
#[get("/perks/{perk}")]
pub(crate) async fn get_perk(
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
    perk: Path<PerkSlug>,
) -> Result<HttpResponse, Problem> {
    shown(&gateway, &caller.merchant()?.id, &perk).await
}

/// The perk as it is now.
pub(super) async fn shown(gateway: &Gateway, merchant: &MerchantId, perk: &PerkSlug) -> Result<HttpResponse, Problem> {
    let perk = gateway.catalog.find_perk(merchant, perk).await?;
    let scheduled = gateway.catalog.list_schedules(merchant).await?.remove(&perk.id);
    Ok(HttpResponse::Ok().json(PerkView::of(perk, scheduled)))
}
