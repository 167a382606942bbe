//! Errors as pages: what does not work, what still does, and what to do. Nothing of them says what belongs to others.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest};
use askama::Template;

use super::addresses::log_in_address;
use super::caller::{Visit, session_of};
use super::frame::{Frame, Section, home_of};
use super::icon::Icon;
use super::kept::Kept;
use crate::foundation::escape;
use crate::gateway::Gateway;
use crate::web::problem::{Kind, Problem};
use crate::web::request::RequestId;

#[derive(Template)]
#[template(path = "refusal.html", config = "src/console/askama.toml")]
struct RefusalPage {
    frame: Frame,
    digits: Vec<char>,
    heading: &'static str,
    lead: String,
    facts: Vec<(Icon, &'static str, &'static str)>,
    errors: Vec<String>,
    way: Option<(String, &'static str)>,
    /// The form that was not taken.
    kept: Option<Kept>,
    asks_log_in: bool,
    request_id: String,
    code: &'static str,
}

const NOTHING: &str = "Nothing was done.";

/// The page of a refusal.
pub(super) fn page(req: &HttpRequest, status: StatusCode, error: Option<&Error>) -> String {
    let problem = error.and_then(Error::as_error::<Problem>).cloned();
    let problem = problem.unwrap_or_else(|| {
        let kind = Kind::of_status(status);
        Problem::new(kind, kind.title())
    });
    let kept = req.extensions_mut().remove::<Kept>();
    Reader::of(req).page(&problem, status, kept)
}

/// The one to whom a refusal is shown.
pub(super) struct Reader {
    session: Option<Arc<Visit>>,
    gateway: Option<Data<Gateway>>,
    request_id: String,
}

impl Reader {
    pub(super) fn of(req: &HttpRequest) -> Self {
        Self {
            session: session_of(req),
            gateway: req.app_data::<Data<Gateway>>().cloned(),
            request_id: req.extensions().get::<RequestId>().map_or_else(String::new, ToString::to_string),
        }
    }

    /// The page, with the form that was not taken.
    pub(super) fn page(&self, problem: &Problem, status: StatusCode, kept: Option<Kept>) -> String {
        let page = self.view(problem, status, kept);
        // Its parts are texts: writing them to memory fails for nobody.
        page.render().unwrap_or_default()
    }

    fn view(&self, problem: &Problem, status: StatusCode, kept: Option<Kept>) -> RefusalPage {
        let session = self.session.as_ref();
        let home = session.map(|session| (home_of(session.principal.role).to_owned(), "Back to the beginning"));
        let detail = problem.detail.to_string();
        let asks_log_in = problem.kind == Kind::MissingKey;
        // Of what may have been done nothing is sent again.
        let may_send = asks_log_in || matches!(problem.kind, Kind::Unavailable | Kind::RateLimited);
        let kept = kept.filter(|_| may_send);
        let (heading, lead, way) = match (problem.kind, status.as_u16()) {
            (Kind::Unavailable | Kind::RateLimited, _) if kept.is_some() => {
                // A handler changes things in one step, at its end: a form that comes back so has done nothing.
                let detail = detail.trim_end_matches(NOTHING).trim_end();
                ("We can’t save right now", format!("{detail} {NOTHING} What you typed is in this page."), None)
            }
            (Kind::InDoubt, _) => {
                let lead = "The database went away while it was being saved, so it may have been done, or not. Open the page again \
                        and look, before you send it once more.";
                ("We don’t know whether that was done", lead.to_owned(), home)
            }
            (Kind::MissingKey, _) if kept.is_some() => {
                let lead = "Nothing was done, and what you typed is not lost: log in beside this page, then come back to it. You see \
                        what you typed before it is sent.";
                ("Your session has ended", lead.to_owned(), None)
            }
            (Kind::MissingKey, _) => {
                let lead = "Nothing was done, and nothing of what you typed was kept. Log in again, open the page, and type it once \
                        more.";
                ("Your session has ended", lead.to_owned(), Some((log_in_address("/console"), "Log in")))
            }
            (_, 404) => {
                let lead = "There is nothing at this address, or not for your account. It may have been removed, or the address \
                        was mistyped.";
                ("There is nothing here", lead.to_owned(), home)
            }
            (_, 403) => ("That is not possible from here", detail, home),
            (_, 409 | 412) => ("It has changed meanwhile", detail, home),
            (_, 413) => ("That is too much at once", detail, home),
            (_, 429) => ("Too many requests", format!("{detail} Wait a moment, then load the page again."), None),
            (_, 503) => ("We can’t do this right now", detail, None),
            (_, 500..) => ("Something went wrong here", detail, home),
            _ => ("That can’t be done", detail, home),
        };
        let facts = if status == StatusCode::SERVICE_UNAVAILABLE {
            vec![
                (
                    Icon::Cross,
                    "No new grants while the database is away.",
                    "Kiosks say so and try again every few seconds.",
                ),
                (Icon::Tick, "Doors go on.", "Tokens given before are verified with keys that doors hold."),
                (Icon::Tick, "Limits hold.", "Nothing was granted that isn’t recorded."),
            ]
        } else {
            Vec::new()
        };
        let frame = match (session, &self.gateway) {
            (Some(session), Some(gateway)) => Frame::of(heading, Section::None, session, gateway.clock.now()),
            _ => Frame::bare(heading),
        };
        RefusalPage {
            frame,
            digits: status.as_str().chars().collect(),
            heading,
            lead,
            facts,
            errors: problem.errors.iter().map(|error| escape::line(&error.detail).into_owned()).collect(),
            way,
            kept,
            asks_log_in,
            request_id: self.request_id.clone(),
            code: problem.kind.code(),
        }
    }
}
