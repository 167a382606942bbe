//! `/v1/sources/{source}/models`: the models by which a computed source computes.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::role::permit::ManageSources;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::SourceName;
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{ProblemsOfApproval, ProblemsOfBody, ProblemsOfKeys, ProblemsOfNames};
use crate::perks::models::{GRACE_DAYS, LONGEST_GRACE, ModelError, SourceModel};
use crate::web::auth::Authorized;
use crate::web::extract::{Body, Path};
use crate::web::problem::{Kind, Problem, sentence};

/// A model.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelBody {
    /// As `perkgate model show` prints the shipped one.
    #[schema(value_type = BTreeMap<String, Value>)]
    model: Json,
    /// The days for which the model before counts too, where it makes a score the better one: 30 unless given, at most 366.
    #[schema(value_type = Option<u16>, maximum = 366, example = 30)]
    grace_days: Option<u16>,
}

/// The hash of a model, as an address names it.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct ModelHash(String);

impl TryFrom<String> for ModelHash {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        let digits = text.strip_prefix("sha256:").unwrap_or_default();
        let is_hash = digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_hash { Ok(Self(text)) } else { Err("give the hash of a model: sha256: and 64 hexadecimal digits") }
    }
}

/// A model of a source.
#[derive(Serialize, ToSchema)]
#[schema(as = SourceModel)]
pub struct SourceModelView {
    /// The hash of its canonical form.
    #[schema(example = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    model: String,
    #[schema(value_type = enumerations::ModelStatus)]
    status: &'static str,
    /// Who handed it in.
    submitted_by: String,
    #[schema(value_type = String, format = DateTime)]
    submitted_at: Timestamp,
    /// The days for which the model before counts too, once this one is published.
    grace_days: i64,
    /// Who approved it, where someone did.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_by: Option<String>,
}

/// The models that were handed in for a source.
#[derive(Serialize, ToSchema)]
pub struct SourceModelsView {
    models: Vec<SourceModelView>,
}

impl From<SourceModel> for SourceModelView {
    fn from(model: SourceModel) -> Self {
        let SourceModel { hash, status, submitted_by, submitted_at, grace_days, approved_by } = model;
        Self { model: hash, status: status.as_str(), submitted_by, submitted_at, grace_days, approved_by }
    }
}

impl From<ModelError> for Problem {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Graces => Self::invalid(vec![FieldError::at("/grace_days", "too_many", error.to_string())]),
            ModelError::Unfit(errors) => Self::of_fields("/model", errors),
            ModelError::NotComputed(_) | ModelError::NotSubmitted | ModelError::Unknown => {
                Self::new(Kind::NotFound, sentence(&error.to_string()))
            }
            ModelError::Perk(error) => error.into(),
            ModelError::Ledger(error) => error.into(),
            ModelError::Database(error) => error.into(),
        }
    }
}

/// Publish a model
///
/// The source computes by it from now on, for everyone; scores follow within minutes. Where the merchant asks for four
/// eyes, it waits until someone else has approved it.
#[utoipa::path(
    tag = "scores",
    params(("source" = String, Path, description = "A computed source", example = "influence")),
    request_body = ModelBody,
    responses((status = 201, description = "Published, or handed in", body = SourceModelView), ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys)
)]
#[post("/sources/{source}/models")]
pub(crate) async fn create_model(
    caller: Authorized<ManageSources>,
    gateway: Data<Gateway>,
    source: Path<SourceName>,
    body: Body<ModelBody>,
) -> Result<HttpResponse, Problem> {
    let (merchant, ModelBody { model, grace_days }) = (&caller.merchant()?.id, body.into_inner());
    let grace_days = grace_days.unwrap_or(GRACE_DAYS);
    if grace_days > LONGEST_GRACE {
        let detail = format!("the model before counts for {LONGEST_GRACE} days at most");
        return Err(Problem::invalid(vec![FieldError::at("/grace_days", "out_of_range", detail)]));
    }
    let made = gateway.catalog.submit_model(merchant, caller.actor(), &source, (&model, grace_days)).await?;
    Ok(HttpResponse::Created().json(SourceModelView::from(made)))
}

/// List a source's models
///
/// Those that were handed in, the last first. The shipped one, which a source begins with, is none of them.
#[utoipa::path(
    tag = "scores",
    params(("source" = String, Path, description = "A computed source", example = "influence")),
    responses((status = 200, description = "All of them", body = SourceModelsView), ProblemsOfNames, ProblemsOfKeys)
)]
#[get("/sources/{source}/models")]
pub(crate) async fn list_models(
    caller: Authorized<ManageSources>,
    gateway: Data<Gateway>,
    source: Path<SourceName>,
) -> Result<HttpResponse, Problem> {
    let models = gateway.catalog.list_models(&caller.merchant()?.id, &source).await?;
    Ok(HttpResponse::Ok().json(SourceModelsView { models: models.into_iter().map(SourceModelView::from).collect() }))
}

/// One thing that is different.
#[derive(Serialize, ToSchema)]
#[schema(as = ModelChange)]
pub struct ModelChangeView {
    /// A network, `population` or `curve`.
    #[schema(example = "bluesky")]
    part: String,
    #[schema(example = "bluesky counts now, with a reach of 0.8.")]
    sentence: String,
}

/// A model beside the one in use.
#[derive(Serialize, ToSchema)]
#[schema(as = ModelDifferences)]
pub struct ModelDifferencesView {
    /// The hash of the model in use.
    #[schema(example = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    before: String,
    /// None where both score alike.
    changes: Vec<ModelChangeView>,
}

/// Compare a model
///
/// With the one by which the source computes, in sentences.
#[utoipa::path(
    tag = "scores",
    params(
        ("source" = String, Path, description = "A computed source", example = "influence"),
        ("model" = String, Path, description = "The model's hash", example = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")
    ),
    responses((status = 200, description = "What is different", body = ModelDifferencesView), ProblemsOfNames, ProblemsOfKeys)
)]
#[get("/sources/{source}/models/{model}/diff")]
pub(crate) async fn get_model_diff(
    caller: Authorized<ManageSources>,
    gateway: Data<Gateway>,
    path: Path<(SourceName, ModelHash)>,
) -> Result<HttpResponse, Problem> {
    let (source, model) = path.into_inner();
    let (before, changes) = gateway.catalog.compare_model(&caller.merchant()?.id, &source, &model.0).await?;
    let changes = changes.into_iter().map(|it| ModelChangeView { part: it.part, sentence: it.sentence }).collect();
    Ok(HttpResponse::Ok().json(ModelDifferencesView { before, changes }))
}

/// Approve a model
///
/// One that waits is published. Where the merchant asks for four eyes, this takes someone who did not hand it in: keys that
/// one person made count as that person.
#[utoipa::path(
    tag = "scores",
    params(
        ("source" = String, Path, description = "A computed source", example = "influence"),
        ("model" = String, Path, description = "The model's hash", example = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")
    ),
    responses((status = 200, description = "Published", body = SourceModelView), ProblemsOfApproval, ProblemsOfNames, ProblemsOfKeys)
)]
#[post("/sources/{source}/models/{model}/approve")]
pub(crate) async fn approve_model(
    caller: Authorized<ManageSources>,
    gateway: Data<Gateway>,
    path: Path<(SourceName, ModelHash)>,
) -> Result<HttpResponse, Problem> {
    let (source, model) = path.into_inner();
    let made = gateway.catalog.approve_model(&caller.merchant()?.id, caller.actor(), &source, &model.0).await?;
    Ok(HttpResponse::Ok().json(SourceModelView::from(made)))
}
