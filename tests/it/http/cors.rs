//! Pages that call from a browser: whose may, and what a browser is told before it asks and with the answer.

use perkgate::access::{NewKey, Role};
use reqwest::Method;
use serde_json::{Value, json};

use super::v1::OPEN_LOUNGE;
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};

const SETTINGS: &str = "https://console.example.com";
const KIOSK: &str = "https://kiosk.example.com";
const STRANGER: &str = "https://stranger.example.com";

async fn preflight(app: &TestApp, path: &str, origin: &str) -> Reply {
    let ask = app.anonymous().ask(Method::OPTIONS, path).header("origin", origin);
    let ask = ask.header("access-control-request-method", "POST");
    ask.header("access-control-request-headers", "authorization,content-type,idempotency-key").await
}

async fn kiosk(app: &TestApp, origins: &[&str]) -> Client {
    let origins = origins.iter().map(|origin| origin.parse().unwrap()).collect();
    app.client(NewKey { origins, ..NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "page") }).await
}

async fn check(kiosk: &Client, origin: &str) -> Reply {
    let body = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
    kiosk.post("/v1/checks", &body).header("origin", origin).await
}

fn has(list: &str, name: &str) -> bool {
    list.split(',').any(|it| it.trim().eq_ignore_ascii_case(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browsers_question_is_answered_without_a_key_for_known_origins_only() {
    for app in TestApp::all_with(&[("allowed_origins", SETTINGS)]).await {
        preflight(&app, "/v1/checks", KIOSK).await.problem(403, "origin_not_allowed");
        kiosk(&app, &[KIOSK]).await;
        for origin in [SETTINGS, KIOSK] {
            for path in ["/v1/checks", "/v1/perks/sfo-lounge", "/v1/tokens/redeem"] {
                let answer = preflight(&app, path, origin).await;
                assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{path}");
                assert_eq!(answer.header("access-control-allow-origin"), origin);
                assert!(has(answer.header("access-control-allow-methods"), "POST"));
                for header in ["authorization", "content-type", "idempotency-key", "if-match", "x-request-id"] {
                    assert!(has(answer.header("access-control-allow-headers"), header), "{header}");
                }
                assert_eq!(answer.header("access-control-allow-credentials"), "");
                assert!(has(answer.header("vary"), "Origin"));
                assert!(answer.header("access-control-max-age").parse::<u32>().unwrap() > 0);
            }
        }
        for origin in [STRANGER, "null", "http://kiosk.example.com", "https://kiosk.example.com:8443"] {
            let refused = preflight(&app, "/v1/checks", origin).await;
            refused.problem(403, "origin_not_allowed");
            assert_eq!(refused.header("access-control-allow-origin"), "", "{origin}");
        }
        // What is no question of a browser's needs a key as before.
        app.anonymous().ask(Method::OPTIONS, "/v1/checks").await.problem(401, "missing_key");
        let no_method = app.anonymous().ask(Method::OPTIONS, "/v1/checks").header("origin", KIOSK).await;
        no_method.problem(401, "missing_key");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_uses_the_keys_that_name_its_origin_and_no_others() {
    for app in TestApp::all_with(&[("allowed_origins", SETTINGS)]).await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let (bound, free) = (kiosk(&app, &[KIOSK]).await, kiosk(&app, &[]).await);
        let before = app.footprint().await;
        for (key, origin) in [(&bound, SETTINGS), (&bound, STRANGER), (&bound, "null"), (&free, KIOSK)] {
            check(key, origin).await.problem(403, "origin_not_allowed");
        }
        assert_eq!(app.footprint().await, before, "nothing was decided");
        for (key, origin) in [(&bound, KIOSK), (&free, SETTINGS)] {
            let granted = check(key, origin).await;
            assert_eq!(granted.is(200)["decision"], "granted");
            assert_eq!(granted.header("access-control-allow-origin"), origin);
            assert_eq!(granted.header("access-control-allow-credentials"), "");
            assert!(has(granted.header("vary"), "Origin"));
            for header in ["ETag", "Retry-After", "X-Request-Id", "RateLimit", "RateLimit-Policy"] {
                assert!(has(granted.header("access-control-expose-headers"), header), "{header}");
            }
        }
        // A page can read why it was refused, also where no key was recognised.
        for refused in [
            check(&app.anonymous(), KIOSK).await,
            check(&bound, SETTINGS).await,
            bound.get("/v1/nothing").header("origin", KIOSK).await,
            bound.get("/v1/audit/events").header("origin", KIOSK).await,
        ] {
            assert!(refused.status >= 400);
            assert!(!refused.header("access-control-allow-origin").is_empty(), "{}", refused.text);
        }
        // Programs say no origin, or one that no page could use: the key alone counts.
        for answer in [bound.get("/v1/me").await, free.get("/v1/me").header("origin", STRANGER).await] {
            assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, ""));
            assert!(has(answer.header("vary"), "Origin"));
        }
        let keys = app.anonymous().get("/.well-known/jwks.json").header("origin", STRANGER).await;
        assert_eq!(keys.header("access-control-allow-origin"), "*");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_merchants_keys_name_decides_nothing_about_ones_own() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let own = kiosk(&app, &[]).await;
        let origins = vec![KIOSK.parse().unwrap()];
        app.client(NewKey { origins, ..NewKey::of(Role::Kiosk, Some(app.american.id.clone()), "page") }).await;
        let answer = check(&own, KIOSK).await;
        assert_eq!(answer.is(200)["decision"], "granted");
        // Nor may a page of theirs read it.
        assert_eq!(answer.header("access-control-allow-origin"), "");
        kiosk(&app, &[KIOSK]).await;
        check(&own, KIOSK).await.problem(403, "origin_not_allowed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_written_otherwise_is_the_same_path() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let page = kiosk(&app, &[KIOSK]).await;
        let me = page.get("/%76%31/me").header("origin", KIOSK).await;
        assert_eq!((me.status, me.header("access-control-allow-origin")), (200, KIOSK));
        assert!(has(me.header("vary"), "Origin"));
        let body = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        let before = app.footprint().await;
        page.post("/v1/%63hecks?dry_run=true", &body).await.spot(422, "invalid_request");
        assert_eq!(app.footprint().await, before, "nothing was decided");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_are_made_with_keys_and_end_with_them() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let body = json!({"role": "kiosk", "label": "page", "origins": ["HTTPS://Kiosk.Example.com:443", KIOSK],
                          "expires_at": "2012-05-08T20:00:00Z"});
        let made = admin.post("/v1/keys", &body).await;
        assert_eq!(made.is(201)["origins"], json!([KIOSK]));
        let path = format!("/v1/keys/{}", made.text_of("id"));
        assert_eq!(admin.get(&path).await.is(200)["origins"], json!([KIOSK]));
        let own = app.bearing(Some(format!("Bearer {}", made.text_of("key"))));
        assert_eq!(own.get("/v1/me").await.is(200)["origins"], json!([KIOSK]));
        for (origins, pointer, code) in [
            (json!(["*"]), "/origins/0", "invalid_value"),
            (json!([KIOSK, "https://*.example.com"]), "/origins/1", "invalid_value"),
            (json!(["null"]), "/origins/0", "invalid_value"),
            (json!(["https://kiosk.example.com/"]), "/origins/0", "invalid_value"),
            (json!(["kiosk.example.com"]), "/origins/0", "invalid_value"),
            (
                json!((0..21).map(|nth| format!("https://k{nth}.example.com")).collect::<Vec<_>>()),
                "/origins",
                "too_many",
            ),
        ] {
            let body = json!({"role": "kiosk", "label": "page", "origins": origins});
            let spot = admin.post("/v1/keys", &body).await.spot(422, "invalid_request");
            assert_eq!(spot, (pointer.to_owned(), code.to_owned()), "{body}");
        }

        // The log holds them, and an origin that was added behind its back is found.
        let event = admin.get("/v1/audit/events?kind=key.created").await.is(200)["events"][0]["facts"].clone();
        assert_eq!(event["origins"], Value::from(KIOSK));
        assert_eq!(findings(&app), [""; 0]);

        assert_eq!(preflight(&app, "/v1/checks", KIOSK).await.status, 204);
        app.world.pass(3600);
        preflight(&app, "/v1/checks", KIOSK).await.problem(403, "origin_not_allowed");
        let body = json!({"role": "kiosk", "label": "page", "origins": [KIOSK]});
        let made = admin.post("/v1/keys", &body).await;
        assert_eq!(preflight(&app, "/v1/checks", KIOSK).await.status, 204);
        admin.delete(&format!("/v1/keys/{}", made.text_of("id"))).await.is(204);
        preflight(&app, "/v1/checks", KIOSK).await.problem(403, "origin_not_allowed");
        add_origin(&app, &made.text_of("id")).await;
        assert_eq!(findings(&app), ["key_mismatch"]);
    }
}

fn findings(app: &TestApp) -> Vec<&'static str> {
    let (request, entropy) = (perkgate::audit::Request::default(), perkgate::foundation::entropy::Entropy::System);
    let report = perkgate::audit::verify(&app.world.gateway.database, &request, &entropy, &mut |_| {}).unwrap();
    report.findings.counts().keys().copied().collect()
}

/// Behind the gateway's back.
async fn add_origin(app: &TestApp, key: &str) {
    use diesel::prelude::*;
    use perkgate::database::DatabaseError;
    use perkgate::database::schema::api_keys;

    let key = key.to_owned();
    let write = app.world.gateway.database.write(move |conn| {
        let row = diesel::update(api_keys::table.find(key));
        Ok::<_, DatabaseError>(row.set(api_keys::origins.eq("https://stranger.example.com")).execute(conn)?)
    });
    assert_eq!(write.await.unwrap(), 1);
}
