//! Answers that never end by themselves: server-sent events (WHATWG HTML, section 9.2), and a limit on them, as each holds
//! a connection for as long as its client likes. Counted per process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpResponse, HttpResponseBuilder};

use super::problem::{Kind, Problem};
use crate::foundation::ids::KeyId;
use crate::telemetry::meters;

/// The streams that are open.
#[derive(Clone)]
pub(crate) struct Streams {
    most: usize,
    most_of_a_key: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_key: HashMap<KeyId, usize>,
}

/// An open stream; dropped, it has ended.
pub(crate) struct StreamPermit {
    key: KeyId,
    of: Streams,
}

impl Streams {
    pub(crate) fn new(most: usize, most_of_a_key: usize) -> Self {
        Self { most, most_of_a_key, open: Arc::default() }
    }

    /// Opens one more of the key's.
    ///
    /// # Errors
    /// 429 where the key has as many as one may have, 503 where the process has.
    pub(crate) fn open(&self, key: &KeyId) -> Result<StreamPermit, Problem> {
        self.open_one_of(key, self.most_of_a_key)
    }

    /// [`Streams::open`], of so many that the key may have.
    pub(crate) fn open_one_of(&self, key: &KeyId, most: usize) -> Result<StreamPermit, Problem> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_key = open.by_key.get(key).copied().unwrap_or(0);
        if of_key >= most.min(self.most_of_a_key) {
            let detail =
                format!("This key has {of_key} streams open, which is as many as one may have: close another.");
            return Err(Problem::new(Kind::TooManyStreams, detail).retry_after(RETRY_SECONDS));
        }
        if open.all >= self.most {
            let detail = "This replica has as many streams open as it may have: ask without a stream, or try again.";
            return Err(Problem::new(Kind::Unavailable, detail).retry_after(RETRY_SECONDS));
        }
        open.all += 1;
        open.by_key.insert(key.clone(), of_key + 1);
        meters().streams.set_count([], open.all as u64);
        Ok(StreamPermit { key: key.clone(), of: self.clone() })
    }
}

const RETRY_SECONDS: u64 = 15;

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut open = self.of.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        meters().streams.set_count([], open.all as u64);
        let left = open.by_key.get(&self.key).map_or(0, |of_key| of_key.saturating_sub(1));
        if left == 0 {
            open.by_key.remove(&self.key);
        } else {
            open.by_key.insert(self.key.clone(), left);
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_a_process_have_so_many_and_what_ends_makes_room() {
        let key = |nth: u8| format!("key_{nth:032x}").parse::<KeyId>().unwrap();
        let streams = Streams::new(3, 2);
        let refused = |nth| streams.open(&key(nth)).map(drop).map_err(|problem| problem.kind);
        let first = streams.open(&key(1)).unwrap();
        let _second = streams.open(&key(1)).unwrap();
        assert_eq!(refused(1), Err(Kind::TooManyStreams));
        let third = streams.open(&key(2)).unwrap();
        assert_eq!((refused(2), refused(1)), (Err(Kind::Unavailable), Err(Kind::TooManyStreams)));
        drop(first);
        assert_eq!(refused(2), Ok(()));
        drop(third);
        assert_eq!(refused(1), Ok(()));
        assert_eq!(streams.open.lock().unwrap().by_key.len(), 1, "nothing is kept of a key without streams");
    }
}
