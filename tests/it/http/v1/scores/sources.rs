//! `/v1/sources`: where scores come from.

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::shape::assert_shape;

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_made_with_its_scale_and_scores_are_held_to_it() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        assert_shape!(admin.get("/v1/sources").await, @r#"
        200
        {
          "sources":[{"name":"klout","min":0,"max":100,"kind":"push","guard":{"share":0.2,"points":10}}]
        }
        "#);
        let kred = json!({"name": "kred", "min": 1, "max": 1000});
        assert_shape!(admin.post("/v1/sources", &kred).await, @r#"
        201
        {
          "name":"kred",
          "min":1,
          "max":1000,
          "kind":"push"
        }
        "#);
        admin.post("/v1/sources", &kred).await.problem(409, "already_exists");
        assert_shape!(admin.get("/v1/sources").await, @r#"
        200
        {
          "sources":[{"name":"klout","min":0,"max":100,"kind":"push","guard":{"share":0.2,"points":10}},{"name":"kred","min":1,"max":1000,"kind":"push","guard":{"share":0.2,"points":99.9}}]
        }
        "#);
        let score = |value: u32| json!({"value": value, "observed_at": "2012-05-08T18:00:00Z"});
        admin.put("/v1/scores/kred/twitter:ada", &score(1000)).await.is(200);
        let off = admin.put("/v1/scores/kred/twitter:ada", &score(1001)).await.spot(422, "invalid_request");
        assert_eq!(off, ("/value".to_owned(), "off_scale".to_owned()));
        let perk = json!({"perk": "p", "name": "P", "rule": {"at_least": 700, "score": "kred"}, "publish": true});
        admin.post("/v1/perks", &perk).await.is(201);
        let stranger = app.admin(&app.american).await;
        stranger.put("/v1/scores/kred/twitter:ada", &score(5)).await.problem(404, "not_found");
        assert_eq!(stranger.get("/v1/sources").await.is(200)["sources"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_says_how_often_it_is_renewed_and_rules_are_held_to_it() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let kred = json!({"name": "kred", "min": 1, "max": 1000, "refresh": "PT24H"});
        assert_shape!(admin.post("/v1/sources", &kred).await, @r#"
        201
        {
          "name":"kred",
          "min":1,
          "max":1000,
          "refresh":"P1D",
          "kind":"push"
        }
        "#);
        assert_shape!(admin.get("/v1/sources").await, @r#"
        200
        {
          "sources":[{"name":"klout","min":0,"max":100,"kind":"push","guard":{"share":0.2,"points":10}},{"name":"kred","min":1,"max":1000,"refresh":"P1D","kind":"push","guard":{"share":0.2,"points":99.9}}]
        }
        "#);
        let rule = |age: &str, least: u32| {
            let when = json!({"attr": "score", "op": "gte", "value": least});
            json!({"rule": {"score": {"source": "kred", "max_age": age}, "tiers": [{"id": "t", "when": when}]}})
        };
        let perk = json!({"perk": "p", "name": "P", "rule": {"at_least": 700, "score": "kred"}});
        admin.post("/v1/perks", &perk).await.is(201);
        let made = admin.post("/v1/perks/p/versions", &rule("PT12H", 700)).await.is(201);
        assert_eq!(
            made["warnings"],
            json!([{
                "pointer": "/rule/score/max_age",
                "code": "max_age_below_refresh",
                "detail": "Scores of `kred` are renewed every P1D and count for PT12H: in between, nobody's counts."
            }])
        );
        assert_eq!(admin.post("/v1/perks/p/versions", &rule("P1D", 700)).await.is(201)["warnings"], json!([]));
        let spot = admin.post("/v1/perks/p/versions", &rule("P1D", 1001)).await.spot(422, "invalid_request");
        assert_eq!(spot, ("/rule/tiers/0/when".to_owned(), "unreachable_tier".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_does_not_fit_is_refused() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let klout = json!({"name": "klout", "min": 0, "max": 100});
        admin.post("/v1/sources", &klout).await.problem(409, "already_exists");
        for (body, pointer, code) in [
            (r#"{"name":"s","min":5,"max":5}"#, "/max", "empty_scale"),
            (r#"{"name":"s","min":6,"max":5}"#, "/max", "empty_scale"),
            (r#"{"name":"s","min":0,"max":1e3}"#, "/max", "invalid_value"),
            (r#"{"name":"s","min":0.0000000000000000000000000001,"max":5}"#, "/min", "invalid_value"),
            (r#"{"name":"S!","min":0,"max":5}"#, "/name", "invalid_value"),
            (r#"{"name":"s\u0000","min":0,"max":5}"#, "/name", "invalid_value"),
            (r#"{"name":"\u202es","min":0,"max":5}"#, "/name", "invalid_value"),
            (r#"{"name":"s","min":0}"#, "/max", "missing_field"),
            (r#"{"name":"s","min":0,"max":5,"refresh":"daily"}"#, "/refresh", "invalid_value"),
            (r#"{"name":"s","min":0,"max":5,"refresh":"PT0S"}"#, "/refresh", "invalid_value"),
            (r#"{"name":"s","min":0,"max":5,"refresh":"P1M"}"#, "/refresh", "invalid_value"),
            (r#"{"name":"s","min":0,"max":5,"refresh":86400}"#, "/refresh", "wrong_type"),
            (r#"{"name":"s","min":0,"max":5,"unit":"x"}"#, "/unit", "unknown_field"),
            (r#"{"name":"s","max":5}"#, "/min", "missing_field"),
            (r#"{"name":"s","min":0,"max":5,"kind":"guessed"}"#, "/kind", "unknown_value"),
            (r#"{"name":"s","max":5,"kind":"computed"}"#, "/max", "unknown_field"),
        ] {
            let spot = admin.post_text("/v1/sources", body).await.spot(422, "invalid_request");
            assert_eq!(spot, (pointer.to_owned(), code.to_owned()), "{body}");
        }
    }
}
