//! `/pair`: a code is typed into a browser, which shows two words until someone has confirmed them.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get, post};
use askama::Template;
use serde::{Deserialize, Serialize};

use super::assets;
use super::caller::Visitor;
use super::door::DEVICE;
use crate::access::accounts::SecretToken;
use crate::access::devices::{PairError, Screen};
use crate::access::{Refused, Role};
use crate::foundation::field_error::FieldError;
use crate::gateway::Gateway;
use crate::web::extract::Body;
use crate::web::page::arrival::{client_of, transport_of};
use crate::web::page::{page, see_other};
use crate::web::problem::{Kind, Problem};
use crate::web::state::State;

#[derive(Template)]
#[template(path = "pair.html", config = "src/screens/askama.toml")]
struct PairPage {
    styles: &'static str,
    icon: &'static str,
    script: &'static str,
    /// The two words, once a code was typed.
    words: Option<String>,
}

/// The page of a screen.
pub(super) const fn home_of(role: Role) -> &'static str {
    match role {
        Role::Desk => "/desk",
        Role::Door => "/door",
        _ => "/kiosk",
    }
}

#[get("")]
pub(super) async fn get_pair(visitor: Visitor, gateway: Data<Gateway>) -> Result<HttpResponse, Problem> {
    let words = match PairState::of(visitor, &gateway).await? {
        PairState::Paired { home } => return Ok(see_other(&home)),
        PairState::Waiting { words } => Some(words),
        PairState::Unpaired => None,
    };
    page(&PairPage { styles: assets::styles(), icon: assets::icon(), script: assets::pair_script(), words })
}

/// A code, and the secret that the browser made for it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PairBody {
    code: String,
    device_secret: String,
}

/// The words to compare.
#[derive(Serialize)]
struct WordsView {
    words: String,
}

#[post("")]
pub(super) async fn post_pair(
    req: HttpRequest,
    gateway: Data<Gateway>,
    state: Data<State>,
    body: Body<PairBody>,
) -> Result<HttpResponse, Problem> {
    state.limits.take_pairing(client_of(&req, &gateway))?;
    let PairBody { code, device_secret } = body.into_inner();
    let secret = SecretToken::parse(&device_secret).ok_or_else(|| {
        let detail = "a browser's secret is 32 random bytes in base64url: 43 letters";
        Problem::invalid(vec![FieldError::at("/device_secret", "invalid_value", detail)])
    })?;
    let words = gateway.directory.pair_device(&code, &secret).await.map_err(|error| match error {
        PairError::WrongCode => Problem::new(
            Kind::Forbidden,
            "This code is not known: it may be mistyped, over, or typed into another screen. Make another one in the console.",
        ),
        PairError::Database(error) => error.into(),
    })?;
    let mut answer = HttpResponse::Ok().json(WordsView { words });
    answer.headers_mut().append(header::SET_COOKIE, DEVICE.write(Some(&secret), transport_of(&req)));
    Ok(answer)
}

/// The state of a browser that wants to be a screen.
#[derive(Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum PairState {
    /// Its words wait to be confirmed.
    Waiting {
        words: String,
    },
    Paired {
        home: &'static str,
    },
    /// Nobody knows it: its code is over, or it was signed off.
    Unpaired,
}

impl PairState {
    async fn of(visitor: Visitor, gateway: &Gateway) -> Result<Self, Problem> {
        let paired = |screen: &Screen| Self::Paired { home: home_of(screen.principal.role) };
        let secret = match visitor {
            Visitor::Screen(screen) => return Ok(paired(&screen)),
            Visitor::Stranger(secret) => secret,
            Visitor::Unknown => return Ok(Self::Unpaired),
        };
        if let Some(words) = gateway.directory.words_of_device(&secret).await? {
            return Ok(Self::Waiting { words });
        }
        // It may have been confirmed a moment ago, and not be in the snapshot yet.
        match gateway.directory.authenticate_device(&secret, gateway.clock.now()).await {
            Ok(screen) => Ok(paired(&screen)),
            Err(Refused::Unchecked) => Err(Refused::Unchecked.into()),
            Err(_) => Ok(Self::Unpaired),
        }
    }
}

#[get("/state")]
pub(super) async fn get_state(visitor: Visitor, gateway: Data<Gateway>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(PairState::of(visitor, &gateway).await?))
}
