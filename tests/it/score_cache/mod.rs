//! Redis is a cache that others can write to: whatever it holds, refuses or loses, nobody is granted by it.

mod epochs;
mod forged;
mod members;
pub(crate) mod states;
mod trouble;

use std::time::{Duration, Instant};

use perkgate::access::{Merchant, Principal, Role};
use perkgate::decision::decide::Decision;
use perkgate::eligibility::checker::Answer;
use perkgate::gateway::Gateway;

use crate::support::databases::TestDatabase;
use crate::support::services::Redis;
use crate::support::world::{World, question};

/// For what is waited for by looking; a run that takes so long has failed. Shorter than Redis keeps a score.
const PATIENCE: Duration = Duration::from_secs(40);

const LOUNGE: &str =
    r#"{"score":{"source":"klout"},"tiers":[{"id":"main","when":{"attr":"score","op":"gte","value":40}}]}"#;

/// A merchant whose scores lie in a Redis of the test's own. The clock stands still: what is cached grows
/// no older unless the test says so.
struct Lounge {
    world: World,
    redis: Redis,
    merchant: Merchant,
    kiosk: Principal,
}

impl Lounge {
    /// One on every database that this machine has; none without Redis.
    async fn all() -> Vec<Self> {
        Self::all_keeping("5s").await
    }

    /// The same, where a score may be so old.
    async fn all_keeping(ttl: &str) -> Vec<Self> {
        let mut lounges = Vec::new();
        for database in TestDatabase::migrated() {
            let Some(redis) = Redis::start() else { return Vec::new() };
            let url = redis.url();
            let world = World::on(database, &settings(&url, ttl)).await;
            let merchant = world.merchant("cathay").await;
            world.perk(&merchant, "lounge", LOUNGE).await;
            let kiosk = world.principal(&merchant, Role::Kiosk).await;
            in_use(&world.gateway).await;
            lounges.push(Self { world, redis, merchant, kiosk });
        }
        lounges
    }

    /// Another replica, with nothing in its memory yet.
    async fn replica(&self) -> Gateway {
        let replica = self.world.twin().await;
        in_use(&replica).await;
        replica
    }

    async fn ask(&self, gateway: &Gateway, who: &str) -> Answer {
        let merchant = self.kiosk.merchant().unwrap();
        gateway.checker.check(&self.kiosk, merchant, question("lounge", who)).await.unwrap()
    }

    async fn is_granted(&self, gateway: &Gateway, who: &str) -> bool {
        self.ask(gateway, who).await.decided.decision == Decision::Granted
    }

    /// The key in Redis that the person's score is kept under.
    fn key(&self, who: &str) -> String {
        let reference = self.world.gateway.keyring.subject_ref(&self.merchant.id, &who.parse().unwrap());
        format!("perkgate:score:{}:klout:{reference}", self.merchant.id)
    }

    fn get(&self, who: &str) -> Option<Vec<u8>> {
        self.redis.command(&[b"GET", self.key(who).as_bytes()])
    }

    fn set(&self, who: &str, value: &[u8]) {
        self.redis.command::<()>(&[b"SET", self.key(who).as_bytes(), value]);
    }
}

/// Patient, as these tests share few cores with others.
const fn settings<'a>(redis_url: &'a str, ttl: &'a str) -> [(&'a str, &'a str); 4] {
    [("redis_url", redis_url), ("redis_prefix", "perkgate:"), ("redis_timeout", "2s"), ("score_cache_ttl", ttl)]
}

/// Waits until the gateway reads and writes its Redis.
async fn in_use(gateway: &Gateway) {
    assert!(gateway.redis.as_ref().unwrap().wait_until_up(PATIENCE).await);
}

/// Asks until the answer is yes.
async fn until(yes: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !yes().await {
        assert!(Instant::now() < deadline, "it never came");
        tokio::task::yield_now().await;
    }
}
