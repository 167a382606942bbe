//! `/v1/merchants`: the operator's tenants.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, patch, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Merchant;
use crate::access::role::permit::ManageMerchants;
use crate::foundation::ids::{MerchantId, MerchantSlug};
use crate::gateway::Gateway;
use crate::http::openapi::problems::{
    ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys, ProblemsOfNames, ProblemsOfQuery, ProblemsOfTaken,
};
use crate::web::auth::Authorized;
use crate::web::extract::{Body, IdempotencyKey, PageLimit, Params, Path};
use crate::web::once::{Created, once};
use crate::web::problem::Problem;

/// A merchant.
#[derive(Debug, Serialize, ToSchema)]
pub struct MerchantView {
    #[schema(value_type = String, example = "mer_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    id: MerchantId,
    #[schema(value_type = String, example = "cathay")]
    slug: MerchantSlug,
    #[schema(example = "Cathay Pacific")]
    name: String,
    /// Whose days and hours its reports count by, unless they are asked for another.
    #[schema(example = "Asia/Hong_Kong")]
    time_zone: String,
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T09:00:00Z")]
    created_at: Timestamp,
}

impl From<Merchant> for MerchantView {
    fn from(merchant: Merchant) -> Self {
        let Merchant { id, slug, name, created_at, time_zone, .. } = merchant;
        Self { id, slug, name, time_zone, created_at }
    }
}

/// The properties of a new merchant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMerchantBody {
    /// 1–63 lower-case letters, digits and hyphens; in URLs and tokens, for good.
    #[schema(value_type = String, example = "cathay")]
    slug: MerchantSlug,
    /// For people, 1–120 characters.
    #[schema(example = "Cathay Pacific")]
    name: String,
    /// A name of the IANA time zone database; UTC unless given. Rules have zones of their own.
    #[schema(example = "Asia/Hong_Kong")]
    time_zone: Option<String>,
}

/// The changes to a merchant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MerchantChangeBody {
    /// A name of the IANA time zone database.
    #[schema(example = "Asia/Hong_Kong")]
    time_zone: String,
}

/// Make a merchant
#[utoipa::path(
    tag = "merchants",
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 printable ASCII characters: a retry gets the first answer")),
    request_body = NewMerchantBody,
    responses(
        (status = 201, description = "Made", body = MerchantView, headers(("Location" = String, description = "Where it is"))),
        ProblemsOfTaken, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys
    )
)]
#[post("/merchants")]
pub(crate) async fn create_merchant(
    caller: Authorized<ManageMerchants>,
    gateway: Data<Gateway>,
    key: IdempotencyKey,
    body: Body<NewMerchantBody>,
) -> Result<HttpResponse, Problem> {
    let request = body.hash();
    let work = async {
        let NewMerchantBody { slug, name, time_zone } = body.into_inner();
        let merchant = gateway.directory.create_merchant(slug, &name, time_zone.as_deref(), caller.actor()).await?;
        Created::new(Some(format!("/v1/merchants/{}", merchant.slug)), &MerchantView::from(merchant))
    };
    once(&gateway, &caller, "merchants", key, request, work).await
}

/// Where a page of merchants begins.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MerchantsQuery {
    /// Entries on the page.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<MerchantId>,
}

/// A page of merchants.
#[derive(Debug, Serialize, ToSchema)]
pub struct MerchantsView {
    merchants: Vec<MerchantView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

/// List merchants
///
/// In the order they were made.
#[utoipa::path(
    tag = "merchants",
    params(MerchantsQuery),
    responses((status = 200, description = "One page", body = MerchantsView), ProblemsOfQuery, ProblemsOfKeys)
)]
#[get("/merchants")]
pub(crate) async fn list_merchants(
    _caller: Authorized<ManageMerchants>,
    gateway: Data<Gateway>,
    query: Params<MerchantsQuery>,
) -> Result<HttpResponse, Problem> {
    let MerchantsQuery { limit, cursor } = query.into_inner();
    let limit = limit.unwrap_or_default();
    let fetched = gateway.directory.list_merchants(cursor, limit.get() + 1).await?;
    let (merchants, next_cursor) = limit.page(fetched, |merchant| merchant.id.to_string());
    let merchants = merchants.into_iter().map(MerchantView::from).collect();
    Ok(HttpResponse::Ok().json(MerchantsView { merchants, next_cursor }))
}

/// Show a merchant
#[utoipa::path(
    tag = "merchants",
    params(("slug" = String, Path, description = "The merchant's short name", example = "cathay")),
    responses((status = 200, description = "The merchant", body = MerchantView), ProblemsOfNames, ProblemsOfKeys)
)]
#[get("/merchants/{slug}")]
pub(crate) async fn get_merchant(
    _caller: Authorized<ManageMerchants>,
    gateway: Data<Gateway>,
    slug: Path<MerchantSlug>,
) -> Result<HttpResponse, Problem> {
    let merchant = gateway.directory.find_merchant(slug.into_inner()).await?;
    Ok(HttpResponse::Ok().json(MerchantView::from(merchant)))
}

/// Change a merchant
///
/// Its time zone: reports count by its days and hours from then on, whenever what they count happened. Rules
/// have zones of their own and stay as they are. An event of the merchant's log tells of it; the zone that it
/// has changes nothing.
#[utoipa::path(
    tag = "merchants",
    params(("slug" = String, Path, description = "The merchant's short name", example = "cathay")),
    request_body = MerchantChangeBody,
    responses(
        (status = 200, description = "The merchant", body = MerchantView),
        ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys
    )
)]
#[patch("/merchants/{slug}")]
pub(crate) async fn update_merchant(
    caller: Authorized<ManageMerchants>,
    gateway: Data<Gateway>,
    slug: Path<MerchantSlug>,
    body: Body<MerchantChangeBody>,
) -> Result<HttpResponse, Problem> {
    let MerchantChangeBody { time_zone } = body.into_inner();
    let merchant = gateway.directory.set_time_zone(slug.into_inner(), &time_zone, caller.actor()).await?;
    Ok(HttpResponse::Ok().json(MerchantView::from(merchant)))
}

#[cfg(test)]
mod tests {
    use crate::access::Role;
    use crate::http::testing::Rig;

    #[actix_web::test]
    async fn an_operator_makes_a_merchant_once() {
        let rig = Rig::start().await;
        let operator = rig.key(Role::Operator).await;
        let body = r#"{"slug":"american","name":" American Airlines "}"#;
        let made = rig.post("/v1/merchants", &operator, body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        assert_eq!(made.header("location"), "/v1/merchants/american");
        let view = made.json();
        assert_eq!((&view["slug"], &view["name"]), (&"american".into(), &"American Airlines".into()));
        assert!(view["id"].as_str().unwrap().starts_with("mer_"));
        assert_eq!(view["created_at"], "1970-01-01T00:00:00Z");
        assert_eq!(rig.get("/v1/merchants/american", &operator).await.json(), view);
        rig.post("/v1/merchants", &operator, body).await.problem(409, "already_exists");

        let listed = rig.get("/v1/merchants?limit=1", &operator).await.json();
        assert_eq!(listed["merchants"].as_array().unwrap().len(), 1);
        let cursor = listed["next_cursor"].as_str().unwrap();
        let rest = rig.get(&format!("/v1/merchants?cursor={cursor}"), &operator).await.json();
        assert_eq!((rest["merchants"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &serde_json::Value::Null));
    }

    #[actix_web::test]
    async fn what_is_not_a_merchant_is_404_and_reserved_names_are_refused() {
        let rig = Rig::start().await;
        let operator = rig.key(Role::Operator).await;
        for slug in ["nobody", "Cathay", "cath%00ay", "%E2%80%AEcathay", "operator"] {
            rig.get(&format!("/v1/merchants/{slug}"), &operator).await.problem(404, "not_found");
        }
        let reserved = rig.post("/v1/merchants", &operator, r#"{"slug":"operator","name":"x"}"#).await;
        assert_eq!(reserved.problem(422, "invalid_request"), [("/slug".to_owned(), "invalid_value".to_owned())]);
    }

    #[actix_web::test]
    async fn only_operators_see_merchants() {
        let rig = Rig::start().await;
        for role in [Role::Admin, Role::Kiosk, Role::Door, Role::Feeder, Role::Auditor] {
            let key = rig.key(role).await;
            rig.get("/v1/merchants", &key).await.problem(403, "forbidden");
            rig.get("/v1/merchants/cathay", &key).await.problem(403, "forbidden");
            rig.post("/v1/merchants", &key, r#"{"slug":"mine","name":"x"}"#).await.problem(403, "forbidden");
        }
    }
}
