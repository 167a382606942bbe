//! Who did what, and when: columns held to the log, and one person found who did alone what two must do.

use diesel::connection::SimpleConnection as _;
use perkgate::access::{NewKey, Role};
use perkgate::audit::{ExportFile, Report, Request, verify_exports};
use perkgate::database::{Database, DatabaseError, connection};
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::ids::KeyId;
use perkgate::foundation::json::Json;
use perkgate::ledger::entry::Actor;
use perkgate::perks::life::Expected;
use perkgate::perks::perk::NewVersion;
use perkgate::perks::perk::PerkStatus;
use perkgate::perks::versions::{Taken, VersionStep};
use serde_json::{Value, json};

use super::history::event_with;
use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::world::{CLI, World};

const RULE: &str = r#"{"at_least":40,"score":"klout"}"#;
const PERK: &str = "/v1/perks/sfo-lounge";

fn verdict(database: &Database) -> Report {
    perkgate::audit::verify(database, &Request::default(), &Entropy::seeded(1), &mut |_| {}).unwrap()
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.findings.counts().keys().copied().collect()
}

fn lay_hands(database: &Database, sql: &str) {
    let mut conn = database.dedicated().unwrap();
    connection::transaction(&mut conn, |conn| conn.batch_execute(sql).map_err(DatabaseError::from)).unwrap();
}

/// Versions that two people drafted, edited, submitted, approved, scheduled and published, a perk paused, a key revoked,
/// and somebody who asks to lift what is required.
async fn lived(world: &World) -> Database {
    let cathay = world.merchant("cathay").await;
    let directory = &world.gateway.directory;
    let [ann, bob] = [world.principal(&cathay, Role::Admin).await, world.principal(&cathay, Role::Admin).await];
    let child = NewKey::of(Role::Kiosk, Some(cathay.id.clone()), "Bob's kiosk");
    directory.create_key(child, bob.actor()).await.unwrap();
    let mislaid = NewKey::of(Role::Kiosk, Some(cathay.id.clone()), "mislaid");
    let (mislaid, _) = directory.create_key(mislaid, ann.actor()).await.unwrap();
    directory.revoke_key(Some(cathay.id.clone()), mislaid.id, bob.actor()).await.unwrap();
    let catalog = &world.gateway.catalog;
    let slug: perkgate::foundation::ids::PerkSlug = "lounge".parse().unwrap();
    let version = |least: u32| NewVersion {
        rule: Json::parse(&RULE.replace("40", &least.to_string())).unwrap(),
        publish: false,
        change_note: None,
    };
    catalog.create_perk(&cathay.id, ann.actor(), slug.clone(), "A", version(40)).await.unwrap();
    catalog.set_four_eyes(&cathay.id, ann.actor(), true).await.unwrap();
    let step = async |who: &Actor, number: i32, step: VersionStep| {
        world.pass(60);
        catalog.step(&cathay.id, who.clone(), &slug, number, Taken::of(step)).await.unwrap();
    };
    let (ann, bob) = (ann.actor(), bob.actor());
    for number in 2..=4 {
        catalog.create_version(&cathay.id, ann.clone(), &slug, version(40 + number)).await.unwrap();
    }
    for who in [&bob, &CLI, &bob] {
        catalog.edit_version(&cathay.id, who.clone(), &slug, 4, version(50), Expected::Anything).await.unwrap();
    }
    for number in 1..=3 {
        step(&ann, number, VersionStep::Submit).await;
        step(&bob, number, VersionStep::Approve).await;
    }
    // 1 is published at once, 2 by its schedule, 3 waits for its own, 4 is a draft.
    step(&ann, 1, VersionStep::Publish).await;
    step(&bob, 2, VersionStep::Schedule("2012-05-08T21:00:00Z".to_owned())).await;
    world.pass(3 * 3600);
    step(&ann, 3, VersionStep::Schedule("2012-06-08T20:00:00Z".to_owned())).await;
    catalog.set_status(&cathay.id, bob.clone(), &slug, PerkStatus::Paused, None).await.unwrap();
    catalog.set_four_eyes(&cathay.id, bob, false).await.unwrap();
    world.database.open()
}

/// Somebody else, nobody, and everybody who could have been in the place of who was.
const WHO: [(&str, &str, &str, &str); 10] = [
    ("rule_versions", "author", "version = 4", "rule_mismatch"),
    ("rule_versions", "editors", "version = 4", "rule_mismatch"),
    ("rule_versions", "submitted_by", "version = 2", "rule_mismatch"),
    ("rule_versions", "approved_by", "version = 3", "rule_mismatch"),
    ("rule_versions", "scheduled_by", "version = 2", "rule_mismatch"),
    ("rule_versions", "published_by", "version = 1", "rule_mismatch"),
    ("api_keys", "created_by", "label = 'Bob''s kiosk'", "key_mismatch"),
    ("perks", "status_by", "slug = 'lounge'", "perk_mismatch"),
    ("four_eyes", "changed_by", "required = required", "approvals_mismatch"),
    ("four_eyes", "lift_by", "required = required", "approvals_mismatch"),
];

/// Columns that say when, with those that have none, and whether it must be so to the microsecond.
const WHEN: [(&str, &str, &str, bool, &str); 13] = [
    ("rule_versions", "created_at", "version = 4", false, "rule_mismatch"),
    ("rule_versions", "submitted_at", "version = 2", false, "rule_mismatch"),
    ("rule_versions", "approved_at", "version = 3", false, "rule_mismatch"),
    ("rule_versions", "scheduled_at", "version = 3", true, "rule_mismatch"),
    ("rule_versions", "scheduled_at", "version = 2", true, "rule_mismatch"),
    ("rule_versions", "published_at", "version = 1", true, "rule_mismatch"),
    ("rule_versions", "published_at", "version = 2", true, "rule_mismatch"),
    ("api_keys", "created_at", "label = 'Bob''s kiosk'", false, "key_mismatch"),
    ("api_keys", "revoked_at", "label = 'mislaid'", false, "key_mismatch"),
    ("perks", "created_at", "slug = 'lounge'", false, "perk_mismatch"),
    ("perks", "status_at", "slug = 'lounge'", false, "perk_mismatch"),
    ("four_eyes", "changed_at", "required = required", false, "approvals_mismatch"),
    ("four_eyes", "lift_at", "required = required", false, "approvals_mismatch"),
];

const TABLES: [&str; 4] = ["rule_versions", "api_keys", "perks", "four_eyes"];

#[tokio::test(flavor = "multi_thread")]
async fn who_did_what_and_when_is_held_to_the_events() {
    for world in World::all().await {
        let database = lived(&world).await;
        assert_eq!(verdict(&database).findings.listed(), []);
        assert_eq!(verdict(&database).checked.unheld, 0);
        for table in TABLES {
            lay_hands(&database, &format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}"));
        }
        // Of what names others, the row that is named is left where it is.
        let restore = |table: &str, column: &str| {
            let key = match table {
                "rule_versions" => "kept.perk_id = it.perk_id AND kept.version = it.version",
                "four_eyes" => "kept.merchant_id = it.merchant_id",
                _ => "kept.id = it.id",
            };
            lay_hands(
                &database,
                &format!("UPDATE {table} AS it SET {column} = (SELECT {column} FROM kept_{table} AS kept WHERE {key})"),
            );
        };
        for (table, column, row, code) in WHO {
            let mut others = vec!["'key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70'", "'cli'", "(SELECT min(id) FROM api_keys)"];
            if !["author", "editors"].contains(&column) {
                others.push("NULL");
            }
            for other in others {
                let change = format!(
                    "UPDATE {table} SET {column} = {other} WHERE {row} AND coalesce({column}, '') <> coalesce({other}, '')"
                );
                lay_hands(&database, &change);
                let found = codes(&verdict(&database));
                // The first key of all made some of it.
                assert!(found == [code] || found.is_empty() && other.contains("min(id)"), "{change}: {found:?}");
                restore(table, column);
            }
        }
        for (table, column, row, is_exact, code) in WHEN {
            let least = if is_exact { 1 } else { 60_000_001 };
            for other in [format!("{column} - {least}"), format!("{column} + {least}"), "1".to_owned()] {
                let change = format!("UPDATE {table} SET {column} = {other} WHERE {row}");
                lay_hands(&database, &change);
                assert_eq!(codes(&verdict(&database)), [code], "{change}");
                restore(table, column);
            }
            // A change waits for its turn, and its event is written once it has it.
            if !is_exact {
                lay_hands(&database, &format!("UPDATE {table} SET {column} = {column} - 60000000 WHERE {row}"));
                assert_eq!(verdict(&database).findings.listed(), [], "{table}.{column}");
                restore(table, column);
            }
        }
        lay_hands(&database, "UPDATE perks SET latest_version = 3");
        assert_eq!(codes(&verdict(&database)), ["perk_mismatch"]);
        restore("perks", "latest_version");
        assert_eq!(verdict(&database).findings.listed(), [], "all was put back");
        // What somebody took out of the log can hold nothing: that is found, and the rows are left out and counted.
        let before = verdict(&database).checked;
        let mut conn = database.dedicated().unwrap();
        let paused = event_with(&mut conn, "cathay", r#""kind":"perk.paused""#);
        drop(conn);
        lay_hands(&database, &format!("UPDATE events SET body = NULL WHERE id = '{}'", paused.id));
        let report = verdict(&database);
        assert_eq!((report.checked.unheld, report.checked.rules), (1 + 4, before.rules));
        assert!(codes(&report).contains(&"body_missing"));
    }
}

/// Somebody at the console, whose key another made; none for the command line.
async fn admin(app: &TestApp, maker: Option<&KeyId>) -> (KeyId, Client) {
    let actor = Actor { key: maker.cloned(), role: if maker.is_some() { "admin" } else { "cli" } };
    let new = NewKey::of(Role::Admin, Some(app.cathay.id.clone()), "a person");
    let (key, secret) = app.world.gateway.directory.create_key(new, actor).await.unwrap();
    (key.id, app.bearing(Some(format!("Bearer {}", secret.expose()))))
}

async fn drafted(who: &Client, least: i64) -> String {
    let body = json!({"rule": {"at_least": least, "score": "klout"}});
    let made: Value = who.post(&format!("{PERK}/versions"), &body).await.is(201);
    format!("{PERK}/versions/{}", made["version"])
}

async fn stepped(who: &Client, path: &str, step: &str) {
    who.post(&format!("{path}/{step}"), &json!({})).await.is(200);
}

/// What is found in the database, and in each form of the merchant's own export.
async fn found_everywhere(app: &TestApp) -> [Vec<&'static str>; 3] {
    let auditor = app.auditor(&app.cathay).await;
    let mut found = vec![codes(&verdict(&app.world.database.open()))];
    for form in ["ndjson", "csv"] {
        let export = auditor.get(&format!("/v1/audit/export?format={form}")).await;
        assert_eq!(export.status, 200);
        let keys = vec![app.world.gateway.keyring.log_key().verifier().clone()];
        let request = Request { keys, ..Request::default() };
        let file = ExportFile { label: "export".to_owned(), reader: export.text.as_bytes() };
        let report = verify_exports(vec![file], &request, &Entropy::System, &mut |_| {}).unwrap();
        found.push(codes(&report));
    }
    found.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_who_does_what_two_must_do_is_found_from_the_log_alone() {
    for app in TestApp::all().await {
        let database = app.world.database.open();
        let (ann_key, ann) = admin(&app, None).await;
        let (bob_key, bob) = admin(&app, None).await;
        let body =
            json!({"perk": "sfo-lounge", "name": "SFO", "rule": {"at_least": 40, "score": "klout"}, "publish": true});
        ann.post("/v1/perks", &body).await.is(201);
        ann.put("/v1/approvals", &json!({"required": true})).await.is(200);
        // As it should be.
        let path = drafted(&ann, 41).await;
        stepped(&ann, &path, "submit").await;
        stepped(&bob, &path, "approve").await;
        stepped(&ann, &path, "publish").await;
        assert_eq!(found_everywhere(&app).await, [const { Vec::<&str>::new() }; 3]);

        // Bob is made to have drafted and submitted it, and never knows.
        let path = drafted(&ann, 42).await;
        stepped(&ann, &path, "submit").await;
        let of_bob = format!("author = '{bob_key}', submitted_by = '{bob_key}'");
        lay_hands(&database, &format!("UPDATE rule_versions SET {of_bob} WHERE version = 3"));
        stepped(&ann, &path, "approve").await;
        stepped(&ann, &path, "publish").await;
        let alone = vec!["rule_not_approved", "self_approval"];
        let by_rows = vec!["rule_mismatch", "rule_not_approved", "self_approval"];
        assert_eq!(found_everywhere(&app).await, [by_rows, alone.clone(), alone.clone()]);
        // Put back, the log still tells.
        let of_ann = format!("author = '{ann_key}', submitted_by = '{ann_key}'");
        lay_hands(&database, &format!("UPDATE rule_versions SET {of_ann} WHERE version = 3"));
        assert_eq!(found_everywhere(&app).await, [alone.clone(), alone.clone(), alone]);
        let listed = verdict(&database).findings;
        let told = listed.listed()[0].to_string();
        assert!(told.contains(&format!("approved by {ann_key}")) && told.contains("the same person"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_made_to_be_nobodys_child_is_found_by_who_made_it() {
    for app in TestApp::all().await {
        let database = app.world.database.open();
        let (ann_key, ann) = admin(&app, None).await;
        let (child_key, child) = admin(&app, Some(&ann_key)).await;
        let (_, bob) = admin(&app, None).await;
        let body =
            json!({"perk": "sfo-lounge", "name": "SFO", "rule": {"at_least": 40, "score": "klout"}, "publish": true});
        ann.post("/v1/perks", &body).await.is(201);
        ann.put("/v1/approvals", &json!({"required": true})).await.is(200);
        let path = drafted(&ann, 41).await;
        stepped(&ann, &path, "submit").await;
        lay_hands(&database, &format!("UPDATE api_keys SET created_by = NULL WHERE id = '{child_key}'"));
        stepped(&child, &path, "approve").await;
        stepped(&ann, &path, "publish").await;
        let alone = ["rule_not_approved", "self_approval"];
        let [rows, ndjson, csv] = found_everywhere(&app).await;
        assert_eq!(rows, ["key_mismatch", "rule_not_approved", "self_approval"]);
        assert_eq!([ndjson, csv], [alone, alone]);

        // A key that was made after what it approves, made older.
        let path = drafted(&bob, 42).await;
        stepped(&bob, &path, "submit").await;
        app.world.pass(300);
        let (sock_key, sock) = admin(&app, None).await;
        lay_hands(&database, &format!("UPDATE api_keys SET created_at = 0 WHERE id = '{sock_key}'"));
        stepped(&sock, &path, "approve").await;
        stepped(&bob, &path, "publish").await;
        assert_eq!(verdict(&database).findings.counts()["self_approval"], 2);
        assert_eq!(verdict(&database).findings.counts()["rule_not_approved"], 2);

        // Whoever asks for it to be lifted confirms it.
        ann.put("/v1/approvals", &json!({"required": false})).await.is(200);
        lay_hands(&database, "UPDATE four_eyes SET lift_by = 'key_x'");
        ann.put("/v1/approvals", &json!({"required": false})).await.is(200);
        for found in found_everywhere(&app).await {
            assert!(found.contains(&"approvals_lifted_alone"), "{found:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_contests_and_judges_is_found_from_the_log_alone() {
    for app in TestApp::all().await {
        let database = app.world.database.open();
        let (_, ann) = admin(&app, None).await;
        let (bob_key, bob) = admin(&app, None).await;
        app.lounge(RULE, "12").await;
        ann.put("/v1/approvals", &json!({"required": true})).await.is(200);
        for (judge, takes_hands) in [(&bob, false), (&ann, true)] {
            let ask = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
            let refused = ann.post("/v1/checks", &ask).await.is(200);
            let check = refused["check"].as_str().unwrap();
            ann.post(&format!("/v1/checks/{check}/contest"), &json!({"reason": "it is me"})).await.is(201);
            if takes_hands {
                let of_bob = format!("UPDATE referrals SET contested_by = '{bob_key}' WHERE check_id = '{check}'");
                lay_hands(&database, &of_bob);
            }
            let uphold = json!({"note": "it is not"});
            judge.post(&format!("/v1/contests/{check}/uphold"), &uphold).await.is(201);
            let [rows, ndjson, csv] = found_everywhere(&app).await;
            if takes_hands {
                assert_eq!(rows, ["contest_judged_alone", "referral_mismatch"]);
                assert_eq!([ndjson, csv], [["contest_judged_alone"]; 2]);
            } else {
                assert_eq!([rows, ndjson, csv], [const { Vec::<&str>::new() }; 3]);
            }
        }
    }
}
