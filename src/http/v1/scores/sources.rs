//! `/v1/sources`: where scores come from, each with its scale.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::role::permit::ManageSources;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::SourceName;
use crate::foundation::period::Period;
use crate::gateway::Gateway;
use crate::http::once::{Created, once};
use crate::http::openapi::problems::{ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys, ProblemsOfTaken};
use crate::scores::score::Source;
use crate::web::auth::Authorized;
use crate::web::extract::{Body, IdempotencyKey};
use crate::web::problem::Problem;

/// A source with the two ends of its scale, both of which belong to it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSourceBody {
    #[schema(value_type = String, example = "kred")]
    name: SourceName,
    #[schema(value_type = f64, example = 1)]
    min: Decimal,
    #[schema(value_type = f64, example = 1000)]
    max: Decimal,
    /// The interval at which its scores are renewed (ISO 8601), at most ten years: rules that count on fresher ones are
    /// warned of.
    #[schema(value_type = Option<String>, example = "P1D")]
    refresh: Option<Period>,
}

/// A source.
#[derive(Serialize, ToSchema)]
pub struct SourceView {
    #[schema(value_type = String, example = "kred")]
    name: SourceName,
    #[schema(value_type = f64, example = 1)]
    min: Decimal,
    #[schema(value_type = f64, example = 1000)]
    max: Decimal,
    /// The interval at which its scores are renewed, if it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "P1D")]
    refresh: Option<Period>,
}

impl From<Source> for SourceView {
    fn from(source: Source) -> Self {
        Self { name: source.name, min: source.minimum, max: source.maximum, refresh: source.refresh }
    }
}

/// All of a merchant's sources.
#[derive(Serialize, ToSchema)]
pub struct SourcesView {
    sources: Vec<SourceView>,
}

/// Make a source
///
/// `klout` (0–100) is there from the start.
#[utoipa::path(
    tag = "scores",
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 printable ASCII characters: a retry gets the first answer")),
    request_body = NewSourceBody,
    responses((status = 201, description = "Made", body = SourceView), ProblemsOfTaken, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys)
)]
#[post("/sources")]
pub(crate) async fn create_source(
    caller: Authorized<ManageSources>,
    gateway: Data<Gateway>,
    key: IdempotencyKey,
    body: Body<NewSourceBody>,
) -> Result<HttpResponse, Problem> {
    let request = body.hash();
    let merchant = &caller.merchant()?.id;
    let now = gateway.clock.now();
    let work = async {
        let NewSourceBody { name, min, max, refresh } = body.into_inner();
        let made =
            gateway.scores.create_source(&gateway.ledger, caller.actor(), merchant, name, min, max, refresh, now);
        Created::new(None, &SourceView::from(made.await?))
    };
    once(&gateway, &caller, "sources", key, request, work).await
}

/// List sources
///
/// The built-in one, then the merchant's own by name.
#[utoipa::path(
    tag = "scores",
    responses((status = 200, description = "All of them", body = SourcesView), ProblemsOfKeys)
)]
#[get("/sources")]
pub(crate) async fn list_sources(
    caller: Authorized<ManageSources>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    let sources = gateway.scores.list_sources(&caller.merchant()?.id).await?;
    Ok(HttpResponse::Ok().json(SourcesView { sources: sources.into_iter().map(SourceView::from).collect() }))
}
