//! `/desk`: someone at a counter asks for guests, and mends what came of it. Every page is made here and every act is a
//! form, so that it works without scripts; the page's script sends the same forms and puts what comes back in place.
//!
//! - `caller`: the desk and the clerk who acts at it; `form`: what is sent, and how it comes back when it isn't done
//! - `frame`: what stands around each page; `words`: how it says instants and codes
//! - `ask`: a person is asked for; `answer`: what a desk may see of it (`views`: its parts); `acts`: override, paid entry, undo, who came (`refusals`: why not)
//! - `own`: the checks that are this desk's to see
//! - `visits`, `inside`: who is inside; `place`: the count is corrected, the place is closed; `sign`: a clerk signs in and off
//!
//! Nothing of a person is in an address: what is scanned is posted, and shown by the id of its check.

pub(super) mod acts;
pub(super) mod answer;
pub(super) mod ask;
mod caller;
mod form;
mod frame;
pub(super) mod inside;
mod own;
pub(super) mod place;
mod refusals;
pub(super) mod sign;
mod views;
mod visits;
mod words;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use askama::Template;
use serde::Deserialize;

use self::caller::AtDesk;
use self::form::Looking;
use self::frame::Frame;
use super::assets;
use super::caller::Visitor;
use super::kiosk::renewed;
use super::pair::home_of;
use crate::gateway::Gateway;
use crate::web::extract::Params;
use crate::web::page::icon::Icon;
use crate::web::page::{page, see_other};
use crate::web::problem::{Kind, Problem};

#[derive(Template)]
#[template(path = "desk_idle.html", config = "src/screens/askama.toml")]
struct IdlePage {
    frame: Frame,
    done: Option<String>,
}

/// The side that says who is inside, alone: the script puts it in place when it changes.
#[derive(Template)]
#[template(path = "desk_side.html", config = "src/screens/askama.toml")]
struct SidePage {
    frame: Frame,
}

/// The act that led here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DoneQuery {
    #[serde(default)]
    done: String,
}

/// The words for an act that was done, where they are so still: the address may be an old one, or anybody's.
fn words_of(done: &str, frame: &Frame) -> Option<String> {
    let words = match (done, &frame.closed) {
        ("left", _) => "They have left, and their place is free.",
        ("corrected", _) => "The count is corrected.",
        ("closed", Some(_)) => "The place is closed. Nobody is let in until it opens.",
        ("opened", None) => "The place is open again.",
        ("opened", Some(closed)) => {
            return Some(format!("That closing is over, and another one holds until {}.", closed.until.text));
        }
        ("signed-off", _) if frame.clerk.is_none() => "You are signed off.",
        ("signed-in", _) if frame.clerk.is_some() => "You are signed in for ten minutes.",
        _ => return None,
    };
    Some(words.to_owned())
}

#[get("")]
pub(super) async fn get_desk(
    req: HttpRequest,
    visitor: Visitor,
    gateway: Data<Gateway>,
    query: Params<DoneQuery>,
) -> Result<HttpResponse, Problem> {
    let desk = match AtDesk::of(&req) {
        Ok(desk) => desk,
        Err(problem) if problem.kind == Kind::MissingKey => return Ok(see_other(&"/pair")),
        Err(problem) => match visitor {
            Visitor::Screen(screen) => return Ok(see_other(&home_of(screen.principal.role))),
            Visitor::Stranger(_) | Visitor::Unknown => return Err(problem),
        },
    };
    let frame = Frame::load(&gateway, &desk).await;
    let done = words_of(&query.done, &frame);
    Ok(renewed(&req, page(&IdlePage { frame, done })?))
}

/// The side alone. A desk that looks is there.
#[get("/side")]
pub(super) async fn get_side(looking: Looking, gateway: Data<Gateway>) -> Result<HttpResponse, Problem> {
    let desk = looking.0;
    let merchant = desk.merchant()?.id.clone();
    gateway.directory.note_device(merchant, desk.principal.key.clone(), assets::desk_version());
    page(&SidePage { frame: Frame::load(&gateway, &desk).await })
}
