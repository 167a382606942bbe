//! The way of every request: its id, its span, its metrics, and the form of its refusal.

use std::fmt;
use std::future::{Ready, ready};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::cors::{CrossOrigin, Readable};
use super::deadline::Deadline;
use super::problem::{Kind, Problem, absence};
use super::state::State;
use crate::access::Principal;
use crate::foundation::entropy::Entropy;
use crate::foundation::escape;
use crate::gateway::Gateway;
use crate::telemetry::{Outage, Throttle, meters};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The name of one request, in its answer, its problem and its log lines.
#[derive(Debug, Clone)]
pub struct RequestId(Rc<str>);

impl RequestId {
    /// The caller's own, when it is short and plain enough to stand in a log; else a new one.
    fn of(headers: &HeaderMap, entropy: &Entropy) -> Self {
        let is_plain = |text: &&str| {
            (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(is_plain);
        sent.map_or_else(
            || Self(format!("req_{:032x}", u128::from_be_bytes(entropy.bytes())).into()),
            |text| Self(text.into()),
        )
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn named(id: &str) -> Self {
        Self(id.into())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromRequest for RequestId {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = req.extensions().get::<Self>().cloned();
        ready(id.ok_or_else(|| Problem::new(Kind::Internal, "The request has no id.")))
    }
}

/// The trace id of a W3C `traceparent` (Trace Context §3.2): 32 hexadecimal digits, not all zero.
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = text.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex =
        |part: &str, len: usize| part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_zero = |part: &str| part.bytes().all(|b| b == b'0');
    let fits = is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    // Version 00 ends here; a later one may go on, and ff is none.
    let ends = version != "00" || parts.next().is_none();
    (fits && ends && version != "ff" && !is_zero(trace) && !is_zero(parent)).then_some(trace)
}

/// The outermost middleware. It runs before routing, so it must hold no clone of the request while
/// the rest runs: actix panics then.
///
/// # Errors
/// Only what actix itself could not turn into an answer, in the form of a problem.
pub async fn attend(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let began = Instant::now();
    let gateway = req.app_data::<Data<Gateway>>().cloned();
    let cross_origin = CrossOrigin::of(&req);
    let draining = req.app_data::<Data<State>>().is_some_and(|state| state.is_draining());
    let entropy = gateway.as_ref().map_or(&Entropy::System, |gateway| &gateway.entropy);
    let id = RequestId::of(req.headers(), entropy);
    let method = method_name(req.method());
    let span = tracing::info_span!(
        "request", method, request_id = %id, trace_id = Empty, route = Empty, status = Empty, duration_us = Empty, principal = Empty
    );
    if let Some(trace_id) = trace_id(req.headers()) {
        span.record("trace_id", trace_id);
    }
    req.extensions_mut().insert(id.clone());
    if req.method() == Method::HEAD {
        // Answered as a GET; the connection leaves the body out, as it saw the method before us.
        req.extensions_mut().insert(OnlyHead);
        req.head_mut().method = Method::GET;
    }
    let deadline = gateway.as_ref().map(|it| Deadline::of_head(req.headers(), &it.settings.timeouts));
    let answered = if unmet_expectation(req.headers()) {
        let problem = Problem::new(Kind::ExpectationFailed, "Only `Expect: 100-continue` can be met.");
        Ok(req.error_response(problem).map_into_right_body())
    } else {
        let asked = req.method().clone();
        if let Some(deadline) = &deadline {
            req.extensions_mut().insert(deadline.clone());
        }
        let work = next.call(req).instrument(span.clone());
        let answered = match &deadline {
            Some(deadline) => deadline.bound(&asked, work).await,
            None => work.await,
        };
        answered.map(ServiceResponse::map_into_left_body)
    };
    finish(answered, &Passage { id, span, method, began, draining, cross_origin, deadline })
}

/// Something that requests need is away: said once when the first is sent back, and once when no more were for
/// a while, with their number. Each of them is a line for debugging only.
static UNAVAILABLE: Outage = Outage::new("requests are sent back with 503", "requests are not sent back any more");
const QUIET: Duration = Duration::from_secs(5);

/// Logs that a request, or a part of one, failed for no fault of the caller's.
pub(crate) fn log_failure(problem: &Problem, request_id: &str, route: &str) {
    let (status, code, cause) = (problem.kind.status().as_u16(), problem.kind.code(), problem.cause.as_deref());
    if matches!(problem.kind, Kind::Unavailable | Kind::InDoubt) {
        UNAVAILABLE.failed(&cause.unwrap_or(code));
        tracing::debug!(request_id, route, status, code, cause, "the request was sent back");
    } else {
        tracing::error!(request_id, route, status, code, cause, "the request failed");
    }
}

/// Refusals of requests whose key is known, and of all others: so strangers who flood the gateway, whatever with, don't
/// keep a merchant's own refusals out of the log.
static REFUSED: Throttle = Throttle::new(100, Duration::from_secs(1));
static STRANGERS: Throttle = Throttle::new(10, Duration::from_secs(1));

/// Logs that a request was refused for a fault of the caller's, so that its id can be found; the span says id and route.
pub(crate) fn log_refusal(problem: &Problem, is_stranger: bool) {
    let code = problem.kind.code();
    let throttle = if is_stranger { &STRANGERS } else { &REFUSED };
    let Some(left_out) = throttle.take() else {
        tracing::debug!(code, "refused");
        return;
    };
    if left_out > 0 {
        tracing::info!(refusals = left_out, "more requests were refused than are logged");
    }
    tracing::info!(code, "refused");
}

/// Marks a request whose answer's body nobody will read.
struct OnlyHead;

/// Tells whether the request is a `HEAD`: what reading the body would do beside is then left undone.
pub fn is_head(req: &HttpRequest) -> bool {
    req.extensions().get::<OnlyHead>().is_some()
}

/// The facts known about a request when its answer comes.
struct Passage {
    id: RequestId,
    span: Span,
    method: &'static str,
    began: Instant,
    draining: bool,
    cross_origin: CrossOrigin,
    deadline: Option<Deadline>,
}

fn finish<A: MessageBody + 'static, B: MessageBody + 'static>(
    answered: Result<ServiceResponse<EitherBody<A, B>>, Error>,
    passage: &Passage,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = match answered {
        Ok(response) => response,
        Err(error) => {
            let problem = problem_of(Some(&error), error.as_response_error().status_code());
            passage.note("unmatched", problem.kind.status(), Some(&problem), true);
            let page = passage.deadline.as_ref().and_then(|deadline| deadline.answer(&problem));
            let is_written = page.is_some();
            let response = page.unwrap_or_else(|| problem.error_response());
            let response = passage.dress(response, Some(&problem), is_written, false);
            return Err(InternalError::from_response(problem.clone(), response).into());
        }
    };
    let form = refusal_form(response.response());
    let mut problem = form.map(|_| problem_of(response.response().error(), response.status()));
    let route = response.request().match_pattern();
    if let Some(problem) = problem.as_mut().filter(|problem| problem.is_absent)
        && let Some(detail) = route.as_deref().and_then(|route| absence_of(route, response.request()))
    {
        problem.detail = detail.into();
    }
    let is_stranger = response.request().extensions().get::<Arc<Principal>>().is_none();
    passage.note(route.as_deref().unwrap_or("unmatched"), response.status(), problem.as_ref(), is_stranger);
    let (request, response) = response.into_parts();
    let is_withheld = request.extensions().get::<Readable>() == Some(&Readable::No);
    let written = form == Some(Form::Written);
    let response = passage.dress(response.map_into_boxed_body(), problem.as_ref(), written, is_withheld);
    Ok(ServiceResponse::new(request, response))
}

/// Says that what an address asks for isn't there. A person's handle is not repeated.
fn absence_of(route: &str, request: &HttpRequest) -> Option<String> {
    let named = |part: &str| part.strip_prefix('{')?.strip_suffix('}').map(str::to_owned);
    let name = route.rsplit('/').find_map(named)?;
    let given = |name: &str| request.match_info().get(name).map(str::to_owned);
    Some(match name.as_str() {
        "subject" => format!("There is no score of this person from `{}`.", escape::line(&given("source")?)),
        "slug" => absence("merchant", &given("slug")?),
        "check" if route.contains("/contests/") || route.contains("/referrals/") => {
            let kind = if route.contains("/contests/") { "contest" } else { "referral" };
            absence(&format!("{kind} of a check"), &given("check")?)
        }
        kind => absence(kind, &given(kind)?),
    })
}

/// The state that a refusal's body is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Ours, and whatever actix says in plain text: it becomes a problem.
    Unwritten,
    /// A page for people.
    Written,
}

/// The form of a refusal; none for other answers, and for what a handler wrote as JSON, as the OAuth standards want it.
fn refusal_form<B>(response: &HttpResponse<B>) -> Option<Form> {
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is = |kind: &str| content_type.is_some_and(|text| text.contains(kind));
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    let form = if is("text/html") { Form::Written } else { Form::Unwritten };
    (is_error && !is("json")).then_some(form)
}

fn problem_of(error: Option<&Error>, status: StatusCode) -> Problem {
    if let Some(problem) = error.and_then(Error::as_error::<Problem>) {
        return problem.clone();
    }
    // actix's own words may quote the request; ours don't.
    let kind = Kind::of_status(status);
    Problem { cause: error.map(ToString::to_string), ..Problem::new(kind, kind.title()) }
}

impl Passage {
    /// Log, span and metrics: the route's pattern, never the path or the query, which may name people.
    fn note(&self, route: &str, status: StatusCode, problem: Option<&Problem>, is_stranger: bool) {
        let elapsed = self.began.elapsed();
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        // Each field is written out as it is recorded: of a request that writes no line, for nobody.
        if problem.is_some() || tracing::enabled!(tracing::Level::DEBUG) {
            self.span.record("route", route).record("status", status.as_u16()).record("duration_us", micros);
        }
        self.span.in_scope(|| match problem {
            Some(problem) if status.is_server_error() => log_failure(problem, self.id.as_str(), route),
            Some(problem) if status.is_client_error() => {
                UNAVAILABLE.over_after(QUIET);
                log_refusal(problem, is_stranger);
            }
            problem => {
                UNAVAILABLE.over_after(QUIET);
                tracing::debug!(code = problem.map(|problem| problem.kind.code()), "answered");
            }
        });
        meters().note_request(self.method, route, status.as_u16(), elapsed);
    }

    fn dress(
        &self,
        mut response: HttpResponse<BoxBody>,
        problem: Option<&Problem>,
        is_written: bool,
        is_withheld: bool,
    ) -> HttpResponse<BoxBody> {
        if let Some(problem) = problem.filter(|_| !is_written) {
            let kind = HeaderValue::from_static("application/problem+json");
            response = response.set_body(BoxBody::new(problem.body(self.id.as_str())));
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(self.id.as_str()) {
            headers.insert(REQUEST_ID, id);
        }
        self.cross_origin.write(headers, is_withheld);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if !headers.contains_key(header::CACHE_CONTROL) {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        let body_unread = problem.is_some_and(|p| matches!(p.kind, Kind::RequestTimeout | Kind::BodyTooLarge));
        if body_unread || self.draining {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        response
    }
}

/// The method as a label: what a stranger makes up must not become a time series.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn unmet_expectation(headers: &HeaderMap) -> bool {
    headers.get_all(header::EXPECT).any(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_strictly() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static("traceparent"), HeaderValue::from_static(text));
            trace_id(&headers).map(str::to_owned)
        };
        let trace = Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned());
        assert_eq!(of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), trace);
        assert_eq!(of("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later"), trace);
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
