//! A caller of the served gateway, and the answers it gets.

use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::panic::Location;
use std::pin::Pin;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::contract;
use super::shape::redacted;

/// Somebody with a key, or without.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    pub authorization: Option<String>,
}

/// A request on its way; awaiting it sends it.
pub(crate) struct Ask {
    request: RequestBuilder,
    method: Method,
    place: &'static Location<'static>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub place: &'static Location<'static>,
}

impl Client {
    pub(crate) fn http() -> reqwest::Client {
        // No connection stays open: the server's end would have to wait for it.
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).redirect(reqwest::redirect::Policy::none());
        http.no_proxy().build().unwrap()
    }

    pub(crate) fn new(http: reqwest::Client, address: SocketAddr, authorization: Option<String>) -> Self {
        Self { http, base: format!("http://{address}"), authorization }
    }

    /// The key's text.
    pub(crate) fn secret(&self) -> &str {
        self.authorization.as_deref().unwrap().trim_start_matches("Bearer ")
    }

    #[track_caller]
    pub(crate) fn ask(&self, method: Method, path: &str) -> Ask {
        let request = self.http.request(method.clone(), format!("{}{path}", self.base));
        let ask = Ask { request, method, place: Location::caller() };
        match &self.authorization {
            Some(authorization) => ask.header("authorization", authorization),
            None => ask,
        }
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Ask {
        self.ask(Method::GET, path)
    }

    #[track_caller]
    pub(crate) fn delete(&self, path: &str) -> Ask {
        self.ask(Method::DELETE, path)
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, json: &Value) -> Ask {
        self.ask(Method::POST, path).json(json.to_string())
    }

    #[track_caller]
    pub(crate) fn put(&self, path: &str, json: &Value) -> Ask {
        self.ask(Method::PUT, path).json(json.to_string())
    }

    /// Sends a text that need not be JSON as if it were.
    #[track_caller]
    pub(crate) fn post_text(&self, path: &str, text: impl Into<Vec<u8>>) -> Ask {
        self.ask(Method::POST, path).json(text)
    }
}

impl Ask {
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    pub(crate) fn json(self, text: impl Into<Vec<u8>>) -> Self {
        self.body("application/json", text)
    }

    /// The pairs of a form, encoded.
    pub(crate) fn form(self, pairs: &str) -> Self {
        self.body("application/x-www-form-urlencoded", pairs)
    }

    pub(crate) fn body(self, content_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { request: self.request.header("content-type", content_type).body(bytes.into()), ..self }
    }
}

impl IntoFuture for Ask {
    type Output = Reply;
    type IntoFuture = Pin<Box<dyn Future<Output = Reply> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { request, method, place } = self;
        Box::pin(async move {
            let response = request.send().await.unwrap_or_else(|error| panic!("asked at {place}: {error:?}"));
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let address = response.url().path().to_owned();
            let is_stream = headers.get("content-type").is_some_and(|it| it == "text/event-stream");
            // It never ends by itself.
            let text = if is_stream { Ok(String::new()) } else { response.text().await };
            let text = text.unwrap_or_else(|error| panic!("asked at {place}: {error:?}"));
            let reply = Reply { status, headers, text, place };
            contract::check(&method, &address, &reply);
            reply
        })
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("asked at {}: {}", self.place, self.text))
    }

    /// The answer has this status; its body.
    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "asked at {}: {}", self.place, self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// The text of a 200.
    #[track_caller]
    pub(crate) fn into_text(self) -> String {
        assert_eq!(self.status, 200, "asked at {}: {}", self.place, self.text);
        self.text
    }

    /// The member of a 2xx answer as text.
    #[track_caller]
    pub(crate) fn text_of(&self, member: &str) -> String {
        assert!((200..300).contains(&self.status), "asked at {}: {} {}", self.place, self.status, self.text);
        self.json()[member].as_str().unwrap_or_else(|| panic!("no text {member} in {}", self.text)).to_owned()
    }

    /// The answer is a whole problem of this status and code; its spots as (where, code).
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Vec<(String, String)> {
        let json = self.is(status);
        assert_eq!(json["code"], code, "asked at {}: {}", self.place, self.text);
        assert_eq!(json["type"], format!("urn:perkgate:problem:{code}"));
        assert_eq!(json["status"], status);
        assert_eq!(json["request_id"], self.header("x-request-id"));
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        for member in ["title", "detail"] {
            assert!(json[member].as_str().is_some_and(|text| !text.is_empty()), "{}", self.text);
        }
        let spots = json["errors"].as_array().cloned().unwrap_or_default();
        let spot = |spot: &Value| {
            let place = spot["pointer"].as_str().or(spot["parameter"].as_str()).unwrap();
            (place.to_owned(), spot["code"].as_str().unwrap().to_owned())
        };
        spots.iter().map(spot).collect()
    }

    /// A problem with one spot: where, and its code.
    #[track_caller]
    pub(crate) fn spot(&self, status: u16, code: &str) -> (String, String) {
        let spots = self.problem(status, code);
        assert_eq!(spots.len(), 1, "asked at {}: {}", self.place, self.text);
        spots[0].clone()
    }

    /// The status and the body as they are, without what differs from run to run.
    pub(crate) fn shape(&self) -> String {
        format!("{}\n{}", self.status, redacted(&self.text))
    }
}
