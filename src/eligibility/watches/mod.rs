//! Things that streams watch: however many streams there are of one, the database is asked about it once a second. What
//! other replicas write is seen that way too, and nothing is asked while nobody watches.

use std::collections::HashMap;
use std::fmt::Display;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;

/// How often a watched thing is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// How long streams go on where nobody can see it now.
const STALE: Duration = Duration::from_secs(10);

type Senders<K, T> = Arc<Mutex<HashMap<K, watch::Sender<T>>>>;

/// The things that are watched now, by their keys. Cheap to clone.
pub(super) struct Watches<K, T> {
    /// The runtime that outlives each worker's: the look-out of one thing serves streams of all.
    handle: Handle,
    watched: Senders<K, T>,
}

impl<K, T> Clone for Watches<K, T> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone(), watched: self.watched.clone() }
    }
}

impl<K, T> Watches<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle, watched: Arc::default() }
    }

    /// Watches a thing that was just seen as `now`. `renew` puts what is seen in the place of what is known, and tells
    /// whether that is news. `look` sees it again: none where it is no longer there to be seen, which ends its streams.
    pub(super) fn watch<L, F, E>(&self, key: K, now: T, renew: fn(&mut T, &T) -> bool, look: L) -> watch::Receiver<T>
    where
        L: Fn() -> F + Send + 'static,
        F: Future<Output = Result<Option<T>, E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = watched.get(&key) {
            // Newer than the last look, where a write came between.
            sender.send_if_modified(|known| renew(known, &now));
            return sender.subscribe();
        }
        let (sender, changes) = watch::channel(now);
        watched.insert(key.clone(), sender);
        drop(watched);
        self.handle.spawn(look_out(self.watched.clone(), key, renew, look));
        changes
    }
}

/// Looks at a thing for as long as someone watches it.
async fn look_out<K, T, L, F, E>(watched: Senders<K, T>, key: K, renew: fn(&mut T, &T) -> bool, look: L)
where
    K: Eq + Hash + Send,
    T: Send + Sync,
    L: Fn() -> F + Send,
    F: Future<Output = Result<Option<T>, E>> + Send,
    E: Display + Send,
{
    let mut looked_at = Instant::now();
    loop {
        tokio::time::sleep(EVERY).await;
        // Under the lock, so that nobody begins to watch what ends here.
        {
            let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
            if watched.get(&key).is_none_or(|sender| sender.receiver_count() == 0) {
                watched.remove(&key);
                return;
            }
        }
        let looked = look().await;
        let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
        match looked {
            Ok(Some(now)) => {
                if let Some(sender) = watched.get(&key) {
                    sender.send_if_modified(|known| renew(known, &now));
                }
                looked_at = Instant::now();
            }
            // Streams end, and a client that opens another learns why.
            Ok(None) => {
                watched.remove(&key);
                return;
            }
            // The database is away, and the next look may tell more; but no screen shows for long what may be over.
            Err(error) => {
                tracing::debug!(%error, "what is watched can't be read now");
                if looked_at.elapsed() >= STALE {
                    watched.remove(&key);
                    return;
                }
            }
        }
    }
}
