//! `GET /v1/perks/{perk}/occupancy/stream`: who is inside as server-sent events (WHATWG HTML, section 9.2).
//!
//! An event's id is a digest of what it says, so that a client that comes back, to any replica, gets it again only if it has
//! changed meanwhile.

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, get};
use aws_lc_rs::digest;
use futures_util::stream;
use secrecy::{ExposeSecret, SecretString};

use super::{OccupancyView, PlaceQuery, asked};
use crate::access::role::permit::CountInside;
use crate::eligibility::occupancy::{Occupancy, Watched};
use crate::foundation::ids::PerkSlug;
use crate::foundation::subject::hex;
use crate::gateway::Gateway;
use crate::http::openapi::problems::{
    ProblemsOfKeys, ProblemsOfNames, ProblemsOfOccupancy, ProblemsOfQuery, ProblemsOfStreams,
};
use crate::web::auth::Authorized;
use crate::web::extract::{Params, Path};
use crate::web::problem::Problem;
use crate::web::request::is_head;
use crate::web::state::State;
use crate::web::streams::{self, BEAT, OPENING, Rhythm, Wake, events_answer, last_event};

/// Number of digits of an event's id: enough to tell any two states apart.
const ID_DIGITS: usize = 32;

/// Watch who is inside
///
/// Server-sent events: `occupancy` with the answer of `GET …/occupancy`, at once and whenever it is another, within about a
/// second on every replica; a comment each 15 seconds. With the `Last-Event-ID` of what a client has seen last, it gets it
/// again only if that has changed. A stream ends when the replica stops, the key is revoked, or the rule counts otherwise: come
/// back after the time that `retry` says.
#[utoipa::path(
    tag = "perks",
    params(
        ("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the event that was seen last"),
        PlaceQuery
    ),
    responses(
        (status = 200, description = "Events, until either side closes", body = String, content_type = "text/event-stream",
            example = json!("id: 5f0c\nevent: occupancy\ndata: {\"inside\":41,\"capacity\":60,\"free\":19,\"expected_releases\":[],\"peak_today\":58,\"as_of\":\"2026-11-30T18:00:00Z\"}\n\n")),
        ProblemsOfOccupancy, ProblemsOfStreams, ProblemsOfNames, ProblemsOfQuery, ProblemsOfKeys
    )
)]
#[get("/perks/{perk}/occupancy/stream")]
pub(crate) async fn watch_occupancy(
    caller: Authorized<CountInside>,
    gateway: Data<Gateway>,
    state: Data<State>,
    perk: Path<PerkSlug>,
    query: Params<PlaceQuery>,
    req: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let asked = asked(&caller, perk.clone(), query.into_inner())?;
    let merchant = caller.merchant()?;
    let permit = state.streams.open(&merchant.id, &caller.key)?;
    let watched = gateway.floor.watch(merchant, &asked).await?;
    let mut response = events_answer();
    if is_head(&req) {
        return Ok(response.finish());
    }
    let events = Events {
        watched,
        seen: last_event(req.headers()),
        is_begun: false,
        rhythm: Rhythm::new(state.draining(), permit),
        secret: bearer(req.headers()),
        gateway,
    };
    Ok(response.streaming(stream::unfold(events, |mut events| async move {
        let bytes = events.next().await?;
        Some((Ok::<_, actix_web::Error>(bytes), events))
    })))
}

/// The key that the middleware has let in, to be held to its word for as long as the stream lasts.
fn bearer(headers: &HeaderMap) -> SecretString {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value
        .and_then(|value| value.split_once(' '))
        .map_or_else(String::new, |(_, secret)| secret.trim().to_owned())
        .into()
}

/// A stream on its way.
struct Events {
    watched: Watched,
    /// The id of what the client has got last.
    seen: Option<String>,
    is_begun: bool,
    rhythm: Rhythm,
    secret: SecretString,
    gateway: Data<Gateway>,
}

impl Events {
    /// The bytes that are sent next; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.is_begun {
            self.is_begun = true;
            let now = self.watched.current();
            let event = self.event(&now).unwrap_or_default();
            return Some(format!("{OPENING}{event}").into());
        }
        loop {
            let wake = self.rhythm.wait(self.watched.changed()).await?;
            self.gateway.directory.recognize(self.secret.expose_secret(), self.gateway.clock.now()).ok()?;
            match wake {
                Wake::Changed(now) => {
                    if let Some(event) = self.event(&now) {
                        return Some(event.into());
                    }
                }
                Wake::Beat => return Some(Bytes::from_static(BEAT.as_bytes())),
            }
        }
    }

    /// The event, unless the client has seen it.
    fn event(&mut self, now: &Occupancy) -> Option<String> {
        let id = id_of(now);
        if self.seen.as_ref() == Some(&id) {
            return None;
        }
        let view = serde_json::to_string(&OccupancyView::from(now.clone())).ok()?;
        let event = streams::event(Some(&id), "occupancy", &view);
        self.seen = Some(id);
        Some(event)
    }
}

/// A digest of all but when it was looked at.
fn id_of(now: &Occupancy) -> String {
    let undated = Occupancy { as_of: jiff::Timestamp::UNIX_EPOCH, ..now.clone() };
    let text = serde_json::to_vec(&undated).unwrap_or_default();
    hex(digest::digest(&digest::SHA256, &text).as_ref()).chars().take(ID_DIGITS).collect()
}
