//! Every route on one page.

use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpResponse, get, web};
use utoipa_actix_web::scope;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::auth::require_key;
use super::door::Door;
use super::health::{get_livez, get_readyz};
use super::problem::{Kind, Problem};
use super::schemas::get_perk_schema;
use super::v1::{checks, diff, grants, keys, merchants, perks, scores, sources, tokens};
use super::well_known::{get_jwks, get_log_keys};

/// What the OpenAPI document describes.
pub fn routes(config: &mut utoipa_actix_web::service_config::ServiceConfig<'_>) {
    config
        .service(get_livez)
        .service(get_readyz)
        .service(get_jwks)
        .service(get_log_keys)
        .service(get_perk_schema)
        .service(
            // Everything under /v1 needs a key.
            scope("/v1")
                .wrap(from_fn(require_key))
                .service(checks::create_check)
                .route("/checks/batch", web::post().to(not_available_yet))
                .service(checks::get_check)
                .service(grants::get_grant)
                .route("/grants/{grant}/release", web::post().to(not_available_yet))
                .route("/grants/{grant}/void", web::post().to(not_available_yet))
                .service(tokens::redeem_token)
                .service(perks::create_perk)
                .service(perks::list_perks)
                .service(perks::get_perk)
                .service(perks::create_version)
                .service(perks::list_versions)
                .service(perks::get_version)
                .service(perks::publish_version)
                .service(diff::get_diff)
                .service(scores::put_score)
                .service(scores::get_score)
                .service(scores::delete_score)
                .service(scores::import_scores)
                .service(sources::create_source)
                .service(sources::list_sources)
                .service(merchants::create_merchant)
                .service(merchants::list_merchants)
                .service(merchants::get_merchant)
                .service(keys::create_key)
                .service(keys::list_keys)
                .service(keys::get_key)
                .service(keys::revoke_key),
        );
}

/// What the API has a place for and this version doesn't do.
async fn not_available_yet() -> Result<HttpResponse, Problem> {
    Err(Problem::new(Kind::NotAvailableYet, "This version can't do this yet; nothing was done."))
}

/// The document itself and the page that shows it.
pub fn undocumented(config: &mut ServiceConfig) {
    config
        .service(get_openapi)
        .service(web::redirect("/docs", "/docs/"))
        .service(SwaggerUi::new("/docs/{_:.*}").config(Config::from("/openapi.json").validator_url("none")));
}

#[get("/openapi.json")]
async fn get_openapi(door: Data<Door>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .body(door.document.clone())
}
