//! `/v1/perks`: making perks and versions, and what publishing does.

mod backtest;
mod closed_places;
mod closures;
mod diff;
mod four_eyes;
mod lint;
mod newer_rules;
mod occupancy;
mod picture;
mod rules;
mod simulate;
mod steps;
mod version_schedule;
mod version_steps;

use serde_json::{Value, json};

use super::LOUNGE;
use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::shape::assert_shape;

fn lounge() -> Value {
    json!({"perk": "sfo-lounge", "name": "San Francisco lounge", "rule": {"at_least": 40, "score": "klout"}})
}

fn published(rule: &str) -> Value {
    let rule: Value = serde_json::from_str(rule).unwrap();
    json!({"perk": "sfo-lounge", "name": "SFO", "rule": rule, "publish": true})
}

async fn check(client: &Client) -> Value {
    client.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await.is(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_perk_is_made_as_a_draft_and_shown() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let made = admin.post("/v1/perks", &lounge()).await;
        assert_shape!(made, @r#"
        201
        {
          "perk":"sfo-lounge",
          "name":"San Francisco lounge",
          "status":"draft",
          "version":1,
          "rule_hash":"sha256:042a2fa690be5b437a3870a1b60cecea71a955870e269cb8e3c96fbe4fca4ce4",
          "warnings":[]
        }
        "#);
        assert_eq!(made.header("location"), "/v1/perks/sfo-lounge");
        assert_shape!(admin.get("/v1/perks/sfo-lounge").await, @r#"
        200
        {
          "perk":"sfo-lounge",
          "name":"San Francisco lounge",
          "purpose":"other",
          "status":"draft",
          "latest_version":1,
          "published_version":null,
          "created_at":"2012-05-08T19:00:00Z"
        }
        "#);
        assert_shape!(admin.get("/v1/perks/sfo-lounge/versions/1").await, @r#"
        200
        {
          "perk":"sfo-lounge",
          "version":1,
          "status":"draft",
          "rule_hash":"sha256:042a2fa690be5b437a3870a1b60cecea71a955870e269cb8e3c96fbe4fca4ce4",
          "rule":{"limits":[],"rollout":{"percent":100},"schedule":{"closed_dates":[],"open":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"00:00","to":"24:00"}]},"score":{"max_age":null,"on_missing":"deny","on_stale":"deny","source":"klout"},"tiers":[{"id":"standard","name":"Standard","rank":1,"when":{"attr":"score","op":"gte","value":40}}],"time_zone":"UTC","token":{"audience":"sfo-lounge","single_use":true,"ttl":"PT15M"},"valid":{"from":null,"until":null},"when":null},
          "change_note":null,
          "created_by":"key_…",
          "created_at":"2012-05-08T19:00:00Z",
          "published_at":null,
          "key_labels":{"key_…":"test"}
        }
        "#);
        assert_shape!(admin.post("/v1/perks", &lounge()).await, @r#"
        409
        {
          "type":"urn:perkgate:problem:already_exists",
          "title":"There is one already",
          "status":409,
          "detail":"There is a perk of this name already: add a version to it instead.",
          "code":"already_exists",
          "request_id":"req_…"
        }
        "#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_added_published_and_retires_the_one_before() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        admin.post("/v1/perks", &published(r#"{"at_least":40,"score":"klout"}"#)).await.is(201);
        let draft = json!({"rule": {"at_least": 0, "score": "klout"}, "change_note": "Everybody in."});
        let made = admin.post("/v1/perks/sfo-lounge/versions", &draft).await;
        assert_shape!(made, @r#"
        201
        {
          "perk":"sfo-lounge",
          "name":"SFO",
          "status":"draft",
          "version":2,
          "rule_hash":"sha256:085349c85966019a617a0d0acf26de51a948fff8db39cce024a3ee24241ed51e",
          "warnings":[{"pointer":"/rule/at_least","code":"admits_everyone","detail":"`standard` admits everyone: no score is below it."}]
        }
        "#);
        assert_eq!(made.header("location"), "/v1/perks/sfo-lounge/versions/2");
        assert_eq!(admin.get("/v1/perks/sfo-lounge").await.is(200)["published_version"], 1);
        app.world.pass(60);
        assert_shape!(admin.post("/v1/perks/sfo-lounge/versions/2/publish", &json!({})).await, @r#"
        200
        {
          "perk":"sfo-lounge",
          "version":2,
          "status":"published",
          "rule_hash":"sha256:085349c85966019a617a0d0acf26de51a948fff8db39cce024a3ee24241ed51e",
          "rule":{"limits":[],"rollout":{"percent":100},"schedule":{"closed_dates":[],"open":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"00:00","to":"24:00"}]},"score":{"max_age":null,"on_missing":"deny","on_stale":"deny","source":"klout"},"tiers":[{"id":"standard","name":"Standard","rank":1,"when":{"attr":"score","op":"gte","value":0}}],"time_zone":"UTC","token":{"audience":"sfo-lounge","single_use":true,"ttl":"PT15M"},"valid":{"from":null,"until":null},"when":null},
          "change_note":"Everybody in.",
          "created_by":"key_…",
          "created_at":"2012-05-08T19:00:00Z",
          "published_by":"key_…",
          "published_at":"2012-05-08T19:01:00Z",
          "key_labels":{"key_…":"test"},
          "warnings":[{"pointer":"/rule/tiers/0/when","code":"admits_everyone","detail":"`standard` admits everyone: no score is below it."}]
        }
        "#);
        assert_shape!(admin.get("/v1/perks/sfo-lounge").await, @r#"
        200
        {
          "perk":"sfo-lounge",
          "name":"SFO",
          "purpose":"other",
          "status":"published",
          "latest_version":2,
          "published_version":2,
          "created_at":"2012-05-08T19:00:00Z"
        }
        "#);
        let statuses = admin.get("/v1/perks/sfo-lounge/versions").await.is(200);
        let of =
            |nth: usize| (statuses["versions"][nth]["version"].clone(), statuses["versions"][nth]["status"].clone());
        assert_eq!((of(0), of(1)), ((json!(2), json!("published")), (json!(1), json!("retired"))));
        for version in [1, 2] {
            let again = format!("/v1/perks/sfo-lounge/versions/{version}/publish");
            admin.post(&again, &json!({})).await.problem(409, "not_a_draft");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_decides_nothing_and_limits_go_on_counting_over_versions() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        admin.post("/v1/perks", &published(LOUNGE)).await.is(201);
        app.world.score(&app.cathay, "twitter:ada", "47.25").await;
        assert_eq!(check(&admin).await["decision"], "granted");
        // The same limit, now for two a day.
        let more = LOUNGE.replace(r#""max":1"#, r#""max":2"#).replace(r#""value":40"#, r#""value":45"#);
        let draft = json!({"rule": serde_json::from_str::<Value>(&more).unwrap(), "publish": false});
        admin.post("/v1/perks/sfo-lounge/versions", &draft).await.is(201);
        let refused = check(&admin).await;
        assert_eq!((&refused["rule_version"], &refused["reasons"][0]["code"]), (&json!(1), &json!("limit_reached")));
        admin.post("/v1/perks/sfo-lounge/versions/2/publish", &json!({})).await.is(200);
        let granted = check(&admin).await;
        assert_eq!((&granted["rule_version"], &granted["decision"]), (&json!(2), &json!("granted")));
        assert_eq!(granted["limits"][0]["remaining"], 0, "the first grant still counts");
        assert_eq!(check(&admin).await["reasons"][0]["code"], "limit_reached");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn perks_and_versions_are_listed_page_by_page() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        for perk in ["c", "a", "b"] {
            let body = json!({"perk": perk, "name": perk, "rule": {"at_least": 40, "score": "klout"}});
            admin.post("/v1/perks", &body).await.is(201);
        }
        assert_shape!(admin.get("/v1/perks?limit=2").await, @r#"
        200
        {
          "perks":[{"perk":"a","name":"a","purpose":"other","status":"draft","latest_version":1,"published_version":null,"created_at":"2012-05-08T19:00:00Z"},{"perk":"b","name":"b","purpose":"other","status":"draft","latest_version":1,"published_version":null,"created_at":"2012-05-08T19:00:00Z"}],
          "next_cursor":"b"
        }
        "#);
        assert_shape!(admin.get("/v1/perks?limit=2&cursor=b").await, @r#"
        200
        {
          "perks":[{"perk":"c","name":"c","purpose":"other","status":"draft","latest_version":1,"published_version":null,"created_at":"2012-05-08T19:00:00Z"}],
          "next_cursor":null
        }
        "#);
        for _ in 0..2 {
            let rule = json!({"rule": {"at_least": 40, "score": "klout"}});
            admin.post("/v1/perks/a/versions", &rule).await.is(201);
        }
        let page = admin.get("/v1/perks/a/versions?limit=2").await.is(200);
        assert_eq!((&page["versions"][0]["version"], &page["next_cursor"]), (&json!(3), &json!("2")));
        assert_shape!(admin.get("/v1/perks/a/versions?cursor=2").await, @r#"
        200
        {
          "versions":[{"perk":"a","version":1,"status":"draft","rule_hash":"sha256:979e7c086dcd7d452d7d1d1174006f7bf9607c01ba69a6fc7809c49d6e2f4bdf","rule":{"limits":[],"rollout":{"percent":100},"schedule":{"closed_dates":[],"open":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"00:00","to":"24:00"}]},"score":{"max_age":null,"on_missing":"deny","on_stale":"deny","source":"klout"},"tiers":[{"id":"standard","name":"Standard","rank":1,"when":{"attr":"score","op":"gte","value":40}}],"time_zone":"UTC","token":{"audience":"a","single_use":true,"ttl":"PT15M"},"valid":{"from":null,"until":null},"when":null},"change_note":null,"created_by":"key_…","created_at":"2012-05-08T19:00:00Z","published_at":null,"key_labels":{"key_…":"test"}}],
          "next_cursor":null
        }
        "#);
        assert_eq!(app.admin(&app.american).await.get("/v1/perks").await.is(200)["perks"], json!([]));
        for (query, parameter) in [("limit=0", "limit"), ("limit=201", "limit"), ("cursor=%00", "cursor"), ("q=a", "q")]
        {
            let (found, _) = admin.get(&format!("/v1/perks?{query}")).await.spot(422, "invalid_request");
            assert_eq!(found, parameter);
        }
        let (found, _) = admin.get("/v1/perks/a/versions?cursor=x").await.spot(422, "invalid_request");
        assert_eq!(found, "cursor");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_merchants_perk_is_not_there() {
    for app in TestApp::all().await {
        let (admin, stranger) = (app.admin(&app.cathay).await, app.admin(&app.american).await);
        admin.post("/v1/perks", &lounge()).await.is(201);
        for path in ["/v1/perks/sfo-lounge", "/v1/perks/sfo-lounge/versions", "/v1/perks/sfo-lounge/versions/1"] {
            admin.get(path).await.is(200);
            stranger.get(path).await.problem(404, "not_found");
        }
        let version = json!({"rule": {"at_least": 1, "score": "klout"}, "publish": true});
        stranger.post("/v1/perks/sfo-lounge/versions", &version).await.problem(404, "not_found");
        stranger.post("/v1/perks/sfo-lounge/versions/1/publish", &json!({})).await.problem(404, "not_found");
        for path in [
            "/v1/perks/nowhere",
            "/v1/perks/%00",
            "/v1/perks/sfo-lounge/versions/9",
            "/v1/perks/sfo-lounge/versions/x",
            "/v1/perks/sfo-lounge/versions/99999999999999999999",
            "/v1/perks/%E2%80%AEsfo",
        ] {
            admin.get(path).await.problem(404, "not_found");
        }
        // Its own perk of the same name is another perk.
        stranger.post("/v1/perks", &lounge()).await.is(201);
        assert_eq!(admin.get("/v1/perks/sfo-lounge").await.is(200)["status"], "draft");
    }
}
