//! The OpenAPI document as a contract.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use perkgate::http::openapi;
use serde_json::{Value, json};

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
pub fn paths_of<'a>(document: &'a Value, address: &str) -> Vec<&'a str> {
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

/// The JSON is what the document says of this schema.
#[track_caller]
pub fn check_schema(name: &str, json: &Value) {
    let validator = CONTRACT.validator(&format!("#/components/schemas/{name}"));
    let errors: Vec<_> = validator.iter_errors(json).map(|it| it.to_string()).collect();
    assert!(errors.is_empty(), "{json}\nis not what the document says of {name}: {errors:#?}");
}

impl Contract {
    fn validator(&self, reference: &str) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap();
        let compile = || {
            let schema = json!({"$ref": reference, "components": self.document["components"]});
            Arc::new(jsonschema::draft202012::new(&schema).unwrap())
        };
        validators.entry(reference.to_owned()).or_insert_with(compile).clone()
    }
}
