//! `POST /v1/tokens/redeem`: one winner, the same answer to the same attempt, and no forgery.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use perkgate::access::Role;
use serde_json::{Value, json};

use crate::http::v1::{LOUNGE, OPEN_LOUNGE};
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::shape::assert_shape;

async fn token(kiosk: &Client) -> String {
    kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await.text_of("token")
}

async fn redeem(client: &Client, token: &str, door: &str, attempt: &str) -> Reply {
    client.post("/v1/tokens/redeem", &json!({"token": token, "door": door, "attempt": attempt})).await
}

/// The reason why the token is not valid.
#[track_caller]
fn why(reply: &Reply) -> String {
    let (pointer, code) = reply.spot(422, "invalid_token");
    assert_eq!(pointer, "/token");
    code
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_scanner_puts_around_a_token_is_no_part_of_it() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        for (nth, [before, behind]) in [["", "\r\n"], ["\r\n", ""], [" ", "\n"], ["\t", "\r"]].into_iter().enumerate() {
            let token = token(&kiosk).await;
            let scanned = format!("{before}{token}{behind}");
            let encoded = [('\r', "%0D"), ('\n', "%0A"), (' ', "%20"), ('\t', "%09")]
                .iter()
                .fold(scanned.clone(), |text, (c, code)| text.replace(*c, code));
            let form = format!("token={encoded}");
            let asked = kiosk.ask(reqwest::Method::POST, "/v1/tokens/introspect").form(&form).await;
            assert_eq!(asked.is(200)["active"], true, "{before:?} {behind:?}");
            let spent = redeem(&kiosk, &scanned, "SFO-A-3", &format!("try-{nth}")).await;
            spent.is(200);
            // The attempt is the token's, however it was scanned.
            assert_eq!(redeem(&kiosk, &token, "SFO-A-3", &format!("try-{nth}")).await.text, spent.text);
        }
        let token = token(&kiosk).await;
        assert_eq!(why(&redeem(&kiosk, &token.replacen('.', ".\r\n", 1), "SFO-A-3", "try").await), "malformed");
        let body = json!({"token": token, "door": "SFO-A-3", "attempt": "try"});
        kiosk.post_text("/v1/tokens/redeem", format!("\u{FEFF}{body}")).await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_spent_once_and_the_same_attempt_is_answered_alike_even_after_expiry() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let (kiosk, other_kiosk) = (app.kiosk().await, app.kiosk().await);
        let token = token(&kiosk).await;
        app.world.pass(60);
        let spent = redeem(&kiosk, &token, "SFO-A-3", "try-1").await;
        assert_shape!(spent, @r#"
        200
        {
          "grant":"grt_…",
          "perk":"sfo-lounge",
          "tier":"standard",
          "party":1,
          "redeemed_at":"2012-05-08T19:01:00Z"
        }
        "#);
        let after = app.footprint().await;
        assert_eq!(after.redemptions, 1);

        let conflicts = async || {
            let conflict = redeem(&kiosk, &token, "SFO-A-3", "try-2").await;
            conflict.problem(409, "already_redeemed");
            redeem(&kiosk, &token, "SFO-A-4", "try-1").await.problem(409, "already_redeemed");
            redeem(&other_kiosk, &token, "SFO-A-3", "try-1").await.problem(409, "already_redeemed");
            conflict
        };
        assert_shape!(conflicts().await, @r#"
        409
        {
          "type":"urn:perkgate:problem:already_redeemed",
          "title":"The token was spent before",
          "status":409,
          "detail":"This token was spent at another door, with another key, or in another attempt.",
          "code":"already_redeemed",
          "request_id":"req_…"
        }
        "#);
        assert_eq!(redeem(&kiosk, &token, "SFO-A-3", "try-1").await.text, spent.text);
        app.world.pass(24 * 3600);
        assert_eq!(
            redeem(&kiosk, &token, "SFO-A-3", "try-1").await.text,
            spent.text,
            "the door may have lost the answer"
        );
        conflicts().await;
        assert_eq!(app.footprint().await, after, "nothing of it is recorded again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_expires_with_half_a_minute_of_grace() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        let (in_time, late) = (token(&kiosk).await, token(&kiosk).await);
        app.world.pass(900 + 29);
        redeem(&kiosk, &in_time, "A", "1").await.is(200);
        app.world.pass(2);
        assert_shape!(redeem(&kiosk, &late, "A", "1").await, @r#"
        422
        {
          "type":"urn:perkgate:problem:invalid_token",
          "title":"The token is not valid here",
          "status":422,
          "detail":"The token has expired.",
          "code":"invalid_token",
          "request_id":"req_…",
          "errors":[{"pointer":"/token","code":"expired","detail":"The token has expired."}]
        }
        "#);
        assert_eq!(app.footprint().await.redemptions, 1);
        // A clock that is behind.
        app.world.pass(-3600);
        assert_eq!(why(&redeem(&kiosk, &late, "A", "1").await), "not_yet_valid");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rush_on_one_token_has_one_winner() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        let token = token(&kiosk).await;
        let attempts: Vec<String> = (0..20).map(|nth| nth.to_string()).collect();
        let rush = attempts.iter().map(|attempt| redeem(&kiosk, &token, "A", attempt));
        let answers = futures_util::future::join_all(rush).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert_eq!(answers.iter().filter(|answer| answer.status == 409).count(), 19);
        assert_eq!(app.footprint().await.redemptions, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_redeems_for_its_own_audience_only() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let token = token(&app.kiosk().await).await;
        let elsewhere = app.door(&app.cathay, "hkg-lounge").await;
        assert_eq!(why(&redeem(&elsewhere, &token, "HKG", "1").await), "wrong_audience");
        let namesake = app.door(&app.american, "sfo-lounge").await;
        assert_eq!(why(&redeem(&namesake, &token, "DFW", "1").await), "bad_signature");
        assert_eq!(app.footprint().await.redemptions, 0);
        app.door(&app.cathay, "sfo-lounge").await;
        redeem(&app.door(&app.cathay, "sfo-lounge").await, &token, "SFO", "1").await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_many_uses_opens_again() {
    let rule = r#"{"score":{"source":"klout"},"tiers":[{"id":"t","when":{"attr":"score","op":"gte","value":40}}],
      "token":{"audience":"all-doors","ttl":"PT1H","single_use":false}}"#;
    for app in TestApp::all().await {
        app.lounge(rule, "47.25").await;
        let token = token(&app.kiosk().await).await;
        let door = app.door(&app.cathay, "all-doors").await;
        for attempt in ["1", "2", "2"] {
            redeem(&door, &token, "A", attempt).await.is(200);
        }
        assert_eq!(app.footprint().await.redemptions, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_merchants_token_is_answered_like_a_forged_one() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        app.world.perk(&app.american, "sfo-lounge", OPEN_LOUNGE).await;
        app.world.score(&app.american, "twitter:ada", "80").await;
        let theirs = token(&app.role(&app.american, Role::Kiosk).await).await;
        let kiosk = app.kiosk().await;
        let ours = token(&kiosk).await;
        let (signed, _) = ours.rsplit_once('.').unwrap();
        let (_, foreign_signature) = theirs.rsplit_once('.').unwrap();
        let forged = redeem(&kiosk, &format!("{signed}.{foreign_signature}"), "A", "1").await;
        assert_shape!(forged, @r#"
        422
        {
          "type":"urn:perkgate:problem:invalid_token",
          "title":"The token is not valid here",
          "status":422,
          "detail":"The token's signature does not fit.",
          "code":"invalid_token",
          "request_id":"req_…",
          "errors":[{"pointer":"/token","code":"bad_signature","detail":"The token's signature does not fit."}]
        }
        "#);
        let foreign = redeem(&kiosk, &theirs, "A", "1").await;
        assert_eq!(foreign.shape(), forged.shape());
        // Spent or not, expired or not: nothing can be learnt about it.
        redeem(&app.admin(&app.american).await, &theirs, "A", "1").await.is(200);
        assert_eq!(redeem(&kiosk, &theirs, "A", "1").await.shape(), forged.shape());
        app.world.pass(3600);
        assert_eq!(redeem(&kiosk, &theirs, "A", "2").await.shape(), forged.shape());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_cut_or_bent_anywhere_is_refused() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        let token = token(&kiosk).await;
        let before = app.footprint().await;
        for at in (0..token.len()).step_by(9).chain([token.len() - 1]) {
            let mut bent = token.clone().into_bytes();
            bent[at] ^= 1;
            // Some bent bytes are no text any more, which no JSON can carry.
            if let Ok(bent) = String::from_utf8(bent) {
                why(&redeem(&kiosk, &bent, "A", "1").await);
            }
            why(&redeem(&kiosk, &token[..at], "A", "1").await);
        }
        let long = format!("{token}{}", "A".repeat(5000));
        for bad in [
            "",
            ".",
            "..",
            "a.b.c",
            &format!("{token}."),
            &format!("\u{A0}{token}"),
            &token.replacen('.', " .", 1),
            &format!("{token}="),
            &long,
            "\0",
            "\u{202E}",
        ] {
            assert_eq!(why(&redeem(&kiosk, bad, "A", "1").await), "malformed", "{bad:?}");
        }
        assert_eq!(app.footprint().await, before);
        redeem(&kiosk, &token, "A", "1").await.is(200);
    }
}

fn part(json: &Value) -> String {
    BASE64URL.encode(json.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_can_not_choose_how_it_is_checked() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        let token = token(&kiosk).await;
        let claims = token.split('.').nth(1).unwrap();
        let keys = app.anonymous().get("/.well-known/jwks.json").await.json();
        let (kid, x) = (keys["keys"][0]["kid"].clone(), keys["keys"][0]["x"].as_str().unwrap().to_owned());
        let typ = "eligibility+jwt";
        let before = app.footprint().await;

        let none = part(&json!({"alg": "none", "kid": kid, "typ": typ}));
        for unsigned in [format!("{none}.{claims}."), format!("{none}.{claims}.AAAA")] {
            why(&redeem(&kiosk, &unsigned, "A", "1").await);
        }

        // The public key taken for a shared secret, in each form in which a library might take it.
        let header = part(&json!({"alg": "HS256", "kid": kid, "typ": typ}));
        let signed = format!("{header}.{claims}");
        for secret in [BASE64URL.decode(&x).unwrap(), x.clone().into_bytes(), keys["keys"][0].to_string().into_bytes()]
        {
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes());
            let forged = format!("{signed}.{}", BASE64URL.encode(tag));
            assert_eq!(why(&redeem(&kiosk, &forged, "A", "1").await), "unsupported_algorithm");
        }

        // A key of the forger's own, brought along or merely named.
        let own = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": BASE64URL.encode(own.public_key())});
        for (header, slug) in [
            (json!({"alg": "EdDSA", "jwk": jwk, "kid": kid, "typ": typ}), "unsupported_header"),
            (json!({"alg": "EdDSA", "jku": "http://127.0.0.1:1/", "kid": kid, "typ": typ}), "unsupported_header"),
            (json!({"alg": "EdDSA", "crit": ["exp"], "kid": kid, "typ": typ}), "unsupported_header"),
            (json!({"alg": "EdDSA", "kid": "mine", "typ": typ}), "unknown_key"),
            (json!({"alg": "EdDSA", "kid": kid, "typ": "JWT"}), "wrong_type"),
            (json!({"alg": "EdDSA", "kid": kid, "typ": typ}), "bad_signature"),
        ] {
            let signed = format!("{}.{claims}", part(&header));
            let forged = format!("{signed}.{}", BASE64URL.encode(own.sign(signed.as_bytes())));
            assert_eq!(why(&redeem(&kiosk, &forged, "A", "1").await), slug, "{header}");
        }
        assert_eq!(app.footprint().await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_door_must_say_is_pointed_at() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        let token = token(&kiosk).await;
        for (body, pointer, code) in [
            (json!({"door": "A", "attempt": "1"}), "/token", "missing_field"),
            (json!({"token": token, "attempt": "1"}), "/door", "missing_field"),
            (json!({"token": token, "door": "A"}), "/attempt", "missing_field"),
            (json!({"token": token, "door": "", "attempt": "1"}), "/door", "invalid_value"),
            (json!({"token": token, "door": "A\u{0}", "attempt": "1"}), "/door", "invalid_value"),
            (json!({"token": token, "door": "A\u{202E}", "attempt": "1"}), "/door", "invalid_value"),
            (json!({"token": token, "door": "A".repeat(81), "attempt": "1"}), "/door", "invalid_value"),
            (json!({"token": token, "door": "A", "attempt": "1".repeat(129)}), "/attempt", "invalid_value"),
            (json!({"token": 7, "door": "A", "attempt": "1"}), "/token", "wrong_type"),
            (json!({"token": token, "door": "A", "attempt": "1", "force": true}), "/force", "unknown_field"),
        ] {
            let spot = kiosk.post("/v1/tokens/redeem", &body).await.spot(422, "invalid_request");
            assert_eq!(spot, (pointer.to_owned(), code.to_owned()), "{body}");
        }
        assert_eq!(app.footprint().await.redemptions, 0);
    }
}
