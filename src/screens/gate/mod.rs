//! `/door`: a phone at a door. Its page checks tokens by itself, spends them online when it can, and keeps what it took
//! while the gateway was away until it can report that.
//!
//! - `caller`: which door asks; `state`: the keys, and what the page needs to know to check a token alone
//! - `ask`: spend a token now, and report what was taken

pub(super) mod ask;
mod caller;
pub(super) mod state;

use actix_web::{HttpRequest, HttpResponse, get};
use askama::Template;

use self::caller::name_of;
use super::assets;
use super::caller::Visitor;
use super::kiosk::renewed;
use super::pair::home_of;
use crate::access::Role;
use crate::web::page::{page, see_other};
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "gate.html", config = "src/screens/askama.toml")]
struct GatePage {
    merchant: String,
    door: String,
    styles: &'static str,
    icon: &'static str,
    script: &'static str,
    version: &'static str,
    page_token: String,
}

/// The page of a door; another screen is led to its own, and who is none to where it can be paired.
#[get("")]
pub(super) async fn get_door(req: HttpRequest, visitor: Visitor) -> Result<HttpResponse, Problem> {
    let screen = match visitor {
        Visitor::Screen(screen) if screen.principal.role == Role::Door => screen,
        Visitor::Screen(screen) => return Ok(see_other(&home_of(screen.principal.role))),
        Visitor::Stranger(_) | Visitor::Unknown => return Ok(see_other(&"/pair")),
    };
    let answer = page(&GatePage {
        merchant: screen.principal.merchant()?.name.clone(),
        door: name_of(&screen),
        styles: assets::gate_styles(),
        icon: assets::icon(),
        script: assets::gate_script(),
        version: assets::gate_version(),
        page_token: screen.page_token.clone(),
    })?;
    Ok(renewed(&req, answer))
}
