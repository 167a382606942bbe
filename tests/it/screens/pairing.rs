//! A code becomes a screen: once, for one browser, in ten minutes, and only for someone who sees its words.

use diesel::RunQueryDsl as _;
use perkgate::access::{NewKey, Role};
use perkgate::database::DatabaseError;
use serde_json::{Value, json};

use super::screen::{Screen, attribute, findings, secret};
use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::world::CLI;

const RULE: &str = r#"{"at_least":40,"score":"klout"}"#;

async fn make(admin: &Client) -> Value {
    let body = json!({"role": "kiosk", "label": "SFO A12", "location": "SFO-A", "kiosk": "A12", "perk": "sfo-lounge"});
    admin.post("/v1/devices", &body).await.is(201)
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_works_once_its_words_are_confirmed_and_the_log_names_it() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        let admin = app.admin(&app.cathay).await;
        let made = make(&admin).await;
        let (device, code) = (text(&made, "device"), text(&made, "code"));
        assert_eq!((&made["status"], &made["expires_at"]), (&json!("waiting"), &json!("2012-05-08T19:10:00Z")));
        assert!(code.len() == 8 && code.bytes().all(|b| b.is_ascii_uppercase()), "{code}");

        let mut screen = Screen::new(&app);
        assert_eq!(screen.open("/kiosk").await.header("location"), "/pair");
        let typed = format!("{} {}", &code[..4].to_lowercase(), &code[4..]);
        let paired = screen.pair(&typed, 'a').await;
        let words = paired.text_of("words");
        let cookie = paired.header("set-cookie");
        assert!(cookie.starts_with(&format!("perkgate-device={};", secret('a'))), "{cookie}");
        assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict") && cookie.contains("; Path=/"));

        // It waits: its page is not there yet, and it can't ask.
        assert_eq!(screen.open("/kiosk").await.header("location"), "/pair");
        assert!(screen.open("/pair").await.text.contains(&words));
        assert_eq!(screen.open("/pair/state").await.is(200), json!({"state": "waiting", "words": words}));
        screen.ask("twitter:ada", "one").await.problem(401, "missing_key");
        let listed = admin.get("/v1/devices").await;
        assert_eq!(listed.is(200)["devices"][0]["words"], words);
        let confirm = format!("/v1/devices/{device}/confirm");
        admin.post(&confirm, &json!({"words": "amber amber"})).await.problem(422, "invalid_request");
        admin
            .post("/v1/devices/key_00000000000070008000000000000001/confirm", &json!({"words": words}))
            .await
            .problem(404, "not_found");
        let american = app.admin(&app.american).await;
        american.post(&confirm, &json!({"words": words})).await.problem(404, "not_found");
        american.delete(&format!("/v1/devices/{device}")).await.problem(404, "not_found");
        let confirmed = admin.post(&confirm, &json!({"words": words.to_uppercase()})).await;
        assert_eq!(confirmed.is(200)["status"], "paired");
        assert_eq!(admin.post(&confirm, &json!({"words": words})).await.status, 200, "confirming again is no error");

        assert_eq!(screen.open("/pair/state").await.is(200), json!({"state": "paired", "home": "/kiosk"}));
        let page = screen.open("/kiosk").await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(page.header("set-cookie").contains("Max-Age=34560000"), "it is renewed");
        screen.page_token = attribute(&page.text, "data-page");
        assert_eq!(screen.ask("twitter:ada", "one").await.is(200)["form"], "granted");

        let auditor = app.auditor(&app.cathay).await;
        let events = auditor.get("/v1/audit/events?kind=check.decided").await.is(200);
        assert_eq!(events["events"][0]["actor"], json!({"key": device, "role": "kiosk"}));
        let events = auditor.get("/v1/audit/events?kind=device.confirmed").await.is(200);
        let [event] = events["events"].as_array().unwrap().as_slice() else { panic!("{events}") };
        assert_eq!((&event["about"], &event["facts"]["perk"]), (&json!(device), &json!("sfo-lounge")));
        assert_eq!(findings(&app.world), [""; 0]);
        let texts = app.world.database.dump();
        assert!(!texts.contains(&secret('a')) && !texts.contains(&code), "a secret or a code is stored");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_one_browsers_and_the_same_browser_gets_its_answer_again() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        let admin = app.admin(&app.cathay).await;
        let made = make(&admin).await;
        let code = text(&made, "code");
        let mut screen = Screen::new(&app);
        let words = screen.pair(&code, 'a').await.text_of("words");
        assert_eq!(screen.pair(&code, 'a').await.text_of("words"), words, "a lost answer");
        Screen::new(&app).pair(&code, 'b').await.problem(403, "forbidden");
        assert_eq!(screen.open("/pair/state").await.is(200)["state"], "waiting", "the first one's it remains");
        // The secret of a browser that is a screen already opens no other.
        let other = text(&make(&admin).await, "code");
        Screen::new(&app).pair(&other, 'a').await.problem(403, "forbidden");

        app.world.pass(601);
        let late = text(&make(&admin).await, "code");
        app.world.pass(600);
        Screen::new(&app).pair(&late, 'c').await.problem(403, "forbidden");
        let mut statuses: Vec<_> = admin.get("/v1/devices").await.is(200)["devices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["status"].as_str().unwrap().to_owned())
            .collect();
        statuses.sort();
        assert_eq!(statuses, ["expired"; 3], "who typed the first one was never confirmed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_not_found_by_guessing() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        let directory = &app.world.gateway.directory;
        let admin = app.admin(&app.cathay).await;
        let (made, spared) = (make(&admin).await, make(&admin).await);
        let code = text(&made, "code");
        // Wrong ones that begin like it: the last letters go round.
        let letters = "ABCDEFGHJKMN";
        let guesses = letters.chars().map(|last| format!("{}{last}", &code[..7])).filter(|guess| *guess != code);
        let held = perkgate::access::accounts::SecretToken::parse(&secret('z')).unwrap();
        for guess in guesses.take(10) {
            assert!(directory.pair_device(&guess, &held).await.is_err());
        }
        assert!(directory.pair_device(&code, &held).await.is_err(), "ten wrong ones have ended it");
        assert!(directory.pair_device(&text(&spared, "code"), &held).await.is_ok(), "and no other one");

        let mut statuses = Vec::new();
        for _ in 0..6 {
            statuses.push(Screen::new(&app).pair("AAAAAAAA", 'g').await.status);
        }
        assert_eq!(statuses, [403, 403, 403, 403, 403, 429], "five a minute");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_that_is_signed_off_stops_here_at_once_and_on_a_replica() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        let admin = app.admin(&app.cathay).await;
        let new = NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "SFO A12");
        let (device, screen) = Screen::paired(&app, new, 'a').await;
        let replica = app.world.replica().await;
        let held = perkgate::access::accounts::SecretToken::parse(&secret('a')).unwrap();
        assert!(replica.directory.authenticate_device(&held, app.world.now()).await.is_ok());
        screen.ask("twitter:ada", "one").await.is(200);
        assert_eq!(admin.delete(&format!("/v1/devices/{}", device.key.id)).await.status, 204);
        screen.ask("twitter:ada", "two").await.problem(401, "missing_key");
        assert_eq!(screen.open("/kiosk").await.header("location"), "/pair");
        assert_eq!(screen.open("/pair/state").await.is(200), json!({"state": "unpaired"}));
        replica.directory.poll().await.unwrap();
        assert!(replica.directory.recognize_device(&held, app.world.now()).is_err());
        assert_eq!(admin.get("/v1/devices").await.is(200), json!({"devices": []}));
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_over_ten_minutes_after_the_code_was_typed() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        let admin = app.admin(&app.cathay).await;
        let made = make(&admin).await;
        let (device, code) = (text(&made, "device"), text(&made, "code"));
        app.world.pass(599);
        let mut screen = Screen::new(&app);
        let words = screen.pair(&code, 'a').await.text_of("words");
        app.world.pass(599);
        assert_eq!(screen.pair(&code, 'a').await.text_of("words"), words, "a lost answer, after the code was over");
        assert_eq!(screen.open("/pair/state").await.is(200)["state"], "waiting");
        app.world.pass(1);
        assert_eq!(screen.open("/pair/state").await.is(200), json!({"state": "unpaired"}));
        let confirm = format!("/v1/devices/{device}/confirm");
        let late = admin.post(&confirm, &json!({"words": words})).await;
        assert_eq!(late.problem(422, "invalid_request")[0].0, "/words");
        screen.pair(&code, 'a').await.problem(403, "forbidden");
        assert_eq!(admin.get("/v1/devices").await.is(200)["devices"][0]["status"], "expired");

        // One that was confirmed in time works on, and its browser is answered whenever it asks.
        let made = make(&admin).await;
        let (device, code) = (text(&made, "device"), text(&made, "code"));
        let mut screen = Screen::new(&app);
        let words = screen.pair(&code, 'b').await.text_of("words");
        let confirm = format!("/v1/devices/{device}/confirm");
        admin.post(&confirm, &json!({"words": words})).await.is(200);
        app.world.pass(3_600);
        assert_eq!(screen.pair(&code, 'b').await.text_of("words"), words);
        assert_eq!(screen.open("/kiosk").await.status, 200);
        admin.post(&confirm, &json!({"words": words})).await.is(200);
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_that_was_confirmed_on_a_replica_is_paired_at_once() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        let made = make(&app.admin(&app.cathay).await).await;
        let mut screen = Screen::new(&app);
        let words = screen.pair(&text(&made, "code"), 'a').await.text_of("words");
        let replica = app.world.replica().await;
        let device = text(&made, "device").parse().unwrap();
        replica.directory.confirm_device(app.cathay.id.clone(), device, &words, CLI).await.unwrap();
        let state = screen.open("/pair/state").await.is(200);
        assert_eq!(state, json!({"state": "paired", "home": "/kiosk"}), "never unpaired in between");
        assert_eq!(screen.open("/pair").await.header("location"), "/kiosk");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_codes_end_none_that_was_typed() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        let directory = &app.world.gateway.directory;
        let admin = app.admin(&app.cathay).await;
        let code = text(&make(&admin).await, "code");
        let held = perkgate::access::accounts::SecretToken::parse(&secret('a')).unwrap();
        let words = directory.pair_device(&code, &held).await.unwrap();
        let other = perkgate::access::accounts::SecretToken::parse(&secret('z')).unwrap();
        let guesses = "ABCDEFGHJKMN".chars().map(|last| format!("{}{last}", &code[..7])).filter(|guess| *guess != code);
        for guess in guesses {
            assert!(directory.pair_device(&guess, &other).await.is_err());
        }
        assert_eq!(directory.pair_device(&code, &held).await.unwrap(), words, "a lost answer");
        let listed = admin.get("/v1/devices").await.is(200);
        assert_eq!((&listed["devices"][0]["status"], &listed["devices"][0]["words"]), (&json!("typed"), &json!(words)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_is_made_once_however_often_it_is_asked_for() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        let admin = app.admin(&app.cathay).await;
        let body = json!({"role": "kiosk", "label": "SFO A12", "perk": "sfo-lounge"});
        let ask = async |body: &Value| admin.post("/v1/devices", body).header("idempotency-key", "one").await;
        let first = ask(&body).await;
        let again = ask(&body).await;
        assert_eq!((first.status, again.status, &again.text), (201, 201, &first.text), "a lost answer brings its code");
        ask(&json!({"role": "kiosk", "label": "SFO A13"})).await.problem(422, "idempotency_key_reused");
        let listed = admin.get("/v1/devices").await.is(200);
        assert_eq!(listed["devices"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn screens_that_wait_use_up_no_ones_wrong_keys() {
    for app in TestApp::all_with(&[("rate_failed_keys", "1")]).await {
        app.lounge(RULE, "50").await;
        let mut screen = Screen::new(&app);
        let code = text(&make(&app.admin(&app.cathay).await).await, "code");
        screen.pair(&code, 'a').await.is(200);
        for _ in 0..10 {
            assert_eq!(screen.open("/pair/state").await.is(200)["state"], "waiting");
        }
        let wrong = app.bearing(Some(format!("Bearer {}", secret('b'))));
        wrong.get("/v1/me").await.problem(401, "invalid_key");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_or_a_page_alone_asks_nothing_and_signing_off_ends_both() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        let new = NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "SFO A12");
        let (device, screen) = Screen::paired(&app, new, 'a').await;
        let other = Screen::kiosk(&app, 'b').await;
        let body = json!({"read": "twitter:ada"});
        let (token, key) = (("perkgate-page", screen.page_token.as_str()), ("idempotency-key", "one"));
        let before = app.footprint().await;
        // The cookie, without the token of its page, or from another site's.
        for headers in [
            &[key][..],
            &[key, ("perkgate-page", "")],
            &[key, ("perkgate-page", &"0".repeat(64))],
            &[key, ("perkgate-page", &other.page_token)],
            &[key, token, ("origin", "https://evil.example")],
        ] {
            screen.send("/kiosk/checks", &body, headers).await.problem(403, "forbidden");
        }
        for site in ["cross-site", "same-site", "none"] {
            let ask = screen.client.post("/kiosk/checks", &body).header("sec-fetch-site", site);
            let ask = ask.header(key.0, key.1).header(token.0, token.1);
            ask.header("cookie", screen.cookie.as_deref().unwrap()).await.problem(403, "forbidden");
        }
        // The token of the page, without its cookie.
        let bare = Screen { page_token: screen.page_token.clone(), ..Screen::new(&app) };
        bare.send("/kiosk/checks", &body, &[key, token]).await.problem(401, "missing_key");
        // Neither is a key of the API.
        for bearer in [secret('a'), screen.page_token.clone()] {
            let bearer = app.bearing(Some(format!("Bearer {bearer}")));
            bearer.get("/v1/me").await.problem(401, "invalid_key");
        }
        assert_eq!(app.footprint().await, before);
        screen.send("/kiosk/checks", &body, &[token]).await.problem(400, "bad_idempotency_key");

        // Who copies the cookie loads the page, and has the screen beside it: until it is signed off.
        let mut copy = Screen { cookie: screen.cookie.clone(), ..Screen::new(&app) };
        copy.page_token = attribute(&copy.open("/kiosk").await.text, "data-page");
        assert_eq!(screen.ask("twitter:ada", "one").await.is(200)["form"], "granted");
        assert_eq!(copy.ask("twitter:ada", "one").await.is(200)["form"], "granted");
        let admin = app.admin(&app.cathay).await;
        assert_eq!(admin.delete(&format!("/v1/devices/{}", device.key.id)).await.status, 204);
        for ended in [&screen, &copy] {
            ended.ask("twitter:ada", "two").await.problem(401, "missing_key");
            assert_eq!(ended.open("/kiosk").await.header("location"), "/pair");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_secret_in_the_database_is_found() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        Screen::kiosk(&app, 'a').await;
        assert_eq!(findings(&app.world), [""; 0]);
        let bent = app.world.gateway.database.write(|conn| {
            diesel::sql_query("UPDATE devices SET perk = 'another'").execute(conn)?;
            Ok::<_, DatabaseError>(())
        });
        bent.await.unwrap();
        let found = findings(&app.world);
        assert!(found.len() == 1 && found[0].contains("device"), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn screens_are_made_of_what_fits() {
    let app = TestApp::start(&[]).await;
    app.lounge(RULE, "50").await;
    let admin = app.admin(&app.cathay).await;
    for (body, path) in [
        (json!({"role": "admin", "label": "x"}), "/role"),
        (json!({"role": "door", "label": "x"}), "/audience"),
        (json!({"role": "kiosk", "label": ""}), "/label"),
        (json!({"role": "door", "label": "x", "audience": "a", "perk": "sfo-lounge"}), "/perk"),
    ] {
        let refused = admin.post("/v1/devices", &body).await;
        assert_eq!(refused.problem(422, "invalid_request")[0].0, path);
    }
    let unknown = admin.post("/v1/devices", &json!({"role": "kiosk", "label": "x", "perk": "none"})).await;
    assert_eq!(unknown.problem(422, "invalid_request"), [("/perk".to_owned(), "unknown_perk".to_owned())]);
    app.world.perk(&app.cathay, "hkg-lounge", RULE).await;
    let either = admin.post("/v1/devices", &json!({"role": "kiosk", "label": "x"})).await;
    assert_eq!(either.problem(422, "invalid_request"), [("/perk".to_owned(), "required".to_owned())]);
    app.kiosk().await.post("/v1/devices", &json!({"role": "kiosk", "label": "x"})).await.problem(403, "forbidden");
    assert_eq!(admin.get("/v1/devices").await.is(200), json!({"devices": []}));
}
