//! `/v1/scores`: what feeders write, one score or a stream of them.

pub mod explain;
pub mod feed;
pub mod held;
pub mod history;
pub mod models;
pub mod pulls;
pub mod sources;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, delete, get, post, put};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::feed::{FileView, ImportView, format_of, import};
use super::checks::read_subject;
use crate::access::role::permit::{ReadScores, WriteScores};
use crate::foundation::decimal::Decimal;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::gateway::Gateway;
use crate::http::openapi::problems::{ProblemsOfBody, ProblemsOfKeys, ProblemsOfNames, ProblemsOfScores};
use crate::scores::ScoreError;
use crate::scores::import::ImportConfig;
use crate::scores::score::{PutOutcome, Score, Source, SourceKind, parse_instant};
use crate::web::auth::Authorized;
use crate::web::extract::{Body, Path};
use crate::web::problem::{Kind, Problem};

/// A score as a source observed it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreBody {
    /// On the source's scale, with at most three decimals.
    #[schema(value_type = f64, example = 47.25)]
    value: Decimal,
    /// When the source computed it (RFC 3339).
    #[schema(format = DateTime, example = "2026-11-22T09:00:00Z")]
    observed_at: String,
}

/// A score.
#[derive(Serialize, ToSchema)]
pub struct ScoreView {
    #[schema(value_type = String, example = "klout")]
    source: SourceName,
    /// As it was normalised.
    #[schema(example = "twitter:ada")]
    subject: String,
    #[schema(value_type = f64, example = 47.25)]
    value: Decimal,
    #[schema(value_type = String, format = DateTime, example = "2026-11-22T09:00:00Z")]
    observed_at: Timestamp,
}

/// Put a score
///
/// Unless a newer observation of the same person stands, which is a 409.
#[utoipa::path(
    tag = "scores",
    params(
        ("source" = String, Path, description = "The score source", example = "klout"),
        ("subject" = String, Path, description = "`network:handle` or a member number", example = "twitter:ada")
    ),
    request_body = ScoreBody,
    responses(
        (status = 200, description = "It stands now", body = ScoreView),
        ProblemsOfScores, ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys
    )
)]
#[put("/scores/{source}/{subject}")]
pub(crate) async fn put_score(
    caller: Authorized<WriteScores>,
    gateway: Data<Gateway>,
    path: Path<(SourceName, String)>,
    body: Body<ScoreBody>,
) -> Result<HttpResponse, Problem> {
    let (source, subject) = path.into_inner();
    let merchant = &caller.merchant()?.id;
    let source = find_pushed(&gateway, merchant, &source).await?;
    let subject = read_subject(&subject)?;
    let observed_at = parse_instant(&body.observed_at).ok_or_else(|| {
        let detail = "Write the time as RFC 3339 does, with its offset: 2026-11-22T09:00:00Z.";
        Problem::invalid(vec![FieldError::at("/observed_at", "bad_time", detail)])
    })?;
    let score = Score::new(body.value, observed_at);
    let reference = gateway.keyring.subject_refs(merchant, &subject);
    let score = match gateway.scores.put(merchant, &source, reference, score, gateway.clock.now()).await? {
        PutOutcome::Accepted | PutOutcome::Unchanged => score,
        PutOutcome::Stale { stored } => {
            let detail = format!("A newer observation stands, of {}. It was kept.", stored.observed_at);
            return Err(Problem::new(Kind::StaleScore, detail));
        }
    };
    Ok(HttpResponse::Ok().json(view(source.name, subject.as_str(), score)))
}

/// Show a score
#[utoipa::path(
    tag = "scores",
    params(
        ("source" = String, Path, description = "The score source", example = "klout"),
        ("subject" = String, Path, description = "`network:handle` or a member number", example = "twitter:ada")
    ),
    responses((status = 200, description = "The score that stands", body = ScoreView), ProblemsOfNames, ProblemsOfKeys)
)]
#[get("/scores/{source}/{subject}")]
pub(crate) async fn get_score(
    caller: Authorized<ReadScores>,
    gateway: Data<Gateway>,
    path: Path<(SourceName, String)>,
) -> Result<HttpResponse, Problem> {
    let (source, subject) = path.into_inner();
    let merchant = &caller.merchant()?.id;
    let source = find_source(&gateway, merchant, &source).await?;
    let subject = read_subject(&subject)?;
    let reference = gateway.keyring.subject_refs(merchant, &subject);
    let found = gateway.scores.get(merchant, &source.name, reference).await?;
    let score = found.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok().json(view(source.name, subject.as_str(), score)))
}

/// Delete a score
///
/// With its history.
#[utoipa::path(
    tag = "scores",
    params(
        ("source" = String, Path, description = "The score source", example = "klout"),
        ("subject" = String, Path, description = "`network:handle` or a member number", example = "twitter:ada")
    ),
    responses((status = 204, description = "It is deleted"), ProblemsOfNames, ProblemsOfKeys)
)]
#[delete("/scores/{source}/{subject}")]
pub(crate) async fn delete_score(
    caller: Authorized<WriteScores>,
    gateway: Data<Gateway>,
    path: Path<(SourceName, String)>,
) -> Result<HttpResponse, Problem> {
    let (source, subject) = path.into_inner();
    let merchant = &caller.merchant()?.id;
    let source = find_pushed(&gateway, merchant, &source).await?;
    let reference = gateway.keyring.subject_refs(merchant, &read_subject(&subject)?);
    if gateway.scores.delete(merchant, &source.name, reference).await? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(Problem::not_found())
    }
}

/// Import scores
///
/// A stream of NDJSON (`{"subject","value","observed_at"}` a line) or CSV with that header. Sent as
/// `application/octet-stream`, it is NDJSON if it begins with `{`. Good lines are kept, bad ones are reported by
/// their number; sending the same feed again is safe. One that would move too many people too far is `held`: none of it counts
/// until a person releases it. It may come packed, with `Content-Encoding: gzip`: the bound of an
/// import is then on what comes out.
#[utoipa::path(
    tag = "scores",
    params(("source" = String, Path, description = "The score source", example = "klout")),
    request_body(
        description = "One row a line",
        content(
            (String = "application/x-ndjson", example = json!("{\"subject\":\"twitter:ada\",\"value\":47.25,\"observed_at\":\"2026-11-22T09:00:00Z\"}\n")),
            (String = "text/csv", example = json!("subject,value,observed_at\ntwitter:ada,47.25,2026-11-22T09:00:00Z\n")),
            (FileView = "application/octet-stream")
        )
    ),
    responses(
        (status = 200, description = "What became of it", body = ImportView),
        ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys
    )
)]
#[post("/scores/{source}/import")]
pub(crate) async fn import_scores(
    req: HttpRequest,
    caller: Authorized<WriteScores>,
    gateway: Data<Gateway>,
    source: Path<SourceName>,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?.id.clone();
    let format = format_of(&req)?;
    let source = find_pushed(&gateway, &merchant, &source).await?;
    let keyring = gateway.keyring.clone();
    let begin = |format| {
        let config = ImportConfig { merchant: merchant.clone(), source, format, clock: gateway.clock.clone() };
        gateway.scores.import_guarded(config, caller.actor(), move |handle| keyring.subject_refs(&merchant, handle))
    };
    let report = import(&gateway, &req, body, format, begin).await?;
    Ok(HttpResponse::Ok().json(ImportView::from(report)))
}

/// A source that feeders write to.
async fn find_pushed(gateway: &Gateway, merchant: &MerchantId, name: &SourceName) -> Result<Source, Problem> {
    let source = find_source(gateway, merchant, name).await?;
    match source.kind {
        SourceKind::Push => Ok(source),
        SourceKind::Computed => Err(ScoreError::Computed(source.name).into()),
        SourceKind::Pull => Err(ScoreError::Pulled(source.name).into()),
    }
}

pub(super) async fn find_source(
    gateway: &Gateway,
    merchant: &MerchantId,
    name: &SourceName,
) -> Result<Source, Problem> {
    gateway.scores.find_source(merchant, name).await?.ok_or_else(|| {
        Problem::new(Kind::NotFound, format!("There is no score source `{name}`: make it first, with its scale."))
    })
}

fn view(source: SourceName, subject: &str, score: Score) -> ScoreView {
    ScoreView { source, subject: subject.to_owned(), value: score.value, observed_at: score.observed_at }
}
