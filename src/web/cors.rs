//! Pages that call from a browser (CORS, as the Fetch standard has it): which origins may, and how a browser learns it.
//!
//! A browser asks before it sends a request with a key (the preflight), and that question bears no key. So it is
//! answered for every origin that the settings or any working key name; once the key is known, the origin must be one
//! of the key's own, or of the settings' where the key names none. Cookies and other credentials of the browser's
//! are never asked for: the key is sent by the page.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};

use super::problem::{Kind, Problem};
use crate::access::Principal;
use crate::gateway::Gateway;

/// The longest time a browser may go by the answer to its question.
const MAX_AGE_SECONDS: &str = "600";
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// The headers that a page may send.
const SENT: &str = "Authorization, Content-Type, Content-Encoding, Idempotency-Key, If-Match, If-None-Match, Perkgate-Clerk, \
                    X-Request-Id, traceparent, tracestate";
/// The headers of an answer that a page may read, beside those that every page may.
const EXPOSED: &str = "ETag, Location, Retry-After, WWW-Authenticate, X-Request-Id, RateLimit, RateLimit-Policy";

/// The statement of an answer about the page that asked.
pub(crate) struct CrossOrigin {
    /// It is an answer of the API: another origin may be answered otherwise.
    varies: bool,
    /// The origin, if its pages may read the answer.
    allowed: Option<HeaderValue>,
}

impl CrossOrigin {
    /// Reads it from a request, before that is answered.
    pub(crate) fn of(req: &ServiceRequest) -> Self {
        let varies = req.match_info().as_str().starts_with("/v1/");
        let gateway = req.app_data::<Data<Gateway>>();
        let allowed = gateway.filter(|_| varies).and_then(|gateway| {
            let (value, origin) = origin_of(req.headers())?;
            is_known(gateway, origin).then(|| value.clone())
        });
        Self { varies, allowed }
    }

    /// Says it in an answer, unless that is for every page. Where it is withheld no page may read the answer.
    pub(crate) fn write(&self, headers: &mut HeaderMap, is_withheld: bool) {
        if !self.varies {
            return;
        }
        let names = headers.get(header::VARY).and_then(|names| names.to_str().ok()).unwrap_or_default().to_owned();
        if !names.split(',').any(|name| name.trim().eq_ignore_ascii_case("origin")) {
            let more = if names.is_empty() { "Origin".to_owned() } else { format!("{names}, Origin") };
            let both = HeaderValue::from_str(&more).unwrap_or(HeaderValue::from_static("Origin"));
            headers.insert(header::VARY, both);
        }
        if let Some(origin) = self.allowed.as_ref().filter(|_| !is_withheld) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }
}

/// Answers a browser's question before it sends a request, without a key: that is what it asks for.
///
/// # Errors
/// The errors of the rest; its own refusals are answers.
pub(crate) async fn answer_preflight(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let headers = req.headers();
    let asks = req.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let origin = origin_of(headers).filter(|_| asks).map(|(_, origin)| origin);
    let (Some(origin), Some(gateway)) = (origin, req.app_data::<Data<Gateway>>()) else {
        return next.call(req).await.map(ServiceResponse::map_into_boxed_body);
    };
    if !is_known(gateway, origin) {
        return Ok(req.error_response(refusal()));
    }
    let answer = HttpResponse::NoContent()
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, SENT))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS))
        .insert_header((header::VARY, "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"))
        .finish();
    Ok(req.into_response(answer))
}

/// Tells whether pages of an origin may read the answer to a request with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readable {
    Yes,
    /// The origin is named by keys of others only, who decide nothing about this one.
    No,
}

/// Passes when a page of the request's origin may use this key. What comes from no page, or from one that the key's
/// own merchant says nothing of, is left to the key alone.
///
/// # Errors
/// 403 otherwise.
pub(crate) fn require_origin(headers: &HeaderMap, gateway: &Gateway, caller: &Principal) -> Result<Readable, Problem> {
    let Some((_, origin)) = origin_of(headers) else { return Ok(Readable::Yes) };
    if !caller.origins.is_empty() {
        let is_own = caller.origins.iter().any(|own| own.as_str() == origin);
        return if is_own { Ok(Readable::Yes) } else { Err(refusal()) };
    }
    if is_in_settings(gateway, origin) {
        return Ok(Readable::Yes);
    }
    let merchant = caller.merchant.as_ref().map(|merchant| &merchant.id);
    if gateway.directory.names_own_origin(merchant, origin, gateway.clock.now()) {
        return Err(refusal());
    }
    Ok(Readable::No)
}

fn refusal() -> Problem {
    let detail = "Pages of this origin may not use this: name the origin when you make the key (`origins`, or `perkgate \
                  key create --origin`), or in the setting `allowed_origins`, as `scheme://host[:port]`.";
    Problem::new(Kind::OriginNotAllowed, detail)
}

/// Where the page is from that asks; none when several are named, or none.
fn origin_of(headers: &HeaderMap) -> Option<(&HeaderValue, &str)> {
    let mut values = headers.get_all(header::ORIGIN);
    let value = values.next().filter(|_| values.next().is_none())?;
    Some((value, value.to_str().ok()?))
}

fn is_known(gateway: &Gateway, origin: &str) -> bool {
    is_in_settings(gateway, origin) || gateway.directory.names_origin(origin, gateway.clock.now())
}

fn is_in_settings(gateway: &Gateway, origin: &str) -> bool {
    gateway.settings.server.allowed_origins.iter().any(|allowed| allowed.as_str() == origin)
}
