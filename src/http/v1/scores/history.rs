//! `/v1/scores/{source}/{subject}/history`: the values that a score had, day by day.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::find_source;
use crate::access::role::permit::ReadScores;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::SourceName;
use crate::gateway::Gateway;
use crate::http::openapi::problems::{ProblemsOfKeys, ProblemsOfNames};
use crate::http::v1::checks::read_subject;
use crate::scores::history::{Changes, History};
use crate::scoring::observation::date_of;
use crate::web::auth::Authorized;
use crate::web::extract::Path;
use crate::web::params::{DayCount, Params};
use crate::web::problem::Problem;

/// The days that are shown unless others are asked for.
const DAYS: DayCount = DayCount(90);

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// The last so many days, today among them: 90 unless given.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 400, example = 30)]
    days: Option<DayCount>,
}

/// The values that a person's score had.
#[derive(Serialize, ToSchema)]
#[schema(as = ScoreHistory)]
pub struct ScoreHistoryView {
    #[schema(value_type = String, example = "klout")]
    source: SourceName,
    /// As it was normalised.
    #[schema(example = "twitter:ada")]
    subject: String,
    changes: ChangesView,
    /// The lowest value of the last 90 days; null where there was none.
    #[schema(value_type = Option<f64>, example = 41)]
    low: Option<Decimal>,
    /// The highest one.
    #[schema(value_type = Option<f64>, example = 48.5)]
    high: Option<Decimal>,
    /// The earliest first. Days without a score are left out.
    days: Vec<ScoreDayView>,
}

/// The difference of the score that stands to earlier ones; null where either is missing.
#[derive(Serialize, ToSchema)]
#[schema(as = ScoreChanges)]
pub struct ChangesView {
    /// To that at the end of yesterday, a day of UTC.
    #[schema(value_type = Option<f64>, example = 0.25)]
    day: Option<Decimal>,
    /// To that of seven days ago.
    #[schema(value_type = Option<f64>, example = -1.5)]
    week: Option<Decimal>,
    /// To that of thirty days ago.
    #[schema(value_type = Option<f64>, example = 3)]
    month: Option<Decimal>,
}

/// A day, and the value at its end; of today the one that stands.
#[derive(Serialize, ToSchema)]
#[schema(as = ScoreDay)]
pub struct ScoreDayView {
    /// A UTC day.
    #[schema(value_type = String, format = Date, example = "2026-11-22")]
    day: Date,
    #[schema(value_type = f64, example = 47.25)]
    value: Decimal,
}

impl From<Changes> for ChangesView {
    fn from(Changes { day, week, month }: Changes) -> Self {
        Self { day, week, month }
    }
}

impl ScoreHistoryView {
    fn of(source: SourceName, subject: String, history: &History, days: DayCount) -> Self {
        let (low, high) = history.extremes().unzip();
        let days = history.last(days.0).map(|(day, value)| ScoreDayView { day: date_of(day), value }).collect();
        Self { source, subject, changes: history.changes().into(), low, high, days }
    }
}

/// Show a score's history
///
/// The value at the end of each UTC day on which there was a score, as far back as 400 days. A score that was deleted
/// has none.
#[utoipa::path(
    tag = "scores",
    params(
        ("source" = String, Path, description = "The score source", example = "klout"),
        ("subject" = String, Path, description = "`network:handle` or a member number", example = "twitter:ada"),
        HistoryQuery
    ),
    responses(
        (status = 200, description = "What it was, day by day", body = ScoreHistoryView),
        ProblemsOfNames, ProblemsOfKeys
    )
)]
#[get("/scores/{source}/{subject}/history")]
pub(crate) async fn get_score_history(
    caller: Authorized<ReadScores>,
    gateway: Data<Gateway>,
    path: Path<(SourceName, String)>,
    query: Params<HistoryQuery>,
) -> Result<HttpResponse, Problem> {
    let (source, subject) = path.into_inner();
    let merchant = &caller.merchant()?.id;
    let source = find_source(&gateway, merchant, &source).await?.name;
    let subject = read_subject(&subject)?;
    let references = gateway.keyring.subject_refs(merchant, &subject);
    let history = gateway.scores.history(merchant, &source, references, gateway.clock.now()).await?;
    let subject = subject.as_str().to_owned();
    Ok(HttpResponse::Ok().json(ScoreHistoryView::of(source, subject, &history, query.days.unwrap_or(DAYS))))
}
