//! The score cache's first tier, in this process: bounded, short-lived, and never older than a
//! write that this process has learned of.
//!
//! The race it must not lose: a reader loads the old row, a writer commits and drops the key, and
//! the reader then fills the cache with what it read. So nothing is dropped by removing it. Every
//! key belongs to a stripe with a counter; a write moves the counter on, a slot carries the count
//! from before it was loaded, and a slot behind its stripe is not served. That holds for loads
//! that are still under way too. What writes elsewhere don't tell us of lives for one `ttl`, counted
//! from when the database was asked: another replica may have asked it, and left the answer in Redis.
//! What this process read itself lives for as long as the epochs of scores (`following.rs`) say that it stands.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use moka::future::Cache;

use crate::database::DatabaseError;
use crate::foundation::clock::{Clock, from_micros};
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::subject::SubjectRef;
use crate::telemetry::meters;

use super::score::Score;
use super::store::epochs;

/// One per value of a reference's first two bytes. Many, because a write unseats the whole stripe:
/// an import of a thousand scores costs about one slot in 65 its place.
const STRIPES: usize = 1 << 16;

/// The longest that a score stays, however long it stands: nobody may have asked for it again.
const LONGEST: Duration = Duration::from_mins(10);

/// A write may overtake a load; after so many the load's own answer is given and not kept.
const TRIES: usize = 3;

/// The key that a score is kept under. It names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScoreKey {
    pub merchant: MerchantId,
    pub source: SourceName,
    pub subject: SubjectRef,
}

impl ScoreKey {
    /// The same on every replica: the reference is a keyed hash, so its bytes are spread already.
    pub(super) const fn stripe(&self) -> u16 {
        let SubjectRef([first, second, ..]) = self.subject;
        u16::from_be_bytes([first, second])
    }
}

/// Scores, and that there are none, kept in this process; cheap to clone.
#[derive(Clone)]
pub struct Memory {
    slots: Cache<ScoreKey, Slot>,
    stripes: Arc<[AtomicU64]>,
    ttl: SignedDuration,
    /// In microseconds: all that was written before is known to the counters.
    stood_at: Arc<AtomicI64>,
    clock: Clock,
}

/// The score that stood in the database for a key, if one did, and no earlier than when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaded {
    pub found: Option<Score>,
    /// Before the database was asked.
    pub read_at: Timestamp,
    /// False where another process asked it.
    pub is_own: bool,
}

#[derive(Clone, Copy)]
struct Slot {
    loaded: Loaded,
    /// The count that the stripe's counter showed before the load began.
    count: u64,
}

impl Memory {
    /// Keeps up to `entries` of them, each for `ttl`.
    #[must_use]
    pub fn new(entries: u64, ttl: Duration, clock: Clock) -> Self {
        Self {
            // By a clock that nobody sets back, too.
            slots: Cache::builder().max_capacity(entries).time_to_live(ttl.max(LONGEST)).build(),
            stripes: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            ttl: SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX),
            stood_at: Arc::new(AtomicI64::new(i64::MIN)),
            clock,
        }
    }

    /// Returns what is kept under `key`, or what `load` finds: it stood in the database less than `ttl` ago, or
    /// after this was asked. Those who ask for one key at one time share one load; its error goes to
    /// all of them and is not kept.
    ///
    /// # Errors
    /// The errors of `load`.
    pub async fn find<F, R>(&self, key: &ScoreKey, load: F) -> Result<Option<Score>, Arc<DatabaseError>>
    where
        F: Fn() -> R,
        R: Future<Output = Result<Loaded, DatabaseError>>,
    {
        let since = self.clock.now();
        // Who loads counts where the answer comes from.
        let has_loaded = AtomicBool::new(false);
        for _ in 0..TRIES {
            // Before the counter, which is moved on before this is.
            let stood_at = self.stood_at.load(Ordering::Acquire);
            let asked_at = self.count(key.stripe());
            // Most are there: joining a load, or beginning one, is the longer way.
            let slot = match self.slots.get(key).await {
                Some(slot) => slot,
                None => self.load_once(key, &load, &has_loaded).await?,
            };
            let Loaded { found, read_at, is_own } = slot.loaded;
            let stood_at = if is_own { read_at.max(from_micros(stood_at)) } else { read_at };
            if slot.count >= asked_at && (stood_at >= since || since.duration_since(stood_at) < self.ttl) {
                if !has_loaded.load(Ordering::Relaxed) {
                    meters().score_lookups.count(["memory"]);
                }
                return Ok(found);
            }
            self.slots.invalidate(key).await;
        }
        Ok(load().await?.found)
    }

    async fn load_once<F, R>(
        &self,
        key: &ScoreKey,
        load: &F,
        has_loaded: &AtomicBool,
    ) -> Result<Slot, Arc<DatabaseError>>
    where
        F: Fn() -> R,
        R: Future<Output = Result<Loaded, DatabaseError>>,
    {
        let load = async {
            has_loaded.store(true, Ordering::Relaxed);
            let count = self.count(key.stripe());
            Ok(Slot { loaded: load().await?, count })
        };
        self.slots.try_get_with_by_ref(key, load).await
    }

    /// Returns what `read` finds in the database, with when that was.
    pub(super) async fn read(
        &self,
        read: impl Future<Output = Result<Option<Score>, DatabaseError>>,
    ) -> Result<Loaded, DatabaseError> {
        let read_at = self.clock.now();
        let found = read.await?;
        meters().score_lookups.count(["database"]);
        Ok(Loaded { found, read_at, is_own: true })
    }

    /// A write to this stripe is committed: what was loaded before is served no more.
    pub fn forget(&self, stripe: u16) {
        if let Some(counter) = self.stripes.get(usize::from(stripe)) {
            counter.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The epoch of these stripes has moved on.
    pub(super) fn forget_epoch(&self, epoch: u16) {
        let stripes = STRIPES / usize::from(epochs::STRIPES);
        let first = usize::from(epoch) * stripes;
        for counter in self.stripes.iter().skip(first).take(stripes) {
            counter.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// All that was written before `as_of` has been forgotten.
    pub(super) fn stood_at(&self, as_of: Timestamp) {
        self.stood_at.store(as_of.as_microsecond(), Ordering::Release);
    }

    /// Writes may have been missed: nothing that was loaded before is served any more.
    pub fn forget_all(&self) {
        for counter in self.stripes.iter() {
            counter.fetch_add(1, Ordering::AcqRel);
        }
    }

    #[cfg(test)]
    pub(super) async fn entries(&self) -> u64 {
        self.slots.run_pending_tasks().await;
        self.slots.entry_count()
    }

    fn count(&self, stripe: u16) -> u64 {
        self.stripes.get(usize::from(stripe)).map_or(0, |counter| counter.load(Ordering::Acquire))
    }
}
