//! `/kiosk`: a person asks for a perk at a screen of their own. The page is a shell of scripts: `ask` answers it, `view` is
//! what a person may see of an answer.

pub(super) mod ask;
pub(super) mod view;

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use askama::Template;

use super::assets;
use super::caller::{AtPlace, FromPage};
use super::door::DEVICE;
use super::messages::{self, Shell};
use super::place::{PageQuery, look};
use crate::access::devices::Screen;
use crate::gateway::Gateway;
use crate::web::extract::Params;
use crate::web::page::arrival::transport_of;
use crate::web::page::{page, see_other};
use crate::web::problem::{Kind, Problem};

#[derive(Template)]
#[template(path = "kiosk.html", config = "src/screens/askama.toml")]
struct KioskPage {
    shell: Shell,
    script: &'static str,
}

/// A page of a screen, with its cookie renewed; who is none is led to where it can be paired.
pub(super) fn page_of_screen<T: Template>(
    req: &HttpRequest,
    screen: Result<AtPlace, Problem>,
    template: impl FnOnce(&Screen) -> T,
) -> Result<HttpResponse, Problem> {
    let screen = match screen {
        Ok(screen) => screen,
        Err(problem) if problem.kind == Kind::MissingKey => return Ok(see_other(&"/pair")),
        Err(problem) => return Err(problem),
    };
    Ok(renewed(req, page(&template(&screen))?))
}

/// The same answer, with the cookie of its screen renewed.
pub(super) fn renewed(req: &HttpRequest, mut answer: HttpResponse) -> HttpResponse {
    let transport = transport_of(req);
    let secret = DEVICE.read(req.headers(), transport);
    answer.headers_mut().append(header::SET_COOKIE, DEVICE.write(secret.as_ref(), transport));
    answer
}

#[get("")]
pub(super) async fn get_kiosk(req: HttpRequest, screen: Result<AtPlace, Problem>) -> Result<HttpResponse, Problem> {
    page_of_screen(&req, screen, |screen| KioskPage { shell: messages::shell(screen), script: assets::kiosk_script() })
}

#[get("/state")]
pub(super) async fn get_state(
    screen: FromPage,
    gateway: Data<Gateway>,
    query: Params<PageQuery>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(look(&gateway, &screen, screen.merchant()?, &query).await?))
}
