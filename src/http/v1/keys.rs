//! `/v1/keys`: who may call, made and revoked by operators and admins.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::role::permit::ManageKeys;
use crate::access::{ApiKey, NewKey, Principal, Role};
use crate::gateway::Gateway;
use crate::http::auth::May;
use crate::http::extract::{Body, PageLimit, Params, Path};
use crate::http::openapi::{ProblemsOfBody, ProblemsOfKeys, ProblemsOfNames, ProblemsOfQuery};
use crate::http::problem::Problem;
use crate::ids::{KeyId, MerchantId, MerchantSlug};

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyView {
    #[schema(value_type = String, example = "key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    id: KeyId,
    #[schema(value_type = String, example = "kiosk")]
    role: Role,
    #[schema(example = "SFO A12")]
    label: String,
    /// Null for operator keys.
    #[schema(value_type = Option<String>, example = "mer_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    merchant: Option<MerchantId>,
    #[schema(example = "SFO-A")]
    location: Option<String>,
    #[schema(example = "A12")]
    kiosk: Option<String>,
    /// The one audience that a door redeems.
    audience: Option<String>,
    /// The key that made it; null for the command line.
    #[schema(value_type = Option<String>)]
    created_by: Option<KeyId>,
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T09:00:00Z")]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        let ApiKey {
            id,
            merchant,
            role,
            label,
            location,
            kiosk,
            audience,
            created_by,
            created_at,
            expires_at,
            revoked_at,
        } = key;
        Self { id, role, label, merchant, location, kiosk, audience, created_by, created_at, expires_at, revoked_at }
    }
}

/// A key with its secret, which is shown this once.
#[derive(Serialize, ToSchema)]
pub struct NewKeyView {
    /// Keep it: only a hash of it is stored.
    #[schema(example = "pgk_5f0c…_1a2b3c4d")]
    key: String,
    #[serde(flatten)]
    rest: KeyView,
}

/// What a key is made of.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKeyBody {
    /// Operators make `operator` and `admin` keys; admins make every other, and `admin`.
    #[schema(value_type = String, example = "kiosk")]
    role: Role,
    /// For people, 1–80 characters.
    #[schema(example = "SFO A12")]
    label: String,
    /// For operators, who make a merchant's admin keys. An admin's own merchant is the default.
    #[schema(value_type = Option<String>, example = "cathay")]
    merchant: Option<MerchantSlug>,
    /// Kiosk and door keys: where it is used; limits and rules can count by it.
    #[schema(example = "SFO-A")]
    location: Option<String>,
    /// Kiosk and door keys: which one.
    #[schema(example = "A12")]
    kiosk: Option<String>,
    /// Door keys: the only audience that it may redeem.
    #[schema(example = "sfo-lounge")]
    audience: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime, example = "2027-11-23T00:00:00Z")]
    expires_at: Option<Timestamp>,
}

/// Make a key
///
/// The answer shows the secret, once. Roles: operator (operator and admin keys), admin (keys of its
/// own merchant).
#[utoipa::path(
    tag = "keys",
    request_body = NewKeyBody,
    extensions(("x-roles" = json!(["operator", "admin"]))),
    responses(
        (status = 201, description = "Made; the secret is in this answer only", body = NewKeyView, headers(("Location" = String, description = "Where it is"))),
        ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys
    )
)]
#[post("/keys")]
pub async fn create_key(
    caller: May<ManageKeys>,
    gateway: Data<Gateway>,
    body: Body<NewKeyBody>,
) -> Result<HttpResponse, Problem> {
    let NewKeyBody { role, label, merchant, location, kiosk, audience, expires_at } = body.into_inner();
    caller.may_manage(role)?;
    let merchant = whose(&caller, &gateway, merchant).await?;
    let new = NewKey { role, merchant, label, location, kiosk, audience, expires_at };
    let (key, secret) = gateway.directory.create_key(new, caller.actor()).await?;
    let location = format!("/v1/keys/{}", key.id);
    let view = NewKeyView { key: secret.expose().to_owned(), rest: key.into() };
    Ok(HttpResponse::Created().insert_header((header::LOCATION, location)).json(view))
}

/// Which keys, and where the page begins.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct KeysQuery {
    /// For operators: a merchant's admin keys instead of the operator's own.
    #[param(value_type = Option<String>, example = "cathay")]
    merchant: Option<MerchantSlug>,
    /// Only keys of this role.
    #[param(value_type = Option<String>, example = "kiosk")]
    role: Option<Role>,
    /// Entries on the page.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<KeyId>,
}

/// A page of keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeysView {
    keys: Vec<KeyView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

/// List keys
///
/// In the order they were made, revoked and expired ones too. Roles: operator (operator keys, and
/// the admin keys of a merchant), admin (keys of its own merchant).
#[utoipa::path(
    tag = "keys",
    params(KeysQuery),
    extensions(("x-roles" = json!(["operator", "admin"]))),
    responses((status = 200, description = "One page", body = KeysView), ProblemsOfNames, ProblemsOfQuery, ProblemsOfKeys)
)]
#[get("/keys")]
pub async fn list_keys(
    caller: May<ManageKeys>,
    gateway: Data<Gateway>,
    query: Params<KeysQuery>,
) -> Result<HttpResponse, Problem> {
    let KeysQuery { merchant, role, limit, cursor } = query.into_inner();
    let merchant = whose(&caller, &gateway, merchant).await?;
    let role = match (role, caller.role, &merchant) {
        (Some(role), _, _) => {
            caller.may_manage(role)?;
            Some(role)
        }
        (None, Role::Operator, Some(_)) => Some(Role::Admin),
        (None, _, _) => None,
    };
    let limit = limit.unwrap_or_default();
    let fetched = gateway.directory.list_keys(merchant, role, cursor, limit.get() + 1).await?;
    let (keys, next_cursor) = limit.page(fetched, |key| key.id.to_string());
    Ok(HttpResponse::Ok().json(KeysView { keys: keys.into_iter().map(KeyView::from).collect(), next_cursor }))
}

/// Whose key a path means.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct KeyQuery {
    /// For operators: the merchant whose admin key it is.
    #[param(value_type = Option<String>, example = "cathay")]
    merchant: Option<MerchantSlug>,
}

/// Show a key
///
/// Without its secret. Roles: operator (operator keys, and a merchant's admin keys), admin (keys of
/// its own merchant).
#[utoipa::path(
    tag = "keys",
    params(("key" = String, Path, description = "The key's id"), KeyQuery),
    extensions(("x-roles" = json!(["operator", "admin"]))),
    responses((status = 200, description = "The key", body = KeyView), ProblemsOfNames, ProblemsOfQuery, ProblemsOfKeys)
)]
#[get("/keys/{key}")]
pub async fn get_key(
    caller: May<ManageKeys>,
    gateway: Data<Gateway>,
    id: Path<KeyId>,
    query: Params<KeyQuery>,
) -> Result<HttpResponse, Problem> {
    let key = find_managed(&caller, &gateway, id.into_inner(), query.into_inner()).await?;
    Ok(HttpResponse::Ok().json(KeyView::from(key)))
}

/// Revoke a key
///
/// It stops working here at once and on every replica within a second. Revoking it again changes
/// nothing. Roles: operator (operator keys, and a merchant's admin keys), admin (keys of its own
/// merchant).
#[utoipa::path(
    tag = "keys",
    params(("key" = String, Path, description = "The key's id"), KeyQuery),
    extensions(("x-roles" = json!(["operator", "admin"]))),
    responses((status = 204, description = "Revoked"), ProblemsOfNames, ProblemsOfQuery, ProblemsOfKeys)
)]
#[delete("/keys/{key}")]
pub async fn revoke_key(
    caller: May<ManageKeys>,
    gateway: Data<Gateway>,
    id: Path<KeyId>,
    query: Params<KeyQuery>,
) -> Result<HttpResponse, Problem> {
    let key = find_managed(&caller, &gateway, id.into_inner(), query.into_inner()).await?;
    gateway.directory.revoke_key(key.merchant, key.id, caller.actor()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The merchant whose keys the caller means: an admin's is its own and a foreign one is not there;
/// an operator names one, or means the operator's own keys.
async fn whose(
    caller: &Principal,
    gateway: &Gateway,
    named: Option<MerchantSlug>,
) -> Result<Option<MerchantId>, Problem> {
    match (&caller.merchant, named) {
        (Some(own), Some(named)) if named != own.slug => Err(Problem::not_found()),
        (Some(own), _) => Ok(Some(own.id.clone())),
        (None, Some(named)) => Ok(Some(gateway.directory.find_merchant(named).await?.id)),
        (None, None) => Ok(None),
    }
}

/// The key, if the caller may manage it; one that it may not manage is not there.
async fn find_managed(caller: &Principal, gateway: &Gateway, id: KeyId, query: KeyQuery) -> Result<ApiKey, Problem> {
    let merchant = whose(caller, gateway, query.merchant).await?;
    let key = gateway.directory.find_key(merchant, id).await?;
    caller.may_manage(key.role).map_err(|_| Problem::not_found())?;
    Ok(key)
}
