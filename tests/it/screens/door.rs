//! A door's page: what it needs to check tokens alone, and how it spends and reports them by its cookie.

use jiff::{SignedDuration, Timestamp};
use perkgate::tokens::{Jwks, Verifier};
use reqwest::Method;
use serde_json::{Value, json};

use super::screen::{Screen, attribute, findings};
use crate::support::app::TestApp;
use crate::support::client::Reply;
use crate::support::world::CLI;

const LOUNGE: &str = r#"{"score":{"source":"klout"},"tiers":[{"id":"main","name":"Main lounge","guests":{"free":1,"max":3},
    "when":{"attr":"score","op":"gte","value":40}}],"token":{"audience":"sfo-lounge","ttl":"PT30M"}}"#;

const NOW: &str = "2012-05-08T19:00:00Z";

/// The token of a visit of this many people.
async fn granted(app: &TestApp, people: u64) -> String {
    let question = json!({"perk": "sfo-lounge", "subject": "twitter:ada", "context": {"party": people}});
    app.kiosk().await.post("/v1/checks", &question).await.text_of("token")
}

/// A call of the door's page.
async fn call(door: &Screen, path: &str, value: &Value) -> Reply {
    door.send(path, value, &[("perkgate-page", &door.page_token)]).await
}

async fn redeem(door: &Screen, token: &str, attempt: &str) -> Value {
    call(door, "/door/redeem", &json!({"token": token, "attempt": attempt})).await.is(200)
}

async fn state(door: &Screen) -> Reply {
    let ask = door.client.ask(Method::GET, "/door/state?page=abc123").header("perkgate-page", &door.page_token);
    ask.header("cookie", door.cookie.as_deref().unwrap_or_default()).await
}

async fn report(door: &Screen, items: &[Value]) -> Vec<Value> {
    let answer = call(door, "/door/late", &json!({"items": items})).await.is(200);
    answer["results"].as_array().unwrap().clone()
}

fn item(token: &str, attempt: &str) -> Value {
    json!({"token": token, "attempt": attempt, "at": NOW})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_gets_the_keys_and_the_names_by_which_it_checks_alone() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        app.world.perk(&app.cathay, "hkg-lounge", &LOUNGE.replace("sfo-lounge", "hkg-pier")).await;
        let (_, door) = Screen::door(&app, 'd').await;
        let state = state(&door).await.is(200);
        assert_eq!(
            [&state["door"], &state["audience"], &state["most"], &state["now"]],
            [&json!("SFO-A-d"), &json!("cathay/sfo-lounge"), &json!(5_000), &json!(NOW)]
        );
        let tiers = json!({"main": {"name": "Main lounge", "free": 1}});
        let perks = json!([{"perk": "sfo-lounge", "version": 1, "reusable": false, "tiers": tiers}]);
        assert_eq!(state["perks"], perks, "another door's are no matter here");
        assert_eq!(state["version"], attribute(&door.open("/door").await.text, "data-version"));

        // They are the published ones, and prove what this gateway signs.
        let published = app.anonymous().get("/.well-known/jwks.json").await.is(200);
        assert_eq!(state["keys"], published);
        let keys = Jwks::parse(&state["keys"].to_string()).unwrap();
        let verifier = Verifier::offline(keys, state["issuer"].as_str().unwrap());
        let token = granted(&app, 1).await;
        let audience = state["audience"].as_str().unwrap();
        assert!(verifier.verify(&token, audience, NOW.parse::<Timestamp>().unwrap()).is_ok());

        // A new key is there before a token is signed by it.
        app.world.gateway.ledger.rotate_token_key(SignedDuration::from_mins(10), CLI).await.unwrap();
        let rotated = self::state(&door).await.is(200);
        assert_eq!(rotated["keys"]["keys"].as_array().unwrap().len(), 2);

        app.world.gateway.directory.write_uses().await.unwrap();
        let admin = app.admin(&app.cathay).await;
        let listed = admin.get("/v1/devices").await.is(200);
        assert_eq!((&listed["devices"][0]["seen_at"], &listed["devices"][0]["page"]), (&json!(NOW), &json!("abc123")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_once_and_a_retry_gets_its_answer() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let ((_, door), (_, other)) = (Screen::door(&app, 'd').await, Screen::door(&app, 'e').await);
        let token = granted(&app, 3).await;
        let admitted = redeem(&door, &format!(" {token}\r\n"), "one").await;
        let guests = json!({"admitted": 2, "free": 1, "charged": 1, "uncounted": 0, "refused": 0});
        assert_eq!(
            admitted,
            json!({"outcome": "admitted", "perk": "sfo-lounge", "tier": "main", "party": 3, "guests": guests,
                "redeemed_at": NOW})
        );
        app.world.pass(60);
        assert_eq!(redeem(&door, &token, "one").await, admitted, "a lost answer");
        let used = json!({"outcome": "used", "door": "SFO-A-d", "redeemed_at": NOW});
        assert_eq!(redeem(&door, &token, "two").await, used, "another try at the same door");
        assert_eq!(redeem(&other, &token, "one").await, used, "the same attempt at another door");
        let refused = |code: &str| json!({"outcome": "refused", "code": code});
        assert_eq!(redeem(&door, "not a token", "three").await, refused("malformed"));
        let late = granted(&app, 1).await;
        app.world.pass(3_600);
        assert_eq!(redeem(&door, &late, "four").await, refused("expired"));
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_offline_is_reported_in_order_and_twice_gets_the_same() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let ((_, door), (_, other)) = (Screen::door(&app, 'd').await, Screen::door(&app, 'e').await);
        let [first, lost, double] = [granted(&app, 2).await, granted(&app, 1).await, granted(&app, 1).await];
        // The answer to one was lost, so that the page took it alone by the same attempt; one came in elsewhere.
        redeem(&door, &lost, "lost").await;
        redeem(&other, &double, "other").await;
        app.world.pass(600);
        let items = [
            item(&first, "first"),
            item(&lost, "lost"),
            item(&double, "double"),
            json!({"token": first, "attempt": "", "at": "x"}),
        ];
        let told = report(&door, &items).await;
        let outcomes: Vec<_> = told.iter().map(|it| it["outcome"].as_str().unwrap()).collect();
        assert_eq!(outcomes, ["recorded", "recorded", "duplicate", "refused"]);
        assert_eq!((&told[0]["redeemed_at"], &told[0]["heard_at"]), (&json!(NOW), &json!("2012-05-08T19:10:00Z")));
        assert_eq!(told[1]["heard_at"], Value::Null, "it had been redeemed at once");
        assert_eq!((&told[2]["door"], &told[2]["redeemed_at"]), (&json!("SFO-A-e"), &json!(NOW)));
        assert_eq!(told[3]["code"], "invalid_item");
        let before = app.footprint().await;
        app.world.pass(60);
        assert_eq!(report(&door, &items).await[..3], told[..3], "nothing is counted twice");
        assert_eq!(app.footprint().await, before);
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_bounded_and_each_item_counts() {
    for app in TestApp::all_with(&[("rate_per_key", "30")]).await {
        app.lounge(LOUNGE, "50").await;
        let (_, door) = Screen::door(&app, 'd').await;
        let items = |number: usize| json!({"items": vec![item("x", "one"); number]});
        for number in [0, 51] {
            let refused = call(&door, "/door/late", &items(number)).await;
            assert_eq!(refused.problem(422, "invalid_request")[0].0, "/items", "{number}");
        }
        let large = json!({"items": [item(&"x".repeat(300_000), "one")]});
        call(&door, "/door/late", &large).await.problem(413, "body_too_large");
        let large = json!({"token": "x".repeat(80_000), "attempt": "one"});
        call(&door, "/door/redeem", &large).await.problem(413, "body_too_large");
        let refused = call(&door, "/door/redeem", &json!({"token": "x", "attempt": "x".repeat(129)})).await;
        assert_eq!(refused.problem(422, "invalid_request")[0].0, "/attempt");
        call(&door, "/door/redeem", &json!({"token": "x", "attempt": "one", "door": "mine"}))
            .await
            .problem(422, "invalid_request");
        assert_eq!(call(&door, "/door/late", &items(40)).await.is(200)["results"].as_array().unwrap().len(), 40);
        let mut busy = call(&door, "/door/late", &items(40)).await;
        for _ in 0..20 {
            if busy.status == 200 {
                busy = call(&door, "/door/late", &items(40)).await;
            }
        }
        busy.problem(429, "rate_limited");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_spends_or_reports_by_a_doors_page() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let (device, door) = Screen::door(&app, 'd').await;
        let (_, other) = Screen::door(&app, 'e').await;
        let kiosk = Screen::kiosk(&app, 'k').await;
        let token = granted(&app, 1).await;
        let calls = [
            ("/door/redeem", json!({"token": token, "attempt": "one"})),
            ("/door/late", json!({"items": [item(&token, "one")]})),
        ];
        let before = app.footprint().await;
        for (path, body) in &calls {
            let page = ("perkgate-page", door.page_token.as_str());
            for headers in [
                &[][..],
                &[("perkgate-page", "")],
                &[("perkgate-page", &other.page_token)],
                &[page, ("origin", "https://evil.example")],
            ] {
                door.send(path, body, headers).await.problem(403, "forbidden");
            }
            for site in ["cross-site", "same-site", "none"] {
                let ask = door.client.post(path, body).header("sec-fetch-site", site).header(page.0, page.1);
                ask.header("cookie", door.cookie.as_deref().unwrap()).await.problem(403, "forbidden");
            }
            let bare = Screen { page_token: door.page_token.clone(), ..Screen::new(&app) };
            call(&bare, path, body).await.problem(401, "missing_key");
            call(&kiosk, path, body).await.problem(403, "forbidden");
        }
        state(&kiosk).await.problem(403, "forbidden");
        state(&Screen { page_token: String::new(), ..Screen::new(&app) }).await.problem(401, "missing_key");
        assert_eq!(kiosk.open("/door").await.header("location"), "/kiosk");
        assert_eq!(Screen::new(&app).open("/door").await.header("location"), "/pair");
        assert_eq!(app.footprint().await, before);

        // Another merchant's token is a forged one here, and one for another door is refused.
        app.world.perk(&app.american, "ord-lounge", LOUNGE).await;
        app.world.score(&app.american, "twitter:ada", "50").await;
        let question = json!({"perk": "ord-lounge", "subject": "twitter:ada"});
        let foreign = app.role(&app.american, perkgate::access::Role::Kiosk).await;
        let foreign = foreign.post("/v1/checks", &question).await.text_of("token");
        assert_eq!(redeem(&door, &foreign, "one").await, json!({"outcome": "refused", "code": "bad_signature"}));

        // Signing it off ends its page at once.
        let admin = app.admin(&app.cathay).await;
        assert_eq!(admin.delete(&format!("/v1/devices/{}", device.key.id)).await.status, 204);
        for (path, body) in &calls {
            call(&door, path, body).await.problem(401, "missing_key");
        }
        state(&door).await.problem(401, "missing_key");
        assert_eq!(door.open("/door").await.header("location"), "/pair");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_of_a_doors_shell_is_there() {
    let app = TestApp::start(&[]).await;
    app.lounge(LOUNGE, "50").await;
    let (_, door) = Screen::door(&app, 'd').await;
    let page = door.open("/door").await;
    assert!(page.text.contains("<noscript>") && page.header("cache-control") == "no-store");
    assert!(page.header("permissions-policy").contains("camera=(self)"));
    let worker = door.open("/door/worker.js").await;
    assert_eq!((worker.status, worker.header("service-worker-allowed")), (200, "/door"));
    assert!(worker.text.contains("const PAGE = \"/door\"") && !worker.text.contains("__"), "{}", worker.text);
    let shell = worker.text.split_once("const SHELL = ").unwrap().1.split_once(';').unwrap().0;
    let shell: Vec<String> = serde_json::from_str(shell).unwrap();
    assert_eq!(shell.len(), 3);
    for file in &shell {
        assert_eq!(door.open(file).await.status, 200, "{file}");
    }
    let manifest = door.open("/door/manifest.json").await.is(200);
    assert_eq!((&manifest["start_url"], &manifest["scope"]), (&json!("/door"), &json!("/door")));
    assert_eq!(door.open("/door/nothing").await.status, 404);
}
