//! `/console/account/code`: sets an authenticator up, renews its recovery codes, or takes it off.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use crate::access::accounts::second_factor::{self, NewAuthenticator};
use crate::access::accounts::{LogInError, Password, TypedCode};
use crate::access::role::permit::ReadOwnKey;
use crate::console::caller::{Caller, Visit, log_in_first};
use crate::console::door::{client_of, page, page_of, see_other};
use crate::console::form::Posted;
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::console::log_in::{busy, code_words, left_words};
use crate::console::words::encoded;
use crate::gateway::Gateway;
use crate::web::page::qr::QrView;
use crate::web::problem::Problem;

const CODE_OF_NOW: &str = "That is not the code of now. Type the one that the app shows, before it changes.";

#[derive(Template)]
#[template(path = "code.html", config = "src/console/askama.toml")]
struct CodePage {
    frame: Frame,
    /// None where one is set up, and is to be removed.
    new: Option<SetUp>,
    error: Option<String>,
    /// The fault is the password's.
    needs_password: bool,
    /// Number of recovery codes that are left.
    codes_left: i64,
}

struct SetUp {
    salt: String,
    /// In groups of four.
    secret: String,
    /// The address that an app on this device opens.
    address: String,
    /// The same for the camera of a phone.
    qr: Option<QrView>,
}

#[derive(Template)]
#[template(path = "code_made.html", config = "src/console/askama.toml")]
struct CodesPage {
    frame: Frame,
    codes: Vec<String>,
}

fn set_up(session: &Visit, new: NewAuthenticator) -> SetUp {
    let NewAuthenticator { salt, secret } = new;
    let groups: Vec<&str> = secret.as_bytes().chunks(4).filter_map(|four| std::str::from_utf8(four).ok()).collect();
    let name = encoded(session.account.as_str());
    let address = format!("otpauth://totp/perkgate:{name}?secret={secret}&issuer=perkgate");
    SetUp { salt, secret: groups.join(" "), qr: QrView::of(&address), address }
}

fn frame(session: &Visit, gateway: &Gateway) -> Frame {
    Frame::of("A second factor", Section::Account, session, gateway.clock.now())
}

impl CodePage {
    /// The page of someone who has a second factor, or is about to set one up.
    async fn of(session: &Visit, gateway: &Gateway, new: Option<SetUp>) -> Result<Self, Problem> {
        let codes_left = gateway.directory.count_recovery_codes(session).await?;
        Ok(Self { frame: frame(session, gateway), new, error: None, needs_password: false, codes_left })
    }
}

async fn has_code(session: &Visit, gateway: &Gateway) -> Result<bool, Problem> {
    let merchant = session.principal.merchant.as_ref().map(|merchant| merchant.id.clone());
    Ok(gateway.directory.find_account(merchant, session.account.clone()).await?.has_code)
}

#[get("/account/code")]
pub(in crate::console) async fn get_code(
    caller: Caller<ReadOwnKey>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    let session = caller.session();
    let is_set_up = has_code(session, &gateway).await?;
    let new = (!is_set_up).then(|| set_up(session, gateway.directory.new_authenticator(session)));
    page(&CodePage::of(session, &gateway, new).await?)
}

#[derive(Deserialize)]
pub(in crate::console) struct SetUpFields {
    salt: String,
    code: Option<TypedCode>,
    password: Option<Password>,
}

#[post("/account/code")]
pub(in crate::console) async fn post_code(
    req: HttpRequest,
    caller: Caller<ReadOwnKey>,
    gateway: Data<Gateway>,
    fields: Posted<SetUpFields>,
) -> Result<HttpResponse, Problem> {
    let SetUpFields { salt, code, password } = fields.0;
    let session = caller.session();
    if has_code(session, &gateway).await? {
        // Another page of theirs has set one up: it is not replaced without its own code.
        return Ok(see_other(&"/console/account/code"));
    }
    let (mut needs_password, client) = (false, client_of(&req, &gateway).to_string());
    let error = match (code, password) {
        (Some(code), Some(password)) => {
            match gateway.directory.set_up_authenticator(session, password, &salt, &code, &client).await {
                Ok(second_factor::SetUp::Done(codes)) => {
                    return page(&CodesPage { frame: frame(session, &gateway), codes });
                }
                Ok(second_factor::SetUp::Already) => return Ok(see_other(&"/console/account/code")),
                Ok(second_factor::SetUp::WrongCode) => CODE_OF_NOW.to_owned(),
                Err(LogInError::Refused { left }) => {
                    needs_password = true;
                    format!("That is not your password. {}", left_words(left))
                }
                Err(error) => locked(error)?,
            }
        }
        (Some(_), None) => {
            needs_password = true;
            "Type your password too: someone at your open screen doesn’t have it.".to_owned()
        }
        (None, _) => CODE_OF_NOW.to_owned(),
    };
    let Some(new) = gateway.directory.authenticator_of(session, &salt) else {
        return Ok(see_other(&"/console/account/code"));
    };
    let shown = CodePage::of(session, &gateway, Some(set_up(session, new))).await?;
    page_of(StatusCode::UNPROCESSABLE_ENTITY, &CodePage { error: Some(error), needs_password, ..shown })
}

#[derive(Deserialize)]
pub(in crate::console) struct RemoveFields {
    code: Option<TypedCode>,
}

#[post("/account/code/remove")]
pub(in crate::console) async fn post_remove_code(
    req: HttpRequest,
    caller: Caller<ReadOwnKey>,
    gateway: Data<Gateway>,
    fields: Posted<RemoveFields>,
) -> Result<HttpResponse, Problem> {
    let session = caller.session();
    let client = client_of(&req, &gateway).to_string();
    let error = match fields.0.code {
        None => "Type the code that is shown now, or a recovery code.".to_owned(),
        Some(code) => match gateway.directory.remove_authenticator(session, code, &client).await {
            Ok(()) => return Ok(see_other(&"/console/account")),
            Err(error) => locked(error)?,
        },
    };
    let page = CodePage { error: Some(error), ..CodePage::of(session, &gateway, None).await? };
    page_of(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

#[post("/account/code/renew")]
pub(in crate::console) async fn post_renew_codes(
    req: HttpRequest,
    caller: Caller<ReadOwnKey>,
    gateway: Data<Gateway>,
    fields: Posted<RemoveFields>,
) -> Result<HttpResponse, Problem> {
    let session = caller.session();
    if !has_code(session, &gateway).await? {
        return Ok(see_other(&"/console/account/code"));
    }
    let client = client_of(&req, &gateway).to_string();
    let error = match fields.0.code {
        None => "Type the code that is shown now, or a recovery code.".to_owned(),
        Some(code) => match gateway.directory.renew_recovery_codes(session, code, &client).await {
            Ok(codes) => return page(&CodesPage { frame: frame(session, &gateway), codes }),
            Err(error) => locked(error)?,
        },
    };
    let page = CodePage { error: Some(error), ..CodePage::of(session, &gateway, None).await? };
    page_of(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// The words of a refusal that the page itself can show.
fn locked(error: LogInError) -> Result<String, Problem> {
    match error {
        LogInError::Code { left, recovery_only } => Ok(code_words(recovery_only, left)),
        LogInError::Refused { left } => Ok(left_words(left)),
        LogInError::Locked { .. } => Ok("Too many were wrong: wait for 15 minutes.".to_owned()),
        LogInError::Ended => Err(log_in_first()),
        LogInError::Busy => Err(busy()),
        LogInError::Database(error) => Err(error.into()),
    }
}
