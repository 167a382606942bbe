//! The actix application: every route and what goes round it.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderValue;
use actix_web::middleware::from_fn;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, Error, HttpRequest, HttpResponse, web};
use utoipa_actix_web::AppExt;

use super::documents::Documents;
use super::klout;
use super::middleware::allowed_methods::{AllowedMethods, refuse};
use super::routes::{routes, undocumented};
use crate::gateway::Gateway;
use crate::web::connections::track;
use crate::web::problem::{Kind, Problem};
use crate::web::request::attend;
use crate::web::state::State;

/// The application that every worker runs; `beside` adds what another door answers on the same port.
pub fn app(
    gateway: Data<Gateway>,
    state: Data<State>,
    documents: &Documents,
    beside: fn(&mut ServiceConfig),
) -> App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>
    + use<>,
> {
    App::new()
        .app_data(gateway)
        .app_data(state)
        .configure(|config| documents.configure(config))
        .into_utoipa_app()
        .configure(routes)
        .into_app()
        .configure(undocumented)
        .configure(klout::mount)
        .configure(beside)
        .default_service(web::to(refuse_unrouted))
        .wrap(from_fn(attend))
        .wrap(from_fn(track))
}

/// Refuses what no route takes: a path that is known with another method is 405, anything else 404.
async fn refuse_unrouted(req: HttpRequest, methods: Data<AllowedMethods>) -> Result<HttpResponse, Problem> {
    if req.match_pattern().is_none() {
        return Err(Problem::new(Kind::NotFound, "There is nothing at this address."));
    }
    let documented = methods.refuse(req.method(), req.match_info().as_str());
    Err(documented.unwrap_or_else(|| refuse(req.method(), HeaderValue::from_static("GET, HEAD"))))
}
