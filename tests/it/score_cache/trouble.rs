//! Redis refuses, or a replica is cut off from it: nobody goes by an old score for longer than
//! `score_cache_ttl`, and what Redis was not told of it is told when it is back.

use perkgate::gateway::Gateway;
use perkgate::ledger::retention::erasure::Erasure;

use super::{Lounge, in_use, settings, until};
use crate::support::cable::Cable;
use crate::support::services::Redis;
use crate::support::world::CLI;

/// How a Redis that answers comes to refuse writes.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    /// A failover made it somebody's replica.
    ReadOnly,
    /// It is full, and may throw nothing away.
    Full,
    /// Somebody took the right away.
    Forbidden,
}

impl Refusal {
    const ALL: [Self; 3] = [Self::ReadOnly, Self::Full, Self::Forbidden];

    fn begin(self, redis: &Redis) {
        match self {
            Self::ReadOnly => redis.command::<()>(&[b"REPLICAOF", b"127.0.0.1", b"1"]),
            Self::Full => redis.command::<()>(&[b"CONFIG", b"SET", b"maxmemory", b"1"]),
            Self::Forbidden => redis.command::<()>(&[b"ACL", b"SETUSER", b"default", b"-set", b"-del"]),
        }
    }

    fn end(self, redis: &Redis) {
        match self {
            Self::ReadOnly => redis.command::<()>(&[b"REPLICAOF", b"NO", b"ONE"]),
            Self::Full => redis.command::<()>(&[b"CONFIG", b"SET", b"maxmemory", b"0"]),
            Self::Forbidden => redis.command::<()>(&[b"ACL", b"SETUSER", b"default", b"+set", b"+del"]),
        }
    }
}

impl Lounge {
    /// Ada and Eve have good scores, and both gateways and Redis know them.
    async fn known_to_all(&self, other: &Gateway) {
        for who in ["twitter:ada", "twitter:eve"] {
            self.world.score(&self.merchant, who, "92").await;
            until(async || {
                // The mark of the write would keep them out of Redis for a while.
                self.redis.command::<()>(&[b"DEL", self.key(who).as_bytes()]);
                let fresh = self.replica().await;
                self.is_granted(&fresh, who).await && self.get(who).is_some()
            })
            .await;
            assert!(self.is_granted(other, who).await);
        }
    }

    /// Ada's score falls, and Eve is erased.
    async fn both_fall(&self, through: &Gateway) {
        let (merchant, now) = (&self.merchant.id, self.world.now());
        let reference = |who: &str| through.keyring.subject_ref(merchant, &who.parse().unwrap());
        let score = perkgate::scores::Score::new("5".parse().unwrap(), now);
        let klout = perkgate::scores::Source::klout();
        through.scores.put(merchant, &klout, reference("twitter:ada"), score, now).await.unwrap();
        let erasure =
            Erasure { merchant: merchant.clone(), subject: reference("twitter:eve").into(), by: CLI, asked: None };
        assert!(through.scores.erase(&through.ledger, erasure).await.unwrap().is_some());
    }

    async fn assert_nobody_is_granted(&self, by: &Gateway, when: &str) {
        for who in ["twitter:ada", "twitter:eve"] {
            assert!(!self.is_granted(by, who).await, "{who} is granted {when}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_refuses_writes_keeps_no_old_score_alive() {
    for refusal in Refusal::ALL {
        for lounge in Lounge::all().await {
            let other = lounge.replica().await;
            lounge.known_to_all(&other).await;
            refusal.begin(&lounge.redis);
            lounge.both_fall(&lounge.world.gateway).await;
            lounge.assert_nobody_is_granted(&lounge.world.gateway, "by who wrote").await;
            lounge.world.pass(5);
            lounge.assert_nobody_is_granted(&other, "from memory").await;
            let fresh = lounge.world.twin().await;
            fresh.redis.as_ref().unwrap().wait_until_known().await;
            lounge.assert_nobody_is_granted(&fresh, "from a Redis that refuses writes").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_refusing_redis_was_not_told_it_is_told_when_it_takes_writes_again() {
    for refusal in Refusal::ALL {
        for lounge in Lounge::all_keeping("1h").await {
            let other = lounge.replica().await;
            lounge.known_to_all(&other).await;
            refusal.begin(&lounge.redis);
            lounge.both_fall(&lounge.world.gateway).await;
            refusal.end(&lounge.redis);
            // No time passes: what lies in Redis would be young enough to be believed.
            until(async || {
                let fresh = lounge.replica().await;
                !lounge.is_granted(&fresh, "twitter:ada").await && !lounge.is_granted(&fresh, "twitter:eve").await
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_cut_off_from_redis_leaves_no_old_score_there() {
    for lounge in Lounge::all().await {
        let cable = Cable::to(lounge.redis.port());
        let cut_off = lounge.world.replica_with(&settings(&cable.url(), "5s")).await;
        in_use(&cut_off).await;
        let other = lounge.replica().await;
        lounge.known_to_all(&other).await;
        cable.cut();
        lounge.both_fall(&cut_off).await;
        lounge.assert_nobody_is_granted(&cut_off, "by who wrote").await;
        // Its Redis is well, and nobody told it.
        lounge.world.pass(5);
        lounge.assert_nobody_is_granted(&other, "from memory").await;
        let fresh = lounge.replica().await;
        lounge.assert_nobody_is_granted(&fresh, "from a Redis that was not told").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_joined_again_tells_redis_what_it_wrote() {
    for lounge in Lounge::all_keeping("1h").await {
        let cable = Cable::to(lounge.redis.port());
        let cut_off = lounge.world.replica_with(&settings(&cable.url(), "1h")).await;
        in_use(&cut_off).await;
        let other = lounge.replica().await;
        lounge.known_to_all(&other).await;
        cable.cut();
        lounge.both_fall(&cut_off).await;
        cable.mend();
        until(async || {
            let fresh = lounge.replica().await;
            !lounge.is_granted(&fresh, "twitter:ada").await && !lounge.is_granted(&fresh, "twitter:eve").await
        })
        .await;
    }
}
