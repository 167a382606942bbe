//! The way of every request to the console: over which connection, from which page, by whose session; and the form of
//! the answer: headers that keep other pages out, and refusals as pages.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, ResponseError as _};

use super::addresses::{log_in_address, own_address};
use super::caller::{Visit, log_in_first, session_of};
use super::cookie::SESSION;
use super::kept::Stale;
use super::{kept, refusals, waiting};
use crate::gateway::Gateway;
use crate::web::deadline::Deadline;
use crate::web::page::arrival::Arrival;
pub(super) use crate::web::page::arrival::{client_of, transport_of};
use crate::web::page::{HTML, write_headers};
pub(super) use crate::web::page::{page, page_of, see_other};
use crate::web::problem::{Kind, Problem};
use crate::web::state::State;

/// The stream of a page that is left open: it comes back by itself.
const STREAM: &str = "/console/today/events";

/// The ends of addresses whose answers are parts of a page, without the band.
const PARTS: [&str; 2] = ["/rule/check", "/picture.json"];

/// The devices that pages of the console use: none.
const PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";

/// The middleware of the console. It stands before routing, so a page that forgets to ask for a caller still can't be sent
/// a form from elsewhere.
///
/// # Errors
/// The errors of the rest; its own refusals are answers.
pub(super) async fn attend_page(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // Looking for the session may hang too.
    answer_late(req.request());
    let admitted = match admit(&req).await {
        Ok(()) => keep_late_form(&mut req).await,
        Err(problem) => {
            if matches!(problem.kind, Kind::Unavailable | Kind::RateLimited) && *req.method() == Method::POST {
                keep(&mut req).await.ok();
            }
            Err(problem)
        }
    };
    answer_late(req.request());
    let response = match admitted {
        Ok(()) => next.call(req).await?.map_into_boxed_body(),
        Err(problem) => req.error_response(problem),
    };
    let mut response = show_refusal(response);
    write_headers(response.headers_mut(), PERMISSIONS);
    Ok(response)
}

/// Says how a request that takes too long is answered: with a page, and without the request itself.
fn answer_late(req: &HttpRequest) {
    let reader = refusals::Reader::of(req);
    Deadline::answer_with(req, move |problem| {
        let status = problem.kind.status();
        let page = reader.page(problem, status, None);
        let mut response = problem.error_response().set_body(BoxBody::new(page));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(HTML));
        write_headers(response.headers_mut(), PERMISSIONS);
        response
    });
}

async fn admit(req: &ServiceRequest) -> Result<(), Problem> {
    let Arrival { gateway, state, transport } = Arrival::of(req)?;
    if req.path().starts_with(super::assets::AT) {
        return Ok(());
    }
    let Some(token) = SESSION.read(req.headers(), transport) else { return Ok(()) };
    let is_left_open = req.path() == STREAM;
    let session = if is_left_open {
        gateway.directory.session_of_open_page(&token).await?
    } else {
        gateway.directory.session(&token).await?
    };
    if let Some(session) = session {
        state.limits.take(&session.principal.key)?;
        tracing::Span::current().record("principal", session.principal.key.as_str());
        let has_band = !is_left_open && !PARTS.iter().any(|part| req.path().ends_with(part));
        let waiting = if has_band { waiting::count(gateway, &session.principal).await? } else { None };
        req.extensions_mut().insert(session.principal.clone());
        req.extensions_mut().insert(std::sync::Arc::new(Visit::new(session, waiting)));
    }
    Ok(())
}

/// Keeps the form of someone whose session has ended, so that the refusal can show it again once they have logged in.
async fn keep_late_form(req: &mut ServiceRequest) -> Result<(), Problem> {
    let (gateway, state) = (req.app_data::<Data<Gateway>>().cloned(), req.app_data::<Data<State>>().cloned());
    let (Some(gateway), Some(state), None) = (gateway, state, session_of(req.request())) else { return Ok(()) };
    if *req.method() != Method::POST || own_address(req.path()).is_none() {
        return Ok(());
    }
    state.limits.take_unnamed(client_of(req.request(), &gateway))?;
    keep(req).await
}

/// Keeps the form of a request, so that its refusal can show it again.
async fn keep(req: &mut ServiceRequest) -> Result<(), Problem> {
    if let Some(kept) = kept::read(req).await? {
        req.extensions_mut().insert(kept);
    }
    Ok(())
}

/// Gives a refusal its page. Its error remains with it, for the log.
fn show_refusal(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let is_page =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if !(status.is_client_error() || status.is_server_error()) || is_page {
        return response;
    }
    let (request, response) = response.into_parts();
    if status == StatusCode::UNAUTHORIZED && matches!(*request.method(), Method::GET | Method::HEAD) {
        let wanted = request.uri().path_and_query().map_or("/console", |it| it.as_str()).to_owned();
        let answer = see_other(&log_in_address(&wanted));
        return ServiceResponse::new(request, answer);
    }
    if let Some(answer) = show_again(&request, status) {
        return ServiceResponse::new(request, answer);
    }
    let page = refusals::page(&request, status, response.error());
    let mut response = response.set_body(BoxBody::new(page));
    response.headers_mut().remove(header::WWW_AUTHENTICATE);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(HTML));
    ServiceResponse::new(request, response)
}

/// The page of a form whose token was another session's.
fn show_again(request: &HttpRequest, status: StatusCode) -> Option<HttpResponse> {
    let (session, gateway) = (session_of(request)?, request.app_data::<Data<Gateway>>()?);
    let Stale(kept) = request.extensions_mut().remove::<Stale>()?;
    page_of(status, &kept.page(&session, gateway.clock.now())).ok()
}

/// The answer for an address that is no page: for strangers the same as for every page.
pub(super) async fn get_nothing(req: HttpRequest) -> Result<HttpResponse, Problem> {
    session_of(&req).ok_or_else(log_in_first)?;
    Err(Problem::not_found())
}
