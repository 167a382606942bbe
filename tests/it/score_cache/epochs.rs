//! What this process read stands for as long as the epochs of scores do: it stays in memory, and a write by anyone ends
//! that.

use std::sync::Arc;

use perkgate::access::{Merchant, Principal, Role};
use perkgate::database::{AnyConnection, DatabaseError};
use perkgate::decision::decide::Decision;
use perkgate::gateway::Gateway;
use perkgate::ledger::retention::erasure::Erasure;

use super::LOUNGE;
use crate::support::databases::TestDatabase;
use crate::support::world::{CLI, World, question};

struct Door {
    world: World,
    merchant: Merchant,
    kiosk: Principal,
}

impl Door {
    async fn all() -> Vec<Self> {
        let mut doors = Vec::new();
        for world in World::all_with(&[("score_cache_ttl", "5s")]).await {
            let merchant = world.merchant("cathay").await;
            world.perk(&merchant, "lounge", LOUNGE).await;
            let kiosk = world.principal(&merchant, Role::Kiosk).await;
            doors.push(Self { world, merchant, kiosk });
        }
        doors
    }

    async fn is_granted(&self, who: &str) -> bool {
        let checker = &self.world.gateway.checker;
        let answer = checker.check(&self.kiosk, &self.merchant, question("lounge", who)).await.unwrap();
        answer.decided.decision == Decision::Granted
    }

    /// Writes past all gateways, and moves no epoch on.
    fn write_behind_their_backs(&self, value: i64) {
        use diesel::connection::SimpleConnection as _;

        let write = |conn: &mut AnyConnection| {
            conn.batch_execute(&format!("UPDATE scores SET value = {value}")).map_err(DatabaseError::from)
        };
        self.world.database.open().write_blocking(write).unwrap();
    }

    async fn put_elsewhere(&self, replica: &Gateway, who: &str, value: &str) {
        let reference = replica.keyring.subject_ref(&self.merchant.id, &who.parse().unwrap());
        let score = perkgate::scores::Score::new(value.parse().unwrap(), self.world.now());
        let klout = perkgate::scores::Source::klout();
        replica.scores.put(&self.merchant.id, &klout, reference, score, self.world.now()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_stays_in_memory_until_anybody_writes_it() {
    for door in Door::all().await {
        let world = &door.world;
        let replica = world.replica().await;
        let mut follower = world.gateway.scores.follower();
        for who in ["twitter:ada", "twitter:bob", "twitter:eve"] {
            world.score(&door.merchant, who, "92").await;
        }
        follower.poll().await;
        for who in ["twitter:ada", "twitter:bob", "twitter:eve"] {
            assert!(door.is_granted(who).await);
        }
        door.write_behind_their_backs(5_000);
        world.pass(60);
        follower.poll().await;
        assert!(door.is_granted("twitter:ada").await, "for all that the epochs say it stands");

        door.put_elsewhere(&replica, "twitter:ada", "7").await;
        let subject = replica.keyring.subject_ref(&door.merchant.id, &"twitter:eve".parse().unwrap()).into();
        let erasure = Erasure { merchant: door.merchant.id.clone(), subject, by: CLI, asked: None };
        assert!(replica.scores.erase(&replica.ledger, erasure).await.unwrap().is_some());
        follower.poll().await;
        assert!(!door.is_granted("twitter:ada").await, "written by another");
        assert!(!door.is_granted("twitter:eve").await, "erased by another");
        assert!(door.is_granted("twitter:bob").await, "and nobody wrote this one");

        world.pass(6);
        assert!(!door.is_granted("twitter:bob").await, "nobody has looked for longer than a score may be old");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_before_an_import_or_before_anybody_followed_is_not_followed() {
    for door in Door::all().await {
        let world = &door.world;
        world.score(&door.merchant, "twitter:ada", "92").await;
        assert!(door.is_granted("twitter:ada").await, "before anybody follows");
        door.write_behind_their_backs(5_000);
        let mut follower = world.gateway.scores.follower();
        follower.poll().await;
        assert!(door.is_granted("twitter:ada").await, "it is not older than a score may be");
        world.pass(5);
        follower.poll().await;
        assert!(!door.is_granted("twitter:ada").await, "nobody saw the epochs when this was read");

        let replica = World {
            gateway: Arc::new(world.replica().await),
            clock: world.clock.clone(),
            database: TestDatabase::at(&world.database.setting()),
        };
        let many = (0..500).map(|nth| (format!("twitter:user{nth}"), "92")).chain([("twitter:ada".to_owned(), "93")]);
        follower.poll().await;
        assert!(!door.is_granted("twitter:ada").await);
        world.pass(1);
        replica.import_scores(&door.merchant, many).await;
        world.pass(3);
        follower.poll().await;
        assert!(!door.is_granted("twitter:ada").await, "an import unseats nothing");
        world.pass(2);
        follower.poll().await;
        assert!(door.is_granted("twitter:ada").await, "and nothing is followed that was read before it");
    }
}
