//! Answers that never end by themselves: server-sent events (WHATWG HTML, section 9.2), and a limit on them, as each holds
//! a connection for as long as its client likes. Counted per process.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpResponse, HttpResponseBuilder};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::problem::{Kind, Problem};
use crate::foundation::ids::{KeyId, MerchantId};
use crate::settings::StreamBounds;
use crate::telemetry::meters;

/// The streams that are open.
#[derive(Clone)]
pub(crate) struct Streams {
    bounds: StreamBounds,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_key: HashMap<KeyId, usize>,
    by_merchant: HashMap<MerchantId, usize>,
}

/// An open stream; dropped, it has ended.
pub(crate) struct StreamPermit {
    key: KeyId,
    merchant: MerchantId,
    of: Streams,
}

impl Streams {
    pub(crate) fn new(bounds: StreamBounds) -> Self {
        Self { bounds, open: Arc::default() }
    }

    /// Opens one more with the merchant's key.
    ///
    /// # Errors
    /// 429 where the key or the merchant has as many as one may have, 503 where the process has.
    pub(crate) fn open(&self, merchant: &MerchantId, key: &KeyId) -> Result<StreamPermit, Problem> {
        self.open_one_of(merchant, key, self.bounds.per_key)
    }

    /// [`Streams::open`], of so many that the key may have.
    pub(crate) fn open_one_of(&self, merchant: &MerchantId, key: &KeyId, most: usize) -> Result<StreamPermit, Problem> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_key = open.by_key.get(key).copied().unwrap_or(0);
        let of_merchant = open.by_merchant.get(merchant).copied().unwrap_or(0);
        let full = if of_key >= most.min(self.bounds.per_key) {
            Some(format!("This key has {of_key} streams open"))
        } else if of_merchant >= self.bounds.per_merchant {
            Some(format!("The keys of this merchant have {of_merchant} streams open here"))
        } else {
            None
        };
        if let Some(full) = full {
            let detail = format!("{full}, which is as many as may be: close another, or ask without a stream.");
            return Err(Problem::new(Kind::TooManyStreams, detail).retry_after(RETRY_SECONDS));
        }
        if open.all >= self.bounds.all {
            let detail = "This replica has as many streams open as it may have: ask without a stream, or try again.";
            return Err(Problem::new(Kind::Unavailable, detail).retry_after(RETRY_SECONDS));
        }
        open.all += 1;
        open.by_key.insert(key.clone(), of_key + 1);
        open.by_merchant.insert(merchant.clone(), of_merchant + 1);
        meters().streams.set_count([], open.all as u64);
        Ok(StreamPermit { key: key.clone(), merchant: merchant.clone(), of: self.clone() })
    }
}

const RETRY_SECONDS: u64 = 15;

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut open = self.of.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        meters().streams.set_count([], open.all as u64);
        take_one(&mut open.by_key, &self.key);
        take_one(&mut open.by_merchant, &self.merchant);
    }
}

/// Counts one less; nothing is kept of who has none.
fn take_one<K: Hash + Eq>(counts: &mut HashMap<K, usize>, of: &K) {
    match counts.get_mut(of) {
        Some(count) if *count > 1 => *count -= 1,
        _ => drop(counts.remove(of)),
    }
}

/// Something to be sent.
pub(crate) enum Wake<T> {
    Changed(T),
    /// Nothing has changed for a while: [`BEAT`].
    Beat,
}

/// The rhythm of a stream on its way: it says that it is alive, and ends when the process does.
pub(crate) struct Rhythm {
    heartbeat: Instant,
    pub ending: CancellationToken,
    _permit: StreamPermit,
}

impl Rhythm {
    pub(crate) fn new(ending: CancellationToken, permit: StreamPermit) -> Self {
        Self { heartbeat: Instant::now() + HEARTBEAT, ending, _permit: permit }
    }

    /// Waits for a change, at most until the next heartbeat. None ends the stream, as a change that is none does.
    pub(crate) async fn wait<T>(&mut self, changed: impl Future<Output = Option<T>>) -> Option<Wake<T>> {
        tokio::select! {
            biased;
            () = self.ending.cancelled() => None,
            changed = changed => changed.map(Wake::Changed),
            () = tokio::time::sleep_until(self.heartbeat) => {
                self.heartbeat = Instant::now() + HEARTBEAT;
                Some(Wake::Beat)
            }
        }
    }
}

/// How often a stream says that it is alive, and its caller is looked at again.
const HEARTBEAT: Duration = Duration::from_secs(15);

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
    fn a_key_a_merchant_and_a_process_have_so_many_and_what_ends_makes_room() {
        let key = |nth: u8| format!("key_{nth:032x}").parse::<KeyId>().unwrap();
        let merchant = |nth: u8| format!("mer_{nth:032x}").parse::<MerchantId>().unwrap();
        let streams = Streams::new(StreamBounds { all: 4, per_merchant: 3, per_key: 2 });
        let open = |of: u8, nth: u8| streams.open(&merchant(of), &key(nth)).map_err(|problem| problem.kind);
        let refused = |of, nth| open(of, nth).map(drop);
        let first = open(1, 1).unwrap();
        let _second = open(1, 1).unwrap();
        assert_eq!(refused(1, 1), Err(Kind::TooManyStreams), "the key has its two");
        let third = open(1, 2).unwrap();
        assert_eq!(refused(1, 2), Err(Kind::TooManyStreams), "the merchant has its three");
        assert_eq!(refused(1, 3), Err(Kind::TooManyStreams), "whichever key asks");
        let fourth = open(2, 4).unwrap();
        assert_eq!(refused(2, 4), Err(Kind::Unavailable), "the process has its four");
        drop(first);
        assert_eq!((refused(1, 1), refused(2, 4)), (Ok(()), Ok(())));
        drop((third, fourth));
        let open = streams.open.lock().unwrap();
        assert_eq!((open.all, open.by_key.len(), open.by_merchant.len()), (1, 1, 1), "nothing is kept of who has none");
    }
}
