//! The gateway's own keys: what the operator's log tells of them, how they take over, and what hands on
//! their table are caught at.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use diesel::prelude::*;
use jiff::SignedDuration;
use perkgate::audit::Request;
use perkgate::database::AnyConnection;
use perkgate::foundation::clock::Clock;
use perkgate::foundation::entropy::Entropy;
use perkgate::keyring::{Keyring, KeyringError, MasterKey};
use serde_json::{Value, json};

use super::history::{History, events_of, rebuild};
use crate::support::app::TestApp;
use crate::support::databases::TestDatabase;
use crate::support::serve::Serve;
use crate::support::world::{CLI, MASTER_KEY, World};

const RULE: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"main","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "token":{"audience":"sfo-lounge"}}"#;

/// How long a key stays published once it is superseded: a day, and ten minutes more.
const KEPT: SignedDuration = SignedDuration::from_secs(24 * 3600 + 600);

fn findings(database: &TestDatabase) -> Vec<(&'static str, Option<String>)> {
    let verified =
        perkgate::audit::verify(&database.open(), &Request::default(), &Entropy::seeded(1), &mut |_| {}).unwrap();
    verified.findings.listed().iter().map(|it| (it.wrong.code(), it.place.log.clone())).collect()
}

/// What the operator's log tells of keys: kind, name, role and facts.
fn told(database: &TestDatabase) -> Vec<(String, String, String, Value)> {
    let mut conn = database.open().dedicated().unwrap();
    let bodies = events_of(&mut conn, "operator").into_iter().filter(|event| event.kind.starts_with("gateway_key."));
    bodies
        .map(|event| {
            let body: Value = serde_json::from_str(&event.body.unwrap()).unwrap();
            let role = body["actor"]["role"].as_str().unwrap().to_owned();
            (event.kind, event.about, role, body["facts"].clone())
        })
        .collect()
}

fn kid(token: &str) -> String {
    let header = BASE64URL.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_signs_the_old_tokens_still_open_doors_and_the_log_tells_of_it() {
    for app in TestApp::all().await {
        app.lounge(RULE, "62").await;
        let (kiosk, door) = (app.kiosk().await, app.door(&app.cathay, "sfo-lounge").await);
        let grant = async || {
            let ask = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
            kiosk.post("/v1/checks", &ask).await.text_of("token")
        };
        let redeem = async |token: &str, attempt: &str| {
            let spend = json!({"token": token, "door": "A", "attempt": attempt});
            door.post("/v1/tokens/redeem", &spend).await.is(200)
        };
        let published = async || {
            let keys = app.anonymous().get("/.well-known/jwks.json").await.is(200)["keys"].clone();
            keys.as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let old = grant().await;
        let first = kid(&old);
        assert_eq!(published().await, [first.as_str()]);

        // Another replica does it; this one hears when it reads the keys again.
        let replica = app.world.replica().await;
        let rotation = replica.ledger.rotate_token_key(SignedDuration::from_mins(10), CLI).await.unwrap();
        let next = rotation.key.kid.clone();
        let retires_at = app.world.now() + SignedDuration::from_mins(10) + KEPT;
        assert_eq!(rotation.retires, [(first.clone(), retires_at)]);
        assert_eq!(replica.keyring.token_keys().len(), 2, "where it was made it is known at once");
        app.world.gateway.keyring.refresh().unwrap();
        assert_eq!(published().await, [first.clone(), next.clone()], "published before it signs");
        let early = grant().await;
        assert_eq!(kid(&early), first);
        app.world.pass(600);
        let new = grant().await;
        assert_eq!(kid(&new), next);
        for (token, attempt) in [(&old, "1"), (&early, "2"), (&new, "3")] {
            redeem(token, attempt).await;
        }
        app.world.clock.set(retires_at);
        assert_eq!(published().await, [next.as_str()]);

        let told = told(&app.world.database);
        let kinds: Vec<_> = told.iter().map(|(kind, _, role, _)| (kind.as_str(), role.as_str())).collect();
        let made = ("gateway_key.created", "gateway");
        assert_eq!(kinds, [made, made, made, ("gateway_key.rotated", "cli")]);
        let (_, about, _, facts) = &told[3];
        assert_eq!(about, &next);
        assert_eq!((&facts["purpose"], &facts["retires_at"]), (&json!("token"), &Value::Null));
        assert_eq!(facts["signs_from"], json!(rotation.key.signs_from.to_string()));
        assert_eq!(facts["retires"], json!([{"kid": first, "at": retires_at.to_string()}]));
        assert_eq!(facts["public_key"], BASE64URL.encode(rotation.key.public_key.unwrap()));
        assert_eq!(findings(&app.world.database), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_stolen_is_replaced_at_once_even_with_a_next_one_waiting() {
    for world in World::all().await {
        world.merchant("cathay").await;
        let ledger = &world.gateway.ledger;
        let waiting = ledger.rotate_token_key(SignedDuration::from_hours(1), CLI).await.unwrap();
        world.pass(1);
        let now = ledger.rotate_token_key(SignedDuration::ZERO, CLI).await.unwrap();
        assert_eq!(world.gateway.keyring.token_key().kid(), now.key.kid);
        let retires_at = waiting.key.signs_from + KEPT;
        assert_eq!((now.key.retires_at, now.retires.len()), (Some(retires_at), 0), "the waiting one takes over");
        assert_eq!(findings(&world.database), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_of_a_key_that_is_withdrawn_and_of_what_that_changes() {
    for world in World::all().await {
        world.merchant("cathay").await;
        let ledger = &world.gateway.ledger;
        let first = world.gateway.keyring.token_key().kid().to_owned();
        let second = ledger.rotate_token_key(SignedDuration::from_hours(1), CLI).await.unwrap().key.kid;
        let third = ledger.rotate_token_key(SignedDuration::from_hours(2), CLI).await.unwrap().key;
        let revoke = async |kid: &str| ledger.revoke_token_key(kid.to_owned(), CLI).await.unwrap();
        world.pass(1);
        let start = world.now();
        // One that waits, the one that signs with another waiting, and the last one.
        for (kid, next, signs_from, retires) in [
            (&second, Some(&first), None, json!([{"kid": first, "at": (third.signs_from + KEPT).to_string()}])),
            (&first, Some(&third.kid), Some(start), json!([])),
            (&third.kid, None, Some(start), json!([])),
        ] {
            let change = revoke(kid).await.unwrap().change.unwrap();
            let events = told(&world.database);
            let (kind, about, role, facts) = events.last().unwrap();
            assert_eq!((kind.as_str(), about, role.as_str()), ("gateway_key.revoked", kid, "cli"));
            assert_eq!(facts["revoked_at"], start.to_string());
            assert_eq!(facts["next"]["kid"], change.next.kid);
            assert!(next.is_none_or(|next| *next == change.next.kid), "{change:?}");
            assert!(signs_from.is_none_or(|at| facts["next"]["signs_from"] == at.to_string()), "{facts}");
            assert_eq!(facts["retires"], retires);
            assert_eq!(world.gateway.keyring.token_key().kid(), change.next.kid);
            assert_eq!(findings(&world.database), []);
        }
        let before = told(&world.database).len();
        assert_eq!(revoke(&first).await.unwrap().change, None, "once is enough");
        assert!(revoke("nobody's").await.is_none());
        assert_eq!(told(&world.database).len(), before);
        // Taken back behind the log's back.
        let mut conn = world.database.open().dedicated().unwrap();
        for (hands, code) in [
            (format!("UPDATE keyring_keys SET revoked_at = NULL WHERE kid = '{first}'"), MISMATCH),
            (format!("DELETE FROM keyring_keys WHERE kid = '{first}'"), MISSING),
        ] {
            sql(&mut conn, &hands);
            assert_eq!(findings(&world.database), [(code, Some("operator".to_owned()))], "{hands}");
        }
    }
}

/// One replica after the other, as nobody but the database keeps them apart.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_rotate_at_once_each_tell_of_their_own_key_and_of_the_first_ones_once() {
    for world in World::all().await {
        let mut replicas = Vec::new();
        for _ in 0..3 {
            replicas.push(world.replica().await);
        }
        let rotations = replicas.iter().map(|it| it.ledger.rotate_token_key(SignedDuration::from_mins(10), CLI));
        for rotation in futures_util::future::join_all(rotations).await {
            rotation.unwrap();
        }
        let told = told(&world.database);
        let created = told.iter().filter(|(kind, ..)| kind == "gateway_key.created").count();
        assert_eq!((told.len(), created), (6, 3), "{told:?}");
        assert_eq!(findings(&world.database), []);
    }
}

/// What is done to the table of keys, and what is found of it.
type Case = (&'static str, &'static str, &'static str);

const MISMATCH: &str = "gateway_key_mismatch";
const MISSING: &str = "gateway_key_missing";

/// `{bytes}` stands for 32 bytes that are no key of this gateway.
const CASES: [Case; 9] = [
    ("a token key's public half", "UPDATE keyring_keys SET public_key = {bytes} WHERE purpose = 'token'", MISMATCH),
    ("a token key's name", "UPDATE keyring_keys SET kid = 'mine' WHERE purpose = 'token'", MISSING),
    ("when a token key signs", "UPDATE keyring_keys SET signs_from = 5 WHERE purpose = 'token'", MISMATCH),
    ("when a token key is retired", "UPDATE keyring_keys SET retires_at = 5 WHERE purpose = 'token'", MISMATCH),
    ("when a token key was withdrawn", "UPDATE keyring_keys SET revoked_at = 5 WHERE purpose = 'token'", MISMATCH),
    ("what a key is for", "UPDATE keyring_keys SET purpose = 'log' WHERE purpose = 'hash'", MISMATCH),
    ("a log key's public half", "UPDATE keyring_keys SET public_key = {bytes} WHERE purpose = 'log'", MISMATCH),
    ("a key is deleted", "DELETE FROM keyring_keys WHERE purpose = 'hash'", MISSING),
    (
        "a key is added",
        "INSERT INTO keyring_keys SELECT 'hash-2', purpose, public_key, wrapped, created_at, signs_from, retires_at, revoked_at \
         FROM keyring_keys WHERE purpose = 'hash'",
        "gateway_key_without_event",
    ),
];

fn sql(conn: &mut AnyConnection, text: &str) {
    let bytes = "07".repeat(32);
    let bytes =
        if matches!(conn, AnyConnection::Postgres(_)) { format!("'\\x{bytes}'") } else { format!("x'{bytes}'") };
    let changed = diesel::sql_query(text.replace("{bytes}", &bytes)).execute(conn).unwrap();
    assert!(changed > 0, "nothing was changed: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_to_the_table_of_keys_is_found() {
    for history in History::all().await {
        history.keep();
        for (name, hands, code) in CASES {
            history.lay_hands(|conn| sql(conn, hands));
            let found = findings(&history.world.database);
            assert!(found.contains(&(code, Some("operator".to_owned()))), "{name}: {found:?}");
            history.restore();
        }
        assert_eq!(findings(&history.world.database), [], "all was put back");
    }
}

/// A database of the time before events told of keys: its log is made anew without them.
fn forget(history: &History) {
    let key = history.world.gateway.keyring.log_key();
    history.lay_hands(|conn| {
        let mut all = events_of(conn, "operator");
        all.retain(|event| !event.kind.starts_with("gateway_key."));
        rebuild(conn, "operator", all, key.verifier(), &|text| key.sign(text));
    });
    assert_eq!(told(&history.world.database), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_older_than_their_events_are_not_wrong_and_are_told_when_a_gateway_serves() {
    for history in History::all().await {
        forget(&history);
        let database = &history.world.database;
        assert_eq!(findings(database), []);
        // Even so a key that signs goes by its public half, and nobody can wrap another.
        history.keep();
        history.lay_hands(|conn| sql(conn, CASES[0].1));
        assert_eq!(findings(database), [(MISMATCH, Some("operator".to_owned()))]);
        let master = MasterKey::parse(MASTER_KEY).unwrap();
        let opened = Keyring::open(&history.database, &master, Clock::System, Entropy::System);
        assert!(matches!(opened, Err(KeyringError::Damaged { .. })), "no gateway opens with it");
        history.restore();

        let program = std::path::Path::new(env!("CARGO_BIN_EXE_perkgate"));
        for _ in 0..2 {
            let serving = Serve::start(program, database, &[]);
            while told(database).is_empty() {
                tokio::task::yield_now().await;
            }
            drop(serving);
            assert_eq!(told(database).len(), 3, "once, however often it is served");
            assert_eq!(findings(database), []);
        }
        history.lay_hands(|conn| sql(conn, CASES[8].1));
        assert_eq!(findings(database), [("gateway_key_without_event", Some("operator".to_owned()))]);
    }
}

/// Whoever adds a row to the table gets it into no log.
#[tokio::test(flavor = "multi_thread")]
async fn only_keys_of_this_gateway_are_told() {
    for history in History::all().await {
        forget(&history);
        // One that signed nothing yet: the other sees that its log was put back.
        let gateway = history.world.replica().await;
        history.lay_hands(|conn| sql(conn, CASES[8].1));
        gateway.directory.create_merchant("qantas".parse().unwrap(), "Qantas", None, CLI).await.unwrap();
        let told: Vec<_> = told(&history.world.database).into_iter().map(|(_, kid, ..)| kid).collect();
        assert!(told.len() == 3 && !told.contains(&"hash-2".to_owned()), "{told:?}");
        let found = findings(&history.world.database);
        assert_eq!(found, [("gateway_key_without_event", Some("operator".to_owned()))]);
    }
}
