//! `/console/waiting`: what waits for a person, those at a kiosk first, each with what will happen.
//!
//! - `count`: how many there are, for the band; `view`: each as the page shows it; `decide`: the answers

pub(super) mod count;
pub(super) mod decide;
mod view;

pub(super) use count::count;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use askama::Template;
use serde::Deserialize;

use super::caller::Caller;
use super::door::page_of;
use super::frame::{Frame, Section};
use super::icon::Icon;
use super::words::zone_of;
use crate::access::role::permit::{Decide, Permit};
use crate::gateway::Gateway;
use crate::web::extract::Params;
use crate::web::problem::Problem;
use view::{Case, cases};

/// The part of it that is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Left to a person by a rule.
    Referral,
    Contest,
    Version,
    Request,
    #[default]
    All,
}

impl Kind {
    /// The kinds in their order, each with its words.
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::All, "", "All"),
        (Self::Referral, "referral", "Left to a person"),
        (Self::Contest, "contest", "Contested"),
        (Self::Version, "version", "Rules to approve"),
        (Self::Request, "request", "Asked by people"),
    ];
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitingQuery {
    kind: Option<Kind>,
}

#[derive(Template)]
#[template(path = "waiting.html", config = "src/console/askama.toml")]
struct WaitingPage {
    frame: Frame,
    /// Address, words, number, and whether it is shown.
    tabs: Vec<(String, &'static str, usize, bool)>,
    cases: Vec<Case>,
    /// Said above the cases.
    said: Option<String>,
    at: String,
}

#[get("/waiting")]
pub(super) async fn get_waiting(
    caller: Caller<Decide>,
    gateway: Data<Gateway>,
    query: Params<WaitingQuery>,
) -> Result<HttpResponse, Problem> {
    show(&caller, &gateway, query.kind.unwrap_or_default(), None).await
}

/// The page; with what is said above it, where something was not done.
async fn show<P: Permit>(
    caller: &Caller<P>,
    gateway: &Gateway,
    kind: Kind,
    said: Option<String>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let now = gateway.clock.now();
    let all = cases(gateway, caller, merchant, now).await?;
    let number = |of: Kind| all.iter().filter(|case| of == Kind::All || case.kind == of).count();
    let address = |name: &str| match name {
        "" => "/console/waiting".to_owned(),
        name => format!("/console/waiting?kind={name}"),
    };
    let tabs = Kind::ALL.iter().map(|(it, name, words)| (address(name), *words, number(*it), *it == kind)).collect();
    let status = if said.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let at = now.to_zoned(zone_of(&merchant.time_zone)).strftime("%H:%M:%S").to_string();
    let frame = Frame::of("Waiting", Section::Waiting, caller.session(), now);
    let cases = all.into_iter().filter(|case| kind == Kind::All || case.kind == kind).collect();
    page_of(status, &WaitingPage { frame, tabs, cases, said, at })
}
