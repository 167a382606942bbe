//! `/v1/sources`: where scores come from, each with its scale.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::held::GuardView;
use super::pulls::{PullBody, PullView};
use crate::access::role::permit::ManageSources;
use crate::foundation::decimal::Decimal;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::SourceName;
use crate::foundation::period::Period;
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys, ProblemsOfTaken};
use crate::scores::pulling::spec::PullSpec;
use crate::scores::score::{Source, SourceKind};
use crate::web::auth::Authorized;
use crate::web::extract::{Body, IdempotencyKey};
use crate::web::once::{Created, once};
use crate::web::problem::Problem;

/// A source with the two ends of its scale, both of which belong to it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSourceBody {
    #[schema(value_type = String, example = "kred")]
    name: SourceName,
    /// `push`, unless given: feeders write its scores. A `computed` one has them from the signals of people who are enrolled, a
    /// `pull` one is fetched.
    #[serde(default)]
    #[schema(value_type = Option<enumerations::SourceKind>)]
    kind: Option<String>,
    /// Not of a computed one, whose scale is 1 to 100, nor of one that brings signals.
    #[schema(value_type = Option<f64>, example = 1)]
    min: Option<Decimal>,
    #[schema(value_type = Option<f64>, example = 1000)]
    max: Option<Decimal>,
    /// The interval at which its scores are renewed (ISO 8601), at most ten years: rules that count on fresher ones are
    /// warned of.
    #[schema(value_type = Option<String>, example = "P1D")]
    refresh: Option<Period>,
    /// How one of the kind `pull` is fetched; `refresh` is then how often accounts are asked about, a day unless given.
    #[serde(default)]
    pull: Option<PullBody>,
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
    #[schema(value_type = enumerations::SourceKind)]
    kind: &'static str,
    /// The hash of the model by which it computes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    model: Option<String>,
    /// Models before, each of which counts too where it makes the better score, for a while after another was published.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    graces: Vec<GraceView>,
    /// Not in the answer to a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    guard: Option<GuardView>,
    /// The state of one that is fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pull: Option<PullView>,
}

/// A model that counts for a while yet.
#[derive(Serialize, ToSchema)]
#[schema(as = Grace)]
pub struct GraceView {
    /// Its hash.
    #[schema(example = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    model: String,
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

impl From<Source> for SourceView {
    fn from(source: Source) -> Self {
        let Source { name, minimum: min, maximum: max, refresh, kind, model, graces } = source;
        let graces = graces.into_iter().map(|(model, until)| GraceView { model, until }).collect();
        Self { name, min, max, refresh, kind: kind.as_str(), model, graces, guard: None, pull: None }
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
        let (scores, ledger, actor) = (&gateway.scores, &gateway.ledger, caller.actor());
        let made = match read_new(body.into_inner())? {
            (name, Made::Computed, refresh) => {
                scores.create_computed_source(ledger, actor, merchant, name, refresh, now).await?
            }
            (name, Made::Pushed(min, max), refresh) => {
                scores.create_source(ledger, actor, merchant, name, min, max, refresh, now).await?
            }
            (name, Made::Pulled(scale, spec), refresh) => {
                gateway.pulls.create_source(actor, merchant, (name, scale, refresh), &spec).await?
            }
        };
        let mut states = gateway.pulls.states(merchant).await?;
        let pull = states.remove(made.name.as_str()).map(PullView::from);
        Created::new(None, &SourceView { pull, ..SourceView::from(made) })
    };
    Box::pin(once(&gateway, &caller, "sources", key, request, work)).await
}

/// How scores of a new source come about, with what that kind needs.
enum Made {
    Pushed(Decimal, Decimal),
    Pulled(Option<(Decimal, Decimal)>, Box<PullSpec>),
    Computed,
}

/// The name, how its scores come about, and how often they are renewed.
type NewSource = (SourceName, Made, Option<Period>);

fn read_new(body: NewSourceBody) -> Result<NewSource, Problem> {
    let NewSourceBody { name, kind, min, max, refresh, pull } = body;
    let fault = |pointer, code, detail: &str| Problem::invalid(vec![FieldError::at(pointer, code, detail)]);
    let kind = kind.as_deref().unwrap_or(SourceKind::Push.as_str());
    match SourceKind::ALL.into_iter().find(|it| it.as_str() == kind) {
        None => Err(fault("/kind", "unknown_value", "this is `push`, `pull` or `computed`")),
        Some(SourceKind::Push | SourceKind::Computed) if pull.is_some() => {
            Err(fault("/pull", "unknown_field", "only a source of the kind `pull` has it"))
        }
        Some(SourceKind::Pull) => {
            let pull = pull.ok_or_else(|| fault("/pull", "missing_field", "say how it is fetched"))?;
            match (min, max) {
                (Some(_), None) => Err(fault("/max", "missing_field", "give the highest score there is")),
                (None, Some(_)) => Err(fault("/min", "missing_field", "give the lowest score there is")),
                (min, max) => Ok((name, Made::Pulled(min.zip(max), Box::new(pull.into())), refresh)),
            }
        }
        Some(SourceKind::Computed) if min.is_some() || max.is_some() => {
            let pointer = if min.is_some() { "/min" } else { "/max" };
            Err(fault(pointer, "unknown_field", "a computed source's scale is 1 to 100"))
        }
        Some(SourceKind::Computed) => Ok((name, Made::Computed, refresh)),
        Some(SourceKind::Push) => {
            let min = min.ok_or_else(|| fault("/min", "missing_field", "give the lowest score there is"))?;
            let max = max.ok_or_else(|| fault("/max", "missing_field", "give the highest score there is"))?;
            Ok((name, Made::Pushed(min, max), refresh))
        }
    }
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
    let merchant = &caller.merchant()?.id;
    let mut states = gateway.pulls.states(merchant).await?;
    let mut sources = Vec::new();
    for source in gateway.scores.list_sources(merchant).await? {
        let guard = gateway.scores.guard_of(merchant, &source).await?;
        let pull = states.remove(source.name.as_str()).map(PullView::from);
        sources.push(SourceView { guard: Some(guard.into()), pull, ..SourceView::from(source) });
    }
    Ok(HttpResponse::Ok().json(SourcesView { sources }))
}
