//! `/v1/sources/{source}/models`: by which model a source computes, and who says so.

use perkgate::foundation::ids::SourceName;
use perkgate::scores::computing::Mode;
use perkgate::scoring::default_model::default_model;
use serde_json::{Value, json};

use super::computing::{computed, with_life};
use super::{codes, run};
use crate::support::app::TestApp;
use crate::support::client::Client;

const MODELS: &str = "/v1/sources/influence/models";

/// The shipped model under another name, which is another model.
fn renamed(name: &str) -> Value {
    let mut model: Value = serde_json::from_str(&default_model().unwrap().to_json().canonical()).unwrap();
    model["name"] = json!(name);
    model
}

/// One by which everyone has less: more is needed for each score between the lowest and the highest.
fn stricter() -> Value {
    let mut model = renamed("stricter");
    let curve = model["curve"].as_array_mut().unwrap();
    let last = curve.len() - 1;
    for point in &mut curve[1..last] {
        let level = point["level"].as_u64().unwrap();
        point["level"] = json!(level + 500);
    }
    model
}

async fn make(admin: &Client) -> SourceName {
    admin.post("/v1/sources", &json!({"name": "influence", "kind": "computed"})).await.is(201);
    "influence".parse().unwrap()
}

async fn source(admin: &Client) -> Value {
    admin.get("/v1/sources").await.is(200)["sources"][1].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_published_at_once_or_by_a_second_person() {
    for app in TestApp::all().await {
        let (ann, bob) = (app.admin(&app.cathay).await, app.admin(&app.cathay).await);
        make(&ann).await;
        let shipped = source(&ann).await["model"].clone();
        assert_eq!(shipped, default_model().unwrap().hash());
        let first = ann.post(MODELS, &json!({"model": renamed("first"), "grace_days": 0})).await.is(201);
        assert_eq!(first["status"], "published");
        assert_eq!((&source(&ann).await["model"], source(&ann).await.get("grace")), (&first["model"], None));

        ann.put("/v1/approvals", &json!({"required": true})).await.is(200);
        app.world.pass(1);
        let second = ann.post(MODELS, &json!({"model": stricter()})).await.is(201);
        assert_eq!((&second["status"], &second["grace_days"]), (&json!("submitted"), &json!(30)));
        assert_eq!(second.get("approved_by"), None);
        assert_eq!(ann.post(MODELS, &json!({"model": stricter()})).await.is(201), second, "the same again is the same");
        assert_eq!(source(&ann).await["model"], first["model"], "nothing is decided yet");
        let of_second = format!("{MODELS}/{}", second["model"].as_str().unwrap());
        let differences = bob.get(&format!("{of_second}/diff")).await.is(200);
        assert_eq!(differences["before"], first["model"]);
        assert!(differences["changes"][0]["sentence"].as_str().unwrap().contains("harder to reach"), "{differences}");

        let approve = format!("{of_second}/approve");
        ann.post(&approve, &json!({})).await.problem(403, "self_approval");
        app.world.pass(1);
        app.admin(&app.cathay).await.post(&approve, &json!({})).await.problem(403, "self_approval");
        app.admin(&app.american).await.post(&approve, &json!({})).await.problem(404, "not_found");
        assert_eq!(bob.post(&approve, &json!({})).await.is(200)["status"], "published");
        let now = source(&ann).await;
        assert_eq!(now["model"], second["model"]);
        assert_eq!(now["grace"], json!({"model": first["model"], "until": "2012-06-07T19:00:02Z"}));
        assert_eq!(bob.post(&approve, &json!({})).await.is(200)["status"], "published", "it is in use already");
        let listed = bob.get(MODELS).await.is(200);
        let statuses: Vec<_> = listed["models"].as_array().unwrap().iter().map(|it| it["status"].clone()).collect();
        assert_eq!(statuses, ["published", "retired"]);
        // One that was never approved is not back by itself.
        assert_eq!(ann.post(MODELS, &json!({"model": renamed("first")})).await.is(201)["status"], "submitted");
        let events = ann.get("/v1/audit/events?kind=model.published&limit=200").await.is(200);
        let all = events["events"].as_array().unwrap();
        let wanted = json!({"grace_until": "2012-06-07T19:00:02Z", "model": second["model"], "source": "influence"});
        assert!(all.len() == 2 && all.iter().any(|event| event["facts"] == wanted), "{events}");
        assert_eq!(codes(&app.world), [""; 0]);

        run(&app.world, "UPDATE sources SET grace_until = grace_until + 1 WHERE kind = 'computed'").await;
        assert_eq!(codes(&app.world), ["model_mismatch"]);
        run(&app.world, "UPDATE sources SET grace_until = NULL, grace_model = NULL WHERE kind = 'computed'").await;
        assert_eq!(codes(&app.world), [""; 0], "it ends without an event");
        run(&app.world, "UPDATE sources SET model = 'sha256:0' WHERE kind = 'computed'").await;
        run(&app.world, "UPDATE models SET body = '{}' WHERE hash = (SELECT MIN(hash) FROM models)").await;
        assert_eq!(codes(&app.world), ["model_mismatch", "model_mismatch"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_better_of_two_models_counts_until_the_grace_is_over() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let name = make(&admin).await;
        with_life(&app, &admin, "cx:1").await;
        let value = async || {
            computed(&app, &name, Mode::Write).await;
            admin.get("/v1/scores/influence/cx:1").await.is(200)["value"].clone()
        };
        let before = value().await;
        let shipped = source(&admin).await["model"].clone();
        let made = admin.post(MODELS, &json!({"model": stricter(), "grace_days": 2})).await.is(201);
        assert_eq!(value().await, before);
        let explained = admin.get("/v1/scores/influence/cx:1/explain").await.is(200);
        assert_eq!((&explained["model"], &explained["value"]), (&shipped, &before));
        app.world.pass(2 * 86_400);
        let due = perkgate::scores::Scores::clone(&app.world.gateway.scores);
        due.compute_due(&app.world.gateway.clock, &mut std::collections::BTreeSet::new()).await.unwrap();
        let after = admin.get("/v1/scores/influence/cx:1").await.is(200)["value"].as_f64().unwrap();
        assert!(Some(after) < before.as_f64(), "{after} and {before}");
        let explained = admin.get("/v1/scores/influence/cx:1/explain").await.is(200);
        assert_eq!((&explained["model"], explained["value"].as_f64()), (&made["model"], Some(after)));
        assert_eq!(source(&admin).await.get("grace"), None);
        assert_eq!(codes(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_does_not_fit_is_pointed_at() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        admin.post(MODELS, &json!({"model": renamed("m")})).await.problem(404, "not_found");
        make(&admin).await;
        admin.post("/v1/sources/klout/models", &json!({"model": renamed("m")})).await.problem(404, "not_found");
        let mut bad = renamed("m");
        bad["networks"][0]["reach"] = json!(0);
        assert_eq!(
            admin.post(MODELS, &json!({"model": bad})).await.spot(422, "invalid_request").0,
            "/model/networks/0/reach"
        );
        let longest = json!({"model": renamed("m"), "grace_days": 367});
        assert_eq!(admin.post(MODELS, &longest).await.spot(422, "invalid_request").0, "/grace_days");
        for unknown in ["sha256:0", "x"] {
            admin.get(&format!("{MODELS}/{unknown}/diff")).await.problem(404, "not_found");
            admin.post(&format!("{MODELS}/{unknown}/approve"), &json!({})).await.problem(404, "not_found");
        }
        let shipped = default_model().unwrap().hash();
        assert_eq!(source(&admin).await["model"], shipped);
    }
}
