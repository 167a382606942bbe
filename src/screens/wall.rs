//! `/wall`: how full the place is, readable from five metres.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use askama::Template;

use super::assets;
use super::caller::{AtPlace, FromPage};
use super::kiosk::page_of_screen;
use super::messages::{self, Shell};
use super::place::{PageQuery, look};
use crate::gateway::Gateway;
use crate::web::extract::Params;
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "wall.html", config = "src/screens/askama.toml")]
struct WallPage {
    shell: Shell,
    script: &'static str,
}

#[get("")]
pub(super) async fn get_wall(req: HttpRequest, screen: Result<AtPlace, Problem>) -> Result<HttpResponse, Problem> {
    page_of_screen(&req, screen, |screen| WallPage { shell: messages::shell(screen), script: assets::wall_script() })
}

#[get("/state")]
pub(super) async fn get_state(
    screen: FromPage,
    gateway: Data<Gateway>,
    query: Params<PageQuery>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(look(&gateway, &screen, screen.merchant()?, &query).await?))
}
