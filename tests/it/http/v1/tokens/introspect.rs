//! `POST /v1/tokens/introspect`: whether a token would open a door now, and nothing about one that would not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use perkgate::access::{NewKey, Role};
use serde_json::{Value, json};

use crate::http::v1::{LOUNGE, OPEN_LOUNGE};
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};

const MANY_DOORS: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"t","when":{"attr":"score","op":"gte","value":40}}],"token":{"single_use":false}}"#;

/// One seat for an hour, and a token that lives longer.
const SEAT: &str = r#"{"score":{"source":"klout"},"tiers":[{"id":"t","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"seats","scope":["perk"],"max":1,"window":{"concurrent":{"max_stay":"PT1H"}}}],
  "token":{"single_use":false,"ttl":"PT4H"}}"#;

const INTROSPECT: &str = "/v1/tokens/introspect";

async fn token(kiosk: &Client) -> Reply {
    let ask = json!({"perk": "sfo-lounge", "subject": "twitter:ada", "context": {"party": 2}});
    kiosk.post("/v1/checks", &ask).await
}

async fn introspect(client: &Client, token: &str) -> Value {
    let reply = client.ask(reqwest::Method::POST, INTROSPECT).form(&format!("token={token}")).await;
    assert_eq!((reply.header("content-type"), reply.header("cache-control")), ("application/json", "no-store"));
    reply.is(200)
}

async fn redeem(client: &Client, token: &str, attempt: &str) -> Reply {
    client.post("/v1/tokens/redeem", &json!({"token": token, "door": "A", "attempt": attempt})).await
}

fn inactive() -> Value {
    json!({"active": false})
}

/// The claims that are signed.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL.decode(payload).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_with_its_claims_until_it_is_spent() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let here = NewKey {
            location: Some("SFO-A".to_owned()),
            ..NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "SFO A12")
        };
        let kiosk = app.client(here).await;
        let (admin, door) = (app.admin(&app.cathay).await, app.door(&app.cathay, "sfo-lounge").await);
        let other_kiosk = app.kiosk().await;
        let token = token(&kiosk).await.text_of("token");
        let before = app.footprint().await;
        let mut expected = claims(&token);
        assert_eq!((&expected["party"], &expected["loc"]), (&json!(2), &json!("SFO-A")));
        let more = [("active", json!(true)), ("token_type", json!("eligibility+jwt"))];
        let state = [("single_use", json!(true)), ("redemptions", json!(0))];
        for (name, value) in more.into_iter().chain(state) {
            expected[name] = value;
        }
        for caller in [&kiosk, &admin, &door, &other_kiosk] {
            assert_eq!(introspect(caller, &token).await, expected);
        }
        assert_eq!(app.footprint().await, before, "asking records nothing");
        redeem(&door, &token, "1").await.is(200);
        for caller in [&kiosk, &admin, &door] {
            assert_eq!(introspect(caller, &token).await, inactive(), "it is spent");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_many_doors_says_how_often_it_was_spent() {
    for app in TestApp::all().await {
        app.lounge(MANY_DOORS, "47.25").await;
        let kiosk = app.kiosk().await;
        let token = token(&kiosk).await.text_of("token");
        for times in 0..3 {
            let shown = introspect(&kiosk, &token).await;
            assert_eq!((&shown["active"], &shown["single_use"]), (&json!(true), &json!(false)));
            assert_eq!(shown["redemptions"], times);
            redeem(&kiosk, &token, &times.to_string()).await.is(200);
            redeem(&kiosk, &token, &times.to_string()).await.is(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_of_any_other_token() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        app.world.perk(&app.american, "sfo-lounge", OPEN_LOUNGE).await;
        app.world.score(&app.american, "twitter:ada", "50").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let good = token(&kiosk).await.text_of("token");
        assert_eq!(introspect(&kiosk, &good).await["active"], true);

        // Somebody else's: of another merchant, for another door.
        let foreign = token(&app.admin(&app.american).await).await.text_of("token");
        assert_eq!(introspect(&admin, &foreign).await, inactive());
        assert_eq!(introspect(&app.door(&app.cathay, "jfk-lounge").await, &good).await, inactive());

        // Forged, or no token at all.
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let flipped = format!("{signed}.{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
        for forged in [flipped.as_str(), signed, "x", "a.b.c", "%00", &"a".repeat(5_000), &good.to_uppercase()] {
            assert_eq!(introspect(&admin, forged).await, inactive(), "{forged}");
        }

        // Taken back, left, over.
        let (voided, left) = (token(&kiosk).await, token(&kiosk).await);
        let grant = |reply: &Reply, step: &str| format!("/v1/grants/{}/{step}", reply.text_of("grant"));
        admin.post(&grant(&voided, "void"), &json!({"note": "A mistake."})).await.is(200);
        admin.post(&grant(&left, "release"), &json!({})).await.is(200);
        for over in [voided, left] {
            assert_eq!(introspect(&admin, &over.text_of("token")).await, inactive());
        }
        app.world.pass(900 + 29);
        assert_eq!(introspect(&kiosk, &good).await["active"], true, "as long as it can be redeemed");
        app.world.pass(1);
        assert_eq!(introspect(&kiosk, &good).await, inactive());
        redeem(&kiosk, &good, "1").await.problem(422, "invalid_token");
        app.world.pass(-3600);
        assert_eq!(introspect(&kiosk, &good).await, inactive(), "not yet");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_has_lapsed_opens_no_door() {
    for app in TestApp::all().await {
        app.lounge(SEAT, "47.25").await;
        let kiosk = app.kiosk().await;
        let ask = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        let token = kiosk.post("/v1/checks", &ask).await.text_of("token");
        redeem(&kiosk, &token, "1").await.is(200);
        assert_eq!(introspect(&kiosk, &token).await["redemptions"], 1);
        app.world.pass(3600);
        assert_eq!(introspect(&kiosk, &token).await, inactive(), "the seat may be another's by now");
        redeem(&kiosk, &token, "2").await.problem(422, "invalid_token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_read_within_bounds_and_as_the_standards_have_it() {
    let app = TestApp::start(&[]).await;
    app.lounge(OPEN_LOUNGE, "47.25").await;
    let (admin, kiosk) = (app.admin(&app.cathay).await, app.kiosk().await);
    let token = token(&kiosk).await.text_of("token");
    let before = app.footprint().await;
    for path in [INTROSPECT, "/v1/tokens/revoke"] {
        let ask = || admin.ask(reqwest::Method::POST, path);
        // JSON here would be taken for a token by nobody, and a query lands in logs.
        ask().json(json!({"token": token}).to_string()).await.problem(415, "unsupported_media_type");
        ask().await.problem(415, "unsupported_media_type");
        admin
            .ask(reqwest::Method::POST, &format!("{path}?token={token}"))
            .form("")
            .await
            .problem(422, "invalid_request");
        let encoded = ask().header("content-encoding", "gzip").form("token=x").await;
        encoded.problem(415, "unsupported_media_type");
        for (form, code) in [
            ("", "missing_field"),
            ("token=", "missing_field"),
            ("token_type_hint=access_token", "missing_field"),
            ("token=a&token=b", "duplicate_field"),
            ("token=a&token=", "duplicate_field"),
        ] {
            let refused = ask().form(form).await;
            assert_eq!(refused.spot(422, "invalid_request"), ("token".to_owned(), code.to_owned()), "{path} {form}");
        }
        ask().form("token=a&hint=b&hint=c").await.problem(422, "invalid_request");
        ask().form(&format!("token={}", "a".repeat(65_536))).await.problem(413, "body_too_large");
        let latin = ask().body("application/x-www-form-urlencoded", b"token=\xff".to_vec()).await;
        latin.problem(400, "bad_request");
    }
    assert_eq!(app.footprint().await, before);
    let form = format!("token={token}&token_type_hint=refresh_token&client_id=x&scope=");
    let asked = admin.ask(reqwest::Method::POST, INTROSPECT);
    let shown = asked.body("application/x-www-form-urlencoded; charset=UTF-8", form).await;
    assert_eq!(shown.is(200)["active"], true, "what is unknown is passed over");
}
