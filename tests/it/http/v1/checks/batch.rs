//! `POST /v1/checks/batch`: many questions, each with an outcome of its own.

use serde_json::{Value, json};

use crate::http::v1::LOUNGE;
use crate::support::app::TestApp;

fn asks(subjects: &[&str]) -> Value {
    let checks: Vec<_> = subjects.iter().map(|who| json!({"perk": "sfo-lounge", "subject": who})).collect();
    json!({"checks": checks})
}

#[tokio::test(flavor = "multi_thread")]
async fn each_question_has_its_own_answer_in_its_place() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        let mut asked = asks(&["twitter:ada", "twitter:nobody", "twitter:ada", "a b"]);
        asked["checks"][3]["subject"] = json!("");
        asked["checks"].as_array_mut().unwrap().push(json!({"perk": "no-such-perk", "subject": "twitter:ada"}));
        asked["checks"]
            .as_array_mut()
            .unwrap()
            .push(json!({"perk": "sfo-lounge", "subject": "twitter:ada", "dry_run": true}));
        let before = app.footprint().await;
        let reply = kiosk.post("/v1/checks/batch", &asked).await;
        let results = reply.is(200)["results"].as_array().unwrap().clone();
        let told: Vec<_> = results
            .iter()
            .map(|it| (it["status"].as_u64().unwrap(), it["decision"].as_str(), it["problem"]["code"].as_str()))
            .collect();
        // Ada comes twice in one request, and is let in once.
        let mut ada = [told[0], told[2]];
        ada.sort_unstable();
        assert_eq!(ada, [(200, Some("denied"), None), (200, Some("granted"), None)]);
        assert_eq!(told[1], (200, Some("denied"), None));
        assert_eq!(told[3], (422, None, Some("invalid_request")));
        assert_eq!(told[4], (404, None, Some("not_found")));
        assert_eq!(told[5].0, 200);
        assert_eq!(results[5].get("check"), None, "a dry run is no check");
        let after = app.footprint().await;
        assert_eq!((after.events - before.events, after.grants - before.grants), (3, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_gets_the_same_answers_and_the_very_same_tokens() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        app.world.score(&app.cathay, "twitter:bob", "60").await;
        let kiosk = app.kiosk().await;
        let asked = asks(&["twitter:ada", "twitter:bob", "twitter:nobody"]);
        let first = kiosk.post("/v1/checks/batch", &asked).header("idempotency-key", "tour").await;
        let before = app.footprint().await;
        let again = kiosk.post("/v1/checks/batch", &asked).header("idempotency-key", "tour").await;
        assert_eq!(first.is(200), again.is(200));
        assert!(first.is(200)["results"][1]["token"].is_string());
        assert_eq!(app.footprint().await, before, "nothing is recorded twice");
        let other = kiosk.post("/v1/checks/batch", &asks(&["twitter:ada"])).header("idempotency-key", "tour").await;
        assert_eq!(other.is(200)["results"][0]["problem"]["code"], "idempotency_key_reused");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_bounded_and_counts_as_many_requests_as_it_asks() {
    let app = TestApp::start(&[("rate_per_key", "30")]).await;
    app.lounge(LOUNGE, "47.25").await;
    let kiosk = app.kiosk().await;
    let many = |count: usize| asks(&vec!["twitter:ada"; count]);
    for count in [0, 101] {
        let refused = kiosk.post("/v1/checks/batch", &many(count)).await;
        assert_eq!(refused.problem(422, "invalid_request")[0].0, "/checks");
    }
    let refused = kiosk.post("/v1/checks/batch", &many(100)).await;
    assert_eq!(refused.problem(422, "invalid_request")[0].1, "too_many");
    kiosk.post("/v1/checks/batch", &many(50)).await.is(200);
    kiosk.post("/v1/checks/batch", &many(50)).await.problem(429, "rate_limited");
    for whole in [json!({"checks": {}}), json!({"checks": [], "sudo": true}), json!([])] {
        app.kiosk().await.post("/v1/checks/batch", &whole).await.problem(422, "invalid_request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_begin_with_a_byte_order_mark() {
    let app = TestApp::start(&[]).await;
    app.lounge(LOUNGE, "47.25").await;
    let kiosk = app.kiosk().await;
    let check = json!({"perk": "sfo-lounge", "subject": "twitter:ada", "dry_run": true});
    let batch = json!({"checks": [check]});
    assert_eq!(kiosk.post_text("/v1/checks", format!("\u{FEFF}{check}")).await.is(200)["decision"], "granted");
    let answered = kiosk.post_text("/v1/checks/batch", format!("\u{FEFF}{batch}")).await.is(200);
    assert_eq!(answered["results"][0]["decision"], "granted");
    kiosk.post_text("/v1/checks", format!("\u{FEFF}\u{FEFF}{check}")).await.problem(400, "malformed_json");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_question_keeps_none_back() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let ada = json!({"perk": "sfo-lounge", "subject": "twitter:ada", "dry_run": true});
        let asked = json!({"checks": [
            {"perk": "Not A Slug", "subject": "twitter:ada"},
            {"perk": "sfo-lounge", "subject": "twitter:ada", "sudo": true},
            ada,
            {"perk": "sfo-lounge"},
            {"perk": "sfo-lounge", "subject": "twitter:ada", "context": [1]},
            17,
            ["sfo-lounge", "twitter:ada"],
            ada,
        ]});
        let reply = app.kiosk().await.post("/v1/checks/batch", &asked).await;
        let results = reply.is(200)["results"].as_array().unwrap().clone();
        let told: Vec<_> = results
            .iter()
            .map(|it| (it["decision"].as_str(), it["problem"]["status"].as_u64(), it["problem"]["errors"][0].clone()))
            .map(|(decision, status, error)| (decision, status, error["pointer"].as_str().map(str::to_owned)))
            .collect();
        let refused = |pointer: &str| (None, Some(422), Some(pointer.to_owned()));
        let granted = (Some("granted"), None, None);
        assert_eq!(
            told,
            [
                refused("/perk"),
                refused("/sudo"),
                granted.clone(),
                refused("/subject"),
                refused("/context"),
                refused(""),
                refused(""),
                granted
            ]
        );
    }
}
