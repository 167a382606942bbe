//! `perkgate audit receipt` on what the gateway answered, bent in every member: each is refused, or said to be proven by
//! nothing.

use std::path::Path;
use std::process::{Command, Output};

use perkgate::access::{NewKey, Role};
use serde_json::{Value, json};

use crate::support::app::TestApp;

/// A tier, a limit, a promised wait.
const RULE: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"first","rank":2,"name":"First","max_wait":"PT5M","when":{"attr":"score","op":"gte","value":60}},
           {"id":"main","rank":1,"name":"Main","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}},
            {"id":"house","scope":["perk"],"max":9,"window":{"lifetime":true}}]}"#;

const FILES: [&str; 3] = ["receipt.json", "inclusion.json", "consistency.json"];

fn examine(directory: &Path, key: &str, files: &[Value; 3], more: &[&str]) -> Output {
    for (name, value) in FILES.iter().zip(files) {
        std::fs::write(directory.join(name), value.to_string()).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_perkgate"));
    command.current_dir(directory).args(["audit", "receipt", FILES[0], "--key", key]);
    command.args(["--proof", FILES[1], "--proof", FILES[2]]).args(more).output().unwrap()
}

/// What is said to be proven by nothing, as (file, pointer).
fn unproven(done: &Output) -> Vec<(String, String)> {
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    told["unproven"].as_array().unwrap().iter().map(|it| (text(&it["file"]), text(&it["pointer"]))).collect()
}

fn members(value: &Value, at: String, out: &mut Vec<String>) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            object.iter().for_each(|(name, value)| members(value, format!("{at}/{name}"), out));
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(nth, value)| members(value, format!("{at}/{nth}"), out));
        }
        _ => out.push(at),
    }
}

/// The same kind of value, and another.
fn bent(value: &Value) -> Vec<Value> {
    match value {
        Value::String(text) => {
            // An id, a hash, a word or a base64 text of the same form, and one that is longer.
            let at = text.rfind(|letter: char| letter.is_ascii_alphanumeric()).unwrap_or(0);
            let to = if text[at..].starts_with('0') { "1" } else { "0" };
            let other =
                if text.is_empty() { "x".to_owned() } else { format!("{}{to}{}", &text[..at], &text[at + 1..]) };
            vec![json!(other), json!(format!("{text}x"))]
        }
        Value::Number(number) => vec![json!(number.as_f64().unwrap() + 1.0), json!(number.as_i64().unwrap_or(0) + 1)],
        Value::Bool(is) => vec![json!(!is)],
        Value::Null => vec![json!("2030-01-01T00:00:00Z")],
        Value::Array(_) => vec![json!(["x"])],
        Value::Object(_) => vec![json!({"x": 1})],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_bent_is_refused_or_said_to_be_unproven() {
    for app in TestApp::all().await {
        app.lounge(RULE, "72.5").await;
        app.world.score(&app.cathay, "twitter:bob", "12").await;
        let auditor = app.auditor(&app.cathay).await;
        // One that reads scores sees all that an answer may hold.
        let desk = app.client(NewKey::of(Role::Admin, Some(app.cathay.id.clone()), "desk")).await;
        let key = app.world.gateway.keyring.log_key().verifier().to_string();
        let directory = tempfile::tempdir().unwrap();
        let (mut refused, mut named) = (0, 0);
        for (who, decision) in [("ada", "granted"), ("bob", "denied"), ("ada", "denied")] {
            let ask = json!({"perk": "sfo-lounge", "subject": format!("twitter:{who}")});
            let answer = desk.post("/v1/checks", &ask).await.is(200);
            assert_eq!(answer["decision"], decision, "{answer}");
            for _ in 0..3 {
                desk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:nobody"})).await.is(200);
            }
            let check = answer["check"].as_str().unwrap();
            let inclusion = auditor.get(&format!("/v1/audit/events/{check}/proof")).await.is(200);
            let from = answer["receipt"]["index"].as_u64().unwrap() + 1;
            let consistency = auditor.get(&format!("/v1/audit/consistency?from={from}")).await.is(200);
            let files = [answer, inclusion, consistency];
            let done = examine(directory.path(), &key, &files, &["--json"]);
            assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stdout));
            let before = unproven(&done);
            for (file, pointer) in [
                (FILES[0], "/score/observed_at"),
                (FILES[0], "/reasons/0/message"),
                (FILES[2], "/checkpoints/0/signed_at"),
            ] {
                assert!(before.contains(&(file.to_owned(), pointer.to_owned())), "{pointer}: {before:?}");
            }
            for pointer in ["/decision", "/tier", "/grant", "/perk", "/rule_version", "/limits/0/remaining", "/check"] {
                assert!(before.iter().all(|(file, other)| file != FILES[0] || other != pointer), "{pointer} is proven");
            }

            for (nth, file) in FILES.iter().enumerate() {
                let mut all = Vec::new();
                members(&files[nth], String::new(), &mut all);
                for pointer in all {
                    for to in bent(files[nth].pointer(&pointer).unwrap()) {
                        let mut files = files.clone();
                        *files[nth].pointer_mut(&pointer).unwrap() = to.clone();
                        let done = examine(directory.path(), &key, &files, &["--json"]);
                        let what = format!("{file}{pointer} bent to {to}");
                        if done.status.code() == Some(1) {
                            refused += 1;
                            continue;
                        }
                        assert_eq!(done.status.code(), Some(0), "{what}");
                        let is_named = unproven(&done).contains(&((*file).to_owned(), pointer.clone()));
                        assert!(is_named, "{what} passed, and nothing says that it is unproven");
                        let told = String::from_utf8(examine(directory.path(), &key, &files, &[]).stdout).unwrap();
                        assert!(told.contains(&format!("unproven   {file}: {pointer}\n")), "{told}");
                        assert!(!told.contains("is good"), "{told}");
                        named += 1;
                    }
                }
            }
            // Something that was taken out or put in.
            for (pointer, to) in [
                ("/reasons", json!([])),
                ("/limits", json!([])),
                ("/limits", json!([files[0]["limits"][0], files[0]["limits"][0], files[0]["limits"][1]])),
                ("/reasons", json!([files[0]["reasons"][0], {"code": "perk_paused", "message": "x"}])),
                // What is no list is not an empty one.
                ("/reasons", json!({"0": {"code": "perk_paused"}})),
                ("/limits", json!("none")),
                ("/limits", Value::Null),
            ] {
                // A denial by the score alone touches no limit.
                if files[0].pointer(pointer) == Some(&to) {
                    continue;
                }
                let mut files = files.clone();
                *files[0].pointer_mut(pointer).unwrap() = to;
                assert_eq!(examine(directory.path(), &key, &files, &[]).status.code(), Some(1), "{pointer}");
            }
            for name in
                ["check", "decision", "perk", "rule_version", "reasons", "limits", "next_eligible_at", "tier", "grant"]
            {
                let mut files = files.clone();
                if files[0].as_object_mut().unwrap().remove(name).is_some() {
                    assert_eq!(examine(directory.path(), &key, &files, &[]).status.code(), Some(1), "{name}");
                }
            }
            for (name, value) in
                [("tier", "platinum"), ("grant", "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"), ("resolves", "chk_x")]
            {
                let mut files = files.clone();
                files[0][name] = json!(value);
                assert_eq!(examine(directory.path(), &key, &files, &[]).status.code(), Some(1), "{name}");
            }
            let mut added = files.clone();
            added[0]["vip"] = json!(true);
            added[1]["words"] = json!("all is well");
            // A proof of inclusion has no such list, so that nobody looks at it.
            added[1]["checkpoints"] = json!([{"log": files[0]["receipt"]["log"]}]);
            let named: Vec<_> = unproven(&examine(directory.path(), &key, &added, &["--json"]));
            for (file, pointer) in [(FILES[0], "/vip"), (FILES[1], "/words"), (FILES[1], "/checkpoints/0/log")] {
                assert!(named.contains(&(file.to_owned(), pointer.to_owned())), "{named:?}");
            }
        }
        assert!(refused > 100 && named > 20, "{refused} refused, {named} named");
    }
}

/// The receipt of one check, with the answer of another.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_anothers_receipt_is_refused() {
    for app in TestApp::all().await {
        app.lounge(RULE, "72.5").await;
        let (desk, auditor) = (app.admin(&app.cathay).await, app.auditor(&app.cathay).await);
        let key = app.world.gateway.keyring.log_key().verifier().to_string();
        let directory = tempfile::tempdir().unwrap();
        let ask = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        let (granted, denied) =
            (desk.post("/v1/checks", &ask).await.is(200), desk.post("/v1/checks", &ask).await.is(200));
        let check = denied["check"].as_str().unwrap();
        let inclusion = auditor.get(&format!("/v1/audit/events/{check}/proof")).await.is(200);
        let consistency = auditor.get("/v1/audit/consistency?from=1").await.is(200);
        let mut mixed = granted.clone();
        mixed["receipt"] = denied["receipt"].clone();
        let done = examine(directory.path(), &key, &[mixed, inclusion.clone(), consistency.clone()], &[]);
        let told = String::from_utf8(done.stdout).unwrap();
        assert_eq!(done.status.code(), Some(1), "{told}");
        assert!(
            told.contains("WRONG      answer: ") && told.contains("/decision") && told.contains("/grant"),
            "{told}"
        );
        // Of a proof that holds no body only what is signed is shown.
        let mut bare = inclusion;
        bare["body"] = Value::Null;
        let done = examine(directory.path(), &key, &[denied, bare, consistency], &["--json"]);
        let told: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!((&told["ok"], &told["complete"]), (&json!(true), &json!(false)));
        let steps = told["steps"].as_array().unwrap();
        assert!(steps.iter().any(|step| step["step"] == "answer" && step["status"] == "not_shown"), "{told}");
        for pointer in ["/decision", "/check"] {
            assert!(unproven(&done).contains(&(FILES[0].to_owned(), pointer.to_owned())), "{told}");
        }
        assert!(unproven(&done).contains(&(FILES[1].to_owned(), "/event".to_owned())), "{told}");
    }
}
