//! Answers that go on: server-sent events (WHATWG HTML, section 9.2).

use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpResponse, HttpResponseBuilder};

/// How often a stream says that it is alive, and its caller is looked at again.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);

/// The comment that says so.
pub(crate) const BEAT: &str = ": heartbeat\n\n";

/// The first bytes: clients come back after this time, in milliseconds.
pub(crate) const OPENING: &str = "retry: 2000\n: perkgate\n\n";

/// An answer of events.
pub(crate) fn events_answer() -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.content_type("text/event-stream").insert_header((header::CACHE_CONTROL, "no-store"));
    // Proxies that gather answers would keep all of it.
    response.insert_header(("x-accel-buffering", "no"));
    response
}

/// The id of the event that a client has seen last, as it says when it comes back.
pub(crate) fn last_event(headers: &HeaderMap) -> Option<String> {
    headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned)
}

/// One event. `data` is one line.
pub(crate) fn event(id: Option<&str>, name: &str, data: &str) -> String {
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    format!("{id}event: {name}\ndata: {data}\n\n")
}
