//! Who is let in, and how it is said who is not.

use actix_web::Error;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpResponse};
use serde::Serialize;
use std::sync::Arc;

use crate::access::role::Permission;
use crate::access::{Principal, Refused};
use crate::web::auth::admit;
use crate::web::params::members;
use crate::web::problem::Problem;

/// A refusal as Klout wrote it.
#[derive(Serialize)]
struct Refusal {
    error: u16,
    description: &'static str,
}

/// The middleware of this door: the key of the query is admitted, and what is refused is so in Klout's form.
///
/// # Errors
/// The errors of the rest; its own refusals are answers.
pub(super) async fn answer_as_klout(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = match admit_query(&req).await {
        Ok(()) => next.call(req).await?.map_into_boxed_body(),
        Err(problem) => req.error_response(problem),
    };
    Ok(in_its_form(response))
}

async fn admit_query(req: &ServiceRequest) -> Result<(), Problem> {
    let members = members(req.query_string())?;
    let secret = members.get("key").and_then(|key| key.as_str()).ok_or(Refused::Missing)?;
    admit(req.request(), secret).await?;
    let caller = req.extensions().get::<Arc<Principal>>().cloned().ok_or(Refused::Missing)?;
    Ok(caller.may(Permission::ReadAsKlout)?)
}

/// Klout had two refusals of what was asked: a key that may not, or asks too often, and a person whom nobody knows. What
/// can't be a name is the latter. Our own failures remain problems, which clients know by their status.
fn in_its_form(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let refused = response.status();
    if !refused.is_client_error() {
        return response;
    }
    let (status, description) = match refused {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => (StatusCode::FORBIDDEN, "The key is missing or not valid"),
        StatusCode::TOO_MANY_REQUESTS => (StatusCode::FORBIDDEN, "The key has asked too often"),
        StatusCode::METHOD_NOT_ALLOWED => (refused, "Only GET is answered here"),
        _ => (StatusCode::NOT_FOUND, "There is no such resource or user"),
    };
    let refusal = HttpResponse::build(status).json(Refusal { error: status.as_u16(), description });
    response.into_response(refusal)
}
