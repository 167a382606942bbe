//! The door as a whole: what its workers share, and the actix application.

use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderValue;
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, Error, HttpRequest, HttpResponse, web};
use utoipa_actix_web::AppExt;

use super::allowed_methods::{AllowedMethods, refuse};
use super::connections::track;
use super::docs::Docs;
use super::dry_runs::DryRuns;
use super::fixed_document::FixedDocument;
use super::known_parameters::KnownParameters;
use super::openapi;
use super::problem::{Kind, Problem};
use super::rate_limit::RateLimits;
use super::request::attend;
use super::routes::{routes, undocumented};
use crate::gateway::Gateway;
use crate::perks::schema;
use crate::settings::Rates;

/// What all workers of the door share.
pub struct Door {
    pub limits: RateLimits,
    pub(super) dry_runs: DryRuns,
    draining: AtomicBool,
    /// `/openapi.json`.
    pub(super) document: FixedDocument,
    pub(super) docs: Docs,
    /// `/schemas/perk.json`.
    pub(super) perk_schema: FixedDocument,
    /// The query parameters of every operation.
    pub(super) parameters: KnownParameters,
    /// The methods of every documented path.
    pub(super) methods: AllowedMethods,
}

impl Door {
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        let document = openapi::document();
        Self {
            limits: RateLimits::new(rates),
            dry_runs: DryRuns::default(),
            draining: AtomicBool::new(false),
            parameters: KnownParameters::of(&document),
            methods: AllowedMethods::of(&document),
            document: FixedDocument::new(openapi::json(&document), "application/json"),
            docs: Docs::new(),
            perk_schema: FixedDocument::new(schema::text(), "application/schema+json").for_any_origin(),
        }
    }

    /// No new traffic, please: the process is about to stop. `/readyz` says so, and connections
    /// close after their answer.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// The application that every worker runs.
pub fn app(
    gateway: Data<Gateway>,
    door: Data<Door>,
) -> App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>,
> {
    App::new()
        .app_data(gateway)
        .app_data(door)
        .into_utoipa_app()
        .configure(routes)
        .into_app()
        .configure(undocumented)
        .default_service(web::to(refuse_unrouted))
        .wrap(from_fn(attend))
        .wrap(from_fn(track))
}

/// What no route takes: a path that is known with another method is 405, anything else 404.
async fn refuse_unrouted(req: HttpRequest, door: Data<Door>) -> Result<HttpResponse, Problem> {
    if req.match_pattern().is_none() {
        return Err(Problem::new(Kind::NotFound, "There is nothing at this address."));
    }
    let documented = door.methods.refuse(req.method(), req.match_info().as_str());
    Err(documented.unwrap_or_else(|| refuse(req.method(), HeaderValue::from_static("GET, HEAD"))))
}
