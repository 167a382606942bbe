//! Replicas that are frozen and databases that say nothing: everybody else goes on, requests end, and nothing
//! is lost or done twice.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, RunQueryDsl as _};
use futures_util::future::join_all;
use perkgate::access::{Merchant, NewKey, Role};
use perkgate::database::session::{Abort, Session, Unfinished};
use perkgate::database::{AnyConnection, DatabaseError};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::databases::TestDatabase;
use crate::support::proxy::{Commit, Proxy};
use crate::support::serve::Serve;
use crate::support::services::Postgres;
use crate::support::world::{CLI, MASTER_KEY, World};

/// For what is waited for by looking; a run that takes so long has failed. Shorter than the minute for which
/// a server used to keep a frozen client's transaction.
const PATIENCE: Duration = Duration::from_secs(30);

/// Uses that lapse one by one are counted in a transaction.
const LOUNGE: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"house","scope":["perk"],"max":100000,"window":{"rolling":"P7D"}}]}"#;

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

/// A log that is made in the transaction itself can't be seen to be locked.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_makes_a_log_is_waited_for_before_it_is_said_not_to_have_taken() {
    let Some(postgres) = Postgres::start() else { return };
    let proxy = Proxy::to(postgres.port());
    let direct = TestDatabase::on(&postgres);
    let behind = direct.setting().replace(&postgres.port().to_string(), &proxy.port().to_string());
    let world = World::on(TestDatabase::at(&behind), &[("request_timeout", "4s")]).await;
    world.merchant("first").await;
    // The server takes its time over the commit: as long as somebody holds this lock.
    let mut somebody = PgConnection::establish(&direct.setting()).unwrap();
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
                'BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NULL; END'; \
                CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON logs DEFERRABLE INITIALLY DEFERRED \
                FOR EACH ROW EXECUTE FUNCTION slow(); SELECT pg_advisory_lock(42)";
    somebody.batch_execute(slow).unwrap();
    proxy.next_commit(Commit::LosesItsAnswer);
    let making = world.gateway.directory.create_merchant("second".parse().unwrap(), "second", None, CLI);
    let release = async {
        let waiting = "SELECT count(*) AS number FROM pg_stat_activity WHERE datname = current_database() \
                       AND wait_event_type = 'Lock' AND query LIKE '%epochs%FOR NO KEY UPDATE%'";
        let deadline = Instant::now() + PATIENCE;
        while diesel::sql_query(waiting).get_result::<Number>(&mut somebody).unwrap().number == 0 {
            assert!(Instant::now() < deadline, "nobody waits for the commit");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        somebody.batch_execute("SELECT pg_advisory_unlock(42)").unwrap();
    };
    let (made, ()) = tokio::join!(making, release);
    assert_eq!((made.unwrap().slug.as_str(), proxy.commits_lost()), ("second", 1));
    world.gateway.directory.find_merchant("second".parse().unwrap()).await.unwrap();
}

/// What hangs is left behind, up to a number; it is used again when it has an end.
#[test]
fn a_session_is_there_again_when_the_database_is() {
    let Some(postgres) = Postgres::shared() else { return };
    let mut session = Session::new(TestDatabase::at(&postgres.migrated_database()).open());
    let (hung, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new((Mutex::new(false), Condvar::new())));
    let deadline = Instant::now() + PATIENCE;
    let refused = loop {
        assert!(Instant::now() < deadline, "one more is always begun");
        let before = hung.load(Ordering::SeqCst);
        let (began, waits) = (hung.clone(), gate.clone());
        let wait = move |_: &mut AnyConnection| {
            began.fetch_add(1, Ordering::SeqCst);
            let (open, changed) = &*waits;
            drop(changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
            Ok::<_, Abort<Infallible>>(())
        };
        let asked = Instant::now();
        let Err(Unfinished::Aborted(Abort::Database(DatabaseError::Unavailable(_)))) =
            session.transaction(Duration::from_millis(500), wait)
        else {
            panic!("it doesn't hang");
        };
        if hung.load(Ordering::SeqCst) == before && before >= 8 {
            break asked.elapsed();
        }
    };
    assert_eq!(hung.load(Ordering::SeqCst), 8);
    assert!(refused < Duration::from_millis(500), "it is refused without a try");
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    loop {
        match session.transaction(PATIENCE, |_| Ok::<_, Abort<Infallible>>("it works")) {
            Ok(works) => break assert_eq!(works, "it works"),
            Err(_) => assert!(Instant::now() < deadline, "it remains shut"),
        }
        std::thread::yield_now();
    }
}

/// The connections that hung are left to themselves: the gateway is there again with the database.
#[tokio::test(flavor = "multi_thread")]
async fn another_server_that_takes_over_is_used_though_the_old_one_goes_on_acknowledging() {
    let Some(postgres) = Postgres::start() else { return };
    let house = House::open(&postgres).await;
    let proxy = Proxy::to(postgres.port());
    let behind = house.world.database.setting().replace(&postgres.port().to_string(), &proxy.port().to_string());
    let serve = House::serve(&TestDatabase::at(&behind), &[("request_timeout", "2s"), ("database_connections", "2")]);
    let (first, _) = house.until_granted(&serve, "first").await;
    let look = async || {
        let path = format!("/v1/checks/{}", first["check"].as_str().unwrap());
        house.http.get(serve.url(&path)).bearer_auth(&house.kiosk).send().await.unwrap().status()
    };
    assert_eq!(look().await, 200);
    proxy.fall_silent();
    // Each connection that there is hangs with someone who asks.
    let hung = join_all((0..8).map(|_| look())).await;
    assert!(hung.iter().all(|status| *status == 503), "{hung:?}");
    proxy.take_over();
    let begun = Instant::now();
    while look().await != 200 {
        assert!(begun.elapsed() < Duration::from_mins(1), "it is never used");
    }
    house.until_granted(&serve, "second").await;
    assert_eq!(house.world.tally(&house.merchant).granted, 2);
}

#[test]
fn a_demo_ends_while_the_database_says_nothing() {
    let Some(postgres) = Postgres::start() else { return };
    let proxy = Proxy::to(postgres.port());
    let behind = postgres.empty_database().replace(&postgres.port().to_string(), &proxy.port().to_string());
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("key"), MASTER_KEY).unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_perkgate"));
    demo.args(["demo", "--into", "--database-url", &behind, "--master-key-file", "key", "--listen", "127.0.0.1:0"]);
    demo.args(["--json"]).current_dir(directory.path()).stdout(Stdio::piped());
    let mut demo = demo.spawn().unwrap();
    let mut shown = String::new();
    BufReader::new(demo.stdout.take().unwrap()).read_line(&mut shown).unwrap();
    let url = serde_json::from_str::<Value>(&shown).unwrap()["url"].as_str().unwrap().to_owned();
    proxy.fall_silent();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let begun = Instant::now();
    // By then whatever looks at the database by itself is waiting for it.
    loop {
        let ready = async { reqwest::get(format!("{url}/readyz")).await.unwrap().text().await.unwrap() };
        if runtime.block_on(ready).contains("database_unreachable") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE);
    }
    assert!(Command::new("kill").args(["-s", "TERM", &demo.id().to_string()]).status().unwrap().success());
    let (ended, end) = std::sync::mpsc::channel();
    let process = demo.id();
    std::thread::spawn(move || ended.send(demo.wait()));
    let status = end.recv_timeout(PATIENCE);
    if status.is_err() {
        Command::new("kill").args(["-9", &process.to_string()]).status().unwrap();
    }
    assert!(status.expect("it ends").is_ok());
}
