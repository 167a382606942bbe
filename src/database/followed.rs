//! An in-process snapshot of some tables that follows the database by an epoch.
//!
//! A writer bumps the epoch's row in its own transaction. A reader compares epochs: at once after
//! its own change, every 500 ms always, and at a request to refresh.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use diesel::prelude::*;
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::schema::epochs;
use super::{AnyConnection, Database, DatabaseError};
use crate::telemetry::Outage;

/// The interval between polls of the epoch: what one replica revokes is dead on all within a second.
pub const POLL_EVERY: Duration = Duration::from_millis(500);

/// The longest that a poll may take before the database counts as away.
const POLL_PATIENCE: Duration = Duration::from_secs(3);

/// The least time between two polls that someone asked for: a client that can publish in Redis can ask for one.
const NUDGED_EVERY: Duration = Duration::from_millis(50);

/// Unknown names ask the database at most this often, however many of them come.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Moves an epoch on, inside the transaction of the change: seen together or not at all. Returns its new value; its row
/// is locked until the transaction ends.
///
/// # Errors
/// [`DatabaseError`].
pub fn bump_epoch(conn: &mut AnyConnection, name: &str) -> Result<i64, DatabaseError> {
    diesel::update(epochs::table.find(name)).set(epochs::value.eq(epochs::value + 1)).execute(conn)?;
    get_epoch(conn, name)
}

/// Waits until nobody is moving the epoch on: a writer that has done so and is still committing holds its row.
///
/// # Errors
/// [`DatabaseError`].
pub fn lock_epoch(conn: &mut AnyConnection, name: &str) -> Result<(), DatabaseError> {
    match conn {
        AnyConnection::Postgres(c) => {
            epochs::table.find(name).select(epochs::value).for_no_key_update().first::<i64>(c)?;
        }
        // A writer to SQLite is alone.
        AnyConnection::Sqlite(_) => {}
    }
    Ok(())
}

fn get_epoch(conn: &mut AnyConnection, name: &str) -> Result<i64, DatabaseError> {
    Ok(epochs::table.find(name).select(epochs::value).first(conn)?)
}

/// Reads the content again; the one that stands is handed in, so that parts can be kept.
type Load<T> = Box<dyn Fn(&mut AnyConnection, &T) -> Result<T, DatabaseError> + Send + Sync>;

/// A snapshot of `T`; cheap to clone.
pub struct ReplicatedSnapshot<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    database: Database,
    epoch: &'static str,
    load: Load<T>,
    snapshot: ArcSwap<Snapshot<T>>,
    reachable: AtomicBool,
    /// Held while reloading: a slow, older load must not replace a newer one.
    reloading: Mutex<()>,
    /// When a name that is unknown last began to ask.
    asked: Mutex<Option<Instant>>,
    request_refresh: Notify,
    announce: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// The content with the epoch it was read at; none before the first load.
pub struct Snapshot<T> {
    epoch: Option<i64>,
    pub content: T,
}

impl<T> Clone for ReplicatedSnapshot<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<T: Default + Send + Sync + 'static> ReplicatedSnapshot<T> {
    /// A snapshot that is empty until its first [`ReplicatedSnapshot::reload`].
    pub fn new(
        database: Database,
        epoch: &'static str,
        load: impl Fn(&mut AnyConnection, &T) -> Result<T, DatabaseError> + Send + Sync + 'static,
    ) -> Self {
        let snapshot = ArcSwap::from_pointee(Snapshot { epoch: None, content: T::default() });
        Self {
            inner: Arc::new(Inner {
                database,
                epoch,
                load: Box::new(load),
                snapshot,
                reachable: AtomicBool::new(true),
                reloading: Mutex::new(()),
                asked: Mutex::new(None),
                request_refresh: Notify::new(),
                announce: OnceLock::new(),
            }),
        }
    }

    /// The snapshot that stands now. No I/O.
    #[must_use]
    pub fn now(&self) -> Guard<Arc<Snapshot<T>>> {
        self.inner.snapshot.load()
    }

    /// True if there is a snapshot to answer from.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.now().epoch.is_some()
    }

    /// True if the database answered when it was last asked.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.inner.reachable.load(Ordering::Relaxed)
    }

    /// Reads everything again. What committed before this call is in the snapshot after it.
    ///
    /// # Errors
    /// [`DatabaseError`]; the old snapshot is then retained.
    pub async fn reload(&self) -> Result<(), DatabaseError> {
        let _one_at_a_time = self.inner.reloading.lock().await;
        let inner = self.inner.clone();
        let read = move |conn: &mut AnyConnection| {
            // The epoch before the content: a change that commits in between is read twice, and
            // never missed.
            let epoch = get_epoch(conn, inner.epoch)?;
            let content = (inner.load)(conn, &inner.snapshot.load().content)?;
            Ok(Snapshot { epoch: Some(epoch), content })
        };
        let snapshot = self.watch(self.inner.database.read(read).await)?;
        self.inner.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    /// Reloads if the database moved on; says whether it had.
    ///
    /// # Errors
    /// [`DatabaseError`]; the old snapshot is then retained.
    pub async fn poll(&self) -> Result<bool, DatabaseError> {
        let name = self.inner.epoch;
        let epoch = self.watch(self.inner.database.read(move |conn| get_epoch(conn, name)).await)?;
        let moved = self.now().epoch != Some(epoch);
        if moved {
            self.reload().await?;
        }
        Ok(moved)
    }

    /// True if the snapshot is as new as the database.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn is_current(&self) -> Result<bool, DatabaseError> {
        let name = self.inner.epoch;
        let epoch = self.watch(self.inner.database.read(move |conn| get_epoch(conn, name)).await)?;
        Ok(self.now().epoch == Some(epoch))
    }

    /// Sets how an own change is announced to the other replicas. The first one given counts.
    pub fn announce_with(&self, announce: impl Fn() + Send + Sync + 'static) {
        let _ = self.inner.announce.set(Box::new(announce));
    }

    /// After an own change: reads it, and tells the others. The change is committed whatever
    /// happens here; failing now would invite a second one, and the poll catches up.
    pub async fn follow_own_change(&self) {
        if let Some(announce) = self.inner.announce.get() {
            announce();
        }
        if let Err(error) = self.reload().await {
            tracing::warn!(%error, snapshot = self.inner.epoch, "could not reload after a change; the poll will");
        }
    }

    /// Asks for a poll now rather than at the next tick.
    pub fn request_refresh(&self) {
        self.inner.request_refresh.notify_one();
    }

    /// Polls until cancelled. Says once when the database goes away and once when it is back.
    pub async fn follow(self, cancel: CancellationToken) {
        let mut ticks = interval(POLL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next_nudged = Instant::now();
        let outage = Outage::new("can't follow the database", "following the database again");
        loop {
            let nudged = async {
                sleep_until(next_nudged).await;
                self.inner.request_refresh.notified().await;
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = nudged => next_nudged = Instant::now() + NUDGED_EVERY,
                _ = ticks.tick() => {}
            }
            // A database that hangs says nothing: silence counts as away.
            let polled = tokio::time::timeout(POLL_PATIENCE, self.poll()).await.unwrap_or_else(|_| {
                self.inner.reachable.store(false, Ordering::Relaxed);
                Err(DatabaseError::Busy)
            });
            match polled {
                Ok(_) => outage.succeeded(),
                Err(error) => outage.failed(&format_args!("{}: {error}", self.inner.epoch)),
            }
        }
    }

    /// Makes sure that the snapshot is no older than this call, so that what was just made works
    /// at once. All who come while one asks share the next answer, and a flood of made-up names
    /// costs one small query per 100 ms.
    ///
    /// # Errors
    /// [`DatabaseError`] when the database can't be asked.
    pub async fn catch_up(&self) -> Result<(), DatabaseError> {
        let came = Instant::now();
        let mut asked = self.inner.asked.lock().await;
        if let Some(last) = *asked {
            if last >= came {
                return Ok(());
            }
            sleep_until(last + ASK_EVERY).await;
        }
        let begun = Instant::now();
        self.poll().await?;
        // Only a success counts for the others: after a failure each of them asks for itself.
        *asked = Some(begun);
        Ok(())
    }

    fn watch<R>(&self, result: Result<R, DatabaseError>) -> Result<R, DatabaseError> {
        self.inner.reachable.store(result.is_ok(), Ordering::Relaxed);
        result
    }
}
