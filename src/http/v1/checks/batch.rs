//! `/v1/checks/batch`: many questions at once, each with an outcome of its own.

use std::num::NonZeroU32;

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{CheckBody, CheckView, answer_check, in_languages};
use crate::access::role::permit::Check;
use crate::eligibility::shown::check::CheckShown;
use crate::foundation::field_error::FieldError;
use crate::gateway::Gateway;
use crate::http::openapi::problems::{ProblemView, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys};
use crate::web::auth::Authorized;
use crate::web::extract::{GuestLanguages, IdempotencyKey, Pieces, parse};
use crate::web::problem::Problem;
use crate::web::request::{RequestId, log_failure, log_refusal};
use crate::web::state::State;

/// The most questions in one request.
const MOST: usize = 100;

/// Many questions.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"checks": [
    {"perk": "sfo-lounge", "subject": "twitter:ada"}, {"perk": "sfo-lounge", "subject": "member:4711", "dry_run": true}
]}))]
pub struct BatchBody {
    /// 1 to 100 of them. Each is read by itself: one that can't be read doesn't keep the others back.
    #[schema(value_type = Vec<CheckBody>)]
    checks: Vec<Box<RawValue>>,
}

/// An outcome for each question, in their order.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchView {
    results: Vec<ResultView>,
}

/// The answer that `POST /v1/checks` would have given to one of them.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = BatchResult)]
pub enum ResultView {
    Decided(DecidedView),
    Refused(RefusedView),
}

/// A question that was decided.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchDecision)]
pub struct DecidedView {
    #[schema(example = 200)]
    status: u16,
    #[serde(flatten)]
    #[schema(value_type = CheckView)]
    check: Box<CheckShown>,
}

/// A question that was refused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchRefusal)]
pub struct RefusedView {
    #[schema(example = 404)]
    status: u16,
    #[schema(value_type = ProblemView)]
    problem: Box<RawValue>,
}

/// Check many people
///
/// Up to 100 questions, each read, decided, recorded and answered by itself: one that is refused, or that
/// is no question, doesn't keep the others back; the pointers of its problem begin at the question. With an `Idempotency-Key` a retry of the whole request gets the same answers and the very
/// same tokens. Each question counts against the key's rate.
#[utoipa::path(
    tag = "checks",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1–255 printable ASCII characters"),
        ("Accept-Language" = Option<String>, Header, description = "The guests' languages, as when one person is checked")
    ),
    request_body = BatchBody,
    responses(
        (status = 200, description = "An outcome for each, in their order", body = BatchView),
        ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys
    )
)]
#[post("/checks/batch")]
pub(crate) async fn create_checks(
    caller: Authorized<Check>,
    id: RequestId,
    gateway: Data<Gateway>,
    state: Data<State>,
    key: IdempotencyKey,
    languages: GuestLanguages,
    Pieces(body): Pieces<BatchBody>,
) -> Result<HttpResponse, Problem> {
    let (key, hash) = (key.into_inner(), body.hash());
    let checks = body.into_inner().checks;
    if checks.is_empty() || checks.len() > MOST {
        let detail = format!("ask 1 to {MOST} questions at once");
        return Err(Problem::invalid(vec![FieldError::at("/checks", "out_of_range", detail)]));
    }
    // The request itself was counted as one.
    if let Some(more) = u32::try_from(checks.len() - 1).ok().and_then(NonZeroU32::new) {
        state.limits.take_more(&caller.key, more, "/checks")?;
    }
    let (caller, gateway, state, languages) = (&caller, &gateway, &state, &languages.0);
    let asked = checks.into_iter().enumerate().map(|(nth, check)| {
        // No client can send such a key: it holds a character that isn't printable.
        let idempotency = key.as_ref().map(|key| gateway.ledger.idempotency(&format!("{key}\0{nth}"), hash));
        async move {
            let question =
                parse::<CheckBody>(check.get().as_bytes())?.read(&gateway.keyring, caller.merchant()?, idempotency)?;
            answer_check(caller, gateway, state, question, languages).await
        }
    });
    let results = join_all(asked).await.into_iter().map(|result| ResultView::of(result, id.as_str()));
    let view = BatchView { results: results.collect() };
    Ok(in_languages(&view.guest_languages()).json(view))
}

impl BatchView {
    /// Each language that a guest is addressed in, once.
    fn guest_languages(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for result in &self.results {
            let ResultView::Decided(DecidedView { check, .. }) = result else { continue };
            for language in check.guest_languages() {
                if !all.contains(&language) {
                    all.push(language);
                }
            }
        }
        all
    }
}

impl ResultView {
    fn of(result: Result<CheckShown, Problem>, request_id: &str) -> Self {
        match result {
            Ok(check) => Self::Decided(DecidedView { status: 200, check: Box::new(check) }),
            Err(problem) => {
                let status = problem.kind.status();
                if status.is_server_error() {
                    log_failure(&problem, request_id, "/v1/checks/batch");
                } else {
                    log_refusal(&problem, false);
                }
                let body =
                    RawValue::from_string(problem.body(request_id)).unwrap_or_else(|_| RawValue::NULL.to_owned());
                Self::Refused(RefusedView { status: status.as_u16(), problem: body })
            }
        }
    }
}
