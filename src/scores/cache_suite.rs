//! The tests that every score cache must pass, run on each of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::sync::Semaphore;

use super::cache::{CacheConfig, ScoreCache};
use super::memory::{Loaded, ScoreKey};
use super::redis::{Known, RedisScores};
use super::score::Score;
use crate::database::DatabaseError;
use crate::foundation::clock::{Clock, from_micros};
use crate::foundation::decimal::Decimal;
use crate::foundation::entropy::Entropy;
use crate::foundation::subject::SubjectRef;
use crate::keyring::cache_key;
use crate::redis_link::testing::{RedisServer, config, free_port};
use crate::redis_link::{RedisLink, RedisLinkError};

type Answer = Result<Option<Score>, DatabaseError>;

/// Nothing is late by more than this only because a test waited for it.
const NEVER: Duration = Duration::from_hours(1);
const PATIENCE: Duration = Duration::from_secs(30);

fn lasting() -> CacheConfig {
    CacheConfig { entries: 10_000, ttl: NEVER }
}

/// The clock stands still: what is cached grows no older.
fn clock() -> Clock {
    Clock::fixed("2026-11-22T10:00:00Z".parse().unwrap())
}

fn tiered(link: RedisLink) -> ScoreCache {
    ScoreCache::tiered(&lasting(), link, cache_key::testing(1), clock(), &Entropy::System)
}

fn in_redis(link: RedisLink) -> RedisScores {
    RedisScores::new(link, NEVER, cache_key::testing(1), clock(), &Entropy::System)
}

fn loaded(value: Option<i64>) -> Loaded {
    Loaded { found: value.map(score), read_at: clock().now(), is_followed: false }
}

fn key(number: u8) -> ScoreKey {
    ScoreKey {
        merchant: "mer_018f3c2e7b7a7000800000000000abcd".parse().unwrap(),
        source: "klout".parse().unwrap(),
        subject: SubjectRef([number; 32]),
    }
}

fn score(value: i64) -> Score {
    Score::new(Decimal::from_whole(value), from_micros(value))
}

#[expect(clippy::unused_async, reason = "a load is a future")]
async fn loads(value: Option<Score>) -> Answer {
    Ok(value)
}

async fn not_asked() -> Answer {
    panic!("the database was asked for what is cached")
}

async fn found(cache: &ScoreCache, number: u8, load: Option<Score>) -> Option<Score> {
    cache.find(&key(number), || loads(load)).await.unwrap()
}

async fn kept(cache: &ScoreCache, number: u8) -> Option<Score> {
    cache.find(&key(number), not_asked).await.unwrap()
}

pub(super) async fn cache_holds(cache: ScoreCache) {
    concurrent_misses_share_one_look_up(&cache).await;
    an_error_goes_to_all_and_is_not_kept(&cache).await;

    assert_eq!(found(&cache, 3, None).await, None);
    assert_eq!(kept(&cache, 3).await, None, "that there is none is kept too");

    assert_eq!(found(&cache, 4, Some(score(40))).await, Some(score(40)));
    assert_eq!(found(&cache, 5, Some(score(50))).await, Some(score(50)));
    cache.forget(&[key(4)]).await;
    assert_eq!(found(&cache, 4, Some(score(41))).await, Some(score(41)), "a write is seen at once");
    assert_eq!(kept(&cache, 4).await, Some(score(41)));
    assert_eq!(kept(&cache, 5).await, Some(score(50)), "others keep their place");

    cache.forget(&[key(4)]).await;
    assert_eq!(found(&cache, 4, None).await, None, "so is a deletion");

    a_load_that_a_write_overtook_is_not_kept(&cache).await;
}

async fn concurrent_misses_share_one_look_up(cache: &ScoreCache) {
    let (asked, gate) = (AtomicUsize::new(0), Semaphore::new(0));
    let load = || async {
        asked.fetch_add(1, Ordering::SeqCst);
        let _open = gate.acquire().await;
        Ok(Some(score(10)))
    };
    let wanted = key(1);
    let everyone = join_all((0..100).map(|_| cache.find(&wanted, load)));
    // Polled after all of them have asked.
    let (answers, ()) = join(everyone, async { gate.add_permits(100) }).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap() == Some(score(10))));
    assert_eq!(asked.into_inner(), 1);
    assert_eq!(kept(cache, 1).await, Some(score(10)));
}

async fn an_error_goes_to_all_and_is_not_kept(cache: &ScoreCache) {
    let (asked, gate) = (AtomicUsize::new(0), Semaphore::new(0));
    let load = || async {
        asked.fetch_add(1, Ordering::SeqCst);
        let _open = gate.acquire().await;
        Err(DatabaseError::Busy)
    };
    let wanted = key(2);
    let everyone = join_all((0..10).map(|_| cache.find(&wanted, load)));
    let (answers, ()) = join(everyone, async { gate.add_permits(10) }).await;
    assert!(answers.into_iter().all(|answer| matches!(*answer.unwrap_err(), DatabaseError::Busy)));
    assert_eq!(asked.into_inner(), 1);
    assert_eq!(found(cache, 2, Some(score(20))).await, Some(score(20)));
}

async fn a_load_that_a_write_overtook_is_not_kept(cache: &ScoreCache) {
    let gate = Semaphore::new(0);
    let (loading, load_began) = (AtomicUsize::new(0), tokio::sync::Notify::new());
    let wanted = key(6);
    let reader = cache.find(&wanted, || async {
        loading.fetch_add(1, Ordering::SeqCst);
        load_began.notify_one();
        let _open = gate.acquire().await;
        Ok(Some(score(60)))
    });
    let writer = async {
        load_began.notified().await;
        cache.forget(&[key(6)]).await;
        gate.add_permits(10);
    };
    let (before, ()) = join(reader, writer).await;
    assert_eq!(before.unwrap(), Some(score(60)), "who asked before the write may have what was before");
    assert_eq!(found(cache, 6, Some(score(61))).await, Some(score(61)), "who asks after it may not");
    assert_eq!(kept(cache, 6).await, Some(score(61)));
}

#[tokio::test]
async fn memory_alone_holds() {
    cache_holds(ScoreCache::memory(&lasting(), clock())).await;
}

#[tokio::test]
async fn what_nobody_announced_is_seen_after_the_time_to_live() {
    let cache = ScoreCache::memory(&CacheConfig { ttl: Duration::from_millis(5), ..lasting() }, clock());
    assert_eq!(found(&cache, 1, Some(score(1))).await, Some(score(1)));
    until(async || found(&cache, 1, Some(score(2))).await == Some(score(2))).await;
}

#[tokio::test]
async fn memory_is_bounded() {
    let cache = ScoreCache::memory(&CacheConfig { entries: 10, ..lasting() }, clock());
    for number in 0..200 {
        found(&cache, number, None).await;
    }
    let ScoreCache::Memory(memory) = cache else { panic!("that is memory alone") };
    assert!(memory.entries().await <= 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn memory_before_redis_holds() {
    let Some(server) = RedisServer::start(None) else { return };
    let (cache, other) = (tiered(server.link().await), tiered(server.link().await));
    // Being subscribed drops everything once: not in the middle of the suite.
    assert_eq!(found(&cache, 99, Some(score(1))).await, Some(score(1)));
    until(async || {
        other.forget(&[key(99)]).await;
        found(&cache, 99, Some(score(2))).await == Some(score(2))
    })
    .await;
    cache_holds(cache).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn memory_before_a_dead_redis_holds() {
    let dead = config(&format!("redis://127.0.0.1:{}/", free_port()));
    let cache = tiered(RedisLink::new(dead, tokio::runtime::Handle::current()).unwrap());
    assert!(!cache.is_whole());
    cache_holds(cache).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn replicas_share_what_one_of_them_loaded_and_hear_of_writes() {
    let Some(mut server) = RedisServer::start(None) else { return };
    let (link, other) = (server.link().await, server.link().await);
    let (one, two) = (tiered(link.clone()), tiered(other));

    assert_eq!(found(&one, 1, Some(score(10))).await, Some(score(10)));
    assert_eq!(kept(&two, 1).await, Some(score(10)));
    // The second replica may only be subscribing now, and so have to drop everything; by the
    // second round it is subscribed, and nothing but the announcement can tell it.
    for value in [11, 12] {
        one.forget(&[key(1)]).await;
        until(async || found(&two, 1, Some(score(value))).await == Some(score(value))).await;
    }

    // A write while Redis is down can't be announced; coming back, all that may be old is dropped.
    server.stop();
    until(async || link.get("k").await == Err(RedisLinkError::Down)).await;
    one.forget(&[key(1)]).await;
    assert_eq!(kept(&two, 1).await, Some(score(12)));
    server.start_again();
    until(async || found(&two, 1, Some(score(13))).await == Some(score(13))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_reader_does_not_fill_redis_over_a_write() {
    let Some(server) = RedisServer::start(None) else { return };
    let redis = in_redis(server.link().await);
    redis.fill(&key(1), &loaded(Some(1))).await;
    assert_eq!(redis.find(&key(1)).await, Known::Found(loaded(Some(1))));
    redis.mark(&[key(1), key(2)]).await;
    redis.fill(&key(1), &loaded(Some(1))).await;
    redis.fill(&key(2), &loaded(None)).await;
    assert_eq!(redis.find(&key(1)).await, Known::Written);
    assert_eq!(redis.find(&key(2)).await, Known::Written);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_write_that_redis_missed_is_not_read_back_from_it() {
    let Some(mut server) = RedisServer::start(None) else { return };
    let link = server.link().await;
    let redis = in_redis(link.clone());
    server.stop();
    until(async || link.get("k").await == Err(RedisLinkError::Down)).await;
    redis.mark(&[key(1)]).await;
    server.start_again();
    assert!(link.wait_until_up(PATIENCE).await);
    // What was there before the write is there still: another replica's view of it.
    in_redis(link.clone()).fill(&key(1), &loaded(Some(1))).await;
    assert_eq!(redis.find(&key(1)).await, Known::Written);
    assert_eq!(in_redis(link).find(&key(1)).await, Known::Written, "and it is mended for all");
}

#[tokio::test]
async fn what_another_replica_read_long_ago_is_not_kept_for_as_long_again() {
    let clock = clock();
    let cache = ScoreCache::memory(&CacheConfig { ttl: Duration::from_secs(5), ..lasting() }, clock.clone());
    let ScoreCache::Memory(memory) = cache else { panic!("that is memory alone") };
    let find = async |load: Loaded| memory.find(&key(1), || async move { Ok(load) }).await.unwrap();
    let of_old = loaded(Some(1));
    let pass = |seconds| clock.set(clock.now() + jiff::SignedDuration::from_secs(seconds));
    pass(3);
    assert_eq!(find(of_old).await, Some(score(1)));
    pass(1);
    let later = Loaded { read_at: clock.now(), ..loaded(Some(2)) };
    assert_eq!(find(later).await, Some(score(1)));
    pass(1);
    let later = Loaded { read_at: clock.now(), ..loaded(Some(2)) };
    assert_eq!(find(later).await, Some(score(2)), "five seconds after it was read, not after it was kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_redis_could_not_be_sent_is_sent_at_the_next_heartbeat() {
    let Some(mut server) = RedisServer::start(None) else { return };
    let link = server.link().await;
    let cache = tiered(link.clone());
    server.stop();
    until(async || !link.is_up()).await;
    cache.forget(&[key(1), key(2)]).await;
    server.start_again();
    // Neither is asked for meanwhile.
    let other = in_redis(server.link().await);
    other.fill(&key(1), &loaded(Some(1))).await;
    until(async || other.find(&key(1)).await == Known::Written && other.find(&key(2)).await == Known::Written).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn past_its_bound_a_replica_believes_nothing_that_redis_held_before() {
    let Some(mut server) = RedisServer::start(None) else { return };
    let (link, clock) = (server.link().await, clock());
    let bounded = RedisScores::bounded(link.clone(), NEVER, cache_key::testing(1), clock.clone(), &Entropy::System, 2);
    server.stop();
    until(async || !link.is_up()).await;
    bounded.mark(&[key(1), key(2), key(3)]).await;
    server.start_again();
    assert!(link.wait_until_up(PATIENCE).await);
    let other = in_redis(link);
    for number in 1..=4 {
        other.fill(&key(number), &loaded(Some(1))).await;
        assert_eq!(bounded.find(&key(number)).await, Known::Written, "{number}");
        assert_eq!(other.find(&key(number)).await, Known::Written, "{number}: nobody believes it any more");
    }
    clock.set(clock.now() + jiff::SignedDuration::from_secs(2));
    let later = Loaded { read_at: clock.now(), ..loaded(Some(1)) };
    bounded.fill(&key(5), &later).await;
    assert_eq!(bounded.find(&key(5)).await, Known::Found(later));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_forged_value_in_redis_is_a_miss_and_is_mended() {
    let Some(server) = RedisServer::start(None) else { return };
    let link = server.link().await;
    let cache = tiered(link.clone());
    let name = format!("score:{}:klout:{}", key(1).merchant, key(1).subject);
    link.set(&name, b"\x02\x01nonsense", NEVER).await.unwrap();
    assert_eq!(found(&cache, 1, Some(score(1))).await, Some(score(1)));
    let redis = in_redis(link.clone());
    assert_eq!(redis.find(&key(1)).await, Known::Written, "no reader fills it, as after a write");
    // As the mark's time does.
    link.delete(&name).await.unwrap();
    redis.fill(&key(1), &loaded(Some(1))).await;
    assert_eq!(redis.find(&key(1)).await, Known::Found(loaded(Some(1))));
}

/// Asks until the answer is yes.
async fn until(yes: impl AsyncFn() -> bool) {
    let asked = async {
        while !yes().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("it never came");
}
