//! Canaries: people with names that stand nowhere else are scored, checked, referred, redeemed, voided and erased by
//! the real program, and every byte that it leaves behind is searched for them. `benches/campaign` does
//! the same with a thousand.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use diesel::{QueryDsl as _, RunQueryDsl as _};
use perkgate::access::{Merchant, NewKey, Role};
use perkgate::audit::Request;
use perkgate::database::{DatabaseError, DatabaseUrl, schema};
use perkgate::foundation::entropy::Entropy;
use serde_json::json;

use crate::support::client::Client;
use crate::support::databases::TestDatabase;
use crate::support::ports::free_address;
use crate::support::serve::Serve;
use crate::support::services::{Postgres, Redis};
use crate::support::world::{CLI, World};

/// In every name, context, note and retry key of a canary, and nowhere else.
const MARK: &str = "zqxcanary";

const RULE: &str = r#"{"score":{"source":"klout","on_missing":"refer"},
  "tiers":[{"id":"main","rank":1,"name":"Main lounge","when":{"all":[
    {"attr":"score","op":"gte","value":40},{"attr":"context.seat","op":"exists"}]}}],
  "limits":[{"id":"person-day","scope":["subject"],"max":3,"window":{"calendar":"day"}},
            {"id":"person-week","scope":["subject"],"max":9,"window":{"rolling":"P7D"}}],
  "token":{"audience":"sfo-lounge"}}"#;

/// How much was searched.
#[derive(Debug)]
pub(crate) struct Searched {
    pub database_bytes: usize,
    pub log_bytes: usize,
}

/// Where canaries live, with the servers that are theirs alone and may be looked into.
pub(crate) struct Place {
    pub database: TestDatabase,
    servers: Option<(Postgres, Redis)>,
}

impl Place {
    /// SQLite, and PostgreSQL with Redis where they are to be had.
    pub(crate) fn all() -> Vec<Self> {
        let sqlite = TestDatabase::empty_sqlite();
        sqlite.open().migrate().unwrap();
        let servers = Postgres::start().zip(Redis::start());
        let on_servers = servers.map(|servers| Self { database: TestDatabase::on(&servers.0), servers: Some(servers) });
        std::iter::once(Self { database: sqlite, servers: None }).chain(on_servers).collect()
    }
}

/// What the servers keep: every file of PostgreSQL's, dead rows, write-ahead log and its own log too, and
/// all that Redis holds.
fn kept((postgres, redis): &(Postgres, Redis)) -> Vec<u8> {
    let mut bytes = postgres.files();
    let mut redis = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    // Compressed, nothing would be found.
    let () = redis::cmd("CONFIG").arg("SET").arg("rdbcompression").arg("no").query(&mut redis).unwrap();
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut redis).unwrap();
    assert!(!keys.is_empty(), "scores are cached");
    for key in keys {
        bytes.extend(&key);
        // It may be over by now.
        let held: Option<Vec<u8>> = redis::cmd("DUMP").arg(&key).query(&mut redis).unwrap();
        bytes.extend(held.unwrap_or_default());
    }
    bytes
}

struct Aviary {
    serve: Serve,
    metrics: String,
    admin: Client,
    kiosk: Client,
    door: Client,
}

fn handle(nth: usize) -> String {
    format!("twitter:{MARK}-{nth}")
}

impl Aviary {
    async fn open(world: &World, merchant: &Merchant, program: &Path, redis: Option<&Redis>) -> Self {
        world.perk(merchant, "sfo-lounge", RULE).await;
        let metrics = free_address();
        // All that it can be made to say.
        let mut settings = vec![("rate_per_key", "0"), ("log", "trace"), ("metrics_listen", &*metrics)];
        let redis = redis.map(Redis::url);
        settings.extend(redis.as_deref().map(|url| ("redis_url", url)));
        let serve = Serve::start(program, &world.database, &settings);
        let client = async |role: Role| {
            let audience = (role == Role::Door).then(|| "sfo-lounge".to_owned());
            let key = NewKey { audience, ..NewKey::of(role, Some(merchant.id.clone()), "test") };
            let (_, secret) = world.gateway.directory.create_key(key, CLI).await.unwrap();
            Client::new(Client::http(), serve.address(), Some(format!("Bearer {}", secret.expose())))
        };
        let (admin, kiosk, door) = (client(Role::Admin).await, client(Role::Kiosk).await, client(Role::Door).await);
        Self { metrics: format!("http://{metrics}/metrics"), admin, kiosk, door, serve }
    }

    /// Everything that can be done with a person, and what clients get wrong about one.
    async fn live(&self, people: usize) {
        let mut feed = "subject,value,observed_at\n".to_owned();
        // The rest have no score, and are for a person to decide.
        for nth in (0..people).filter(|nth| nth % 10 != 0) {
            writeln!(feed, "{},{},2012-05-08T09:00:00Z", handle(nth), if nth % 3 == 0 { 12 } else { 62 }).unwrap();
        }
        writeln!(feed, "{MARK} with a space,40,2012-05-08T09:00:00Z\n{MARK},forty,{MARK}").unwrap();
        let import = self.admin.ask(reqwest::Method::POST, "/v1/scores/klout/import").body("text/csv", feed).await;
        assert_eq!(import.is(200)["rejected"], 2);
        let score = json!({"value": 55, "observed_at": "2012-05-09T09:00:00Z"});
        self.admin.put(&format!("/v1/scores/klout/{}", handle(1)), &score).await.is(200);
        self.admin.get(&format!("/v1/scores/klout/{}", handle(1))).await.is(200);
        for nth in 0..people {
            let seat = format!("{MARK}-seat-{nth}");
            let pass = format!("M1{MARK}/{nth:<10}EABC123 SFOHKGCX 0873 129J001A0025 100");
            let ask = json!({
                "perk": "sfo-lounge", "subject": handle(nth), "context": {"seat": seat, "party": 1}, "boarding_pass": pass
            });
            let retry = format!("{MARK}-retry-{nth}");
            let told = self.kiosk.post("/v1/checks", &ask).header("idempotency-key", &retry).await.is(200);
            self.kiosk.post("/v1/checks", &ask).header("idempotency-key", &retry).await.is(200);
            match told["decision"].as_str().unwrap() {
                "granted" => {
                    let spend = json!({"token": told["token"], "door": "A", "attempt": retry});
                    self.door.post("/v1/tokens/redeem", &spend).await.is(200);
                    if nth % 7 == 1 {
                        let (grant, note) =
                            (told["grant"].as_str().unwrap(), json!({"note": format!("{MARK} was rude")}));
                        self.admin.post(&format!("/v1/grants/{grant}/void"), &note).await.is(200);
                    }
                }
                "referred" if nth % 20 == 0 => {
                    let check = told["check"].as_str().unwrap();
                    let note = format!("{MARK} said so");
                    let ruling = json!({"decision": "grant", "tier": "main", "note": note});
                    self.admin.post(&format!("/v1/referrals/{check}/decide"), &ruling).await.is(201);
                }
                _ => {}
            }
        }
        for body in [
            json!({"perk": "sfo-lounge", "subject": format!("{MARK} two words")}),
            json!({"perk": MARK, "subject": MARK}),
            json!({"perk": "sfo-lounge", "subject": MARK, MARK: MARK}),
            json!({"perk": "sfo-lounge", "subject": "a", "boarding_pass": MARK}),
            json!({"perk": "sfo-lounge", "subject": "a", "boarding_pass": {MARK: MARK}}),
        ] {
            assert!(self.kiosk.post("/v1/checks", &body).await.status >= 400);
        }
        self.kiosk.get(&format!("/v1/checks/{MARK}")).await.problem(404, "not_found");
        self.kiosk.get(&format!("/v1/checks/{MARK}?who={MARK}")).await.problem(422, "invalid_request");
        self.kiosk.get(&format!("/v1/checks/{MARK}?{MARK}=1")).await.problem(422, "invalid_request");
        let dry = json!({"perk": "sfo-lounge", "subject": handle(1), "dry_run": true});
        self.kiosk.post("/v1/checks", &dry).await.is(200);
        self.admin.post("/v1/audit/events/search", &json!({"subject": handle(1)})).await.is(200);
    }

    /// What the log says over HTTP, all of it: as exports and as pages.
    async fn read_log(&self) -> String {
        let (mut text, mut cursor) = (String::new(), String::new());
        for format in ["ndjson", "csv"] {
            let export = self.admin.get(&format!("/v1/audit/export?format={format}")).await;
            assert!(export.status == 200 && export.text.contains("subject.erased"), "{}", export.text);
            text.push_str(&export.text);
        }
        loop {
            let page = self.admin.get(&format!("/v1/audit/events?limit=200{cursor}")).await;
            let next = page.is(200)["next_cursor"].as_str().map(|next| format!("&cursor={next}"));
            text.push_str(&page.text);
            match next {
                Some(next) => cursor = next,
                None => return text,
            }
        }
    }
}

/// Lets `people` canaries live and be erased; nothing but what is sealed may ever hold one.
pub(crate) async fn nobody_is_named(place: Place, program: &Path, people: usize) -> Searched {
    let Place { database, servers } = place;
    let world = World::live(database).await;
    let merchant = world.merchant("cathay").await;
    let aviary = Aviary::open(&world, &merchant, program, servers.as_ref().map(|(_, redis)| redis)).await;
    aviary.live(people).await;
    let kept = || servers.as_ref().map(kept).unwrap_or_default();
    assert_eq!(hits(&kept()), 0, "a server keeps a name");

    // The search finds what there is: a person's own record holds them, and so does a file that says so.
    let own = json!({"subject": handle(1), "limit": 200});
    let record = aviary.admin.post("/v1/subjects/record", &own).await;
    assert!(hits(record.text.as_bytes()) >= 3, "the name, the seat, the note: {}", record.text);
    assert!(record.text.contains("was rude"), "{}", record.text);
    let sealed = sealed_rows(&world).await;
    assert!(sealed.len() >= people);
    let before = dump(&world.database);
    assert!(holds_any(&before, &sealed), "the rows are there, and can be seen");
    assert_eq!(hits(&before), 0, "a name stands in the database");

    for nth in 0..people {
        let erased = aviary.admin.post("/v1/subjects/erase", &json!({"subject": handle(nth)})).await.is(200);
        assert_eq!(erased["erased"], true);
        let last = nth + 1 == people;
        assert!(!last || erased["purged"] == true, "{erased}");
    }
    let again = aviary.admin.post("/v1/subjects/record", &own).await.is(200);
    assert_eq!((&again["events"], &again["scores"]), (&json!([]), &json!([])));
    let after = dump(&world.database);
    assert_eq!(hits(&after), 0, "a name stands in the database");
    let kept = kept();
    assert_eq!(hits(&kept), 0, "a server keeps a name");
    assert!(sealed_rows(&world).await.is_empty());
    assert!(!holds_any(&after, &sealed), "what was erased lies about in the files");
    let scores: i64 = world
        .gateway
        .database
        .read(|conn| Ok::<_, DatabaseError>(schema::scores::table.count().get_result(conn)?))
        .await
        .unwrap();
    assert_eq!(scores, 0);

    let exported = aviary.read_log().await;
    assert_eq!(hits(exported.as_bytes()), 0, "the log names somebody");
    let metrics = reqwest::Client::builder().no_proxy().build().unwrap().get(&aviary.metrics).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let granted = |line: &str| line.starts_with("perkgate_checks_total{decision=\"granted\"}") && !line.ends_with(" 0");
    assert!(metrics.lines().any(granted), "{metrics}");
    assert!(
        metrics.contains("perkgate_dry_runs_total{outcome=\"denied\"} 1"),
        "nothing else tells of a dry run: {metrics}"
    );
    assert_eq!(hits(metrics.as_bytes()), 0, "the metrics name somebody");
    let log = aviary.serve.into_log();
    assert!(log.contains("/v1/checks") && log.contains("DEBUG"), "it was made to talk");
    let line = log.lines().find(|line| hits(line.as_bytes()) > 0);
    assert_eq!(line, None, "a log line names somebody");

    let report = perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    let report = report.unwrap();
    assert_eq!(report.findings.listed(), []);
    assert_eq!(report.checked.erased, u64::try_from(people).unwrap());
    Searched { database_bytes: after.len() + kept.len(), log_bytes: log.len() }
}

/// How often a canary stands there: as it is, in capitals, or as PostgreSQL writes bytes.
fn hits(bytes: &[u8]) -> usize {
    let lower: Vec<u8> = bytes.to_ascii_lowercase();
    let hex = perkgate::foundation::subject::hex(MARK.as_bytes());
    [MARK.as_bytes(), hex.as_bytes()].into_iter().map(|wanted| memchr_all(&lower, wanted)).sum()
}

fn memchr_all(bytes: &[u8], wanted: &[u8]) -> usize {
    let (first, rest) = (wanted[0], &wanted[1..]);
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == first);
    starts.filter(|(at, _)| bytes[at + 1..].starts_with(rest)).count()
}

/// What names people, as it stands there sealed.
async fn sealed_rows(world: &World) -> HashSet<[u8; 16]> {
    let read = world.gateway.database.read(|conn| {
        Ok::<Vec<Vec<u8>>, DatabaseError>(schema::subjects::table.select(schema::subjects::sealed).load(conn)?)
    });
    // Behind the version is a nonce, which no two have alike.
    read.await.unwrap().iter().map(|sealed| sealed[1..17].try_into().unwrap()).collect()
}

/// Whether one of the sealed rows stands there, as bytes or in hexadecimal.
fn holds_any(bytes: &[u8], sealed: &HashSet<[u8; 16]>) -> bool {
    let hex: HashSet<[u8; 32]> =
        sealed.iter().map(|nonce| perkgate::foundation::subject::hex(nonce).as_bytes().try_into().unwrap()).collect();
    bytes.windows(16).any(|part| sealed.contains(part)) || bytes.windows(32).any(|part| hex.contains(part))
}

/// Every byte of SQLite's files; of PostgreSQL a dump of all that it shows.
fn dump(database: &TestDatabase) -> Vec<u8> {
    match &database.url {
        DatabaseUrl::Sqlite(path) => {
            let mut bytes = std::fs::read(path).unwrap();
            for beside in ["-wal", "-shm"] {
                bytes.extend(std::fs::read(PathBuf::from(format!("{path}{beside}"))).unwrap_or_default());
            }
            bytes
        }
        DatabaseUrl::Postgres(url) => {
            let dump = Command::new("pg_dump").arg("--inserts").arg(format!("--dbname={url}")).output();
            let dump = dump.expect("PostgreSQL comes with pg_dump");
            assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
            dump.stdout
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_that_is_left_behind_names_anybody() {
    for place in Place::all() {
        let searched = nobody_is_named(place, Path::new(env!("CARGO_BIN_EXE_perkgate")), 120).await;
        assert!(searched.database_bytes > 100_000 && searched.log_bytes > 10_000, "{searched:?}");
    }
}

#[test]
fn a_name_is_found_where_there_is_one() {
    let hidden = format!("…{}…", perkgate::foundation::subject::hex(MARK.as_bytes()));
    for text in [MARK, "Twitter:ZQXCanary-7", &hidden] {
        assert_eq!(hits(text.as_bytes()), 1, "{text}");
    }
    assert_eq!(hits(b"zqxcanar zqx"), 0);
}
