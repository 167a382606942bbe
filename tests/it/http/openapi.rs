//! The OpenAPI document: what is committed is what is served, and every operation explains itself.

use perkgate::access::role::Role;
use perkgate::foundation::json::Json;
use perkgate::http::openapi;
use perkgate::rules::rule::Rule;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::contract;

const COMMITTED: &str = include_str!("../../../openapi/perkgate.json");

/// What an operation's name begins with.
const VERBS: &[&str] = &[
    "approve",
    "backtest",
    "confirm",
    "correct",
    "create",
    "decide",
    "decline",
    "delete",
    "drop",
    "edit",
    "enter",
    "erase",
    "get",
    "import",
    "introspect",
    "list",
    "override",
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
    "undo",
    "unlock",
    "withdraw",
    "watch",
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

/// The roles of the last sentence of an operation's description, without what each is bound to.
fn roles_in_words(operation: &Value) -> Vec<&str> {
    let Some((_, sentence)) = operation["description"].as_str().and_then(|text| text.rsplit_once("Roles: ")) else {
        return Vec::new();
    };
    let sentence = sentence.strip_suffix('.').expect("a sentence");
    if sentence == "all" {
        return Role::ALL.map(Role::as_str).to_vec();
    }
    let outside = sentence.split(['(', ')']).step_by(2).flat_map(|part| part.split(','));
    outside.map(str::trim).filter(|name| !name.is_empty()).collect()
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
        // A link is enough for what it leads to.
        assert_eq!(!roles.is_empty(), path.starts_with("/v1/") && !path.starts_with("/v1/my/"), "{at}: roles");
        assert_eq!(roles_in_words(&operation), *roles, "{at}: a last sentence that names them");

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
            ("401", "suspended_key"),
            ("403", "forbidden"),
            ("429", "rate_limited"),
            ("500", "internal"),
            ("503", "unavailable"),
        ] {
            if path.starts_with("/v1/my/") && status == "429" {
                wants(status, "too_many_visits");
            } else if path.starts_with("/v1/my/") && matches!(status, "401" | "403") {
                assert!(!codes(status).contains(&format!("`{code}`")), "{at}: {status} {code}, and it takes no key");
            } else {
                wants(status, code);
            }
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

/// A path with the examples of its parameters in their places.
fn address(path: &str, item: &Value) -> String {
    let operations = item.as_object().unwrap().values();
    let parameters = operations.flat_map(|operation| operation["parameters"].as_array().into_iter().flatten());
    let named = parameters.filter(|parameter| parameter["in"] == "path");
    named.fold(path.to_owned(), |path, parameter| {
        let example = &parameter["example"];
        let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
        path.replace(&format!("{{{}}}", parameter["name"].as_str().unwrap()), &example)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn another_method_is_refused_with_exactly_the_documented_ones() {
    let (app, document) = (TestApp::start(&[]).await, document());
    let admin = app.admin(&app.cathay).await;
    for (path, item) in document["paths"].as_object().unwrap() {
        let address = address(path, item);
        assert_eq!(contract::paths_of(&document, &address)[0], path, "{address}");
        let mut methods: Vec<&str> = ["GET", "POST", "PUT", "PATCH", "DELETE"]
            .into_iter()
            .filter(|it| item.get(it.to_lowercase()).is_some())
            .collect();
        if methods.first() == Some(&"GET") {
            methods.insert(1, "HEAD");
        }
        // Somebody may be called that.
        if path == "/v1/scores/{source}/import" {
            methods = vec!["GET", "HEAD", "POST", "PUT", "DELETE"];
        }
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"] {
            if methods.contains(&method) {
                continue;
            }
            let refused = admin.ask(method.parse::<Method>().unwrap(), &address).await;
            assert_eq!((refused.status, refused.header("allow")), (405, &*methods.join(", ")), "{method} {address}");
        }
    }
    // What fits two paths means the one with more names.
    admin.get("/v1/checks/batch").await.problem(405, "method_not_allowed");
}

#[test]
fn every_object_has_a_name_and_members_and_every_tag_a_description() {
    let document = document();
    let tags = document["tags"].as_array().unwrap();
    for (method, path, operation) in operations(&document) {
        for tag in operation["tags"].as_array().unwrap() {
            let described = tags.iter().any(|it| it["name"] == *tag && it["description"].is_string());
            assert!(described, "{method} {path}: the tag {tag} has no description");
        }
        // A body that is null is refused, and no parameter can be null.
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(!parameter["schema"].to_string().contains("null"), "{method} {path}: {parameter}");
        }
        for (media_type, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            let has_name = content["schema"]["$ref"].is_string() || content["schema"] == json!({"type": "string"});
            assert!(has_name, "{method} {path}: {media_type}: {}", content["schema"]);
        }
    }
    let mut found = vec![("#".to_owned(), &document["components"]), ("#/paths".to_owned(), &document["paths"])];
    while let Some((at, value)) = found.pop() {
        let is_object =
            value["type"] == "object" || value["type"].as_array().is_some_and(|it| it.contains(&"object".into()));
        let has_members = value.get("properties").is_some() || value.get("additionalProperties").is_some();
        assert!(!is_object || has_members, "{at}: an object that nothing is said of");
        match value {
            Value::Object(members) => {
                let members = members.iter().filter(|(name, _)| *name != "example");
                found.extend(members.map(|(name, value)| (format!("{at}/{name}"), value)));
            }
            Value::Array(items) => found.extend(items.iter().enumerate().map(|(nth, it)| (format!("{at}/{nth}"), it))),
            _ => {}
        }
    }
}

#[test]
fn what_branches_is_listed() {
    let document = document();
    let schema = |name: &str, member: &str| document["components"]["schemas"][name]["properties"][member].to_string();
    for (name, member, wanted) in [
        ("CheckView", "decision", "Decision"),
        ("Simulation", "decision", "Decision"),
        ("Reason", "code", "ReasonCode"),
        ("GrantView", "status", "GrantStatus"),
        ("ListedCheck", "decision", "Decision"),
        ("ListedCheck", "reasons", "ReasonCode"),
        ("ListedGrant", "status", "GrantStatus"),
        ("CheckSearchBody", "decision", "Decision"),
        ("GrantSearchBody", "status", "GrantStatus"),
        ("Me", "role", "Role"),
        ("PerkView", "status", "PerkStatus"),
        ("PerkView", "purpose", "Purpose"),
        ("NewPerkBody", "purpose", "Purpose"),
        ("MadeView", "status", "VersionStatus"),
        ("VersionView", "status", "VersionStatus"),
        ("RuleChange", "kind", "ChangeKind"),
        ("KeyView", "role", "Role"),
        ("NewKeyBody", "role", "Role"),
        ("RulingView", "status", "ReferralStatus"),
        ("Contest", "status", "ContestStatus"),
        ("EventView", "kind", "EventKind"),
        ("ReadinessView", "status", "ReadinessStatus"),
    ] {
        let is = schema(name, member);
        assert!(is.contains(&format!("#/components/schemas/{wanted}\"")), "{name}.{member}: {is}");
        let words = document["components"]["schemas"][wanted]["enum"].as_array();
        assert!(words.is_some_and(|words| words.len() > 1), "{wanted}: {words:?}");
    }
}

#[test]
fn what_a_rule_may_say_is_what_its_schema_has() {
    let everything = json!({
        "time_zone": "America/Los_Angeles", "valid": {"from": "2012-05-08T00:00", "until": null},
        "score": {"source": "klout", "max_age": "P7D", "on_stale": "refer", "on_missing": "ignore"},
        "schedule": {"open": [{"days": ["mon", "sun"], "from": "22:00", "to": "06:00"}], "closed_dates": ["2012-12-25"]},
        "when": {"all": [
            {"any": [{"attr": "score", "op": "between", "values": [40.5, 60]}, {"attr": "score", "op": "neq", "value": 3}]},
            {"not": {"attr": "score.age", "op": "gt", "value": "PT90M"}},
            {"attr": "subject.network", "op": "not_in", "values": ["bot"]},
            {"attr": "context.vip", "op": "eq", "value": true},
            {"attr": "context.party", "op": "lte", "ref": "context.seats"},
            {"attr": "context.seat", "op": "exists"}
        ]},
        "tiers": [
            {"id": "first", "rank": 2, "name": "First lounge", "when": {"attr": "score", "op": "gte", "value": 60}, "max_wait": "PT10M"},
            {"id": "standard", "rank": 1}
        ],
        "limits": [
            {"id": "a", "scope": ["subject"], "max": 1, "window": {"calendar": "day"}},
            {"id": "b", "scope": ["perk", "location"], "max": 9, "cost": "party", "window": {"rolling": "PT24H"}},
            {"id": "c", "scope": ["merchant"], "max": 9, "cost": 2, "window": {"lifetime": true}},
            {"id": "d", "scope": ["tier", "kiosk"], "max": 9, "window": {"concurrent": {"max_stay": "PT4H"}}}
        ],
        "token": {"audience": "sfo-lounge", "ttl": "PT30M", "single_use": false}, "rollout": {"percent": 50},
        "otherwise": "refer"
    });
    for rule in [json!({"at_least": 40, "score": "klout"}), json!({"tiers": [{"id": "t"}]}), everything] {
        contract::check_schema("Rule", &rule);
        let read = Rule::parse(&Json::parse(&rule.to_string()).unwrap(), "sfo-lounge").unwrap();
        contract::check_schema("Rule", &serde_json::from_str(read.canonical()).unwrap());
    }
}
