//! `/console/links/{token}`: links that each open once. Looking at one doesn't use it, as programs that scan mail look
//! too; its button does.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use super::caller::Visitor;
use super::door::{page, page_of};
use super::frame::Frame;
use super::icon::Icon;
use super::log_in::{begun, busy};
use crate::access::accounts::link::{LinkError, OpenLink, Purpose};
use crate::access::accounts::{Password, SecretToken};
use crate::gateway::Gateway;
use crate::web::extract::Path;
use crate::web::form::Form;
use crate::web::problem::{Problem, sentence};

#[derive(Template)]
#[template(path = "link.html", config = "src/console/askama.toml")]
struct LinkPage {
    frame: Frame,
    /// None where it opens nothing any more.
    account: Option<String>,
    sets_password: bool,
    token: String,
    error: Option<String>,
}

impl LinkPage {
    fn of(token: &SecretToken, link: &OpenLink) -> Self {
        let sets_password = link.purpose == Purpose::SetPassword;
        let title = if sets_password { "Choose a password" } else { "Log in" };
        Self {
            frame: Frame::bare(title),
            account: Some(link.account.to_string()),
            sets_password,
            token: token.expose().to_owned(),
            error: None,
        }
    }

    fn over() -> Self {
        let frame = Frame::bare("This link is over");
        Self { frame, account: None, sets_password: false, token: String::new(), error: None }
    }
}

fn over() -> Result<HttpResponse, Problem> {
    page_of(StatusCode::NOT_FOUND, &LinkPage::over())
}

#[get("/links/{token}")]
pub(super) async fn get_link(gateway: Data<Gateway>, token: Path<String>) -> Result<HttpResponse, Problem> {
    let Some(token) = SecretToken::parse(&token) else { return over() };
    match gateway.directory.find_link(&token).await? {
        Some(link) => page(&LinkPage::of(&token, &link)),
        None => over(),
    }
}

#[derive(Deserialize)]
pub(super) struct LinkFields {
    password: Option<Password>,
    again: Option<Password>,
}

#[post("/links/{token}")]
pub(super) async fn post_link(
    req: HttpRequest,
    visitor: Visitor,
    gateway: Data<Gateway>,
    token: Path<String>,
    fields: Form<LinkFields>,
) -> Result<HttpResponse, Problem> {
    let LinkFields { password, again } = fields.into_inner();
    let Some(token) = SecretToken::parse(&token) else { return over() };
    let Some(link) = gateway.directory.find_link(&token).await? else { return over() };
    let refused = |error: String| {
        page_of(StatusCode::UNPROCESSABLE_ENTITY, &LinkPage { error: Some(error), ..LinkPage::of(&token, &link) })
    };
    if link.purpose == Purpose::SetPassword {
        match (&password, &again) {
            (Some(password), Some(again)) if password.is(again) => {}
            (Some(_), _) => return refused("The two passwords are not the same. Type both again.".to_owned()),
            (None, _) => return refused("Choose a password, and type it twice.".to_owned()),
        }
    }
    match gateway.directory.take_link(&token, password).await {
        Ok(session) => {
            if let Some(before) = visitor.0 {
                gateway.directory.end_session(&before, false).await?;
            }
            Ok(begun(&req, &session, "/console"))
        }
        Err(LinkError::Weak(weak)) => refused(sentence(&weak.to_string())),
        Err(LinkError::Unknown | LinkError::NoPassword) => over(),
        Err(LinkError::Busy) => Err(busy()),
        Err(LinkError::Database(error)) => Err(error.into()),
    }
}
