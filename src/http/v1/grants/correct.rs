//! `PATCH /v1/grants/{grant}`: who came after all.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpResponse, patch};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{GrantView, see};
use crate::access::role::permit::Check;
use crate::eligibility::grants::{CorrectionRequest, CorrectionRequestError};
use crate::foundation::document::{FieldErrors, Node};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{self, GrantId, MAX_NOTE};
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::http::openapi::problems::{
    ProblemsOfActing, ProblemsOfBody, ProblemsOfCorrections, ProblemsOfEdits, ProblemsOfKeys, ProblemsOfNames,
    ProblemsOfPruning, ProblemsOfRules,
};
use crate::http::v1::checks::visitor::PartyView;
use crate::ledger::grants::correction::CorrectionError;
use crate::perks::life::Expected;
use crate::rules::tier::party::Party;
use crate::web::clerk::Acting;
use crate::web::extract::{Body, Path};
use crate::web::preconditions::IfMatch;
use crate::web::problem::{Kind, Problem};

/// Those who came.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrectionBody {
    #[schema(value_type = PartyView)]
    party: Json,
    /// Why: sealed under the person's key, and lost with it. 1–500 characters.
    #[schema(example = "The grandmother stayed outside.")]
    reason: String,
}

/// Correct a grant
///
/// More or fewer came than were granted: up to 10 minutes after the grant, or after a door first took its token,
/// whichever is later. They count in the very counters and windows that the check touched, by the version of the rule
/// that granted it: fewer always, more only with room there (409 `limit_reached`, and nothing changes). The token goes
/// on saying what was granted; doors that ask, and the grant, say who came beside it. Send the grant's `ETag` as
/// `If-Match`. Those who may check may correct the grants of their own checks, admins all, and desks those of their location.
#[utoipa::path(
    tag = "checks",
    params(
        ("grant" = String, Path, description = "The grant's id", example = "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"),
        ("If-Match" = String, Header, description = "The grant's `ETag`, or `*` for whatever state it is in"),
        ("Perkgate-Clerk" = Option<String>, Header, description = "The session of a clerk: needed with the key of a desk, once there are clerks")
    ),
    request_body = CorrectionBody,
    responses(
        (status = 200, description = "The grant as it stands", body = GrantView, headers(("ETag" = String, description = "What `If-Match` takes next"))),
        ProblemsOfNames, ProblemsOfCorrections, ProblemsOfEdits, ProblemsOfPruning, ProblemsOfRules, ProblemsOfBody,
        ProblemsOfActing, ProblemsOfKeys
    )
)]
#[patch("/grants/{grant}")]
pub(crate) async fn correct_grant(
    caller: Acting<Check>,
    gateway: Data<Gateway>,
    grant: Path<GrantId>,
    expected: IfMatch,
    body: Body<CorrectionBody>,
) -> Result<HttpResponse, Problem> {
    let expected = match expected.required("grant")? {
        Expected::Anything => None,
        Expected::OneOf(tags) => Some(tags),
    };
    let CorrectionBody { party, reason } = body.into_inner();
    let request = CorrectionRequest { party: read_party(&party)?, reason: read_reason(&reason)?, expected };
    let found = see(&caller, &gateway, &grant).await?;
    caller.require_at(found.location.as_deref())?;
    let merchant = caller.merchant()?;
    let place = (caller.location.clone(), caller.kiosk.clone());
    let corrected = gateway.checker.correct_grant(caller.actor(), place, merchant, found, request).await?;
    let tag = format!("\"{}\"", corrected.tag);
    Ok(HttpResponse::Ok().insert_header((header::ETAG, tag)).json(GrantView::from(corrected)))
}

fn read_party(party: &Json) -> Result<Party, Problem> {
    let mut errors = FieldErrors::default();
    let read = Party::read(&Node::root(party), &mut errors);
    errors.unless_any(read).map_err(|errors| Problem::of_fields("/party", errors))
}

fn read_reason(reason: &str) -> Result<String, Problem> {
    ids::label(reason, MAX_NOTE)
        .map_err(|error| Problem::invalid(vec![FieldError::at("/reason", "invalid_value", error.to_string())]))
}

impl From<CorrectionRequestError> for Problem {
    fn from(error: CorrectionRequestError) -> Self {
        let kind = Kind::from(&error);
        let error = match error {
            CorrectionRequestError::Perk(error) => return error.into(),
            CorrectionRequestError::Correction(error) => error,
        };
        let detail = match error {
            CorrectionError::NotFound => return Self::not_found(),
            CorrectionError::Ledger(error) => return error.into(),
            CorrectionError::Database(error) => return error.into(),
            error @ (CorrectionError::NoRoom(_) | CorrectionError::TooMany(_)) => {
                return Self::new(kind, error.to_string());
            }
            CorrectionError::Stale => {
                "The grant has changed since you looked: GET it again, and correct what you see then."
            }
            CorrectionError::Voided => "This grant was taken back: nobody comes in by it.",
            CorrectionError::Released => "This grant was released: the guest has left.",
            CorrectionError::Erased => "The person was erased: nothing about their visits is changed any more.",
            CorrectionError::TooLate => {
                "A grant is corrected within 10 minutes of being made, or of a door first taking its token."
            }
        };
        Self::new(kind, detail)
    }
}
