//! Closures under trouble: retries, words of several places, names that no key has, and rows that can't be read.

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
use crate::support::world::{CLI, World, question};

const PATH: &str = "/v1/perks/sfo-lounge/closures";

const EVENING: &str = "2012-05-08T21:00:00Z";

async fn kiosk_at(app: &TestApp, location: &str) -> Client {
    let key = NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "test");
    app.client(NewKey { location: Some(location.to_owned()), ..key }).await
}

async fn ask(kiosk: &Client, key: &str) -> Reply {
    let question = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
    kiosk.post("/v1/checks", &question).header("idempotency-key", key).await
}

/// The words for the guest of a refusal.
fn words(reply: &Reply) -> String {
    reply.is(200)["reasons"][0]["guest_message"].as_str().unwrap().to_owned()
}

async fn run(world: &World, statement: String) {
    let write = world.gateway.database.write(move |conn| {
        perkgate::on_either!(conn, |c| diesel::sql_query(statement).execute(c)).map_err(DatabaseError::from)
    });
    write.await.unwrap();
}

#[track_caller]
fn findings(world: &World) -> Vec<String> {
    let report = perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_place_says_its_own_words_and_goes_on_saying_them() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let admin = app.admin(&app.cathay).await;
        let [first, second, third] =
            [kiosk_at(&app, "SFO-A").await, kiosk_at(&app, "SFO-B").await, kiosk_at(&app, "SFO-C").await];
        let close = async |location: Value, until: &str, words: Value| {
            admin.post(PATH, &json!({"location": location, "until": until, "message": words})).await.is(201)
        };
        let burst = close(json!("SFO-A"), EVENING, json!({"en": "A pipe has burst."})).await;
        close(json!("SFO-B"), EVENING, json!({"en": "A private event."})).await;
        close(json!("SFO-C"), EVENING, Value::Null).await;
        for (kiosk, expected) in
            [(&first, "A pipe has burst."), (&second, "A private event."), (&third, "We are closed at the moment.")]
        {
            assert_eq!(words(&ask(kiosk, "1").await), expected);
            let dry = json!({"perk": "sfo-lounge", "subject": "twitter:ada", "dry_run": true});
            assert_eq!(words(&kiosk.post("/v1/checks", &dry).await), expected);
        }
        // All of it until the same instant: the place's own words go before.
        close(Value::Null, EVENING, json!({"en": "A strike."})).await;
        assert_eq!(words(&ask(&first, "2").await), "A pipe has burst.");
        // Whatever becomes of a closure, an answer given again is the same.
        let refused = ask(&first, "1").await;
        close(json!("SFO-A"), EVENING, json!({"en": "Painters are in."})).await;
        assert_eq!(ask(&first, "1").await.text, refused.text);
        assert_eq!(words(&ask(&first, "3").await), "Painters are in.");
        let path = format!("{PATH}/{}", burst["closure"].as_str().unwrap());
        admin.delete(&path).await.problem(404, "not_found");
        for listed in admin.get(PATH).await.is(200)["closures"].as_array().unwrap() {
            assert_eq!(admin.delete(&format!("{PATH}/{}", listed["closure"].as_str().unwrap())).await.status, 204);
        }
        assert_eq!(ask(&first, "1").await.text, refused.text);
        let read = first.get(&format!("/v1/checks/{}", refused.text_of("check"))).await;
        assert_eq!(words(&read), "A pipe has burst.");
        assert_eq!(ask(&first, "4").await.is(200)["decision"], "granted");
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_replaces_nothing_that_was_closed_since() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let (admin, other) = (app.admin(&app.cathay).await, app.admin(&app.cathay).await);
        let until_eight = json!({"until": "2012-05-08T20:00:00Z"});
        let close = async || admin.post(PATH, &until_eight).header("idempotency-key", "eight").await;
        let first = close().await;
        other.post(PATH, &json!({"until": "2012-05-08T23:00:00Z"})).await.is(201);
        let again = close().await;
        assert_eq!((again.is(201), again.text), (first.is(201), first.text));
        let listed = admin.get(PATH).await.is(200);
        assert_eq!(listed["closures"][0]["until"], "2012-05-08T23:00:00Z");
        let events = app.auditor(&app.cathay).await.get("/v1/audit/events?kind=place.closed").await.is(200);
        assert_eq!(events["events"].as_array().unwrap().len(), 2);
        let other = admin.post(PATH, &json!({"until": "2012-05-08T22:00:00Z"}));
        other.header("idempotency-key", "eight").await.problem(422, "idempotency_key_reused");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_location_that_no_key_names_is_refused_with_those_that_keys_name() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let admin = app.admin(&app.cathay).await;
        let refused = async |location: &str| {
            let refused = admin.post(PATH, &json!({"location": location, "until": EVENING})).await;
            let spot = refused.spot(422, "invalid_request");
            assert_eq!(spot, ("/location".to_owned(), "unknown_location".to_owned()));
            refused.is(422)["errors"][0]["detail"].as_str().unwrap().to_owned()
        };
        assert!(refused("SFO-A").await.contains("leave it out for the whole perk"));
        kiosk_at(&app, "SFO-A").await;
        kiosk_at(&app, "Gate 12").await;
        admin.post(PATH, &json!({"location": "SFO-A", "until": EVENING})).await.is(201);
        let [near, far] = [refused("SFO-B").await, refused("Hongkong").await];
        assert!(near.contains("do you mean SFO-A?"), "{near}");
        for detail in [near, far] {
            assert!(
                detail.contains("They name Gate 12, SFO-A") || detail.contains("they name Gate 12, SFO-A"),
                "{detail}"
            );
        }
        // Another merchant's are none.
        let theirs = NewKey::of(Role::Kiosk, Some(app.american.id.clone()), "theirs");
        app.client(NewKey { location: Some("DFW-A".into()), ..theirs }).await;
        assert!(!refused("DFW-A").await.contains("DFW"));
        // Both faults are said at once.
        let both = json!({"location": "SFO-B", "until": "1999-01-01T00:00:00Z"});
        assert_eq!(admin.post(PATH, &both).await.problem(422, "invalid_request").len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closures_that_are_over_are_forgotten_and_a_thousand_are_enough() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let (world, admin) = (&app.world, app.admin(&app.cathay).await);
        for location in ["SFO-A", "SFO-B", "SFO-C", "SFO-D"] {
            kiosk_at(&app, location).await;
        }
        admin.post(PATH, &json!({"location": "SFO-A", "until": "2012-05-08T19:30:00Z"})).await.is(201);
        admin.post(PATH, &json!({"location": "SFO-B", "until": "2012-05-08T19:30:00Z"})).await.is(201);
        world.pass(1800);
        assert_eq!(findings(world), [""; 0], "they are over and stand in their rows");
        admin.post(PATH, &json!({"location": "SFO-C", "until": EVENING})).await.is(201);
        assert_eq!(findings(world), [""; 0], "they are over and forgotten");
        let many: Vec<String> = (0..999)
            .map(|nth| {
                format!("SELECT 'clo_{nth:032x}', merchant_id, perk_id, 'x{nth}', until, NULL, made_at, 'cli' FROM one")
            })
            .collect();
        let columns = "(id, merchant_id, perk_id, location, until, message, made_at, made_by)";
        for some in many.chunks(100) {
            let one = "WITH one AS (SELECT * FROM closures WHERE location = 'SFO-C')";
            run(world, format!("{one} INSERT INTO closures {columns} {}", some.join(" UNION ALL "))).await;
        }
        let spot = admin.post(PATH, &json!({"location": "SFO-D", "until": EVENING})).await.spot(422, "invalid_request");
        assert_eq!(spot, ("/location".to_owned(), "too_many".to_owned()));
        // One in the place of another is none more.
        admin.post(PATH, &json!({"location": "SFO-C", "until": EVENING})).await.is(201);
        assert_eq!(admin.get(PATH).await.is(200)["closures"].as_array().unwrap().len(), 1_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_can_not_be_read_closes_its_place_and_nothing_else() {
    for world in World::all().await {
        let [cathay, american] = [world.merchant("cathay").await, world.merchant("american").await];
        for merchant in [&cathay, &american] {
            world.perk(merchant, "lounge", OPEN_LOUNGE).await;
            world.score(merchant, "twitter:ada", "60").await;
        }
        let [here, there] =
            [world.principal(&cathay, Role::Kiosk).await, world.principal(&american, Role::Kiosk).await];
        let until = world.now() + jiff::SignedDuration::from_hours(1);
        let slug = "lounge".parse().unwrap();
        let new = NewClosure { location: None, until, message: None };
        world.gateway.catalog.close_place(&cathay.id, CLI, &slug, new.clone()).await.unwrap();
        for damage in ["message = '{'", "message = NULL, id = 'clo_x'"] {
            run(&world, format!("UPDATE closures SET {damage}")).await;
            assert!(!findings(&world).is_empty(), "{damage}");
            let replica = world.replica().await;
            let asked = question("lounge", "twitter:ada");
            let refused = Box::pin(replica.checker.check(&here, &cathay, asked.clone())).await.unwrap();
            assert!(refused.grant.is_none(), "{damage}");
            assert!(replica.checker.words_of_closure_behind(&cathay, &refused).await.is_none());
            assert!(Box::pin(replica.checker.check(&there, &american, asked)).await.unwrap().grant.is_some());
            assert_eq!(replica.catalog.list_closures(&cathay.id, &slug).await.unwrap().len(), 1);
        }
        // What another merchant changes is seen by the replica that knows of the row.
        world.gateway.catalog.close_place(&american.id, CLI, &slug, new).await.unwrap();
        let refused = world.check(&there, question("lounge", "twitter:ada")).await.unwrap();
        assert!(refused.grant.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_wrong_with_a_closure_is_said_at_once() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let admin = app.admin(&app.cathay).await;
        let bad = json!({"location": "", "until": "2012-05-08T18:00:00Z", "message": {"en": "", "english": "x"}});
        let spots: Vec<String> =
            admin.post(PATH, &bad).await.problem(422, "invalid_request").into_iter().map(|(at, _)| at).collect();
        assert_eq!(spots, ["/location", "/message/en", "/message/english", "/until"]);
    }
}
