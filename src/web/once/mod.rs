//! POSTs that make something, made safe to repeat by their `Idempotency-Key`.

use std::future::Future;

use actix_web::HttpResponse;
use actix_web::http::header;
use serde::{Deserialize, Serialize};

use crate::access::Principal;
use crate::gateway::Gateway;
use crate::ledger::idempotency::{Claim, KeyScope};
use crate::web::params::IdempotencyKey;
use crate::web::problem::{Kind, Problem};

/// A 201 as it is kept for a retry; a 200 where it led to what was there before.
#[derive(Serialize, Deserialize)]
pub struct Created {
    location: Option<String>,
    body: String,
    /// True if it was made before; false in answers that earlier builds kept.
    #[serde(default)]
    is_known: bool,
}

/// The outcome of a claim of an idempotency key.
enum Kept {
    Now(Created),
    /// As it was kept.
    Before(Created),
}

impl Created {
    /// The answer that shows what was made, and where it is.
    pub fn new(location: Option<String>, view: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_string(view).map_err(|error| Problem::internal(&error))?;
        Ok(Self { location, body, is_known: false })
    }

    /// The same, where it belongs to something that was made before.
    #[must_use]
    pub fn known(self) -> Self {
        Self { is_known: true, ..self }
    }

    fn into_response(self) -> HttpResponse {
        let mut response = if self.is_known { HttpResponse::Ok() } else { HttpResponse::Created() };
        if let Some(location) = self.location {
            response.insert_header((header::LOCATION, location));
        }
        response.content_type("application/json").body(self.body)
    }
}

/// Does the work once for one key: a retry gets the first answer, a refusal frees the key. Without
/// a key the work is simply done.
///
/// # Errors
/// The errors of the work; 409 while the same request is under way; 422 when the key stands for
/// another.
pub async fn once(
    gateway: &Gateway,
    caller: &Principal,
    operation: impl Into<String>,
    key: IdempotencyKey,
    request_hash: [u8; 32],
    work: impl Future<Output = Result<Created, Problem>>,
) -> Result<HttpResponse, Problem> {
    match run_once(gateway, caller, operation.into(), key, request_hash, work, serde_json::to_vec).await? {
        Kept::Now(made) | Kept::Before(made) => Ok(made.into_response()),
    }
}

/// The same for an answer that holds what is personal or can be taken back, so that it must not lie about
/// under the key: only where it is gets kept, and a retry is answered by `again`, which reads it back as it
/// may be answered then.
///
/// # Errors
/// As [`once`]; and what reading back returns.
pub async fn once_read_back(
    gateway: &Gateway,
    caller: &Principal,
    operation: impl Into<String>,
    key: IdempotencyKey,
    request_hash: [u8; 32],
    work: impl Future<Output = Result<Created, Problem>>,
    again: impl Future<Output = Result<Created, Problem>>,
) -> Result<HttpResponse, Problem> {
    let kept = |made: &Created| {
        serde_json::to_vec(&Created { location: made.location.clone(), body: String::new(), is_known: made.is_known })
    };
    match run_once(gateway, caller, operation.into(), key, request_hash, work, kept).await? {
        Kept::Now(made) => Ok(made.into_response()),
        Kept::Before(_) => Ok(again.await?.into_response()),
    }
}

async fn run_once(
    gateway: &Gateway,
    caller: &Principal,
    operation: String,
    key: IdempotencyKey,
    request_hash: [u8; 32],
    work: impl Future<Output = Result<Created, Problem>>,
    kept: impl FnOnce(&Created) -> Result<Vec<u8>, serde_json::Error>,
) -> Result<Kept, Problem> {
    let Some(key) = key.into_inner() else {
        return Ok(Kept::Now(work.await?));
    };
    let merchant = caller.merchant.as_ref().map(|merchant| merchant.id.clone());
    let scope = KeyScope { merchant, key: caller.key.clone(), operation };
    let claimed = match gateway.ledger.claim(scope, gateway.ledger.idempotency(&key, request_hash)).await? {
        Claim::Fresh(claimed) => claimed,
        Claim::Answered(answer) => {
            let made: Created = serde_json::from_slice(&answer).map_err(|error| Problem::internal(&error))?;
            return Ok(Kept::Before(made));
        }
        Claim::InProgress => {
            let detail = "The same request is being worked on. Ask again in a moment.";
            return Err(Problem::new(Kind::InProgress, detail).retry_after(1));
        }
    };
    match work.await {
        Ok(made) => {
            let answer = kept(&made).map_err(|error| Problem::internal(&error))?;
            // It is made: failing now would hide that. The claim is retained, so a retry is asked to wait.
            if let Err(error) = gateway.ledger.keep(claimed, &answer).await {
                tracing::warn!(%error, "could not keep an answer for its idempotency key");
            }
            Ok(Kept::Now(made))
        }
        // It may have been made: the claim is retained, so that a retry doesn't make a second.
        Err(problem) if problem.kind == Kind::InDoubt => Err(problem),
        Err(problem) => {
            if let Err(error) = gateway.ledger.release(claimed).await {
                tracing::warn!(%error, "could not free an idempotency key");
            }
            Err(problem)
        }
    }
}
