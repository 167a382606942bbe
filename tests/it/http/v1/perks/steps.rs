//! Pausing, resuming, retiring, going back, naming anew, and what a perk may be for.

use diesel::connection::SimpleConnection as _;
use perkgate::database::DatabaseError;
use reqwest::Method;
use serde_json::{Value, json};

use crate::http::v1::{LOUNGE, OPEN_LOUNGE, fact, kinds, life};
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};

const PERK: &str = "/v1/perks/sfo-lounge";

async fn check(client: &Client) -> Reply {
    client.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await
}

async fn check_once(client: &Client, key: &str, subject: &str) -> Reply {
    let ask = client.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": subject}));
    ask.header("idempotency-key", key).await
}

async fn stand(admin: &Client, word: &str) -> Reply {
    admin.post(&format!("{PERK}/{word}"), &json!({"change_note": format!("To {word}.")})).await
}

async fn change(admin: &Client, body: &Value) -> Reply {
    admin.ask(Method::PATCH, PERK).json(body.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_perk_denies_everybody_until_it_is_resumed() {
    for app in TestApp::all().await {
        let (admin, kiosk) = (app.admin(&app.cathay).await, app.kiosk().await);
        app.lounge(LOUNGE, "47.25").await;
        let paused = stand(&admin, "pause").await.is(200);
        assert_eq!((&paused["status"], &paused["status_note"]), (&json!("paused"), &json!("To pause.")));
        let before = app.footprint().await;
        let denied = check(&kiosk).await.is(200);
        assert_eq!((&denied["decision"], &denied["rule_version"]), (&json!("denied"), &json!(1)));
        assert_eq!(
            denied["reasons"],
            json!([{
                "code": "perk_paused", "message": denied["reasons"][0]["message"],
                "guest_message": "This is not available at the moment.", "guest_language": "en",
            }])
        );
        assert_eq!((&denied["score"], &denied["limits"]), (&Value::Null, &json!([])));
        let after = app.footprint().await;
        assert_eq!((after.events, after.grants, after.limits_used), (before.events + 1, before.grants, 0));
        assert_eq!(kiosk.get(&format!("/v1/checks/{}", denied["check"].as_str().unwrap())).await.is(200), denied);
        let dry = json!({"perk": "sfo-lounge", "subject": "twitter:ada", "dry_run": true});
        assert_eq!(kiosk.post("/v1/checks", &dry).await.is(200)["reasons"][0]["code"], "perk_paused");
        // What is published meanwhile waits with it.
        let version = json!({"rule": {"at_least": 1, "score": "klout"}, "publish": true});
        let made = admin.post(&format!("{PERK}/versions"), &version).await.is(201);
        assert_eq!(made["warnings"][0]["code"], "perk_paused", "{made}");
        assert_eq!(check(&kiosk).await.is(200)["reasons"][0]["code"], "perk_paused");
        assert_eq!(stand(&admin, "resume").await.is(200)["status"], "published");
        let granted = check(&kiosk).await.is(200);
        assert_eq!((&granted["decision"], &granted["rule_version"]), (&json!("granted"), &json!(2)));
        for nothing in ["resume", "resume"] {
            stand(&admin, nothing).await.is(200);
        }
        assert_eq!(
            kinds(&app, 3).await,
            ["perk.paused", "rule.drafted", "rule.published", "perk.resumed"],
            "what changes nothing is no event"
        );
        let events = life(&app).await;
        assert_eq!(fact(&events[3], "change_note"), Some("To pause."));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_perk_is_gone_for_all_but_who_asks_again() {
    for app in TestApp::all().await {
        let (admin, kiosk, other) = (app.admin(&app.cathay).await, app.kiosk().await, app.kiosk().await);
        app.lounge(OPEN_LOUNGE, "47.25").await;
        app.world.score(&app.cathay, "twitter:bob", "12").await;
        let granted = check_once(&kiosk, "k1", "twitter:ada").await.is(200);
        let denied = check_once(&kiosk, "k2", "twitter:bob").await.is(200);
        assert_eq!(stand(&admin, "retire").await.is(200)["status"], "retired");
        check(&kiosk).await.problem(404, "not_found");
        check_once(&kiosk, "k3", "twitter:ada").await.problem(404, "not_found");
        let before = app.footprint().await;
        for _ in 0..2 {
            assert_eq!(check_once(&kiosk, "k1", "twitter:ada").await.is(200), granted, "the very same token");
            assert_eq!(check_once(&kiosk, "k2", "twitter:bob").await.is(200), denied);
        }
        check_once(&kiosk, "k1", "twitter:bob").await.problem(422, "idempotency_key_reused");
        check_once(&other, "k1", "twitter:ada").await.problem(404, "not_found");
        assert_eq!(app.footprint().await, before, "nothing was recorded");
        // On a replica that never saw it open, too.
        let replica = app.world.replica().await;
        assert!(replica.catalog.open_perk(&app.cathay.id, &"sfo-lounge".parse().unwrap()).await.is_err());
        app.world.pass(24 * 3600);
        check_once(&kiosk, "k1", "twitter:ada").await.problem(404, "not_found");

        // It can still be looked at, and nothing of it changed.
        assert_eq!(admin.get(PERK).await.is(200)["published_version"], 1);
        stand(&admin, "retire").await.is(200);
        for word in ["pause", "resume"] {
            stand(&admin, word).await.problem(409, "perk_retired");
        }
        let version = json!({"rule": {"at_least": 1, "score": "klout"}});
        admin.post(&format!("{PERK}/versions"), &version).await.problem(409, "perk_retired");
        admin.post(&format!("{PERK}/rollback"), &json!({"to": 1})).await.problem(409, "perk_retired");
        change(&admin, &json!({"name": "New"})).await.problem(409, "perk_retired");
        let again = json!({"perk": "sfo-lounge", "name": "SFO", "rule": {"at_least": 1, "score": "klout"}});
        admin.post("/v1/perks", &again).await.problem(409, "already_exists");
        assert_eq!(kinds(&app, 3).await, ["perk.retired"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_perk_that_is_retired_takes_its_schedule_with_it() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let version = json!({"rule": {"at_least": 1, "score": "klout"}});
        admin.post(&format!("{PERK}/versions"), &version).await.is(201);
        let at = json!({"at": "2012-05-08T20:00:00Z"});
        admin.post(&format!("{PERK}/versions/2/schedule"), &at).await.is(200);
        stand(&admin, "retire").await.is(200);
        app.world.pass(7200);
        check(&admin).await.problem(404, "not_found");
        assert_eq!(admin.get(&format!("{PERK}/versions/2")).await.is(200)["status"], "draft");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_makes_the_earlier_content_a_new_version_once() {
    for app in TestApp::all().await {
        let (admin, kiosk) = (app.admin(&app.cathay).await, app.kiosk().await);
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let first = admin.get(&format!("{PERK}/versions/1")).await.is(200);
        let stricter = json!({"rule": {"at_least": 90, "score": "klout"}, "publish": true});
        admin.post(&format!("{PERK}/versions"), &stricter).await.is(201);
        admin.post(&format!("{PERK}/versions"), &json!({"rule": {"at_least": 1, "score": "klout"}})).await.is(201);
        assert_eq!(check(&kiosk).await.is(200)["decision"], "denied");
        let rollback = async |to: i64| {
            let body = json!({"to": to, "change_note": "Too strict."});
            admin.post(&format!("{PERK}/rollback"), &body).header("idempotency-key", &format!("r{to}")).await
        };
        let before = life(&app).await.len();
        let made = rollback(1).await;
        assert_eq!(made.header("location"), "/v1/perks/sfo-lounge/versions/4");
        let made = made.is(201);
        assert_eq!((&made["version"], &made["status"]), (&json!(4), &json!("published")));
        assert_eq!(made["rule_hash"], first["rule_hash"]);
        assert_eq!(rollback(1).await.is(201), made, "a retry makes no other");
        assert_eq!(kinds(&app, before).await, ["rule.drafted", "rule.published", "rule.rolled_back"]);
        let events = life(&app).await;
        assert_eq!(fact(&events[before + 2], "change_note"), Some("Too strict."));
        let granted = check(&kiosk).await.is(200);
        assert_eq!((&granted["decision"], &granted["rule_version"]), (&json!("granted"), &json!(4)));
        for (to, code) in [(3, "wrong_status"), (4, "wrong_status")] {
            rollback(to).await.problem(409, code);
        }
        for nowhere in [0, -1, 9] {
            rollback(nowhere).await.problem(404, "not_found");
        }
        assert_eq!(admin.post(&format!("{PERK}/rollback"), &json!({})).await.spot(422, "invalid_request").0, "/to");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_whose_rule_cant_work_any_more_is_not_gone_back_to() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        admin.post("/v1/sources", &json!({"name": "kred", "min": 0, "max": 1000})).await.is(201);
        let of = |source: &str| json!({"rule": {"at_least": 40, "score": source}, "publish": true});
        let mut first = of("kred");
        first["perk"] = json!("sfo-lounge");
        first["name"] = json!("SFO");
        admin.post("/v1/perks", &first).await.is(201);
        admin.post(&format!("{PERK}/versions"), &of("klout")).await.is(201);
        let mut draft = of("kred");
        draft["publish"] = json!(false);
        admin.post(&format!("{PERK}/versions"), &draft).await.is(201);
        let gone =
            app.world.gateway.database.write(|conn| {
                conn.batch_execute("DELETE FROM sources WHERE name = 'kred'").map_err(DatabaseError::from)
            });
        gone.await.unwrap();
        let before = life(&app).await.len();
        let refused = admin.post(&format!("{PERK}/rollback"), &json!({"to": 1})).await;
        assert_eq!(refused.spot(422, "invalid_request"), ("/to".to_owned(), "unknown_source".to_owned()));
        assert!(refused.json()["detail"].as_str().unwrap().contains("`kred`"), "{}", refused.text);
        // Nor is a draft published that can't work by now.
        let refused = admin.post(&format!("{PERK}/versions/3/publish"), &json!({})).await;
        assert_eq!(
            refused.spot(422, "invalid_request"),
            ("/rule/score/source".to_owned(), "unknown_source".to_owned())
        );
        assert_eq!(kinds(&app, before).await, [""; 0], "nothing half-done");
        assert_eq!(admin.get(PERK).await.is(200)["latest_version"], 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_perk_is_named_anew_and_says_what_it_is_for() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let new = |purpose: &str| json!({"perk": "sfo-lounge", "name": "SFO", "purpose": purpose, "rule": {"at_least": 40, "score": "klout"}});
        for refused in ["employment", "credit", "insurance", "housing", "essential_service"] {
            let reply = admin.post("/v1/perks", &new(refused)).await;
            assert_eq!(reply.spot(422, "invalid_request"), ("/purpose".to_owned(), "purpose_refused".to_owned()));
            assert!(reply.json()["detail"].as_str().unwrap().contains("must not decide"), "{}", reply.text);
        }
        let unknown = admin.post("/v1/perks", &new("fun")).await;
        assert_eq!(unknown.spot(422, "invalid_request"), ("/purpose".to_owned(), "unknown_purpose".to_owned()));
        admin.get(PERK).await.problem(404, "not_found");
        admin.post("/v1/perks", &new("lounge")).await.is(201);
        assert_eq!(admin.get(PERK).await.is(200)["purpose"], "lounge");
        let before = life(&app).await.len();
        let changed = change(&admin, &json!({"name": " San Francisco ", "purpose": "event"})).await.is(200);
        assert_eq!((&changed["name"], &changed["purpose"]), (&json!("San Francisco"), &json!("event")));
        assert_eq!(change(&admin, &json!({"purpose": "event"})).await.is(200), changed, "nothing new");
        assert_eq!(change(&admin, &json!({})).await.spot(422, "invalid_request").1, "missing_field");
        assert_eq!(
            change(&admin, &json!({"purpose": "credit"})).await.spot(422, "invalid_request").1,
            "purpose_refused"
        );
        assert_eq!(change(&admin, &json!({"name": ""})).await.spot(422, "invalid_request").0, "/name");
        assert_eq!(kinds(&app, before).await, ["perk.renamed", "perk.repurposed"]);
        let events = life(&app).await;
        assert_eq!(fact(&events[0], "purpose"), Some("lounge"));
    }
}
