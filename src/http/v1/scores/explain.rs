//! `/v1/scores/{source}/{subject}/explain`: a computed score taken apart.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

use super::find_source;
use super::history::ChangesView;
use crate::access::role::permit::ReadScores;
use crate::foundation::clock::from_micros;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::SourceName;
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{ProblemsOfKeys, ProblemsOfNames};
use crate::http::v1::checks::read_subject;
use crate::scores::ScoreError;
use crate::scoring::explain::{Part, Step, parts, steps};
use crate::scoring::observation::date_of;
use crate::scoring::signs::Sign;
use crate::web::auth::Authorized;
use crate::web::extract::Path;
use crate::web::problem::Problem;

/// Number of people in a step: what a little more means.
const A_LITTLE: u64 = 10;

/// The most steps that are shown.
const MOST_STEPS: usize = 5;

/// A computed score, as the signals make it now, and all that makes it.
#[derive(Serialize, ToSchema)]
#[schema(as = ScoreExplanation)]
pub struct ScoreExplanationView {
    #[schema(value_type = String, example = "influence")]
    source: SourceName,
    /// As it was normalised.
    #[schema(example = "twitter:ada")]
    subject: String,
    /// 1, which everyone has who has signals, and the points of all parts. Null where nothing is known that counts.
    #[schema(value_type = Option<f64>, example = 41.2)]
    value: Option<Decimal>,
    /// When the network that has been silent for longest was last heard of.
    #[schema(value_type = Option<String>, format = DateTime)]
    observed_at: Option<Timestamp>,
    /// The hash of the model. For a while after another was published, the one before where that makes the better score.
    #[schema(example = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    model: String,
    /// Number of days of the last 90 on which others acted.
    days: u64,
    /// Number of different people who did, as far as they are known.
    engagers: u64,
    parts: Vec<ScorePartView>,
    /// The points that a little more would add, the most first.
    steps: Vec<ScoreStepView>,
    /// The signs that are worth a look, the largest share first: it lowers nothing.
    signs: Vec<SignView>,
    percentile: PercentileView,
    /// The differences of the score that checks go by to earlier ones.
    changes: ChangesView,
}

/// The points that one measure of a signal contributed.
#[derive(Serialize, ToSchema)]
#[schema(as = ScorePart)]
pub struct ScorePartView {
    #[schema(example = "bluesky")]
    network: String,
    #[schema(example = "repost")]
    signal: String,
    #[schema(value_type = enumerations::Measure)]
    measure: &'static str,
    #[schema(value_type = f64, example = 12.345)]
    points: Decimal,
    #[schema(example = "reposts on bluesky, by how many people")]
    words: String,
}

/// The points that so many more people would add, who act once each.
#[derive(Serialize, ToSchema)]
#[schema(as = ScoreStep)]
pub struct ScoreStepView {
    #[schema(example = "bluesky")]
    network: String,
    #[schema(example = "repost")]
    signal: String,
    people: u64,
    #[schema(value_type = f64, example = 0.8)]
    points: Decimal,
    words: String,
}

/// A sign that activity may be made up. It lowers nothing.
#[derive(Serialize, ToSchema)]
#[schema(as = Sign)]
pub struct SignView {
    #[schema(value_type = enumerations::SignKind)]
    kind: &'static str,
    #[schema(example = "bluesky")]
    network: String,
    #[schema(example = "repost")]
    signal: String,
    /// One person's share of the acts, or that of one day, in hundredths.
    #[schema(example = 62)]
    share: u64,
    /// Number of acts in 90 days.
    acts: u64,
    /// The UTC day of a burst.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    day: Option<Date>,
    #[schema(example = "one person made 62% of the 40 reposts on bluesky in 90 days")]
    words: String,
}

impl From<Sign> for SignView {
    fn from(sign: Sign) -> Self {
        let words = sign.words();
        let Sign { kind, network, signal, share, acts, day } = sign;
        Self { kind: kind.as_str(), network, signal, share, acts, day: day.map(date_of), words }
    }
}

/// Where a score stands among all of its source that this merchant has.
#[derive(Serialize, ToSchema)]
#[schema(as = Percentile)]
pub struct PercentileView {
    /// Number of people with a lower score.
    below: u64,
    /// Number of people with a score from the source.
    of: u64,
}

impl From<Part> for ScorePartView {
    fn from(part: Part) -> Self {
        let words = part.words();
        let Part { network, signal, measure, points } = part;
        Self { network, signal, measure: measure.as_str(), points, words }
    }
}

impl From<Step> for ScoreStepView {
    fn from(step: Step) -> Self {
        let words = step.words();
        let Step { network, signal, people, points } = step;
        Self { network, signal, people, points, words }
    }
}

/// Explain a computed score
///
/// By the signals as they are now; the score that checks go by is renewed within a minute. The points add up to it exactly.
#[utoipa::path(
    tag = "scores",
    params(
        ("source" = String, Path, description = "A computed source", example = "influence"),
        ("subject" = String, Path, description = "`network:handle` or a member number", example = "twitter:ada")
    ),
    responses(
        (status = 200, description = "What the score is made of", body = ScoreExplanationView),
        ProblemsOfNames, ProblemsOfKeys
    )
)]
#[get("/scores/{source}/{subject}/explain")]
pub(crate) async fn get_score_explanation(
    caller: Authorized<ReadScores>,
    gateway: Data<Gateway>,
    path: Path<(SourceName, String)>,
) -> Result<HttpResponse, Problem> {
    let (source, subject) = path.into_inner();
    let merchant = &caller.merchant()?.id;
    let source = find_source(&gateway, merchant, &source).await?.name;
    let subject = read_subject(&subject)?;
    let (references, now) = (gateway.keyring.subject_refs(merchant, &subject), gateway.clock.now());
    let person = gateway.scores.gather(merchant, references.current, now).await?;
    let signs = gateway.scores.signs_of(merchant, references.current, now).await?;
    let history = gateway.scores.history(merchant, &source, references, now).await?;
    let models = gateway.scores.models_of(merchant, &source, now).await?;
    let models = models.ok_or_else(|| ScoreError::NotComputed(source.clone()))?;
    let (model, computed) = models.compute(&person.activity).map_or((&models.current, None), |(by, it)| (by, Some(it)));
    let value = computed.as_ref().map(|it| it.score);
    let (below, of) = gateway.scores.rank(merchant, &source, value.unwrap_or_default()).await?;
    let steps = steps(model, &person.activity, A_LITTLE).into_iter().take(MOST_STEPS);
    Ok(HttpResponse::Ok().json(ScoreExplanationView {
        value,
        observed_at: value.and(person.observed_at).map(from_micros),
        model: model.hash(),
        days: person.activity.days,
        engagers: person.activity.engagers,
        parts: computed.as_ref().map(parts).unwrap_or_default().into_iter().map(ScorePartView::from).collect(),
        steps: steps.map(ScoreStepView::from).collect(),
        signs: signs.into_iter().map(SignView::from).collect(),
        percentile: PercentileView { below, of },
        changes: history.changes().into(),
        subject: subject.as_str().to_owned(),
        source,
    }))
}
