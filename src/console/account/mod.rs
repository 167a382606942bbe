//! `/console/account`: one's own account, its password, and where one is logged in. `second_factor` has its codes.

pub(super) mod second_factor;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use crate::access::accounts::{LogInError, Password, TypedCode};
use crate::access::role::permit::ReadOwnKey;
use crate::console::caller::{Caller, Visit, log_in_first};
use crate::console::door::{client_of, page_of};
use crate::console::form::{Nothing, Posted};
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::console::log_in::{begun, busy, code_words, ended, left_words};
use crate::console::words::{When, role_words, zone_of};
use crate::gateway::Gateway;
use crate::web::extract::Params;
use crate::web::problem::{Problem, sentence};

#[derive(Template)]
#[template(path = "account.html", config = "src/console/askama.toml")]
struct AccountPage {
    frame: Frame,
    name: String,
    label: String,
    role: &'static str,
    merchant: Option<String>,
    key: String,
    sessions: Vec<SessionView>,
    zone: String,
    error: Option<String>,
    is_changed: bool,
    has_code: bool,
}

struct SessionView {
    began: When,
    used: When,
    is_own: bool,
}

async fn shown(gateway: &Gateway, session: &Visit) -> Result<AccountPage, Problem> {
    let now = gateway.clock.now();
    let merchant = session.principal.merchant.as_ref();
    let zone_name = merchant.map_or("UTC", |merchant| &merchant.time_zone);
    let zone = zone_of(zone_name);
    let sessions = gateway.directory.list_sessions(session).await?;
    let of = merchant.map(|merchant| merchant.id.clone());
    let account = gateway.directory.find_account(of, session.account.clone()).await?;
    let view = |it: crate::access::accounts::session::OpenSession| SessionView {
        began: When::of(it.began_at, &zone, now),
        used: When::of(it.used_at, &zone, now),
        is_own: it.is_own,
    };
    Ok(AccountPage {
        frame: Frame::of("Your account", Section::Account, session, now),
        name: session.account.to_string(),
        label: session.label.clone(),
        role: role_words(session.principal.role),
        merchant: merchant.map(|merchant| merchant.name.clone()),
        key: session.principal.key.to_string(),
        sessions: sessions.into_iter().map(view).collect(),
        zone: zone_name.to_owned(),
        error: None,
        is_changed: false,
        has_code: account.has_code,
    })
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct AccountQuery {
    /// There after the password was changed.
    changed: Option<String>,
}

#[get("/account")]
pub(in crate::console) async fn get_account(
    caller: Caller<ReadOwnKey>,
    gateway: Data<Gateway>,
    query: Params<AccountQuery>,
) -> Result<HttpResponse, Problem> {
    let is_changed = query.into_inner().changed.is_some();
    page_of(StatusCode::OK, &AccountPage { is_changed, ..shown(&gateway, caller.session()).await? })
}

#[derive(Deserialize)]
pub(in crate::console) struct PasswordFields {
    old: Option<Password>,
    code: Option<TypedCode>,
    password: Option<Password>,
    again: Option<Password>,
}

#[post("/account/password")]
pub(in crate::console) async fn post_password(
    req: HttpRequest,
    caller: Caller<ReadOwnKey>,
    gateway: Data<Gateway>,
    fields: Posted<PasswordFields>,
) -> Result<HttpResponse, Problem> {
    let PasswordFields { old, code, password, again } = fields.0;
    let session = caller.session();
    let refusal = match (old, password, again) {
        (Some(old), Some(new), Some(again)) if new.is(&again) => {
            let client = client_of(&req, &gateway).to_string();
            match gateway.directory.change_password(session, old, code, new, &client).await {
                Ok(Ok(token)) => return Ok(begun(&req, &token, "/console/account?changed=yes")),
                Ok(Err(weak)) => sentence(&weak.to_string()),
                Err(LogInError::Refused { left }) => format!("The old password is wrong. {}", left_words(left)),
                Err(LogInError::Code { left, recovery_only }) => code_words(recovery_only, left),
                Err(LogInError::Ended) => return Err(log_in_first()),
                Err(LogInError::Locked { .. }) => "Too many passwords were wrong: wait for 15 minutes.".to_owned(),
                Err(LogInError::Busy) => return Err(busy()),
                Err(LogInError::Database(error)) => return Err(error.into()),
            }
        }
        (Some(_), Some(_), _) => "The two new passwords are not the same. Type both again.".to_owned(),
        _ => "Type the old password, and the new one twice.".to_owned(),
    };
    let page = AccountPage { error: Some(refusal), ..shown(&gateway, session).await? };
    page_of(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

#[post("/account/sessions/end")]
pub(in crate::console) async fn post_end_sessions(
    req: HttpRequest,
    caller: Caller<ReadOwnKey>,
    gateway: Data<Gateway>,
    _form: Posted<Nothing>,
) -> Result<HttpResponse, Problem> {
    gateway.directory.end_session(caller.session(), true).await?;
    Ok(ended(&req))
}
