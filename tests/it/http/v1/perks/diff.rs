//! `/v1/perks/{perk}/diff`: what differs between two versions.

use serde_json::{Value, json};

use crate::http::v1::LOUNGE;
use crate::support::app::TestApp;
use crate::support::shape::assert_shape;

#[tokio::test(flavor = "multi_thread")]
async fn two_versions_are_compared_in_sentences() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let rule: Value = serde_json::from_str(LOUNGE).unwrap();
        let perk = json!({"perk": "sfo-lounge", "name": "SFO", "rule": rule, "publish": true});
        admin.post("/v1/perks", &perk).await.is(201);
        let stricter = LOUNGE.replace("\"value\":40", "\"value\":45").replace("\"max\":1", "\"max\":2");
        let stricter: Value = serde_json::from_str(&stricter).unwrap();
        admin.post("/v1/perks/sfo-lounge/versions", &json!({"rule": stricter})).await.is(201);
        let found = admin.get("/v1/perks/sfo-lounge/diff").await;
        assert_shape!(found, @r#"
        200
        {
          "perk":"sfo-lounge",
          "from":1,
          "to":2,
          "changes":[{"pointer":"/tiers/0/when","kind":"changed","before":{"attr":"score","op":"gte","value":40},"after":{"attr":"score","op":"gte","value":45},"sentence":"Main lounge: at least 40 → at least 45"},{"pointer":"/limits/0/max","kind":"changed","before":1,"after":2,"sentence":"Limit person-day: 1 → 2 a day for each person"}],
          "warnings":[]
        }
        "#);
        assert_eq!(admin.get("/v1/perks/sfo-lounge/diff?from=1&to=2").await.is(200), found.is(200));
        let back = admin.get("/v1/perks/sfo-lounge/diff?from=2&to=1").await.is(200);
        assert_eq!(back["changes"][0]["sentence"], "Main lounge: at least 45 → at least 40");
        assert_eq!(admin.get("/v1/perks/sfo-lounge/diff?from=2&to=2").await.is(200)["changes"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diff_of_what_is_not_there_is_refused() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let perk = json!({"perk": "draft", "name": "D", "rule": {"at_least": 40, "score": "klout"}});
        admin.post("/v1/perks", &perk).await.is(201);
        // Nothing is published, so there is nothing to begin from.
        let spot = admin.get("/v1/perks/draft/diff").await.spot(422, "invalid_request");
        assert_eq!(spot, ("from".to_owned(), "missing".to_owned()));
        assert_eq!(admin.get("/v1/perks/draft/diff?from=1").await.is(200)["to"], 1);
        for query in ["from=2", "from=1&to=2"] {
            admin.get(&format!("/v1/perks/draft/diff?{query}")).await.problem(404, "not_found");
        }
        for (query, code) in [
            ("from=0", "invalid_value"),
            ("from=-1", "invalid_value"),
            ("from=%2B1", "invalid_value"),
            ("from=99999999999", "invalid_value"),
            ("from=", "invalid_value"),
            ("from=1&from=1", "duplicate_field"),
            ("since=1", "unknown_field"),
        ] {
            let spot = admin.get(&format!("/v1/perks/draft/diff?{query}")).await.spot(422, "invalid_request");
            assert_eq!(spot.1, code, "{query}");
        }
        admin.get("/v1/perks/other/diff").await.problem(404, "not_found");
        app.admin(&app.american).await.get("/v1/perks/draft/diff?from=1").await.problem(404, "not_found");
    }
}
