//! `POST /v1/tokens/redeem/late`: a door reports what it took while it was offline.

use std::num::NonZeroU32;
use std::time::Instant;

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::access::role::permit::Redeem;
use crate::eligibility::late_reports::{LateFault, LateItem, MOST};
use crate::eligibility::shown::late::LateShown;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{GrantId, PerkSlug};
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{ProblemsOfBody, ProblemsOfKeys};
use crate::http::v1::checks::PATIENCE;
use crate::web::auth::Authorized;
use crate::web::extract::{Pieces, parse};
use crate::web::problem::Problem;
use crate::web::state::State;

/// The largest body: a hundred tokens with what belongs to each are more than most bodies may have.
const MAX_BYTES: usize = 256 * 1024;

/// The tokens that a door took while it could not ask.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LateReportBody {
    /// 1 to 100 of them. Each is read by itself: one that can't be read doesn't keep the others back.
    #[schema(value_type = Vec<LateItemBody>, min_items = 1, max_items = 100)]
    items: Vec<Box<RawValue>>,
}

/// One of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LateItem)]
pub struct LateItemBody {
    #[schema(example = "eyJhbGciOiJFZERTQSIs…")]
    token: String,
    /// Which door, 1–80 characters.
    #[schema(example = "SFO-A-3", min_length = 1, max_length = 80)]
    door: String,
    /// As when a token is redeemed at once: the same one gets the same answer.
    #[schema(example = "7c9e6679-7425-40de-944b-e07fc1f90ae7", min_length = 1, max_length = 128)]
    attempt: String,
    /// When the door took it, by the door's clock: at most 72 hours ago, and while the token was good.
    #[schema(value_type = String, format = DateTime)]
    at: String,
}

/// An outcome for each item, in their order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LateReport)]
pub struct LateReportView {
    #[schema(value_type = Vec<LateResultView>)]
    results: Vec<LateShown>,
}

/// The outcome of an item; `outcome` says which it is.
#[derive(ToSchema)]
#[schema(as = LateResult)]
#[serde(untagged)]
pub enum LateResultView {
    Recorded(LateRedemptionView),
    Duplicate(LateDuplicateView),
    Refused(LateRefusalView),
}

/// It is recorded, by this report or by an earlier one.
#[derive(Serialize, ToSchema)]
#[schema(as = LateRedemption)]
pub struct LateRedemptionView {
    /// Always `recorded`.
    #[schema(value_type = enumerations::LateRecorded)]
    outcome: &'static str,
    #[schema(value_type = String, example = "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    grant: GrantId,
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    #[schema(example = "standard")]
    tier: String,
    /// When the door says it was.
    #[schema(value_type = String, format = DateTime)]
    redeemed_at: Timestamp,
    /// When it was first reported; null where the same attempt had been redeemed at once.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    heard_at: Option<Timestamp>,
    /// The end of the grant by then: `voided`, `released`, `key_revoked` (the key of its token was withdrawn) or
    /// `expired`. Absent where it had not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<enumerations::EndedMeanwhile>)]
    meanwhile: Option<String>,
}

/// Another door or attempt was first: two people may have come in by one token.
#[derive(Serialize, ToSchema)]
#[schema(as = LateDuplicate)]
pub struct LateDuplicateView {
    /// Always `duplicate`.
    #[schema(value_type = enumerations::LateDuplicated)]
    outcome: &'static str,
    #[schema(value_type = String, example = "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    grant: GrantId,
    /// The door that was first.
    #[schema(example = "SFO-A-3")]
    door: String,
    /// When that was.
    #[schema(value_type = String, format = DateTime)]
    redeemed_at: Timestamp,
}

/// It is not recorded.
#[derive(Serialize, ToSchema)]
#[schema(as = LateRefusal)]
pub struct LateRefusalView {
    /// Always `refused`.
    #[schema(value_type = enumerations::LateRefused)]
    outcome: &'static str,
    /// As when a token is redeemed at once, or `invalid_item`, `in_the_future`, `too_old`.
    #[schema(example = "too_old")]
    code: &'static str,
    detail: String,
}

/// Report redemptions afterwards
///
/// For a door that was offline: up to 100 tokens that it took on its own, each recorded by itself with the instant that
/// the door gives and the one at which it was heard of. What a grant came to meanwhile keeps nothing from being recorded: the
/// answer, the event and the billing report say so. A token for single use that was taken before is answered with the
/// door and the instant of that. Reporting an item again gets the same answer. Each item counts against the key's rate.
#[utoipa::path(
    tag = "tokens",
    request_body = LateReportBody,
    responses(
        (status = 200, description = "An outcome for each, in their order", body = LateReportView),
        ProblemsOfBody, ProblemsOfKeys
    )
)]
#[post("/tokens/redeem/late")]
pub(crate) async fn redeem_tokens_late(
    caller: Authorized<Redeem>,
    gateway: Data<Gateway>,
    state: Data<State>,
    Pieces(body): Pieces<LateReportBody, MAX_BYTES>,
) -> Result<HttpResponse, Problem> {
    let deadline = Instant::now() + PATIENCE;
    let items = body.into_inner().items;
    if items.is_empty() || items.len() > MOST {
        let detail = format!("report 1 to {MOST} items at once");
        return Err(Problem::invalid(vec![FieldError::at("/items", "out_of_range", detail)]));
    }
    // The request itself was counted as one.
    if let Some(more) = u32::try_from(items.len() - 1).ok().and_then(NonZeroU32::new) {
        state.limits.take_more(&caller.key, more, "/items")?;
    }
    let read = |item: Box<RawValue>| {
        let LateItemBody { token, door, attempt, at } = parse(item.get().as_bytes()).map_err(|problem| {
            if problem.errors.is_empty() {
                LateFault::Item(problem.detail.into_owned())
            } else {
                LateFault::of_item(&problem.errors)
            }
        })?;
        LateItem::read(token, &door, &attempt, &at).map_err(|errors| LateFault::of_item(&errors))
    };
    let items = items.into_iter().map(read).collect();
    let outcomes = gateway.redeemer.redeem_late(Some(&caller), caller.merchant()?, items, deadline).await?;
    Ok(HttpResponse::Ok().json(LateReportView { results: outcomes.into_iter().map(LateShown::from).collect() }))
}
