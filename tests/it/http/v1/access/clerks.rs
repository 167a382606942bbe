//! `/v1/desk/clerks` and `/v1/desk/sign-in`: who acts at a desk, how often a PIN may be wrong, and what a session opens.

use diesel::RunQueryDsl as _;
use futures_util::future::join_all;
use perkgate::access::{NewKey, Role};
use perkgate::audit::Request;
use perkgate::database::DatabaseError;
use perkgate::foundation::entropy::Entropy;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::shape::assert_shape;
use crate::support::world::World;

const OPEN: &str = r#"{"tiers":[{"id":"seat","name":"Seat"}],"token":{"ttl":"PT1H"}}"#;
const PIN: &str = "470283915274";

async fn desk(app: &TestApp) -> Client {
    app.role(&app.cathay, Role::Desk).await
}

async fn make(admin: &Client, name: &str, pin: &str) -> Reply {
    admin.post("/v1/desk/clerks", &json!({"name": name, "pin": pin})).await
}

async fn sign_in(desk: &Client, clerk: &str, pin: &str) -> Reply {
    desk.post("/v1/desk/sign-in", &json!({"clerk": clerk, "pin": pin})).await
}

/// A place at which nobody of the test is, so that it can be closed.
async fn elsewhere(app: &TestApp) {
    let key = NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "elsewhere");
    app.client(NewKey { location: Some("elsewhere".into()), ..key }).await;
}

/// Closes a place for a day, with this session or none.
async fn close(desk: &Client, session: Option<&str>) -> Reply {
    let ask = desk.ask(Method::POST, "/v1/perks/sfo-lounge/closures");
    let ask = match session {
        Some(session) => ask.header("perkgate-clerk", session),
        None => ask,
    };
    ask.json(json!({"location": "elsewhere", "until": "2012-05-09T19:00:00Z"}).to_string()).await
}

async fn undo(desk: &Client, session: Option<&str>, granted: &Reply) -> Reply {
    let ask = desk.ask(Method::POST, &format!("/v1/grants/{}/undo", granted.text_of("grant")));
    let ask = match session {
        Some(session) => ask.header("perkgate-clerk", session),
        None => ask,
    };
    ask.json(json!({"reason": "mistake"}).to_string()).await
}

#[track_caller]
fn findings(world: &World) -> Vec<String> {
    let report = perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clerk_signs_in_and_what_they_do_names_them() {
    for app in TestApp::all().await {
        app.lounge(OPEN, "50").await;
        elsewhere(&app).await;
        let (admin, desk) = (app.admin(&app.cathay).await, desk(&app).await);
        let made = make(&admin, " Grace ", PIN).await;
        assert_shape!(made, @r#"
        201
        {
          "clerk":"key_…",
          "name":"Grace",
          "created_by":"key_…",
          "created_at":"2012-05-08T19:00:00Z"
        }
        "#);
        let grace = made.text_of("clerk");
        assert_eq!(desk.get("/v1/desk/clerks").await.is(200)["clerks"], json!([made.is(201)]));
        let signed = sign_in(&desk, &grace, PIN).await;
        assert_eq!(signed.is(200)["expires_at"], "2012-05-08T19:10:00Z");
        let session = signed.text_of("session");

        let closed = close(&desk, Some(&session)).await.is(201);
        assert_eq!(closed["closed_by"], *grace);
        let granted = desk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "member:1"})).await;
        undo(&desk, Some(&session), &granted).await.is(200);
        let auditor = app.auditor(&app.cathay).await;
        let events = auditor.get("/v1/audit/events?kind=grant.voided").await.is(200);
        assert_eq!(events["events"][0]["actor"], json!({"key": grace, "role": "desk"}));
        let events = auditor.get("/v1/audit/events?kind=key.created").await.is(200);
        let of_grace = events["events"].as_array().unwrap().iter().find(|event| event["about"] == *grace).unwrap();
        assert_eq!(of_grace["facts"], json!({"label": "Grace", "role": "desk"}));

        // Their key has no secret, and warns of no place it lacks; it is revoked like any other.
        let keys = admin.get("/v1/keys?role=desk").await.is(200);
        assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
        assert_eq!(findings(&app.world), [""; 0]);
        let texts = app.world.database.dump();
        for secret in [PIN, &session, session.rsplit_once('_').unwrap().1] {
            assert!(!texts.contains(secret), "a PIN or session is stored");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_clerks_the_key_of_a_desk_is_not_enough_and_without_it_is() {
    for app in TestApp::all().await {
        app.lounge(OPEN, "50").await;
        elsewhere(&app).await;
        let (admin, desk, other) = (app.admin(&app.cathay).await, desk(&app).await, desk(&app).await);
        close(&desk, None).await.is(201);
        close(&desk, Some("pgs_x")).await.problem(403, "clerk_session_invalid");
        let grace = make(&admin, "Grace", PIN).await.text_of("clerk");
        close(&desk, None).await.problem(403, "clerk_required");
        let granted = desk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "member:1"})).await;
        assert_eq!(granted.is(200)["decision"], "granted", "asking needs no clerk");
        undo(&desk, None, &granted).await.problem(403, "clerk_required");
        // A kiosk has no clerks, and an admin is somebody already.
        let by_kiosk = app.kiosk().await;
        let of_kiosk = by_kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "member:2"})).await;
        undo(&by_kiosk, None, &of_kiosk).await.is(200);
        close(&admin, None).await.is(201);

        let session = sign_in(&desk, &grace, PIN).await.text_of("session");
        close(&admin, Some(&session)).await.problem(403, "clerk_session_invalid");
        close(&other, Some(&session)).await.problem(403, "clerk_session_invalid");
        let theirs = app.role(&app.american, Role::Desk).await;
        close(&theirs, Some(&session)).await.problem(403, "clerk_session_invalid");
        sign_in(&theirs, &grace, PIN).await.problem(404, "not_found");
        for at in 0..session.len() {
            let mut bent = session.clone().into_bytes();
            bent[at] = if bent[at] == b'0' { b'1' } else { b'0' };
            let bent = String::from_utf8(bent).unwrap();
            close(&desk, Some(&bent)).await.problem(403, "clerk_session_invalid");
        }
        for bent in [session.to_uppercase(), format!("{session}0"), session.replace("pgs_", "pgs_0"), String::new()] {
            close(&desk, Some(&bent)).await.problem(403, "clerk_session_invalid");
        }
        close(&desk, Some(&session)).await.is(201);
        // Another clerk of the same desk did not grant what this one did.
        app.world.pass(600);
        close(&desk, Some(&session)).await.problem(403, "clerk_session_invalid");

        let session = sign_in(&desk, &grace, PIN).await.text_of("session");
        assert_eq!(admin.delete(&format!("/v1/desk/clerks/{grace}")).await.status, 204);
        admin.delete(&format!("/v1/desk/clerks/{grace}")).await.problem(404, "not_found");
        close(&desk, Some(&session)).await.problem(403, "clerk_session_invalid");
        sign_in(&desk, &grace, PIN).await.problem(404, "not_found");
        close(&desk, None).await.is(201);
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_guessed_five_times_and_then_the_wait_doubles() {
    for app in TestApp::all().await {
        let (admin, another) = (app.admin(&app.cathay).await, desk(&app).await);
        let desk = desk(&app).await;
        let grace = make(&admin, "Grace", PIN).await.text_of("clerk");
        // All at once, on whichever worker: no more than five are looked at.
        let guesses = join_all((0..12).map(|nth| sign_in_with(&desk, &grace, format!("90{nth:04}")))).await;
        let looked_at = guesses.iter().filter(|reply| reply.status == 403).count();
        assert_eq!(looked_at, 5, "{:?}", guesses.iter().map(|reply| reply.status).collect::<Vec<_>>());
        let refused = sign_in(&desk, &grace, PIN).await;
        refused.problem(429, "pin_locked");
        assert_eq!(refused.header("retry-after"), "901");
        // At another desk nobody has guessed.
        sign_in(&another, &grace, PIN).await.is(200);
        app.world.pass(15 * 60);
        sign_in(&desk, &grace, "900000").await.problem(403, "wrong_pin");
        app.world.pass(29 * 60);
        sign_in(&desk, &grace, PIN).await.problem(429, "pin_locked");
        app.world.pass(60);
        sign_in(&desk, &grace, PIN).await.is(200);
        // And all begins again.
        for _ in 0..4 {
            sign_in(&desk, &grace, "900000").await.problem(403, "wrong_pin");
        }
        sign_in(&desk, &grace, PIN).await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_right_in_between_frees_no_more_guesses() {
    let app = TestApp::start(&[]).await;
    let admin = app.admin(&app.cathay).await;
    let (grace, desks) = (make(&admin, "Grace", PIN).await.text_of("clerk"), [desk(&app).await, desk(&app).await]);
    let mut looked_at = 0;
    // Four wrong and a right one, every two hours for a day, at two desks in turn.
    for nth in 0..11 {
        for _ in 0..4 {
            looked_at += usize::from(sign_in(&desks[nth % 2], &grace, "900000").await.status == 403);
        }
        sign_in(&desks[nth % 2], &grace, PIN).await;
        app.world.pass(2 * 3600);
    }
    assert_eq!(looked_at, 30);
    sign_in(&desks[0], &grace, PIN).await.problem(429, "pin_locked");
    app.world.pass(2 * 3600);
    sign_in(&desks[0], &grace, PIN).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_unlocks_a_clerk_and_gives_another_pin_which_ends_the_sessions() {
    const OTHER: &str = "593146820715";
    for app in TestApp::all().await {
        app.lounge(OPEN, "50").await;
        elsewhere(&app).await;
        let (admin, desk) = (app.admin(&app.cathay).await, desk(&app).await);
        let grace = make(&admin, "Grace", PIN).await.text_of("clerk");
        let ada = make(&admin, "Ada", PIN).await.text_of("clerk");
        let [session, of_ada] =
            [sign_in(&desk, &grace, PIN).await.text_of("session"), sign_in(&desk, &ada, PIN).await.text_of("session")];
        for _ in 0..5 {
            sign_in(&desk, &grace, "900000").await.problem(403, "wrong_pin");
        }
        sign_in(&desk, &grace, PIN).await.problem(429, "pin_locked");
        let unlock = format!("/v1/desk/clerks/{grace}/unlock");
        let set_pin = format!("/v1/desk/clerks/{grace}/pin");
        desk.post(&unlock, &json!({})).await.problem(403, "forbidden");
        desk.put(&set_pin, &json!({"pin": OTHER})).await.problem(403, "forbidden");
        let theirs = app.admin(&app.american).await;
        theirs.post(&unlock, &json!({})).await.problem(404, "not_found");
        theirs.put(&set_pin, &json!({"pin": OTHER})).await.problem(404, "not_found");

        assert_eq!(admin.post(&unlock, &json!({})).await.status, 204);
        sign_in(&desk, &grace, PIN).await.is(200);
        close(&desk, Some(&session)).await.is(201);
        // Five more are free, as for a new clerk.
        for _ in 0..5 {
            sign_in(&desk, &grace, "900000").await.problem(403, "wrong_pin");
        }
        for (pin, code) in [(json!("111111"), "invalid_value"), (json!(593_146), "invalid_value")] {
            let spot = admin.put(&set_pin, &json!({"pin": pin})).await.spot(422, "invalid_request");
            assert_eq!(spot, ("/pin".to_owned(), code.to_owned()));
        }
        let replica = app.world.replica().await;
        assert_eq!(admin.put(&set_pin, &json!({"pin": OTHER})).await.status, 204);
        sign_in(&desk, &grace, PIN).await.problem(403, "wrong_pin");
        close(&desk, Some(&session)).await.problem(403, "clerk_session_invalid");
        close(&desk, Some(&of_ada)).await.is(201);
        let newer = sign_in(&desk, &grace, OTHER).await.text_of("session");
        close(&desk, Some(&newer)).await.is(201);
        // Another replica, which has heard nothing of it, looks again for the new one, and knows then that the old is over.
        let (caller, now) =
            (app.world.gateway.directory.recognize(desk.secret(), app.world.now()).unwrap(), app.world.now());
        let acting = replica.directory.acting_clerk(&caller, Some(&newer), now).await;
        assert_eq!(acting.unwrap().unwrap().as_str(), grace);
        assert!(replica.directory.acting_clerk(&caller, Some(&session), now).await.is_err());

        let events = app.auditor(&app.cathay).await.get("/v1/audit/events?kind=clerk.reset").await.is(200);
        let facts: Vec<_> = events["events"].as_array().unwrap().iter().map(|it| it["facts"].clone()).collect();
        assert_eq!(facts, [json!({"has_new_pin": true}), json!({"has_new_pin": false})]);
        assert_eq!(events["events"][0]["about"], grace);
        assert_eq!(findings(&app.world), [""; 0]);
        let texts = app.world.database.dump();
        assert!(!texts.contains(OTHER), "a PIN is stored");
        assert_eq!(admin.delete(&format!("/v1/desk/clerks/{grace}")).await.status, 204);
        admin.post(&unlock, &json!({})).await.problem(404, "not_found");
        admin.put(&set_pin, &json!({"pin": OTHER})).await.problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clerk_who_is_unlocked_while_they_sign_in_is_answered() {
    for app in TestApp::all_with(&[("rate_per_key", "0")]).await {
        let admin = app.admin(&app.cathay).await;
        let grace = make(&admin, "Grace", PIN).await.text_of("clerk");
        let mut desks = Vec::new();
        for _ in 0..4 {
            desks.push(desk(&app).await);
        }
        let unlock = format!("/v1/desk/clerks/{grace}/unlock");
        let guesses = join_all((0..16).map(|nth| sign_in(&desks[nth % 4], &grace, "900000")));
        let unlocks = join_all((0..40).map(async |_| admin.post(&unlock, &json!({})).await));
        let (guesses, unlocks) = tokio::join!(guesses, unlocks);
        for reply in guesses {
            assert!(matches!(reply.status, 403 | 429), "{}", reply.text);
        }
        for reply in unlocks {
            assert_eq!(reply.status, 204, "{}", reply.text);
        }
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_that_was_set_past_the_log_is_found() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let grace = make(&admin, "Grace", PIN).await.text_of("clerk");
        make(&admin, "Ada", PIN).await.is(201);
        for pin in ["593146820715", "715593146820"] {
            assert_eq!(admin.put(&format!("/v1/desk/clerks/{grace}/pin"), &json!({"pin": pin})).await.status, 204);
        }
        assert_eq!(findings(&app.world), [""; 0]);
        // Set back to the sessions of before, set without an event, and taken away.
        for (statement, is_found) in [
            ("UPDATE clerks SET pin_generation = 1 WHERE pin_generation = 2", true),
            ("UPDATE clerks SET pin_generation = 2 WHERE pin_generation = 1", false),
            ("UPDATE clerks SET pin_generation = 1 WHERE pin_generation = 0", true),
            ("UPDATE clerks SET pin_generation = 0 WHERE pin_generation = 1", false),
            ("DELETE FROM clerks WHERE pin_generation = 2", true),
        ] {
            let write = app.world.gateway.database.write(move |conn| {
                perkgate::on_either!(conn, |c| diesel::sql_query(statement).execute(c)).map_err(DatabaseError::from)
            });
            assert_eq!(write.await.unwrap(), 1, "{statement}");
            let found = findings(&app.world);
            assert_eq!(found.iter().any(|it| it.contains("in its PIN")), is_found, "{statement}: {found:?}");
        }
    }
}

async fn sign_in_with(desk: &Client, clerk: &str, pin: String) -> Reply {
    sign_in(desk, clerk, &pin).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_guesses_twenty_times_an_hour_whoevers_pin_it_is() {
    let app = TestApp::start(&[]).await;
    let (admin, desk, other) = (app.admin(&app.cathay).await, desk(&app).await, desk(&app).await);
    let mut clerks = Vec::new();
    for nth in 0..6 {
        clerks.push(make(&admin, &format!("Clerk {nth}"), PIN).await.text_of("clerk"));
    }
    for clerk in &clerks[..5] {
        for _ in 0..4 {
            sign_in(&desk, clerk, "900000").await.problem(403, "wrong_pin");
        }
    }
    sign_in(&desk, &clerks[5], PIN).await.problem(429, "pin_locked");
    sign_in(&other, &clerks[5], PIN).await.is(200);
    app.world.pass(3600);
    sign_in(&desk, &clerks[5], PIN).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clerk_that_does_not_fit_is_refused_and_no_answer_repeats_a_pin() {
    let app = TestApp::start(&[]).await;
    let (admin, desk) = (app.admin(&app.cathay).await, desk(&app).await);
    for (body, pointer, code) in [
        (json!({"name": "Grace"}), "/pin", "missing_field"),
        (json!({"pin": PIN}), "/name", "missing_field"),
        (json!({"name": "", "pin": PIN}), "/name", "invalid_value"),
        (json!({"name": "a\u{202E}b", "pin": PIN}), "/name", "invalid_value"),
        (json!({"name": "x".repeat(81), "pin": PIN}), "/name", "invalid_value"),
        (json!({"name": "Grace", "pin": "47028"}), "/pin", "invalid_value"),
        (json!({"name": "Grace", "pin": "9999999999999"}), "/pin", "invalid_value"),
        (json!({"name": "Grace", "pin": "4702 83915274"}), "/pin", "invalid_value"),
        (json!({"name": "Grace", "pin": "777777"}), "/pin", "invalid_value"),
        (json!({"name": "Grace", "pin": 470_283_915_274u64}), "/pin", "invalid_value"),
        (json!({"name": "Grace", "pin": [470_283_915_274u64]}), "/pin", "wrong_type"),
        (json!({"name": "Grace", "pin": PIN, "role": "admin"}), "/role", "unknown_field"),
    ] {
        let reply = admin.post("/v1/desk/clerks", &body).await;
        assert_eq!(reply.spot(422, "invalid_request"), (pointer.to_owned(), code.to_owned()), "{body}");
        assert!(![PIN, "777777"].iter().any(|pin| reply.text.contains(pin)), "{}", reply.text);
    }
    let reply = sign_in(&desk, "key_nobody", PIN).await;
    assert_eq!(reply.spot(422, "invalid_request").0, "/clerk");
    let nobody = "key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70";
    sign_in(&desk, nobody, PIN).await.problem(404, "not_found");
    // A key is no clerk, and a retry is no second one.
    let (key, _) = {
        let new = NewKey::of(Role::Desk, Some(app.cathay.id.clone()), "SFO desk");
        app.world.gateway.directory.create_key(new, crate::support::world::CLI).await.unwrap()
    };
    sign_in(&desk, key.id.as_str(), PIN).await.problem(404, "not_found");
    admin.delete(&format!("/v1/desk/clerks/{}", key.id)).await.problem(404, "not_found");
    let again = async || {
        let ask = admin.ask(Method::POST, "/v1/desk/clerks").header("idempotency-key", "one");
        ask.json(json!({"name": "Grace", "pin": PIN}).to_string()).await
    };
    let (first, second) = (again().await, again().await);
    assert_eq!((first.is(201), first.text.as_str()), (second.is(201), second.text.as_str()));
    let clerks: Value = admin.get("/v1/desk/clerks").await.is(200);
    assert_eq!(clerks["clerks"].as_array().unwrap().len(), 1);
}
