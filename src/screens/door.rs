//! The way of every request to the screens: over which connection, from which page, by which device; and the headers of the
//! answer.

use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse};
use askama::Template;

use super::assets;
use super::caller::Stranger;
use crate::access::Refused;
use crate::web::page::arrival::{Arrival, client_of};
use crate::web::page::cookie::TokenCookie;
use crate::web::page::{HTML, write_headers};
use crate::web::problem::{Kind, Problem};

/// The cookie that a screen is known by. Browsers keep none for longer than 400 days; each look at a page renews it.
pub(super) const DEVICE: TokenCookie = TokenCookie {
    secure: "__Host-device",
    loopback: "perkgate-device",
    attributes: "; SameSite=Strict; Max-Age=34560000",
};

/// The devices that these pages use: a camera that reads codes.
const PERMISSIONS: &str = "camera=(self), geolocation=(), microphone=(), payment=(), usb=()";

/// A refusal where someone asked for a page.
#[derive(Template)]
#[template(path = "refusal.html", config = "src/screens/askama.toml")]
struct RefusalPage {
    styles: &'static str,
    icon: &'static str,
    title: &'static str,
    detail: String,
}

/// The middleware of the screens. It stands before routing, so that no call can forget to ask from which page it comes.
///
/// # Errors
/// The errors of the rest; its own refusals are answers.
pub(super) async fn attend_screen(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = match admit(&req).await {
        Ok(()) => next.call(req).await?.map_into_boxed_body(),
        Err(problem) => req.error_response(problem),
    };
    let mut response = show_refusal(response);
    write_headers(response.headers_mut(), PERMISSIONS);
    Ok(response)
}

async fn admit(req: &ServiceRequest) -> Result<(), Problem> {
    let Arrival { gateway, state, transport } = Arrival::of(req)?;
    if req.path().starts_with(assets::AT) {
        return Ok(());
    }
    let Some(secret) = DEVICE.read(req.headers(), transport) else { return Ok(()) };
    let now = gateway.clock.now();
    let screen = match gateway.directory.recognize_device(&secret, now) {
        // It asks until it is confirmed: that is no failure.
        Err(Refused::Unknown) if req.path().starts_with("/pair") => {
            state.limits.take_link(client_of(req.request(), gateway))?;
            Err(Refused::Unknown)
        }
        Err(Refused::Unknown) => {
            // Charged before the database is asked, as a wrong key is.
            state.limits.take_failure(client_of(req.request(), gateway))?;
            gateway.directory.authenticate_device(&secret, now).await
        }
        known => known,
    };
    match screen {
        Ok(screen) => {
            state.limits.take(&screen.principal.key)?;
            tracing::Span::current().record("principal", screen.principal.key.as_str());
            req.extensions_mut().insert(Arc::new(screen));
        }
        Err(Refused::Unchecked) => return Err(Refused::Unchecked.into()),
        Err(_) => _ = req.extensions_mut().insert(Stranger(secret)),
    }
    Ok(())
}

/// Gives a refusal a page where a browser asked for one; scripts read the problem itself.
fn show_refusal(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let begins = |value: Option<&HeaderValue>| value.is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    let wants_page = begins(response.request().headers().get(header::ACCEPT));
    let is_page = begins(response.headers().get(header::CONTENT_TYPE));
    if !wants_page || is_page || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let problem = response.response().error().and_then(Error::as_error::<Problem>);
    let kind = problem.map_or_else(|| Kind::of_status(status), |problem| problem.kind);
    let detail = problem.map_or_else(String::new, |problem| problem.detail.to_string());
    let page = RefusalPage { styles: assets::styles(), icon: assets::icon(), title: kind.title(), detail };
    let Ok(text) = page.render() else { return response };
    let (request, response) = response.into_parts();
    let mut response = response.set_body(BoxBody::new(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(HTML));
    ServiceResponse::new(request, response)
}

/// The answer for an address that is no page.
pub(super) async fn get_nothing() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found())
}
