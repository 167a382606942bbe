//! What a person is answered at a kiosk: the same decision as the API's, with what a kiosk may know of it.

use perkgate::access::devices::NewCode;
use perkgate::access::{NewKey, Role};
use perkgate::foundation::json::Json;
use perkgate::perks::perk::NewVersion;
use reqwest::Method;
use serde_json::{Value, json};

use super::screen::{Screen, attribute};
use crate::support::app::TestApp;
use crate::support::world::CLI;

const LOUNGE: &str = r#"{
    "score": {"source": "klout"},
    "tiers": [
        {"id": "first", "rank": 2, "name": "First lounge", "when": {"attr": "score", "op": "gte", "value": 60}},
        {"id": "main", "rank": 1, "name": "Main lounge", "when": {"attr": "score", "op": "gte", "value": 40}}
    ],
    "limits": [{"id": "person-day", "scope": ["subject"], "max": 1, "window": {"calendar": "day"}}],
    "token": {"audience": "sfo-lounge", "ttl": "PT30M"}
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_has_a_code_and_no_token_and_a_retry_gets_it_again() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let screen = Screen::kiosk(&app, 'a').await;
        let first = screen.ask("twitter:ada", "one").await;
        let granted = first.is(200);
        assert_eq!((&granted["form"], &granted["tier"]), (&json!("granted"), &json!("Main lounge")));
        assert_eq!(
            (&granted["at"], &granted["until"]),
            (&json!("2012-05-08T19:00:00Z"), &json!("2012-05-08T19:30:00Z"))
        );
        let side = granted["code"]["side"].as_u64().unwrap();
        assert!((69..=97).contains(&side), "{side}");
        assert!(
            !first.text.contains("eyJ") && !first.text.contains("twitter:"),
            "neither token nor handle: {}",
            first.text
        );
        let again = screen.ask("twitter:ada", "one").await;
        assert_eq!(again.text, first.text, "a lost answer is asked for again");

        let limit = screen.ask("twitter:ada", "two").await;
        let limit = limit.is(200);
        assert_eq!((&limit["form"], &limit["reasons"][0]["code"]), (&json!("limit"), &json!("limit_reached")));
        assert_eq!(limit["next"], "2012-05-09T00:00:00Z");
        assert_eq!(
            (&limit["reasons"][0]["limit"], &granted["now"]),
            (&json!("person"), &json!("2012-05-08T19:00:00Z"))
        );
        assert_eq!(limit["code"], Value::Null);

        // It can be taken back, as nobody saw it: by the kiosk that asked.
        let undo = json!({"grant": granted["grant"]});
        let other = Screen::kiosk(&app, 'b').await;
        let token = [("perkgate-page", other.page_token.as_str())];
        other.send("/kiosk/undo", &undo, &token).await.problem(403, "forbidden");
        let token = [("perkgate-page", screen.page_token.as_str())];
        assert_eq!(screen.send("/kiosk/undo", &undo, &token).await.status, 204);
        let check = format!("/v1/checks/{}", granted["check"].as_str().unwrap());
        let admin = app.admin(&app.cathay).await;
        assert_eq!(admin.get(&check).await.is(200)["voided_at"], "2012-05-08T19:00:00Z");
        app.world.pass(5);
        let again = screen.ask("twitter:ada", "one").await.is(200);
        assert_eq!([&again["form"], &again["ended_at"]], [&json!("ended"), &json!("2012-05-08T19:00:00Z")]);
        assert_eq!([&again["code"], &again["until"]], [&Value::Null; 2], "its token is never shown again");
        assert_eq!((&again["reasons"], &again["now"]), (&json!([]), &json!("2012-05-08T19:00:05Z")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_the_gap_in_whole_points_and_never_the_score() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "37.4").await;
        let screen = Screen::kiosk(&app, 'a').await;
        let reply = screen.ask("twitter:ada", "one").await;
        let refused = reply.is(200);
        assert_eq!(refused["form"], "refused");
        let [reason] = refused["reasons"].as_array().unwrap().as_slice() else { panic!("{refused}") };
        assert_eq!(
            [&reason["code"], &reason["tier"], &reason["wanted"], &reason["gap"]],
            [&json!("score_below_threshold"), &json!("Main lounge"), &json!(40), &json!(3)]
        );
        assert!(!reply.text.contains("37.4") && !reply.text.contains("2.6"), "{}", reply.text);
        app.world.score(&app.cathay, "twitter:bob", "12").await;
        let far = screen.ask("twitter:bob", "two").await;
        assert_eq!(far.is(200)["reasons"][0]["gap"], Value::Null, "too far to say how far");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_said_and_nothing_is_recorded() {
    let app = TestApp::start(&[]).await;
    app.lounge(LOUNGE, "50").await;
    let screen = Screen::kiosk(&app, 'a').await;
    let before = app.footprint().await;
    let bent = format!("M1{}", "X".repeat(60));
    for (nth, read) in ["", " ", "twitter:", "a b", bent.as_str()].into_iter().enumerate() {
        let refused = screen.ask(read, &nth.to_string()).await;
        assert_eq!(refused.problem(422, "invalid_request")[0].0, "/read", "{read}");
    }
    assert_eq!(app.footprint().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kiosk_shows_its_place_and_is_seen() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let screen = Screen::kiosk(&app, 'a').await;
        let ask =
            screen.client.ask(Method::GET, "/kiosk/state?page=abc123").header("perkgate-page", &screen.page_token);
        let state = ask.header("cookie", screen.cookie.as_deref().unwrap()).await;
        let state = state.is(200);
        assert_eq!(state["asks_party"], false);
        let page = screen.open("/kiosk").await;
        assert_eq!(state["version"], attribute(&page.text, "data-version"), "it is of now");
        assert_eq!(
            (&state["location"], &state["kiosk"], &state["state"]),
            (&json!("SFO-A"), &json!("A12"), &json!("open"))
        );
        let tiers: Vec<_> = state["tiers"].as_array().unwrap().iter().map(|tier| tier["name"].clone()).collect();
        assert_eq!(tiers, ["First lounge", "Main lounge"]);
        let admin = app.admin(&app.cathay).await;
        app.world.gateway.directory.write_uses().await.unwrap();
        let listed = admin.get("/v1/devices").await;
        let device = listed.is(200)["devices"][0].clone();
        assert_eq!((&device["seen_at"], &device["page"]), (&json!("2012-05-08T19:00:00Z"), &json!("abc123")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_referral_ends_at_the_kiosk_that_asked() {
    for app in TestApp::all().await {
        let rule = r#"{"score":{"source":"klout","on_missing":"refer"},"tiers":[{"id":"main","name":"Main lounge",
            "when":{"attr":"score","op":"gte","value":40}}],"token":{"audience":"sfo-lounge","ttl":"PT30M"}}"#;
        app.lounge(rule, "50").await;
        let (screen, other) = (Screen::kiosk(&app, 'a').await, Screen::kiosk(&app, 'b').await);
        let again = async |screen: &Screen, check: &Value| {
            let token = [("perkgate-page", screen.page_token.as_str())];
            screen.send("/kiosk/checks/again", &json!({"check": check}), &token).await
        };
        let waiting = screen.ask("twitter:new", "one").await.is(200);
        assert_eq!(waiting["form"], "waiting");
        assert_eq!(again(&screen, &waiting["check"]).await.is(200)["form"], "waiting");
        again(&other, &waiting["check"]).await.problem(404, "not_found");
        let admin = app.admin(&app.cathay).await;
        let decide = format!("/v1/referrals/{}/decide", waiting["check"].as_str().unwrap());
        let note = json!({"decision": "grant", "tier": "main", "note": "in person"});
        assert_eq!(admin.post(&decide, &note).await.status, 201);
        let granted = again(&screen, &waiting["check"]).await.is(200);
        assert_eq!((&granted["form"], &granted["tier"]), (&json!("granted"), &json!("Main lounge")));
        assert!(granted["code"]["path"].is_string());

        let waiting = screen.ask("twitter:old", "two").await.is(200);
        let decide = format!("/v1/referrals/{}/decide", waiting["check"].as_str().unwrap());
        let decided = admin.post(&decide, &json!({"decision": "deny", "note": "nobody"})).await;
        assert!(decided.status < 300, "{}", decided.text);
        let declined = again(&screen, &waiting["check"]).await.is(200);
        assert_eq!((&declined["form"], &declined["reasons"][0]["code"]), (&json!("refused"), &json!("declined")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_of_the_shell_is_there_and_the_worker_keeps_nothing_else() {
    let app = TestApp::start(&[]).await;
    app.lounge(LOUNGE, "50").await;
    let screen = Screen::kiosk(&app, 'a').await;
    let worker = screen.open("/kiosk/worker.js").await;
    assert_eq!((worker.status, worker.header("service-worker-allowed")), (200, "/kiosk"));
    let shell = worker.text.split_once("const SHELL = ").unwrap().1.split_once(';').unwrap().0;
    let shell: Vec<String> = serde_json::from_str(shell).unwrap();
    assert_eq!(shell.len(), 9);
    for file in &shell {
        let reply = screen.open(file).await;
        assert_eq!(reply.status, 200, "{file}");
        assert!(reply.header("cache-control").contains("immutable"), "{file}: {}", reply.header("cache-control"));
    }
    let manifest = screen.open("/kiosk/manifest.json").await;
    assert_eq!(manifest.is(200)["display"], "fullscreen");
    for path in ["/kiosk", "/wall"] {
        let page = screen.open(path).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains("<noscript>") && page.header("cache-control") == "no-store", "{path}");
        assert!(page.header("permissions-policy").contains("camera=(self)"));
    }
    let door =
        NewKey { audience: Some("sfo-lounge".into()), ..NewKey::of(Role::Door, Some(app.cathay.id.clone()), "SFO A3") };
    let (_, door) = Screen::paired(&app, door, 'd').await;
    door.open("/kiosk").await.problem(403, "forbidden");
    assert_eq!(screen.open("/kiosk/nothing").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_house_is_no_ones_own_limit() {
    for app in TestApp::all().await {
        let rule = r#"{"score":{"source":"klout"},"tiers":[{"id":"main","name":"Main lounge",
            "when":{"attr":"score","op":"gte","value":40}}],
            "limits":[{"id":"house-day","scope":["perk"],"max":3,"cost":"party","window":{"calendar":"day"}}]}"#;
        app.lounge(rule, "50").await;
        let screen = Screen::kiosk(&app, 'a').await;
        assert_eq!(state(&screen).await.is(200)["asks_party"], true, "a limit counts heads");
        let headers = [("perkgate-page", screen.page_token.as_str()), ("idempotency-key", "one")];
        let three = screen.send("/kiosk/checks", &json!({"read": "twitter:ada", "people": 3}), &headers).await;
        assert_eq!(three.is(200)["form"], "granted");
        app.world.score(&app.cathay, "twitter:bob", "50").await;
        let full = screen.ask("twitter:bob", "two").await.is(200);
        assert_eq!((&full["form"], &full["reasons"][0]["limit"]), (&json!("limit"), &json!("house")));
    }
}

async fn state(screen: &Screen) -> crate::support::client::Reply {
    let ask = screen.client.ask(Method::GET, "/kiosk/state").header("perkgate-page", &screen.page_token);
    ask.header("cookie", screen.cookie.as_deref().unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_on_the_party_asks_for_it() {
    let app = TestApp::start(&[]).await;
    let rule = r#"{"tiers":[{"id":"main","name":"Main lounge","when":{"attr":"context.party","op":"lte","value":2}}]}"#;
    app.lounge(rule, "50").await;
    let screen = Screen::kiosk(&app, 'a').await;
    assert_eq!(state(&screen).await.is(200)["asks_party"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kiosk_without_a_perk_is_for_the_only_one_that_decides() {
    for app in TestApp::all().await {
        let made = app.world.gateway.directory.create_device(
            NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "SFO A12"),
            None,
            CLI,
        );
        let (device, NewCode { code, .. }) = made.await.unwrap();
        let mut screen = Screen::new(&app);
        let words = screen.pair(code.expose(), 'a').await.text_of("words");
        let directory = &app.world.gateway.directory;
        directory.confirm_device(app.cathay.id.clone(), device.key.id, &words, CLI).await.unwrap();
        screen.page_token = attribute(&screen.open("/kiosk").await.text, "data-page");
        state(&screen).await.problem(409, "wrong_status");

        // More drafts than any page of a list has, before it by name.
        let rule = r#"{"at_least":40,"score":"klout"}"#;
        for nth in 0..25 {
            let version = NewVersion { rule: Json::parse(rule).unwrap(), publish: false, change_note: None };
            let slug = format!("a-{nth}").parse().unwrap();
            app.world.gateway.catalog.create_perk(&app.cathay.id, CLI, slug, "Draft", version).await.unwrap();
        }
        app.lounge(LOUNGE, "50").await;
        assert_eq!(state(&screen).await.is(200)["perk"], "sfo-lounge");
        assert_eq!(screen.ask("twitter:ada", "one").await.is(200)["form"], "granted");
        app.world.perk(&app.cathay, "zrh-lounge", rule).await;
        state(&screen).await.problem(409, "wrong_status");
        screen.ask("twitter:ada", "two").await.problem(409, "wrong_status");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_and_a_door_have_a_page_of_their_own() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let kiosk = Screen::kiosk(&app, 'a').await;
        for (role, letter, home, other) in [(Role::Desk, 'b', "/desk", "/door"), (Role::Door, 'c', "/door", "/desk")] {
            let audience = (role == Role::Door).then(|| "sfo-lounge".to_owned());
            let new = NewKey { audience, ..NewKey::of(role, Some(app.cathay.id.clone()), "SFO A3") };
            let (device, screen) = Screen::paired(&app, new, letter).await;
            assert_eq!(screen.open("/pair").await.header("location"), home);
            let page = screen.open(home).await;
            assert_eq!(page.status, 200, "{}", page.text);
            let id = device.key.id.to_string();
            let says = if role == Role::Desk { "Who is next?" } else { id.as_str() };
            assert!(page.text.contains(says), "{}", page.text);
            assert!(page.header("set-cookie").contains("Max-Age=34560000"), "it is renewed");
            assert_eq!(screen.open(other).await.header("location"), home);
            assert_eq!(kiosk.open(home).await.header("location"), "/kiosk");
            assert_eq!(Screen::new(&app).open(home).await.header("location"), "/pair");
            let admin = app.admin(&app.cathay).await;
            assert_eq!(admin.delete(&format!("/v1/devices/{id}")).await.status, 204);
            assert_eq!(screen.open(home).await.header("location"), "/pair");
            assert_eq!(screen.open("/pair").await.status, 200, "it can be paired again");
        }
    }
}
