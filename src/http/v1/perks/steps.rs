//! `POST /v1/perks/{perk}/…` and `PATCH /v1/perks/{perk}`: pausing, resuming, retiring, renaming, going back.

use actix_web::web::Data;
use actix_web::{HttpResponse, patch, post};
use serde::Deserialize;
use utoipa::ToSchema;

use super::version_steps::NoteBody;
use super::{MadeView, PerkView, read_purpose, shown};
use crate::access::role::permit::ManagePerks;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::PerkSlug;
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{
    ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys, ProblemsOfNames, ProblemsOfSteps,
};
use crate::perks::perk::PerkStatus;
use crate::web::auth::Authorized;
use crate::web::extract::{Body, IdempotencyKey, Path};
use crate::web::once::{Created, once};
use crate::web::preconditions::Optional;
use crate::web::problem::Problem;

/// Which version to go back to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackBody {
    /// A version that decided before.
    #[schema(example = 1)]
    to: i32,
    change_note: Option<String>,
}

/// The changes; what is left out is not changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PerkChangeBody {
    #[schema(example = "San Francisco lounge")]
    name: Option<String>,
    #[schema(value_type = Option<enumerations::Purpose>)]
    purpose: Option<String>,
}

/// Change a perk
///
/// Its name, or what it is for. Who may have it is changed by a new version.
#[utoipa::path(
    tag = "perks",
    params(("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge")),
    request_body = PerkChangeBody,
    responses(
        (status = 200, description = "The perk", body = PerkView),
        ProblemsOfSteps, ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys
    )
)]
#[patch("/perks/{perk}")]
pub(crate) async fn update_perk(
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
    perk: Path<PerkSlug>,
    body: Body<PerkChangeBody>,
) -> Result<HttpResponse, Problem> {
    let PerkChangeBody { name, purpose } = body.into_inner();
    if name.is_none() && purpose.is_none() {
        return Err(Problem::invalid(vec![FieldError::at(
            "",
            "missing_field",
            "say what changes: `name`, `purpose` or both",
        )]));
    }
    let purpose = purpose.as_deref().map(read_purpose).transpose()?;
    let merchant = &caller.merchant()?.id;
    gateway.catalog.update_perk(merchant, caller.actor(), &perk, name, purpose).await?;
    shown(&gateway, merchant, &perk).await
}

/// Go back to an earlier version
///
/// The rule of that version becomes a new version, and decides at once; a version that was scheduled is
/// scheduled no more, as a warning says. Where the merchant asks for
/// four eyes it is `in_review` instead, as the answer's `status` says: someone else approves and
/// publishes it. Refused when that rule can't work any more.
#[utoipa::path(
    tag = "perks",
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 printable ASCII characters: a retry gets the first answer"), ("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge")),
    request_body = RollbackBody,
    responses(
        (status = 201, description = "Made", body = MadeView, headers(("Location" = String, description = "Where it is"))),
        ProblemsOfSteps, ProblemsOfNames, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys
    )
)]
#[post("/perks/{perk}/rollback")]
pub(crate) async fn rollback_perk(
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
    perk: Path<PerkSlug>,
    key: IdempotencyKey,
    body: Body<RollbackBody>,
) -> Result<HttpResponse, Problem> {
    let request = body.hash();
    let merchant = &caller.merchant()?.id;
    let work = async {
        let RollbackBody { to, change_note } = body.into_inner();
        let made = gateway.catalog.roll_back(merchant, caller.actor(), &perk, to, change_note).await?;
        let location = format!("/v1/perks/{}/versions/{}", made.perk.slug, made.version.version);
        Created::new(Some(location), &MadeView::from(made))
    };
    once(&gateway, &caller, format!("perks/{}/rollback", *perk), key, request, work).await
}

macro_rules! status_steps {
    ($($(#[$($doc:tt)*])* $name:ident, $path:tt, $status:ident, $done:tt;)*) => {$(
        $(#[$($doc)*])*
        #[utoipa::path(
            tag = "perks",
            params(("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge")),
            request_body(content = Option<NoteBody>, description = "Why; may be left out"),
            responses(
                (status = 200, description = $done, body = PerkView),
                ProblemsOfSteps, ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys
            )
        )]
        #[post($path)]
        pub(crate) async fn $name(
            caller: Authorized<ManagePerks>,
            gateway: Data<Gateway>,
            perk: Path<PerkSlug>,
            body: Optional<NoteBody>,
        ) -> Result<HttpResponse, Problem> {
            let (merchant, note) = (&caller.merchant()?.id, body.into_inner().change_note);
            let status = PerkStatus::$status;
            gateway.catalog.set_status(merchant, caller.actor(), &perk, status, note).await?;
            shown(&gateway, merchant, &perk).await
        }
    )*};
}

status_steps! {
    /// Pause a perk
    ///
    /// Every check is denied with `perk_paused` until it is resumed. One person may do this, four eyes
    /// or not. Pausing it again changes nothing.
    pause_perk, "/perks/{perk}/pause", Paused, "Paused";
    /// Resume a perk
    ///
    /// Checks are decided by its rule again. Needs no approval: what decides now had it.
    resume_perk, "/perks/{perk}/resume", Active, "On offer again";
    /// Retire a perk
    ///
    /// For good: checks find no such perk, a scheduled version is unscheduled, and its short name remains
    /// taken. Who repeats an earlier check with its `Idempotency-Key` still gets the first answer.
    retire_perk, "/perks/{perk}/retire", Retired, "Retired";
}
