//! `/v1/perks/{perk}/occupancy`: who is inside; `stream`: the same as it changes.

pub mod stream;

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Principal;
use crate::access::role::permit::CountInside;
use crate::eligibility::occupancy::{ExpectedRelease, Occupancy, OccupancyRequestError, PlaceAsked};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{self, MAX_LABEL, MAX_NOTE, OccupancyId, PerkSlug};
use crate::gateway::Gateway;
use crate::http::openapi::problems::{
    ProblemsOfActing, ProblemsOfBody, ProblemsOfCounting, ProblemsOfIdempotency, ProblemsOfKeys, ProblemsOfNames,
    ProblemsOfOccupancy, ProblemsOfQuery,
};
use crate::ledger::occupancy::{MOST, OccupancyError};
use crate::web::auth::Authorized;
use crate::web::clerk::Acting;
use crate::web::extract::{Body, IdempotencyKey, Params, Path};
use crate::web::once::{Created, once};
use crate::web::problem::{Kind, Problem};

/// The place that is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PlaceQuery {
    /// One location, as keys name it, where the perk counts each by itself; without it the perk as a whole, or the
    /// location of the key that asks.
    #[param(example = "SFO-A")]
    location: Option<String>,
}

/// How full a place is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Occupancy)]
pub struct OccupancyView {
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    /// None where the perk is counted as a whole.
    #[schema(example = "SFO-A")]
    location: Option<String>,
    /// The limit that counts who is inside: people where its `cost` is `party`, else visits.
    #[schema(example = "seats")]
    limit: String,
    /// Those who hold a place: granted and awaited, or in.
    #[schema(example = 41)]
    inside: u64,
    #[schema(example = 60)]
    capacity: u64,
    #[schema(example = 19)]
    free: u64,
    /// When places are free by themselves, by the quarter of an hour, up to 96 of them: most guests leave earlier, and one
    /// who was granted and comes in only then has it for longer.
    expected_releases: Vec<ExpectedReleaseView>,
    /// The most that were inside at once since midnight in the perk's zone.
    #[schema(example = 58)]
    peak_today: u64,
    #[schema(value_type = String, format = DateTime)]
    as_of: Timestamp,
}

/// Places that are free by an instant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExpectedRelease)]
pub struct ExpectedReleaseView {
    #[schema(value_type = String, format = DateTime)]
    by: Timestamp,
    #[schema(example = 7)]
    count: u64,
}

/// How many more, or fewer, are inside.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"delta": -2, "reason": "Two left by the other door."}))]
pub struct OccupancyCorrectionBody {
    /// From -1000 to 1000, and not 0.
    #[schema(minimum = -1000, maximum = 1000)]
    delta: i64,
    /// Why, in 1–500 characters. It stands in the log in the clear and for good: name nobody.
    reason: String,
    /// The place, as the query of `GET …/occupancy` means it.
    location: Option<String>,
}

/// A count that was corrected.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OccupancyCorrected)]
pub struct OccupancyCorrectedView {
    #[schema(value_type = String, example = "occ_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    correction: OccupancyId,
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    location: Option<String>,
    #[schema(example = -2)]
    delta: i64,
    /// How many are inside now.
    #[schema(example = 39)]
    inside: u64,
    #[schema(value_type = String, format = DateTime)]
    corrected_at: Timestamp,
    /// When nothing is left of the correction: those who came unseen stay as long as guests may, and those who left are
    /// taken off where the guests stand who have the least time left.
    #[schema(value_type = String, format = DateTime)]
    lapses_at: Timestamp,
}

impl From<Occupancy> for OccupancyView {
    fn from(it: Occupancy) -> Self {
        let Occupancy { perk, location, limit, inside, capacity, free, expected_releases, peak_today, as_of } = it;
        let release = |ExpectedRelease { by, count }| ExpectedReleaseView { by, count };
        let expected_releases = expected_releases.into_iter().map(release).collect();
        Self { perk, location, limit, inside, capacity, free, expected_releases, peak_today, as_of }
    }
}

impl From<OccupancyRequestError> for Problem {
    fn from(error: OccupancyRequestError) -> Self {
        let kind = Kind::from(&error);
        match (error.advice(), error) {
            (Some(advice), _) => Self::new(kind, advice),
            (None, OccupancyRequestError::Perk(error)) => error.into(),
            (None, OccupancyRequestError::Correction(OccupancyError::Ledger(error))) => error.into(),
            (None, OccupancyRequestError::Correction(OccupancyError::Database(error))) => error.into(),
            (None, error) => Self::internal(&error),
        }
    }
}

/// The place of a query.
fn asked(caller: &Principal, perk: PerkSlug, query: PlaceQuery) -> Result<PlaceAsked, Problem> {
    let named = |location: String| ids::label(&location, MAX_LABEL);
    let location = query
        .location
        .map(named)
        .transpose()
        .map_err(|error| Problem::invalid(vec![FieldError::at("/location", "invalid_value", error.to_string())]))?;
    Ok(PlaceAsked { perk, location, own: caller.location.clone() })
}

/// Count who is inside
///
/// By the perk's concurrent limit: `no_occupancy` where it has none. What a check is held to is decided by the limit itself;
/// this is as it stood at `as_of`.
#[utoipa::path(
    tag = "perks",
    params(("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge"), PlaceQuery),
    responses(
        (status = 200, description = "How full it is", body = OccupancyView),
        ProblemsOfOccupancy, ProblemsOfNames, ProblemsOfQuery, ProblemsOfKeys
    )
)]
#[get("/perks/{perk}/occupancy")]
pub(crate) async fn get_occupancy(
    caller: Authorized<CountInside>,
    gateway: Data<Gateway>,
    perk: Path<PerkSlug>,
    query: Params<PlaceQuery>,
) -> Result<HttpResponse, Problem> {
    let asked = asked(&caller, perk.clone(), query.into_inner())?;
    let found = gateway.floor.occupancy(caller.merchant()?, &asked).await?;
    Ok(HttpResponse::Ok().json(OccupancyView::from(found)))
}

/// Correct who is inside
///
/// Some came or left unseen. It is a use of the limit of its own, which checks count with at once, and which lapses. Fewer
/// than nobody are never inside: `too_few_inside` says how many are. The key of a desk that has a location corrects its own.
#[utoipa::path(
    tag = "perks",
    params(
        ("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge"),
        ("Idempotency-Key" = Option<String>, Header, description = "1–255 printable ASCII characters: a retry gets the first answer"),
        ("Perkgate-Clerk" = Option<String>, Header, description = "The session of a clerk: needed with the key of a desk, once there are clerks")
    ),
    request_body = OccupancyCorrectionBody,
    responses(
        (status = 201, description = "It counts", body = OccupancyCorrectedView),
        ProblemsOfActing, ProblemsOfOccupancy, ProblemsOfCounting, ProblemsOfNames, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys
    )
)]
#[post("/perks/{perk}/occupancy/corrections")]
pub(crate) async fn correct_occupancy(
    caller: Acting<CountInside>,
    gateway: Data<Gateway>,
    perk: Path<PerkSlug>,
    key: IdempotencyKey,
    body: Body<OccupancyCorrectionBody>,
) -> Result<HttpResponse, Problem> {
    let request = body.hash();
    let OccupancyCorrectionBody { delta, reason, location } = body.into_inner();
    let mut errors = Vec::new();
    if delta == 0 || !(-MOST..=MOST).contains(&delta) {
        let detail = format!("write a whole number from -{MOST} to {MOST}, and not 0");
        errors.push(FieldError::at("/delta", "invalid_value", detail));
    }
    let reason = ids::label(&reason, MAX_NOTE);
    if let Err(error) = &reason {
        errors.push(FieldError::at("/reason", "invalid_value", error.to_string()));
    }
    let location = location.map(|location| ids::label(&location, MAX_LABEL)).transpose();
    if let Err(error) = &location {
        errors.push(FieldError::at("/location", "invalid_value", error.to_string()));
    }
    let (true, Ok(reason), Ok(location)) = (errors.is_empty(), reason, location) else {
        return Err(Problem::invalid(errors));
    };
    caller.require_at(location.as_deref())?;
    let asked = PlaceAsked { perk: perk.clone(), location, own: caller.location.clone() };
    let work = async {
        // The one that is found is named, so that a rule that counts otherwise a moment later corrects no other.
        let location = gateway.floor.location_of(caller.merchant()?, &asked).await?;
        caller.require_all_of(location.as_deref())?;
        let asked = PlaceAsked { location, ..asked };
        let made = gateway.floor.correct(caller.merchant()?, &asked, caller.actor(), (delta, reason)).await?;
        let view = OccupancyCorrectedView {
            correction: made.id,
            perk: made.place.slug,
            location: made.place.house.location,
            delta,
            inside: made.corrected.inside,
            corrected_at: made.corrected.at,
            lapses_at: made.corrected.until,
        };
        Created::new(None, &view)
    };
    once(&gateway, &caller, format!("occupancy/{}", &*perk), key, request, work).await
}
