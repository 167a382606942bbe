//! `/v1/referrals`: what rules have referred to a person, and what the person decides.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::role::permit::Decide;
use crate::access::{Merchant, Permission, Principal};
use crate::eligibility::checker::Answer;
use crate::eligibility::referral_decision::ReferralDecision;
use crate::eligibility::shown::case::CaseShown;
use crate::eligibility::shown::referral::ReferralShown;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::MAX_NOTE;
use crate::foundation::ids::{self, CheckId, GrantId, PerkSlug};
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{
    ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys, ProblemsOfNames, ProblemsOfPruning, ProblemsOfQuery,
    ProblemsOfRulings,
};
use crate::http::v1::checks::explanation::GuestsView;
use crate::http::v1::checks::{CheckView, shown_to};
use crate::http::v1::perks::rules::ContextView;
use crate::ledger::cases::model::{Referral, ReferralStatus};
use crate::ledger::cases::referral::Referred;
use crate::web::auth::Authorized;
use crate::web::extract::{Body, IdempotencyKey, PageLimit, Params, Path};
use crate::web::once::{Created, once_read_back};
use crate::web::problem::Problem;

/// A check that a person is to decide, or has decided.
#[derive(ToSchema)]
#[schema(as = Referral)]
#[expect(dead_code, reason = "describes what `eligibility::shown` writes")]
pub struct ReferralView {
    #[schema(value_type = String, example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    check: CheckId,
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    rule_version: i32,
    #[schema(value_type = String, format = DateTime)]
    opened_at: Timestamp,
    #[serde(flatten)]
    ruling: RulingView,
}

/// Where a referral is, and how it was decided.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `eligibility::shown` writes")]
pub struct RulingView {
    #[schema(value_type = enumerations::ReferralStatus)]
    status: ReferralStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    decided_at: Option<Timestamp>,
    /// The key that decided, or `cli`.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<String>,
    /// The check that was granted in its place; its own address has the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    granted_check: Option<CheckId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    grant: Option<GrantId>,
    /// Shown with a check that joined another's referral, for its kiosk to hand over: the grant's token.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// A referral with all there is to decide it by.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReferredView {
    #[serde(flatten)]
    #[schema(value_type = ReferralView)]
    referral: ReferralShown,
    #[serde(flatten)]
    #[schema(value_type = CaseView)]
    case: CaseShown,
}

/// The information by which a person decides about someone.
#[derive(ToSchema)]
#[schema(as = Case)]
#[expect(dead_code, reason = "describes what `eligibility::shown` writes")]
pub struct CaseView {
    /// The person it is about.
    #[schema(example = "twitter:ada")]
    subject: String,
    party: u64,
    /// The part of the visit that the rule looked at.
    #[schema(value_type = ContextView)]
    context: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kiosk: Option<String>,
    /// The tiers that can be granted: those of the version that it was asked by, highest rank first.
    tiers: Vec<GrantableView>,
    /// Why it was decided as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// The answer to the kiosk, with the reasons.
    asked: CheckView,
}

/// Another refusal of the same person and perk, contested while the case was open.
#[derive(ToSchema)]
#[schema(as = ContestAddition)]
#[expect(dead_code, reason = "describes what `eligibility::shown` writes")]
pub struct AdditionView {
    #[schema(value_type = String, example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    check: CheckId,
    #[schema(value_type = String, format = DateTime)]
    added_at: Timestamp,
    /// The key that added it.
    added_by: String,
    /// Why that refusal is said to be wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// A tier that a person can grant.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `eligibility::shown` writes")]
pub struct GrantableView {
    #[schema(example = "standard")]
    tier: String,
    #[schema(example = "Main lounge")]
    name: String,
    /// Whom the tier would let in of those who came, where it says something of guests.
    guests: Option<GuestsView>,
}

/// A page of referrals.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReferralsView {
    #[schema(value_type = Vec<ReferralView>)]
    referrals: Vec<ReferralShown>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReferralsQuery {
    /// All unless given.
    #[param(value_type = Option<enumerations::ReferralStatus>)]
    status: Option<ReferralStatus>,
    /// Entries a page, 1–200; 50 unless given.
    #[param(value_type = Option<u16>)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<CheckId>,
}

/// The decision of a person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"decision": "granted", "tier": "standard", "note": "Her flight was moved to our terminal."}))]
pub struct RulingBody {
    decision: Word,
    /// The tier that is granted: one of the referral's `tiers`.
    #[schema(example = "standard")]
    tier: Option<String>,
    /// Why: up to 500 characters. It is sealed under the person's key.
    note: String,
}

/// The decision about a referral.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RulingDecision)]
pub enum Word {
    /// Written `grant` before.
    #[serde(alias = "grant")]
    Granted,
    /// Written `deny` before.
    #[serde(alias = "deny")]
    Denied,
}

impl RulingBody {
    fn read(self, check: CheckId) -> Result<ReferralDecision, Problem> {
        let mut errors = Vec::new();
        match (self.decision, &self.tier) {
            (Word::Granted, None) => errors.push(FieldError::at("/tier", "missing", "say which tier is granted")),
            (Word::Denied, Some(_)) => {
                errors.push(FieldError::at("/tier", "unknown_field", "nothing is granted: leave the tier out"));
            }
            _ => {}
        }
        // The note is not repeated: it may name a person, and problems end up in logs.
        let note = ids::label(&self.note, MAX_NOTE)
            .map_err(|error| errors.push(FieldError::at("/note", "invalid_value", error.to_string())));
        match note {
            Ok(note) if errors.is_empty() => Ok(ReferralDecision { check, tier: self.tier, note }),
            _ => Err(Problem::invalid(errors)),
        }
    }
}

/// List referrals
///
/// Checks whose rule left the decision to a person, oldest first.
#[utoipa::path(
    tag = "referrals",
    params(ReferralsQuery),
    responses((status = 200, description = "One page", body = ReferralsView), ProblemsOfQuery, ProblemsOfKeys)
)]
#[get("/referrals")]
pub(crate) async fn list_referrals(
    caller: Authorized<Decide>,
    gateway: Data<Gateway>,
    query: Params<ReferralsQuery>,
) -> Result<HttpResponse, Problem> {
    let ReferralsQuery { status, limit, cursor } = query.into_inner();
    let (referrals, next_cursor) = page_of(&caller, &gateway, false, status, (limit, cursor)).await?;
    let referrals = referrals.iter().map(ReferralShown::from).collect();
    Ok(HttpResponse::Ok().json(ReferralsView { referrals, next_cursor }))
}

/// A page of what people were asked to decide, whether a rule asked or a refusal was contested.
pub(crate) async fn page_of(
    caller: &Authorized<Decide>,
    gateway: &Gateway,
    is_contested: bool,
    status: Option<ReferralStatus>,
    (limit, cursor): (Option<PageLimit>, Option<CheckId>),
) -> Result<(Vec<Referral>, Option<String>), Problem> {
    let limit = limit.unwrap_or_default();
    let (merchant, most) = (&caller.merchant()?.id, u32::from(limit.get()) + 1);
    let fetched = gateway.ledger.reader().list_referrals(merchant, is_contested, status, cursor, most).await?;
    Ok(limit.page(fetched, |referral| referral.check.to_string()))
}

/// Show a referral
///
/// With all there is to decide it by, and, once it is decided, why.
#[utoipa::path(
    tag = "referrals",
    params(("check" = String, Path, description = "The check's id", example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")),
    responses((status = 200, description = "The referral", body = ReferredView), ProblemsOfNames, ProblemsOfPruning, ProblemsOfKeys)
)]
#[get("/referrals/{check}")]
pub(crate) async fn get_referral(
    caller: Authorized<Decide>,
    gateway: Data<Gateway>,
    check: Path<CheckId>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let referred = gateway.ledger.reader().find_referred(&merchant.id, &check).await?.ok_or_else(Problem::not_found)?;
    if referred.referral.contest.is_some() {
        return Err(Problem::not_found());
    }
    let referral = ReferralShown::from(&referred.referral);
    let case = case_of(&gateway, &caller, merchant, referred).await?;
    Ok(HttpResponse::Ok().json(ReferredView { referral, case }))
}

/// All there is to decide it by, as this caller may see it.
pub(crate) async fn case_of(
    gateway: &Gateway,
    caller: &Principal,
    merchant: &Merchant,
    referred: Referred,
) -> Result<CaseShown, Problem> {
    let reads_scores = caller.role.may(Permission::ReadScores);
    CaseShown::of(&gateway.checker, merchant, referred, reads_scores).await?.ok_or_else(Problem::not_found)
}

/// Decide a referral
///
/// `granted` makes a new check in the place of the one that was referred: its limits are used like any
/// other's, and the answer has its token. `denied` answers with the check that was referred. Both are
/// recorded with who decided and why, and neither can be decided again.
#[utoipa::path(
    tag = "referrals",
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 printable ASCII characters: a retry gets the first answer"), ("check" = String, Path, description = "The check's id", example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")),
    request_body = RulingBody,
    responses(
        (status = 201, description = "Decided", body = CheckView, headers(("Location" = String, description = "The check that was granted, or the referral"))),
        ProblemsOfNames, ProblemsOfRulings, ProblemsOfPruning, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys
    )
)]
#[post("/referrals/{check}/decide")]
pub(crate) async fn decide_referral(
    caller: Authorized<Decide>,
    gateway: Data<Gateway>,
    check: Path<CheckId>,
    key: IdempotencyKey,
    body: Body<RulingBody>,
) -> Result<HttpResponse, Problem> {
    let request = body.hash();
    let merchant = caller.merchant()?;
    let operation = format!("referrals/{}/decide", *check);
    if gateway
        .ledger
        .reader()
        .referral_of(&merchant.id, &check)
        .await?
        .is_some_and(|referral| referral.contest.is_some())
    {
        return Err(Problem::not_found());
    }
    let asked = check.into_inner();
    let answered = |answer: Answer, referral: Option<&Referral>| match &answer.check {
        Some(granted) if *granted != asked => {
            let location = format!("/v1/checks/{granted}");
            Created::new(Some(location), &shown_to(&caller, answer).with_link(|check| gateway.links.address(check)))
        }
        _ => {
            let view = shown_to(&caller, answer).with_referral(referral);
            Created::new(Some(format!("/v1/referrals/{asked}")), &view)
        }
    };
    let work = async {
        let decision = body.into_inner().read(asked.clone())?;
        let answer = gateway.checker.decide_referral(&caller, merchant, decision).await?;
        answered(answer, gateway.ledger.reader().referral_of(&merchant.id, &asked).await?.as_ref())
    };
    let again = async {
        let found = gateway.checker.find_referral_decision(&caller, merchant, &asked).await?;
        let (answer, referral) = found.ok_or_else(Problem::not_found)?;
        answered(answer, Some(&referral))
    };
    once_read_back(&gateway, &caller, operation, key, request, work, again).await
}
