//! `POST /v1/grants/{grant}/undo`: the key that granted it takes it back at once.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::role::permit::Check;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::GrantId;
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{
    ProblemsOfActing, ProblemsOfBody, ProblemsOfKeys, ProblemsOfNames, ProblemsOfUndoing,
};
use crate::ledger::grants::undo::{UndoError, UndoReason, Undoing};
use crate::web::clerk::{Acting, elsewhere};
use crate::web::extract::{Body, Path};
use crate::web::problem::{Kind, Problem};

/// Why a grant is undone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "wrong_person"}))]
pub struct UndoBody {
    #[schema(value_type = enumerations::UndoReason)]
    reason: String,
}

/// A grant that was undone.
#[derive(Debug, Serialize, ToSchema)]
pub struct UndoneView {
    #[schema(value_type = String, example = "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    grant: GrantId,
    #[schema(value_type = String, format = DateTime)]
    undone_at: Timestamp,
    /// From when on others may use what it had used of limits: at once where doors take the rule's tokens online only, else
    /// when no door takes its token any more. Sooner is not safe: a door that is offline may let the guest in until then.
    #[schema(value_type = String, format = DateTime)]
    limits_free_at: Timestamp,
}

/// Undo a grant
///
/// For the key or clerk that granted it, within 10 minutes, while no door has taken its token: the wrong person was checked in, or the
/// guest has left again. The token opens no door any more and is never sent again. A grant that is older, or another key's, is
/// an admin's to void. The same again, for the same reason, gets the same answer.
#[utoipa::path(
    tag = "checks",
    params(
        ("grant" = String, Path, description = "The grant's id", example = "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"),
        ("Perkgate-Clerk" = Option<String>, Header, description = "The session of a clerk: needed with the key of a desk, once there are clerks")
    ),
    request_body = UndoBody,
    responses(
        (status = 200, description = "It is undone", body = UndoneView),
        ProblemsOfActing, ProblemsOfUndoing, ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys
    )
)]
#[post("/grants/{grant}/undo")]
pub(crate) async fn undo_grant(
    caller: Acting<Check>,
    gateway: Data<Gateway>,
    grant: Path<GrantId>,
    body: Body<UndoBody>,
) -> Result<HttpResponse, Problem> {
    let UndoBody { reason } = body.into_inner();
    let reason = UndoReason::ALL.into_iter().find(|known| known.as_str() == reason).ok_or_else(|| {
        let known = UndoReason::ALL.map(UndoReason::as_str).join(", ");
        Problem::invalid(vec![FieldError::at("/reason", "invalid_value", format!("use one of {known}"))])
    })?;
    let place = caller.acts_only_at().map(str::to_owned);
    let by = Undoing { actor: caller.actor(), desk: caller.key.clone(), place };
    let undone = gateway.ledger.undo_grant(&caller.merchant()?.id, &grant, by, reason).await?;
    let (undone_at, limits_free_at) = (undone.undone_at, undone.limits_free_at);
    Ok(HttpResponse::Ok().json(UndoneView { grant: grant.clone(), undone_at, limits_free_at }))
}

impl From<UndoError> for Problem {
    fn from(error: UndoError) -> Self {
        match error {
            UndoError::NotFound => Self::not_found(),
            UndoError::NotYours => {
                Self::new(Kind::Forbidden, "Only the key or clerk that granted this may undo it: an admin may void it.")
            }
            UndoError::Elsewhere { location } => elsewhere(&format!("This was granted at {location}")),
            UndoError::Over => Self::new(
                Kind::UndoOver,
                "This was granted more than 10 minutes ago, when it could be undone: an admin may void it.",
            ),
            UndoError::Redeemed => Self::new(
                Kind::AlreadyRedeemed,
                "A door has taken this grant's token: release it when the guest leaves, or let an admin void it.",
            ),
            UndoError::Released => Self::new(Kind::GrantReleased, "The guest has left: there is nothing to undo."),
            UndoError::Voided => Self::new(Kind::GrantVoided, "This grant was taken back before."),
            UndoError::Ledger(error) => error.into(),
            UndoError::Database(error) => error.into(),
        }
    }
}
