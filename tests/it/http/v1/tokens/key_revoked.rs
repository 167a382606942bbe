//! A token key that was stolen and withdrawn: from then on nothing that it has signed is believed or sent.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use perkgate::access::Role;
use perkgate::eligibility::redeemer::RedeemError;
use perkgate::keyring::TokenKey;
use perkgate::tokens::{Jwks, TokenError, Verifier};
use serde_json::{Value, json};

use crate::http::v1::OPEN_LOUNGE;
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::world::{CLI, ISSUER, World, question};

async fn redeem(door: &Client, token: &str, attempt: &str) -> Reply {
    door.post("/v1/tokens/redeem", &json!({"token": token, "door": "A", "attempt": attempt})).await
}

#[track_caller]
fn why(reply: &Reply) -> String {
    let (pointer, code) = reply.spot(422, "invalid_token");
    assert_eq!(pointer, "/token");
    code
}

async fn published(app: &TestApp) -> Vec<String> {
    let keys = app.anonymous().get("/.well-known/jwks.json").await;
    assert_eq!(keys.header("cache-control"), "public, max-age=300");
    let keys = keys.is(200)["keys"].clone();
    keys.as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// What whoever holds the key signs.
fn forged(key: &TokenKey, claims: &Value) -> String {
    // Canonical: serde_json sorts the members.
    let message = format!("{}.{}", key.protected_header(), BASE64URL.encode(claims.to_string()));
    format!("{message}.{}", BASE64URL.encode(key.sign(message.as_bytes())))
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&BASE64URL.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_key_opens_no_door_and_its_grants_tell_so() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let (kiosk, door) = (app.kiosk().await, app.door(&app.cathay, "sfo-lounge").await);
        let ask = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        let asked = || kiosk.post("/v1/checks", &ask).header("idempotency-key", "visit");
        let many = json!({"checks": [ask]});
        let batch = || kiosk.post("/v1/checks/batch", &many).header("idempotency-key", "many");
        let (granted, in_batch) = (asked().await, batch().await.is(200)["results"][0].clone());
        let spent = kiosk.post("/v1/checks", &ask).await;
        let spent_token = spent.text_of("token");
        redeem(&door, &spent_token, "1").await.is(200);
        let stolen = app.world.gateway.keyring.token_key();
        let kid = stolen.kid().to_owned();

        // Another replica does it; this one hears when it looks.
        app.world.pass(60);
        let replica = app.world.replica().await;
        let revoked = replica.ledger.revoke_token_key(kid.clone(), CLI).await.unwrap().unwrap();
        let next = revoked.change.unwrap().next;
        assert_eq!((revoked.revoked_at, next.signs_from), (app.world.now(), app.world.now()));
        app.world.gateway.keys.catch_up().await.unwrap();

        assert_eq!(published(&app).await, [next.kid.as_str()]);
        assert_eq!(why(&redeem(&door, &granted.text_of("token"), "2").await), "key_revoked");
        assert_eq!(why(&redeem(&door, &spent_token, "1").await), "key_revoked", "not even again");
        let form = format!("token={}", granted.text_of("token"));
        let introspected = door.ask(reqwest::Method::POST, "/v1/tokens/introspect").form(&form).await;
        assert_eq!(introspected.is(200), json!({"active": false}));
        // Whatever else the thief signs.
        assert_eq!(why(&redeem(&door, &forged(&stolen, &claims(&spent_token)), "3").await), "key_revoked");
        let jwks = app.anonymous().get("/.well-known/jwks.json").await.text;
        let offline = Verifier::offline(Jwks::parse(&jwks).unwrap(), ISSUER);
        let verified = offline.verify(&granted.text_of("token"), "cathay/sfo-lounge", app.world.now());
        assert_eq!(verified.unwrap_err(), TokenError::UnknownKey);

        let shown = kiosk.get(&format!("/v1/checks/{}", granted.text_of("check"))).await.is(200);
        let again = batch().await.is(200)["results"][0].clone();
        for (told, first) in [(asked().await.is(200), granted.is(200)), (shown, granted.is(200)), (again, in_batch)] {
            assert_eq!((&told["decision"], &told["grant"]), (&json!("granted"), &first["grant"]));
            assert_eq!(told["token_key_revoked_at"], "2012-05-08T19:01:00Z");
            assert_eq!((told.get("token"), told.get("token_expires_at")), (None, None), "{told}");
        }
        for (reply, status, ended_at) in
            [(&granted, "key_revoked", json!("2012-05-08T19:01:00Z")), (&spent, "redeemed", Value::Null)]
        {
            let grant = kiosk.get(&format!("/v1/grants/{}", reply.text_of("grant"))).await.is(200);
            assert_eq!((&grant["status"], &grant["ended_at"]), (&json!(status), &ended_at));
        }
        // The guest who is in can leave, and the next one gets a token that opens.
        let release = format!("/v1/grants/{}/release", spent.text_of("grant"));
        door.post(&release, &json!({})).await.is(200);
        let new = kiosk.post("/v1/checks", &ask).await;
        assert_eq!(new.is(200).get("token_key_revoked_at"), None);
        redeem(&door, &new.text_of("token"), "4").await.is(200);
    }
}

/// It is refused while the key still stands: nobody has noticed the theft yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_lives_longer_than_any_grant_opens_no_door() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let (kiosk, door) = (app.kiosk().await, app.door(&app.cathay, "sfo-lounge").await);
        let ask = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        let mut claims = claims(&kiosk.post("/v1/checks", &ask).await.text_of("token"));
        let key = app.world.gateway.keyring.token_key();
        let iat = claims["iat"].as_i64().unwrap();
        claims["exp"] = json!(iat + 48 * 3600);
        let long = forged(&key, &claims);
        assert_eq!(why(&redeem(&door, &long, "1").await), "too_long_lived");
        let form = format!("token={long}");
        let introspected = door.ask(reqwest::Method::POST, "/v1/tokens/introspect").form(&form).await;
        assert_eq!(introspected.is(200), json!({"active": false}));
        let jwks = app.anonymous().get("/.well-known/jwks.json").await.text;
        let offline = Verifier::offline(Jwks::parse(&jwks).unwrap(), ISSUER);
        let verify = |token: &str| offline.verify(token, "cathay/sfo-lounge", app.world.now());
        assert_eq!(verify(&long).unwrap_err(), TokenError::TooLongLived);
        claims["exp"] = json!(iat + 24 * 3600);
        assert!(verify(&forged(&key, &claims)).is_ok(), "the longest that a rule can grant");
    }
}

/// A key that was made a moment ago elsewhere is asked for before its tokens are refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_meets_an_unknown_key_looks_once() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        world.perk(&cathay, "sfo-lounge", OPEN_LOUNGE).await;
        world.score(&cathay, "twitter:ada", "47.25").await;
        let replica = world.replica().await;
        let kid = world.gateway.keyring.token_key().kid().to_owned();
        replica.ledger.revoke_token_key(kid.clone(), CLI).await.unwrap().unwrap();
        assert!(world.gateway.keyring.find_token_key(&kid).is_some(), "nobody has told it");
        let asked = question("sfo-lounge", "twitter:ada");
        let granted = replica.checker.check(&kiosk, &cathay, asked).await.unwrap();
        let redeem = async |token: &str, attempt: &str| {
            let deadline = question("sfo-lounge", "nobody").deadline;
            let (door, attempt) = ("A".to_owned(), attempt.to_owned());
            world.gateway.redeemer.redeem(&kiosk, &cathay, token, door, attempt, deadline).await
        };
        let token = granted.token.unwrap();
        redeem(&token, "1").await.unwrap();
        assert!(world.gateway.keyring.find_token_key(&kid).is_none(), "and so it learns of the withdrawal");
        let header = BASE64URL.encode(r#"{"alg":"EdDSA","kid":"nobody's","typ":"eligibility+jwt"}"#);
        let made_up = format!("{header}.{}", token.split_once('.').unwrap().1);
        assert!(matches!(redeem(&made_up, "2").await, Err(RedeemError::Token(TokenError::UnknownKey))));
    }
}
