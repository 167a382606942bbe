//! `/console/account/code`: sets an authenticator up, or takes it off.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use super::caller::Caller;
use super::door::{client_of, page, page_of, see_other};
use super::form::Posted;
use super::frame::{Frame, Section};
use super::icon::Icon;
use super::log_in::busy;
use super::words::encoded;
use crate::access::accounts::log_in::LogInError;
use crate::access::accounts::second_factor::NewAuthenticator;
use crate::access::accounts::{Session, TypedCode};
use crate::access::role::permit::ReadOwnKey;
use crate::gateway::Gateway;
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "code.html", config = "src/console/askama.toml")]
struct CodePage {
    frame: Frame,
    /// None where one is set up, and is to be removed.
    new: Option<SetUp>,
    error: Option<String>,
}

struct SetUp {
    salt: String,
    /// In groups of four.
    secret: String,
    /// The address that an app on this device opens.
    address: String,
}

#[derive(Template)]
#[template(path = "code_made.html", config = "src/console/askama.toml")]
struct CodesPage {
    frame: Frame,
    codes: Vec<String>,
}

fn set_up(session: &Session, new: NewAuthenticator) -> SetUp {
    let NewAuthenticator { salt, secret } = new;
    let groups: Vec<&str> = secret.as_bytes().chunks(4).filter_map(|four| std::str::from_utf8(four).ok()).collect();
    let name = encoded(session.account.as_str());
    let address = format!("otpauth://totp/perkgate:{name}?secret={secret}&issuer=perkgate");
    SetUp { salt, secret: groups.join(" "), address }
}

fn frame(session: &Session, gateway: &Gateway) -> Frame {
    Frame::of("A second factor", Section::Account, session, gateway.clock.now())
}

async fn has_code(session: &Session, gateway: &Gateway) -> Result<bool, Problem> {
    let merchant = session.principal.merchant.as_ref().map(|merchant| merchant.id.clone());
    Ok(gateway.directory.find_account(merchant, session.account.clone()).await?.has_code)
}

#[get("/account/code")]
pub(super) async fn get_code(caller: Caller<ReadOwnKey>, gateway: Data<Gateway>) -> Result<HttpResponse, Problem> {
    let session = caller.session();
    let is_set_up = has_code(session, &gateway).await?;
    let new = (!is_set_up).then(|| set_up(session, gateway.directory.new_authenticator(session)));
    page(&CodePage { frame: frame(session, &gateway), new, error: None })
}

#[derive(Deserialize)]
pub(super) struct SetUpFields {
    salt: String,
    code: Option<TypedCode>,
}

#[post("/account/code")]
pub(super) async fn post_code(
    caller: Caller<ReadOwnKey>,
    gateway: Data<Gateway>,
    fields: Posted<SetUpFields>,
) -> Result<HttpResponse, Problem> {
    let SetUpFields { salt, code } = fields.0;
    let session = caller.session();
    if has_code(session, &gateway).await? {
        // Another page of theirs has set one up: it is not replaced without its own code.
        return Ok(see_other(&"/console/account/code"));
    }
    let codes = match code {
        Some(code) => gateway.directory.set_up_authenticator(session, &salt, &code).await?,
        None => None,
    };
    if let Some(codes) = codes {
        return page(&CodesPage { frame: frame(session, &gateway), codes });
    }
    let Some(new) = gateway.directory.authenticator_of(session, &salt) else {
        return Ok(see_other(&"/console/account/code"));
    };
    let error = Some("That is not the code of now. Type the one that the app shows, before it changes.".to_owned());
    let new = Some(set_up(session, new));
    page_of(StatusCode::UNPROCESSABLE_ENTITY, &CodePage { frame: frame(session, &gateway), new, error })
}

#[derive(Deserialize)]
pub(super) struct RemoveFields {
    code: Option<TypedCode>,
}

#[post("/account/code/remove")]
pub(super) async fn post_remove_code(
    req: HttpRequest,
    caller: Caller<ReadOwnKey>,
    gateway: Data<Gateway>,
    fields: Posted<RemoveFields>,
) -> Result<HttpResponse, Problem> {
    let session = caller.session();
    let removed = match fields.0.code {
        None => Ok(false),
        Some(code) => gateway.directory.remove_authenticator(session, code, &client_of(&req, &gateway)).await,
    };
    let error = match removed {
        Ok(true) => return Ok(see_other(&"/console/account")),
        Ok(false) => "That code is wrong or over. Type the one that is shown now, or a recovery code.".to_owned(),
        Err(LogInError::Locked { .. }) => "Too many codes were wrong: wait for 15 minutes.".to_owned(),
        Err(LogInError::Database(error)) => return Err(error.into()),
        Err(LogInError::Busy | LogInError::Refused { .. } | LogInError::Code { .. }) => return Err(busy()),
    };
    let page = CodePage { frame: frame(session, &gateway), new: None, error: Some(error) };
    page_of(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
