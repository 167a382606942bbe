//! The score cache's second tier, shared by the replicas. It may be down, hold nonsense, or hold what
//! someone put there: then it knows nothing.
//!
//! A client that can write to Redis must not decide who is granted. So a value carries a MAC over whose it is,
//! what it says and when it was read from the database, and is worth nothing once that is `ttl` ago: the
//! one bound that holds whatever Redis refuses, loses or receives too late, even if someone keeps an old value
//! to put it back. All that is below makes writes seen sooner.
//!
//! The same race as in memory, between processes: a reader loads the old row, a writer commits, and
//! the reader then fills Redis. So a reader's fill never replaces anything, and a writer leaves a
//! mark behind ("just written: ask the database") that outlives the loads then under way. Where Redis
//! takes no mark, the value is deleted; where it does neither, that is pending, and done when it can be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::foundation::clock::Clock;
use crate::foundation::entropy::Entropy;
use crate::keyring::CacheKey;
use crate::keyring::cache_key::TAG_BYTES;
use crate::redis_link::{RedisLink, RedisLinkError};
use crate::telemetry::meters;

use super::kept::CachedKey;
use super::memory::{CLOCK_SKEW, Loaded, ScoreKey};
use super::pending::Pending;
use super::score::Score;

/// The time for which a writer's mark keeps readers from filling: longer than a load takes.
const MARK_TTL: Duration = Duration::from_secs(5);
/// The longest that Redis keeps a score, however long memory may.
const LONGEST_TTL: Duration = Duration::from_mins(1);
/// The most keys that are remembered when they could not be marked.
const PENDING: usize = 100_000;
/// The most of them that are marked in one go.
const PENDING_PIECE: usize = 1_000;
/// Where replicas tell each other which stripes were written.
const CHANNEL: &str = "scores";

const ORIGIN_BYTES: usize = 8;

/// Values of another version are another program's: neither read nor complained about.
const VERSION: u8 = 2;
const NONE: u8 = 0;
const SOME: u8 = 1;
const WRITTEN: u8 = 2;

/// Scores in Redis, under `score:MERCHANT:SOURCE:REFERENCE`, or what else is kept under keys `K`; cheap to clone.
#[derive(Clone)]
pub struct RedisScores<K: CachedKey = ScoreKey> {
    link: RedisLink,
    ttl: Duration,
    key: CacheKey,
    clock: Clock,
    /// Our identity in announcements: our own would unseat what was loaded since.
    origin: [u8; ORIGIN_BYTES],
    pending: Arc<Pending<K>>,
    forgery_logged: Arc<AtomicBool>,
}

/// The answer of Redis for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known<V = Score> {
    Nothing,
    /// It was written a moment ago: ask the database, and don't fill.
    Written,
    Found(Loaded<V>),
}

/// Why a value in Redis is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disbelief {
    OtherFormat,
    /// No gateway with our hash key wrote this, under this key.
    Forged,
    TooOld,
    /// Read from the database at an instant that is yet to come.
    InFuture,
}

impl<K: CachedKey> RedisScores<K> {
    /// Keeps each score until `ttl` after it was read from the database, and no longer than a minute.
    pub fn new(link: RedisLink, ttl: Duration, key: CacheKey, clock: Clock, entropy: &Entropy) -> Self {
        Self::bounded(link, ttl, key, clock, entropy, PENDING)
    }

    pub(super) fn bounded(
        link: RedisLink,
        ttl: Duration,
        key: CacheKey,
        clock: Clock,
        entropy: &Entropy,
        pending: usize,
    ) -> Self {
        let ttl = ttl.min(LONGEST_TTL);
        let matters_for = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX).saturating_add(CLOCK_SKEW);
        let (origin, pending) = (entropy.bytes(), Arc::new(Pending::new(pending, matters_for)));
        Self { link, ttl, key, clock, origin, pending, forgery_logged: Arc::default() }
    }

    /// The same Redis for what is kept under other keys.
    pub(super) fn beside<O: CachedKey>(other: &RedisScores<O>) -> Self {
        let RedisScores { link, ttl, key, clock, origin, forgery_logged, .. } = other.clone();
        let matters_for = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX).saturating_add(CLOCK_SKEW);
        Self { link, ttl, key, clock, origin, pending: Arc::new(Pending::new(PENDING, matters_for)), forgery_logged }
    }

    /// Looks up `key`; errors are `Nothing`. What is too old or forged is marked as written in its place: to
    /// delete it by its name could take away the mark of a write that was made since it was read here.
    pub async fn find(&self, key: &K) -> Known<K::Value> {
        if self.pending.holds(key) {
            self.tell(std::slice::from_ref(key)).await;
            return Known::Written;
        }
        let Ok(Some(value)) = self.link.get(&key.name()).await else { return Known::Nothing };
        let disbelief = match self.decode(key, &value, self.clock.now()) {
            Ok(Known::Found(loaded)) if self.is_distrusted(&loaded) => Disbelief::TooOld,
            Ok(known) => return known,
            Err(disbelief) => disbelief,
        };
        match disbelief {
            Disbelief::OtherFormat | Disbelief::InFuture => return Known::Nothing,
            Disbelief::TooOld => {}
            Disbelief::Forged => {
                meters().score_cache_forged.count([]);
                if !self.forgery_logged.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "a score or an attribute in Redis was not written by a gateway of this database, and is not believed: see who else \
                         can write there; from now on these are only counted, as perkgate_score_cache_forged_total"
                    );
                }
            }
        }
        self.tell(std::slice::from_ref(key)).await;
        Known::Written
    }

    /// Keeps what a reader loaded, unless something is there.
    pub async fn fill(&self, key: &K, loaded: &Loaded<K::Value>) {
        // Best effort: without it the next reader asks the database.
        let _ = self.link.set_if_absent(&key.name(), &self.encode(key, loaded), self.ttl).await;
    }

    /// Marks keys as just written, after the commit. Those that can't be sent to Redis are pending.
    pub async fn mark(&self, keys: &[K]) {
        if !self.tell(keys).await {
            self.pending.insert(keys, self.clock.now());
        }
    }

    /// Marks what could not be marked when it was written.
    pub async fn mark_pending(&self) {
        loop {
            let keys = self.pending.list(PENDING_PIECE, self.clock.now());
            // When it is refused again, the next heartbeat is soon enough.
            if keys.is_empty() || !self.tell(&keys).await {
                return;
            }
        }
    }

    /// Marks keys, or deletes them where Redis takes no values; whether it did either.
    async fn tell(&self, keys: &[K]) -> bool {
        let names: Vec<_> = keys.iter().map(CachedKey::name).collect();
        let names = || names.iter().map(String::as_str);
        let turn = self.pending.turn();
        let is_marked = match self.link.set_all(names(), &[VERSION, WRITTEN], MARK_TTL).await {
            Err(RedisLinkError::Fault(fault)) if !fault.is_refusal() => false,
            Err(_) => self.link.delete_all(names()).await.is_ok(),
            Ok(()) => true,
        };
        if is_marked {
            self.pending.settle(keys, turn);
        }
        is_marked
    }

    /// Tells the other replicas which stripes were written. Those who miss it (it may not arrive)
    /// are late by what their memory keeps at most.
    pub async fn announce(&self, stripes: &[u16]) {
        let mut message = self.origin.to_vec();
        message.extend(stripes.iter().flat_map(|stripe| stripe.to_be_bytes()));
        let _ = self.link.publish(CHANNEL, &message).await;
    }

    /// The stripes that another replica announced in `message`. Anybody could have said so: all that it
    /// does is to ask the database again.
    pub fn heard<'a>(&self, message: &'a [u8]) -> impl Iterator<Item = u16> + use<'a, K> {
        let (origin, stripes) = message.split_at_checked(ORIGIN_BYTES).unwrap_or_default();
        let stripes = if origin == self.origin { &[] } else { stripes };
        stripes.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair))
    }

    pub(super) const fn link(&self) -> &RedisLink {
        &self.link
    }

    pub(super) const fn channel() -> &'static str {
        CHANNEL
    }

    /// True if it may be from before a write that was not remembered. As if it had been read a little
    /// earlier than it says: that may be by another clock.
    fn is_distrusted(&self, loaded: &Loaded<K::Value>) -> bool {
        self.pending.distrusts(loaded.read_at.checked_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN))
    }

    /// A version, what it is, microseconds of when it was read from the database, big-endian; the value, where there is
    /// one; and the tag of that and of the key.
    fn encode(&self, key: &K, loaded: &Loaded<K::Value>) -> Vec<u8> {
        let mut value = vec![VERSION, if loaded.found.is_some() { SOME } else { NONE }];
        value.extend(loaded.read_at.as_microsecond().to_be_bytes());
        if let Some(found) = &loaded.found {
            K::encode(found, &mut value);
        }
        let tag = self.key.tag(&[&key.authenticated(), &value]);
        value.extend(tag);
        value
    }

    fn decode(&self, key: &K, value: &[u8], now: Timestamp) -> Result<Known<K::Value>, Disbelief> {
        match value {
            // Anybody may say that: the database is asked, no more.
            [VERSION, WRITTEN] => return Ok(Known::Written),
            [VERSION, ..] => {}
            _ => return Err(Disbelief::OtherFormat),
        }
        let loaded = self.authentic(key, value).ok_or(Disbelief::Forged)?;
        let age = now.duration_since(loaded.read_at);
        if age < -CLOCK_SKEW {
            Err(Disbelief::InFuture)
        } else if age >= SignedDuration::try_from(self.ttl).unwrap_or(SignedDuration::MAX) {
            Err(Disbelief::TooOld)
        } else {
            Ok(Known::Found(loaded))
        }
    }

    /// The content of the value, if a gateway wrote it for this key. Nothing is read before the tag is verified.
    fn authentic(&self, key: &K, value: &[u8]) -> Option<Loaded<K::Value>> {
        let (body, tag) = value.split_last_chunk::<TAG_BYTES>()?;
        if !self.key.is_tag(&[&key.authenticated(), body], tag) {
            return None;
        }
        let (read_at, found) = body.get(2..)?.split_first_chunk::<8>()?;
        let found = match (body.get(1)?, found) {
            (&NONE, []) => None,
            (&SOME, found) => Some(K::decode(found)?),
            _ => return None,
        };
        Some(Loaded { found, read_at: instant(*read_at)?, is_followed: false })
    }
}

fn instant(microseconds: [u8; 8]) -> Option<Timestamp> {
    Timestamp::from_microsecond(i64::from_be_bytes(microseconds)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::subject::SubjectRef;
    use crate::keyring;
    use crate::redis_link::testing::{config, free_port};

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn scores() -> RedisScores {
        let nowhere = config(&format!("redis://127.0.0.1:{}/", free_port()));
        let link = RedisLink::new(nowhere, tokio::runtime::Handle::current()).unwrap();
        let key = keyring::cache_key::testing(1);
        RedisScores::new(link, Duration::from_secs(5), key, Clock::fixed(NOW), &Entropy::System)
    }

    fn key(number: u8) -> ScoreKey {
        ScoreKey {
            merchant: "mer_018f3c2e7b7a7000800000000000abcd".parse().unwrap(),
            source: "klout".parse().unwrap(),
            subject: SubjectRef([number; 32]),
        }
    }

    fn loaded(value: Option<&str>) -> Loaded {
        let observed_at = "2026-11-22T09:00:00.000001Z".parse().unwrap();
        Loaded {
            found: value.map(|value| Score::new(value.parse().unwrap(), observed_at)),
            read_at: NOW,
            is_followed: false,
        }
    }

    #[tokio::test]
    async fn what_is_kept_reads_back_under_its_own_key_and_unchanged_only() {
        let scores = scores();
        for loaded in [loaded(Some("-47.25")), loaded(None)] {
            let whole = scores.encode(&key(1), &loaded);
            let decode = |key: &ScoreKey, value: &[u8]| scores.decode(key, value, NOW);
            assert_eq!(decode(&key(1), &whole), Ok(Known::Found(loaded)));
            assert_eq!(decode(&key(2), &whole), Err(Disbelief::Forged), "another person's");
            let kred = ScoreKey { source: "kred".parse().unwrap(), ..key(1) };
            assert_eq!(decode(&kred, &whole), Err(Disbelief::Forged), "another source's");
            let other = ScoreKey { merchant: "mer_018f3c2e7b7a7000800000000000abce".parse().unwrap(), ..key(1) };
            assert_eq!(decode(&other, &whole), Err(Disbelief::Forged), "another merchant's");
            let strangers = RedisScores { key: keyring::cache_key::testing(2), ..scores.clone() };
            assert_eq!(strangers.decode(&key(1), &whole, NOW), Err(Disbelief::Forged), "another gateway's");
            for at in 1..whole.len() {
                let mut bent = whole.clone();
                bent[at] ^= 1;
                assert_eq!(decode(&key(1), &bent), Err(Disbelief::Forged), "bent at {at}");
                assert_eq!(decode(&key(1), &whole[..at]), Err(Disbelief::Forged), "cut at {at}");
            }
            assert_eq!(decode(&key(1), &[&whole[..], &[0]].concat()), Err(Disbelief::Forged));
        }
    }

    #[tokio::test]
    async fn another_format_is_passed_over() {
        let scores = scores();
        let first_format = [&[1, SOME][..], &99_000_i64.to_be_bytes(), &0_i64.to_be_bytes()].concat();
        for other in [&first_format[..], &[1, NONE], &[1, WRITTEN], b"nonsense", &[]] {
            assert_eq!(scores.decode(&key(1), other, NOW), Err(Disbelief::OtherFormat), "{other:?}");
        }
        assert_eq!(scores.decode(&key(1), &[VERSION, WRITTEN], NOW), Ok(Known::Written));
    }

    #[tokio::test]
    async fn age_is_counted_from_the_reading_and_by_our_clock() {
        let scores = scores();
        let whole = scores.encode(&key(1), &loaded(Some("40")));
        let after = |milliseconds| {
            let now = NOW.checked_add(SignedDuration::from_millis(milliseconds)).unwrap();
            scores.decode(&key(1), &whole, now)
        };
        assert!(after(0).is_ok() && after(4_999).is_ok() && after(-1_000).is_ok());
        assert_eq!(after(5_000), Err(Disbelief::TooOld));
        assert_eq!(after(-1_001), Err(Disbelief::InFuture));
    }
}
