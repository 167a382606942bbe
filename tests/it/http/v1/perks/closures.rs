//! `/v1/perks/{perk}/closures`: a place is closed for a while, its guests are told, and it opens by itself.

use std::time::{Duration, Instant};

use diesel::RunQueryDsl as _;
use perkgate::access::{NewKey, Role};
use perkgate::audit::Request;
use perkgate::database::DatabaseError;
use perkgate::foundation::entropy::Entropy;
use perkgate::perks::closures::NewClosure;
use serde_json::{Value, json};

use crate::http::v1::OPEN_LOUNGE;
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::shape::assert_shape;
use crate::support::world::{CLI, World, question};

const PATH: &str = "/v1/perks/sfo-lounge/closures";

/// Granted at noon and in the evening, and not in between.
const HOURS: &str = r#"{"tiers":[{"id":"t","name":"T"}],"schedule":{"open":[
  {"days":["tue"],"from":"18:00","to":"20:00"},{"days":["tue"],"from":"21:00","to":"23:00"}]}}"#;

async fn ask(kiosk: &Client) -> Reply {
    kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await
}

async fn kiosk_at(app: &TestApp, location: &str) -> Client {
    let key = NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "test");
    app.client(NewKey { location: Some(location.to_owned()), ..key }).await
}

fn decision(reply: &Reply) -> Value {
    reply.is(200)["decision"].clone()
}

#[track_caller]
fn findings(world: &World) -> Vec<String> {
    let report = perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_perk_refuses_with_its_own_words_and_opens_by_itself() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let granted = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"}));
        assert_eq!(decision(&granted.header("idempotency-key", "before").await), "granted");
        let message = json!({"en": "A pipe has burst.", "zh-Hant": "水管爆裂。"});
        let body = json!({"location": null, "until": "2012-05-08T21:00:00Z", "message": message});
        assert_shape!(admin.post(PATH, &body).await, @r#"
        201
        {
          "closure":"clo_…",
          "perk":"sfo-lounge",
          "location":null,
          "until":"2012-05-08T21:00:00Z",
          "message":{"en":"A pipe has burst.","zh-Hant":"水管爆裂。"},
          "closed_at":"2012-05-08T19:00:00Z",
          "closed_by":"key_…",
          "warnings":[]
        }
        "#);
        let refused = ask(&kiosk).await;
        let reason = &refused.is(200)["reasons"][0];
        assert_eq!((decision(&refused), &reason["code"]), (json!("denied"), &json!("place_closed")));
        assert_eq!((&reason["guest_message"], &reason["guest_language"]), (&json!("A pipe has burst."), &json!("en")));
        assert_eq!(refused.is(200)["next_eligible_at"], "2012-05-08T21:00:00Z");
        let chinese =
            kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada", "dry_run": true}));
        let chinese = chinese.header("accept-language", "zh-HK").await;
        assert_eq!(chinese.is(200)["reasons"][0]["guest_message"], "水管爆裂。");
        let read = kiosk.get(&format!("/v1/checks/{}", refused.text_of("check"))).await.is(200);
        assert_eq!(
            (&read["reasons"][0]["code"], &read["next_eligible_at"]),
            (&json!("place_closed"), &json!("2012-05-08T21:00:00Z"))
        );
        // What was granted before is answered as before.
        let again = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"}));
        assert_eq!(decision(&again.header("idempotency-key", "before").await), "granted");
        assert_eq!(findings(&app.world), [""; 0]);
        app.world.pass(2 * 3600 - 1);
        assert_eq!(decision(&ask(&kiosk).await), "denied");
        app.world.pass(1);
        assert_eq!(decision(&ask(&kiosk).await), "granted");
        assert_eq!(admin.get(PATH).await.is(200)["closures"], json!([]));
        // A backtest goes on, and passes over what no rule decided.
        app.world.pass(60);
        let run = json!({"from": "2012-05-08T00:00:00Z"});
        let run = admin.post("/v1/perks/sfo-lounge/backtest", &run).await.is(200);
        assert_eq!(
            (&run["not_replayed"]["paused"], &run["reproduction"]["mismatches"]),
            (&json!(2), &json!(0)),
            "{run}"
        );
        let report = app.auditor(&app.cathay).await.get("/v1/reports/grants").await.is(200);
        assert_eq!(report["totals"]["refused_place_closed"], 2);
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_location_concerns_its_own_keys_and_a_second_closure_replaces_the_first() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let admin = app.admin(&app.cathay).await;
        let [here, there] = [kiosk_at(&app, "SFO-A").await, kiosk_at(&app, "SFO-B").await];
        let close = async |location: Value, until: &str| {
            admin.post(PATH, &json!({"location": location, "until": until})).await.is(201)
        };
        // Of keys without a location there is none, so nobody is warned of them.
        assert_eq!(close(json!("SFO-B"), "2012-05-08T19:30:00Z").await["warnings"], json!([]));
        let opened = admin.get(PATH).await.is(200)["closures"][0]["closure"].as_str().unwrap().to_owned();
        assert_eq!(admin.delete(&format!("{PATH}/{opened}")).await.status, 204);
        let nowhere = app.kiosk().await;
        let first = close(json!("SFO-A"), "2012-05-08T20:00:00Z").await;
        assert_eq!(first["warnings"][0]["code"], "keys_without_location");
        assert!(first["warnings"][0]["detail"].as_str().unwrap().ends_with(": `test`."), "{first}");
        // A trial says what every check there meets.
        let caveats = async |location: &str, at: &str| {
            let trial = json!({"subject": "twitter:ada", "location": location, "at": at});
            let tried = admin.post("/v1/perks/sfo-lounge/simulate", &trial).await.is(200);
            tried["warnings"].as_array().unwrap().iter().filter(|it| it["code"] == "place_closed").count()
        };
        assert_eq!(caveats("SFO-A", "2012-05-08T19:00:00Z").await, 1);
        assert_eq!(caveats("SFO-A", "2012-05-08T20:00:00Z").await, 0);
        assert_eq!(caveats("SFO-B", "2012-05-08T19:00:00Z").await, 0);
        assert_eq!(caveats("SFO-A", "2012-05-08T18:59:59Z").await, 0, "nobody had closed it then");
        let decisions =
            async || [decision(&ask(&here).await), decision(&ask(&there).await), decision(&ask(&nowhere).await)];
        assert_eq!(decisions().await, ["denied", "granted", "granted"]);
        let second = close(json!("SFO-A"), "2012-05-08T19:30:00Z").await;
        let all = close(Value::Null, "2012-05-08T19:10:00Z").await;
        let listed = admin.get(PATH).await.is(200);
        let ids: Vec<_> = listed["closures"].as_array().unwrap().iter().map(|it| it["closure"].clone()).collect();
        assert_eq!(ids, [all["closure"].clone(), second["closure"].clone()]);
        assert_eq!(decisions().await, ["denied", "denied", "denied"]);
        // The later of both opens the place.
        assert_eq!(ask(&here).await.is(200)["next_eligible_at"], "2012-05-08T19:30:00Z");
        assert_eq!(ask(&there).await.is(200)["next_eligible_at"], "2012-05-08T19:10:00Z");
        let path = |closure: &Value| format!("{PATH}/{}", closure["closure"].as_str().unwrap());
        admin.delete(&path(&first)).await.problem(404, "not_found");
        assert_eq!(admin.delete(&path(&all)).await.status, 204);
        admin.delete(&path(&all)).await.problem(404, "not_found");
        assert_eq!(decisions().await, ["denied", "granted", "granted"]);
        assert_eq!(findings(&app.world), [""; 0]);
        app.world.pass(1800);
        assert_eq!(decisions().await, ["granted", "granted", "granted"]);
        admin.delete(&path(&second)).await.problem(404, "not_found");
        assert_eq!(findings(&app.world), [""; 0]);
        for (set, expected) in [("until = until + 1", true), ("until = until - 1", false), ("location = 'B'", true)] {
            let set = format!("UPDATE closures SET {set}");
            let write = app.world.gateway.database.write(move |conn| {
                perkgate::on_either!(conn, |c| diesel::sql_query(set).execute(c)).map_err(DatabaseError::from)
            });
            write.await.unwrap();
            assert_eq!(!findings(&app.world).is_empty(), expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_waiting_is_enough_takes_the_closure_and_the_hours_together() {
    for app in TestApp::all().await {
        app.lounge(HOURS, "50").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        for (until, next) in [
            ("2012-05-08T19:30:00Z", "2012-05-08T19:30:00Z"),
            ("2012-05-08T20:30:00Z", "2012-05-08T21:00:00Z"),
            ("2012-05-08T21:30:00Z", "2012-05-08T21:30:00Z"),
            ("2012-05-08T23:00:00Z", "2012-05-15T18:00:00Z"),
        ] {
            admin.post(PATH, &json!({"until": until})).await.is(201);
            let refused = ask(&kiosk).await.is(200);
            assert_eq!(
                (&refused["reasons"][0]["code"], &refused["next_eligible_at"]),
                (&json!("place_closed"), &json!(next))
            );
        }
        // Beyond the two weeks that are looked at.
        admin.post(PATH, &json!({"until": "2012-06-08T00:00:00Z"})).await.is(201);
        let refused = ask(&kiosk).await.is(200);
        assert_eq!(refused["next_eligible_at"], Value::Null);
        assert_eq!(refused["reasons"][0]["next_eligible_at"], "2012-06-08T00:00:00Z");
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closure_that_can_not_be_is_pointed_at() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let admin = app.admin(&app.cathay).await;
        let before = app.footprint().await;
        let ahead = "2012-05-08T20:00:00Z";
        let thirteen: Value = (0..13)
            .map(|nth| (format!("x{}", (b'a' + nth) as char), json!("y")))
            .collect::<serde_json::Map<_, _>>()
            .into();
        for (body, pointer, code) in [
            (json!({"until": "2012-05-08T19:00:00Z"}), "/until", "invalid_value"),
            (json!({"until": "1999-01-01T00:00:00Z"}), "/until", "invalid_value"),
            (json!({"until": "2013-05-10T19:00:00Z"}), "/until", "invalid_value"),
            (json!({"until": "2012-05-08T20:00:00"}), "/until", "invalid_value"),
            (json!({"until": 7}), "/until", "wrong_type"),
            (json!({}), "/until", "missing_field"),
            (json!({"until": ahead, "location": ""}), "/location", "invalid_value"),
            (json!({"until": ahead, "location": "A\u{202E}"}), "/location", "invalid_value"),
            (json!({"until": ahead, "message": {}}), "/message", "empty"),
            (json!({"until": ahead, "message": {"en": ""}}), "/message/en", "empty"),
            (json!({"until": ahead, "message": {"en": "x".repeat(281)}}), "/message/en", "too_long"),
            (json!({"until": ahead, "message": thirteen}), "/message", "too_many"),
            (json!({"until": ahead, "from": ahead}), "/from", "unknown_field"),
        ] {
            let spot = admin.post(PATH, &body).await.spot(422, "invalid_request");
            assert_eq!(spot, (pointer.to_owned(), code.to_owned()), "{body}");
        }
        admin.post("/v1/perks/nothing/closures", &json!({"until": ahead})).await.problem(404, "not_found");
        app.admin(&app.american).await.post(PATH, &json!({"until": ahead})).await.problem(404, "not_found");
        admin.delete(&format!("{PATH}/clo_nonsense")).await.problem(404, "not_found");
        let mut after = app.footprint().await;
        // The keys of the two clients.
        after.events = before.events;
        after.checkpoints = before.checkpoints;
        after.log_entries = before.log_entries;
        assert_eq!(after, before);
        assert_eq!(admin.get(PATH).await.is(200)["closures"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_knows_within_its_polling_time() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        world.perk(&cathay, "lounge", OPEN_LOUNGE).await;
        world.score(&cathay, "twitter:ada", "60").await;
        let replica = world.replica().await;
        let stop = tokio_util::sync::CancellationToken::new();
        let following = tokio::spawn(replica.catalog.clone().follow(stop.clone()));
        let slug = "lounge".parse().unwrap();
        let ask = async || {
            let asked = question("lounge", "twitter:ada");
            let answer = Box::pin(replica.checker.check(&kiosk, &cathay, asked)).await.unwrap();
            answer.grant.is_some()
        };
        assert!(ask().await);
        let until = world.now() + jiff::SignedDuration::from_hours(1);
        let new = NewClosure { location: None, until, message: None };
        let closing = world.gateway.catalog.close_place(&cathay.id, CLI, &slug, new).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while ask().await {
            assert!(Instant::now() < deadline, "the replica never heard of it");
            tokio::task::yield_now().await;
        }
        world.gateway.catalog.open_place(&cathay.id, CLI, &slug, closing.closure.id).await.unwrap().unwrap();
        while !ask().await {
            assert!(Instant::now() < deadline, "the replica never heard of it");
            tokio::task::yield_now().await;
        }
        stop.cancel();
        following.await.unwrap();
        assert_eq!(findings(&world), [""; 0]);
    }
}
