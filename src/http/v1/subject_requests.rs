//! `/v1/subject-requests`: what people asked for by the links of their answers, for the merchant to confirm or decline.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::role::permit::AnswerSubjects;
use crate::eligibility::requests::RequestOf;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{self, CheckId, MAX_NOTE, SubjectRequestId};
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{
    ProblemsOfBody, ProblemsOfKeys, ProblemsOfNames, ProblemsOfQuery, ProblemsOfRequests,
};
use crate::ledger::cases::requests::{RequestKind, RequestStatus, SubjectRequest, SubjectRequestError};
use crate::web::auth::Authorized;
use crate::web::extract::{PageLimit, Params, Path};
use crate::web::preconditions::Optional;
use crate::web::problem::{Kind, Problem};

/// A request of a person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubjectRequest)]
pub struct SubjectRequestView {
    #[schema(value_type = String, example = "srq_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    request: SubjectRequestId,
    #[schema(value_type = enumerations::RequestKind)]
    kind: RequestKind,
    #[schema(value_type = enumerations::RequestStatus)]
    status: RequestStatus,
    /// The check by whose link it was asked for.
    #[schema(value_type = String, example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    check: CheckId,
    /// The person; shown in lists, and null once they were erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "twitter:ada")]
    subject: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    asked_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    decided_at: Option<Timestamp>,
    /// The key, or `cli`.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<String>,
    /// Confirmed erasures: when it is carried out, as things are; later, up to 30 days after the request, where limits count
    /// a visit again. Of one that was carried out it is when that was due.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<Timestamp>,
    /// True for an erasure that waits for the record which the person asked for too: until that is declined, or confirmed and
    /// read, and for 30 days after the request at most.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    waits_for_record: bool,
}

/// A page of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubjectRequests)]
pub struct SubjectRequestsView {
    requests: Vec<SubjectRequestView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SubjectRequestsQuery {
    /// All unless given.
    #[param(value_type = Option<enumerations::RequestStatus>)]
    status: Option<RequestStatus>,
    /// Entries a page, 1–200; 50 unless given.
    #[param(value_type = Option<u16>)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<SubjectRequestId>,
}

/// Why it is decided so.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"note": "They showed their passport."}))]
pub struct RequestDecisionBody {
    /// Up to 500 characters. It is sealed under the person's key.
    note: Option<String>,
}

impl SubjectRequestView {
    fn of(request: SubjectRequest, subject: Option<String>, waits_for_record: bool) -> Self {
        let SubjectRequest { id, check, kind, status, asked_at, decided_at, decided_by, due_at, .. } = request;
        Self { request: id, kind, status, check, subject, asked_at, decided_at, decided_by, due_at, waits_for_record }
    }
}

impl From<SubjectRequestError> for Problem {
    fn from(error: SubjectRequestError) -> Self {
        match error {
            SubjectRequestError::NotFound => Self::not_found(),
            SubjectRequestError::Decided(status) => Self::new(
                Kind::AlreadyDecided,
                format!("This request is {} already: nothing was changed.", status.as_str().replace('_', " ")),
            ),
            SubjectRequestError::Erased => {
                Self::new(Kind::SubjectErased, "The person was erased: nothing is held on them any more.")
            }
            SubjectRequestError::Ledger(error) => error.into(),
            SubjectRequestError::Database(error) => error.into(),
        }
    }
}

/// List what people asked for
///
/// By the links of their answers: to be shown what is held on them, or to be erased. Oldest first.
#[utoipa::path(
    tag = "subjects",
    params(SubjectRequestsQuery),
    responses((status = 200, description = "One page", body = SubjectRequestsView), ProblemsOfQuery, ProblemsOfKeys)
)]
#[get("/subject-requests")]
pub(crate) async fn list_subject_requests(
    caller: Authorized<AnswerSubjects>,
    gateway: Data<Gateway>,
    query: Params<SubjectRequestsQuery>,
) -> Result<HttpResponse, Problem> {
    let SubjectRequestsQuery { status, limit, cursor } = query.into_inner();
    let limit = limit.unwrap_or_default();
    let (merchant, most) = (&caller.merchant()?.id, u32::from(limit.get()) + 1);
    let fetched = gateway.requests.list(merchant, status, cursor, most).await?;
    let (page, next_cursor) = limit.page(fetched, |it| it.request.id.to_string());
    let view = |RequestOf { request, handle, waits_for_record }| {
        SubjectRequestView::of(request, handle.map(|it| it.as_str().to_owned()), waits_for_record)
    };
    let requests = page.into_iter().map(view).collect();
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(response.json(SubjectRequestsView { requests, next_cursor }))
}

/// Confirm what a person asked for
///
/// Once it is clear that it was they who asked. A record is then the merchant's to hand over, by `POST /v1/subjects/record`;
/// an erasure is carried out by the gateway at `due_at`: when the last window of a limit ends that counts a visit of theirs,
/// and 30 days after the request at most. It waits as long for the record that they asked for too.
#[utoipa::path(
    tag = "subjects",
    params(("request" = String, Path, description = "The request's id", example = "srq_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")),
    request_body(content = Option<RequestDecisionBody>, description = "Why; may be left out"),
    responses(
        (status = 200, description = "Confirmed", body = SubjectRequestView),
        ProblemsOfRequests, ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys
    )
)]
#[post("/subject-requests/{request}/confirm")]
pub(crate) async fn confirm_subject_request(
    caller: Authorized<AnswerSubjects>,
    gateway: Data<Gateway>,
    request: Path<SubjectRequestId>,
    body: Optional<RequestDecisionBody>,
) -> Result<HttpResponse, Problem> {
    decide(&caller, &gateway, &request, body, true).await
}

/// Decline what a person asked for
///
/// Where it was not they who asked, say: the person sees that it was declined. An erasure that was confirmed can be declined
/// until it is carried out.
#[utoipa::path(
    tag = "subjects",
    params(("request" = String, Path, description = "The request's id", example = "srq_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")),
    request_body(content = Option<RequestDecisionBody>, description = "Why; may be left out"),
    responses(
        (status = 200, description = "Declined", body = SubjectRequestView),
        ProblemsOfRequests, ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys
    )
)]
#[post("/subject-requests/{request}/decline")]
pub(crate) async fn decline_subject_request(
    caller: Authorized<AnswerSubjects>,
    gateway: Data<Gateway>,
    request: Path<SubjectRequestId>,
    body: Optional<RequestDecisionBody>,
) -> Result<HttpResponse, Problem> {
    decide(&caller, &gateway, &request, body, false).await
}

async fn decide(
    caller: &Authorized<AnswerSubjects>,
    gateway: &Data<Gateway>,
    request: &SubjectRequestId,
    body: Optional<RequestDecisionBody>,
    confirms: bool,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    // The note is not repeated: it may name a person, and problems end up in logs.
    let note = body.into_inner().note.map(|note| ids::label(&note, MAX_NOTE)).transpose();
    let note =
        note.map_err(|error| Problem::invalid(vec![FieldError::at("/note", "invalid_value", error.to_string())]))?;
    let (decided, waits) = gateway.requests.decide(merchant, request, confirms, (note, caller.actor())).await?;
    Ok(HttpResponse::Ok().json(SubjectRequestView::of(decided, None, waits)))
}
