//! `/v1/perks/{perk}/closures`: a place is closed for a while, and opens by itself.

use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::WarningView;
use crate::access::role::permit::ClosePlaces;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{ClosureId, PerkSlug};
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::http::openapi::problems::{
    ProblemsOfActing, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys, ProblemsOfNames, ProblemsOfRetired,
};
use crate::perks::closures::{Closing, Closure, NewClosure};
use crate::scores::score::parse_instant;
use crate::web::auth::Authorized;
use crate::web::clerk::Acting;
use crate::web::extract::{Body, IdempotencyKey, Path};
use crate::web::once::{Created, once};
use crate::web::problem::Problem;

/// A place to close.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"location": "SFO-A", "until": "2026-11-30T18:00:00Z", "message": {"en": "We open again at ten."}}))]
pub struct ClosureBody {
    /// One location of the perk, as keys name it (`unknown_location` where none does); all of it if null or absent.
    location: Option<String>,
    /// When it opens by itself: an instant ahead, at most 366 days.
    #[schema(value_type = String, format = DateTime)]
    until: String,
    /// The words for guests, by language: at most 12, of 280 characters each.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    message: Option<Json>,
}

/// A place that is closed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Closure)]
pub struct ClosureView {
    #[schema(value_type = String, example = "clo_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    closure: ClosureId,
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    /// None for all of the perk.
    #[schema(example = "SFO-A")]
    location: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<BTreeMap<String, String>>,
    #[schema(value_type = String, format = DateTime)]
    closed_at: Timestamp,
    /// A key, or `cli`.
    closed_by: String,
}

/// A place that was closed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClosureMade)]
pub struct ClosureMadeView {
    #[serde(flatten)]
    closure: ClosureView,
    /// `keys_without_location`: checks of keys that name no location go on, as nobody knows where they are made.
    warnings: Vec<WarningView>,
}

/// The places that are closed now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Closures)]
pub struct ClosuresView {
    closures: Vec<ClosureView>,
}

impl ClosureView {
    fn of(perk: PerkSlug, closure: Closure) -> Self {
        let Closure { id, location, until, message, made_at, made_by } = closure;
        let message = message.map(|words| words.iter().map(|(tag, text)| (tag.to_owned(), text.to_owned())).collect());
        Self { closure: id, perk, location, until, message, closed_at: made_at, closed_by: made_by }
    }
}

/// Close a place
///
/// All of a perk or one of its locations, until an instant: every check there is denied with `place_closed`, whatever the rule
/// says, and it opens by itself. Another closure of the same place is replaced; at most 1,000 places of a perk are closed at once. Guests who are in are not concerned.
/// Every replica knows within a second. The key of a desk that has a location closes and opens that one only.
#[utoipa::path(
    tag = "perks",
    params(("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge"), ("Perkgate-Clerk" = Option<String>, Header, description = "The session of a clerk: needed with the key of a desk, once there are clerks")),
    request_body = ClosureBody,
    responses(
        (status = 201, description = "It is closed", body = ClosureMadeView),
        ProblemsOfActing, ProblemsOfRetired, ProblemsOfNames, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys
    )
)]
#[post("/perks/{perk}/closures")]
pub(crate) async fn create_closure(
    caller: Acting<ClosePlaces>,
    gateway: Data<Gateway>,
    perk: Path<PerkSlug>,
    key: IdempotencyKey,
    body: Body<ClosureBody>,
) -> Result<HttpResponse, Problem> {
    let request = body.hash();
    let merchant = &caller.merchant()?.id;
    let work = async {
        let ClosureBody { location, until, message } = body.into_inner();
        let until = parse_instant(&until).ok_or_else(|| {
            let detail = "write an instant of RFC 3339 with its offset: 2026-11-30T18:00:00Z";
            Problem::invalid(vec![FieldError::at("/until", "invalid_value", detail)])
        })?;
        let new = NewClosure { location, until, message };
        caller.require_all_of(new.location.as_deref().map(str::trim))?;
        let Closing { closure, warnings } = gateway.catalog.close_place(merchant, caller.actor(), &perk, new).await?;
        let closure = ClosureView::of(perk.clone(), closure);
        let warnings = warnings.into_iter().map(WarningView::of).collect();
        Created::new(None, &ClosureMadeView { closure, warnings })
    };
    // A retry that is done again would replace what another has closed meanwhile.
    Box::pin(once(&gateway, &caller, format!("perks/{}/closures", *perk), key, request, work)).await
}

/// List closures
///
/// The places of the perk that are closed now; all of it first.
#[utoipa::path(
    tag = "perks",
    params(("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge")),
    responses((status = 200, description = "The closures", body = ClosuresView), ProblemsOfNames, ProblemsOfKeys)
)]
#[get("/perks/{perk}/closures")]
pub(crate) async fn list_closures(
    caller: Authorized<ClosePlaces>,
    gateway: Data<Gateway>,
    perk: Path<PerkSlug>,
) -> Result<HttpResponse, Problem> {
    let found = gateway.catalog.list_closures(&caller.merchant()?.id, &perk).await?.into_iter();
    let closures = found.map(|closure| ClosureView::of(perk.clone(), closure)).collect();
    Ok(HttpResponse::Ok().json(ClosuresView { closures }))
}

/// Open a place
///
/// Before its time. A closure that is over or was replaced is not there any more.
#[utoipa::path(
    tag = "perks",
    params(
        ("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge"),
        ("closure" = String, Path, description = "The closure's id", example = "clo_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"),
        ("Perkgate-Clerk" = Option<String>, Header, description = "The session of a clerk: needed with the key of a desk, once there are clerks")
    ),
    responses((status = 204, description = "It is open"), ProblemsOfActing, ProblemsOfRetired, ProblemsOfNames, ProblemsOfKeys)
)]
#[delete("/perks/{perk}/closures/{closure}")]
pub(crate) async fn delete_closure(
    caller: Acting<ClosePlaces>,
    gateway: Data<Gateway>,
    path: Path<(PerkSlug, ClosureId)>,
) -> Result<HttpResponse, Problem> {
    let (perk, closure) = path.into_inner();
    let merchant = &caller.merchant()?.id;
    let mut closed = gateway.catalog.list_closures(merchant, &perk).await?.into_iter();
    let found = closed.find(|it| it.id == closure).ok_or_else(Problem::not_found)?;
    caller.require_all_of(found.location.as_deref())?;
    let opened = gateway.catalog.open_place(merchant, caller.actor(), &perk, closure).await?;
    opened.map(|_| HttpResponse::NoContent().finish()).ok_or_else(Problem::not_found)
}
