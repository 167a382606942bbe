//! `/v1/tokens`: doors spend what checks granted.

use std::time::Instant;

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::checks::PATIENCE;
use crate::access::role::permit::Redeem;
use crate::gateway::Gateway;
use crate::http::auth::May;
use crate::http::extract::Body;
use crate::http::openapi::{ProblemsOfBody, ProblemsOfKeys, ProblemsOfTokens};
use crate::http::problem::{Problem, Spot};
use crate::ids::{self, GrantId, PerkSlug};

const MAX_DOOR: usize = 80;
const MAX_ATTEMPT: usize = 128;

/// A door's wish to let somebody in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RedeemBody {
    #[schema(example = "eyJhbGciOiJFZERTQSIs…")]
    token: String,
    /// Which door, 1–80 characters.
    #[schema(example = "SFO-A-3")]
    door: String,
    /// Any string that is unique to this try to open it, 1–128 characters: a retry with the same
    /// one gets the same answer.
    #[schema(example = "7c9e6679-7425-40de-944b-e07fc1f90ae7")]
    attempt: String,
}

/// A token that was spent.
#[derive(Debug, Serialize, ToSchema)]
pub struct RedemptionView {
    #[schema(value_type = String, example = "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    grant: GrantId,
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    #[schema(example = "standard")]
    tier: String,
    #[schema(value_type = String, format = DateTime)]
    redeemed_at: Timestamp,
}

/// Redeem a token
///
/// Spends it: a single-use token opens one door once. The same key repeating the same door and
/// attempt gets the same answer, even after the token has expired; anybody else gets 409. Roles:
/// admin, kiosk, door (its own audience only).
#[utoipa::path(
    tag = "tokens",
    request_body = RedeemBody,
    extensions(("x-roles" = json!(["admin", "kiosk", "door"]))),
    responses(
        (status = 200, description = "Open the door", body = RedemptionView),
        ProblemsOfTokens, ProblemsOfBody, ProblemsOfKeys
    )
)]
#[post("/tokens/redeem")]
pub async fn redeem_token(
    caller: May<Redeem>,
    gateway: Data<Gateway>,
    body: Body<RedeemBody>,
) -> Result<HttpResponse, Problem> {
    let deadline = Instant::now() + PATIENCE;
    let RedeemBody { token, door, attempt } = body.into_inner();
    let mut spots = Vec::new();
    let mut text = |pointer: &'static str, text: &str, max| {
        ids::label(text, max)
            .map_err(|error| spots.push(Spot::at(pointer, "invalid_value", error.to_string())))
            .unwrap_or_default()
    };
    let (door, attempt) = (text("/door", &door, MAX_DOOR), text("/attempt", &attempt, MAX_ATTEMPT));
    if !spots.is_empty() {
        return Err(Problem::invalid(spots));
    }
    let spent = gateway.redeemer.redeem(&caller, caller.merchant()?, &token, door, attempt, deadline).await?;
    Ok(HttpResponse::Ok().json(RedemptionView {
        grant: spent.redemption.grant,
        perk: spent.perk,
        tier: spent.tier,
        redeemed_at: spent.redemption.redeemed_at,
    }))
}
