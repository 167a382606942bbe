//! Sources that are fetched: from a service of our own that speaks as the real ones do, on good days and on bad ones.

mod bad_days;
mod networks;
mod politeness;
mod published;

use perkgate::foundation::ids::SourceName;
use perkgate::scores::ScoreError;
use perkgate::scores::pulling::Pulls;
use perkgate::scores::pulling::outcome::PullReport;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::elsewhere::{Elsewhere, Reply as Said};

/// This machine may be asked, and an answer takes no longer than that.
const SETTINGS: [(&str, &str); 2] = [("pull_allowed_hosts", "127.0.0.1"), ("pull_timeout", "500ms")];

async fn link(client: &Client, subject: &str, network: &str, account: &str) {
    let accounts = json!([{"network": network, "account": account, "proof": "vouched"}]);
    client.put("/v1/subjects/accounts", &json!({"subject": subject, "accounts": accounts})).await.is(200);
}

async fn declare(admin: &Client, name: &str, pull: Value) -> Reply {
    admin.post("/v1/sources", &json!({"name": name, "kind": "pull", "pull": pull})).await
}

async fn declare_score(admin: &Client, name: &str, pull: Value) -> Value {
    let body = json!({"name": name, "kind": "pull", "min": 0, "max": 100, "pull": pull});
    admin.post("/v1/sources", &body).await.is(201)
}

async fn pulled_by(pulls: &Pulls, app: &TestApp, name: &str) -> Result<PullReport, ScoreError> {
    let source: SourceName = name.parse().unwrap();
    let mut run = pulls.pull(&app.cathay.id, &source).await?;
    while run.step().await?.is_some() {}
    Ok(run.report().clone())
}

async fn pulled(app: &TestApp, name: &str) -> PullReport {
    pulled_by(&app.world.gateway.pulls, app, name).await.unwrap()
}

/// The state of a source, as the API shows it.
async fn state(admin: &Client, name: &str) -> Value {
    let sources = admin.get("/v1/sources").await.is(200);
    let found = sources["sources"].as_array().unwrap().iter().find(|source| source["name"] == name).unwrap();
    found["pull"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_score_is_fetched_where_a_template_and_pointers_say() {
    let service = Elsewhere::start(|_| {
        Said::json(&json!({"data": [{"score": "61.2509", "at": "2012-05-08T12:00:00+02:00"}]})).with("etag", "\"one\"")
    })
    .await;
    for app in TestApp::all_with(&SETTINGS).await {
        let admin = app.admin(&app.cathay).await;
        let pull = json!({"network": "x", "url": format!("{}/s?user={{account}}", service.url()),
                          "value": "/data/0/score", "time": "/data/0/at", "budget": 10});
        let made = declare_score(&admin, "elsewhere", pull).await;
        assert_eq!((&made["kind"], &made["pull"]["status"]), (&json!("pull"), &json!("new")));
        link(&admin, "cx:1", "x", "a&b").await;
        link(&admin, "cx:2", "github", "octo").await;

        let report = pulled(&app, "elsewhere").await;
        assert_eq!((report.accounts, report.scores, report.requests), (1, 1, 1));
        assert_eq!(service.targets(), ["/s?user=a%26b"]);
        let score = admin.get("/v1/scores/elsewhere/cx:1").await.is(200);
        assert_eq!((&score["value"], &score["observed_at"]), (&json!(61.25), &json!("2012-05-08T10:00:00Z")));
        admin.get("/v1/scores/elsewhere/cx:2").await.problem(404, "not_found");
        let now = state(&admin, "elsewhere").await;
        assert_eq!((&now["status"], &now["budget_left"]), (&json!("ready"), &json!(9)));
        assert_eq!(now["last_answer_at"], "2012-05-08T19:00:00Z");
        assert!(now.get("fault").is_none(), "{now}");

        // Nobody is asked about before their time, and then whatever did not change stands.
        assert_eq!(pulled(&app, "elsewhere").await.requests, 0);
        app.world.pass(86_400);
        service.answer(|asked| {
            assert!(asked.head.contains("if-none-match: \"one\""), "{}", asked.head);
            Said { body: Vec::new(), ..Said::status(304) }
        });
        let report = pulled(&app, "elsewhere").await;
        assert_eq!((report.accounts, report.unchanged, report.scores), (1, 1, 0));
        admin.get("/v1/scores/elsewhere/cx:1").await.is(200);
        service.asked();
        service.answer(|_| {
            Said::json(&json!({"data": [{"score": "61.2509", "at": "2012-05-08T12:00:00+02:00"}]}))
                .with("etag", "\"one\"")
        });

        // Nobody else writes its scores, and who is unlinked is asked about no more.
        let put = json!({"value": 5, "observed_at": "2012-05-08T18:00:00Z"});
        admin.put("/v1/scores/elsewhere/cx:1", &put).await.problem(422, "invalid_request");
        admin.put("/v1/subjects/accounts", &json!({"subject": "cx:1", "accounts": []})).await.is(200);
        app.world.pass(86_400);
        assert_eq!(pulled(&app, "elsewhere").await.accounts, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declaration_is_held_to_what_can_be_fetched() {
    let app = TestApp::start(&SETTINGS).await;
    let admin = app.admin(&app.cathay).await;
    let url = "https://api.example.com/{account}";
    for (pull, pointer, code) in [
        (json!({"connector": "myspace"}), "/pull/connector", "unknown_value"),
        (json!({"preset": "peerindex"}), "/pull/preset", "unknown_value"),
        (json!({"connector": "bluesky", "network": "github"}), "/pull/network", "invalid_value"),
        (json!({"connector": "bluesky", "url": url}), "/pull/url", "unknown_field"),
        (json!({"connector": "bluesky", "base": "https://x.example/?a"}), "/pull/base", "invalid_value"),
        (json!({"connector": "bluesky", "budget": 0}), "/pull/budget", "out_of_range"),
    ] {
        let spot = declare(&admin, "s", pull.clone()).await.spot(422, "invalid_request");
        assert_eq!(spot, (pointer.to_owned(), code.to_owned()), "{pull}");
    }
    for (pull, pointer, code) in [
        (json!({"network": "x", "url": "https://api.example.com/", "value": "/s"}), "/pull/url", "invalid_value"),
        (json!({"network": "x", "url": "https://{account}.example.com/", "value": "/s"}), "/pull/url", "invalid_value"),
        (json!({"network": "x", "url": url, "value": "score"}), "/pull/value", "invalid_value"),
        (json!({"network": "zzz", "url": url, "value": "/s"}), "/pull/network", "unknown_value"),
        (json!({"url": url, "value": "/s"}), "/pull/network", "missing_field"),
        (
            json!({"network": "x", "url": url, "value": "/s", "headers": {"host": "h"}}),
            "/pull/headers",
            "invalid_value",
        ),
    ] {
        let body = json!({"name": "s", "kind": "pull", "min": 0, "max": 1, "pull": pull});
        let spot = admin.post("/v1/sources", &body).await.spot(422, "invalid_request");
        assert_eq!(spot, (pointer.to_owned(), code.to_owned()), "{body}");
    }
    let body = json!({"name": "s", "kind": "pull"});
    let spot = admin.post("/v1/sources", &body).await.spot(422, "invalid_request");
    assert_eq!(spot, ("/pull".to_owned(), "missing_field".to_owned()));
    let spot = declare(&admin, "s", json!({"preset": "klout"})).await.spot(422, "invalid_request");
    assert_eq!(spot, ("/min".to_owned(), "missing_field".to_owned()));
    let body = json!({"name": "s", "min": 0, "max": 1, "pull": {"connector": "bluesky"}});
    let spot = admin.post("/v1/sources", &body).await.spot(422, "invalid_request");
    assert_eq!(spot, ("/pull".to_owned(), "unknown_field".to_owned()));
    assert!(matches!(
        app.world.gateway.pulls.pull(&app.cathay.id, &"klout".parse().unwrap()).await,
        Err(ScoreError::NotPulled(_))
    ));
}

/// The door of Klout's API is what the preset asks: one gateway fetches from another.
#[tokio::test(flavor = "multi_thread")]
async fn a_preset_finds_the_id_and_then_the_score_and_its_key_shows_nowhere() {
    let service = Elsewhere::start(|asked| match asked.target.split('?').next().unwrap() {
        "/v2/identity.json/twitter" => Said::json(&json!({"id": "635263", "network": "ks"})),
        "/v2/user.json/635263/score" => Said::json(&json!({"score": 50.5, "bucket": "50-59"})),
        _ => Said::status(404),
    })
    .await;
    let secrets = tempfile::tempdir().unwrap();
    std::fs::write(secrets.path().join("cathay.klout-pull"), "sesame-4711\n").unwrap();
    let place = secrets.path().display().to_string();
    for app in TestApp::all_with(&[SETTINGS[0], SETTINGS[1], ("pull_secrets_dir", &place)]).await {
        let admin = app.admin(&app.cathay).await;
        let pull = json!({"preset": "klout", "base": service.url()});
        declare_score(&admin, "klout-pull", pull.clone()).await;
        link(&admin, "cx:1", "x", "ada").await;
        assert_eq!(pulled(&app, "klout-pull").await.scores, 1);
        let asked = service.targets();
        assert_eq!(asked[0], "/v2/identity.json/twitter?screenName=ada&key=sesame-4711");
        assert_eq!(admin.get("/v1/scores/klout-pull/cx:1").await.is(200)["value"], 50.5);

        // Another source of the same operator has no key, and gets none of this one.
        declare_score(&admin, "other", pull).await;
        let refused = pulled_by(&app.world.gateway.pulls, &app, "other").await.unwrap_err();
        assert!(matches!(refused, ScoreError::NoSecret(_)) && !refused.to_string().contains("sesame"), "{refused}");
        assert!(service.targets().is_empty());

        app.world.pass(86_400);
        service.answer(|_| Said::of(500, "text/plain", "no"));
        let report = pulled(&app, "klout-pull").await;
        service.answer(|asked| match asked.target.split('?').next().unwrap() {
            "/v2/identity.json/twitter" => Said::json(&json!({"id": 635_263})),
            _ => Said::json(&json!({"score": 50.5})),
        });
        service.asked();
        assert_eq!(report.fault.as_deref(), Some("it answers 500"));
        let shown = format!("{report:?}{}", admin.get("/v1/sources").await.is(200));
        let log = admin.get("/v1/audit/events?limit=200").await.is(200).to_string();
        assert!(!shown.contains("sesame") && !log.contains("sesame"));
    }
}
