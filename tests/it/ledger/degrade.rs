//! What is away is said, and nothing is granted that can't be recorded (promise 7).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, RunQueryDsl as _, SqliteConnection};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use perkgate::access::{Merchant, NewKey, Refused, Role};
use perkgate::database::{Backend, DatabaseUrl};
use perkgate::decision::decide::Decision;
use perkgate::http::v1::checks;
use reqwest::Response;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::databases::TestDatabase;
use crate::support::serve::Serve;
use crate::support::services::{Postgres, Redis};
use crate::support::world::{CLI, World, idempotent, question};

/// For what is waited for by looking; a run that takes so long has failed.
const PATIENCE: Duration = Duration::from_mins(1);

const LOUNGE: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"person","scope":["subject"],"max":1000,"window":{"lifetime":true}}]}"#;

/// The program, a kiosk's key, and one person with a score.
pub(crate) struct Lounge {
    pub world: World,
    pub merchant: Merchant,
    pub serve: Serve,
    pub http: reqwest::Client,
    pub key: String,
}

impl Lounge {
    pub(crate) async fn open(database: TestDatabase, settings: &[(&str, &str)]) -> Self {
        let world = World::live(database).await;
        let merchant = world.merchant("cathay").await;
        world.perk(&merchant, "lounge", LOUNGE).await;
        world.score(&merchant, "twitter:ada", "92").await;
        let key = NewKey::of(Role::Kiosk, Some(merchant.id.clone()), "kiosk");
        let (_, secret) = world.gateway.directory.create_key(key, CLI).await.unwrap();
        let serve = Serve::start(Path::new(env!("CARGO_BIN_EXE_perkgate")), &world.database, settings);
        Self { world, merchant, serve, http: reqwest::Client::new(), key: secret.expose().to_owned() }
    }

    pub(crate) async fn check(&self) -> Response {
        let body = json!({"perk": "lounge", "subject": "twitter:ada"});
        let request = self.http.post(self.serve.url("/v1/checks")).bearer_auth(&self.key);
        request.header("Content-Type", "application/json").body(body.to_string()).send().await.unwrap()
    }

    #[track_caller]
    pub(crate) fn granted(answer: Response) -> impl Future<Output = Value> {
        assert_eq!(answer.status(), 200);
        async {
            let answer = read(answer).await;
            assert_eq!(answer["decision"], "granted", "{answer}");
            assert!(answer["token"].is_string());
            answer
        }
    }

    /// Asks, and says whether the answer took so long that the caller was no longer waited for: what was begun for them
    /// in time may be recorded all the same.
    async fn timed_check(&self) -> (Response, bool) {
        let began = Instant::now();
        let answer = self.check().await;
        (answer, began.elapsed() >= checks::PATIENCE)
    }

    /// Holds the ledger up while eight ask at once, until all but those who have a place were sent away.
    async fn fill_the_queue(&self) -> Filled {
        let began = Instant::now();
        let mut blocker = Blocker::of(&self.world.database.url);
        let mut waiting: FuturesUnordered<_> = (0..8).map(|_| self.timed_check()).collect();
        let mut filled = Filled::default();
        // The ledger may hold one and the queue another; six at least are sent away at once.
        for _ in 0..6 {
            let (refused, late) = waiting.next().await.unwrap();
            assert_eq!(refused.status(), 503);
            assert!(refused.headers().contains_key("retry-after"));
            filled.late += usize::from(late);
        }
        blocker.release();
        filled.held = began.elapsed();
        while let Some((answer, late)) = waiting.next().await {
            if answer.status() == 503 {
                filled.late += usize::from(late);
            } else {
                Self::granted(answer).await;
                filled.granted += 1;
            }
        }
        filled
    }

    /// Looks at `/readyz`, which stays 200, until it says so.
    pub(crate) async fn until_ready_says(&self, status: &str, reasons: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.http.get(self.serve.url("/readyz")).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            let view = read(answer).await;
            if view == json!({"status": status, "reasons": reasons}) {
                return;
            }
            assert!(Instant::now() < deadline, "{view}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub(crate) async fn read(answer: Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

/// What became of eight that asked at once.
#[derive(Default)]
struct Filled {
    granted: usize,
    /// Sent away only after they had waited as long as a check may.
    late: usize,
    /// For how long the ledger was held up.
    held: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_checks_go_on_and_readiness_says_so() {
    for database in TestDatabase::migrated() {
        let Some(redis) = Redis::start() else { return };
        let (url, port) = (redis.url(), redis.port());
        let lounge = Lounge::open(database, &[("redis_url", &url), ("rate_per_key", "0")]).await;
        lounge.until_ready_says("ready", &[]).await;
        Lounge::granted(lounge.check().await).await;
        drop(redis);
        Lounge::granted(lounge.check().await).await;
        lounge.until_ready_says("degraded", &["redis_unreachable"]).await;
        Lounge::granted(lounge.check().await).await;
        let redis = Redis::start_at(Some(port)).unwrap();
        lounge.until_ready_says("ready", &[]).await;
        Lounge::granted(lounge.check().await).await;
        assert_eq!(lounge.world.tally(&lounge.merchant).granted, 4);
        drop(redis);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_it_grants_nothing_and_doors_go_on_verifying() {
    let Some(mut postgres) = Postgres::start() else { return };
    let lounge = Lounge::open(TestDatabase::on(&postgres), &[("rate_per_key", "0")]).await;
    Lounge::granted(lounge.check().await).await;
    for stopped in 1..=2 {
        postgres.stop();
        let refused = lounge.check().await;
        assert_eq!(refused.status(), 503);
        assert!(refused.headers().contains_key("retry-after"));
        assert_eq!(read(refused).await["code"], "unavailable");
        lounge.until_ready_says("degraded", &["database_unreachable"]).await;
        let keys = lounge.http.get(lounge.serve.url("/.well-known/jwks.json")).send().await.unwrap();
        assert_eq!(keys.status(), 200);
        assert!(!read(keys).await["keys"].as_array().unwrap().is_empty());
        postgres.start_again();
        lounge.until_ready_says("ready", &[]).await;
        Lounge::granted(lounge.check().await).await;
        assert_eq!(lounge.world.tally(&lounge.merchant).granted, 1 + stopped);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_batch_refuses_is_found_in_the_log_by_its_id() {
    for database in TestDatabase::migrated() {
        let lounge = Lounge::open(database, &[("log", "info")]).await;
        let body = json!({"checks": [{"perk": "none", "subject": "twitter:ada"}, {"perk": "lounge", "subject": "twitter:ada"}]});
        let request = lounge.http.post(lounge.serve.url("/v1/checks/batch")).bearer_auth(&lounge.key);
        let answer = request.header("Content-Type", "application/json").body(body.to_string()).send().await.unwrap();
        let answer = read(answer).await;
        assert_eq!(answer["results"][1]["decision"], "granted", "{answer}");
        let refused = &answer["results"][0]["problem"];
        let (id, code) = (refused["request_id"].as_str().unwrap(), refused["code"].as_str().unwrap());
        let log = lounge.serve.into_whole_log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(id)).collect();
        assert!(lines.len() == 1 && lines[0].contains(code) && !lines[0].contains("twitter"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_said_once_and_once_when_it_is_back() {
    let Some(mut postgres) = Postgres::start() else { return };
    let lounge = Lounge::open(TestDatabase::on(&postgres), &[("rate_per_key", "0"), ("log", "info")]).await;
    Lounge::granted(lounge.check().await).await;
    postgres.stop();
    lounge.until_ready_says("degraded", &["database_unreachable"]).await;
    for _ in 0..100 {
        assert_eq!(lounge.check().await.status(), 503);
    }
    postgres.start_again();
    lounge.until_ready_says("ready", &[]).await;
    Lounge::granted(lounge.check().await).await;
    let log = lounge.serve.into_log();
    let of = |words: &str| log.lines().filter(|line| line.contains(words)).collect::<Vec<_>>();
    // Who says that something began to fail, in which words, and how many there are who may say it.
    let mut alarms = [of(" WARN "), of("ERROR")].concat();
    for (began, speakers) in [
        ("no database connection can be opened", 1),
        ("can't follow the database", 4),
        ("the ledger can't record", 1),
        ("requests are sent back with 503", 1),
        // They look once a minute: of a short outage they may hear nothing.
        ("expired idempotency keys can't be forgotten", 1),
        ("uses that no window reaches can't be forgotten", 1),
        ("secrets of past months can't be destroyed", 1),
        ("limits that undone grants used can't be freed", 1),
    ] {
        assert!(of(began).len() <= speakers, "{log}");
        alarms.retain(|line| !line.contains(began));
    }
    assert!(alarms.is_empty(), "{alarms:?} in {log}");
    for (began, over) in [
        ("no database connection can be opened", "database connections can be opened again"),
        ("can't follow the database", "following the database again"),
        ("the ledger can't record", "the ledger records again"),
    ] {
        assert!(!of(began).is_empty(), "{log}");
        assert_eq!(of(began).len(), of(over).len(), "{log}");
        assert!(of(over).iter().all(|line| line.contains("failures=")), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_are_cut_off_grant_no_more_and_lose_no_token() {
    let Some(database) = TestDatabase::migrated().into_iter().find(|it| it.backend() == Backend::Postgres) else {
        return;
    };
    let world = World::live(database).await;
    let cathay = world.merchant("cathay").await;
    let kiosk = world.principal(&cathay, Role::Kiosk).await;
    let limit_of_300 = LOUNGE.replace(r#"["subject"],"max":1000"#, r#"["perk"],"max":300"#);
    world.perk(&cathay, "lounge", &limit_of_300).await;
    world.import_scores(&cathay, (0..20).map(|nth| (format!("twitter:person{nth}"), "47.25"))).await;
    // Whoever is cut off asks again under the same key, as a kiosk would.
    let client = |nth: usize| {
        let (world, kiosk) = (&world, &kiosk);
        async move {
            let (mut tokens, mut cut_off) = (Vec::new(), 0);
            for time in 0..30 {
                let asked = question("lounge", &format!("twitter:person{nth}"));
                let key = format!("{nth}-{time}");
                let deadline = Instant::now() + PATIENCE;
                let answer = loop {
                    match world.check(kiosk, idempotent(asked.clone(), &key, 1)).await {
                        Ok(answer) => break answer,
                        Err(error) => assert!(Instant::now() < deadline, "{error}"),
                    }
                    cut_off += 1;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                };
                tokens.extend(answer.grant.map(|grant| grant.id.as_str().to_owned()));
                assert_eq!(answer.token.is_some(), answer.decided.decision == Decision::Granted);
            }
            (tokens, cut_off)
        }
    };
    let DatabaseUrl::Postgres(url) = world.database.url.clone() else { unreachable!() };
    let over = Arc::new(AtomicBool::new(false));
    let cutting = tokio::task::spawn_blocking({
        let over = over.clone();
        move || cut_off_backends(&url, &over)
    });
    let answers = futures_util::future::join_all((0..20).map(client)).await;
    over.store(true, Ordering::SeqCst);
    let cuts = cutting.await.unwrap();
    let failed: usize = answers.iter().map(|(_, failed)| failed).sum();
    // Most callers never notice: a batch that was cut off is tried again, or found where its commit took.
    assert!(cuts > 3, "{cuts} connections were cut, {failed} checks failed");
    let tokens: Vec<&String> = answers.iter().flat_map(|(tokens, _)| tokens).collect();
    let tally = world.tally(&cathay);
    assert_eq!(tokens.len(), 300);
    assert_eq!((tally.granted, tally.denied), (300, 300), "a retry under one key is one check");
    assert!(tokens.iter().all(|grant| tally.grants.contains_key(*grant)), "a token without its record");
}

/// Ends all other connections to the database each time the logs have grown, a little later each
/// time, so that it meets a batch at every point. Returns how many it ended.
fn cut_off_backends(url: &str, over: &AtomicBool) -> usize {
    let mut conn = PgConnection::establish(url).unwrap();
    let mut number = |query: &str| diesel::sql_query(query).get_result::<Number>(&mut conn).unwrap().number;
    let (mut cuts, mut seen) = (0, 0);
    while !over.load(Ordering::SeqCst) {
        let size = number("SELECT coalesce(sum(size), 0)::bigint AS number FROM logs");
        if size == seen {
            continue;
        }
        seen = size;
        std::thread::sleep(Duration::from_micros(cuts * 700 % 9_000));
        cuts += u64::try_from(number(
            "SELECT count(pg_terminate_backend(pid)) AS number FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        ))
        .unwrap();
    }
    usize::try_from(cuts).unwrap()
}

#[derive(diesel::QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_sends_kiosks_away_and_forgets_nobody_who_waits() {
    for database in TestDatabase::migrated() {
        // The score is known before the queue fills: a look-up that is shed would send everybody away.
        let settings = [("rate_per_key", "0"), ("ledger_queue", "1"), ("score_cache_ttl", "1h")];
        let lounge = Lounge::open(database, &settings).await;
        let deadline = Instant::now() + PATIENCE;
        let (mut granted, mut late) = (0, 0);
        while granted == 0 {
            let (answer, was_late) = lounge.timed_check().await;
            assert!(answer.status() == 200 || Instant::now() < deadline, "{}", answer.status());
            granted += usize::from(answer.status() == 200);
            late += usize::from(answer.status() != 200 && was_late);
        }
        loop {
            let filled = lounge.fill_the_queue().await;
            granted += filled.granted;
            late += filled.late;
            let recorded = lounge.world.tally(&lounge.merchant).granted;
            assert!((granted..=granted + late).contains(&recorded), "{recorded}, {granted} answered, {late} too late");
            if filled.granted > 0 {
                break;
            }
            // A machine so slow that the queue was held for longer than a check waits shows nothing.
            assert!(filled.held >= checks::PATIENCE, "whoever had a place was served");
            assert!(Instant::now() < deadline, "the queue could not be filled and freed in time");
        }
    }
}

/// Holds what every batch needs.
pub(super) enum Blocker {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Blocker {
    pub(super) fn of(url: &DatabaseUrl) -> Self {
        match url {
            DatabaseUrl::Postgres(url) => {
                let mut conn = PgConnection::establish(url).unwrap();
                conn.batch_execute("BEGIN; SELECT id FROM logs FOR UPDATE").unwrap();
                Self::Postgres(conn)
            }
            DatabaseUrl::Sqlite(path) => {
                let mut conn = SqliteConnection::establish(path).unwrap();
                conn.batch_execute("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE").unwrap();
                Self::Sqlite(conn)
            }
        }
    }

    pub(super) fn release(&mut self) {
        match self {
            Self::Postgres(conn) => conn.batch_execute("ROLLBACK"),
            Self::Sqlite(conn) => conn.batch_execute("ROLLBACK"),
        }
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_stops_on_the_other_replica() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let new = NewKey::of(Role::Kiosk, Some(cathay.id.clone()), "kiosk");
        let (key, secret) = world.gateway.directory.create_key(new, CLI).await.unwrap();
        let replica = world.replica().await;
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        replica.follow(&tasks, &cancel);
        assert!(replica.directory.recognize(secret.expose(), world.now()).is_ok());
        world.gateway.directory.revoke_key(Some(cathay.id.clone()), key.id, CLI).await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        let refused = loop {
            match replica.directory.recognize(secret.expose(), world.now()) {
                Ok(_) => assert!(Instant::now() < deadline, "it still works"),
                Err(refused) => break refused,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(matches!(refused, Refused::Revoked), "{refused:?}");
        cancel.cancel();
        tasks.close();
        tasks.wait().await;
    }
}
