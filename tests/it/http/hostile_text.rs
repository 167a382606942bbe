//! Text that a database, a parser or a terminal can choke on, in every place of the OpenAPI document that takes text:
//! paths, queries, headers, forms and every member of every body. It is refused with the spot, or stored as text.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use perkgate::access::Role;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::access_matrix::{SAMPLES, Things, send, things};
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};

/// How many objects within each other a body is given.
const DEPTH: usize = 2;

const NUL: &str = "a\0b";
/// A right-to-left override, a mark, and an isolate that is never closed.
const MARKS: &str = "a\u{202E}b\u{200F}c\u{2067}d";
/// What JSON can write and no text can hold. It stands for itself until the body is written.
const SURROGATE: &str = "lone-surrogate-here";

fn document() -> Value {
    serde_json::from_str(&perkgate::http::openapi::json(&perkgate::http::openapi::document())).unwrap()
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02X}"))
}

/// The schema itself, wherever it stands.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let parts = ["allOf", "oneOf", "anyOf"].iter().find_map(|word| schema[*word].as_array());
    match (schema["$ref"].as_str(), parts) {
        (Some(reference), _) => resolved(document, document.pointer(reference.trim_start_matches('#')).unwrap()),
        (None, Some(parts)) => resolved(document, parts.iter().find(|part| part["type"] != "null").unwrap()),
        (None, None) => schema,
    }
}

fn takes(schema: &Value, word: &str) -> bool {
    schema["type"] == word || schema["type"].as_array().is_some_and(|types| types.iter().any(|it| it == word))
}

/// Every body like `sample` with `text` in one place of it, and the pointer of that place: each text that is there,
/// each member that the schema knows besides, and, in what the body holds, a text, a list and a name that it doesn't
/// know. What isn't there is gone into to this depth: conditions hold conditions.
fn spoilt(document: &Value, schema: &Value, sample: &Value, text: &str, depth: usize) -> Vec<(String, Value)> {
    let schema = resolved(document, schema);
    let mut found = Vec::new();
    if let Value::Object(members) = sample {
        let known = schema["properties"].as_object().cloned().unwrap_or_default();
        if takes(schema, "object") && (known.is_empty() || depth + 1 == DEPTH) {
            found.push((String::new(), json!({text: 1})));
            found.push(("/x".to_owned(), json!({"x": text})));
            found.push(("/x/0".to_owned(), json!({"x": [text]})));
        }
        let mut all: Vec<&String> = known.keys().chain(members.keys()).collect();
        all.sort();
        all.dedup();
        for name in all {
            let of_member = known.get(name).unwrap_or(&Value::Null);
            let goes_on = depth > 0 && takes(resolved(document, of_member), "object");
            let none = if goes_on { json!({}) } else { Value::Null };
            for (at, value) in
                spoilt(document, of_member, members.get(name).unwrap_or(&none), text, depth.saturating_sub(1))
            {
                let mut whole: Map<String, Value> = members.clone();
                whole.insert(name.clone(), value);
                found.push((format!("/{name}{at}"), Value::Object(whole)));
            }
        }
    } else if let Value::Array(items) = sample {
        let of_item = resolved(document, &schema["items"]).clone();
        for (nth, item) in items.iter().enumerate() {
            for (at, value) in spoilt(document, &of_item, item, text, depth.saturating_sub(1)) {
                let mut whole = items.clone();
                whole[nth] = value;
                found.push((format!("/{nth}{at}"), Value::Array(whole)));
            }
        }
    } else if sample.is_string() || takes(schema, "string") {
        found.push((String::new(), json!(text)));
    }
    found
}

struct Walk<'a> {
    document: &'a Value,
    app: &'a TestApp,
    things: Things,
    asked: usize,
}

impl Walk<'_> {
    fn operation(&self, name: &str) -> (String, Value) {
        let paths = self.document["paths"].as_object().unwrap();
        let all = paths.iter().flat_map(|(path, item)| item.as_object().unwrap().values().map(move |it| (path, it)));
        let found = all.into_iter().find(|(_, operation)| operation["operationId"] == name);
        found.map(|(path, operation)| (path.clone(), operation.clone())).unwrap()
    }

    /// An answer that blames the caller, or none: never the gateway.
    fn takes_it(&mut self, at: &str, answer: &Reply) {
        self.asked += 1;
        assert!(answer.status < 500, "{at}: {} {}", answer.status, answer.text);
    }

    /// A NUL fits nowhere: neither database's text holds it.
    fn refuses_nul(&mut self, at: &str, place: &str, answer: &Reply) {
        self.takes_it(at, answer);
        let spots = answer.problem(422, answer.json()["code"].as_str().unwrap_or_default());
        assert!(spots.iter().any(|(where_, _)| where_ == place), "{at}: {place} is not in {spots:?}");
    }

    async fn path(
        &mut self,
        client: &Client,
        operation: &(String, Value),
        request: &(Method, String, Value),
        text: &str,
    ) {
        let (pattern, _) = operation;
        let path = request.1.split('?').next().unwrap();
        for (nth, segment) in pattern.split('/').enumerate().filter(|(_, segment)| segment.starts_with('{')) {
            let mut steps: Vec<String> = path.split('/').map(str::to_owned).collect();
            steps[nth] = encoded(text);
            let answer = send(client, (request.0.clone(), steps.join("/"), request.2.clone())).await;
            let at = format!("{} {pattern}: {segment} {text:?}", request.0);
            self.takes_it(&at, &answer);
            if text == NUL {
                // A name that can't be one names nothing.
                assert!(matches!(answer.status, 404 | 422), "{at}: {}", answer.text);
            }
        }
    }

    async fn query(
        &mut self,
        client: &Client,
        operation: &(String, Value),
        request: &(Method, String, Value),
        text: &str,
    ) {
        for parameter in operation.1["parameters"].as_array().into_iter().flatten().filter(|it| it["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            let (path, others) = request.1.split_once('?').unwrap_or((&request.1, ""));
            let others: Vec<&str> =
                others.split('&').filter(|it| !it.is_empty() && !it.starts_with(&format!("{name}="))).collect();
            let own = format!("{name}={}", encoded(text));
            let path = format!("{path}?{}", [&[own.as_str()], &others[..]].concat().join("&"));
            let answer = send(client, (request.0.clone(), path, request.2.clone())).await;
            let at = format!("{} {}: {name} {text:?}", request.0, operation.0);
            if text == NUL { self.refuses_nul(&at, name, &answer) } else { self.takes_it(&at, &answer) }
        }
    }

    async fn headers(
        &mut self,
        client: &Client,
        operation: &(String, Value),
        request: &(Method, String, Value),
        text: &str,
    ) {
        let own = operation.1["parameters"].as_array().into_iter().flatten().filter(|it| it["in"] == "header");
        let own = own.map(|it| it["name"].as_str().unwrap().to_ascii_lowercase());
        for name in own.chain(["x-request-id".to_owned(), "traceparent".to_owned()]) {
            // No client can send a NUL in one; that is tried on the socket.
            let ask = client.ask(request.0.clone(), &request.1).header(&name, text);
            let answer = if request.2.is_object() { ask.json(request.2.to_string()).await } else { ask.await };
            self.takes_it(&format!("{} {}: {name}", request.0, operation.0), &answer);
        }
    }

    async fn body(
        &mut self,
        client: &Client,
        operation: &(String, Value),
        request: &(Method, String, Value),
        text: &str,
    ) {
        let content = &operation.1["requestBody"]["content"];
        let at = |spot: &str| format!("{} {}: {spot} {text:?}", request.0, operation.0);
        if let Some(form) = content.get("application/x-www-form-urlencoded") {
            for name in resolved(self.document, &form["schema"])["properties"].as_object().unwrap().keys() {
                let rest = if name == "token" { "" } else { "token=a&" };
                let form = Value::String(format!("{rest}{name}={}", encoded(text)));
                let answer = send(client, (request.0.clone(), request.1.clone(), form)).await;
                // As the standards want it: a text that can be no token is one that is not alive.
                self.takes_it(&at(name), &answer);
            }
        }
        let Some(json) = content.get("application/json") else { return };
        let sample = if request.2.is_object() { request.2.clone() } else { json!({}) };
        for (pointer, body) in spoilt(self.document, &json["schema"], &sample, text, DEPTH) {
            let written = body.to_string().replace(SURROGATE, "\\ud800");
            let answer = client.ask(request.0.clone(), &request.1).header("if-match", "*").json(written).await;
            let in_batch = pointer.starts_with("/checks/");
            let in_report = pointer.starts_with("/items/");
            match text {
                // Each item of a door's report is answered by itself, as is each question of a batch.
                NUL | SURROGATE if in_report => {
                    self.takes_it(&at(&pointer), &answer);
                    assert_eq!(answer.is(200)["results"][0]["outcome"], "refused", "{}: {}", at(&pointer), answer.text);
                }
                NUL if !in_batch => self.refuses_nul(&at(&pointer), &pointer, &answer),
                SURROGATE if !in_batch => {
                    self.takes_it(&at(&pointer), &answer);
                    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
                    let is_spotted = answer.status == 422 || (answer.status == 400 && detail.contains(" at line "));
                    assert!(is_spotted, "{}: {}", at(&pointer), answer.text);
                }
                NUL | SURROGATE => {
                    self.takes_it(&at(&pointer), &answer);
                    let status = answer.is(200)["results"][0]["status"].as_u64().unwrap();
                    assert!((400..500).contains(&status), "{}: {}", at(&pointer), answer.text);
                }
                _ => self.takes_it(&at(&pointer), &answer),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_anywhere_makes_the_gateway_fail() {
    let document = document();
    let rates = ["rate_per_key", "rate_failed_keys", "rate_links"].map(|rate| (rate, "0"));
    let unbounded = [&rates[..], &[("link_base", "https://perks.example.com")]].concat();
    for app in TestApp::all_with(&unbounded).await {
        let (admin, operator) = (app.admin(&app.cathay).await, app.operator().await);
        let (feeder, desk) = (app.role(&app.cathay, Role::Feeder).await, app.role(&app.cathay, Role::Desk).await);
        let made = things(&app, &app.cathay, "admin", &admin).await;
        let mut walk = Walk { document: &document, app: &app, things: made, asked: 0 };
        for sample in SAMPLES {
            let operation = walk.operation(sample.operation);
            let roles = operation.1["x-roles"].as_array().unwrap();
            let may = |name: &str| roles.iter().any(|role| role == name);
            let otherwise = if may("desk") { &desk } else { &operator };
            let client = if may("admin") { &admin } else { otherwise };
            let request = (sample.request)(&walk.things);
            for text in [NUL, MARKS, SURROGATE, "\u{FFFF}\u{10FFFF}", "'; --", "%s%n", ""] {
                walk.path(client, &operation, &request, text).await;
                walk.query(client, &operation, &request, text).await;
                walk.body(client, &operation, &request, text).await;
            }
            for text in ["\u{202E}", "é", "a\tb", &"a".repeat(4000)] {
                walk.headers(client, &operation, &request, text).await;
            }
            // CESU-8: a surrogate as bytes, which is no UTF-8.
            let raw = format!("{}{}x=%ED%A0%80", request.1, if request.1.contains('?') { '&' } else { '?' });
            let answer = send(client, (request.0.clone(), raw, request.2.clone())).await;
            walk.takes_it(sample.operation, &answer);
        }
        // Lines of a file are each refused by themselves.
        let lines = "subject,value,observed_at\na\0b,50,2012-05-08T18:30:00Z\ntwitter:ok,50,2012-05-08T18:30:00Z\n";
        let import = feeder.ask(Method::POST, "/v1/scores/klout/import");
        let report = import.body("text/csv", lines).await.is(200);
        assert_eq!((&report["accepted"], &report["errors"][0]["line"]), (&json!(1), &json!(2)), "{report}");
        let lines = [
            r#"{"subject":"a\u0000b","value":50,"observed_at":"2012-05-08T18:30:00Z"}"#,
            r#"{"subject":"a\ud800b","value":50,"observed_at":"2012-05-08T18:30:00Z"}"#,
            r#"{"subject":"twitter:fine","value":50,"observed_at":"2012-05-08T18:30:00Z"}"#,
        ];
        let import = feeder.ask(Method::POST, "/v1/scores/klout/import");
        let report = import.body("application/x-ndjson", lines.join("\n")).await.is(200);
        assert_eq!((&report["accepted"], &report["rejected"]), (&json!(1), &json!(2)), "{report}");
        assert!(walk.asked > 1500, "{} were asked", walk.asked);
        walk.app.anonymous().get("/readyz").await.is(200);
    }
}

/// What comes back for these bytes, until the server closes.
fn raw(app: &TestApp, head: &[u8], body: &[u8]) -> String {
    let mut stream = TcpStream::connect(app.address).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_mins(1))).unwrap();
    // It may be answered and closed before all is sent.
    let _ = stream.write_all(head).and_then(|()| stream.write_all(body));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_megabyte_is_refused_wherever_it_stands() {
    let app = TestApp::start(&[("rate_per_key", "0")]).await;
    let admin = app.admin(&app.cathay).await;
    let megabyte = "a".repeat(1 << 20);
    let document = document();
    let key = admin.authorization.clone().unwrap();
    let status = |answer: &str| answer.split(' ').nth(1).unwrap_or_default().to_owned();
    for (path, item) in document["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/v1/")) {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase();
            let address = path.replace(['{', '}'], "");
            for content in operation["requestBody"]["content"].as_object().into_iter().flat_map(Map::keys) {
                let roles = operation["x-roles"].as_array().unwrap();
                if !roles.iter().any(|role| role == "admin") || path.ends_with("/import") {
                    continue;
                }
                let text = format!("{{\"a\":\"{megabyte}\"}}").into_bytes();
                let length = text.len();
                let head = format!(
                    "{method} {address} HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\ncontent-type: {content}\r\n\
                     content-length: {length}\r\n\r\n"
                );
                let answer = raw(&app, head.as_bytes(), &text);
                // What the path doesn't name is not read for.
                let refused = ["413", "404"].contains(&status(&answer).as_str());
                assert!(answer.is_empty() || refused, "{method} {path}: {answer}");
            }
            let head = |address: &str, more: &str| {
                let head = format!(
                    "{method} {address} HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\n{more}connection: close\r\n\r\n"
                );
                raw(&app, head.as_bytes(), &[])
            };
            for answer in [
                head(&format!("{address}?cursor={megabyte}"), ""),
                head(&format!("{address}/{megabyte}"), ""),
                head(&address, &format!("idempotency-key: {megabyte}\r\n")),
                head(&address, "idempotency-key: a\0b\r\n"),
            ] {
                // Closed while we were still sending, there may be no answer left to read.
                assert!(answer.is_empty() || status(&answer).starts_with('4'), "{method} {path}: {answer}");
            }
        }
    }
    app.anonymous().get("/readyz").await.is(200);
}
