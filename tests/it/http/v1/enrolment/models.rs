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
        assert_eq!((&source(&ann).await["model"], source(&ann).await.get("graces")), (&first["model"], None));

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
        assert_eq!(now["graces"], json!([{"model": first["model"], "until": "2012-06-07T19:00:02Z"}]));
        assert_eq!(bob.post(&approve, &json!({})).await.is(200)["status"], "published", "it is in use already");
        let listed = bob.get(MODELS).await.is(200);
        let statuses: Vec<_> = listed["models"].as_array().unwrap().iter().map(|it| it["status"].clone()).collect();
        assert_eq!(statuses, ["published", "retired"]);
        // One that was never approved is not back by itself.
        assert_eq!(ann.post(MODELS, &json!({"model": renamed("first")})).await.is(201)["status"], "submitted");
        let events = ann.get("/v1/audit/events?kind=model.published&limit=200").await.is(200);
        let all = events["events"].as_array().unwrap();
        let wanted = json!({"approves": true, "grace_until": "2012-06-07T19:00:02Z", "model": second["model"],
                            "source": "influence"});
        assert!(all.len() == 2 && all.iter().any(|event| event["facts"] == wanted), "{events}");
        assert_eq!(codes(&app.world), [""; 0]);

        run(&app.world, "UPDATE model_graces SET until = until + 1").await;
        assert_eq!(codes(&app.world), ["model_mismatch"]);
        run(&app.world, "DELETE FROM model_graces").await;
        assert_eq!(codes(&app.world), [""; 0], "it ends without an event");
        run(&app.world, "UPDATE sources SET model = 'sha256:0' WHERE kind = 'computed'").await;
        run(&app.world, "UPDATE models SET body = '{}' WHERE hash = (SELECT MIN(hash) FROM models)").await;
        // The name of none is no model's either.
        assert_eq!(codes(&app.world), ["model_mismatch"; 3]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_handed_a_model_in_and_who_approved_it_is_held_to_the_log() {
    for app in TestApp::all().await {
        let (ann, bob) = (app.admin(&app.cathay).await, app.admin(&app.cathay).await);
        make(&ann).await;
        ann.put("/v1/approvals", &json!({"required": true})).await.is(200);
        app.world.pass(1);
        let made = ann.post(MODELS, &json!({"model": stricter()})).await.is(201);
        bob.post(&format!("{MODELS}/{}/approve", made["model"].as_str().unwrap()), &json!({})).await.is(200);
        ann.post(MODELS, &json!({"model": renamed("waits"), "grace_days": 3})).await.is(201);
        assert_eq!(codes(&app.world), [""; 0]);
        for edit in [
            "UPDATE source_models SET submitted_at = submitted_at + 3600000000",
            "UPDATE source_models SET submitted_by = 'cli'",
        ] {
            run(&app.world, edit).await;
            assert!(codes(&app.world).contains(&"model_mismatch"), "{edit}");
        }
        // A row by which one person's would be published at once.
        let before = codes(&app.world).len();
        run(&app.world, "UPDATE source_models SET approved_by = 'key_2' WHERE published = FALSE").await;
        assert_eq!(codes(&app.world).len(), before + 1);
        run(&app.world, "DELETE FROM models").await;
        assert!(codes(&app.world).len() > before + 1, "the source computes by none");
        run(&app.world, "DELETE FROM source_models").await;
        assert!(codes(&app.world).contains(&"model_mismatch"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grace_goes_on_when_another_model_is_published() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let name = make(&admin).await;
        with_life(&app, &admin, "cx:1").await;
        let value = async || {
            computed(&app, &name, Mode::Write).await;
            admin.get("/v1/scores/influence/cx:1").await.is(200)["value"].clone()
        };
        let (before, shipped) = (value().await, source(&admin).await["model"].clone());
        let first = admin.post(MODELS, &json!({"model": stricter(), "grace_days": 3})).await.is(201);
        let mut other = stricter();
        other["name"] = json!("stricter-still");
        admin.post(MODELS, &json!({"model": other, "grace_days": 2})).await.is(201);
        let graces = source(&admin).await["graces"].clone();
        assert_eq!((&graces[0]["model"], &graces[1]["model"]), (&shipped, &first["model"]));
        assert_eq!(value().await, before, "the shipped one counts for three days");
        app.world.pass(2 * 86_400);
        let due = perkgate::scores::Scores::clone(&app.world.gateway.scores);
        let compute = async || {
            due.compute_due(&app.world.gateway.clock, &mut std::collections::BTreeSet::new()).await.unwrap();
        };
        compute().await;
        assert_eq!(source(&admin).await["graces"].as_array().map(Vec::len), Some(1));
        assert_eq!(codes(&app.world), [""; 0]);
        app.world.pass(86_400);
        compute().await;
        assert_eq!(source(&admin).await.get("graces"), None);
        assert!(admin.get("/v1/scores/influence/cx:1").await.is(200)["value"].as_f64() < before.as_f64());
        // The one that is published again has no grace any more.
        let again: Value = serde_json::from_str(&default_model().unwrap().to_json().canonical()).unwrap();
        admin.post(MODELS, &json!({"model": again, "grace_days": 5})).await.is(201);
        admin.post(MODELS, &json!({"model": other, "grace_days": 0})).await.is(201);
        assert_eq!(source(&admin).await.get("graces"), None);
        assert_eq!(codes(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_under_way_goes_on_by_the_model_that_is_published() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let name = make(&admin).await;
        with_life(&app, &admin, "cx:1").await;
        computed(&app, &name, Mode::Write).await;
        let before = admin.get("/v1/scores/influence/cx:1").await.is(200)["value"].clone();
        let (scores, clock) = (&app.world.gateway.scores, app.world.gateway.clock.clone());
        scores.compute_all(&app.cathay.id, &name).await.unwrap();
        let mut run = scores.compute(&app.cathay.id, &name, Mode::Write, clock.clone()).await.unwrap();
        admin.post(MODELS, &json!({"model": stricter(), "grace_days": 0})).await.is(201);
        assert!(scores.compute(&app.cathay.id, &name, Mode::Write, clock).await.is_err(), "one at a time");
        while run.step().await.unwrap().is_some() {}
        let after = admin.get("/v1/scores/influence/cx:1").await.is(200)["value"].clone();
        assert!(after.as_f64() < before.as_f64(), "{after} and {before}");
        scores.compute_all(&app.cathay.id, &name).await.unwrap();
        assert_eq!(computed(&app, &name, Mode::Write).await.changed, 0, "it is what a full run makes of it");
    }
}

/// Sixty people whose scores a stricter model lowers.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_moves_too_many_waits_and_is_computed_once_it_is_released() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let name = make(&admin).await;
        for nth in 0..60 {
            with_life(&app, &admin, &format!("cx:{nth}")).await;
        }
        admin.put("/v1/sources/influence/guard", &json!({"share": 0.5, "points": 0})).await.is(200);
        assert!(!computed(&app, &name, Mode::Write).await.held, "nobody had a score");
        let value = async || admin.get("/v1/scores/influence/cx:7").await.is(200)["value"].clone();
        let before = value().await;
        let publish = async |name: &str| {
            let mut model = stricter();
            model["name"] = json!(name);
            admin.post(MODELS, &json!({"model": model, "grace_days": 0})).await.is(201);
        };
        publish("one").await;
        let report = computed(&app, &name, Mode::Write).await;
        assert!(report.held && report.changed == 60, "{report:?}");
        assert_eq!(value().await, before);
        let held = async || admin.get("/v1/sources/influence/held").await.is(200)["held"].clone();
        let waits = held().await[0].clone();
        assert_eq!((&waits["kind"], &waits["compared"], &waits["down"]), (&json!("run"), &json!(60), &json!(60)));
        let (scores, clock) = (&app.world.gateway.scores, app.world.gateway.clock.clone());
        let again = scores.compute(&app.cathay.id, &name, Mode::Write, clock.clone()).await;
        assert!(matches!(again.err(), Some(perkgate::scores::ScoreError::Held(_))));
        let due = perkgate::scores::Scores::clone(scores);
        due.compute_due(&clock, &mut std::collections::BTreeSet::new()).await.unwrap();
        assert_eq!(value().await, before, "nobody computes it meanwhile");
        assert_eq!(computed(&app, &name, Mode::DryRun).await.changed, 60);
        // Another model: the run that waits is about the one before.
        publish("two").await;
        assert_eq!(held().await, json!([]));
        assert!(computed(&app, &name, Mode::Write).await.held);
        let id = held().await[0]["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/sources/influence/held/{id}");
        assert_eq!(admin.post(&format!("{path}/drop"), &json!({})).await.is(200)["state"], "dropped");
        assert!(computed(&app, &name, Mode::Write).await.held, "it is judged by itself");
        let id = held().await[0]["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/sources/influence/held/{id}");
        assert_eq!(admin.post(&format!("{path}/release"), &json!({})).await.is(200)["state"], "moving");
        let report = computed(&app, &name, Mode::Write).await;
        assert_eq!((report.held, report.changed), (false, 60));
        assert!(value().await.as_f64() < before.as_f64());
        assert_eq!(held().await, json!([]));
        assert_eq!(codes(&app.world), [""; 0]);
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
