//! The score cache's second tier, shared by the replicas. It may be down, or hold nonsense: then
//! it knows nothing.
//!
//! The same race as in memory, between processes: a reader loads the old row, a writer commits, and
//! the reader then fills Redis. So a reader's fill never replaces anything, and a writer leaves a
//! mark behind ("just written: ask the database") that outlives the loads then under way.
//! What slips through both (a reader that stood still for longer than the mark lives, a writer
//! that could not reach Redis and ended) lives for one `ttl`.

use std::time::Duration;

use jiff::Timestamp;

use crate::decimal::Decimal;
use crate::entropy::Entropy;
use crate::redis_link::RedisLink;

use super::memory::ScoreKey;
use super::score::Score;

/// How long a writer's mark keeps readers from filling: longer than a load takes.
const MARK_TTL: Duration = Duration::from_secs(5);
/// How many keys we could not mark are remembered, so that this process at least does not read
/// them back.
const OWED: u64 = 100_000;
/// Where replicas tell each other which stripes were written.
const CHANNEL: &str = "scores";

const ORIGIN_BYTES: usize = 8;

const VERSION: u8 = 1;
const NONE: u8 = 0;
const SOME: u8 = 1;
const WRITTEN: u8 = 2;

/// Scores in Redis, under `score:MERCHANT:SOURCE:REFERENCE`; cheap to clone.
#[derive(Clone)]
pub struct RedisScores {
    link: RedisLink,
    ttl: Duration,
    /// Who we are in announcements: our own would unseat what was loaded since.
    origin: [u8; ORIGIN_BYTES],
    owed: moka::sync::Cache<ScoreKey, ()>,
}

/// What Redis knows of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    Nothing,
    /// It was written a moment ago: ask the database, and don't fill.
    Written,
    Found(Option<Score>),
}

impl RedisScores {
    /// Keeps each score for `ttl`.
    pub fn new(link: RedisLink, ttl: Duration, entropy: &Entropy) -> Self {
        let owed = moka::sync::Cache::builder().max_capacity(OWED).time_to_live(ttl).build();
        Self { link, ttl, origin: entropy.bytes(), owed }
    }

    /// What is known of `key`; errors are `Nothing`.
    pub async fn find(&self, key: &ScoreKey) -> Known {
        if self.owed.contains_key(key) {
            self.mark(std::slice::from_ref(key)).await;
            return Known::Written;
        }
        let name = name(key);
        match self.link.get(&name).await {
            Ok(Some(value)) => {
                if let Some(known) = decode(&value) {
                    known
                } else {
                    tracing::warn!("dropped a score in Redis that could not be read");
                    let _ = self.link.delete(&name).await;
                    Known::Nothing
                }
            }
            Ok(None) | Err(_) => Known::Nothing,
        }
    }

    /// Keeps what a reader loaded, unless something is there.
    pub async fn fill(&self, key: &ScoreKey, found: Option<&Score>) {
        // Best effort: without it the next reader asks the database.
        let _ = self.link.set_if_absent(&name(key), &encode(found), self.ttl).await;
    }

    /// Marks keys as just written, after the commit.
    pub async fn mark(&self, keys: &[ScoreKey]) {
        let names: Vec<_> = keys.iter().map(name).collect();
        match self.link.set_all(names.iter().map(String::as_str), &[VERSION, WRITTEN], MARK_TTL).await {
            Ok(()) => keys.iter().for_each(|key| self.owed.invalidate(key)),
            Err(_) => keys.iter().for_each(|key| self.owed.insert(key.clone(), ())),
        }
    }

    /// Tells the other replicas which stripes were written. Those who miss it (it may not arrive)
    /// are late by what their memory keeps at most.
    pub async fn announce(&self, stripes: &[u16]) {
        let mut message = self.origin.to_vec();
        message.extend(stripes.iter().flat_map(|stripe| stripe.to_be_bytes()));
        let _ = self.link.publish(CHANNEL, &message).await;
    }

    /// The stripes that another replica announced in `message`.
    pub fn heard<'a>(&self, message: &'a [u8]) -> impl Iterator<Item = u16> + use<'a> {
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
}

fn name(key: &ScoreKey) -> String {
    format!("score:{}:{}:{}", key.merchant, key.source, key.subject)
}

/// A version, what it is, and for a score its thousandths and microseconds, big-endian.
fn encode(found: Option<&Score>) -> Vec<u8> {
    match found {
        None => vec![VERSION, NONE],
        Some(score) => [
            &[VERSION, SOME][..],
            &score.value.thousandths().to_be_bytes(),
            &score.observed_at.as_microsecond().to_be_bytes(),
        ]
        .concat(),
    }
}

fn decode(value: &[u8]) -> Option<Known> {
    match value {
        [VERSION, NONE] => Some(Known::Found(None)),
        [VERSION, WRITTEN] => Some(Known::Written),
        [VERSION, SOME, numbers @ ..] => {
            let (value, observed_at) = numbers.split_first_chunk::<8>()?;
            let observed_at = i64::from_be_bytes(observed_at.try_into().ok()?);
            Some(Known::Found(Some(Score {
                value: Decimal::from_thousandths(i64::from_be_bytes(*value)),
                observed_at: Timestamp::from_microsecond(observed_at).ok()?,
            })))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_reads_back_and_nonsense_does_not() {
        let score = Score::new("-47.25".parse().unwrap(), "2026-11-22T09:00:00.000001Z".parse().unwrap());
        assert_eq!(decode(&encode(Some(&score))), Some(Known::Found(Some(score))));
        assert_eq!(decode(&encode(None)), Some(Known::Found(None)));
        let whole = encode(Some(&score));
        for broken in [&[][..], b"nonsense", &[2, 0], &[VERSION, 9], &whole[..17], &[&whole[..], &[0]].concat()] {
            assert_eq!(decode(broken), None, "{broken:?}");
        }
        let never = [&[VERSION, SOME][..], &[0; 8], &i64::MAX.to_be_bytes()].concat();
        assert_eq!(decode(&never), None);
    }
}
