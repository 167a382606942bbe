//! `/.well-known`: the public keys that doors and auditors check with; open to everyone.

use std::time::Duration;

use actix_web::http::header::IfNoneMatch;
use actix_web::web::{self, Data};
use actix_web::{HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::problems::ProblemsOfCopies;
use crate::foundation::subject::hex;
use crate::gateway::Gateway;
use crate::ledger::read::published::PublishedLogKey;
use crate::tokens::jwks::Jwks;
use crate::web::fixed_document::FixedDocument;

/// The longest time the database is asked for logs that are not known yet.
const PATIENCE: Duration = Duration::from_secs(1);

/// The keys that tokens are signed with (RFC 7517).
#[derive(ToSchema)]
#[schema(as = Jwks)]
#[expect(dead_code, reason = "describes what tokens write")]
pub struct JwksView {
    keys: Vec<JwkView>,
}

/// A key that signs tokens (RFC 8037).
#[derive(ToSchema)]
#[schema(as = Jwk)]
#[expect(dead_code, reason = "describes what tokens write")]
pub struct JwkView {
    #[schema(example = "OKP")]
    kty: String,
    #[schema(example = "Ed25519")]
    crv: String,
    #[schema(example = "EdDSA")]
    alg: String,
    #[schema(example = "sig")]
    r#use: String,
    /// The key's thumbprint (RFC 7638), which tokens name.
    #[schema(example = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")]
    kid: String,
    /// The public key in base64url.
    #[schema(example = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")]
    x: String,
}

/// The keys that sign logs.
#[derive(Serialize, ToSchema)]
pub struct LogKeysView {
    keys: Vec<LogKeyView>,
}

/// A key that signs checkpoints (Ed25519).
#[derive(Serialize, ToSchema)]
#[schema(as = LogKey)]
pub struct LogKeyView {
    /// The log that it signs, and no other. Absent from the key of all logs that earlier builds made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "cathay")]
    log: Option<String>,
    /// The name on its signature lines: the origin of the log.
    #[schema(example = "perks.example.com/cathay")]
    name: String,
    /// The key id on its signature lines, in hexadecimal.
    #[schema(example = "03b410fc")]
    key_id: String,
    /// The verifier key as C2SP signed-note writes it.
    #[schema(example = "perks.example.com/cathay+03b410fc+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")]
    verifier_key: String,
}

/// Token keys
///
/// The public keys of eligibility tokens (RFC 7517). Served from memory: it needs no database.
#[utoipa::path(
    tag = "Public keys",
    security(()),
    responses(
        (status = 200, description = "The key set", content_type = "application/jwk-set+json", body = JwksView),
        (status = 304, description = "Your copy is still good"),
        ProblemsOfCopies
    )
)]
#[get("/.well-known/jwks.json")]
pub(crate) async fn get_jwks(gateway: Data<Gateway>, held: web::Header<IfNoneMatch>) -> HttpResponse {
    let keys = gateway.keyring.token_keys();
    let document = Jwks::new(keys.iter().map(|key| *key.public_key())).to_json();
    FixedDocument::new(document, "application/jwk-set+json").for_any_origin().answer(&held)
}

/// Log keys
///
/// The public keys that sign the audit logs' checkpoints, one for each log. Compare them with a copy of your own: an
/// operator who can swap them could rewrite a log.
#[utoipa::path(
    tag = "Public keys",
    security(()),
    responses(
        (status = 200, description = "The keys", body = LogKeysView),
        (status = 304, description = "Your copy is still good"),
        ProblemsOfCopies
    )
)]
#[get("/.well-known/log-keys")]
pub(crate) async fn get_log_keys(gateway: Data<Gateway>, held: web::Header<IfNoneMatch>) -> HttpResponse {
    // The log of a merchant that was made a moment ago. Without the database, those that are known.
    let _ = tokio::time::timeout(PATIENCE, gateway.keys.catch_up()).await;
    let view = |PublishedLogKey { log, key }| LogKeyView {
        log,
        name: key.name().to_owned(),
        key_id: hex(&key.key_id()),
        verifier_key: key.to_string(),
    };
    let view = LogKeysView { keys: gateway.keys.log_keys().into_iter().map(view).collect() };
    let document = serde_json::to_string(&view).unwrap_or_default();
    FixedDocument::new(document, "application/json").for_any_origin().answer(&held)
}
