//! The score cache as a port: memory alone, or memory before Redis.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::database::DatabaseError;
use crate::foundation::clock::Clock;
use crate::foundation::entropy::Entropy;
use crate::keyring::CacheKey;
use crate::redis_link::{Heard, RedisLink, Subscription};

use super::error::ScoreError;
use super::kept::CachedKey;
use super::memory::{Memory, ScoreKey};
use super::redis::{Known, RedisScores};

/// The most keys of an import that are dropped from the caches at once.
pub(super) const FORGOTTEN_AT_ONCE: usize = 1_000;

/// The number of scores that are kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct CacheConfig {
    /// The most scores (and absences) kept in memory; about 250 bytes each.
    pub entries: u64,
    /// No check goes by a score that was read from the database longer ago, wherever it lay since: that
    /// is how long a write may go unseen that nobody could announce.
    pub ttl: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { entries: 1_000_000, ttl: Duration::from_secs(5) }
    }
}

/// Where scores, or what else is kept under keys `K`, are between the database and a check; cheap to clone.
#[derive(Clone)]
pub enum ScoreCache<K: CachedKey = ScoreKey> {
    Memory(Memory<K>),
    Tiered { memory: Memory<K>, redis: RedisScores<K>, subscriptions: Arc<[Subscription]> },
}

impl ScoreCache {
    /// In this process only.
    #[must_use]
    pub fn memory(config: &CacheConfig, clock: Clock) -> Self {
        Self::Memory(Memory::new(config.entries, config.ttl, clock))
    }

    /// In this process, then in Redis under `key`; hears what other replicas write.
    #[must_use]
    pub fn tiered(config: &CacheConfig, link: RedisLink, key: CacheKey, clock: Clock, entropy: &Entropy) -> Self {
        let memory = Memory::new(config.entries, config.ttl, clock.clone());
        let redis = RedisScores::new(link, config.ttl, key, clock, entropy);
        let (cached, hears, pays) = (memory.clone(), redis.clone(), redis.clone());
        let hearing = redis.link().subscribe(RedisScores::<ScoreKey>::channel(), move |heard| match heard {
            Heard::Connected => cached.forget_all(),
            Heard::Message(message) => hears.heard(&message).for_each(|stripe| cached.forget(stripe)),
        });
        let paying = redis.link().each_beat(move || {
            let pays = pays.clone();
            async move { pays.mark_pending().await }
        });
        Self::Tiered { memory, redis, subscriptions: Arc::new([hearing, paying]) }
    }

    /// The same tiers for what is kept under other keys: all hear of each other's writes, as they go by the subject.
    #[must_use]
    pub fn beside<O: CachedKey>(&self) -> ScoreCache<O> {
        match self {
            Self::Memory(memory) => ScoreCache::Memory(Memory::beside(memory)),
            Self::Tiered { memory, redis, .. } => {
                let memory = Memory::beside(memory);
                let redis = RedisScores::<O>::beside(redis);
                let pays = redis.clone();
                let paying = redis.link().each_beat(move || {
                    let pays = pays.clone();
                    async move { pays.mark_pending().await }
                });
                ScoreCache::Tiered { memory, redis, subscriptions: Arc::new([paying]) }
            }
        }
    }
}

impl<K: CachedKey> ScoreCache<K> {
    /// Returns what is kept under `key`, or what `load` finds in the database. Those who ask for one key at
    /// one time share one load; its error goes to all of them and is not kept. No I/O when the
    /// answer is in memory. Redis being down costs at most two response times, its own and that of
    /// the commands before, and no wrong answer.
    ///
    /// # Errors
    /// The errors of `load`.
    pub async fn find<F, R>(&self, key: &K, load: F) -> Result<Option<K::Value>, Arc<DatabaseError>>
    where
        F: Fn() -> R,
        R: Future<Output = Result<Option<K::Value>, DatabaseError>>,
    {
        let load = &load;
        match self {
            Self::Memory(memory) => memory.find(key, || async move { memory.read(load()).await }).await,
            Self::Tiered { memory, redis, .. } => {
                memory
                    .find(key, || async move {
                        match redis.find(key).await {
                            Known::Found(loaded) => {
                                let Some(loaded) = memory.believed(key, loaded) else {
                                    // A write that Redis has not heard of.
                                    redis.mark(std::slice::from_ref(key)).await;
                                    return memory.read(load()).await;
                                };
                                K::count("redis");
                                Ok(loaded)
                            }
                            Known::Written => memory.read(load()).await,
                            Known::Nothing => {
                                let loaded = memory.read(load()).await?;
                                redis.fill(key, &loaded).await;
                                Ok(loaded)
                            }
                        }
                    })
                    .await
            }
        }
    }

    /// These keys were written and committed: no look-up that begins after this answers with what
    /// was before, here at once, on other replicas as soon as they hear of it.
    pub async fn forget(&self, keys: &[K]) {
        if keys.is_empty() {
            return;
        }
        let mut stripes: Vec<_> = keys.iter().map(CachedKey::stripe).collect();
        stripes.sort_unstable();
        stripes.dedup();
        match self {
            Self::Memory(memory) => stripes.into_iter().for_each(|stripe| memory.forget(stripe)),
            Self::Tiered { memory, redis, .. } => {
                // Redis before memory and before the announcement: a process that drops its slot first
                // could load the old one from Redis again, as a new one.
                redis.mark(keys).await;
                for stripe in &stripes {
                    memory.forget(*stripe);
                }
                redis.announce(&stripes).await;
            }
        }
    }

    /// The tier in this process.
    pub(super) fn in_memory(&self) -> Memory<K> {
        match self {
            Self::Memory(memory) | Self::Tiered { memory, .. } => memory.clone(),
        }
    }

    /// True if the cache is whole: false when there is a Redis and it can't be used.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        match self {
            Self::Memory(_) => true,
            Self::Tiered { redis, .. } => redis.link().is_up(),
        }
    }
}

/// Runs `work` even if the caller goes away: after a write that its caches did not learn of, they would serve the
/// old score.
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ScoreError>> + Send + 'static,
) -> Result<T, ScoreError> {
    tokio::spawn(work).await.unwrap_or_else(|_| Err(DatabaseError::Interrupted.into()))
}
