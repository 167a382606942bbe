//! What the API and the command line both show: the same members with the same values, and the same ones left out.

use perkgate::http::openapi;
use serde_json::{Map, Value, json};

use super::{json_of, perkgate};
use crate::support::app::TestApp;
use crate::support::world::MASTER_KEY;

const REFERS: &str = r#"{"tiers":[{"id":"standard","name":"Main lounge","max_wait":"PT10M",
     "when":{"attr":"score","op":"gte","value":40}}],"score":{"source":"klout"},"otherwise":"refer",
    "limits":[{"id":"person-day","scope":["subject"],"max":2,"window":{"calendar":"day"}}]}"#;

/// The answer of the command line about the app's own database.
fn ask(app: &TestApp, line: &[&str]) -> Value {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("key"), MASTER_KEY).unwrap();
    let url = app.world.database.setting();
    let settings = ["--merchant", "cathay", "--json", "--database-url", &url, "--master-key-file", "key"];
    let done = perkgate(directory.path(), &[line, &settings].concat());
    assert!(done.status.success(), "{line:?}: {}", String::from_utf8_lossy(&done.stderr));
    json_of(&done.stdout)
}

/// The JSON without its times, of which it is left whether they are there: the command line's clock is the real one.
fn timeless(mut json: Value) -> Value {
    match &mut json {
        Value::Object(members) => {
            for (name, value) in members {
                let is_time = ["age_seconds", "at", "next_eligible_at", "resets_at"].contains(&name.as_str());
                *value = if is_time { json!(!value.is_null()) } else { timeless(value.take()) };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = timeless(item.take())),
        _ => {}
    }
    json
}

/// The members that the API's document describes for a schema, through references and compositions.
fn properties(document: &Value, schema: &Value) -> Map<String, Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        return properties(document, document.pointer(reference.trim_start_matches('#')).unwrap());
    }
    let parts = schema["allOf"].as_array().or(schema["oneOf"].as_array()).into_iter().flatten();
    let own = schema["properties"].as_object().cloned().unwrap_or_default();
    parts.flat_map(|part| properties(document, part)).chain(own).collect()
}

/// Every member of the answer is described, but those of what merchants wrote and of traces, which have their own tests.
#[track_caller]
fn assert_described(document: &Value, schema: &Value, answer: &Value) {
    let members = properties(document, schema);
    for (name, value) in answer.as_object().unwrap() {
        let member = members.get(name).unwrap_or_else(|| panic!("{name} of {answer} is not described"));
        match value {
            _ if ["context", "key_labels", "rule", "trace"].contains(&name.as_str()) => {}
            Value::Object(_) => assert_described(document, member, value),
            Value::Array(items) => {
                let objects = items.iter().filter(|item| item.is_object());
                objects.for_each(|item| assert_described(document, &member["items"], item));
            }
            _ => {}
        }
    }
}

#[track_caller]
fn described(schema: &str, answer: &Value) {
    let document: Value = serde_json::from_str(&openapi::json(&openapi::document())).unwrap();
    assert_described(&document, &json!({"$ref": format!("#/components/schemas/{schema}")}), answer);
}

async fn lounge(app: &TestApp) {
    app.lounge(REFERS, "47").await;
    app.world.perk(&app.cathay, "spa", r#"{"at_least":40,"score":"klout"}"#).await;
    app.world.score(&app.cathay, "twitter:bo", "37.5").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_and_a_simulation_have_the_same_members_at_both_doors() {
    for app in TestApp::all().await {
        lounge(&app).await;
        let (admin, kiosk) = (app.admin(&app.cathay).await, app.kiosk().await);
        for (perk, subject, decision) in [
            ("sfo-lounge", "twitter:ada", "granted"),
            ("spa", "twitter:bo", "denied"),
            ("sfo-lounge", "twitter:bo", "referred"),
            ("spa", "twitter:nobody", "denied"),
        ] {
            let question = json!({"perk": perk, "subject": subject, "dry_run": true});
            for (client, role) in [(&admin, "admin"), (&kiosk, "kiosk")] {
                let answer = client.post("/v1/checks", &question).await.is(200);
                assert_eq!(answer["decision"], decision);
                described("CheckView", &answer);
                let shown = ask(&app, &["check", perk, subject, "--role", role]);
                assert_eq!(timeless(shown), timeless(answer), "{perk}, {subject} as {role} at {}", app.address);
            }
            let path = format!("/v1/perks/{perk}/simulate");
            let simulated = admin.post(&path, &json!({"subject": subject})).await.is(200);
            described("Simulation", &simulated);
            let shown = ask(&app, &["perk", "simulate", perk, "--subject", subject]);
            assert_eq!((&shown["decision"], timeless(shown.clone())), (&json!(decision), timeless(simulated)));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_is_the_same_at_both_doors_open_and_decided() {
    for app in TestApp::all().await {
        lounge(&app).await;
        let (admin, kiosk) = (app.admin(&app.cathay).await, app.kiosk().await);
        let asked = async |perk: &str| {
            let question = json!({"perk": perk, "subject": "twitter:bo"});
            kiosk.post("/v1/checks", &question).await.is(200)["check"].as_str().unwrap().to_owned()
        };
        let same = async |word: &str, check: &str| {
            let listed = admin.get(&format!("/v1/{word}s")).await.is(200);
            assert_eq!(ask(&app, &[word, "list"])[format!("{word}s")], listed[format!("{word}s")]);
            let shown = admin.get(&format!("/v1/{word}s/{check}")).await.is(200);
            described(if word == "referral" { "ReferredView" } else { "ContestedView" }, &shown);
            assert_eq!(ask(&app, &[word, "show", check]), shown, "at {}", app.address);
            shown
        };
        let referred = asked("sfo-lounge").await;
        let open = same("referral", &referred).await;
        assert_eq!((&open["status"], open.get("decided_at"), open.get("note")), (&json!("open"), None, None));
        assert_eq!((&open["asked"]["decision"], open["asked"].get("tier")), (&json!("referred"), None));
        let path = format!("/v1/referrals/{referred}/decide");
        admin.post(&path, &json!({"decision": "granted", "tier": "standard", "note": "Late."})).await.is(201);
        let granted = same("referral", &referred).await;
        assert!(granted["granted_check"].is_string() && granted["decided_by"].is_string(), "{granted}");

        let denied = asked("spa").await;
        admin.post(&format!("/v1/checks/{denied}/contest"), &json!({"reason": "Renamed."})).await.is(201);
        let contest = same("contest", &denied).await;
        assert_eq!((&contest["asked"]["decision"], contest.get("added")), (&json!("denied"), None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_the_same_at_both_doors() {
    for app in TestApp::all().await {
        lounge(&app).await;
        let admin = app.admin(&app.cathay).await;
        let draft = json!({"rule": {"at_least": 42, "score": "klout"}, "change_note": "It was full."});
        admin.post("/v1/perks/spa/versions", &draft).await.is(201);
        let listed = admin.get("/v1/perks/spa/versions").await.is(200);
        assert_eq!(ask(&app, &["perk", "history", "spa"])["versions"], listed["versions"]);
        for (number, status) in [("1", "published"), ("2", "draft")] {
            let version = admin.get(&format!("/v1/perks/spa/versions/{number}")).await.is(200);
            assert_eq!(version["status"], status);
            described("VersionView", &version);
            assert_eq!(ask(&app, &["perk", "show", "spa", "--version", number])["shown"], version);
        }
        let stepped = ask(&app, &["perk", "publish", "spa", "--version", "2"]);
        let version = admin.get("/v1/perks/spa/versions/2").await.is(200);
        for (name, value) in version.as_object().unwrap() {
            assert_eq!(&stepped[name], value, "{name}");
        }
    }
}
