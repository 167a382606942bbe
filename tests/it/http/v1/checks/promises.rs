//! `POST /v1/checks`: what it promises (`src/lib.rs` lists them), seen from outside.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

use crate::http::v1::{LOUNGE, OPEN_LOUNGE};
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::world::ISSUER;

fn ask(subject: &str) -> Value {
    json!({"perk": "sfo-lounge", "subject": subject})
}

async fn ask_once(client: &Client, key: &str, body: &Value) -> Reply {
    client.post("/v1/checks", body).header("idempotency-key", key).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_records_nothing() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        let dry = |subject: &str| json!({"perk": "sfo-lounge", "subject": subject, "dry_run": true});
        let before = app.footprint().await;
        for subject in ["twitter:ada", "twitter:ada", "twitter:nobody"] {
            let answer = ask_once(&kiosk, "dry", &dry(subject)).await.is(200);
            let decision = if subject == "twitter:ada" { "granted" } else { "denied" };
            assert_eq!(answer["decision"], decision);
            for absent in ["check", "grant", "token", "token_expires_at", "receipt"] {
                assert!(answer.get(absent).is_none(), "{absent} in {answer}");
            }
        }
        assert_eq!(app.footprint().await, before);
        // It says what a real question would be told now, and takes no part of the limit.
        let foreseen = kiosk.post("/v1/checks", &dry("twitter:ada")).await.is(200);
        let granted = kiosk.post("/v1/checks", &ask("twitter:ada")).await.is(200);
        for same in ["decision", "tier", "reasons", "limits", "score", "next_eligible_at", "rule_version"] {
            assert_eq!(foreseen[same], granted[same], "{same}");
        }
        let after = app.footprint().await;
        assert_eq!((after.grants, after.limits_used, after.events), (1, 1, before.events + 1));
        let refused = kiosk.post("/v1/checks", &dry("twitter:ada")).await.is(200);
        assert_eq!(refused["reasons"][0]["code"], "limit_reached");
        assert_eq!(app.footprint().await, after);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_question_is_answered_with_the_same_bytes() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        let granted = ask_once(&kiosk, "first", &ask("twitter:ada")).await;
        assert_eq!(granted.is(200)["decision"], "granted");
        let denied = ask_once(&kiosk, "second", &ask("twitter:ada")).await;
        assert_eq!(denied.is(200)["decision"], "denied");
        let after = app.footprint().await;
        app.world.score(&app.cathay, "twitter:ada", "12").await;
        app.world.perk(&app.cathay, "other", OPEN_LOUNGE).await;
        let published = json!({"rule": {"at_least": 90, "score": "klout"}, "publish": true});
        app.admin(&app.cathay).await.post("/v1/perks/sfo-lounge/versions", &published).await.is(201);
        app.world.pass(23 * 3600);
        let settled = app.footprint().await;
        assert_eq!(ask_once(&kiosk, "first", &ask("twitter:ada")).await.text, granted.text, "whatever changed since");
        assert_eq!(ask_once(&kiosk, "second", &ask("twitter:ada")).await.text, denied.text, "denials too");
        assert_eq!(app.footprint().await, settled, "and it is not recorded again");
        assert_eq!(after.grants, settled.grants);
        app.world.pass(3600);
        let anew = ask_once(&kiosk, "first", &ask("twitter:ada")).await.is(200);
        assert_eq!((&anew["decision"], &anew["rule_version"]), (&json!("denied"), &json!(2)), "a day later it is new");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_stands_for_one_body_of_one_api_key() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let (kiosk, other) = (app.kiosk().await, app.kiosk().await);
        let first = ask_once(&kiosk, "k", &ask("twitter:ada")).await;
        let before = app.footprint().await;
        for body in [ask("twitter:grace"), json!({"perk": "sfo-lounge", "subject": "twitter:ada", "context": {}})] {
            ask_once(&kiosk, "k", &body).await.problem(422, "idempotency_key_reused");
        }
        assert_eq!(app.footprint().await, before);
        let elsewhere = ask_once(&other, "k", &ask("twitter:ada")).await;
        assert_ne!(elsewhere.text_of("grant"), first.text_of("grant"), "another API key, another question");
        for bad in ["", &"k".repeat(256)] {
            ask_once(&kiosk, bad, &ask("twitter:ada")).await.problem(400, "bad_idempotency_key");
        }
        let twice = kiosk.post("/v1/checks", &ask("twitter:ada")).header("idempotency-key", "a");
        twice.header("idempotency-key", "b").await.problem(400, "bad_idempotency_key");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_question_leaves_its_idempotency_key_free() {
    for app in TestApp::all().await {
        let kiosk = app.kiosk().await;
        ask_once(&kiosk, "k", &ask("twitter:ada")).await.problem(404, "not_found");
        ask_once(&kiosk, "k", &ask("")).await.problem(422, "invalid_request");
        app.lounge(OPEN_LOUNGE, "47.25").await;
        assert_eq!(ask_once(&kiosk, "k", &ask("twitter:ada")).await.is(200)["decision"], "granted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_retries_is_one_grant_and_a_limit_admits_exactly_its_number() {
    let rule = r#"{"score":{"source":"klout"},"tiers":[{"id":"t","when":{"attr":"score","op":"gte","value":40}}],
      "limits":[{"id":"house","scope":["perk"],"max":7,"window":{"lifetime":true}}]}"#;
    for app in TestApp::all().await {
        app.lounge(rule, "47.25").await;
        let kiosk = app.kiosk().await;
        let body = ask("twitter:ada");
        let retries = (0..12).map(|_| ask_once(&kiosk, "k", &body));
        let retries = futures_util::future::join_all(retries).await;
        assert_eq!(retries[0].is(200)["decision"], "granted");
        assert!(retries.iter().all(|retry| retry.text == retries[0].text));
        assert_eq!(app.footprint().await.grants, 1);

        let rush = futures_util::future::join_all((0..30).map(|_| kiosk.post("/v1/checks", &body).into_future())).await;
        let granted = rush.iter().filter(|answer| answer.is(200)["decision"] == "granted").count();
        let footprint = app.footprint().await;
        assert_eq!((granted, footprint.grants, footprint.limits_used), (6, 7, 7));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kiosk_can_not_read_a_score_out_of_a_refusal() {
    for app in TestApp::all().await {
        app.world.perk(&app.cathay, "sfo-lounge", OPEN_LOUNGE).await;
        let kiosk = app.kiosk().await;
        let mut far = Vec::new();
        for score in 0..=100 {
            app.world.score(&app.cathay, &format!("twitter:s{score}"), &score.to_string()).await;
            let dry = json!({"perk": "sfo-lounge", "subject": format!("twitter:s{score}"), "dry_run": true});
            let answer = kiosk.post("/v1/checks", &dry).await;
            assert!(answer.is(200)["score"].get("value").is_none(), "{}", answer.text);
            let reason = answer.json()["reasons"][0].clone();
            match score {
                0..40 => far.push(answer.shape()),
                _ => assert_eq!(answer.json()["decision"], "granted"),
            }
            assert!(reason.get("short_by").is_none(), "{}", answer.text);
            // Recorded, it is told how far off somebody is who is close.
            if (30..40).contains(&score) {
                let answer = kiosk.post("/v1/checks", &ask(&format!("twitter:s{score}"))).await.is(200);
                assert_eq!(answer["reasons"][0]["short_by"], 40 - score, "{answer}");
            }
        }
        far.dedup();
        assert_eq!(far.len(), 1, "39 looks like 0: {far:?}");

        // Fractions, and reading back, tell no more.
        let mut recorded = Vec::new();
        for (subject, score, shown) in [
            ("twitter:s10", "10", None),
            ("twitter:s29", "29", None),
            ("twitter:f1", "29.999", None),
            ("twitter:f2", "30.001", Some(10)),
            ("twitter:f3", "30.999", Some(10)),
            ("twitter:f4", "39.999", Some(1)),
        ] {
            app.world.score(&app.cathay, subject, score).await;
            let answer = kiosk.post("/v1/checks", &ask(subject)).await;
            let again = kiosk.get(&format!("/v1/checks/{}", answer.text_of("check"))).await;
            assert_eq!(again.text, answer.text);
            let gap = answer.json()["reasons"][0].get("short_by").cloned();
            assert_eq!(gap, shown.map(|points: i32| json!(points)), "{score}: {}", answer.text);
            let receipt = format!("\"index\":{}", answer.json()["receipt"]["index"]);
            recorded.push((gap, answer.shape().replace(&receipt, "")));
        }
        recorded.dedup();
        assert_eq!(recorded.len(), 3, "one for every gap that is shown: {recorded:?}");

        let admin = app.admin(&app.cathay).await.post("/v1/checks", &ask("twitter:f1")).await.is(200);
        assert_eq!((&admin["score"]["value"], &admin["reasons"][0]["short_by"]), (&json!(29.999), &json!(10.001)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_verifies_with_another_implementation_and_tells_the_door_not_the_world() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        let body = json!({"perk": "sfo-lounge", "subject": "twitter:ada", "context": {"party": 2}});
        let granted = kiosk.post("/v1/checks", &body).await;
        let token = granted.text_of("token");
        let keys: JwkSet = serde_json::from_str(&app.anonymous().get("/.well-known/jwks.json").await.text).unwrap();
        let header = decode_header(&token).unwrap();
        assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::EdDSA, Some("eligibility+jwt")));
        let key = DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap()).unwrap();
        let mut wanted = Validation::new(Algorithm::EdDSA);
        wanted.set_issuer(&[ISSUER]);
        wanted.set_audience(&["cathay/sfo-lounge"]);
        // Its own clock is the wall's.
        (wanted.validate_exp, wanted.validate_nbf) = (false, false);
        let claims = decode::<Value>(&token, &key, &wanted).unwrap().claims;
        let now = app.world.now().as_second();
        let version = app.admin(&app.cathay).await.get("/v1/perks/sfo-lounge/versions/1").await;
        let expected = json!({
            "iss": ISSUER, "aud": "cathay/sfo-lounge", "sub": claims["sub"], "jti": granted.text_of("grant"),
            "iat": now, "nbf": now, "exp": now + 900, "merchant": "cathay", "perk": "sfo-lounge",
            "tier": "standard", "rule": 1, "rule_hash": version.text_of("rule_hash")[7..23], "party": 2
        });
        assert_eq!(claims, expected, "and no score, no handle");
        let sub = claims["sub"].as_str().unwrap();
        // A few letters of a handle may stand in a random text by chance, all of it can't.
        let random = sub.strip_prefix("sub_").unwrap();
        assert!(random.len() > 20 && !random.contains("twitter"), "{sub}");

        // The same person is somebody else to another merchant.
        app.world.perk(&app.american, "sfo-lounge", LOUNGE).await;
        app.world.score(&app.american, "twitter:ada", "50").await;
        let stranger = app.role(&app.american, perkgate::access::Role::Kiosk).await;
        let theirs = stranger.post("/v1/checks", &ask("twitter:ada")).await.text_of("token");
        wanted.set_audience(&["american/sfo-lounge"]);
        assert_ne!(decode::<Value>(&theirs, &key, &wanted).unwrap().claims["sub"], claims["sub"]);
    }
}
