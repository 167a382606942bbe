//! The score cache's first tier, in this process: bounded, short-lived, and never older than a
//! write that this process has learned of.
//!
//! The race it must not lose: a reader loads the old row, a writer commits and drops the key, and
//! the reader then fills the cache with what it read. So nothing is dropped by removing it. Every
//! key belongs to a stripe with a counter; a write moves the counter on, a slot carries the count
//! from before it was loaded, and a slot behind its stripe is not served. That holds for loads
//! that are still under way too. What writes elsewhere don't tell us of lives for one `ttl`, counted
//! from when the database was asked: another replica may have asked it, and left the answer in Redis.
//! It lives for longer where the epochs of scores (`following.rs`) say that it stands.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use moka::future::Cache;

use crate::database::DatabaseError;
use crate::foundation::clock::{Clock, from_micros};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::subject::SubjectRef;
use crate::telemetry::meters;

use super::kept::CachedKey;
use super::score::Score;
use super::store::epochs;

/// One per value of a reference's first two bytes. Many, because a write unseats the whole stripe:
/// an import of a thousand scores costs about one slot in 65 its place.
const STRIPES: usize = 1 << 16;

/// The longest that a score is retained, however long it stands: nobody may have asked for it again.
const LONGEST: Duration = Duration::from_mins(10);

/// The most that another replica's clock may be ahead of ours.
pub(super) const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(1);

/// A write may overtake a load; after so many the load's own answer is given and not kept.
const TRIES: usize = 3;

/// The key that a score is kept under. It names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScoreKey {
    pub merchant: MerchantId,
    pub source: SourceName,
    pub subject: SubjectRef,
}

impl CachedKey for ScoreKey {
    type Value = Score;

    fn subject(&self) -> &SubjectRef {
        &self.subject
    }

    fn name(&self) -> String {
        format!("score:{}:{}:{}", self.merchant, self.source, self.subject)
    }

    /// Neither an id nor a source's name holds a NUL, and a reference has one length.
    fn authenticated(&self) -> Vec<u8> {
        [self.merchant.as_str().as_bytes(), b"\0", self.source.as_str().as_bytes(), b"\0", &self.subject.0].concat()
    }

    /// Its thousandths and the microseconds of when it was observed, big-endian.
    fn encode(score: &Score, into: &mut Vec<u8>) {
        into.extend(score.value.thousandths().to_be_bytes());
        into.extend(score.observed_at.as_microsecond().to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Score> {
        let ([value, observed_at], []) = bytes.as_chunks::<8>() else { return None };
        let observed_at = Timestamp::from_microsecond(i64::from_be_bytes(*observed_at)).ok()?;
        Some(Score { value: Decimal::from_thousandths(i64::from_be_bytes(*value)), observed_at })
    }

    fn count(tier: &'static str) {
        meters().score_lookups.count([tier]);
    }
}

/// Scores, or what else is kept under keys `K`, and that there are none, kept in this process; cheap to clone.
#[derive(Clone)]
pub struct Memory<K: CachedKey = ScoreKey> {
    slots: Cache<K, Slot<K::Value>>,
    stripes: Arc<[AtomicU64]>,
    ttl: SignedDuration,
    epochs: Arc<FollowedEpochs>,
    clock: Clock,
    began: Instant,
}

/// An instant by both clocks: the wall's, which others share and which may be set back, and this process's own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    at: Timestamp,
    /// Microseconds since the memory was made.
    ran_for: i64,
}

/// The findings of who follows the epochs; instants are in microseconds.
struct FollowedEpochs {
    /// All that was written before is known to the counters: the instant by the wall's clock, and by ours.
    stood_at: AtomicI64,
    stood_for: AtomicI64,
    /// No write since then went unnoticed, likewise.
    since: AtomicI64,
    since_ran_for: AtomicI64,
    /// When the last write to each was noticed.
    changed_at: Box<[AtomicI64]>,
}

impl FollowedEpochs {
    fn new() -> Self {
        let never = || AtomicI64::new(i64::MIN);
        let changed_at = (0..epochs::STRIPES).map(|_| never()).collect();
        let not_yet = || AtomicI64::new(i64::MAX);
        Self { stood_at: never(), stood_for: never(), since: not_yet(), since_ran_for: not_yet(), changed_at }
    }

    fn changed_at(&self, key: &impl CachedKey) -> i64 {
        let stripe = usize::from(epochs::stripe_of(key.subject()));
        self.changed_at.get(stripe).map_or(i64::MIN, |at| at.load(Ordering::Acquire))
    }
}

/// The score that stood in the database for a key, if one did, and no earlier than when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaded<V = Score> {
    pub found: Option<V>,
    /// Before the database was asked.
    pub read_at: Timestamp,
    /// True if a write since then would have been noticed.
    pub is_followed: bool,
}

#[derive(Clone, Copy)]
struct Slot<V> {
    loaded: Loaded<V>,
    /// The count that the stripe's counter showed before the load began.
    count: u64,
    /// [`Moment::ran_for`] before the load began.
    ran_for: i64,
}

impl<K: CachedKey> Memory<K> {
    /// Keeps up to `entries` of them, each for `ttl`, or as long as the epochs say that it stands, ten minutes at most.
    #[must_use]
    pub fn new(entries: u64, ttl: Duration, clock: Clock) -> Self {
        Self {
            slots: Self::slots(entries, ttl.max(LONGEST)),
            stripes: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            ttl: SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX),
            epochs: Arc::new(FollowedEpochs::new()),
            clock,
            began: Instant::now(),
        }
    }

    fn slots(entries: u64, ttl: Duration) -> Cache<K, Slot<K::Value>> {
        let weigh = |_: &K, slot: &Slot<K::Value>| slot.loaded.found.as_ref().map_or(1, K::weight);
        Cache::builder().max_capacity(entries).weigher(weigh).time_to_live(ttl).build()
    }

    /// An empty one that hears of the same writes as `other`, whatever it is that was written.
    #[must_use]
    pub fn beside<O: CachedKey>(other: &Memory<O>) -> Self {
        let policy = other.slots.policy();
        let entries = policy.max_capacity().unwrap_or(u64::MAX);
        Self {
            slots: Self::slots(entries, policy.time_to_live().unwrap_or(LONGEST)),
            stripes: other.stripes.clone(),
            ttl: other.ttl,
            epochs: other.epochs.clone(),
            clock: other.clock.clone(),
            began: other.began,
        }
    }

    /// Returns what is kept under `key`, or what `load` finds: it stood in the database less than `ttl` ago, or
    /// after this was asked. Those who ask for one key at one time share one load; its error goes to
    /// all of them and is not kept.
    ///
    /// # Errors
    /// The errors of `load`.
    pub async fn find<F, R>(&self, key: &K, load: F) -> Result<Option<K::Value>, Arc<DatabaseError>>
    where
        F: Fn() -> R,
        R: Future<Output = Result<Loaded<K::Value>, DatabaseError>>,
    {
        let since = self.moment();
        // Who loads counts where the answer comes from.
        let has_loaded = AtomicBool::new(false);
        for _ in 0..TRIES {
            // Before the counter, which is moved on before this is.
            let stood = (self.epochs.stood_at.load(Ordering::Acquire), self.epochs.stood_for.load(Ordering::Acquire));
            let asked_at = self.count(key.stripe());
            // Most are there: joining a load, or beginning one, is the longer way.
            let slot = match self.slots.get(key).await {
                Some(slot) => slot,
                None => self.load_once(key, &load, &has_loaded).await?,
            };
            if slot.count >= asked_at && self.is_young(&slot, stood, since) {
                if !has_loaded.load(Ordering::Relaxed) {
                    K::count("memory");
                }
                return Ok(slot.loaded.found);
            }
            self.slots.invalidate(key).await;
        }
        Ok(load().await?.found)
    }

    /// True if it stood in the database less than the time to live before `since`, by either clock.
    fn is_young(&self, slot: &Slot<K::Value>, (stood_at, stood_for): (i64, i64), since: Moment) -> bool {
        let Loaded { read_at, is_followed, .. } = &slot.loaded;
        let (read_at, is_followed) = (*read_at, *is_followed);
        // After what was found to stand, which is set after it.
        let is_followed = is_followed && slot.ran_for >= self.epochs.since_ran_for.load(Ordering::Acquire);
        let (stood_at, stood_for) = if is_followed {
            (read_at.max(from_micros(stood_at)), slot.ran_for.max(stood_for))
        } else {
            (read_at, slot.ran_for)
        };
        let age = SignedDuration::from_micros(since.ran_for.saturating_sub(stood_for));
        (stood_at >= since.at || since.at.duration_since(stood_at) < self.ttl)
            && (stood_for >= since.ran_for || age < self.ttl)
    }

    async fn load_once<F, R>(
        &self,
        key: &K,
        load: &F,
        has_loaded: &AtomicBool,
    ) -> Result<Slot<K::Value>, Arc<DatabaseError>>
    where
        F: Fn() -> R,
        R: Future<Output = Result<Loaded<K::Value>, DatabaseError>>,
    {
        let load = async {
            has_loaded.store(true, Ordering::Relaxed);
            let (count, ran_for) = (self.count(key.stripe()), self.moment().ran_for);
            Ok(Slot { loaded: load().await?, count, ran_for })
        };
        self.slots.try_get_with_by_ref(key, load).await
    }

    /// Returns what `read` finds in the database, with when that was.
    pub(super) async fn read(
        &self,
        read: impl Future<Output = Result<Option<K::Value>, DatabaseError>>,
    ) -> Result<Loaded<K::Value>, DatabaseError> {
        let read_at = self.clock.now();
        let found = read.await?;
        K::count("database");
        Ok(Loaded { found, read_at, is_followed: true })
    }

    /// A write to this stripe is committed: what was loaded before is served no more.
    pub fn forget(&self, stripe: u16) {
        if let Some(counter) = self.stripes.get(usize::from(stripe)) {
            counter.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// A write to this epoch's stripes was noticed at `now`.
    pub(super) fn forget_epoch(&self, epoch: u16, now: Moment) {
        let epoch = usize::from(epoch);
        if let Some(changed_at) = self.epochs.changed_at.get(epoch) {
            changed_at.store(now.at.as_microsecond(), Ordering::Release);
        }
        let stripes = STRIPES / usize::from(epochs::STRIPES);
        for counter in self.stripes.iter().skip(epoch * stripes).take(stripes) {
            counter.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Writes before `now` may be unnoticed: what was read before is good for the time to live, and no longer.
    pub(super) fn follow_since(&self, now: Moment) {
        self.epochs.since.store(now.at.as_microsecond(), Ordering::Release);
        self.epochs.since_ran_for.store(now.ran_for, Ordering::Release);
    }

    /// All that was written between the instant since which it is followed and `as_of` was noticed.
    pub(super) fn stood_at(&self, as_of: Moment) {
        self.epochs.stood_at.store(as_of.at.as_microsecond(), Ordering::Release);
        self.epochs.stood_for.store(as_of.ran_for, Ordering::Release);
    }

    pub(super) fn moment(&self) -> Moment {
        let ran_for = i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX);
        Moment { at: self.clock.now(), ran_for }
    }

    /// The score that another process read from the database, unless a write is known that may be newer.
    pub(super) fn believed(&self, key: &K, loaded: Loaded<K::Value>) -> Option<Loaded<K::Value>> {
        // By its clock, which may be ahead of ours.
        let read_at = loaded.read_at.checked_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN).as_microsecond();
        let is_followed = read_at > self.epochs.since.load(Ordering::Acquire);
        (read_at > self.epochs.changed_at(key)).then_some(Loaded { is_followed, ..loaded })
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
