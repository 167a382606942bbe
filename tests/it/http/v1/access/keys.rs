//! `/v1/keys`: shapes, and how keys fail. Who may manage which is in the access matrix and beside the handlers.

use perkgate::access::{NewKey, Role};
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::shape::assert_shape;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_shown_listed_and_revoked() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let new = json!({"role": "kiosk", "label": "SFO A12", "location": "SFO-A", "kiosk": "A12"});
        let made = admin.post("/v1/keys", &new).await;
        assert_shape!(made, @r#"
        201
        {
          "key":"pgk_…",
          "warnings":[],
          "id":"key_…",
          "role":"kiosk",
          "label":"SFO A12",
          "merchant":"cathay",
          "location":"SFO-A",
          "kiosk":"A12",
          "audience":null,
          "airports":[],
          "origins":[],
          "status":"active",
          "created_by":"key_…",
          "created_at":"2012-05-08T19:00:00Z",
          "expires_at":null,
          "revoked_at":null,
          "last_used_at":null
        }
        "#);
        let path = format!("/v1/keys/{}", made.text_of("id"));
        assert_eq!(made.header("location"), path);
        assert_shape!(admin.get(&path).await, @r#"
        200
        {
          "id":"key_…",
          "role":"kiosk",
          "label":"SFO A12",
          "merchant":"cathay",
          "location":"SFO-A",
          "kiosk":"A12",
          "audience":null,
          "airports":[],
          "origins":[],
          "status":"active",
          "created_by":"key_…",
          "created_at":"2012-05-08T19:00:00Z",
          "expires_at":null,
          "revoked_at":null,
          "last_used_at":null
        }
        "#);
        let kiosk = app.bearing(Some(format!("Bearer {}", made.text_of("key"))));
        kiosk.post("/v1/checks", &json!({"perk": "p", "subject": "a"})).await.problem(404, "not_found");
        admin.delete(&path).await.is(204);
        kiosk.post("/v1/checks", &json!({"perk": "p", "subject": "a"})).await.problem(401, "revoked_key");
        assert_shape!(admin.get("/v1/keys?role=kiosk").await, @r#"
        200
        {
          "keys":[{"id":"key_…","role":"kiosk","label":"SFO A12","merchant":"cathay","location":"SFO-A","kiosk":"A12","audience":null,"airports":[],"origins":[],"status":"revoked","created_by":"key_…","created_at":"2012-05-08T19:00:00Z","expires_at":null,"revoked_at":"2012-05-08T19:00:00Z","last_used_at":null}],
          "next_cursor":null
        }
        "#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_kiosk_stands_is_in_its_tokens() {
    for app in TestApp::all().await {
        app.lounge(crate::http::v1::OPEN_LOUNGE, "47.25").await;
        let key = NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "A12");
        let kiosk = app.client(NewKey { location: Some("SFO-A".into()), ..key }).await;
        let ask = json!({"perk": "sfo-lounge", "subject": "twitter:ada", "context": {"location": "HKG"}});
        let token = kiosk.post("/v1/checks", &ask).await.text_of("token");
        let claims = app.world.gateway.redeemer.verify(&token).unwrap();
        assert_eq!(claims.loc.as_deref(), Some("SFO-A"), "the caller can't say it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_cut_bent_expired_or_revoked_says_which() {
    for app in TestApp::all_with(&[("rate_failed_keys", "0")]).await {
        let admin = app.admin(&app.cathay).await;
        let secret = admin.secret().to_owned();
        let with = |secret: &str| app.bearing(Some(format!("Bearer {secret}")));
        let missing = app.anonymous().get("/v1/perks").await;
        assert_shape!(missing, @r#"
        401
        {
          "type":"urn:perkgate:problem:missing_key",
          "title":"An API key is needed",
          "status":401,
          "detail":"Send an API key in the header `Authorization: Bearer pgk_…`, and nowhere else.",
          "code":"missing_key",
          "request_id":"req_…"
        }
        "#);
        assert_eq!(missing.header("www-authenticate"), "Bearer realm=\"perkgate\"");
        for at in 0..secret.len() {
            let mut bent = secret.clone().into_bytes();
            bent[at] ^= 1;
            with(std::str::from_utf8(&bent).unwrap()).get("/v1/perks").await.problem(401, "invalid_key");
        }
        for at in (1..secret.len()).step_by(7) {
            let cut = with(&secret[..at]).get("/v1/perks").await;
            assert_eq!(cut.header("www-authenticate"), "Bearer realm=\"perkgate\", error=\"invalid_token\"");
            cut.problem(401, "invalid_key");
        }
        // A well-formed key that is nobody's.
        let stranger = perkgate::access::KeySecret::new(&perkgate::foundation::entropy::Entropy::System);
        assert_shape!(with(stranger.expose()).get("/v1/perks").await, @r#"
        401
        {
          "type":"urn:perkgate:problem:invalid_key",
          "title":"The API key is not valid",
          "status":401,
          "detail":"This is no key of this gateway. Check that it was copied whole.",
          "code":"invalid_key",
          "request_id":"req_…"
        }
        "#);
        let soon = json!({"role": "admin", "label": "short", "expires_at": "2012-05-08T19:00:10Z"});
        let soon = with(&admin.post("/v1/keys", &soon).await.text_of("key"));
        soon.get("/v1/perks").await.is(200);
        app.world.pass(10);
        assert_shape!(soon.get("/v1/perks").await, @r#"
        401
        {
          "type":"urn:perkgate:problem:expired_key",
          "title":"The API key has expired",
          "status":401,
          "detail":"This key has passed its expiry. Ask an admin for a new one.",
          "code":"expired_key",
          "request_id":"req_…"
        }
        "#);
        let gone = admin.post("/v1/keys", &json!({"role": "admin", "label": "gone"})).await;
        admin.delete(&format!("/v1/keys/{}", gone.text_of("id"))).await.is(204);
        assert_shape!(with(&gone.text_of("key")).get("/v1/perks").await, @r#"
        401
        {
          "type":"urn:perkgate:problem:revoked_key",
          "title":"The API key was revoked",
          "status":401,
          "detail":"This key was revoked. Ask an admin for a new one.",
          "code":"revoked_key",
          "request_id":"req_…"
        }
        "#);
        admin.get("/v1/perks").await.is(200);
    }
}
