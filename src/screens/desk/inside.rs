//! `/desk/inside`: the list of those who are inside; and that one of them leaves.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use super::form::{DeskForm, Looking, refuse};
use super::frame::Frame;
use super::visits::{VisitView, list_visits};
use crate::foundation::ids::GrantId;
use crate::gateway::Gateway;
use crate::ledger::entry::Actor;
use crate::ledger::grants::ending::Leaving;
use crate::web::extract::{Params, Path};
use crate::web::page::icon::Icon;
use crate::web::page::page;
use crate::web::problem::Problem;

/// The visits on a page.
const PAGE: usize = 50;

#[derive(Template)]
#[template(path = "desk_inside.html", config = "src/screens/askama.toml")]
struct InsidePage {
    frame: Frame,
    visits: Vec<VisitView>,
    next: Option<String>,
}

/// The place on the list where it goes on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::screens) struct InsideQuery {
    cursor: Option<String>,
}

#[get("/inside")]
pub(in crate::screens) async fn get_inside(
    looking: Looking,
    gateway: Data<Gateway>,
    query: Params<InsideQuery>,
) -> Result<HttpResponse, Problem> {
    let frame = Frame::load(&gateway, &looking.0).await;
    match Box::pin(list_visits(&gateway, &looking.0, &frame, query.cursor.as_deref(), PAGE)).await {
        Ok((visits, next)) => page(&InsidePage { frame, visits, next }),
        Err(problem) => refuse(frame, problem, None),
    }
}

/// Says that a guest has left. Again, it changes nothing.
#[post("/grants/{grant}/release")]
pub(in crate::screens) async fn post_release(
    form: DeskForm,
    gateway: Data<Gateway>,
    grant: Path<GrantId>,
) -> Result<HttpResponse, Problem> {
    let released = async {
        let principal = &form.desk.principal;
        let merchant = &form.desk.merchant()?.id;
        let found = gateway.checker.find_grant(merchant, &grant).await?.ok_or_else(Problem::not_found)?;
        form.desk.require_all_of(found.location.as_deref())?;
        let clerk = form.desk.clerk(&gateway).await;
        let actor = Actor { key: Some(clerk.unwrap_or_else(|| principal.key.clone())), role: principal.role.as_str() };
        let (location, kiosk) = (principal.location.clone(), principal.kiosk.clone());
        let leaving = Leaving { actor, location, kiosk, audience: None };
        gateway.ledger.release_grant(merchant, &grant, leaving).await?;
        Ok(if form.text("from") == "inside" { "/desk/inside" } else { "/desk?done=left" }.to_owned())
    };
    form.conclude(&gateway, released.await).await
}
