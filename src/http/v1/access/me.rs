//! `GET /v1/me`: what the caller's own key is.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::role::permit::ReadOwnKey;
use crate::access::{ApiKey, Merchant, Role};
use crate::foundation::ids::{KeyId, MerchantId, MerchantSlug};
use crate::foundation::web_origin::WebOrigin;
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::ProblemsOfKeys;
use crate::web::auth::Authorized;
use crate::web::problem::Problem;
use crate::web::state::State;

/// The key that asks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Me)]
pub struct MeView {
    /// Its id; never the key itself.
    #[schema(value_type = String, example = "key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    id: KeyId,
    #[schema(example = "SFO A12")]
    label: String,
    #[schema(value_type = enumerations::Role)]
    role: Role,
    /// Null for operator keys.
    merchant: Option<OwnMerchantView>,
    /// Where it is used; limits and rules can count by it.
    #[schema(example = "SFO-A")]
    location: Option<String>,
    #[schema(example = "A12")]
    kiosk: Option<String>,
    /// The one audience that a door redeems.
    audience: Option<String>,
    /// The airports at which it is used (IATA codes).
    #[schema(example = json!(["SFO"]))]
    airports: Vec<String>,
    /// The only web origins whose pages may use it; where there are none, the settings' `allowed_origins` count.
    #[schema(value_type = Vec<String>, example = json!(["https://kiosk.example.com"]))]
    origins: Vec<WebOrigin>,
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T09:00:00Z")]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// The rate at which each replica lets it ask; null when that is not bounded.
    rate: Option<RateView>,
}

/// Whose key it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OwnMerchant)]
pub struct OwnMerchantView {
    #[schema(value_type = String, example = "mer_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    id: MerchantId,
    #[schema(value_type = String, example = "cathay")]
    slug: MerchantSlug,
    #[schema(example = "Cathay Pacific")]
    name: String,
}

/// The rate at which a key may ask.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rate)]
pub struct RateView {
    #[schema(example = 500)]
    requests_per_second: u32,
    /// At once, after a while without any.
    #[schema(example = 1000)]
    burst: u32,
}

/// Show your own key
///
/// Which key is asking, in which role and for whom: to see that a device was given the right one.
#[utoipa::path(
    tag = "keys",
    responses((status = 200, description = "The key", body = MeView), ProblemsOfKeys)
)]
#[get("/me")]
pub(crate) async fn get_me(
    caller: Authorized<ReadOwnKey>,
    gateway: Data<Gateway>,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant.as_ref();
    let found = gateway.directory.find_key(merchant.map(|merchant| merchant.id.clone()), caller.key.clone()).await?;
    let ApiKey { id, role, label, location, kiosk, audience, airports, origins, created_at, expires_at, .. } = found;
    let merchant = merchant.map(|Merchant { id, slug, name, .. }| OwnMerchantView {
        id: id.clone(),
        slug: slug.clone(),
        name: name.clone(),
    });
    let rate = state.limits.per_key();
    let rate = rate.map(|(rate, burst)| RateView { requests_per_second: rate.get(), burst: burst.get() });
    Ok(HttpResponse::Ok().json(MeView {
        id,
        label,
        role,
        merchant,
        location,
        kiosk,
        audience,
        airports,
        origins,
        created_at,
        expires_at,
        rate,
    }))
}
