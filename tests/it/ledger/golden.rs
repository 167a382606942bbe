//! Databases that an earlier build wrote, with every kind of event in them: a later one reads, verifies, exports
//! and answers from them as the build did that wrote them.
//!
//! Each folder of `tests/fixtures/` holds one dump for each backend, with the requests and answers of the build that
//! wrote it. A new kind of event gets a folder beside those: `PERKGATE_FIXTURES=NAME cargo test --test it
//! ledger::golden` keeps what this build writes as `NAME`. None is ever written anew.

use std::collections::BTreeSet;
use std::path::PathBuf;

use diesel::RunQueryDsl as _;
use jiff::{SignedDuration, Timestamp};
use perkgate::audit::Request;
use perkgate::database::{Backend, schema};
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::ids::CheckId;
use perkgate::ledger::events::{KINDS, leaf_hash};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::event_types::rewritten;
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::databases::TestDatabase;
use crate::support::services::{find, skip};
use crate::support::world::CLI;

/// Limits of every window, a wait, context, and referrals.
const LOUNGE: &str = r#"{"score":{"source":"klout","on_missing":"refer"},"otherwise":"refer",
  "when":{"attr":"context.terminal","op":"eq","value":"A"},
  "tiers":[{"id":"first","rank":2,"name":"First lounge","when":{"attr":"score","op":"gte","value":60}},
           {"id":"main","rank":1,"name":"Main lounge","max_wait":"PT10M","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"person-day","scope":["subject"],"max":3,"window":{"calendar":"day"}},
            {"id":"week","scope":["perk","subject"],"max":9,"window":{"rolling":"P7D"}},
            {"id":"ever","scope":["perk"],"max":1000,"window":{"lifetime":true}},
            {"id":"inside","scope":["location"],"max":50,"cost":"party","window":{"concurrent":{"max_stay":"PT4H"}}}],
  "token":{"audience":"sfo-lounge","single_use":true}}"#;

/// A rule that refuses.
const SPA: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"spa","name":"Spa","when":{"attr":"score","op":"gte","value":90}}],"token":{"audience":"sfo-lounge"}}"#;

/// A rule that counts guests.
const CLUB: &str = r#"{"tiers":[{"id":"member","name":"Club","guests":{"free":1,"max":3,"under":2}}],
  "limits":[{"id":"club-day","scope":["perk"],"max":50,"cost":"party","window":{"calendar":"day"}},
            {"id":"club-now","scope":["perk"],"max":50,"cost":"party","window":{"concurrent":{"max_stay":"PT4H"}}}],
  "token":{"audience":"sfo-lounge"}}"#;

/// Who sends a request that is sent again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum By {
    Kiosk,
    Door,
    Admin,
}

/// A request, and the answer that a retry of it is to get for good.
#[derive(Serialize, Deserialize)]
struct Exchange {
    by: By,
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<String>,
    body: Value,
    status: u16,
    answer: Value,
}

/// What stands beside a dump.
#[derive(Serialize, Deserialize)]
struct Answers {
    /// The instant at which the answers and the export were given.
    at: Timestamp,
    /// The keys of [`By`].
    kiosk: String,
    door: String,
    admin: String,
    exchanges: Vec<Exchange>,
    /// The part of the log that was there at `at`.
    export: String,
}

struct Desk<'a> {
    app: &'a TestApp,
    kiosk: Client,
    door: Client,
    /// Two people.
    ada: Client,
    bob: Client,
    exchanges: Vec<Exchange>,
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

const fn name(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => "sqlite",
        Backend::Postgres => "postgres",
    }
}

impl Exchange {
    async fn ask(&self, [kiosk, door, admin]: [&Client; 3]) -> Reply {
        let client = match self.by {
            By::Kiosk => kiosk,
            By::Door => door,
            By::Admin => admin,
        };
        let ask = client.post(&self.path, &self.body).header("x-request-id", "retry");
        match &self.idempotency_key {
            Some(key) => ask.header("idempotency-key", key).await,
            None => ask.await,
        }
    }
}

impl Desk<'_> {
    /// Sends a request that is to be sent again by another build.
    async fn keep(&mut self, by: By, path: &str, key: Option<&str>, body: Value) -> Value {
        let mut exchange = Exchange {
            by,
            path: path.into(),
            idempotency_key: key.map(Into::into),
            body,
            status: 0,
            answer: Value::Null,
        };
        let reply = exchange.ask([&self.kiosk, &self.door, &self.ada]).await;
        assert!(reply.status < 300, "{path}: {} {}", reply.status, reply.text);
        exchange.answer = reply.json();
        let answer = exchange.answer.clone();
        self.exchanges.push(exchange);
        answer
    }

    /// Keeps what retries get, now that it is known what became of all that was granted.
    async fn retry(&mut self) {
        for exchange in &mut self.exchanges {
            let reply = exchange.ask([&self.kiosk, &self.door, &self.ada]).await;
            (exchange.status, exchange.answer) = (reply.status, reply.json());
        }
    }

    async fn check(&mut self, perk: &str, subject: &str, key: &str) -> Value {
        let context = json!({"terminal": "A", "party": 2, "seat": "12A"});
        let body = json!({"perk": perk, "subject": subject, "context": context});
        self.keep(By::Kiosk, "/v1/checks", Some(key), body).await
    }

    async fn admin(&self, admin: &Client, method: Method, path: &str, body: Value) -> Value {
        let reply = admin.ask(method, path).header("if-match", "*").json(body.to_string()).await;
        assert!(reply.status < 300, "{path}: {} {}", reply.status, reply.text);
        self.app.world.pass(1);
        if reply.text.is_empty() { Value::Null } else { reply.json() }
    }

    async fn merchants_and_keys(&self) {
        let app = self.app;
        let operator = app.operator().await;
        self.admin(&operator, Method::PATCH, "/v1/merchants/cathay", json!({"time_zone": "Asia/Hong_Kong"})).await;
        let key = json!({"role": "kiosk", "label": "to be revoked"});
        let made = self.admin(&self.ada, Method::POST, "/v1/keys", key).await;
        let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
        self.admin(&self.ada, Method::DELETE, &path, json!({})).await;
        let source = json!({"name": "kred", "min": 0, "max": 1000});
        self.admin(&self.ada, Method::POST, "/v1/sources", source).await;
        let ledger = &app.world.gateway.ledger;
        ledger.rotate_token_key(SignedDuration::ZERO, CLI).await.unwrap();
        let old = app.world.gateway.keyring.token_keys()[0].kid().to_owned();
        ledger.revoke_token_key(old, CLI).await.unwrap().unwrap();
    }

    async fn versions(&self) {
        let (ada, bob) = (&self.ada, &self.bob);
        let perk = "/v1/perks/sfo-lounge";
        let rule = |least: u32| LOUNGE.replace("\"value\":40", &format!("\"value\":{least}"));
        let version =
            |least: u32| json!({"rule": serde_json::from_str::<Value>(&rule(least)).unwrap(), "change_note": "A try."});
        let first = json!({"perk": "sfo-lounge", "name": "SFO", "purpose": "lounge", "publish": true,
            "rule": serde_json::from_str::<Value>(LOUNGE).unwrap()});
        self.admin(ada, Method::POST, "/v1/perks", first).await;
        for (least, steps) in [
            (41, &["edit", "submit", "withdraw", "submit", "reject", "delete"][..]),
            (42, &["submit", "approve", "schedule", "unschedule", "publish"][..]),
        ] {
            let made = self.admin(ada, Method::POST, &format!("{perk}/versions"), version(least)).await;
            let path = format!("{perk}/versions/{}", made["version"]);
            for step in steps {
                match *step {
                    "edit" => self.admin(bob, Method::PUT, &path, version(43)).await,
                    "delete" => self.admin(ada, Method::DELETE, &path, json!({})).await,
                    "approve" | "reject" => self.admin(bob, Method::POST, &format!("{path}/{step}"), json!({})).await,
                    "schedule" => {
                        let at = json!({"at": "2012-06-01T00:00", "change_note": "From June."});
                        self.admin(ada, Method::POST, &format!("{path}/{step}"), at).await
                    }
                    _ => self.admin(ada, Method::POST, &format!("{path}/{step}"), json!({})).await,
                };
            }
        }
        self.admin(ada, Method::POST, &format!("{perk}/rollback"), json!({"to": 1})).await;
        let closing =
            json!({"location": "SFO-A", "until": "2012-06-08T00:00:00Z", "message": {"en": "A pipe has burst."}});
        let closed = self.admin(ada, Method::POST, &format!("{perk}/closures"), closing).await;
        let path = format!("{perk}/closures/{}", closed["closure"].as_str().unwrap());
        self.admin(ada, Method::DELETE, &path, json!({})).await;
        self.admin(ada, Method::PATCH, perk, json!({"name": "San Francisco", "purpose": "event"})).await;
        for step in ["pause", "resume"] {
            self.admin(ada, Method::POST, &format!("{perk}/{step}"), json!({})).await;
        }
        for (slug, rule) in [("spa", SPA), ("old", SPA), ("club", CLUB)] {
            let rule: Value = serde_json::from_str(rule).unwrap();
            let body = json!({"perk": slug, "name": slug, "publish": true, "rule": rule});
            self.admin(ada, Method::POST, "/v1/perks", body).await;
        }
        self.admin(ada, Method::POST, "/v1/perks/old/retire", json!({})).await;
    }

    async fn approvals(&self) {
        for (by, required) in
            [(&self.ada, true), (&self.ada, false), (&self.bob, true), (&self.ada, false), (&self.bob, false)]
        {
            self.admin(by, Method::PUT, "/v1/approvals", json!({"required": required})).await;
        }
    }

    async fn checks(&mut self) {
        for (subject, score) in [("ada", "62"), ("bob", "47.25"), ("cy", "12"), ("dee", "33.5"), ("eve", "20")] {
            self.app.world.score(&self.app.cathay, &format!("twitter:{subject}"), score).await;
        }
        let grant_of = |answer: &Value| answer["grant"].as_str().unwrap().to_owned();
        let check_of = |answer: &Value| answer["check"].as_str().unwrap().to_owned();

        // Granted, redeemed and released; granted and voided; granted and left alone, without a party.
        let ada = self.check("sfo-lounge", "twitter:ada", "ada").await;
        let redeem = json!({"token": ada["token"], "door": "A1", "attempt": "1"});
        self.keep(By::Door, "/v1/tokens/redeem", None, redeem).await;
        self.app.world.pass(60);
        let release = format!("/v1/grants/{}/release", grant_of(&ada));
        self.admin(&self.kiosk.clone(), Method::POST, &release, json!({})).await;
        let bob = self.check("sfo-lounge", "twitter:bob", "bob").await;
        let void = format!("/v1/grants/{}/void", grant_of(&bob));
        self.admin(&self.ada, Method::POST, &void, json!({"note": "It was a mistake of ours."})).await;
        let body = json!({"perk": "sfo-lounge", "subject": "twitter:ada", "context": {"terminal": "A"}});
        self.keep(By::Kiosk, "/v1/checks", Some("alone"), body).await;
        let elsewhere = json!({"perk": "sfo-lounge", "subject": "twitter:ada", "context": {"terminal": "B"}});
        self.keep(By::Kiosk, "/v1/checks", Some("elsewhere"), elsewhere).await;
        let several = json!({"checks": [{"perk": "spa", "subject": "twitter:ada"},
            {"perk": "sfo-lounge", "subject": "twitter:bob", "context": {"terminal": "A"}}]});
        let batch = self.keep(By::Kiosk, "/v1/checks/batch", Some("batch"), several).await;
        // What a door took while it was offline.
        let at = self.app.world.now();
        let item = json!({"token": batch["results"][1]["token"], "door": "A2", "attempt": "7", "at": at});
        self.keep(By::Door, "/v1/tokens/redeem/late", None, json!({"items": [item]})).await;
        // Undone, and free when its token is over.
        let undone = self.check("sfo-lounge", "twitter:bob", "undone").await;
        let undo = format!("/v1/grants/{}/undo", grant_of(&undone));
        self.admin(&self.kiosk.clone(), Method::POST, &undo, json!({"reason": "wrong_person"})).await;
        self.app.world.pass(16 * 60);
        self.app.world.gateway.ledger.free_undone().await.unwrap();

        // Granted with guests, corrected, redeemed and corrected again.
        let family = json!({"perk": "club", "subject": "twitter:ada", "party": {"adults": 2, "children": [1, 7]}});
        let club = self.keep(By::Kiosk, "/v1/checks", Some("club"), family).await;
        let path = format!("/v1/grants/{}", grant_of(&club));
        let alone = json!({"party": {"adults": 1, "children": [1]}, "reason": "The others stayed outside."});
        self.admin(&self.kiosk.clone(), Method::PATCH, &path, alone).await;
        let redeem = json!({"token": club["token"], "door": "A1", "attempt": "club"});
        self.keep(By::Door, "/v1/tokens/redeem", None, redeem).await;
        let more = json!({"party": {"adults": 3}, "reason": "They came after all."});
        self.admin(&self.ada, Method::PATCH, &path, more).await;

        // Referred, and decided both ways; one stays open.
        for (subject, body) in [
            ("twitter:cy", json!({"decision": "granted", "tier": "main", "note": "The flight was moved."})),
            ("twitter:dee", json!({"decision": "denied", "note": "No such booking."})),
        ] {
            let referred = self.check("sfo-lounge", subject, &format!("refer {subject}")).await;
            let path = format!("/v1/referrals/{}/decide", check_of(&referred));
            self.keep(By::Admin, &path, Some(&format!("decide {subject}")), body).await;
        }
        self.check("sfo-lounge", "twitter:nobody", "no score").await;

        // Refused, and contested: overturned, upheld, added to, closed by an erasure, open.
        let contest = json!({"reason": "That account is not mine."});
        let mut cases = Vec::new();
        for subject in ["ada", "bob", "cy", "dee"] {
            let refused = self.check("spa", &format!("twitter:{subject}"), &format!("spa {subject}")).await;
            let path = format!("/v1/checks/{}/contest", check_of(&refused));
            self.keep(By::Kiosk, &path, Some(&format!("contest {subject}")), contest.clone()).await;
            cases.push(check_of(&refused));
        }
        let again = self.check("spa", "twitter:bob", "spa bob again").await;
        let path = format!("/v1/checks/{}/contest", check_of(&again));
        self.keep(By::Kiosk, &path, Some("added"), contest).await;
        let overturn = json!({"tier": "spa", "note": "It was somebody else's account."});
        self.keep(By::Admin, &format!("/v1/contests/{}/overturn", cases[0]), Some("overturn"), overturn).await;
        self.keep(
            By::Admin,
            &format!("/v1/contests/{}/uphold", cases[1]),
            Some("uphold"),
            json!({"note": "It stands."}),
        )
        .await;
        self.admin(&self.ada, Method::POST, "/v1/subjects/record", json!({"subject": "twitter:ada"})).await;
        let erase = json!({"subject": "twitter:cy"});
        self.admin(&self.ada, Method::POST, "/v1/subjects/erase", erase).await;
    }

    /// Takes the bodies of what is decided by now.
    async fn prune(&self) {
        let world = &self.app.world;
        let cathay = &self.app.cathay.id;
        let ledger = &world.gateway.ledger;
        let plan = ledger.plan_pruning(cathay, world.now(), |_, _| ()).await.unwrap();
        assert_eq!(plan.obstacles, []);
        assert!(ledger.prune(&plan, CLI, |_, _| ()).await.unwrap() > 0);
    }
}

async fn written(database: TestDatabase) -> (TestApp, Answers) {
    let app = TestApp::on(database).await;
    let at_the_desk = perkgate::access::NewKey {
        location: Some("SFO-A".to_owned()),
        ..perkgate::access::NewKey::of(perkgate::access::Role::Kiosk, Some(app.cathay.id.clone()), "SFO A12")
    };
    let (kiosk, door) = (app.client(at_the_desk).await, app.door(&app.cathay, "sfo-lounge").await);
    let (ada, bob) = (app.admin(&app.cathay).await, app.admin(&app.cathay).await);
    let mut desk = Desk { app: &app, kiosk, door, ada, bob, exchanges: Vec::new() };
    desk.merchants_and_keys().await;
    desk.versions().await;
    desk.approvals().await;
    // What is pruned was decided long before.
    for subject in ["twitter:fay", "twitter:gil"] {
        app.world.score(&app.cathay, subject, "12").await;
        desk.check("spa", subject, subject).await;
    }
    desk.exchanges.clear();
    app.world.pass(40 * 86_400);
    desk.prune().await;
    desk.checks().await;
    desk.ada.get("/v1/audit/export").await.into_text();
    desk.retry().await;
    let at = app.world.now();
    app.world.pass(1);
    let answers = Answers {
        at,
        kiosk: desk.kiosk.secret().to_owned(),
        door: desk.door.secret().to_owned(),
        admin: desk.ada.secret().to_owned(),
        exchanges: std::mem::take(&mut desk.exchanges),
        export: String::new(),
    };
    drop(desk);
    (app, answers)
}

/// The export of what stands at `at`; a second later, so that it shows nothing of itself.
async fn export(app: &TestApp, admin: &str, at: Timestamp) -> String {
    let admin = app.bearing(Some(format!("Bearer {admin}")));
    admin.get(&format!("/v1/audit/export?to={}", at + SignedDuration::from_secs(1))).await.into_text()
}

/// What stands in a folder: names and texts.
type Files = Vec<(String, String)>;

/// What this build writes.
async fn write() -> Files {
    let mut files = Vec::new();
    for database in TestDatabase::migrated() {
        let backend = name(database.backend());
        let (app, mut answers) = written(database).await;
        files.push((format!("{backend}.sql"), app.world.database.dump()));
        answers.export = export(&app, &answers.admin, answers.at).await;
        files.push((format!("{backend}.json"), serde_json::to_string_pretty(&answers).unwrap() + "\n"));
    }
    files
}

/// The folder's databases, on every backend that this machine has, as they were left.
async fn restored_from(read: impl Fn(String) -> String) -> Vec<(TestApp, Answers)> {
    let mut all = Vec::new();
    for database in TestDatabase::empty() {
        let backend = name(database.backend());
        let answers: Answers = serde_json::from_str(&read(format!("{backend}.json"))).unwrap();
        database.restore(&read(format!("{backend}.sql")));
        database.open().migrate().unwrap();
        all.push((TestApp::resume(database, answers.at).await, answers));
    }
    all
}

/// Kinds that came after the builds whose databases are kept here: `event_types` has their bytes.
const NEWER: [&str; 28] = [
    "account.attached",
    "account.link_made",
    "account.linked",
    "account.reset",
    "account.restored",
    "account.role_changed",
    "account.suspended",
    "account.unlinked",
    "attribute.changed",
    "attribute.declared",
    "attribute.deleted",
    "clerk.reset",
    "device.confirmed",
    "feed.dropped",
    "feed.expired",
    "feed.held",
    "feed.released",
    "merchant.renamed",
    "model.published",
    "model.submitted",
    "occupancy.corrected",
    "source.guard_changed",
    "subject.consented",
    "subject.enrolled",
    "subject.request_confirmed",
    "subject.request_declined",
    "subject.request_made",
    "subject.unenrolled",
];

fn kept_kinds() -> Vec<&'static str> {
    KINDS.into_iter().filter(|kind| !NEWER.contains(kind)).collect()
}

/// Every fixture.
async fn restored() -> Vec<(TestApp, Answers)> {
    let mut all = Vec::new();
    for folder in std::fs::read_dir(fixtures()).unwrap() {
        let folder = folder.unwrap().path();
        all.extend(restored_from(|file| std::fs::read_to_string(folder.join(file)).unwrap()).await);
    }
    all
}

/// Leaves out the words for guests: they are no part of what is kept, and each who asks has them in their language.
fn leave_out_words(answer: &mut Value) {
    match answer {
        Value::Array(items) => items.iter_mut().for_each(leave_out_words),
        Value::Object(members) => {
            let words = ["guest_message", "guest_language"].map(|name| members.remove(name));
            assert_eq!(words[0].is_some(), words[1].is_some(), "{members:?}");
            members.values_mut().for_each(leave_out_words);
        }
        _ => {}
    }
}

async fn retries_get_what_they_got(restored: Vec<(TestApp, Answers)>) {
    for (app, answers) in restored {
        let client = |secret: &str| app.bearing(Some(format!("Bearer {secret}")));
        let (kiosk, door, admin) = (client(&answers.kiosk), client(&answers.door), client(&answers.admin));
        assert!(!answers.exchanges.is_empty());
        for exchange in &answers.exchanges {
            let again = exchange.ask([&kiosk, &door, &admin]).await;
            if exchange.body["subject"] == "twitter:cy" {
                // They have been erased since, so it is a new question, unless it has been asked again after that.
                assert_eq!((again.status, again.json().get("token")), (200, None), "{}", exchange.path);
                continue;
            }
            let (mut answer, mut given) = (again.json(), exchange.answer.clone());
            leave_out_words(&mut answer);
            leave_out_words(&mut given);
            assert_eq!((again.status, answer), (exchange.status, given), "{}", exchange.path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "a wish of the test run, not a setting of the gateway")]
async fn what_this_build_writes_it_reads_as_well() {
    if find("sqlite3").is_none() {
        return skip("databases as texts", "sqlite3");
    }
    let files = write().await;
    let read = |name: String| files.iter().find(|(file, _)| *file == name).unwrap().1.clone();
    retries_get_what_they_got(restored_from(read).await).await;
    let Some(folder) = std::env::var_os("PERKGATE_FIXTURES") else { return };
    let folder = fixtures().join(folder);
    std::fs::create_dir(&folder).expect("a folder of its own: none is written anew");
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_there_and_is_read_as_it_was_written() {
    let (mut kinds, mut backends) = (BTreeSet::new(), BTreeSet::new());
    for (app, _) in restored().await {
        let mut conn = app.world.database.open().dedicated().unwrap();
        let stored: Vec<(String, Option<String>, Vec<u8>)> = {
            use diesel::QueryDsl as _;
            let columns = (schema::events::kind, schema::events::body, schema::events::leaf_hash);
            schema::events::table.select(columns).load(&mut conn).unwrap()
        };
        assert!(stored.iter().any(|(_, body, _)| body.is_none()), "some are pruned");
        for (kind, body, leaf) in stored {
            if let Some(body) = body {
                assert_eq!(leaf_hash(&body).to_vec(), leaf, "{body}");
                assert!(body.contains(&format!(r#""kind":"{kind}""#)), "{body}");
                kinds.insert(kind);
            }
        }
        backends.insert(name(app.world.database.backend()));
    }
    for kind in kept_kinds() {
        assert!(kinds.contains(kind), "no fixture has a {kind}");
    }
    assert!(backends.contains("sqlite"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_written_again_as_it_was_read() {
    let mut kinds = BTreeSet::new();
    for (app, _) in restored().await {
        let mut conn = app.world.database.open().dedicated().unwrap();
        let stored: Vec<(String, Option<String>)> = {
            use diesel::QueryDsl as _;
            schema::events::table.select((schema::events::kind, schema::events::body)).load(&mut conn).unwrap()
        };
        for (kind, body) in stored {
            let Some(body) = body else { continue };
            assert_eq!(rewritten(&kind, &body).as_ref(), Ok(&body));
            kinds.insert(kind);
        }
    }
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), kept_kinds());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_verifies() {
    for (app, _) in restored().await {
        let database = app.world.database.open();
        let report = perkgate::audit::verify(&database, &Request::default(), &Entropy::seeded(1), &mut |_| {}).unwrap();
        let findings: Vec<String> = report.findings.listed().iter().map(ToString::to_string).collect();
        assert_eq!(findings, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_the_same_to_the_byte() {
    for (app, answers) in restored().await {
        app.world.pass(1);
        assert_eq!(export(&app, &answers.admin, answers.at).await, answers.export);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_gets_the_answer_that_was_given_then() {
    retries_get_what_they_got(restored().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_is_read_back_and_goes_on() {
    for (app, answers) in restored().await {
        let admin = app.bearing(Some(format!("Bearer {}", answers.admin)));
        for exchange in answers.exchanges.iter().filter(|it| it.path == "/v1/checks") {
            let id: CheckId = exchange.answer["check"].as_str().unwrap().parse().unwrap();
            let read = admin.get(&format!("/v1/checks/{id}")).await.is(200);
            for member in ["decision", "perk", "rule_version"] {
                assert_eq!(read[member], exchange.answer[member], "{member} of {id}");
            }
            // What else a reason says is personal, and gone with those who were erased.
            let codes = |answer: &Value| -> Vec<Value> {
                answer["reasons"].as_array().unwrap().iter().map(|reason| reason["code"].clone()).collect()
            };
            assert_eq!(codes(&read), codes(&exchange.answer), "{id}");
        }
        // New events take their places after the old ones.
        let fresh = json!({"perk": "sfo-lounge", "subject": "twitter:ada", "context": {"terminal": "A"}});
        app.bearing(Some(format!("Bearer {}", answers.kiosk))).post("/v1/checks", &fresh).await.is(200);
        let database = app.world.database.open();
        let report = perkgate::audit::verify(&database, &Request::default(), &Entropy::seeded(1), &mut |_| {}).unwrap();
        assert_eq!(report.findings.listed().iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_reproduces_every_decision_of_then() {
    for (app, answers) in restored().await {
        app.world.pass(1);
        let admin = app.bearing(Some(format!("Bearer {}", answers.admin)));
        for perk in ["sfo-lounge", "spa"] {
            let listed = admin.get(&format!("/v1/perks/{perk}/versions")).await.is(200);
            let (mut reproduced, mut recorded, mut rules) = (0, 0, BTreeSet::new());
            for version in listed["versions"].as_array().unwrap().iter().filter(|it| it["published_at"].is_string()) {
                // A version that another was rolled back to is the same rule again.
                if !rules.insert(version["rule_hash"].to_string()) {
                    continue;
                }
                let body = json!({"version": version["version"], "from": "2012-05-01T00:00:00Z"});
                let found = admin.post(&format!("/v1/perks/{perk}/backtest"), &body).await.is(200);
                let count = |pointer: &str| found.pointer(pointer).and_then(Value::as_u64).unwrap();
                assert_eq!(count("/reproduction/mismatches"), 0, "{perk}: {found}");
                assert_eq!(count("/reproduction/other_engine"), 0, "{perk}: {found}");
                reproduced += count("/reproduction/checks");
                let not_replayed = ["erased", "paused", "by_person", "unkept"];
                recorded = count("/checks")
                    - not_replayed.iter().map(|why| count(&format!("/not_replayed/{why}"))).sum::<u64>();
            }
            assert!(reproduced > 0, "{perk}");
            assert_eq!(reproduced, recorded, "{perk}: each was decided by one of its versions");
        }
    }
}
