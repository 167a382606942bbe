//! `/v1/checks/{check}/contest` and `/v1/contests`: refusals that someone says are wrong, and what a person decides.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::referrals::{AdditionView, CaseView, case_of, page_of};
use crate::access::role::permit::{Check, Decide};
use crate::eligibility::checker::Answer;
use crate::eligibility::referral_decision::ReferralDecision;
use crate::eligibility::shown::case::CaseShown;
use crate::eligibility::shown::referral::{AdditionShown, ContestShown};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::MAX_NOTE;
use crate::foundation::ids::{self, CheckId, EventId, GrantId, PerkSlug};
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{
    ProblemsOfBody, ProblemsOfContests, ProblemsOfIdempotency, ProblemsOfKeys, ProblemsOfNames, ProblemsOfPruning,
    ProblemsOfQuery, ProblemsOfRulings,
};
use crate::http::v1::checks::{CheckView, sees, shown_to};
use crate::ledger::cases::contest::{Contest, ContestStatus, MAX_REASON, Objection};
use crate::ledger::cases::model::Referral;
use crate::telemetry::meters;
use crate::web::auth::Authorized;
use crate::web::extract::{Body, IdempotencyKey, PageLimit, Params, Path};
use crate::web::once::{Created, once, once_read_back};
use crate::web::problem::Problem;

/// A refusal that was contested.
#[derive(ToSchema)]
#[schema(as = Contest)]
#[expect(dead_code, reason = "describes what `eligibility::shown` writes")]
pub struct ContestView {
    /// The check that was refused; the case goes by its id.
    #[schema(value_type = String, example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    check: CheckId,
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    rule_version: i32,
    #[schema(value_type = enumerations::ContestStatus)]
    status: ContestStatus,
    #[schema(value_type = String, format = DateTime)]
    opened_at: Timestamp,
    /// The key that opened it.
    opened_by: String,
    /// The number of other refusals of the person and perk, contested while it was open, that are decided with it.
    additions: usize,
    /// When it was decided, or closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    decided_at: Option<Timestamp>,
    /// The key that decided, or `cli`; nobody where it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<String>,
    /// The check that was granted in its place; its own address has the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    granted_check: Option<CheckId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    grant: Option<GrantId>,
}

/// A case with all there is to decide it by.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContestedView {
    #[serde(flatten)]
    #[schema(value_type = ContestView)]
    contest: ContestShown,
    /// Why the refusal is said to be wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The refusals that were added to it, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<AdditionView>)]
    added: Vec<AdditionShown>,
    #[serde(flatten)]
    #[schema(value_type = CaseView)]
    case: CaseShown,
}

/// A page of cases.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContestsView {
    #[schema(value_type = Vec<ContestView>)]
    contests: Vec<ContestShown>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ContestsQuery {
    /// All unless given.
    #[param(value_type = Option<enumerations::ContestStatus>)]
    status: Option<ContestStatus>,
    /// Entries a page, 1–200; 50 unless given.
    #[param(value_type = Option<u16>)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<CheckId>,
}

/// Why a refusal is wrong.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "My account was renamed last week, and the score is still under the old name."}))]
pub struct ObjectionBody {
    /// Up to 1,000 characters. It is sealed under the person's key.
    reason: String,
}

/// Why a refusal stands.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"note": "The score is of the person's only account."}))]
pub struct UpholdBody {
    /// Up to 500 characters. It is sealed under the person's key.
    note: String,
}

/// The grant in the place of a refusal, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"tier": "standard", "note": "The renamed account has 62."}))]
pub struct OverturnBody {
    /// One of the case's `tiers`.
    tier: String,
    /// Up to 500 characters. It is sealed under the person's key.
    note: String,
}

/// Contest a refusal
///
/// Opens a case that a person decides: they uphold the refusal, or overturn it and grant. A kiosk contests the
/// checks that its own key made, in the name of the person who was refused. Once a check. While a case about the same
/// person and perk is open, the refusal is added to that one, which is the answer then; it takes 20 more.
#[utoipa::path(
    tag = "contests",
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 printable ASCII characters: a retry gets the first answer"), ("check" = String, Path, description = "The check's id", example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")),
    request_body = ObjectionBody,
    responses(
        (status = 200, description = "The open case that it was added to", body = ContestView, headers(("Location" = String, description = "Where the case is, for admins"))),
        (status = 201, description = "The case", body = ContestView, headers(("Location" = String, description = "Where the case is, for admins"))),
        ProblemsOfNames, ProblemsOfContests, ProblemsOfPruning, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys
    )
)]
#[post("/checks/{check}/contest")]
pub(crate) async fn create_contest(
    caller: Authorized<Check>,
    gateway: Data<Gateway>,
    check: Path<CheckId>,
    key: IdempotencyKey,
    body: Body<ObjectionBody>,
) -> Result<HttpResponse, Problem> {
    let request = body.hash();
    let merchant = caller.merchant()?;
    let check = check.into_inner();
    let operation = format!("checks/{check}/contest");
    let work = async {
        let reason = read_text("/reason", &body.into_inner().reason, MAX_REASON)?;
        let answer = gateway.checker.find_check(merchant, &check).await?;
        if !answer.is_some_and(|answer| sees(&caller, &answer)) {
            return Err(Problem::not_found());
        }
        let at = gateway.clock.now();
        let event = EventId::new(at, &gateway.entropy);
        let merchant = merchant.id.clone();
        let objection = Objection { merchant, check: check.clone(), event, at, by: caller.actor(), reason };
        let (case, step) = match gateway.ledger.contest(objection).await? {
            Contest::Opened(case) => (case, "opened"),
            Contest::Added(case) => (case, "added"),
        };
        meters().contests.count([step]);
        let view = ContestShown::of(&case).ok_or_else(Problem::not_found)?;
        let made = Created::new(Some(format!("/v1/contests/{}", case.check)), &view)?;
        Ok(if step == "added" { made.known() } else { made })
    };
    once(&gateway, &caller, operation, key, request, work).await
}

/// List contests
///
/// Refusals that were contested, by their checks, oldest first.
#[utoipa::path(
    tag = "contests",
    params(ContestsQuery),
    responses((status = 200, description = "One page", body = ContestsView), ProblemsOfQuery, ProblemsOfKeys)
)]
#[get("/contests")]
pub(crate) async fn list_contests(
    caller: Authorized<Decide>,
    gateway: Data<Gateway>,
    query: Params<ContestsQuery>,
) -> Result<HttpResponse, Problem> {
    let ContestsQuery { status, limit, cursor } = query.into_inner();
    let status = status.map(ContestStatus::stored);
    let (referrals, next_cursor) = page_of(&caller, &gateway, true, status, (limit, cursor)).await?;
    let contests = referrals.iter().filter_map(ContestShown::of).collect();
    Ok(HttpResponse::Ok().json(ContestsView { contests, next_cursor }))
}

/// Show a contest
///
/// With all there is to decide it by, and, once it is decided, why. Not there any more once the person has been
/// erased.
#[utoipa::path(
    tag = "contests",
    params(("check" = String, Path, description = "The contested check's id", example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")),
    responses((status = 200, description = "The case", body = ContestedView), ProblemsOfNames, ProblemsOfPruning, ProblemsOfKeys)
)]
#[get("/contests/{check}")]
pub(crate) async fn get_contest(
    caller: Authorized<Decide>,
    gateway: Data<Gateway>,
    check: Path<CheckId>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let referred = gateway.ledger.reader().find_referred(&merchant.id, &check).await?.ok_or_else(Problem::not_found)?;
    let contest = ContestShown::of(&referred.referral).ok_or_else(Problem::not_found)?;
    let reason = referred.objection.clone();
    let added = AdditionShown::all(&referred);
    let case = case_of(&gateway, &caller, merchant, referred).await?;
    Ok(HttpResponse::Ok().json(ContestedView { contest, reason, added, case }))
}

/// Uphold a refusal
///
/// The refusal stands, and the case is closed. Where the merchant asks for four eyes, who opened the case can't
/// decide it. Answers with the check that was refused.
#[utoipa::path(
    tag = "contests",
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 printable ASCII characters: a retry gets the first answer"), ("check" = String, Path, description = "The contested check's id", example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")),
    request_body = UpholdBody,
    responses(
        (status = 201, description = "Decided", body = CheckView, headers(("Location" = String, description = "The case"))),
        ProblemsOfNames, ProblemsOfRulings, ProblemsOfContests, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys
    )
)]
#[post("/contests/{check}/uphold")]
pub(crate) async fn uphold_contest(
    caller: Authorized<Decide>,
    gateway: Data<Gateway>,
    check: Path<CheckId>,
    key: IdempotencyKey,
    body: Body<UpholdBody>,
) -> Result<HttpResponse, Problem> {
    let request = body.hash();
    let note = body.into_inner().note;
    decide(&caller, &gateway, check.into_inner(), key, request, (None, note), "uphold").await
}

/// Overturn a refusal
///
/// Makes a new check in the place of the one that was refused: its limits are used like any other's, and the answer
/// has its token. Where the merchant asks for four eyes, who opened the case can't decide it.
#[utoipa::path(
    tag = "contests",
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 printable ASCII characters: a retry gets the first answer"), ("check" = String, Path, description = "The contested check's id", example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")),
    request_body = OverturnBody,
    responses(
        (status = 201, description = "Decided", body = CheckView, headers(("Location" = String, description = "The check that was granted"))),
        ProblemsOfNames, ProblemsOfRulings, ProblemsOfContests, ProblemsOfPruning, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys
    )
)]
#[post("/contests/{check}/overturn")]
pub(crate) async fn overturn_contest(
    caller: Authorized<Decide>,
    gateway: Data<Gateway>,
    check: Path<CheckId>,
    key: IdempotencyKey,
    body: Body<OverturnBody>,
) -> Result<HttpResponse, Problem> {
    let request = body.hash();
    let OverturnBody { tier, note } = body.into_inner();
    decide(&caller, &gateway, check.into_inner(), key, request, (Some(tier), note), "overturn").await
}

async fn decide(
    caller: &Authorized<Decide>,
    gateway: &Data<Gateway>,
    check: CheckId,
    key: IdempotencyKey,
    request: [u8; 32],
    (tier, note): (Option<String>, String),
    step: &'static str,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let contest = gateway.ledger.reader().referral_of(&merchant.id, &check).await?;
    if contest.is_none_or(|referral| referral.contest.is_none()) {
        return Err(Problem::not_found());
    }
    let operation = format!("contests/{check}/{step}");
    let answered = |answer: Answer, contest: Option<&Referral>| {
        let location = match &answer.check {
            Some(granted) if *granted != check => format!("/v1/checks/{granted}"),
            _ => format!("/v1/contests/{check}"),
        };
        let view = shown_to(caller, answer).with_contest(contest);
        Created::new(Some(location), &view.with_link(|check| gateway.links.address(check)))
    };
    let work = async {
        let note = read_text("/note", &note, MAX_NOTE)?;
        let answer = gateway
            .checker
            .decide_referral(caller, merchant, ReferralDecision { check: check.clone(), tier, note })
            .await?;
        meters().contests.count([step]);
        answered(answer, gateway.ledger.reader().referral_of(&merchant.id, &check).await?.as_ref())
    };
    let again = async {
        let found = gateway.checker.find_referral_decision(caller, merchant, &check).await?;
        let (answer, contest) = found.ok_or_else(Problem::not_found)?;
        answered(answer, Some(&contest))
    };
    once_read_back(gateway, caller, operation, key, request, work, again).await
}

/// Reads a text that someone wrote. It is not repeated in problems: it may name a person, and problems end up in logs.
fn read_text(pointer: &'static str, text: &str, most: usize) -> Result<String, Problem> {
    ids::label(text, most)
        .map_err(|error| Problem::invalid(vec![FieldError::at(pointer, "invalid_value", error.to_string())]))
}
