//! `/v1/merchants`: shapes and refusals.

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
          "merchants":[{"id":"mer_…","slug":"qantas","name":"Qantas","created_at":"2012-05-08T19:00:01Z"}],
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
        operator.get("/v1/merchants/qantas").await.problem(404, "not_found");
    }
}
