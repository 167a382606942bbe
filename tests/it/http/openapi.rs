//! The OpenAPI document: what is committed is what is served, and every operation explains itself.

use perkgate::http::openapi;
use serde_json::Value;

use crate::support::app::TestApp;

const COMMITTED: &str = include_str!("../../../openapi/perkgate.json");

/// What an operation's name begins with.
const VERBS: &[&str] = &[
    "approve",
    "backtest",
    "create",
    "decide",
    "delete",
    "edit",
    "erase",
    "get",
    "import",
    "introspect",
    "list",
    "overturn",
    "pause",
    "publish",
    "put",
    "redeem",
    "reject",
    "release",
    "resume",
    "retire",
    "revoke",
    "rollback",
    "schedule",
    "search",
    "simulate",
    "submit",
    "unschedule",
    "update",
    "uphold",
    "void",
    "withdraw",
];

fn document() -> Value {
    serde_json::from_str(&openapi::json(&openapi::document())).unwrap()
}

/// Every operation as (method, path, what it says).
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    found
}

/// Whether the schema shows a value anywhere.
fn has_example(document: &Value, schema: &Value) -> bool {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let within = |part: &Value| match part {
        Value::Object(members) => members.values().any(|member| has_example(document, member)),
        Value::Array(members) => members.iter().any(|member| has_example(document, member)),
        _ => false,
    };
    schema.get("example").or(schema.get("examples")).is_some()
        || within(&schema["properties"])
        || within(&schema["allOf"])
        || (schema["items"].is_object() && has_example(document, &schema["items"]))
}

#[test]
fn the_committed_document_is_the_generated_one() {
    let generated = openapi::json(&openapi::document());
    assert!(
        generated.trim_end() == COMMITTED.trim_end(),
        "openapi/perkgate.json is out of date: `cargo run -- openapi > openapi/perkgate.json`, and look at the difference"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_is_what_is_committed() {
    let app = TestApp::start(&[]).await;
    let served = app.anonymous().get("/openapi.json").await;
    assert_eq!(served.header("content-type"), "application/json");
    assert!(served.text.trim_end() == COMMITTED.trim_end(), "another document is served");
}

#[test]
fn every_operation_explains_itself() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut names = Vec::new();
    for (method, path, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap().to_owned();
        let at = format!("{method} {path} ({name})");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{at} has no summary");
        let (verb, resource) = name.split_once('_').unwrap_or_else(|| panic!("{at}: <verb>_<resource>"));
        assert!(VERBS.contains(&verb) && !resource.is_empty(), "{at}: <verb>_<resource>");
        let roles = operation["x-roles"].as_array().unwrap_or_else(|| panic!("{at} has no x-roles"));
        assert_eq!(!roles.is_empty(), path.starts_with("/v1/"), "{at}: roles");

        let bodies = operation["requestBody"]["content"].as_object().into_iter().flatten();
        let answers = operation["responses"].as_object().unwrap().iter().filter(|(status, _)| status.starts_with('2'));
        let answers = answers.flat_map(|(_, answer)| answer["content"].as_object().into_iter().flatten());
        let mut shown = bodies.chain(answers).map(|(_, content)| content);
        let in_parameters = operation["parameters"].as_array().is_some_and(|parameters| {
            parameters.iter().filter(|one| one["in"] == "path").all(|one| one.get("example").is_some())
        });
        let has_shown = shown.any(|content| {
            content.get("example").or(content.get("examples")).is_some() || has_example(&document, &content["schema"])
        });
        let answers_nothing = operation["responses"].get("204").is_some();
        assert!(has_shown || (answers_nothing && in_parameters), "{at} has no example");
        names.push(name);
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "an operationId stands twice");
}

#[test]
fn every_operation_names_its_problems() {
    let document = document();
    for (method, path, operation) in operations(&document).iter().filter(|(_, path, _)| path.starts_with("/v1/")) {
        let at = format!("{method} {path}");
        let codes = |status: &str| operation["responses"][status]["description"].as_str().unwrap_or("").to_owned();
        let wants = |status: &str, code: &str| {
            assert!(codes(status).contains(&format!("`{code}`")), "{at}: {status} {code}: {}", codes(status));
            let content = &operation["responses"][status]["content"]["application/problem+json"];
            assert_eq!(content["schema"]["$ref"], "#/components/schemas/Problem", "{at}: {status}");
        };
        for (status, code) in [
            ("401", "missing_key"),
            ("401", "invalid_key"),
            ("401", "expired_key"),
            ("401", "revoked_key"),
            ("403", "forbidden"),
            ("429", "rate_limited"),
            ("500", "internal"),
            ("503", "unavailable"),
        ] {
            wants(status, code);
        }
        if operation["requestBody"].is_object() {
            for (status, code) in
                [("408", "request_timeout"), ("413", "body_too_large"), ("415", "unsupported_media_type")]
            {
                wants(status, code);
            }
        }
        if path.contains('{') {
            wants("404", "not_found");
        }
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        if parameters.iter().any(|parameter| parameter["in"] == "query") {
            wants("422", "invalid_request");
        }
        if parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key") {
            wants("422", "idempotency_key_reused");
            wants("400", "bad_idempotency_key");
        }
    }
}
