//! `POST /v1/my/{link}/requests`: a person asks to be shown what is held on them, or to be erased.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{follow, guarded};
use crate::eligibility::links::own::OwnRequest;
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{
    ProblemsOfBody, ProblemsOfLinks, ProblemsOfNames, ProblemsOfPruning, ProblemsOfRequests,
};
use crate::ledger::cases::requests::{RequestKind, RequestStatus, SubjectRequest};
use crate::web::extract::{Body, Path};
use crate::web::problem::Problem;
use crate::web::state::State;

/// A wish of a person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OwnRequestBody, example = json!({"kind": "erasure"}))]
pub struct OwnRequestBody {
    #[schema(value_type = enumerations::RequestKind)]
    kind: RequestKind,
}

/// A request as its person sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OwnRequest)]
pub struct OwnRequestView {
    #[schema(value_type = enumerations::RequestKind)]
    kind: RequestKind,
    #[schema(value_type = enumerations::RequestStatus)]
    status: RequestStatus,
    #[schema(value_type = String, format = DateTime)]
    asked_at: Timestamp,
    /// Erasures only: when it is carried out, or, while the merchant hasn't confirmed it, when it would be at the earliest.
    /// It is when the last window of a limit ends that counts a visit of the person, and 30 days after the request at most;
    /// also while the record that was asked for too isn't read or declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    carried_out_at: Option<Timestamp>,
}

impl From<OwnRequest> for OwnRequestView {
    fn from(own: OwnRequest) -> Self {
        let SubjectRequest { kind, status, asked_at, .. } = own.request;
        Self { kind, status, asked_at, carried_out_at: own.carried_out_at }
    }
}

/// Ask for one's record, or to be erased
///
/// The merchant confirms it or declines: a link alone does neither, as anyone who finds it has it. While one for the same is
/// pending, that is the answer. An erasure that is confirmed is carried out when the last window of a limit ends that counts
/// a visit of the person, and 30 days after the request at most: the answer says when. Where the record was asked for too,
/// it is not carried out before that is declined, or was read.
#[utoipa::path(
    tag = "links",
    security(()),
    params(("link" = String, Path, description = "The end of the address that the check's answer has as `link`", example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70.9f86d081884c7d659a2feaa0c55ad015")),
    request_body = OwnRequestBody,
    responses(
        (status = 200, description = "One for the same is pending", body = OwnRequestView),
        (status = 201, description = "The merchant has it", body = OwnRequestView),
        ProblemsOfLinks, ProblemsOfNames, ProblemsOfRequests, ProblemsOfPruning, ProblemsOfBody
    )
)]
#[post("/{link}/requests")]
pub(crate) async fn create_own_request(
    req: HttpRequest,
    gateway: Data<Gateway>,
    state: Data<State>,
    link: Path<String>,
    body: Body<OwnRequestBody>,
) -> Result<HttpResponse, Problem> {
    let linked = follow(&req, &gateway, &state, &link).await?;
    let kind = body.into_inner().kind;
    let (request, is_new) = gateway.own_answers.ask(&linked, kind).await?;
    let view = OwnRequestView::from(request);
    Ok(guarded(if is_new { HttpResponse::Created() } else { HttpResponse::Ok() }).json(view))
}
