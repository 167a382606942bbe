//! `POST /v1/checks/{check}/override` and `/v1/overrides`: a desk lets someone in by hand whom a rule refused.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::paid::PaymentView;
use super::{CheckView, shown_to};
use crate::access::Merchant;
use crate::access::role::permit::{ListOverrides, Override};
use crate::decision::decide::Decision;
use crate::decision::reason::Reason;
use crate::eligibility::checker::{Answer, CheckError};
use crate::eligibility::overrides::{OverrideError, OverrideRequest, Overrider};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{self, CheckId, GrantId, MAX_NOTE, PerkSlug};
use crate::gateway::Gateway;
use crate::http::openapi::problems::{
    ProblemsOfActing, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys, ProblemsOfNames, ProblemsOfOverrides,
    ProblemsOfPruning, ProblemsOfQuery,
};
use crate::ledger::LedgerError;
use crate::ledger::cases::overrides::Overridden;
use crate::web::auth::Authorized;
use crate::web::clerk::{Acting, elsewhere};
use crate::web::extract::{Body, IdempotencyKey, PageLimit, Params, Path};
use crate::web::once::{Created, once_read_back};
use crate::web::problem::{Kind, Problem};

/// Why someone is let in all the same.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "irregular_operations", "tier": "standard", "note": "Her flight was cancelled."}))]
pub struct OverrideBody {
    /// One of the `reasons` that the rule names.
    reason: String,
    /// One of the `tiers` that the rule lets be granted so.
    tier: String,
    /// In one's own words, up to 500 characters. It is sealed under the person's key.
    note: Option<String>,
}

/// A refusal that was overridden.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Override)]
pub struct OverrideView {
    /// The check that was refused.
    #[schema(value_type = String, example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    check: CheckId,
    /// The check that was granted in its place.
    #[schema(value_type = String, example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b71")]
    granted_check: CheckId,
    #[schema(value_type = String, example = "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    grant: GrantId,
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    rule_version: i32,
    #[schema(example = "standard")]
    tier: String,
    #[schema(example = "courtesy")]
    reason: String,
    /// The key or clerk.
    #[schema(example = "key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    overridden_by: String,
    #[schema(value_type = String, format = DateTime)]
    overridden_at: Timestamp,
    /// Paid entries only: what was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    paid: Option<PaymentView>,
}

impl From<Overridden> for OverrideView {
    fn from(it: Overridden) -> Self {
        let Overridden { check, granted_check, grant, perk, rule_version, tier, reason, by, at, payment } = it;
        let paid = payment.map(PaymentView::from);
        let (overridden_by, overridden_at) = (by, at);
        Self { check, granted_check, grant, perk, rule_version, tier, reason, overridden_by, overridden_at, paid }
    }
}

/// A page of overrides.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Overrides)]
pub struct OverridesView {
    overrides: Vec<OverrideView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OverridesQuery {
    /// Only those of one perk.
    #[param(value_type = Option<String>, example = "sfo-lounge")]
    perk: Option<PerkSlug>,
    /// Entries a page, 1–200; 50 unless given.
    #[param(value_type = Option<u16>)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<CheckId>,
}

/// Override a refusal
///
/// Within 30 minutes of it, once, and on the terms of the version of the rule that refused: for one of its reasons, to one of
/// its tiers, as often as it says. A new check is granted in the place of the refused one, about the same visit; its limits
/// are used like any other's, and those that the rule names even past their maximum. Its token says so in its claim
/// `override`. The key of a desk that has a location overrides what was asked there. With an `Idempotency-Key` a retry gets the first answer and the very same token, whichever clerk sends it with
/// the key of the desk, once one is signed in. Where the place is closed, or the perk paused, nobody is let in by hand either.
#[utoipa::path(
    tag = "desk",
    params(
        ("check" = String, Path, description = "The id of the check that was refused", example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"),
        ("Idempotency-Key" = Option<String>, Header, description = "1–255 printable ASCII characters: a retry gets the first answer"),
        ("Perkgate-Clerk" = Option<String>, Header, description = "The session of a clerk: needed with the key of a desk, once there are clerks")
    ),
    request_body = OverrideBody,
    responses(
        (status = 201, description = "The check that is granted", body = CheckView, headers(("Location" = String, description = "Where it is"))),
        ProblemsOfOverrides, ProblemsOfActing, ProblemsOfNames, ProblemsOfPruning, ProblemsOfBody, ProblemsOfIdempotency,
        ProblemsOfKeys
    )
)]
#[post("/checks/{check}/override")]
pub(crate) async fn override_check(
    caller: Acting<Override>,
    gateway: Data<Gateway>,
    check: Path<CheckId>,
    key: IdempotencyKey,
    body: Body<OverrideBody>,
) -> Result<HttpResponse, Problem> {
    let request = body.hash();
    let OverrideBody { reason, tier, note } = body.into_inner();
    // The note is not repeated: it may name a person, and problems end up in logs.
    let note = note.map(|note| ids::label(&note, MAX_NOTE)).transpose();
    let note =
        note.map_err(|error| Problem::invalid(vec![FieldError::at("/note", "invalid_value", error.to_string())]))?;
    let asked = OverrideRequest { check: check.into_inner(), reason, tier, note };
    let check = asked.check.clone();
    let work = async |by, merchant: &Merchant| gateway.checker.override_check(by, merchant, asked).await;
    let_in(&caller, &gateway, (&check, "override"), (key, request), work).await
}

/// Grants in the place of a refused check, once for an idempotency key: a retry gets the same answer.
pub(super) async fn let_in(
    caller: &Acting<Override>,
    gateway: &Gateway,
    (check, operation): (&CheckId, &str),
    (key, request): (IdempotencyKey, [u8; 32]),
    work: impl AsyncFnOnce(Overrider, &Merchant) -> Result<Answer, OverrideError>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let answered = |answer: Answer| {
        let location = answer.check.as_ref().map(|granted| format!("/v1/checks/{granted}"));
        Created::new(location, &shown_to(caller, answer).with_link(|check| gateway.links.address(check)))
    };
    let work = async {
        let place = caller.acts_only_at().map(str::to_owned);
        let by = Overrider { key: caller.acting_key().clone(), role: caller.role.as_str(), place };
        answered(Box::pin(work(by, merchant)).await?)
    };
    let again = async {
        let found = match gateway.checker.find_overridden(merchant, check).await {
            Err(CheckError::Ledger(LedgerError::Pruned)) => None,
            found => found?,
        };
        answered(found.ok_or_else(Problem::not_found)?)
    };
    once_read_back(gateway, caller, format!("checks/{check}/{operation}"), key, request, work, again).await
}

/// List overrides
///
/// Who let whom in by hand, and why; the newest first.
#[utoipa::path(
    tag = "desk",
    params(OverridesQuery),
    responses((status = 200, description = "One page", body = OverridesView), ProblemsOfQuery, ProblemsOfKeys)
)]
#[get("/overrides")]
pub(crate) async fn list_overrides(
    caller: Authorized<ListOverrides>,
    gateway: Data<Gateway>,
    query: Params<OverridesQuery>,
) -> Result<HttpResponse, Problem> {
    let OverridesQuery { perk, limit, cursor } = query.into_inner();
    let limit = limit.unwrap_or_default();
    let (merchant, most) = (&caller.merchant()?.id, u32::from(limit.get()) + 1);
    let fetched = gateway.ledger.reader().list_overrides(merchant, perk, cursor, most).await?;
    let (overrides, next_cursor) = limit.page(fetched, |it| it.granted_check.to_string());
    let overrides = overrides.into_iter().map(OverrideView::from).collect();
    Ok(HttpResponse::Ok().json(OverridesView { overrides, next_cursor }))
}

impl From<OverrideError> for Problem {
    fn from(error: OverrideError) -> Self {
        let kind = Kind::from(&error);
        let detail = match error {
            OverrideError::NotFound => return Self::not_found(),
            OverrideError::Check(error) => return error.into(),
            OverrideError::UnknownReason(_) => {
                return Self::invalid(vec![FieldError::at("/reason", "invalid_value", error.to_string())]);
            }
            OverrideError::UnknownTier(_) => {
                return Self::invalid(vec![FieldError::at("/tier", "invalid_value", error.to_string())]);
            }
            OverrideError::NotRefused(decision) => match decision {
                Decision::Referred => "A person decides this: an admin, at `/v1/referrals`.".to_owned(),
                other => format!("This check was {}: only what was denied is overridden.", other.as_str()),
            },
            OverrideError::Elsewhere { location } => return elsewhere(&format!("This was asked at {location}")),
            OverrideError::TooLate => {
                "A refusal is overridden within 30 minutes: ask again, and override that.".to_owned()
            }
            OverrideError::NotOverridable => "The rule that refused this lets nobody override.".to_owned(),
            OverrideError::NotForPay => {
                "The rule that refused this lets nobody in for pay: it needs the member `paid`.".to_owned()
            }
            OverrideError::ReferenceUsed { granted, free } => {
                let how = match free {
                    Some(ending) => format!(
                        "That grant was undone since: for the same payment, send this one again with the ending `{ending}`."
                    ),
                    None => "Look there whether it is the same visit; for another one, send the reference of its own \
                             payment."
                        .to_owned(),
                };
                format!("The payment of this reference let someone in before: `{granted}` was granted for it. {how}")
            }
            OverrideError::AlreadyOverridden { granted } => {
                format!(
                    "This was overridden before: `{granted}` was granted in its place. Where that was undone since, ask \
                     again, and override the new refusal."
                )
            }
            OverrideError::AlreadyGranted => "A person has granted this already.".to_owned(),
            OverrideError::Erased => "The person was erased: nobody can be let in for them.".to_owned(),
            OverrideError::NoRoom(reasons) => {
                let mut said: Vec<String> = reasons.iter().map(Reason::message).collect();
                // Each must have room: the latest says from when there is.
                if let Some(next) = reasons.iter().filter_map(|reason| reason.next_eligible_at).max() {
                    said.push(format!("There is room again at {next}: ask then."));
                }
                format!("{} Nothing was granted.", said.join(" "))
            }
            OverrideError::PlaceClosed { until } => format!("The place is closed until {until}: ask again then."),
            OverrideError::PerkPaused => "The perk is paused, and grants nothing.".to_owned(),
            OverrideError::PerkRetired => "The perk is retired, and grants nothing any more.".to_owned(),
        };
        Self::new(kind, detail)
    }
}
