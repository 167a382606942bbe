//! `/console/login`, `/console/logout` and `/console` itself.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get, post, routes};
use askama::Template;
use jiff::Timestamp;
use serde::Deserialize;

use super::addresses::own_address;
use super::caller::{Caller, Visitor, log_in_first};
use super::cookie::SESSION;
use super::door::{client_of, page, page_of, see_other, transport_of};
use super::form::{Nothing, Posted};
use super::frame::{Frame, home_of};
use super::icon::Icon;
use super::words::encoded;
use crate::access::accounts::{LogInError, Password, SecretToken, TypedCode};
use crate::access::role::permit::ReadOwnKey;
use crate::foundation::count::counted_as;
use crate::gateway::Gateway;
use crate::web::extract::Params;
use crate::web::form::Form;
use crate::web::problem::{Kind, Problem};
use crate::web::state::State;

const CODE_WRONG: &str = "This account asks for a code too, and none was typed, or one that is wrong or over. Type the one that your app shows now.";
const RECOVERY_ONLY: &str = "So many codes in a row were wrong that your app’s are not taken any more. Type a recovery code, or have the account reset.";

/// The way on where a code was not taken.
pub(super) fn code_words(recovery_only: bool, left: u32) -> String {
    format!("{} {}", if recovery_only { RECOVERY_ONLY } else { CODE_WRONG }, left_words(left))
}

#[derive(Template)]
#[template(path = "log_in.html", config = "src/console/askama.toml")]
struct LogInPage {
    frame: Frame,
    account: String,
    wanted: String,
    /// The fault of what was typed.
    error: Option<String>,
    /// The fault is the code's.
    needs_code: bool,
    /// Said where all is well: someone has logged out.
    notice: Option<&'static str>,
    /// The provider by which people may log in too: what it is called, and where that begins.
    provider: Option<(String, String)>,
}

impl LogInPage {
    fn new(gateway: &Gateway, wanted: Option<&str>) -> Self {
        let wanted = wanted.and_then(own_address).unwrap_or_default().to_owned();
        let mut begin = "/console/openid/begin".to_owned();
        if !wanted.is_empty() {
            begin = format!("{begin}?return={}", encoded(&wanted));
        }
        Self {
            frame: Frame::bare("Log in"),
            account: String::new(),
            wanted,
            error: None,
            needs_code: false,
            notice: None,
            provider: gateway.settings.openid.as_ref().map(|openid| (openid.label.clone(), begin)),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct LogInQuery {
    #[serde(rename = "return")]
    wanted: Option<String>,
    /// There after someone has logged out.
    ended: Option<String>,
}

#[routes]
#[get("")]
#[get("/")]
pub(super) async fn get_home(caller: Caller<ReadOwnKey>) -> HttpResponse {
    see_other(&home_of(caller.role))
}

#[get("/login")]
pub(super) async fn get_log_in(
    visitor: Visitor,
    gateway: Data<Gateway>,
    query: Params<LogInQuery>,
) -> Result<HttpResponse, Problem> {
    let LogInQuery { wanted, ended } = query.into_inner();
    if visitor.0.is_some() {
        return Ok(see_other(&wanted.as_deref().and_then(own_address).unwrap_or("/console")));
    }
    let notice = ended.map(|_| "You are logged out. On a shared machine, close the window too.");
    page(&LogInPage { notice, ..LogInPage::new(&gateway, wanted.as_deref()) })
}

#[derive(Deserialize)]
pub(super) struct LogInFields {
    account: Option<String>,
    password: Option<Password>,
    code: Option<TypedCode>,
    #[serde(rename = "return")]
    wanted: Option<String>,
}

#[post("/login")]
pub(super) async fn post_log_in(
    req: HttpRequest,
    visitor: Visitor,
    gateway: Data<Gateway>,
    state: Data<State>,
    fields: Form<LogInFields>,
) -> Result<HttpResponse, Problem> {
    let LogInFields { account, password, code, wanted } = fields.into_inner();
    let named = account.clone().unwrap_or_default();
    let shown = LogInPage { account: named, ..LogInPage::new(&gateway, wanted.as_deref()) };
    let (Some(account), Some(password)) = (account, password) else {
        let error = Some("Type your account’s name and its password.".to_owned());
        return page_of(StatusCode::UNPROCESSABLE_ENTITY, &LogInPage { error, ..shown });
    };
    let client = client_of(&req, &gateway);
    // Strangers cost no write and no hash beyond this.
    state.limits.take_unnamed(client)?;
    match gateway.directory.log_in(&account, password, code, &client.to_string()).await {
        Ok(token) => {
            if let Some(before) = visitor.0 {
                gateway.directory.end_session(&before, false).await?;
            }
            // Always another page, which the browser then asks for: what has the password is not sent twice.
            Ok(begun(&req, &token, wanted.as_deref().and_then(own_address).unwrap_or("/console")))
        }
        Err(LogInError::Refused { left }) => {
            let error = Some(format!("That account and that password don’t go together. {}", left_words(left)));
            page_of(StatusCode::UNPROCESSABLE_ENTITY, &LogInPage { error, ..shown })
        }
        Err(LogInError::Code { left, recovery_only }) => {
            let error = Some(code_words(recovery_only, left));
            page_of(StatusCode::UNPROCESSABLE_ENTITY, &LogInPage { error, needs_code: true, ..shown })
        }
        Err(LogInError::Locked { until }) => {
            let (error, seconds) = locked_words(until, gateway.clock.now());
            let mut answer = page_of(StatusCode::TOO_MANY_REQUESTS, &LogInPage { error: Some(error), ..shown })?;
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            Ok(answer)
        }
        Err(LogInError::Ended) => Err(log_in_first()),
        Err(LogInError::Busy) => Err(busy()),
        Err(LogInError::Database(error)) => Err(error.into()),
    }
}

/// The refusal of one of very many who log in at once.
pub(super) fn busy() -> Problem {
    Problem::new(
        Kind::Unavailable,
        "Very many people log in at this moment. Nothing was done: try again in a few seconds.",
    )
    .retry_after(5)
}

/// The refusal of one who may try no more until then, and the seconds that are left.
pub(super) fn locked_words(until: Timestamp, now: Timestamp) -> (String, u64) {
    let seconds = seconds_until(until, now);
    let minutes = counted_as(usize::try_from(seconds.div_ceil(60)).unwrap_or(1), "minute", "minutes");
    let words = format!(
        "Too many passwords were wrong. For this account, or from your network, none is taken for {minutes}, the right one \
         neither. If it was not you, tell your operator."
    );
    (words, seconds)
}

/// How many tries are left.
pub(super) fn left_words(left: u32) -> String {
    let tries = match left {
        0 => "No more tries are".to_owned(),
        1 => "One more try is".to_owned(),
        left => format!("{left} more tries are"),
    };
    format!("{tries} taken in these 15 minutes.")
}

pub(super) fn seconds_until(until: Timestamp, now: Timestamp) -> u64 {
    let wait = until.duration_since(now);
    let begun = i64::from(wait.subsec_nanos() > 0);
    u64::try_from(wait.as_secs().saturating_add(begun)).unwrap_or(0).max(1)
}

/// The answer that begins a session: always a new one, so that nobody can have planted its token before.
pub(super) fn begun(req: &HttpRequest, token: &SecretToken, wanted: &str) -> HttpResponse {
    let mut answer = see_other(&wanted);
    answer.headers_mut().append(header::SET_COOKIE, SESSION.write(Some(token), transport_of(req)));
    answer
}

#[get("/logout")]
pub(super) async fn get_log_out(visitor: Visitor) -> HttpResponse {
    see_other(if visitor.0.is_some() { &"/console/account" } else { &"/console/login" })
}

#[post("/logout")]
pub(super) async fn post_log_out(
    req: HttpRequest,
    caller: Caller<ReadOwnKey>,
    gateway: Data<Gateway>,
    _form: Posted<Nothing>,
) -> Result<HttpResponse, Problem> {
    gateway.directory.end_session(caller.session(), false).await?;
    Ok(ended(&req))
}

/// The answer that ends a session in the browser too.
pub(super) fn ended(req: &HttpRequest) -> HttpResponse {
    let mut answer = see_other(&"/console/login?ended=yes");
    answer.headers_mut().append(header::SET_COOKIE, SESSION.write(None, transport_of(req)));
    answer
}
