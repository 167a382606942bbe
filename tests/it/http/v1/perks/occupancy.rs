//! `/v1/perks/{perk}/occupancy`: who is inside, its stream, and its corrections.

use std::time::Duration;

use diesel::RunQueryDsl as _;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use perkgate::access::{NewKey, Role};
use perkgate::audit::Request;
use perkgate::database::DatabaseError;
use perkgate::eligibility::occupancy::PlaceAsked;
use perkgate::foundation::entropy::Entropy;
use serde_json::{Value, json};

use crate::http::v1::OPEN_LOUNGE;
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::databases::TestDatabase;
use crate::support::event_stream::EventStream;
use crate::support::serve::Serve;
use crate::support::shape::assert_shape;
use crate::support::world::{CLI, World};

const PATH: &str = "/v1/perks/sfo-lounge/occupancy";
const CORRECTIONS: &str = "/v1/perks/sfo-lounge/occupancy/corrections";
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

const SEATS: &str = r#"{"time_zone":"Asia/Hong_Kong","tiers":[{"id":"t","name":"T"}],"token":{"ttl":"PT15M"},"limits":[
  {"id":"seats","scope":["perk"],"max":5,"cost":"party","window":{"concurrent":{"max_stay":"PT4H"}}}]}"#;
const ROOMS: &str = r#"{"tiers":[{"id":"t","name":"T"}],"limits":[
  {"id":"room","scope":["location"],"max":{"default":2,"by_location":{"SFO-A":4}},"window":{"concurrent":{"max_stay":"PT1H"}}}]}"#;

async fn come(kiosk: &Client, who: &str, party: u64) -> Reply {
    let context = json!({"party": party});
    kiosk
        .post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": format!("twitter:{who}"), "context": context}))
        .await
}

async fn enter(kiosk: &Client, came: &Reply) {
    let redeem = json!({"token": came.text_of("token"), "door": "A", "attempt": came.text_of("grant")});
    kiosk.post("/v1/tokens/redeem", &redeem).await.is(200);
}

async fn correct(admin: &Client, delta: i64) -> Reply {
    admin.post(CORRECTIONS, &json!({"delta": delta, "reason": "By the other door."})).await
}

async fn inside(client: &Client) -> (u64, u64) {
    let now = client.get(PATH).await.is(200);
    (now["inside"].as_u64().unwrap(), now["peak_today"].as_u64().unwrap())
}

#[track_caller]
fn findings(world: &World) -> Vec<String> {
    let report = perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_and_corrections_are_counted_and_checks_count_with_them() {
    for app in TestApp::all().await {
        app.lounge(SEATS, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let two = come(&kiosk, "ada", 2).await;
        enter(&kiosk, &two).await;
        come(&kiosk, "bob", 1).await.is(200);
        assert_shape!(admin.get(PATH).await, @r#"
        200
        {
          "perk":"sfo-lounge",
          "location":null,
          "limit":"seats",
          "inside":3,
          "capacity":5,
          "free":2,
          "expected_releases":[{"by":"2012-05-08T19:30:00Z","count":1},{"by":"2012-05-08T23:15:00Z","count":2}],
          "peak_today":3,
          "as_of":"2012-05-08T19:00:00Z"
        }
        "#);
        let body = json!({"delta": 2, "reason": "Two came with the crew."});
        let corrected = admin.post(CORRECTIONS, &body).header("idempotency-key", "crew").await;
        assert_shape!(corrected, @r#"
        201
        {
          "correction":"occ_…",
          "perk":"sfo-lounge",
          "location":null,
          "delta":2,
          "inside":5,
          "corrected_at":"2012-05-08T19:00:00Z",
          "lapses_at":"2012-05-08T23:00:00Z"
        }
        "#);
        let again = admin.post(CORRECTIONS, &body).header("idempotency-key", "crew").await;
        assert_eq!(again.is(201), corrected.is(201), "a retry corrects nothing more");
        let full = come(&kiosk, "carol", 1).await.is(200);
        assert_eq!((&full["decision"], &full["reasons"][0]["code"]), (&json!("denied"), &json!("limit_reached")));
        let refused = correct(&admin, -6).await;
        refused.problem(409, "too_few_inside");
        assert!(refused.text.contains("Only 5 are inside"), "{}", refused.text);
        // Three left unseen: of those who are in, and not of Bob, who may still come.
        let fewer = correct(&admin, -3).await.is(201);
        assert_eq!((&fewer["inside"], &fewer["lapses_at"]), (&json!(2), &json!("2012-05-08T23:00:00Z")));
        assert_eq!(inside(&admin).await, (2, 5));
        assert_eq!(come(&kiosk, "carol", 3).await.is(200)["decision"], "granted");
        assert_eq!(inside(&admin).await, (5, 5));
        assert_eq!(findings(&app.world), [""; 0]);

        // Another process finds the same in the ledger.
        let replica = app.world.replica().await;
        let asked = PlaceAsked { perk: "sfo-lounge".parse().unwrap(), location: None, own: None };
        let found = replica.floor.occupancy(&app.cathay, &asked).await.unwrap();
        assert_eq!((found.inside, found.peak_today), (5, 5));
        // Bob and Carol never came; what was taken off lapses with those whom it was taken off from.
        app.world.pass(15 * 60 + 31);
        assert_eq!(inside(&admin).await, (1, 5));
        // Midnight in Hong Kong was at 16:00; the next one finds nobody.
        app.world.pass(4 * 3600);
        assert_eq!(inside(&admin).await, (0, 5));
        app.world.pass(20 * 3600);
        assert_eq!(inside(&admin).await, (0, 0));
        let run = admin.post("/v1/perks/sfo-lounge/backtest", &json!({"from": "2012-05-08T00:00:00Z"})).await.is(200);
        assert_eq!(
            (&run["reproduction"]["checks"], &run["reproduction"]["mismatches"]),
            (&json!(4), &json!(0)),
            "{run}"
        );
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_at_midnight_counts_for_the_new_day() {
    for app in TestApp::all().await {
        app.lounge(SEATS, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        // Half past three, half an hour before midnight there.
        app.world.pass(20 * 3600 + 1800);
        let stayed = come(&kiosk, "ada", 2).await;
        enter(&kiosk, &stayed).await;
        let left = come(&kiosk, "bob", 2).await;
        enter(&kiosk, &left).await;
        correct(&admin, 1).await.is(201);
        let gone = come(&kiosk, "carol", 1).await.is(200);
        assert_eq!(gone["decision"], "denied");
        correct(&admin, -1).await.is(201);
        app.world.pass(3600);
        assert_eq!(inside(&admin).await, (4, 4), "of yesterday's peak nothing is said");
        kiosk.post(&format!("/v1/grants/{}/release", left.text_of("grant")), &json!({})).await.is(200);
        assert_eq!(inside(&admin).await, (2, 4));
        let replica = app.world.replica().await;
        let asked = PlaceAsked { perk: "sfo-lounge".parse().unwrap(), location: None, own: None };
        assert_eq!(replica.floor.occupancy(&app.cathay, &asked).await.unwrap().peak_today, 4, "from the ledger");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_who_had_lapsed_before_midnight_are_none_of_the_new_days() {
    for app in TestApp::all().await {
        app.lounge(SEATS, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        // Nine hours before midnight there, for four hours at most.
        app.world.pass(12 * 3600);
        let straggler = come(&kiosk, "ada", 3).await;
        enter(&kiosk, &straggler).await;
        app.world.pass(6 * 3600);
        // Another comes three hours before it, and leaves after it, as the straggler does.
        let stayed = come(&kiosk, "bob", 2).await;
        enter(&kiosk, &stayed).await;
        app.world.pass(3 * 3600 + 60);
        for who in [&straggler, &stayed] {
            kiosk.post(&format!("/v1/grants/{}/release", who.text_of("grant")), &json!({})).await.is(200);
        }
        assert_eq!(inside(&admin).await, (0, 2));
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_that_is_tampered_with_is_found() {
    for set in [
        "UPDATE limit_uses SET cost = cost + 1 WHERE grant_id LIKE 'occ_%'",
        "UPDATE limit_uses SET counts_at = counts_at + 1 WHERE grant_id LIKE 'occ_%'",
        "DELETE FROM limit_uses WHERE grant_id LIKE 'occ_%'",
        "UPDATE limit_counters SET used = used + 1",
    ] {
        for app in TestApp::all().await {
            app.lounge(SEATS, "47.25").await;
            let admin = app.admin(&app.cathay).await;
            correct(&admin, 3).await.is(201);
            correct(&admin, -1).await.is(201);
            assert_eq!(findings(&app.world), [""; 0]);
            let write = app.world.gateway.database.write(move |conn| {
                perkgate::on_either!(conn, |c| diesel::sql_query(set).execute(c)).map_err(DatabaseError::from)
            });
            write.await.unwrap();
            assert!(!findings(&app.world).is_empty(), "{set}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_location_is_counted_by_itself_and_what_nobody_counts_is_said() {
    for app in TestApp::all().await {
        app.lounge(ROOMS, "47.25").await;
        let key = NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "test");
        let here = app.client(NewKey { location: Some("SFO-A".into()), ..key.clone() }).await;
        app.client(NewKey { location: Some("SFO-B".into()), ..key }).await;
        let admin = app.admin(&app.cathay).await;
        come(&here, "ada", 1).await.is(200);
        for path in [format!("{PATH}?location=SFO-C"), format!("{PATH}/stream?location=SFO-C")] {
            let unknown = admin.get(&path).await;
            unknown.problem(422, "invalid_request");
            assert!(unknown.text.contains("They name SFO-A, SFO-B"), "{}", unknown.text);
        }
        let body = json!({"delta": 1, "reason": "x", "location": "Hongkong"});
        assert_eq!(admin.post(CORRECTIONS, &body).await.spot(422, "invalid_request").1, "unknown_location");
        let own = admin.get(&format!("{PATH}?location=SFO-A")).await.is(200);
        assert_eq!([&own["location"], &own["inside"], &own["capacity"]], [&json!("SFO-A"), &json!(1), &json!(4)]);
        let other = admin.get(&format!("{PATH}?location=SFO-B")).await.is(200);
        assert_eq!([&other["location"], &other["inside"], &other["capacity"]], [&json!("SFO-B"), &json!(0), &json!(2)]);
        let body = json!({"delta": 1, "reason": "x", "location": "SFO-B"});
        assert_eq!(admin.post(CORRECTIONS, &body).await.is(201)["inside"], 1);
        assert_eq!(admin.get(&format!("{PATH}?location=SFO-A")).await.is(200)["inside"], 1);
        let unnamed = admin.get(PATH).await;
        unnamed.problem(409, "no_occupancy");
        assert!(unnamed.text.contains("name one"), "{}", unnamed.text);
        app.world.perk(&app.cathay, "open", OPEN_LOUNGE).await;
        app.world.perk(&app.cathay, "seats", SEATS).await;
        let long = admin.get(&format!("{PATH}?location={}", "x".repeat(3000))).await;
        long.problem(422, "invalid_request");
        assert_eq!(admin.get(&format!("{PATH}?location=SFO-A%20")).await.is(200)["inside"], 1, "as keys name it");
        admin.get("/v1/perks/open/occupancy").await.problem(409, "no_occupancy");
        admin.get("/v1/perks/open/occupancy/stream").await.problem(409, "no_occupancy");
        admin.get("/v1/perks/seats/occupancy?location=SFO-A").await.problem(409, "no_occupancy");
        admin.get("/v1/perks/nothing/occupancy").await.problem(404, "not_found");
        for (body, pointer, code) in [
            (json!({"delta": 0, "reason": "x"}), "/delta", "invalid_value"),
            (json!({"delta": 1001, "reason": "x"}), "/delta", "invalid_value"),
            (json!({"delta": -1001, "reason": "x"}), "/delta", "invalid_value"),
            (json!({"delta": i64::MIN, "reason": "x"}), "/delta", "invalid_value"),
            (json!({"delta": 1.5, "reason": "x"}), "/delta", "wrong_type"),
            (json!({"reason": "x"}), "/delta", "missing_field"),
            (json!({"delta": 1}), "/reason", "missing_field"),
            (json!({"delta": 1, "reason": ""}), "/reason", "invalid_value"),
            (json!({"delta": 1, "reason": "x".repeat(501)}), "/reason", "invalid_value"),
            (json!({"delta": 1, "reason": "x", "location": "x".repeat(3000)}), "/location", "invalid_value"),
            (json!({"delta": 1, "reason": "x", "location": "A\u{200b}"}), "/location", "invalid_value"),
            (json!({"delta": 1, "reason": "x", "location": ""}), "/location", "invalid_value"),
        ] {
            let spot = admin.post("/v1/perks/seats/occupancy/corrections", &body).await.spot(422, "invalid_request");
            assert_eq!(spot, (pointer.to_owned(), code.to_owned()), "{body}");
        }
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_location_whose_last_key_works_no_longer_is_counted_still() {
    for app in TestApp::all().await {
        app.lounge(ROOMS, "47.25").await;
        let admin = app.admin(&app.cathay).await;
        let made = async |location: &str, expires_at: Value| {
            let body = json!({"role": "kiosk", "label": "x", "location": location, "expires_at": expires_at});
            let made = admin.post("/v1/keys", &body).await;
            let bearer = format!("Bearer {}", made.text_of("key"));
            (made.text_of("id"), app.bearing(Some(bearer)))
        };
        let (revoked, first) = made("SFO-A", Value::Null).await;
        let (_, second) = made("SFO-B", json!("2012-05-08T19:10:00Z")).await;
        for kiosk in [&first, &second] {
            assert_eq!(come(kiosk, "ada", 1).await.is(200)["decision"], "granted");
        }
        admin.delete(&format!("/v1/keys/{revoked}")).await;
        app.world.pass(10 * 60);
        for (kiosk, location) in [(&first, "SFO-A"), (&second, "SFO-B")] {
            assert_eq!(come(kiosk, "bob", 1).await.status, 401, "{location}");
            let path = format!("{PATH}?location={location}");
            assert_eq!(admin.get(&path).await.is(200)["inside"], 1, "{location}");
            let stream = format!("http://{}{PATH}/stream?location={location}", app.address);
            assert_eq!(Stream::at(stream, admin.secret(), None).await.event().await.1, 1, "{location}");
            let body = json!({"delta": -1, "reason": "She left.", "location": location});
            assert_eq!(admin.post(CORRECTIONS, &body).await.is(201)["inside"], 0, "{location}");
        }
        let close = json!({"location": "SFO-A", "until": "2012-05-08T21:00:00Z"});
        let closed = admin.post("/v1/perks/sfo-lounge/closures", &close).await;
        assert_eq!(closed.spot(422, "invalid_request").1, "unknown_location", "a closure would concern nobody");
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

/// The rooms, and the house as a whole, counted for two hours more; and all houses together.
const HOUSE: &str = r#"{"tiers":[{"id":"t","name":"T"}],"token":{"ttl":"PT15M"},"limits":[
  {"id":"room","scope":["location"],"max":4,"window":{"concurrent":{"max_stay":"PT1H"}}},
  {"id":"seats","scope":["perk"],"max":6,"window":{"concurrent":{"max_stay":"PT3H"}}},
  {"id":"all","scope":["merchant"],"max":9,"window":{"concurrent":{"max_stay":"PT3H"}}}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_counts_in_each_limit_of_the_place() {
    for app in TestApp::all().await {
        app.lounge(HOUSE, "47.25").await;
        app.world.perk(&app.cathay, "bar", HOUSE).await;
        let key = NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "test");
        let here = app.client(NewKey { location: Some("SFO-A".into()), ..key }).await;
        let admin = app.admin(&app.cathay).await;
        for who in ["ada", "bob"] {
            let came = come(&here, who, 1).await;
            assert_eq!(came.is(200)["decision"], "granted");
            enter(&here, &came).await;
        }
        let at_bar = here.post("/v1/checks", &json!({"perk": "bar", "subject": "twitter:cy"})).await;
        assert_eq!(at_bar.is(200)["limits"][2]["remaining"], 6, "all houses together");
        let counts = async || {
            let of = async |path: String| admin.get(&path).await.is(200)["inside"].as_u64().unwrap();
            [of(format!("{PATH}?location=SFO-A")).await, of(PATH.to_owned()).await]
        };
        let correct = async |delta: i64, location: Option<&str>| {
            let body = json!({"delta": delta, "reason": "By the other door.", "location": location});
            admin.post(CORRECTIONS, &body).await
        };
        let remaining = async || {
            let asked = json!({"perk": "sfo-lounge", "subject": "twitter:dee", "dry_run": true});
            let limits = here.post("/v1/checks", &asked).await.is(200)["limits"].clone();
            limits.as_array().unwrap().iter().map(|it| it["remaining"].as_u64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!((counts().await, remaining().await), ([2, 2], vec![1, 3, 5]));
        assert_eq!(correct(1, Some("SFO-A")).await.is(201)["inside"], 3);
        assert_eq!((counts().await, remaining().await), ([3, 3], vec![0, 2, 4]));
        assert_eq!(correct(-2, Some("SFO-A")).await.is(201)["inside"], 1);
        assert_eq!((counts().await, remaining().await), ([1, 1], vec![2, 4, 6]));
        // Of the house as a whole nobody knows in which room.
        assert_eq!(correct(2, None).await.is(201)["inside"], 3);
        assert_eq!((counts().await, remaining().await), ([1, 3], vec![2, 2, 4]));
        assert_eq!(findings(&app.world), [""; 0]);
        // What is counted less takes off less: the room has lapsed, and the house has not.
        app.world.pass(3600);
        assert_eq!(counts().await[0], 0);
        correct(1, Some("SFO-A")).await.is(201);
        let before = counts().await[1];
        assert_eq!(correct(-1, Some("SFO-A")).await.is(201)["inside"], 0);
        assert_eq!(counts().await, [0, before - 1]);
        correct(-1, Some("SFO-A")).await.problem(409, "too_few_inside");
        let events = app.auditor(&app.cathay).await.get("/v1/audit/events?kind=occupancy.corrected").await.is(200);
        let also = events["events"][2]["facts"]["also"].as_array().map(Vec::len);
        assert_eq!(also, Some(1), "{events}");
        assert_eq!(findings(&app.world), [""; 0]);
        for set in [
            "UPDATE limit_uses SET cost = cost + 1 WHERE grant_id LIKE 'occ_%' AND limit_id = 'seats'",
            "UPDATE limit_uses SET cost = cost - 1 WHERE grant_id LIKE 'occ_%' AND limit_id = 'seats'",
        ] {
            let was = findings(&app.world).is_empty();
            let write = app.world.gateway.database.write(move |conn| {
                perkgate::on_either!(conn, |c| diesel::sql_query(set).execute(c)).map_err(DatabaseError::from)
            });
            write.await.unwrap();
            assert_ne!(findings(&app.world).is_empty(), was, "{set}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_counts_people_and_no_tables() {
    let tables = SEATS.replace(
        r#""limits":["#,
        r#""limits":[{"id":"tables","scope":["merchant"],"max":2,"cost":1,"window":{"concurrent":{"max_stay":"PT4H"}}},"#,
    );
    for app in TestApp::all().await {
        app.lounge(&tables, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let remaining = async || {
            let asked = json!({"perk": "sfo-lounge", "subject": "twitter:dee", "dry_run": true});
            let limits = kiosk.post("/v1/checks", &asked).await.is(200)["limits"].clone();
            limits.as_array().unwrap().iter().map(|it| it["remaining"].as_u64().unwrap()).collect::<Vec<_>>()
        };
        enter(&kiosk, &come(&kiosk, "ada", 4).await).await;
        assert_eq!(remaining().await, [0, 0]);
        assert_eq!(correct(&admin, -3).await.is(201)["inside"], 1);
        assert_eq!(remaining().await, [0, 3]);
        assert_eq!(correct(&admin, 2).await.is(201)["inside"], 3);
        assert_eq!(remaining().await, [0, 1]);
        assert_eq!(come(&kiosk, "bob", 2).await.is(200)["decision"], "granted");
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

const ONE: &str = r#"{"tiers":[{"id":"t","name":"T"}],"token":{"ttl":"PT15M"},"limits":[
  {"id":"seats","scope":["perk"],"max":3,"cost":"party","window":{"concurrent":{"max_stay":"PT4H"}}}]}"#;

/// Ways in which those whom a correction took off are accounted for afterwards.
#[derive(Debug, Clone, Copy)]
enum End {
    Released,
    Voided,
    Undone,
    Fewer,
    ComesIn,
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_were_taken_off_are_not_taken_off_again_when_their_end_is_heard_of() {
    for end in [End::Released, End::Voided, End::Undone, End::Fewer, End::ComesIn] {
        for app in TestApp::all().await {
            app.lounge(ONE, "47.25").await;
            let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
            let ada = come(&kiosk, "ada", 3).await;
            let grant = ada.text_of("grant");
            if matches!(end, End::Released) {
                enter(&kiosk, &ada).await;
            }
            assert_eq!(correct(&admin, -2).await.is(201)["inside"], 1);
            assert_eq!(correct(&admin, -1).await.is(201)["inside"], 0);
            match end {
                End::Released => drop(kiosk.post(&format!("/v1/grants/{grant}/release"), &json!({})).await.is(200)),
                End::Voided => {
                    admin.post(&format!("/v1/grants/{grant}/void"), &json!({"note": "x"})).await.is(200);
                }
                End::Undone => {
                    kiosk.post(&format!("/v1/grants/{grant}/undo"), &json!({"reason": "left"})).await.is(200);
                    app.world.pass(15 * 60 + 60);
                    app.world.gateway.ledger.free_undone().await.unwrap();
                }
                End::Fewer => {
                    let fewer = json!({"party": {"adults": 1}, "reason": "Two left."});
                    let ask = kiosk.ask(reqwest::Method::PATCH, &format!("/v1/grants/{grant}")).header("if-match", "*");
                    ask.json(fewer.to_string()).await.is(200);
                }
                End::ComesIn => enter(&kiosk, &ada).await,
            }
            let stands = if matches!(end, End::ComesIn) { 3 } else { 0 };
            assert_eq!(inside(&admin).await.0, stands, "{end:?}");
            assert_eq!(findings(&app.world), [""; 0], "{end:?}");
            let full = if stands == 0 { "granted" } else { "denied" };
            assert_eq!(come(&kiosk, "bob", 3).await.is(200)["decision"], full, "{end:?}");
            assert_eq!(come(&kiosk, "carol", 1).await.is(200)["decision"], "denied", "{end:?}");
            assert_eq!(inside(&admin).await.0, 3, "{end:?}");
            assert_eq!(findings(&app.world), [""; 0], "{end:?}");
            let run = admin.post("/v1/perks/sfo-lounge/backtest", &json!({"from": "2012-05-08T00:00:00Z"})).await;
            assert_eq!(run.is(200)["reproduction"]["mismatches"], 0, "{end:?}: {}", run.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_below_zero_lets_nobody_in() {
    for app in TestApp::all().await {
        let day = r#"{"tiers":[{"id":"t","name":"T"}],"limits":[{"id":"day","scope":["perk"],"max":1,"window":{"calendar":"day"}}]}"#;
        app.lounge(day, "47.25").await;
        let kiosk = app.kiosk().await;
        come(&kiosk, "ada", 1).await.is(200);
        let write = app.world.gateway.database.write(move |conn| {
            let set = "UPDATE limit_counters SET used = -5";
            perkgate::on_either!(conn, |c| diesel::sql_query(set).execute(c)).map_err(DatabaseError::from)
        });
        write.await.unwrap();
        assert_ne!(come(&kiosk, "bob", 1).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_of_guests_whose_checks_are_pruned_are_no_findings() {
    for app in TestApp::all().await {
        app.lounge(SEATS, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        for who in ["ada", "bob", "carol"] {
            enter(&kiosk, &come(&kiosk, who, 1).await).await;
        }
        assert_eq!(correct(&admin, -3).await.is(201)["inside"], 0);
        let before = app.world.now().checked_add(jiff::SignedDuration::from_hours(1)).unwrap();
        app.world.pass(400 * 86_400);
        let ledger = &app.world.gateway.ledger;
        let plan = ledger.plan_pruning(&app.cathay.id, before, |_, _| ()).await.unwrap();
        assert!(ledger.prune(&plan, CLI, |_, _| ()).await.unwrap() >= 3);
        assert_eq!(findings(&app.world), [""; 0]);
        let asked = PlaceAsked { perk: "sfo-lounge".parse().unwrap(), location: None, own: None };
        let floor = &app.world.gateway.floor;
        for delta in [2, -1] {
            floor.correct(&app.cathay, &asked, CLI, (delta, "Counted.".into())).await.unwrap();
        }
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_of_another_perk_are_not_this_ones() {
    let shared = SEATS.replace(
        "\"limits\":[",
        "\"limits\":[{\"id\":\"house\",\"scope\":[\"merchant\"],\"max\":9,\"window\":{\"calendar\":\"day\"}},",
    );
    for app in TestApp::all().await {
        app.lounge(&shared, "47.25").await;
        app.world.perk(&app.cathay, "other", &shared).await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let body = json!({"delta": 5, "reason": "A crew."});
        admin.post("/v1/perks/other/occupancy/corrections", &body).await.is(201);
        for who in ["ada", "bob"] {
            assert_eq!(come(&kiosk, who, 1).await.is(200)["decision"], "granted");
        }
        let run = admin.post("/v1/perks/sfo-lounge/backtest", &json!({"from": "2012-05-08T00:00:00Z"})).await;
        assert_eq!(run.is(200)["reproduction"]["mismatches"], 0, "{}", run.text);
    }
}

/// The stream of who is inside.
struct Stream(EventStream);

impl Stream {
    async fn open(app: &TestApp, admin: &Client, last: Option<&str>) -> Self {
        Self::at(format!("http://{}{PATH}/stream", app.address), admin.secret(), last).await
    }

    async fn at(url: String, secret: &str, last: Option<&str>) -> Self {
        let bearer = format!("Bearer {secret}");
        let last = last.map(|last| ("last-event-id", last));
        let headers: Vec<_> = [("authorization", bearer.as_str())].into_iter().chain(last).collect();
        Self(EventStream::open(&url, &headers).await)
    }

    async fn block(&mut self) -> Option<String> {
        self.0.block().await
    }

    /// The next event: its id, and how many are inside.
    async fn event(&mut self) -> (String, u64) {
        loop {
            let block = self.block().await.expect("an event");
            let Some(rest) = block.strip_prefix("id: ") else { continue };
            let (id, rest) = rest.split_once("\nevent: occupancy\ndata: ").unwrap();
            let data: Value = serde_json::from_str(rest).unwrap();
            return (id.to_owned(), data["inside"].as_u64().unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_of_each_change_also_of_another_replica_and_once() {
    for app in TestApp::all().await {
        app.lounge(SEATS, "47.25").await;
        let admin = app.admin(&app.cathay).await;
        let (mut one, mut other) = (Stream::open(&app, &admin, None).await, Stream::open(&app, &admin, None).await);
        let first = one.event().await;
        assert_eq!((first.1, &other.event().await), (0, &first));
        correct(&admin, 3).await.is(201);
        let second = one.event().await;
        assert_eq!((second.1, &other.event().await), (3, &second));
        let replica = app.world.replica().await;
        let asked = PlaceAsked { perk: "sfo-lounge".parse().unwrap(), location: None, own: None };
        replica.floor.correct(&app.cathay, &asked, CLI, (-1, "Elsewhere.".into())).await.unwrap();
        let third = one.event().await;
        assert_eq!((third.1, &other.event().await), (2, &third));
        // Whoever has seen the last is told again when it changes; whoever has not, at once.
        let mut seen = Stream::open(&app, &admin, Some(&third.0)).await;
        let mut behind = Stream::open(&app, &admin, Some(&second.0)).await;
        assert_eq!(behind.event().await, third);
        assert_eq!(seen.block().await.unwrap(), "retry: 2000\n: perkgate");
        correct(&admin, 1).await.is(201);
        assert_eq!((seen.event().await.1, behind.event().await.1), (3, 3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_steps_back_freezes_no_stream() {
    for app in TestApp::all().await {
        app.lounge(SEATS, "47.25").await;
        let admin = app.admin(&app.cathay).await;
        let mut stream = Stream::open(&app, &admin, None).await;
        assert_eq!(stream.event().await.1, 0);
        app.world.pass(-60);
        correct(&admin, 2).await.is(201);
        assert_eq!(stream.event().await.1, 2);
        // Who comes now sees what is known, and hears of what follows like the others.
        let mut late = Stream::open(&app, &admin, None).await;
        assert_eq!(late.event().await.1, 2);
        correct(&admin, -1).await.is(201);
        assert_eq!((stream.event().await.1, late.event().await.1), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_says_that_it_lives_and_ends_with_its_key() {
    // On both at once, as the first beat takes its time.
    let apps = TestApp::all().await;
    let watched = apps.iter().map(async |app| {
        app.lounge(SEATS, "47.25").await;
        let (admin, other) = (app.admin(&app.cathay).await, app.admin(&app.cathay).await);
        let made = admin.post("/v1/keys", &json!({"role": "desk", "label": "screen"})).await;
        let url = format!("http://{}{PATH}/stream", app.address);
        let mut stream = Stream::at(url, &made.text_of("key"), None).await;
        let mut lasting = Stream::open(app, &other, None).await;
        for stream in [&mut stream, &mut lasting] {
            assert_eq!(stream.event().await.1, 0);
            assert_eq!(stream.block().await.as_deref(), Some(": heartbeat"));
        }
        assert_eq!(admin.delete(&format!("/v1/keys/{}", made.text_of("id"))).await.status, 204);
        correct(&admin, 1).await.is(201);
        assert_eq!((stream.block().await, lasting.event().await.1), (None, 1), "those of other keys go on");
    });
    join_all(watched).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_where_the_perk_is_retired() {
    for app in TestApp::all().await {
        app.lounge(SEATS, "47.25").await;
        let admin = app.admin(&app.cathay).await;
        let mut stream = Stream::open(&app, &admin, None).await;
        assert_eq!(stream.event().await.1, 0);
        admin.post("/v1/perks/sfo-lounge/retire", &json!({"change_note": "It closes."})).await.is(200);
        assert_eq!(stream.block().await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_bounded_for_each_key_and_in_all_and_what_ends_makes_room() {
    for app in TestApp::all_with(&[("max_streams", "3"), ("max_streams_per_key", "2")]).await {
        app.lounge(SEATS, "47.25").await;
        let (admin, another) = (app.admin(&app.cathay).await, app.admin(&app.cathay).await);
        let first = Stream::open(&app, &admin, None).await;
        let _second = Stream::open(&app, &admin, None).await;
        let refused = admin.get(&format!("{PATH}/stream")).await;
        refused.problem(429, "too_many_streams");
        assert_eq!(refused.header("retry-after"), "15");
        let _third = Stream::open(&app, &another, None).await;
        another.get(&format!("{PATH}/stream")).await.problem(503, "unavailable");
        assert_eq!(inside(&another).await, (0, 0), "what is no stream goes on");
        drop(first);
        let deadline = std::time::Instant::now() + PATIENCE;
        // The server hears of it when it next writes, or the socket closes.
        loop {
            let url = format!("http://{}{PATH}/stream", app.address);
            let answer = Client::http().get(url).bearer_auth(another.secret()).send().await.unwrap();
            if answer.status() == 200 {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "the stream that ended makes no room");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_of_one_merchant_are_refused_in_words_and_others_find_room() {
    let bounds = [("max_streams", "40"), ("max_streams_per_merchant", "30"), ("rate_per_key", "0")];
    for app in TestApp::all_with(&bounds).await {
        app.lounge(SEATS, "47.25").await;
        app.world.perk(&app.american, "sfo-lounge", SEATS).await;
        let mut admins = Vec::new();
        for _ in 0..10 {
            admins.push(app.admin(&app.cathay).await);
        }
        let (http, url) = (Client::http(), format!("http://{}{PATH}/stream", app.address));
        let open = async |client: &Client| http.get(&url).bearer_auth(client.secret()).send().await.unwrap();
        let mut asked = futures_util::stream::iter(0..1_000).map(|nth| open(&admins[nth % 10])).buffer_unordered(50);
        let (mut held, mut refused) = (Vec::new(), 0);
        while let Some(response) = asked.next().await {
            match response.status().as_u16() {
                200 => held.push(Stream(EventStream::of(response))),
                429 => {
                    assert_eq!(response.headers()["retry-after"], "15");
                    let problem: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
                    assert_eq!(problem["code"], "too_many_streams");
                    refused += 1;
                }
                status => panic!("{status}"),
            }
        }
        assert_eq!((held.len(), refused), (30, 970));
        // What is open goes on, others have their own, and what is no stream is answered.
        assert_eq!(open(&app.admin(&app.american).await).await.status(), 200);
        correct(&admins[0], 2).await.is(201);
        for stream in &mut held {
            while stream.event().await.1 != 2 {}
        }
        assert_eq!(inside(&admins[9]).await, (2, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_when_the_replica_is_to_stop() {
    for database in TestDatabase::migrated() {
        let world = World::live(database).await;
        let merchant = world.merchant("cathay").await;
        world.perk(&merchant, "sfo-lounge", SEATS).await;
        let key = NewKey::of(Role::Admin, Some(merchant.id.clone()), "floor");
        let (_, secret) = world.gateway.directory.create_key(key, CLI).await.unwrap();
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_perkgate"));
        let more = [("shutdown_timeout", "20s"), ("drain_delay", "0s")];
        let serve = Serve::start(program, &world.database, &more);
        let mut stream = Stream::at(serve.url(&format!("{PATH}/stream")), secret.expose(), None).await;
        assert_eq!(stream.event().await.1, 0);
        let began = std::time::Instant::now();
        let ended = tokio::task::spawn_blocking(move || serve.stop("TERM"));
        assert_eq!(stream.block().await, None);
        assert!(ended.await.unwrap().success());
        assert!(began.elapsed() < Duration::from_secs(15), "nothing waited for the stream");
    }
}
