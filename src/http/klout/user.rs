//! `/v2/user.json`: the score of a person, who is named by their number.

use std::sync::Arc;

use actix_web::web::{Data, ReqData};
use actix_web::{HttpResponse, get};
use serde::Serialize;

use super::identity::bound_to;
use crate::access::Principal;
use crate::database::DatabaseError;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::SubjectHandle;
use crate::gateway::Gateway;
use crate::scores::history::Changes;
use crate::scores::score::Source;
use crate::scoring::observation::day_of;
use crate::web::extract::Path;
use crate::web::problem::Problem;

/// A person whose number is known, and who has a score.
pub(super) struct Known {
    pub id: String,
    handle: SubjectHandle,
    score: Decimal,
    changes: Changes,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct User {
    klout_id: String,
    nick: String,
    score: Score,
    score_deltas: Deltas,
}

#[derive(Serialize)]
struct Score {
    score: Decimal,
    bucket: String,
}

/// Null where no score is known of that day: 0 would say that nothing changed.
#[derive(Serialize)]
struct Deltas {
    #[serde(rename = "dayChange")]
    day: Option<Decimal>,
    #[serde(rename = "weekChange")]
    week: Option<Decimal>,
    #[serde(rename = "monthChange")]
    month: Option<Decimal>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScoreWithDelta {
    score: Decimal,
    score_delta: Deltas,
    bucket: String,
}

/// Nobody's influence is known here: it is said of no one.
#[derive(Serialize)]
struct Influence {
    #[serde(rename = "myInfluencers")]
    influencers: [(); 0],
    #[serde(rename = "myInfluencees")]
    influencees: [(); 0],
    #[serde(rename = "myInfluencersCount")]
    influencers_count: u8,
    #[serde(rename = "myInfluenceesCount")]
    influencees_count: u8,
}

impl From<Changes> for Deltas {
    fn from(Changes { day, week, month }: Changes) -> Self {
        Self { day, week, month }
    }
}

/// The tens that the score is in; the highest score is in the last.
fn bucket(score: Decimal) -> String {
    match score.thousandths().div_euclid(10_000).clamp(0, 9) {
        9 => "90-100".to_owned(),
        0 => "0-9".to_owned(),
        tens => format!("{tens}0-{tens}9"),
    }
}

/// The person whom a number stands for.
///
/// # Errors
/// [`Problem::not_found`] where it stands for nobody who has a score.
pub(super) async fn find_known(gateway: &Gateway, merchant: &MerchantId, id: &str) -> Result<Known, Problem> {
    let is_written_so = |number: &i64| number.to_string() == id;
    let number = id.parse().ok().filter(is_written_so).ok_or_else(Problem::not_found)?;
    let sealed = gateway.scores.find_klout_id(merchant, number).await?.ok_or_else(Problem::not_found)?;
    let corrupt = |error: &dyn std::fmt::Display| DatabaseError::corrupt("handle of a number", error);
    let plain = gateway.keyring.open_outcome(&bound_to(merchant), &sealed).map_err(|e| corrupt(&e))?;
    let text = std::str::from_utf8(&plain).map_err(|e| corrupt(&e))?;
    let handle: SubjectHandle = text.parse().map_err(|e: crate::foundation::subject::SubjectError| corrupt(&e))?;
    let (references, now) = (gateway.keyring.subject_refs(merchant, &handle), gateway.clock.now());
    let history = gateway.scores.history(merchant, &Source::klout().name, references, now).await?;
    let score = history.on(day_of(now)).ok_or_else(Problem::not_found)?;
    Ok(Known { id: id.to_owned(), handle, score, changes: history.changes() })
}

#[get("/user.json/{id}")]
pub(super) async fn get_user(
    caller: ReqData<Arc<Principal>>,
    gateway: Data<Gateway>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let Known { id, handle, score, changes } = find_known(&gateway, &caller.merchant()?.id, &id).await?;
    let nick = handle.as_str().split_once(':').map_or(handle.as_str(), |(_, name)| name).to_owned();
    let score_deltas = changes.into();
    Ok(HttpResponse::Ok().json(User {
        klout_id: id,
        nick,
        score: Score { score, bucket: bucket(score) },
        score_deltas,
    }))
}

#[get("/user.json/{id}/score")]
pub(super) async fn get_score(
    caller: ReqData<Arc<Principal>>,
    gateway: Data<Gateway>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let Known { score, changes, .. } = find_known(&gateway, &caller.merchant()?.id, &id).await?;
    let score_delta = changes.into();
    Ok(HttpResponse::Ok().json(ScoreWithDelta { score, score_delta, bucket: bucket(score) }))
}

#[get("/user.json/{id}/influence")]
pub(super) async fn get_influence(
    caller: ReqData<Arc<Principal>>,
    gateway: Data<Gateway>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    find_known(&gateway, &caller.merchant()?.id, &id).await?;
    let nobody = Influence { influencers: [], influencees: [], influencers_count: 0, influencees_count: 0 };
    Ok(HttpResponse::Ok().json(nobody))
}

#[get("/user.json/{id}/topics")]
pub(super) async fn get_topics(
    caller: ReqData<Arc<Principal>>,
    gateway: Data<Gateway>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    find_known(&gateway, &caller.merchant()?.id, &id).await?;
    Ok(HttpResponse::Ok().json([(); 0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_the_tens_of_a_score() {
        let of = |text: &str| bucket(text.parse().unwrap());
        let buckets = ["0", "9.999", "10", "47.25", "49.999", "50", "89.999", "90", "100"].map(of);
        assert_eq!(buckets, ["0-9", "0-9", "10-19", "40-49", "40-49", "50-59", "80-89", "90-100", "90-100"]);
    }
}
