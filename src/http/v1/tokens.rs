//! `/v1/tokens`: doors spend what checks granted, ask whether it still opens them, and admins take it back.

use std::time::Instant;

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::checks::PATIENCE;
use super::checks::explanation::CorrectedPartyView;
use crate::access::role::permit::{Introspect, Redeem, RevokeTokens};
use crate::eligibility::redeemer::Active;
use crate::eligibility::shown::explanation::CorrectedPartyShown;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{self, GrantId, MerchantSlug, PerkSlug};
use crate::gateway::Gateway;
use crate::http::openapi::problems::{ProblemsOfBody, ProblemsOfForms, ProblemsOfKeys, ProblemsOfTokens};
use crate::keyring::TYPE;
use crate::web::auth::Authorized;
use crate::web::extract::Pieces;
use crate::web::form::Form;
use crate::web::problem::Problem;

const MAX_DOOR: usize = 80;
const MAX_ATTEMPT: usize = 128;

/// A door's wish to let someone in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RedeemBody {
    #[schema(example = "eyJhbGciOiJFZERTQSIs…")]
    token: String,
    /// Which door, 1–80 characters.
    #[schema(example = "SFO-A-3")]
    door: String,
    /// Any string that is unique to this try to open it, 1–128 characters: a retry with the same
    /// one gets the same answer, until the grant is released or taken back.
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
    /// The number of people that it was granted to, the person included.
    #[schema(example = 3)]
    party: u64,
    /// Those who come, once the grant was corrected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CorrectedPartyView>)]
    corrected: Option<CorrectedPartyShown>,
    #[schema(value_type = String, format = DateTime)]
    redeemed_at: Timestamp,
}

/// Redeem a token
///
/// Spends it: a single-use token opens one door once. The same key repeating the same door and
/// attempt gets the same answer, even after the token has expired, until the grant is released or taken
/// back (422); anybody else gets 409.
#[utoipa::path(
    tag = "tokens",
    request_body = RedeemBody,
    responses(
        (status = 200, description = "Open the door", body = RedemptionView),
        ProblemsOfTokens, ProblemsOfBody, ProblemsOfKeys
    )
)]
#[post("/tokens/redeem")]
pub(crate) async fn redeem_token(
    caller: Authorized<Redeem>,
    gateway: Data<Gateway>,
    Pieces(body): Pieces<RedeemBody>,
) -> Result<HttpResponse, Problem> {
    let deadline = Instant::now() + PATIENCE;
    let RedeemBody { token, door, attempt } = body.into_inner();
    let mut errors = Vec::new();
    let mut text = |pointer: &'static str, text: &str, max| {
        ids::label(text, max)
            .map_err(|error| errors.push(FieldError::at(pointer, "invalid_value", error.to_string())))
            .unwrap_or_default()
    };
    let (door, attempt) = (text("/door", &door, MAX_DOOR), text("/attempt", &attempt, MAX_ATTEMPT));
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    let spent = gateway.redeemer.redeem(&caller, caller.merchant()?, &token, door, attempt, deadline).await?;
    Ok(HttpResponse::Ok().json(RedemptionView {
        grant: spent.redemption.grant,
        perk: spent.perk,
        tier: spent.tier,
        party: spent.party,
        corrected: spent.redemption.corrected.map(Into::into),
        redeemed_at: spent.redemption.redeemed_at,
    }))
}

/// A token that is asked about, or taken back. Other parameters are passed over.
#[derive(Deserialize, ToSchema)]
pub struct TokenForm {
    #[schema(example = "eyJhbGciOiJFZERTQSIs…")]
    token: String,
    /// The kind of token. There is one kind, so it is not looked at.
    #[schema(example = "eligibility+jwt")]
    #[expect(dead_code, reason = "clients of the standards send it")]
    token_type_hint: Option<String>,
}

/// The answer to whether a token still opens a door.
#[derive(Serialize, ToSchema)]
#[schema(as = Introspection)]
#[serde(untagged)]
pub enum IntrospectionView {
    Active(Box<ActiveTokenView>),
    Inactive(InactiveTokenView),
}

/// A token that opens a door now, with its claims and how often it was spent.
#[derive(Serialize, ToSchema)]
#[schema(as = ActiveToken)]
pub struct ActiveTokenView {
    /// Always true.
    active: bool,
    #[schema(example = "eligibility+jwt")]
    token_type: &'static str,
    /// The gateway.
    #[schema(example = "https://gate.example")]
    iss: String,
    /// The merchant and the door's audience.
    #[schema(example = "cathay/sfo-lounge")]
    aud: String,
    /// The person, as this merchant alone knows them.
    #[schema(example = "sub_07070707070707070707070707070707")]
    sub: String,
    /// The grant.
    #[schema(value_type = String, example = "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    jti: GrantId,
    /// Seconds since the Unix epoch, as all times of a token.
    iat: i64,
    nbf: i64,
    exp: i64,
    #[schema(value_type = String, example = "cathay")]
    merchant: MerchantSlug,
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    #[schema(example = "standard")]
    tier: String,
    /// The version of the rule that granted it.
    rule: i32,
    /// The beginning of what that version's rule hashes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "042a2fa690be5b43")]
    rule_hash: Option<String>,
    /// The number of people, the person included; absent for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    party: Option<i32>,
    /// Those who come, once the grant was corrected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CorrectedPartyView>)]
    corrected: Option<CorrectedPartyShown>,
    /// Where it was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    loc: Option<String>,
    /// True if it opens one door once.
    single_use: bool,
    /// The number of times it was spent: more than 0 only if it is not for single use.
    redemptions: u64,
}

/// Any other token. It is not said what is wrong with it, nor whether it is one.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InactiveToken)]
pub struct InactiveTokenView {
    /// Always false.
    #[schema(example = false)]
    active: bool,
}

impl From<Option<Active>> for IntrospectionView {
    fn from(found: Option<Active>) -> Self {
        let Some(Active { claims, state }) = found else {
            return Self::Inactive(InactiveTokenView { active: false });
        };
        Self::Active(Box::new(ActiveTokenView {
            active: true,
            token_type: TYPE,
            iss: claims.iss,
            aud: claims.aud,
            sub: claims.sub.as_str().to_owned(),
            jti: claims.jti,
            iat: claims.iat,
            nbf: claims.nbf,
            exp: claims.exp,
            merchant: claims.merchant,
            perk: claims.perk,
            tier: claims.tier,
            rule: claims.rule,
            rule_hash: claims.rule_hash,
            party: claims.party,
            corrected: state.corrected.map(Into::into),
            loc: claims.loc,
            single_use: state.single_use,
            redemptions: state.redemptions,
        }))
    }
}

/// Introspect a token
///
/// Tells whether it would open a door now (RFC 7662), without spending it: its claims if it would, and
/// `{"active":false}` for any other, be it forged, another merchant's, expired, released, taken back, or
/// for single use and spent. The body is a form.
#[utoipa::path(
    tag = "tokens",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Whether it is active", body = IntrospectionView),
        ProblemsOfForms, ProblemsOfKeys
    )
)]
#[post("/tokens/introspect")]
pub(crate) async fn introspect_token(
    caller: Authorized<Introspect>,
    gateway: Data<Gateway>,
    form: Form<TokenForm>,
) -> Result<HttpResponse, Problem> {
    let token = form.into_inner().token;
    let found = gateway.redeemer.introspect(&caller, caller.merchant()?, &token).await?;
    Ok(HttpResponse::Ok().json(IntrospectionView::from(found)))
}

/// Revoke a token
///
/// Takes back what it was granted (RFC 7009): it opens no door any more and is never sent again, and what
/// it used of limits is given back unless a door has taken it. The event is a `grant.voided` that says
/// `revoked`. The answer is 200 for every token, also for one that is unknown, another merchant's or
/// over, with which nothing is done. A door that verifies offline doesn't see it. The body is a form.
#[utoipa::path(
    tag = "tokens",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "It opens no door"), ProblemsOfForms, ProblemsOfKeys)
)]
#[post("/tokens/revoke")]
pub(crate) async fn revoke_token(
    caller: Authorized<RevokeTokens>,
    gateway: Data<Gateway>,
    form: Form<TokenForm>,
) -> Result<HttpResponse, Problem> {
    gateway.redeemer.revoke(&caller, caller.merchant()?, &form.into_inner().token).await?;
    Ok(HttpResponse::Ok().finish())
}
