//! `/v1/merchants`: shapes and refusals.

use reqwest::Method;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::shape::assert_shape;

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_makes_a_merchant_and_hands_it_its_first_key() {
    for app in TestApp::all().await {
        let operator = app.operator().await;
        app.world.pass(1);
        let made = operator.post("/v1/merchants", &json!({"slug": "qantas", "name": "Qantas"})).await;
        assert_shape!(made, @r#"
        201
        {
          "id":"mer_…",
          "slug":"qantas",
          "name":"Qantas",
          "time_zone":"UTC",
          "created_at":"2012-05-08T19:00:01Z"
        }
        "#);
        assert_eq!(made.header("location"), "/v1/merchants/qantas");
        assert_eq!(operator.get("/v1/merchants/qantas").await.text, made.text);
        assert_shape!(operator.post("/v1/merchants", &json!({"slug": "qantas", "name": "Q"})).await, @r#"
        409
        {
          "type":"urn:perkgate:problem:already_exists",
          "title":"There is one already",
          "status":409,
          "detail":"There is a merchant `qantas` already.",
          "code":"already_exists",
          "request_id":"req_…"
        }
        "#);
        let first = operator.get("/v1/merchants?limit=2").await;
        let rest = format!("/v1/merchants?cursor={}", first.text_of("next_cursor"));
        assert_shape!(operator.get(&rest).await, @r#"
        200
        {
          "merchants":[{"id":"mer_…","slug":"qantas","name":"Qantas","time_zone":"UTC","created_at":"2012-05-08T19:00:01Z"}],
          "next_cursor":null
        }
        "#);
        let first = json!({"role": "admin", "label": "first", "merchant": "qantas"});
        let key = operator.post("/v1/keys", &first).await.text_of("key");
        app.bearing(Some(format!("Bearer {key}"))).get("/v1/perks").await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_that_does_not_fit_is_refused() {
    for app in TestApp::all().await {
        let operator = app.operator().await;
        for (body, pointer) in [
            (json!({"slug": "a\u{0}b", "name": "x"}), "/slug"),
            (json!({"slug": "a\u{202E}b", "name": "x"}), "/slug"),
            (json!({"slug": "Qantas", "name": "x"}), "/slug"),
            (json!({"slug": "a".repeat(64), "name": "x"}), "/slug"),
            (json!({"slug": "qantas", "name": "a\u{202E}b"}), "/name"),
            (json!({"slug": "qantas", "name": "a".repeat(121)}), "/name"),
        ] {
            let spot = operator.post("/v1/merchants", &body).await.spot(422, "invalid_request");
            assert_eq!(spot, (pointer.to_owned(), "invalid_value".to_owned()), "{body}");
        }
        let nowhere = ("/time_zone".to_owned(), "unknown_time_zone".to_owned());
        for zone in ["", "Mars/Olympus", "Etc/Unknown", "+08:00", "a\u{202E}b"] {
            let new = json!({"slug": "qantas", "name": "x", "time_zone": zone});
            assert_eq!(operator.post("/v1/merchants", &new).await.spot(422, "invalid_request"), nowhere, "{zone}");
            let change =
                operator.ask(Method::PATCH, "/v1/merchants/cathay").json(json!({"time_zone": zone}).to_string());
            assert_eq!(change.await.spot(422, "invalid_request"), nowhere, "{zone}");
        }
        operator.get("/v1/merchants/qantas").await.problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchants_time_zone_is_changed_and_its_log_tells_who_did_it() {
    for app in TestApp::all().await {
        let (operator, auditor) = (app.operator().await, app.auditor(&app.cathay).await);
        let set = async |slug: &str, body: serde_json::Value| {
            operator.ask(Method::PATCH, &format!("/v1/merchants/{slug}")).json(body.to_string()).await
        };
        let hong_kong = json!({"time_zone": "asia/hong_kong"});
        let changed = set("cathay", hong_kong.clone()).await.is(200);
        assert_eq!((&changed["slug"], &changed["time_zone"]), (&json!("cathay"), &json!("Asia/Hong_Kong")));
        assert_eq!(operator.get("/v1/merchants/cathay").await.is(200), changed);
        assert_eq!(operator.get("/v1/merchants/american").await.is(200)["time_zone"], "UTC", "nobody else's");
        // Again, in whatever letters, it is no change.
        assert_eq!(set("cathay", hong_kong.clone()).await.is(200), changed);
        let told = auditor.get("/v1/audit/events?kind=merchant.rezoned").await.is(200)["events"].clone();
        assert_eq!(told.as_array().unwrap().len(), 1);
        assert_eq!(told[0]["facts"], json!({"time_zone": "Asia/Hong_Kong", "was": "UTC"}));
        assert_eq!((&told[0]["actor"]["role"], &told[0]["about"]), (&json!("operator"), &changed["id"]));
        assert!(told[0]["actor"]["key"].as_str().unwrap().starts_with("key_"));

        set("nobody", hong_kong.clone()).await.problem(404, "not_found");
        let unknown = set("cathay", json!({"time_zone": "UTC", "name": "x"})).await.spot(422, "invalid_request");
        assert_eq!(unknown, ("/name".to_owned(), "unknown_field".to_owned()));
        set("cathay", json!({})).await.problem(422, "invalid_request");
        let admin = app.admin(&app.cathay).await;
        let refused = admin.ask(Method::PATCH, "/v1/merchants/cathay").json(hong_kong.to_string()).await;
        refused.problem(403, "forbidden");
    }
}
