//! `/v1/sources/{source}/held`: feeds and runs that would move too many people too far, and wait; and a source's guard.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post, put};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::find_source;
use crate::access::role::permit::ManageSources;
use crate::foundation::decimal::Decimal;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{HeldFeedId, SourceName};
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{ProblemsOfBody, ProblemsOfHeld, ProblemsOfKeys, ProblemsOfNames};
use crate::scores::held::guard::{Guard, GuardFault};
use crate::scores::held::{HeldDecision, HeldFeed};
use crate::web::auth::Authorized;
use crate::web::extract::{Body, Path};
use crate::web::problem::{Problem, sentence};

/// How far people's scores may move at once before a person looks.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Guard)]
#[serde(deny_unknown_fields)]
pub struct GuardView {
    /// The share of the people with a score, from 0 to 1, above which a feed or run is held. At 1 nothing ever is.
    #[schema(value_type = f64, example = 0.2)]
    share: Decimal,
    /// The points above which a person counts as moved.
    #[schema(value_type = f64, example = 10)]
    points: Decimal,
}

impl From<Guard> for GuardView {
    fn from(Guard { share, points }: Guard) -> Self {
        Self { share, points }
    }
}

/// A feed, or a run of a computed source, that waits: none of it counts.
#[derive(Serialize, ToSchema)]
#[schema(as = HeldFeed)]
pub struct HeldFeedView {
    #[schema(value_type = String, example = "hld_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    id: HeldFeedId,
    #[schema(value_type = String, example = "klout")]
    source: SourceName,
    #[schema(value_type = enumerations::HeldKind)]
    kind: &'static str,
    #[schema(value_type = enumerations::HeldState)]
    state: &'static str,
    #[schema(value_type = Option<String>, format = DateTime)]
    held_at: Option<Timestamp>,
    /// When it ends by itself, if nobody decides.
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<Timestamp>,
    /// The guard that held it.
    guard: GuardView,
    /// Number of people in it who have a score already. Of a very large run these are a random sample.
    compared: u64,
    /// Number of those whose score would rise by more than the guard's points.
    up: u64,
    /// Number of those whose score would fall so.
    down: u64,
    /// The largest move, whichever way.
    #[schema(value_type = f64, example = 62.5)]
    largest: Decimal,
    /// The score that most of those who move would have.
    #[serde(skip_serializing_if = "Option::is_none")]
    most_common: Option<MostCommonView>,
}

/// A score that many would have.
#[derive(Serialize, ToSchema)]
#[schema(as = MostCommon)]
pub struct MostCommonView {
    #[schema(value_type = f64, example = 1)]
    value: Decimal,
    people: u64,
}

/// All that is held of a source.
#[derive(Serialize, ToSchema)]
pub struct HeldFeedsView {
    held: Vec<HeldFeedView>,
}

impl From<HeldFeed> for HeldFeedView {
    fn from(feed: HeldFeed) -> Self {
        let (ends_at, moves) = (feed.ends_at().filter(|_| !feed.state.is_over()), feed.moves);
        Self {
            id: feed.id,
            source: feed.source,
            kind: feed.kind.as_str(),
            state: feed.state.as_str(),
            held_at: feed.held_at,
            ends_at,
            guard: feed.guard.into(),
            compared: moves.compared,
            up: moves.up,
            down: moves.down,
            largest: moves.largest,
            most_common: moves.common.map(|(value, people)| MostCommonView { value, people }),
        }
    }
}

/// List what is held of a source
///
/// Feeds and runs that would move more than a share of people by more than some points (`guard`), the oldest first. None of
/// it counts until a person releases it. After 14 days it ends by itself.
#[utoipa::path(
    tag = "scores",
    params(("source" = String, Path, description = "The score source", example = "klout")),
    responses((status = 200, description = "All that is held", body = HeldFeedsView), ProblemsOfNames, ProblemsOfKeys)
)]
#[get("/sources/{source}/held")]
pub(crate) async fn list_held(
    caller: Authorized<ManageSources>,
    gateway: Data<Gateway>,
    source: Path<SourceName>,
) -> Result<HttpResponse, Problem> {
    let merchant = &caller.merchant()?.id;
    let source = find_source(&gateway, merchant, &source).await?.name;
    let held = gateway.scores.list_held(merchant, Some(&source)).await?;
    Ok(HttpResponse::Ok().json(HeldFeedsView { held: held.into_iter().map(HeldFeedView::from).collect() }))
}

/// Release what is held
///
/// A feed counts from now on, as if it had come just now: `moving` while its scores are being moved, then `released`. A run is
/// computed again within a minute, by what is known then, and is not judged. The log says who.
#[utoipa::path(
    tag = "scores",
    params(
        ("source" = String, Path, description = "The score source", example = "klout"),
        ("held" = String, Path, description = "The held feed or run", example = "hld_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")
    ),
    responses((status = 200, description = "It is released", body = HeldFeedView), ProblemsOfHeld, ProblemsOfNames, ProblemsOfKeys)
)]
#[post("/sources/{source}/held/{held}/release")]
pub(crate) async fn release_held(
    caller: Authorized<ManageSources>,
    gateway: Data<Gateway>,
    path: Path<(SourceName, HeldFeedId)>,
) -> Result<HttpResponse, Problem> {
    decide(&caller, &gateway, &path.into_inner(), HeldDecision::Release).await
}

/// Drop what is held
///
/// A feed never counts. Of a run nothing is written, and the next one is judged by itself. The log says who.
#[utoipa::path(
    tag = "scores",
    params(
        ("source" = String, Path, description = "The score source", example = "klout"),
        ("held" = String, Path, description = "The held feed or run", example = "hld_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")
    ),
    responses((status = 200, description = "It is dropped", body = HeldFeedView), ProblemsOfHeld, ProblemsOfNames, ProblemsOfKeys)
)]
#[post("/sources/{source}/held/{held}/drop")]
pub(crate) async fn drop_held(
    caller: Authorized<ManageSources>,
    gateway: Data<Gateway>,
    path: Path<(SourceName, HeldFeedId)>,
) -> Result<HttpResponse, Problem> {
    decide(&caller, &gateway, &path.into_inner(), HeldDecision::Drop).await
}

async fn decide(
    caller: &Authorized<ManageSources>,
    gateway: &Gateway,
    (source, held): &(SourceName, HeldFeedId),
    decision: HeldDecision,
) -> Result<HttpResponse, Problem> {
    let (merchant, now) = (&caller.merchant()?.id, gateway.clock.now());
    let of = (merchant, source, held);
    let decided = gateway.scores.decide_held(&gateway.ledger, caller.actor(), of, decision, now).await?;
    Ok(HttpResponse::Ok().json(HeldFeedView::from(decided)))
}

/// Set a source's guard
///
/// What would move more than this share of people by more than these points is held from now on. Without one of its own a
/// source has a fifth of the people, by a tenth of its scale. Fewer than 50 people who are compared are never held.
#[utoipa::path(
    tag = "scores",
    params(("source" = String, Path, description = "The score source", example = "klout")),
    request_body = GuardView,
    responses((status = 200, description = "The guard from now on", body = GuardView), ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys)
)]
#[put("/sources/{source}/guard")]
pub(crate) async fn put_guard(
    caller: Authorized<ManageSources>,
    gateway: Data<Gateway>,
    source: Path<SourceName>,
    body: Body<GuardView>,
) -> Result<HttpResponse, Problem> {
    let merchant = &caller.merchant()?.id;
    let source = find_source(&gateway, merchant, &source).await?.name;
    let GuardView { share, points } = body.into_inner();
    let guard = Guard::new(share, points).map_err(|fault| {
        let pointer = if fault == GuardFault::Share { "/share" } else { "/points" };
        Problem::invalid(vec![FieldError::at(pointer, "out_of_range", sentence(&fault.to_string()))])
    })?;
    gateway.scores.set_guard(&gateway.ledger, caller.actor(), merchant, &source, guard).await?;
    Ok(HttpResponse::Ok().json(GuardView::from(guard)))
}
