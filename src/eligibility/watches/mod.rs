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
    T: Send + Sync + 'static,
{
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle, watched: Arc::default() }
    }

    /// Watches a thing that was just seen as `now`; `look` sees it again: none where it is no longer there to be seen, which
    /// ends its streams.
    pub(super) fn watch<L, F, E>(&self, key: K, now: T, news: News<T>, look: L) -> watch::Receiver<T>
    where
        L: Fn() -> F + Send + 'static,
        F: Future<Output = Result<Option<T>, E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = watched.get(&key) {
            // Newer than the last look, where a write came between.
            sender.send_if_modified(|known| (news.is_later)(known, &now) && news.renew(known, now));
            return sender.subscribe();
        }
        let (sender, changes) = watch::channel(now);
        watched.insert(key.clone(), sender);
        drop(watched);
        self.handle.spawn(LookOut { watched: self.watched.clone(), key: Some(key) }.run(news, look));
        changes
    }
}

/// The ways to tell news from what is known of a thing already.
pub(super) struct News<T> {
    /// Tells whether a newcomer saw it after the last look.
    pub is_later: fn(&T, &T) -> bool,
    /// Tells whether it is another now. A look is later than the one before, whatever the clock said meanwhile.
    pub is_other: fn(&T, &T) -> bool,
}

impl<T> News<T> {
    /// Puts what was seen in the place of what is known, where it is another; tells whether it did.
    fn renew(&self, known: &mut T, now: T) -> bool {
        let is_other = (self.is_other)(known, &now);
        if is_other {
            *known = now;
        }
        is_other
    }
}

/// Looks at a thing for as long as someone watches it. However that ends, by a panic too, its streams end with it, so that
/// their clients open others.
struct LookOut<K: Eq + Hash, T> {
    watched: Senders<K, T>,
    /// None once its streams were ended: from then on another may look at the same.
    key: Option<K>,
}

impl<K: Eq + Hash, T> LookOut<K, T> {
    async fn run<L, F, E>(mut self, news: News<T>, look: L)
    where
        L: Fn() -> F,
        F: Future<Output = Result<Option<T>, E>>,
        E: Display,
    {
        let mut looked_at = Instant::now();
        loop {
            tokio::time::sleep(EVERY).await;
            if !self.is_watched() {
                return;
            }
            match look().await {
                Ok(Some(now)) => {
                    self.tell(&news, now);
                    looked_at = Instant::now();
                }
                // A client that opens another learns why.
                Ok(None) => return,
                // The database is away, and the next look may tell more; but no screen shows for long what may be over.
                Err(error) => {
                    tracing::debug!(%error, "what is watched can't be read now");
                    if looked_at.elapsed() >= STALE {
                        return;
                    }
                }
            }
        }
    }

    /// Tells whether someone watches; where nobody does it ends under the lock, so that nobody begins to watch what ends.
    fn is_watched(&mut self) -> bool {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(key) = &self.key else { return false };
        if watched.get(key).is_some_and(|sender| sender.receiver_count() > 0) {
            return true;
        }
        watched.remove(key);
        self.key = None;
        false
    }

    fn tell(&self, news: &News<T>, now: T) {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = self.key.as_ref().and_then(|key| watched.get(key)) {
            sender.send_if_modified(|known| news.renew(known, now));
        }
    }
}

impl<K: Eq + Hash, T> Drop for LookOut<K, T> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.watched.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future;

    use super::*;

    type Look = future::Ready<Result<Option<u8>, Infallible>>;

    const NEWS: News<u8> = News { is_later: |known, now| now > known, is_other: |known, now| now != known };

    #[tokio::test]
    async fn a_look_that_panics_ends_the_streams_and_the_next_is_looked_at_again() {
        let watches = Watches::new(Handle::current());
        let fault: fn() -> Look = || panic!("a fault");
        let mut streams = [watches.watch("a", 1, NEWS, fault), watches.watch("a", 2, NEWS, fault)];
        for stream in &mut streams {
            assert_eq!(*stream.borrow_and_update(), 2);
            assert!(stream.changed().await.is_err(), "nobody looks any more");
        }
        let lesser: fn() -> Look = || future::ready(Ok(Some(0)));
        let mut again = watches.watch("a", 1, NEWS, lesser);
        again.changed().await.unwrap();
        assert_eq!(*again.borrow(), 0, "a look is news, be it of less");
    }
}
