//! `/console/openid/…`: logging in by a provider of OpenID Connect. `begin` leads there and gives the browser a secret for
//! ten minutes; `return` is where the provider sends it back to; `code` asks for our own second factor, where the settings
//! want it too.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use super::addresses::own_address;
use super::caller::Visitor;
use super::door::{client_of, page_of, see_other, transport_of};
use super::frame::Frame;
use super::icon::Icon;
use super::log_in::{begun, busy, code_words, locked_words};
use crate::access::accounts::by_provider::{ByProvider, Opened};
use crate::access::accounts::{LogInError, SecretToken, Subject, TypedCode};
use crate::gateway::Gateway;
use crate::outgoing::openid::{Challenge, Provider, ProviderError};
use crate::settings::OpenId;
use crate::web::extract::Params;
use crate::web::form::Form;
use crate::web::page::cookie::TokenCookie;
use crate::web::problem::Problem;
use crate::web::state::State;

/// The secret of the browser that began. It lasts as long as a log-in does.
const BEGAN: TokenCookie = TokenCookie {
    secure: "__Host-perkgate-openid",
    loopback: "perkgate-openid",
    // Not `Strict`: the provider's page is what leads back here.
    attributes: "; SameSite=Lax; Max-Age=600",
};

/// Where a log-in has come to.
enum Outcome {
    /// It is over, was taken, or was begun elsewhere.
    Over,
    /// The provider says that nobody logged in.
    Declined,
    Away,
    /// The provider's word is not believed.
    Disbelieved,
    Unlinked {
        issuer: String,
        subject: String,
    },
    Code {
        state: String,
        passed: String,
        error: Option<String>,
    },
}

#[derive(Template)]
#[template(path = "openid.html", config = "src/console/askama.toml")]
struct OpenIdPage {
    frame: Frame,
    /// The provider's name.
    provider: String,
    outcome: Outcome,
}

/// The provider and its settings; no page is here without one.
fn provider_of(gateway: &Gateway) -> Result<(&Provider, &OpenId), Problem> {
    gateway.openid.as_ref().zip(gateway.settings.openid.as_ref()).ok_or_else(Problem::not_found)
}

const fn challenge_of(opened: &Opened) -> Challenge<'_> {
    Challenge {
        state: opened.state.as_str(),
        nonce: opened.nonce.as_str(),
        verifier: opened.verifier.as_str(),
        begun: opened.begun,
    }
}

/// The page of an outcome. The browser's secret ends with it, but where a code is asked for.
fn shown(req: &HttpRequest, settings: &OpenId, outcome: Outcome) -> Result<HttpResponse, Problem> {
    let (status, title) = match &outcome {
        Outcome::Over => (StatusCode::FORBIDDEN, "Begin again"),
        Outcome::Declined => (StatusCode::FORBIDDEN, "Nobody was logged in"),
        Outcome::Away => (StatusCode::SERVICE_UNAVAILABLE, "The provider is away"),
        Outcome::Disbelieved => (StatusCode::FORBIDDEN, "The provider’s answer is not taken"),
        Outcome::Unlinked { .. } => (StatusCode::FORBIDDEN, "No account is linked"),
        Outcome::Code { error: None, .. } => (StatusCode::OK, "Your code"),
        Outcome::Code { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "Your code"),
    };
    let ends = !matches!(outcome, Outcome::Code { .. });
    let mut answer =
        page_of(status, &OpenIdPage { frame: Frame::bare(title), provider: settings.label.clone(), outcome })?;
    if ends {
        forget(req, &mut answer);
    }
    Ok(answer)
}

/// Takes the browser's secret away.
fn forget(req: &HttpRequest, answer: &mut HttpResponse) {
    answer.headers_mut().append(header::SET_COOKIE, BEGAN.write(None, transport_of(req)));
}

/// The secret of the browser and its log-in; none where it is over, or another browser began it.
fn opened_of(req: &HttpRequest, gateway: &Gateway, state: Option<&str>) -> Option<(SecretToken, Opened)> {
    let browser = BEGAN.read(req.headers(), transport_of(req))?;
    let opened = gateway.directory.opened_by_provider(&browser, state?)?;
    Some((browser, opened))
}

/// The answer to someone who is logged in.
async fn logged_in(
    req: &HttpRequest,
    visitor: Visitor,
    gateway: &Gateway,
    opened: &Opened,
    token: &SecretToken,
) -> Result<HttpResponse, Problem> {
    if let Some(before) = visitor.0 {
        gateway.directory.end_session(&before, false).await?;
    }
    let wanted = opened.wanted.as_deref().and_then(own_address).unwrap_or("/console");
    let mut answer = begun(req, token, wanted);
    forget(req, &mut answer);
    Ok(answer)
}

#[derive(Debug, Deserialize)]
pub(super) struct BeginQuery {
    #[serde(rename = "return")]
    wanted: Option<String>,
}

#[get("/openid/begin")]
pub(super) async fn get_begin(
    req: HttpRequest,
    gateway: Data<Gateway>,
    state: Data<State>,
    query: Params<BeginQuery>,
) -> Result<HttpResponse, Problem> {
    let (provider, settings) = provider_of(&gateway)?;
    state.limits.take_unnamed(client_of(&req, &gateway))?;
    let (browser, opened) = gateway.directory.open_by_provider(query.wanted.as_deref().and_then(own_address));
    match provider.authorization(&challenge_of(&opened)).await {
        Ok(address) => {
            let mut answer = see_other(&address);
            answer.headers_mut().append(header::SET_COOKIE, BEGAN.write(Some(&browser), transport_of(&req)));
            Ok(answer)
        }
        Err(error) => {
            tracing::warn!(%error, "nobody can log in by the provider");
            shown(&req, settings, Outcome::Away)
        }
    }
}

/// The provider's answer. What else it says of itself is passed over.
#[derive(Debug, Deserialize)]
pub(super) struct ReturnQuery {
    state: Option<String>,
    code: Option<String>,
    /// There where nobody logged in.
    error: Option<String>,
    iss: Option<String>,
}

#[get("/openid/return")]
pub(super) async fn get_return(
    req: HttpRequest,
    visitor: Visitor,
    gateway: Data<Gateway>,
    state: Data<State>,
    query: Params<ReturnQuery>,
) -> Result<HttpResponse, Problem> {
    let (provider, settings) = provider_of(&gateway)?;
    state.limits.take_unnamed(client_of(&req, &gateway))?;
    let Some((browser, opened)) = opened_of(&req, &gateway, query.state.as_deref()) else {
        return shown(&req, settings, Outcome::Over);
    };
    let Some(code) = query.code.as_deref().filter(|_| query.error.is_none()) else {
        return shown(&req, settings, Outcome::Declined);
    };
    let name = match provider.subject(code, query.iss.as_deref(), &challenge_of(&opened)).await {
        Ok(name) => name,
        Err(error) => {
            tracing::warn!(%error, "a log-in by the provider was not taken");
            let outcome = match error {
                ProviderError::Away(_) => Outcome::Away,
                ProviderError::Code => Outcome::Over,
                ProviderError::Token(_) | ProviderError::Issuer => Outcome::Disbelieved,
            };
            return shown(&req, settings, outcome);
        }
    };
    let Ok(subject) = Subject::of(provider.issuer(), &name) else {
        return shown(&req, settings, Outcome::Disbelieved);
    };
    match gateway.directory.log_in_by_provider(&browser, &opened, &subject, settings.second_factor).await? {
        ByProvider::LoggedIn(token) => logged_in(&req, visitor, &gateway, &opened, &token).await,
        ByProvider::AsksCode(passed) => {
            shown(&req, settings, Outcome::Code { state: opened.state, passed, error: None })
        }
        ByProvider::Unlinked => {
            let (issuer, subject) = (subject.issuer().to_owned(), subject.name().to_owned());
            shown(&req, settings, Outcome::Unlinked { issuer, subject })
        }
        ByProvider::Taken => shown(&req, settings, Outcome::Over),
    }
}

#[derive(Deserialize)]
pub(super) struct CodeFields {
    state: Option<String>,
    passed: Option<String>,
    code: Option<TypedCode>,
}

#[post("/openid/code")]
pub(super) async fn post_openid_code(
    req: HttpRequest,
    visitor: Visitor,
    gateway: Data<Gateway>,
    state: Data<State>,
    fields: Form<CodeFields>,
) -> Result<HttpResponse, Problem> {
    let (_, settings) = provider_of(&gateway)?;
    let client = client_of(&req, &gateway);
    state.limits.take_unnamed(client)?;
    let CodeFields { state, passed, code } = fields.into_inner();
    let (Some((browser, opened)), Some(passed)) = (opened_of(&req, &gateway, state.as_deref()), passed) else {
        return shown(&req, settings, Outcome::Over);
    };
    let tried = gateway
        .directory
        .log_in_by_provider_and_code(&browser, &opened, &passed, code.as_ref(), &client.to_string())
        .await;
    let (error, wait) = match tried {
        Ok(token) => return logged_in(&req, visitor, &gateway, &opened, &token).await,
        Err(LogInError::Refused { .. } | LogInError::Ended) => return shown(&req, settings, Outcome::Over),
        Err(LogInError::Busy) => return Err(busy()),
        Err(LogInError::Database(error)) => return Err(error.into()),
        Err(LogInError::Code { left, recovery_only }) => (code_words(recovery_only, left), None),
        Err(LogInError::Locked { until }) => {
            let (error, seconds) = locked_words(until, gateway.clock.now());
            (error, Some(seconds))
        }
    };
    let mut answer = shown(&req, settings, Outcome::Code { state: opened.state, passed, error: Some(error) })?;
    if let Some(seconds) = wait {
        *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(answer)
}
