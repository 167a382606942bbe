//! Limits on how often a key may ask, and how often an address may fail to have one, or follow links that need none. Counted per process:
//! behind N replicas a key has N times as much.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use tokio_util::sync::CancellationToken;

use super::address;
use super::problem::{Kind, Problem};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::KeyId;
use crate::settings::Rates;

/// More clients than this at once share one count, so that a flood of addresses can't fill memory.
const ADDRESSES_MAX: usize = 50_000;

/// Codes of screens that one address may type in a minute: there are 25,600,000,000.
const CODES_A_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);

/// Pictures that one screen may send in a second.
const FRAMES_A_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

/// The interval at which counts that are back at their start are dropped.
const TIDY_EVERY: Duration = Duration::from_secs(30);

const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// All limits.
pub struct RateLimits {
    keys: Option<Limit<KeyId>>,
    addresses: Option<Limit<IpAddr>>,
    /// Those who follow links, by their address.
    links: Option<Limit<IpAddr>>,
    /// Those who type codes of screens, by their address.
    pairing: Limiter<IpAddr>,
    /// Screens whose camera sends pictures.
    frames: Limiter<KeyId>,
}

impl RateLimits {
    /// Requests a second, with bursts of twice that.
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        Self {
            keys: rates.per_key.and_then(|rate| Limit::new(rate, "key")),
            addresses: rates.failed_keys.and_then(|rate| Limit::new(rate, "failed-keys")),
            links: rates.links.and_then(|rate| Limit::new(rate, "links")),
            pairing: RateLimiter::new(
                Quota::per_minute(CODES_A_MINUTE),
                DashMapStateStore::default(),
                DefaultClock::default(),
            ),
            frames: RateLimiter::new(
                Quota::per_second(FRAMES_A_SECOND),
                DashMapStateStore::default(),
                DefaultClock::default(),
            ),
        }
    }

    /// The number of requests a second that a key has, and the number at once; none when that is turned off.
    #[must_use]
    pub fn per_key(&self) -> Option<(NonZeroU32, NonZeroU32)> {
        self.keys.as_ref().map(|limit| (limit.rate, limit.burst))
    }

    /// Counts one request of a recognised key. What it returns goes into the answer's headers.
    ///
    /// # Errors
    /// A 429 when the key has used up its rate.
    pub fn take(&self, key: &KeyId) -> Result<Option<Allowance>, Problem> {
        self.keys.as_ref().map(|limit| limit.take(key, Kind::RateLimited)).transpose()
    }

    /// Counts `more` questions of a request that has been counted once.
    ///
    /// # Errors
    /// A 429 when the key has used up its rate; a 422 when it could never ask so much at once.
    pub fn take_more(&self, key: &KeyId, more: NonZeroU32, at: &'static str) -> Result<(), Problem> {
        self.keys.as_ref().map_or(Ok(()), |limit| limit.take_more(key, more, at))
    }

    /// Counts one failed key of an address. Valid keys never come here, so a stranger at the same
    /// address can't slow them down.
    ///
    /// # Errors
    /// A 429 when the address has failed too often.
    pub fn take_failure(&self, address: IpAddr) -> Result<(), Problem> {
        take_address(self.addresses.as_ref(), address, Kind::TooManyFailedKeys)
    }

    /// Counts one log-in from an address.
    ///
    /// # Errors
    /// A 429 when the address has tried too often.
    pub fn take_unnamed(&self, address: IpAddr) -> Result<(), Problem> {
        take_address(self.addresses.as_ref(), address, Kind::RateLimited)
    }

    /// Counts one request of an address at a link of a person, which asks for no key.
    ///
    /// # Errors
    /// A 429 when the address has asked too often.
    pub fn take_link(&self, address: IpAddr) -> Result<(), Problem> {
        take_address(self.links.as_ref(), address, Kind::TooManyVisits)
    }

    /// Counts one code of a screen that was typed at an address, the right ones too.
    ///
    /// # Errors
    /// A 429 when the address has typed too many.
    pub fn take_pairing(&self, address: IpAddr) -> Result<(), Problem> {
        let Err(until) = self.pairing.check_key(&bucket_of(&self.pairing, address)) else { return Ok(()) };
        let wait = until.wait_time_from(DefaultClock::default().now());
        let detail =
            format!("At most {CODES_A_MINUTE} codes a minute are taken from one address: wait, and type it again.");
        Err(Problem::new(Kind::RateLimited, detail).retry_after(wait.as_secs() + 1))
    }

    /// Counts one picture of a screen's camera.
    ///
    /// # Errors
    /// A 429 when it has sent too many.
    pub fn take_frame(&self, screen: &KeyId) -> Result<(), Problem> {
        self.frames.check_key(screen).map(drop).map_err(|_| {
            let detail = format!("At most {FRAMES_A_SECOND} pictures a second are read for one screen.");
            Problem::new(Kind::RateLimited, detail).retry_after(1)
        })
    }

    /// Drops counts that are back at their start.
    pub fn forget_idle(&self) {
        if let Some(limit) = &self.keys {
            limit.limiter.retain_recent();
            limit.limiter.shrink_to_fit();
        }
        for limit in [&self.addresses, &self.links].into_iter().flatten() {
            limit.limiter.retain_recent();
            limit.limiter.shrink_to_fit();
        }
        self.pairing.retain_recent();
        self.pairing.shrink_to_fit();
        self.frames.retain_recent();
        self.frames.shrink_to_fit();
    }

    /// Tidies until cancelled.
    pub async fn tend(&self, cancel: CancellationToken) {
        while cancel.run_until_cancelled(tokio::time::sleep(TIDY_EVERY)).await.is_some() {
            self.forget_idle();
        }
    }
}

fn take_address(limit: Option<&Limit<IpAddr>>, address: IpAddr, kind: Kind) -> Result<(), Problem> {
    let Some(limit) = limit else { return Ok(()) };
    limit.take(&bucket_of(&limit.limiter, address), kind).map(drop)
}

/// The address that one is counted under.
fn bucket_of(limiter: &Limiter<IpAddr>, address: IpAddr) -> IpAddr {
    if limiter.len() >= ADDRESSES_MAX { IpAddr::from([0, 0, 0, 0]) } else { address::bucket(address) }
}

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

struct Limit<K: Hash + Eq + Clone> {
    limiter: Limiter<K>,
    clock: DefaultClock,
    rate: NonZeroU32,
    burst: NonZeroU32,
    policy: HeaderValue,
    name: &'static str,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    fn new(rate: NonZeroU32, name: &'static str) -> Option<Self> {
        let burst = rate.saturating_add(rate.get());
        let quota = Quota::per_second(rate).allow_burst(burst);
        // A full bucket of `q` refills in `w` seconds: two, as a burst is twice the rate.
        let policy = HeaderValue::try_from(format!("\"{name}\";q={burst};w=2")).ok()?;
        let clock = DefaultClock::default();
        let limiter = Limiter::new(quota, DashMapStateStore::default(), clock.clone());
        Some(Self { limiter, clock, rate, burst, policy, name })
    }

    fn take(&self, key: &K, kind: Kind) -> Result<Allowance, Problem> {
        match self.limiter.check_key(key) {
            Ok(state) => Ok(self.allowance(state.remaining_burst_capacity())),
            Err(until) => Err(self.refusal(until.wait_time_from(self.clock.now()), kind)),
        }
    }

    /// `at`: the pointer of those that are counted one by one.
    fn take_more(&self, key: &K, more: NonZeroU32, at: &'static str) -> Result<(), Problem> {
        match self.limiter.check_key_n(key, more) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(until)) => Err(self.refusal(until.wait_time_from(self.clock.now()), Kind::RateLimited)),
            Err(_) => {
                let detail = format!("this key may send {} of them at once: send fewer", self.burst);
                Err(Problem::invalid(vec![FieldError::at(at, "too_many", detail)]))
            }
        }
    }

    fn refusal(&self, wait: Duration, kind: Kind) -> Problem {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let detail = format!("At most {} a second are taken, and {} at once.", self.rate, self.burst);
        let allowance = self.allowance(0);
        Problem::new(kind, detail)
            .retry_after(seconds.max(1))
            .with(POLICY, allowance.policy)
            .with(LIMIT, allowance.limit)
    }

    fn allowance(&self, remaining: u32) -> Allowance {
        let reset_seconds = self.burst.get().saturating_sub(remaining).div_ceil(self.rate.get());
        let limit = HeaderValue::try_from(format!("\"{}\";r={remaining};t={reset_seconds}", self.name));
        // Digits and a fixed name: always a header.
        Allowance { limit: limit.unwrap_or(HeaderValue::from_static("")), policy: self.policy.clone() }
    }
}

/// Where a key stands, as `RateLimit` and `RateLimit-Policy` say it
/// (draft-ietf-httpapi-ratelimit-headers-10).
pub struct Allowance {
    limit: HeaderValue,
    policy: HeaderValue,
}

impl Allowance {
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        headers.insert(LIMIT, self.limit);
        headers.insert(POLICY, self.policy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::entropy::Entropy;
    use jiff::Timestamp;

    fn limits(per_key: u32, failed_keys: u32) -> RateLimits {
        RateLimits::new(Rates {
            per_key: NonZeroU32::new(per_key),
            failed_keys: NonZeroU32::new(failed_keys),
            links: NonZeroU32::new(failed_keys),
        })
    }

    #[test]
    fn a_key_has_its_burst_and_then_waits() {
        let limits = limits(2, 1);
        let entropy = Entropy::seeded(1);
        let key = KeyId::new(Timestamp::UNIX_EPOCH, &entropy);
        for left in (0..4).rev() {
            let allowance = limits.take(&key).unwrap().unwrap();
            let reset = (4_u32 - left).div_ceil(2);
            assert_eq!(allowance.limit.to_str().unwrap(), format!("\"key\";r={left};t={reset}"));
            assert_eq!(allowance.policy.to_str().unwrap(), "\"key\";q=4;w=2");
        }
        let refused = limits.take(&key).err().unwrap();
        assert_eq!(refused.kind, Kind::RateLimited);
        assert!(refused.headers.iter().any(|(name, value)| name == "retry-after" && value == "1"));
        let other = KeyId::new(Timestamp::UNIX_EPOCH, &entropy);
        assert!(limits.take(&other).is_ok(), "each key has its own");
    }

    #[test]
    fn zero_turns_a_limit_off() {
        let limits = limits(0, 0);
        let key = KeyId::new(Timestamp::UNIX_EPOCH, &Entropy::seeded(1));
        for _ in 0..10_000 {
            assert!(limits.take(&key).unwrap().is_none());
            assert!(limits.take_failure("192.0.2.1".parse().unwrap()).is_ok());
        }
    }

    #[test]
    fn a_flood_of_addresses_shares_one_count_and_fills_no_memory() {
        let limits = limits(1, 1);
        let mut refused = 0;
        for address in 0..u32::try_from(ADDRESSES_MAX).unwrap() + 100 {
            refused += u32::from(limits.take_failure(IpAddr::from((0x0A00_0000 + address).to_be_bytes())).is_err());
        }
        assert!(limits.addresses.as_ref().unwrap().limiter.len() <= ADDRESSES_MAX + 1);
        assert!(refused >= 90, "the crowd shares one bucket: {refused}");
    }
}
