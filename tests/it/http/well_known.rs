//! What is open to everyone: public keys, health, the description.

use perkgate::tlog::note::{Checkpoint, VerifierKey};
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::shape::assert_shape;

#[tokio::test(flavor = "multi_thread")]
async fn token_keys_are_open_cacheable_and_not_sent_twice() {
    for app in TestApp::all().await {
        let door = app.anonymous();
        let keys = door.get("/.well-known/jwks.json").await;
        assert_shape!(keys, @r#"
        200
        {
          "keys":[{"alg":"EdDSA","crv":"Ed25519","kid":"…","kty":"OKP","use":"sig","x":"…"}]
        }
        "#);
        assert_eq!(keys.header("content-type"), "application/jwk-set+json");
        assert_eq!(keys.header("cache-control"), "public, max-age=300");
        assert_eq!(keys.header("access-control-allow-origin"), "*");
        let tag = keys.header("etag").to_owned();
        for held in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let same = door.get("/.well-known/jwks.json").header("if-none-match", &held).await;
            assert_eq!((same.status, same.text.as_str(), same.header("etag")), (304, "", tag.as_str()), "{held}");
            assert_eq!(same.header("cache-control"), "public, max-age=300");
        }
        let other = door.get("/.well-known/jwks.json").header("if-none-match", "\"other\"").await;
        assert_eq!((other.status, &other.text), (200, &keys.text));
        let odd = door.get("/.well-known/jwks.json").header("if-none-match", "not a tag").await;
        assert!(odd.status < 500, "{}", odd.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_publishes_the_same_keys() {
    for app in TestApp::all().await {
        let replica = app.world.replica().await;
        let ours = app.anonymous().get("/.well-known/jwks.json").await.is(200);
        let theirs = replica.keyring.token_keys();
        assert_eq!(ours["keys"].as_array().unwrap().len(), theirs.len());
        assert_eq!(ours["keys"][0]["kid"], theirs[0].kid());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_keys_are_open_and_sign_the_receipts() {
    for app in TestApp::all().await {
        app.lounge(super::v1::OPEN_LOUNGE, "47.25").await;
        let keys = app.anonymous().get("/.well-known/log-keys").await;
        let keys_of = |log: &str| {
            let keys = keys.is(200)["keys"].as_array().unwrap().clone();
            let mut of_log = keys.into_iter().filter(|key| key["log"] == log);
            let key = of_log.next().unwrap();
            assert!(of_log.next().is_none(), "one for each log");
            key
        };
        assert_eq!(keys.is(200)["keys"].as_array().unwrap().len(), 3);
        assert_eq!(keys_of("operator")["name"], "gate.example/operator");
        assert_eq!(keys_of("american")["name"], "gate.example/american");
        let key = keys_of("cathay");
        let verifier_key = key["verifier_key"].as_str().unwrap();
        let (name, id) = (key["name"].as_str().unwrap(), key["key_id"].as_str().unwrap());
        assert!(verifier_key.starts_with(&format!("{name}+{id}+")), "{verifier_key}");
        let tag = keys.header("etag").to_owned();
        assert_eq!(app.anonymous().get("/.well-known/log-keys").header("if-none-match", &tag).await.status, 304);

        let ask = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        let receipt = app.kiosk().await.post("/v1/checks", &ask).await.is(200)["receipt"].clone();
        let checkpoint = receipt["checkpoint"].as_str().unwrap();
        assert_eq!((checkpoint.lines().next(), name), (Some("gate.example/cathay"), "gate.example/cathay"));
        assert!(checkpoint.contains(&format!("\n— {name} ")), "{checkpoint}");
        let verifier_key: VerifierKey = verifier_key.parse().unwrap();
        assert_eq!(verifier_key, app.world.log_key("cathay"));
        assert!(Checkpoint::open(checkpoint, &[verifier_key]).is_ok());
        let size: u64 = checkpoint.lines().nth(1).unwrap().parse().unwrap();
        assert!(receipt["index"].as_u64().unwrap() < size, "the checkpoint covers it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_open_and_plain() {
    for app in TestApp::all().await {
        let anyone = app.anonymous();
        let alive = anyone.get("/livez").await;
        assert_eq!((alive.status, alive.text.as_str()), (200, "alive\n"));
        // Redis may take a moment to be reached; until then it is degraded, which is a 200 too.
        let ready = anyone.get("/readyz").await.is(200);
        assert!(ready["status"] == "ready" || ready["reasons"] == json!(["redis_unreachable"]), "{ready}");
        anyone.get("/metrics").await.problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_the_gateway_is_degraded_and_still_decides() {
    let app = TestApp::start(&[("redis_url", "redis://127.0.0.1:1")]).await;
    let ready = app.anonymous().get("/readyz").await;
    assert_shape!(ready, @r#"
    200
    {
      "status":"degraded",
      "reasons":["redis_unreachable"]
    }
    "#);
    app.lounge(super::v1::LOUNGE, "47.25").await;
    let ask = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
    assert_eq!(app.kiosk().await.post("/v1/checks", &ask).await.is(200)["decision"], "granted");
}
