//! `/v1/perks/{perk}/picture`: who has which score, and where a rule's thresholds lie.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::access::role::permit::ManagePerks;
use crate::foundation::ids::PerkSlug;
use crate::gateway::Gateway;
use crate::http::openapi::problems::{ProblemsOfKeys, ProblemsOfNames, ProblemsOfQuery};
use crate::web::auth::Authorized;
use crate::web::extract::{Params, Path};
use crate::web::params::VersionNumber;
use crate::web::problem::Problem;

/// The version that is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PictureQuery {
    /// Which version; the published one without it, or the latest draft while nothing is published.
    #[param(value_type = Option<i32>, example = 8)]
    version: Option<VersionNumber>,
}

/// Who has which score, and where a rule's thresholds lie.
#[derive(ToSchema)]
#[schema(as = Picture)]
#[expect(dead_code, reason = "describes what eligibility's own type writes")]
pub struct PictureView {
    #[schema(example = "sfo-lounge")]
    perk: String,
    #[schema(example = 8)]
    version: i32,
    #[schema(example = "klout")]
    source: String,
    /// When the scores were counted: at most once a minute.
    #[schema(format = DateTime)]
    at: String,
    minimum: f64,
    #[schema(example = 100)]
    maximum: f64,
    /// The distance under the lowest threshold that counts as just short: three bars.
    #[schema(example = 3)]
    within: f64,
    /// The number of people in each of at most 100 equal parts of the scale, lowest first; the last has its upper end too.
    /// Estimates where `counted` is less than `total`.
    counts: Vec<u64>,
    /// The number of people who have a score from the source.
    #[schema(example = 18412)]
    total: u64,
    /// The number of people whose score was looked at: a million at most.
    #[schema(example = 18412)]
    counted: u64,
    /// Those in `counts` whose score is older than the rule takes.
    #[schema(example = 214)]
    stale: u64,
    /// The tiers whose condition holds the score to one lower bound, lowest rank first.
    tiers: Vec<HandleView>,
    /// The thresholds that decide now; null where nothing is published, this version is, or what is goes by another
    /// source.
    published: Option<PublishedThresholdsView>,
    /// The published version where it goes by another source.
    incomparable: Option<i32>,
    /// The names of the tiers that no one threshold of the score opens.
    without_threshold: Vec<String>,
    /// The limit that counts the whole perk by the day; null where the rule has none.
    limit: Option<DailyLimitView>,
    /// The mean number of people that last week's grants counted.
    #[schema(example = 1.4)]
    party: f64,
    /// The last seven days that are over in the perk's zone, the earliest first.
    week: Vec<DayAskedView>,
    /// True if the log of the week was too long to be read whole, so that its numbers are estimates.
    is_week_estimated: bool,
}

/// The threshold of one tier.
#[derive(ToSchema)]
#[schema(as = ThresholdHandle)]
#[expect(dead_code, reason = "describes what eligibility's own type writes")]
pub struct HandleView {
    #[schema(example = "standard")]
    tier: String,
    #[schema(example = "Main lounge")]
    name: String,
    /// The least score that is enough, as far as the score decides.
    #[schema(example = 45)]
    at_least: f64,
    /// True if the score is not all that the tier asks for.
    asks_more: bool,
    /// True if it stands in the tier's own condition, so that it can be moved for this tier alone.
    is_own: bool,
    /// The least score that the rule asks of every tier: a lower threshold lets nobody else in. Null where it asks none.
    floor: Option<f64>,
}

/// The thresholds of the version that decides.
#[derive(ToSchema)]
#[schema(as = PublishedThresholds)]
#[expect(dead_code, reason = "describes what eligibility's own type writes")]
pub struct PublishedThresholdsView {
    #[schema(example = 7)]
    version: i32,
    tiers: Vec<HandleView>,
}

/// A limit by the day.
#[derive(ToSchema)]
#[schema(as = DailyLimit)]
#[expect(dead_code, reason = "describes what eligibility's own type writes")]
pub struct DailyLimitView {
    #[schema(example = "house-day")]
    id: String,
    #[schema(example = 200)]
    max: u64,
    /// `party` where each person counts, else `visit`.
    #[schema(example = "party")]
    cost: String,
}

/// The visitors of a day, by the score that was seen of them.
#[derive(ToSchema)]
#[schema(as = DayAsked)]
#[expect(dead_code, reason = "describes what eligibility's own type writes")]
pub struct DayAskedView {
    #[schema(format = Date, example = "2026-11-26")]
    date: String,
    /// The number of checks in each part of the scale.
    asked: Vec<u64>,
    /// The number of checks whose score isn't known: there was none, it came from another source, or the person was
    /// erased.
    unknown: u64,
}

/// Get the threshold picture
///
/// How many people have which score, where the thresholds of a version lie, and which scores last week's visitors had: all
/// that it takes to say whom another threshold would let in, without asking again. Other conditions, limits by person and
/// the order of arrivals are not in it: backtests have them. Of more than a million scores a fair sample is counted.
#[utoipa::path(
    tag = "perks",
    params(("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge"), PictureQuery),
    responses((status = 200, description = "The picture", body = PictureView), ProblemsOfNames, ProblemsOfQuery, ProblemsOfKeys)
)]
#[get("/perks/{perk}/picture")]
pub(crate) async fn get_picture(
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
    perk: Path<PerkSlug>,
    query: Params<PictureQuery>,
) -> Result<HttpResponse, Problem> {
    let version = query.version.map(|VersionNumber(version)| version);
    let picture = gateway.pictures.picture(caller.merchant()?, &perk, version).await?;
    Ok(HttpResponse::Ok().json(picture))
}
