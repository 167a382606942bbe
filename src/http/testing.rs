//! The door over a database of its own, for tests: every route and middleware, no socket.

use actix_web::Error;
use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::{Payload, Service, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, init_service};
use actix_web::web::{Bytes, Data};
use futures_util::stream::{Stream, StreamExt};
use jiff::Timestamp;
use serde_json::Value;

use super::{Documents, app};
use crate::access::{ApiKey, Directory, Merchant, NewKey, Role};
use crate::foundation::clock::Clock;
use crate::foundation::entropy::Entropy;
use crate::gateway::Gateway;
use crate::ledger::entry::Actor;
use crate::settings::{Settings, Sources};
use crate::web::state::State;

pub(crate) const CLI: Actor = Actor { key: None, role: "cli" };

/// The door and one merchant.
pub(crate) struct Rig {
    _dir: tempfile::TempDir,
    pub gateway: Data<Gateway>,
    pub state: Data<State>,
    pub documents: Documents,
    pub cathay: Merchant,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    async fn read(response: Result<ServiceResponse<BoxBody>, Error>) -> Self {
        let response = response.expect("the door answers everything");
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body()).await.unwrap();
        Self { status, headers, text: String::from_utf8(body.to_vec()).unwrap() }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {:?}", self.text))
    }

    /// The answer is a whole problem of this status and code; its errors as (where, code).
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Vec<(String, String)> {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        assert_eq!(self.header("cache-control"), "no-store");
        let json = self.json();
        assert_eq!(json["code"], code, "{}", self.text);
        assert_eq!(json["type"], format!("urn:perkgate:problem:{code}"));
        assert_eq!(json["status"], status);
        assert_eq!(json["request_id"], self.header("x-request-id"));
        assert!(json["title"].as_str().is_some_and(|title| !title.is_empty()));
        assert!(json["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        let errors = json["errors"].as_array().cloned().unwrap_or_default();
        let place_and_code = |error: &Value| {
            let place = error["pointer"].as_str().or(error["parameter"].as_str()).unwrap();
            (place.to_owned(), error["code"].as_str().unwrap().to_owned())
        };
        errors.iter().map(place_and_code).collect()
    }
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// A rig with these settings (names without `PERKGATE_`).
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (clock, entropy) = (Clock::fixed(Timestamp::UNIX_EPOCH), Entropy::seeded(3));
        let mut environment = vec![
            ("PERKGATE_DATABASE_URL".to_owned(), format!("sqlite:{}", dir.path().join("t.db").display())),
            ("PERKGATE_BODY_TIMEOUT".to_owned(), "40ms".to_owned()),
        ];
        environment.extend(settings.iter().map(|(name, value)| (format!("PERKGATE_{name}"), (*value).to_owned())));
        let settings = Settings::load(&Sources { environment, ..Sources::default() }).unwrap();
        let (state, documents) = (Data::new(State::new(settings.rates, settings.bounds)), Documents::new());
        let handle = tokio::runtime::Handle::current();
        let built = Gateway::build(settings, "http://perkgate.test", true, clock, entropy, &handle).await;
        let gateway = Data::new(built.unwrap());
        let slug = "cathay".parse().unwrap();
        let cathay = gateway.directory.create_merchant(slug, "Cathay Pacific", None, CLI).await.unwrap();
        Self { _dir: dir, gateway, state, documents, cathay }
    }

    /// Makes a key, and its text as a header's value.
    pub(crate) async fn make(&self, new: NewKey) -> (ApiKey, String) {
        let (key, secret) = self.gateway.directory.create_key(new, CLI).await.unwrap();
        (key, format!("Bearer {}", secret.expose()))
    }

    /// Makes a key as another replica would: this one hears of it only when it asks.
    pub(crate) async fn make_elsewhere(&self, new: NewKey) -> (ApiKey, String) {
        let Gateway { database, ledger, clock, .. } = self.gateway.get_ref();
        let elsewhere = Directory::new(database.clone(), ledger.clone(), clock.clone(), Entropy::System);
        let (key, secret) = elsewhere.create_key(new, CLI).await.unwrap();
        (key, format!("Bearer {}", secret.expose()))
    }

    /// A new key of the first merchant (or of the operator), as a header's value.
    pub(crate) async fn key(&self, role: Role) -> String {
        let merchant = role.has_merchant().then(|| self.cathay.id.clone());
        let audience = (role == Role::Door).then(|| "sfo-lounge".to_owned());
        self.make(NewKey { audience, ..NewKey::of(role, merchant, role.as_str()) }).await.1
    }

    pub(crate) async fn ask(&self, request: TestRequest) -> Answer {
        let service = init_service(app(self.gateway.clone(), self.state.clone(), &self.documents, |_| {})).await;
        Answer::read(service.call(request.to_request()).await).await
    }

    /// The same, with a body that comes piece by piece.
    pub(crate) async fn ask_streaming(
        &self,
        request: TestRequest,
        body: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
    ) -> Answer {
        let service = init_service(app(self.gateway.clone(), self.state.clone(), &self.documents, |_| {})).await;
        let (request, _) = request.to_request().replace_payload(Payload::from(body.boxed_local()));
        Answer::read(service.call(request).await).await
    }

    pub(crate) async fn get(&self, path: &str, key: &str) -> Answer {
        self.ask(TestRequest::get().uri(path).insert_header(("authorization", key))).await
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: &str) -> Answer {
        let request = TestRequest::post().uri(path).insert_header(("authorization", key));
        self.ask(request.insert_header(("content-type", "application/json")).set_payload(body.to_owned())).await
    }
}
