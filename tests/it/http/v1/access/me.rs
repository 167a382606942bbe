//! `GET /v1/me`, and when keys were last used.

use perkgate::access::{NewKey, Role};
use perkgate::foundation::entropy::Entropy;
use serde_json::{Value, json};

use crate::support::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_told_what_it_is() {
    for app in TestApp::all().await {
        let kiosk = NewKey {
            location: Some("SFO-A".into()),
            kiosk: Some("A12".into()),
            expires_at: Some("2012-06-01T00:00:00Z".parse().unwrap()),
            ..NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "SFO A12")
        };
        let (kiosk, operator) = (app.client(kiosk).await, app.operator().await);
        let me = kiosk.get("/v1/me").await.is(200);
        assert!(me["id"].as_str().unwrap().starts_with("key_"));
        let expected = json!({
            "id": me["id"], "label": "SFO A12", "role": "kiosk",
            "merchant": {"id": app.cathay.id.as_str(), "slug": "cathay", "name": "cathay"},
            "location": "SFO-A", "kiosk": "A12", "audience": null, "airports": [], "origins": [],
            "created_at": "2012-05-08T19:00:00Z", "expires_at": "2012-06-01T00:00:00Z",
            "rate": {"requests_per_second": 500, "burst": 1000}
        });
        assert_eq!(me, expected);
        let me = operator.get("/v1/me").await.is(200);
        assert_eq!((&me["role"], &me["merchant"], &me["expires_at"]), (&json!("operator"), &Value::Null, &Value::Null));
        let door = app.door(&app.american, "sfo-lounge").await.get("/v1/me").await.is(200);
        assert_eq!((&door["audience"], &door["merchant"]["slug"]), (&json!("sfo-lounge"), &json!("american")));
        app.anonymous().get("/v1/me").await.problem(401, "missing_key");
    }
    let unbounded = TestApp::start(&[("rate_per_key", "0")]).await;
    assert_eq!(unbounded.operator().await.get("/v1/me").await.is(200)["rate"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_show_the_hour_of_their_last_use_and_that_is_no_event() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let made = admin.post("/v1/keys", &json!({"role": "kiosk", "label": "A12"})).await;
        let (path, kiosk) = (format!("/v1/keys/{}", made.text_of("id")), made.text_of("key"));
        let kiosk = app.bearing(Some(format!("Bearer {kiosk}")));
        let last_used_at = async || {
            app.world.gateway.directory.write_uses().await.unwrap();
            admin.get(&path).await.is(200)["last_used_at"].clone()
        };
        assert_eq!(last_used_at().await, Value::Null);
        let footprint = app.footprint().await;
        app.world.pass(17 * 60);
        kiosk.get("/v1/me").await.is(200);
        assert_eq!(last_used_at().await, "2012-05-08T19:00:00Z");
        app.world.pass(50 * 60);
        assert_eq!(last_used_at().await, "2012-05-08T19:00:00Z", "what doesn't ask isn't used");
        kiosk.get("/v1/me").await.is(200);
        assert_eq!(last_used_at().await, "2012-05-08T20:00:00Z");
        assert_eq!(app.footprint().await, footprint, "nothing is recorded of it");
        // Its hour began before the key was made: it is shown from then on.
        let young = admin.post("/v1/keys", &json!({"role": "feeder", "label": "Feed"})).await;
        app.bearing(Some(format!("Bearer {}", young.text_of("key")))).get("/v1/me").await.is(200);
        app.world.gateway.directory.write_uses().await.unwrap();
        let young = admin.get(&format!("/v1/keys/{}", young.text_of("id"))).await.is(200);
        assert_eq!(young["last_used_at"], young["created_at"], "{young}");
        let before = app.footprint().await;
        // A replica whose clock is behind takes nothing back, and one that starts knows.
        let replica = app.world.replica().await;
        app.world.clock.set("2012-05-08T19:30:00Z".parse().unwrap());
        replica.directory.authenticate(kiosk.secret(), app.world.now()).await.unwrap();
        replica.directory.write_uses().await.unwrap();
        assert_eq!(last_used_at().await, "2012-05-08T20:00:00Z");
        let listed = admin.get("/v1/keys?role=kiosk").await.is(200);
        assert_eq!(listed["keys"][0]["last_used_at"], "2012-05-08T20:00:00Z");

        assert_eq!(app.footprint().await, before, "nothing is recorded of it");
        let request = perkgate::audit::Request::default();
        let report =
            perkgate::audit::verify(&app.world.gateway.database, &request, &Entropy::System, &mut |_| {}).unwrap();
        assert_eq!(report.findings.listed(), []);
    }
}
