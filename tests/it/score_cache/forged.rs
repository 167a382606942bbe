//! Whoever can write to Redis can slow checks down, and decide nothing.

use std::path::Path;

use perkgate::access::{NewKey, Role};
use perkgate::telemetry::Metrics;
use serde_json::json;

use super::states::until_ready_says;
use super::{LOUNGE, Lounge};
use crate::support::databases::TestDatabase;
use crate::support::serve::Serve;
use crate::support::services::Redis;
use crate::support::world::{CLI, World};

/// A value as the gateway's first format had it: a version, a kind, thousandths, microseconds.
fn first_format(thousandths: i64, observed_at: &str) -> Vec<u8> {
    let observed_at: jiff::Timestamp = observed_at.parse().unwrap();
    [&[1, 1][..], &thousandths.to_be_bytes(), &observed_at.as_microsecond().to_be_bytes()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_no_gateway_wrote_grants_nothing() {
    for lounge in Lounge::all().await {
        let world = &lounge.world;
        world.score(&lounge.merchant, "twitter:ada", "5").await;
        world.score(&lounge.merchant, "twitter:bob", "92").await;
        assert!(!lounge.is_granted(&world.gateway, "twitter:ada").await);
        assert!(lounge.is_granted(&world.gateway, "twitter:bob").await);
        let (of_ada, of_bob) = (read_back(&lounge, "twitter:ada").await, read_back(&lounge, "twitter:bob").await);

        let mut forged = vec![
            first_format(99_000, "2012-05-08T18:00:00Z"),
            first_format(1_000_000, "2012-05-08T18:00:00Z"),
            first_format(99_000, "2030-01-01T00:00:00Z"),
            of_bob.clone(),
            Vec::new(),
            b"nonsense".to_vec(),
        ];
        // The genuine value with one byte bent, in every field of it, or cut off after one.
        for at in [0, 1, 2, 8, 9, 10, 17, 18, 25, 26, 57].into_iter().filter(|at| *at < of_ada.len()) {
            let mut bent = of_ada.clone();
            bent[at] ^= 0x40;
            forged.extend([bent, of_ada[..at].to_vec()]);
        }
        forged.push([&of_ada[..], &[0]].concat());
        for value in forged {
            lounge.set("twitter:ada", &value);
            // A replica that starts now has nothing in memory: it looks into Redis first.
            let replica = lounge.replica().await;
            assert!(!lounge.is_granted(&replica, "twitter:ada").await, "by {value:02x?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn that_somebody_has_no_score_is_not_believed_of_another() {
    for lounge in Lounge::all().await {
        let world = &lounge.world;
        world.score(&lounge.merchant, "twitter:ada", "92").await;
        assert!(!lounge.is_granted(&world.gateway, "twitter:nobody").await);
        let none = read_back(&lounge, "twitter:nobody").await;
        for value in [&none[..], &[1, 0], &none[..2]] {
            lounge.set("twitter:ada", value);
            let replica = lounge.replica().await;
            assert!(lounge.is_granted(&replica, "twitter:ada").await, "by {value:02x?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_genuine_value_that_is_put_back_later_is_too_old() {
    for lounge in Lounge::all().await {
        let world = &lounge.world;
        world.score(&lounge.merchant, "twitter:ada", "92").await;
        assert!(lounge.is_granted(&world.gateway, "twitter:ada").await);
        let genuine = read_back(&lounge, "twitter:ada").await;
        world.score(&lounge.merchant, "twitter:ada", "5").await;
        world.pass(5);
        // It is put back without an expiry: Redis would keep it for ever.
        lounge.set("twitter:ada", &genuine);
        let replica = lounge.replica().await;
        assert!(!lounge.is_granted(&replica, "twitter:ada").await);
        // Nor is one that was filled at an instant that is yet to come.
        world.pass(-60);
        lounge.set("twitter:ada", &genuine);
        let replica = lounge.replica().await;
        assert!(!lounge.is_granted(&replica, "twitter:ada").await);
    }
}

/// It is not deleted by its name: a write that came in between has left its mark there, which must stand.
#[tokio::test(flavor = "multi_thread")]
async fn in_the_place_of_a_value_that_is_not_believed_stands_the_mark_of_a_write() {
    for lounge in Lounge::all().await {
        lounge.world.score(&lounge.merchant, "twitter:ada", "92").await;
        assert!(lounge.is_granted(&lounge.world.gateway, "twitter:ada").await);
        let forged = [&[2, 1][..], &[0; 24], &[7; 32]].concat();
        // The mark itself stands for a few seconds only.
        super::until(async || {
            lounge.set("twitter:ada", &forged);
            let replica = lounge.replica().await;
            assert!(lounge.is_granted(&replica, "twitter:ada").await);
            lounge.get("twitter:ada").as_deref() == Some(&[2, 2])
        })
        .await;
    }
}

/// What a gateway fills Redis with about the person.
async fn read_back(lounge: &Lounge, who: &str) -> Vec<u8> {
    super::until(async || {
        // A mark of the last write would keep it out for a while.
        lounge.redis.command::<()>(&[b"DEL", lounge.key(who).as_bytes()]);
        let replica = lounge.replica().await;
        lounge.ask(&replica, who).await;
        lounge.get(who).is_some()
    })
    .await;
    lounge.get(who).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn forgeries_are_counted_and_told_once() {
    let Some(redis) = Redis::start() else { return };
    let metrics = Metrics::start().unwrap();
    for database in TestDatabase::migrated() {
        let world = World::live(database).await;
        let merchant = world.merchant("cathay").await;
        world.perk(&merchant, "lounge", LOUNGE).await;
        let key = NewKey::of(Role::Kiosk, Some(merchant.id.clone()), "kiosk");
        let (_, secret) = world.gateway.directory.create_key(key, CLI).await.unwrap();
        let settings = [("redis_url", &*redis.url()), ("redis_prefix", "perkgate:"), ("log", "info")];
        let serve = Serve::start(Path::new(env!("CARGO_BIN_EXE_perkgate")), &world.database, &settings);
        until_ready_says(&serve, &json!({"status": "ready", "reasons": []})).await;
        for nth in 0..5 {
            let who = format!("twitter:person{nth}");
            world.score(&merchant, &who, "5").await;
            let reference = world.gateway.keyring.subject_ref(&merchant.id, &who.parse().unwrap());
            let name = format!("perkgate:score:{}:klout:{reference}", merchant.id);
            let forged = [&[2, 1][..], &[0; 24], &[7; 32]].concat();
            redis.command::<()>(&[b"SET", name.as_bytes(), &forged]);
            let body = json!({"perk": "lounge", "subject": who}).to_string();
            let request = reqwest::Client::new().post(serve.url("/v1/checks")).bearer_auth(secret.expose());
            let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
            assert!(answer.text().await.unwrap().contains(r#""decision":"denied""#));
            let left: Option<Vec<u8>> = redis.command(&[b"GET", name.as_bytes()]);
            assert_ne!(left, Some(forged), "whoever finds it takes it away");
        }
        let log = serve.into_log();
        let told = log.lines().filter(|line| line.contains("not written by a gateway")).count();
        assert_eq!(told, 1, "{log}");
    }
    for lounge in Lounge::all().await {
        lounge.world.score(&lounge.merchant, "twitter:ada", "5").await;
        lounge.set("twitter:ada", &[2, 0, 1]);
        let replica = lounge.replica().await;
        assert!(!lounge.is_granted(&replica, "twitter:ada").await);
        assert!(
            metrics
                .render()
                .lines()
                .any(|line| line.starts_with("perkgate_score_cache_forged_total ") && !line.ends_with(" 0")),
            "it is counted"
        );
    }
}
