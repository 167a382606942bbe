//! Replicas that are frozen and databases that say nothing: everybody else goes on, requests end, and nothing
//! is lost or done twice.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use diesel::{Connection as _, PgConnection, RunQueryDsl as _};
use futures_util::future::join_all;
use perkgate::access::{Merchant, NewKey, Role};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::databases::TestDatabase;
use crate::support::proxy::{Commit, Proxy};
use crate::support::serve::Serve;
use crate::support::services::Postgres;
use crate::support::world::{CLI, World};

/// For what is waited for by looking; a run that takes so long has failed. Shorter than the minute for which
/// a server used to keep a frozen client's transaction.
const PATIENCE: Duration = Duration::from_secs(30);

const LOUNGE: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"house","scope":["perk"],"max":100000,"window":{"lifetime":true}}]}"#;

/// A merchant with a perk, a person with a score, and keys for who asks.
struct House {
    world: World,
    merchant: Merchant,
    kiosk: String,
    feeder: String,
    http: reqwest::Client,
}

impl House {
    async fn open(postgres: &Postgres) -> Self {
        let world = World::live(TestDatabase::on(postgres)).await;
        let merchant = world.merchant("cathay").await;
        world.perk(&merchant, "lounge", LOUNGE).await;
        world.score(&merchant, "twitter:ada", "92").await;
        let mut keys = Vec::new();
        for role in [Role::Kiosk, Role::Feeder] {
            let key = NewKey::of(role, Some(merchant.id.clone()), "test");
            keys.push(world.gateway.directory.create_key(key, CLI).await.unwrap().1.expose().to_owned());
        }
        let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        let [kiosk, feeder] = keys.try_into().unwrap();
        Self { world, merchant, kiosk, feeder, http }
    }

    fn serve(database: &TestDatabase, settings: &[(&str, &str)]) -> Serve {
        let settings: Vec<_> =
            [("rate_per_key", "0"), ("score_cache_ttl", "1h")].into_iter().chain(settings.iter().copied()).collect();
        Serve::start(Path::new(env!("CARGO_BIN_EXE_perkgate")), database, &settings)
    }

    async fn check(&self, serve: &Serve, key: &str) -> reqwest::Result<(StatusCode, Value)> {
        let body = json!({"perk": "lounge", "subject": "twitter:ada"});
        let request = self.http.post(serve.url("/v1/checks")).bearer_auth(&self.kiosk).header("Idempotency-Key", key);
        let answer = request.header("Content-Type", "application/json").body(body.to_string()).send().await?;
        let status = answer.status();
        assert!(status == 200 || answer.headers().contains_key("retry-after"), "{status}");
        Ok((status, serde_json::from_slice(&answer.bytes().await?).unwrap()))
    }

    /// Asks under one key until it is granted, as a kiosk would; and how often it was sent back before.
    async fn until_granted(&self, serve: &Serve, key: &str) -> (Value, usize) {
        let deadline = Instant::now() + PATIENCE;
        let mut sent_back = 0;
        loop {
            match self.check(serve, key).await {
                Ok((StatusCode::OK, answer)) => {
                    assert_eq!(answer["decision"], "granted", "{answer}");
                    return (answer, sent_back);
                }
                Ok((status, answer)) => assert_eq!(status, 503, "{answer}"),
                Err(error) => assert!(error.is_timeout(), "{error}"),
            }
            sent_back += 1;
            assert!(Instant::now() < deadline, "it is not granted");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[derive(diesel::QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

/// How many sessions hold log heads in a transaction on which nothing is being done.
fn heads_held_by_idlers(conn: &mut PgConnection) -> i64 {
    let query = "SELECT count(DISTINCT a.pid) AS number FROM pg_stat_activity a JOIN pg_locks l USING (pid) \
                 WHERE a.datname = current_database() AND a.state = 'idle in transaction' \
                 AND l.relation = 'logs'::regclass AND l.mode IN ('RowShareLock', 'RowExclusiveLock') AND l.granted";
    diesel::sql_query(query).get_result::<Number>(conn).unwrap().number
}

fn signal(serve: &Serve, signal: &str) {
    let sent = Command::new("kill").args([signal, &serve.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_replica_keeps_nobody_from_granting() {
    let Some(postgres) = Postgres::start() else { return };
    let house = House::open(&postgres).await;
    let (frozen, other) = (House::serve(&house.world.database, &[]), House::serve(&house.world.database, &[]));
    let mut watching = PgConnection::establish(&house.world.database.setting()).unwrap();
    // Frozen at any instant; again, until it holds the heads then.
    let (mut keys, deadline) = (0, Instant::now() + PATIENCE);
    let mut under_way = Vec::new();
    loop {
        assert!(Instant::now() < deadline, "it never was frozen in the middle of a transaction");
        let asked: Vec<_> = (0..64).map(|nth| format!("frozen-{}", keys + nth)).collect();
        keys += asked.len();
        // Sixteen at once, so that it always has a batch to commit.
        let ask = async |nth: usize| {
            let mut answers = Vec::new();
            for key in asked.iter().skip(nth).step_by(16) {
                answers.push((key.clone(), house.check(&frozen, key).await));
            }
            answers
        };
        let load = async { join_all((0..16).map(ask)).await };
        let freeze = async {
            tokio::time::sleep(Duration::from_micros(u64::try_from(keys).unwrap() * 97 % 40_000)).await;
            signal(&frozen, "-STOP");
            // Whatever the server was doing for it is done after a moment.
            let mut held = false;
            for _ in 0..4 {
                held = heads_held_by_idlers(&mut watching) > 0;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if !held {
                signal(&frozen, "-CONT");
                return None;
            }
            let (answer, sent_back) = house.until_granted(&other, "other").await;
            signal(&frozen, "-CONT");
            Some((answer, sent_back))
        };
        let (answers, granted) = tokio::join!(load, freeze);
        under_way.extend(answers.into_iter().flatten());
        if granted.is_some() {
            break;
        }
    }
    // Cut off, it connects again; whoever was sent back asks again under the same key and has one grant.
    let mut granted = 1;
    for (key, answer) in under_way {
        let (again, _) = house.until_granted(&frozen, &key).await;
        if let Ok((StatusCode::OK, told)) = answer {
            assert_eq!(told, again, "the same question, the very same answer");
        }
        granted += 1;
    }
    assert_eq!(house.world.tally(&house.merchant).granted, granted);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_ends_while_the_database_says_nothing() {
    let Some(postgres) = Postgres::start() else { return };
    let house = House::open(&postgres).await;
    let proxy = Proxy::to(postgres.port());
    let behind = house.world.database.setting().replace(&postgres.port().to_string(), &proxy.port().to_string());
    let serve = House::serve(&TestDatabase::at(&behind), &[("request_timeout", "2s")]);
    let (first, _) = house.until_granted(&serve, "first").await;
    let (grant, check) = (first["grant"].as_str().unwrap(), first["check"].as_str().unwrap());
    let redemption = json!({"token": first["token"], "door": "A", "attempt": "1"});
    let score = json!({"value": 50, "observed_at": "2026-01-01T00:00:00Z"});
    let ask = |method: Method, path: String, key: &str, body: Value| {
        let request = house.http.request(method, serve.url(&path)).bearer_auth(key);
        request.header("Content-Type", "application/json").body(body.to_string()).send()
    };
    proxy.fall_silent();
    let (kiosk, feeder) = (house.kiosk.as_str(), house.feeder.as_str());
    let import = house.http.post(serve.url("/v1/scores/klout/import")).bearer_auth(feeder);
    let hung = join_all([
        ask(Method::POST, format!("/v1/grants/{grant}/release"), kiosk, json!({})),
        ask(Method::POST, "/v1/tokens/redeem".to_owned(), kiosk, redemption.clone()),
        ask(Method::GET, format!("/v1/checks/{check}"), kiosk, Value::Null),
        ask(Method::GET, format!("/v1/grants/{grant}"), kiosk, Value::Null),
        ask(Method::PUT, "/v1/scores/klout/twitter:ada".to_owned(), feeder, score),
        ask(Method::GET, "/v1/scores/klout/twitter:ada".to_owned(), feeder, Value::Null),
    ]);
    let imported =
        import.header("Content-Type", "text/csv").body("subject,value,observed_at\nbob,5,2026-01-01T00:00:00Z\n");
    let checks = join_all((0..20).map(|nth| {
        let (house, serve) = (&house, &serve);
        async move { house.check(serve, &format!("hung-{nth}")).await }
    }));
    let (hung, checks, imported) = tokio::join!(hung, checks, imported.send());
    for answer in hung.into_iter().chain([imported]) {
        let answer = answer.expect("it ends");
        assert_eq!(answer.status(), 503, "{}", answer.url());
        assert!(answer.headers().contains_key("retry-after"));
    }
    for answer in checks {
        assert_eq!(answer.expect("it ends").0, 503);
    }
    proxy.speak();
    for nth in 0..20 {
        house.until_granted(&serve, &format!("hung-{nth}")).await;
    }
    assert_eq!(house.world.tally(&house.merchant).granted, 21, "each question was answered with one grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_asked_about() {
    let Some(postgres) = Postgres::start() else { return };
    let house = House::open(&postgres).await;
    let proxy = Proxy::to(postgres.port());
    let behind = house.world.database.setting().replace(&postgres.port().to_string(), &proxy.port().to_string());
    let serve = House::serve(&TestDatabase::at(&behind), &[("request_timeout", "4s")]);
    house.until_granted(&serve, "before").await;
    proxy.next_commit(Commit::LosesItsAnswer);
    // The caller hears what became of it, in this very request.
    let (status, answer) = house.check(&serve, "took").await.unwrap();
    assert_eq!((status, proxy.commits_lost()), (StatusCode::OK, 1), "{answer}");
    assert!(answer["token"].is_string());
    assert_eq!(house.until_granted(&serve, "took").await.0, answer);
    assert_eq!(house.world.tally(&house.merchant).granted, 2);
    // One that never got there holds the heads until the server ends its session, and is not recorded.
    proxy.next_commit(Commit::IsLost);
    let (status, answer) = house.check(&serve, "did not take").await.unwrap();
    assert_eq!((status, proxy.commits_lost()), (StatusCode::SERVICE_UNAVAILABLE, 2), "{answer}");
    house.until_granted(&serve, "did not take").await;
    assert_eq!(house.world.tally(&house.merchant).granted, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_ends_while_the_database_says_nothing() {
    let Some(postgres) = Postgres::start() else { return };
    let house = House::open(&postgres).await;
    let proxy = Proxy::to(postgres.port());
    let behind = house.world.database.setting().replace(&postgres.port().to_string(), &proxy.port().to_string());
    let serve = House::serve(&TestDatabase::at(&behind), &[("request_timeout", "2s")]);
    house.until_granted(&serve, "first").await;
    proxy.fall_silent();
    // By then whatever looks at the database by itself is waiting for it.
    let begun = Instant::now();
    loop {
        let ready = house.http.get(serve.url("/readyz")).send().await.unwrap().text().await.unwrap();
        if ready.contains("database_unreachable") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{ready}");
    }
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || ended.send(serve.stop("TERM")));
    let status = end.recv_timeout(PATIENCE).expect("it ends");
    assert!(status.success(), "{status}");
}
