//! The OpenAPI document as a contract: whatever a test is answered, generated clients must have been told of.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use perkgate::http::openapi;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Reply;

struct Contract {
    document: Value,
    /// By the reference of what they hold to.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract {
    document: serde_json::from_str(&openapi::json(&openapi::document())).unwrap(),
    validators: Mutex::default(),
});

/// Every path of the document that this address fits, the one that it means first.
pub(crate) fn paths_of<'a>(document: &'a Value, address: &str) -> Vec<&'a str> {
    let fits = |path: &str| {
        let (mut wanted, mut is) = (path.split('/'), address.split('/'));
        loop {
            match (wanted.next(), is.next()) {
                (None, None) => return true,
                (Some(wanted), Some(is)) if wanted == is || (wanted.starts_with('{') && !is.is_empty()) => {}
                _ => return false,
            }
        }
    };
    let mut paths: Vec<_> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    paths.retain(|path| fits(path));
    paths.sort_by_key(|path| path.matches('{').count());
    paths
}

/// Panics when the document doesn't have this answer to what was asked: its status, the code of its
/// problem, its media type, or the shape of its JSON.
pub(crate) fn check(method: &Method, address: &str, reply: &Reply) {
    let (status, text) = (reply.status, reply.text.as_str());
    let document = &CONTRACT.document;
    let name = if *method == Method::HEAD { "get".to_owned() } else { method.as_str().to_lowercase() };
    let path = paths_of(document, address).into_iter().next();
    // What is no operation is 404 or 405, and no business of the document.
    let Some(operation) = path.and_then(|path| document["paths"][path].get(name)) else { return };
    let at = format!("asked at {}: {method} {address}: {status} {text}", reply.place);
    let answer = &operation["responses"][status.to_string()];
    assert!(answer.is_object(), "{at}\nthe document doesn't have this status");
    if *method == Method::HEAD {
        return;
    }
    let content = answer["content"].as_object();
    let Some(content) = content else {
        assert_eq!(text, "", "{at}\nthe document has no body for this answer");
        return;
    };
    let media_type = reply.header("content-type").split(';').next().unwrap().trim();
    let described = content.get(media_type);
    let described = described.unwrap_or_else(|| panic!("{at}\nthe document doesn't have the media type {media_type}"));
    if !media_type.ends_with("json") || media_type.contains("ndjson") {
        return;
    }
    let json: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{at}\n{error}"));
    if media_type == "application/problem+json" {
        let code = json["code"].as_str().unwrap();
        let codes = answer["description"].as_str().unwrap();
        assert!(codes.contains(&format!("`{code}`")), "{at}\nthe document doesn't have this code: {codes}");
    }
    let reference = described["schema"]["$ref"].as_str().unwrap_or_else(|| panic!("{at}\nits schema has no name"));
    let errors: Vec<_> = CONTRACT.validator(reference).iter_errors(&json).map(|it| it.to_string()).collect();
    assert!(errors.is_empty(), "{at}\nis not what the document says of {reference}: {errors:#?}");
}

/// The JSON is what the document says of this schema.
#[track_caller]
pub(crate) fn check_schema(name: &str, json: &Value) {
    let validator = CONTRACT.validator(&format!("#/components/schemas/{name}"));
    let errors: Vec<_> = validator.iter_errors(json).map(|it| it.to_string()).collect();
    assert!(errors.is_empty(), "{json}\nis not what the document says of {name}: {errors:#?}");
}

impl Contract {
    fn validator(&self, reference: &str) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap();
        let compile = || {
            let schemas = reachable(&self.document["components"]["schemas"], reference);
            let schema = json!({"$ref": reference, "components": {"schemas": schemas}});
            Arc::new(jsonschema::draft202012::new(&schema).unwrap())
        };
        validators.entry(reference.to_owned()).or_insert_with(compile).clone()
    }
}

const SCHEMAS: &str = "#/components/schemas/";

/// The schemas that this one leads to, itself among them: compiling all of them for each takes a second.
fn reachable(schemas: &Value, reference: &str) -> serde_json::Map<String, Value> {
    let (mut found, mut open) = (serde_json::Map::new(), vec![reference.to_owned()]);
    while let Some(reference) = open.pop() {
        let name = reference.strip_prefix(SCHEMAS).unwrap_or_else(|| panic!("{reference} is no schema's name"));
        if !found.contains_key(name) {
            add_references(&schemas[name], &mut open);
            found.insert(name.to_owned(), schemas[name].clone());
        }
    }
    found
}

fn add_references(schema: &Value, into: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            into.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| add_references(member, into));
        }
        Value::Array(items) => items.iter().for_each(|item| add_references(item, into)),
        _ => {}
    }
}
