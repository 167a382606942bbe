//! `/door`: what doors show while their page is not built.

use actix_web::{HttpRequest, HttpResponse, get};
use askama::Template;

use super::assets;
use super::caller::Visitor;
use super::kiosk::renewed;
use super::pair::home_of;
use crate::access::Role;
use crate::web::page::{page, see_other};
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "later.html", config = "src/screens/askama.toml")]
struct LaterPage {
    styles: &'static str,
    icon: &'static str,
    title: &'static str,
    /// The id by which the console lists it.
    device: String,
}

/// The page of a screen of this role; another visitor is led to where its own is, or can be paired.
fn later(req: &HttpRequest, visitor: Visitor, role: Role, title: &'static str) -> Result<HttpResponse, Problem> {
    let screen = match visitor {
        Visitor::Screen(screen) if screen.principal.role == role => screen,
        Visitor::Screen(screen) => return Ok(see_other(&home_of(screen.principal.role))),
        Visitor::Stranger(_) | Visitor::Unknown => return Ok(see_other(&"/pair")),
    };
    let device = screen.principal.key.to_string();
    Ok(renewed(req, page(&LaterPage { styles: assets::styles(), icon: assets::icon(), title, device })?))
}

#[get("")]
pub(super) async fn get_door(req: HttpRequest, visitor: Visitor) -> Result<HttpResponse, Problem> {
    later(&req, visitor, Role::Door, "This screen is a door.")
}
