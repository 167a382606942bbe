//! `/console/today/events`: what happens as server-sent events. `decisions` has new rows, at most five a second, and how
//! many others there were; `figures` the numbers, where they are others than before. An event's id is the index of the log up
//! to which all is shown, so a page that comes back, to any replica, misses nothing and sees nothing twice.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, get};
use askama::Template;
use futures_util::stream;
use serde::Deserialize;
use tokio::time::Instant;

use super::figures::Figures;
use super::rows::{FeedRow, feed_rows};
use super::shared::SharedFigures;
use crate::access::Permission;
use crate::access::role::permit::Audit;
use crate::console::caller::{Caller, Visit};
use crate::eligibility::today::live::Growing;
use crate::foundation::ids::PerkSlug;
use crate::gateway::Gateway;
use crate::perks::perk::Perk;
use crate::web::extract::Params;
use crate::web::problem::Problem;
use crate::web::request::is_head;
use crate::web::state::State;
use crate::web::streams::{BEAT, OPENING, Rhythm, Wake, event, events_answer, last_event};

/// The most streams of an account.
const MOST_STREAMS: usize = 4;

/// The most rows of one event.
const MOST_ROWS: usize = 5;

/// The least time between two events.
const PACE: Duration = Duration::from_secs(1);

/// An index of the log; query parameters come as text.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::console) struct LogIndex(i64);

impl TryFrom<String> for LogIndex {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let is_plain = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| is_plain).map(Self).ok_or("an index is a whole number from 0 on")
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct StreamQuery {
    perk: PerkSlug,
    /// The index up to which the page has all; what happens from now on without it.
    from: Option<LogIndex>,
}

#[get("/today/events")]
pub(in crate::console) async fn watch_today(
    caller: Caller<Audit>,
    gateway: Data<Gateway>,
    state: Data<State>,
    shared: Data<SharedFigures>,
    query: Params<StreamQuery>,
    req: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?.id.clone();
    let perk = gateway.catalog.find_perk(&merchant, &query.perk).await?;
    let permit = state.streams.open_one_of(&merchant, &caller.key, MOST_STREAMS)?;
    let growing = gateway.live.watch(&merchant).await?;
    let now = gateway.live.newest((&merchant, &perk.id), Some(i64::MAX), 0, false).await?.next;
    let mut response = events_answer();
    if is_head(&req) {
        return Ok(response.finish());
    }
    let seen = last_event(req.headers()).and_then(|id| LogIndex::try_from(id).ok()).or(query.from);
    let events = Events {
        next: seen.map_or(now, |LogIndex(index)| index.min(now)),
        sees_handles: caller.role.may(Permission::AnswerSubjects),
        session: caller.session().clone(),
        perk,
        growing,
        shared,
        figures: String::new(),
        is_begun: false,
        rhythm: Rhythm::new(state.draining(), permit),
        rests_until: Instant::now(),
        gateway,
    };
    Ok(response.streaming(stream::unfold(events, |mut events| async move {
        let bytes = events.next().await?;
        Some((Ok::<_, actix_web::Error>(bytes), events))
    })))
}

/// A stream on its way.
struct Events {
    session: Arc<Visit>,
    perk: Perk,
    sees_handles: bool,
    growing: Growing,
    shared: Data<SharedFigures>,
    /// The index of the log from where on nothing is shown yet.
    next: i64,
    /// The figures as they were sent last.
    figures: String,
    is_begun: bool,
    rhythm: Rhythm,
    rests_until: Instant,
    gateway: Data<Gateway>,
}

impl Events {
    /// The bytes that are sent next; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.is_begun {
            self.is_begun = true;
            let news = self.news().await?;
            return Some(format!("{OPENING}{news}").into());
        }
        loop {
            let wake = self.rhythm.wait(self.growing.grown()).await?;
            if matches!(wake, Wake::Changed(())) {
                let rest = tokio::time::sleep_until(self.rests_until);
                self.rhythm.ending.run_until_cancelled(rest).await?;
            }
            if !self.goes_on().await {
                return None;
            }
            match wake {
                Wake::Changed(()) => {
                    let news = self.news().await?;
                    if !news.is_empty() {
                        return Some(news.into());
                    }
                }
                Wake::Beat => {
                    // Guests lapse and places close though nothing is recorded.
                    let figures = self.read_figures().await?;
                    let figures = self.changed_figures(&figures)?;
                    return Some(format!("{BEAT}{figures}").into());
                }
            }
        }
    }

    /// Tells whether the session goes on; one that can't be read now has ended.
    async fn goes_on(&self) -> bool {
        self.gateway.directory.goes_on(&self.session).await.unwrap_or(false)
    }

    /// The decisions since the last look, in the order of the log. None ends the stream: the page comes back.
    async fn news(&mut self) -> Option<String> {
        self.rests_until = Instant::now() + PACE;
        let merchant = self.session.principal.merchant.as_ref()?;
        let of = (&merchant.id, &self.perk.id);
        let seen = self.gateway.live.newest(of, Some(self.next), MOST_ROWS, self.sees_handles).await.ok()?;
        self.next = seen.next.max(self.next);
        let (more, count) = (seen.more, seen.more + seen.checks.len() as u64);
        // What was recorded of other perks is in the figures of none of this one.
        if count == 0 && !self.figures.is_empty() {
            return Some(String::new());
        }
        let figures = self.read_figures().await?;
        let decisions = if count == 0 {
            String::new()
        } else {
            let rows = RowsPart { rows: feed_rows(&seen, &figures), more }.render().ok()?;
            let data = serde_json::json!({ "rows": rows, "checks": count });
            event(Some(&self.next.to_string()), "decisions", &data.to_string())
        };
        let figures = self.changed_figures(&figures)?;
        Some(format!("{decisions}{figures}"))
    }

    async fn read_figures(&self) -> Option<Arc<Figures>> {
        self.shared.of(&self.gateway, &self.session.principal, &self.perk, self.next).await.ok()
    }

    /// The event of the figures, where they are others than those that were sent last.
    fn changed_figures(&mut self, figures: &Figures) -> Option<String> {
        let board = BoardPart { figures }.render().ok()?;
        let side = SidePart { figures }.render().ok()?;
        let hours = HoursPart { figures }.render().ok()?;
        let data = serde_json::json!({ "board": board, "side": side, "hours": hours }).to_string();
        if data == self.figures {
            return Some(String::new());
        }
        self.figures.clone_from(&data);
        Some(event(None, "figures", &data))
    }
}

#[derive(Template)]
#[template(path = "today_rows.html", config = "src/console/askama.toml")]
struct RowsPart {
    rows: Vec<FeedRow>,
    more: u64,
}

#[derive(Template)]
#[template(path = "today_board.html", config = "src/console/askama.toml")]
struct BoardPart<'a> {
    figures: &'a Figures,
}

#[derive(Template)]
#[template(path = "today_side.html", config = "src/console/askama.toml")]
struct SidePart<'a> {
    figures: &'a Figures,
}

#[derive(Template)]
#[template(path = "today_hours.html", config = "src/console/askama.toml")]
struct HoursPart<'a> {
    figures: &'a Figures,
}
