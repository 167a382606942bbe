//! Query parameters that an operation doesn't take, sent to every operation under `/v1`.

use perkgate::access::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::v1::LOUNGE;
use crate::support::app::TestApp;
use crate::support::client::Client;

/// One operation of the document.
struct Operation {
    name: String,
    method: Method,
    /// With a plausible name in each place of the path.
    path: String,
    query: Vec<String>,
    reads_json: bool,
    roles: Vec<Role>,
}

impl Operation {
    fn all() -> Vec<Self> {
        let document = perkgate::http::openapi::document();
        let document: Value = serde_json::from_str(&perkgate::http::openapi::json(&document)).unwrap();
        let mut found = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/v1/")) {
            for (method, operation) in item.as_object().unwrap() {
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                let names = |place: &str| {
                    let of_place = parameters.iter().filter(|one| one["in"] == place).cloned().collect::<Vec<_>>();
                    of_place.into_iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
                };
                let mut at = path.clone();
                for name in names("path") {
                    at = at.replace(&format!("{{{name}}}"), if name == "version" { "1" } else { "x" });
                }
                let roles = operation["x-roles"].as_array().unwrap();
                found.push(Self {
                    name: operation["operationId"].as_str().unwrap().to_owned(),
                    method: method.to_uppercase().parse().unwrap(),
                    path: at,
                    query: names("query"),
                    reads_json: operation["requestBody"]["content"]["application/json"].is_object(),
                    roles: roles.iter().map(|role| role.as_str().unwrap().parse().unwrap()).collect(),
                });
            }
        }
        assert!(found.len() > 60, "the operations were found");
        found
    }

    async fn send(&self, client: &Client, query: &str) -> crate::support::client::Reply {
        let ask = client.ask(self.method.clone(), &format!("{}{query}", self.path));
        if self.reads_json { ask.json("{}").await } else { ask.await }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_that_was_asked_for_in_the_address_grants_nothing() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        let before = app.footprint().await;
        let body = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        let batch = json!({"checks": [&body]});
        for query in ["?dry_run=true", "?dry%5Frun=true", "?dry_run", "?x=1&dry_run=true", "?=", "?dry_run=%00"] {
            for (path, body) in [("/v1/checks", &body), ("/v1/checks/batch", &batch)] {
                let spots = kiosk.post(&format!("{path}{query}"), body).await.problem(422, "invalid_request");
                assert!(spots.iter().all(|(_, code)| code == "unknown_field"), "{path}{query}: {spots:?}");
            }
        }
        let spot = kiosk.post("/v1/checks?dry_run=true", &body).await.spot(422, "invalid_request");
        assert_eq!(spot, ("dry_run".to_owned(), "unknown_field".to_owned()));
        assert_eq!(app.footprint().await, before);
        // Nothing after the question mark is no parameter.
        for query in ["?", "?&", "?&&"] {
            assert_eq!(kiosk.post(&format!("/v1/checks{query}"), &body).await.is(200)["perk"], "sfo-lounge");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_refuses_a_parameter_that_it_does_not_take() {
    let app = TestApp::start(&[("rate_per_key", "0")]).await;
    let mut clients = Vec::new();
    for role in Role::ALL {
        clients.push((role, app.role(&app.cathay, role).await));
    }
    let before = app.footprint().await;
    for operation in Operation::all() {
        let Operation { name, method, query, roles, .. } = &operation;
        for (_, client) in clients.iter().filter(|(role, _)| roles.is_empty() || roles.contains(role)) {
            let unknown = ("no_such_parameter".to_owned(), "unknown_field".to_owned());
            let spots = operation.send(client, "?no_such_parameter=1").await.problem(422, "invalid_request");
            assert_eq!(spots, std::slice::from_ref(&unknown), "{name}");
            if *method == Method::GET {
                let head = client.ask(Method::HEAD, &format!("{}?no_such_parameter=1", operation.path)).await;
                assert_eq!(head.status, 422, "{name}");
            }
            for known in query {
                let both = operation.send(client, &format!("?{known}=1&no_such_parameter=")).await;
                assert_eq!(both.problem(422, "invalid_request"), std::slice::from_ref(&unknown), "{name}: {known}");
                let shouted = operation.send(client, &format!("?{}=1", known.to_uppercase())).await;
                assert_eq!(shouted.spot(422, "invalid_request").1, "unknown_field", "{name}: {known}");
            }
        }
    }
    assert_eq!(app.footprint().await, before);
    // Those that are documented are taken, whatever is then said of what they hold.
    for operation in Operation::all() {
        let (_, client) = clients.iter().find(|(role, _)| roles_may(&operation.roles, *role)).unwrap();
        for known in &operation.query {
            let taken = operation.send(client, &format!("?{known}=1")).await;
            assert!(!taken.text.contains("unknown_field") && taken.status < 500, "{}: {}", operation.name, taken.text);
        }
    }
}

/// Without roles it is for everybody.
fn roles_may(roles: &[Role], role: Role) -> bool {
    roles.is_empty() || roles.contains(&role)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_learns_of_the_key_first_and_another_method_is_still_405() {
    let app = TestApp::start(&[]).await;
    app.anonymous().get("/v1/perks?no_such_parameter=1").await.problem(401, "missing_key");
    let admin = app.admin(&app.cathay).await;
    admin.ask(Method::PUT, "/v1/checks?no_such_parameter=1").await.problem(405, "method_not_allowed");
    admin.get("/v1/nothing?no_such_parameter=1").await.problem(404, "not_found");
    // A path that another operation's pattern fits too.
    let body = json!({"filter": {"perk": "x"}, "note": "a mistake"});
    let spot = admin.post("/v1/grants/void?dry_run=true", &body).await.spot(422, "invalid_request");
    assert_eq!(spot, ("dry_run".to_owned(), "unknown_field".to_owned()));
    // What is open is left alone: balancers and caches add what they like.
    assert_eq!(app.anonymous().get("/livez?probe=1").await.status, 200);
}
