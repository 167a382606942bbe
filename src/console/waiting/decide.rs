//! `/console/waiting/…`: the answers. What was decided by someone else meanwhile is said on the page of what still waits.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::Deserialize;

use super::{Kind, show};
use crate::access::role::permit::{AnswerSubjects, Decide};
use crate::console::caller::Caller;
use crate::console::door::see_other;
use crate::console::form::Posted;
use crate::eligibility::referral_decision::{ReferralDecision, ReferralDecisionError};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{self, CheckId, MAX_NOTE, SubjectRequestId};
use crate::gateway::Gateway;
use crate::ledger::cases::requests::SubjectRequestError;
use crate::telemetry::meters;
use crate::web::extract::Path;
use crate::web::problem::Problem;

#[derive(Deserialize)]
pub(in crate::console) struct CaseFields {
    #[serde(default)]
    note: String,
    /// The tier that is granted, by the button of that tier.
    tier: Option<String>,
    /// Given by the button that refuses.
    refuse: Option<String>,
}

#[post("/waiting/cases/{check}")]
pub(in crate::console) async fn post_case(
    caller: Caller<Decide>,
    gateway: Data<Gateway>,
    check: Path<CheckId>,
    fields: Posted<CaseFields>,
) -> Result<HttpResponse, Problem> {
    let CaseFields { note, tier, refuse } = fields.0;
    let merchant = caller.merchant()?;
    let case = gateway.ledger.reader().referral_of(&merchant.id, &check).await?.ok_or_else(Problem::not_found)?;
    if tier.is_some() == refuse.is_some() {
        return Err(Problem::invalid(vec![FieldError::of_parameter("tier", "missing", "let them in, or refuse")]));
    }
    let Ok(note) = ids::label(&note, MAX_NOTE) else {
        let why = format!("Say why in up to {MAX_NOTE} characters: it stands in the log. Nothing was decided.");
        return show(&caller, &gateway, Kind::All, Some(why)).await;
    };
    let step = if tier.is_some() { "overturn" } else { "uphold" };
    let decision = ReferralDecision { check: check.into_inner(), tier, note };
    match gateway.checker.decide_referral(&caller, merchant, decision).await {
        Ok(_) => {
            if case.contest.is_some() {
                meters().contests.count([step]);
            }
            Ok(see_other(&"/console/waiting"))
        }
        Err(
            error @ (ReferralDecisionError::AlreadyDecided
            | ReferralDecisionError::AlreadyOverridden { .. }
            | ReferralDecisionError::NoRoom(_)
            | ReferralDecisionError::PerkPaused
            | ReferralDecisionError::PerkRetired
            | ReferralDecisionError::PlaceClosed(_)),
        ) => {
            let said = Problem::from(error).detail.to_string();
            show(&caller, &gateway, Kind::All, Some(said)).await
        }
        // It is there, and its person is not.
        Err(ReferralDecisionError::NotFound) => {
            let said = "The person has been erased: nobody can be let in, and what is left can be closed.".to_owned();
            show(&caller, &gateway, Kind::All, Some(said)).await
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Deserialize)]
pub(in crate::console) struct RequestFields {
    note: Option<String>,
    /// `yes`, or `no`.
    confirms: YesOrNo,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(in crate::console) enum YesOrNo {
    Yes,
    No,
}

#[post("/waiting/requests/{request}")]
pub(in crate::console) async fn post_request(
    caller: Caller<AnswerSubjects>,
    gateway: Data<Gateway>,
    request: Path<SubjectRequestId>,
    fields: Posted<RequestFields>,
) -> Result<HttpResponse, Problem> {
    let RequestFields { note, confirms } = fields.0;
    let note = note.map(|note| ids::label(&note, MAX_NOTE)).transpose();
    // It is not repeated: it may name a person, and problems end up in logs.
    let note = note.map_err(|error| {
        Problem::invalid(vec![FieldError::of_parameter("note", "invalid_value", error.to_string())])
    })?;
    let (merchant, confirms) = (caller.merchant()?, confirms == YesOrNo::Yes);
    match gateway.requests.decide(merchant, &request, confirms, (note, caller.actor())).await {
        Ok(_) => Ok(see_other(&"/console/waiting")),
        Err(error @ (SubjectRequestError::Decided(_) | SubjectRequestError::Erased)) => {
            let said = Problem::from(error).detail.to_string();
            show(&caller, &gateway, Kind::All, Some(said)).await
        }
        Err(error) => Err(error.into()),
    }
}
