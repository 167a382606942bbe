//! `/console/waiting`: what waits for a person, those at a kiosk first, each with what will happen.
//!
//! - `count`: how many there are, for the band; `view`: each as the page shows it; `decide`: the answers; `held`: feeds of
//!   scores

pub(super) mod count;
pub(super) mod decide;
pub(super) mod held;
mod view;

pub(super) use count::count;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use askama::Template;
use serde::Deserialize;

use super::caller::{Caller, Waiting};
use super::door::page_of;
use super::frame::{Frame, Section};
use super::icon::Icon;
use super::words::{encoded, zone_of};
use crate::access::role::permit::{Decide, Permit};
use crate::gateway::Gateway;
use crate::web::extract::Params;
use crate::web::problem::Problem;
use count::MOST;
use view::{Asked, Case, Cases, cases};

/// The part of it that is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Left to a person by a rule.
    Referral,
    Contest,
    Version,
    Request,
    Held,
    #[default]
    All,
}

impl Kind {
    /// The kinds in their order, each with its words.
    const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::All, "", "All"),
        (Self::Referral, "referral", "Left to a person"),
        (Self::Contest, "contest", "Contested"),
        (Self::Version, "version", "Rules to approve"),
        (Self::Request, "request", "Asked by people"),
        (Self::Held, "held", "Held scores"),
    ];
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitingQuery {
    kind: Option<Kind>,
    /// Behind which of the kind the page begins.
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "waiting.html", config = "src/console/askama.toml")]
struct WaitingPage {
    frame: Frame,
    /// Address, words, number, and whether it is shown.
    tabs: Vec<(String, &'static str, String, bool)>,
    cases: Vec<Case>,
    /// The page of the others of the kind.
    next: Option<String>,
    /// There are more of some kind than are shown among all.
    is_cut: bool,
    /// Said above: what happened to it meanwhile.
    said: Option<String>,
    at: String,
}

#[get("/waiting")]
pub(super) async fn get_waiting(
    caller: Caller<Decide>,
    gateway: Data<Gateway>,
    query: Params<WaitingQuery>,
) -> Result<HttpResponse, Problem> {
    let after = Some(query.after.as_str()).filter(|after| !after.is_empty());
    show_part(&caller, &gateway, Asked { kind: query.kind.unwrap_or_default(), after }, None).await
}

/// The number of a kind, with a sign where it was not counted to the end.
fn shown(counts: Waiting, kind: Kind) -> String {
    let Waiting { referrals, contests, versions, requests, held } = counts;
    let each = match kind {
        Kind::Referral => vec![referrals],
        Kind::Contest => vec![contests],
        Kind::Version => vec![versions],
        Kind::Request => vec![requests],
        Kind::Held => vec![held],
        Kind::All => vec![referrals, contests, versions, requests, held],
    };
    let more = if each.iter().any(|number| *number >= MOST as usize) { "+" } else { "" };
    format!("{}{more}", each.iter().sum::<usize>())
}

/// The page; with what is said above it, where something was not done.
async fn show<P: Permit>(
    caller: &Caller<P>,
    gateway: &Gateway,
    kind: Kind,
    said: Option<String>,
) -> Result<HttpResponse, Problem> {
    show_part(caller, gateway, Asked { kind, after: None }, said).await
}

async fn show_part<P: Permit>(
    caller: &Caller<P>,
    gateway: &Gateway,
    asked: Asked<'_>,
    said: Option<String>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let (now, kind) = (gateway.clock.now(), asked.kind);
    let Cases { found, next } = cases(gateway, caller, merchant, asked, now).await?;
    let counts = caller.session().waiting;
    let number = |of: Kind| counts.map_or_else(String::new, |counts| shown(counts, of));
    let address = |name: &str| match name {
        "" => "/console/waiting".to_owned(),
        name => format!("/console/waiting?kind={name}"),
    };
    let tabs = Kind::ALL.iter().map(|(it, name, words)| (address(name), *words, number(*it), *it == kind)).collect();
    let own = Kind::ALL.iter().find(|(it, ..)| *it == kind).map_or("", |(_, name, _)| *name);
    let status = if said.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let page = WaitingPage {
        frame: Frame::of("Waiting", Section::Waiting, caller.session(), now),
        tabs,
        cases: found,
        is_cut: kind == Kind::All && next.is_some(),
        next: next.filter(|_| kind != Kind::All).map(|next| format!("{}&after={}", address(own), encoded(&next))),
        said,
        at: now.to_zoned(zone_of(&merchant.time_zone)).strftime("%H:%M:%S").to_string(),
    };
    page_of(status, &page)
}
