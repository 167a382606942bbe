//! `/v1/checks`: may this person have this perk?

pub mod batch;
pub mod explanation;
pub mod lists;
pub mod openings;
pub mod overrides;
pub mod paid;
pub mod visitor;

use std::time::{Duration, Instant};

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpResponse, HttpResponseBuilder, get, post};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::cases::contests::ContestView;
use super::cases::referrals::RulingView;
use super::perks::rules::ContextView;
use crate::access::role::permit::Check;
use crate::access::{Merchant, Permission, Principal};
use crate::decision::decide::Decision;
use crate::decision::facts::Context;
use crate::eligibility::checker::{Answer, CheckError, Question};
use crate::eligibility::shown::check::CheckShown;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{CheckId, GrantId, PerkSlug};
use crate::foundation::json::{Json, LooseJson};
use crate::foundation::language::Languages;
use crate::foundation::subject::{SubjectError, SubjectHandle};
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{
    ProblemsOfBody, ProblemsOfDryRuns, ProblemsOfIdempotency, ProblemsOfKeys, ProblemsOfNames, ProblemsOfPruning,
    ProblemsOfRules,
};
use crate::keyring::Keyring;
use crate::ledger::LedgerError;
use crate::ledger::entry::Idempotency;
use crate::telemetry::meters;
use crate::web::auth::Authorized;
use crate::web::extract::{Body, GuestLanguages, IdempotencyKey, Path};
use crate::web::problem::Problem;
use crate::web::state::State;
use explanation::{GuestsView, LimitView, NameView, OfferView, ReasonView, ReceiptView, ScoreSeenView};
use openings::{OpeningView, with_openings};
use visitor::{PartyView, PassBody, VisitorBody, VisitorView, read_pass, with_party};

/// The longest time a caller is kept waiting for the ledger before the answer is to come back later.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// One question.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckBody {
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    #[schema(value_type = VisitorView, example = "twitter:ada")]
    subject: VisitorBody,
    /// The text of the boarding pass that the visitor shows (IATA Resolution 792, versions 1 to 8, one to four legs):
    /// rules can look at it. A claim, not a proof: anybody can print one. Neither the text nor the name in it is kept.
    #[schema(value_type = Option<String>, example = "M1DESMARAIS/LUC       EABC123 YULFRAAC 0834 326J001A0025 100")]
    boarding_pass: Option<PassBody>,
    /// The visit's attributes; the rule says which members it looks at. `party` counts people. A number that the rule
    /// looks at has three decimals at most; what it doesn't look at is of no matter.
    #[schema(value_type = Option<ContextView>)]
    context: Option<LooseJson>,
    /// The people who come, in the place of the context's `party`: then the ages of children matter.
    #[schema(value_type = Option<PartyView>)]
    party: Option<Json>,
    /// Only ask: nothing is recorded and no token is made. A role that may not read scores gets no gap, and has 30
    /// of them an hour for one person.
    #[serde(default)]
    dry_run: bool,
}

/// A decision and everything that explains it.
#[derive(ToSchema)]
#[schema(example = json!({
    "check": "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70", "decision": "denied", "perk": "sfo-lounge", "rule_version": 1,
    "reasons": [{"code": "score_below_threshold", "tier": "standard", "wanted": 40, "short_by": 3,
                 "message": "The score is 3 points short of the 40 that Main lounge asks for."}],
    "score": {"source": "klout", "observed_at": "2026-11-23T07:30:00Z", "age_seconds": 5400, "fresh": true},
    "limits": [], "next_eligible_at": null,
    "receipt": {"log": "cathay", "index": 17, "leaf_hash": "9f86d081…", "checkpoint": "perks.example.com/cathay\n18\n…"}
}))]
#[expect(dead_code, reason = "describes what `eligibility::shown` writes")]
pub struct CheckView {
    /// Absent for a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    check: Option<CheckId>,
    #[schema(value_type = enumerations::Decision)]
    decision: Decision,
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    rule_version: i32,
    /// The perk's name in the guest's language; absent where the rule has none that fits: the perk's own is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    guest_perk: Option<NameView>,
    /// The tier that was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
    /// The tier's name in the guest's language; absent where the rule has none that fits: its `name` is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    guest_tier: Option<NameView>,
    reasons: Vec<ReasonView>,
    /// Offers for a guest who is refused; absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    offers: Vec<OfferView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<ScoreSeenView>,
    limits: Vec<LimitView>,
    /// The least instant, within 14 days, at which the same question would be granted, all else unchanged; null where
    /// waiting alone does not help, or a house is full until its guests leave.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_eligible_at: Option<Timestamp>,
    /// Where this was refused: the override that the rule allows of it. For those who may override, a desk say, and within
    /// 30 minutes; absent where nobody may, where it is another location's, and in a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#override: Option<OpeningView>,
    /// The same of a paid entry; it has no reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    paid: Option<OpeningView>,
    /// The longest that the granted tier promises to let the person wait (ISO 8601).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "PT10M")]
    max_wait: Option<String>,
    /// The guests of a grant, where its tier says something of guests.
    #[serde(skip_serializing_if = "Option::is_none")]
    guests: Option<GuestsView>,
    /// Where the key that asked is used; shown with a check that is looked at again.
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kiosk: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    grant: Option<GrantId>,
    /// The signed proof (a JWS) for the door.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    token_expires_at: Option<Timestamp>,
    /// When the grant was released: the guest has left, and its token is not sent any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    released_at: Option<Timestamp>,
    /// When the grant was taken back; its token is not sent any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    voided_at: Option<Timestamp>,
    /// When the key that signed its token was withdrawn: the token opens no door and is not sent any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    token_key_revoked_at: Option<Timestamp>,
    /// A person's ruling on it: shown with a check that was referred. Ask again until it isn't `open`.
    #[serde(skip_serializing_if = "Option::is_none")]
    referral: Option<RulingView>,
    /// The case that was opened about it: shown with a check that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    contest: Option<ContestView>,
    /// The check in whose place a person granted this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    resolves: Option<CheckId>,
    /// The check about the same person and perk whose open referral this one belongs to: what a person makes of that
    /// one holds for this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    joins: Option<CheckId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<ReceiptView>,
    /// The address at which the person of the check sees the answer and can contest it, for 24 hours from the check: for
    /// them alone, as a QR code, say. Absent where the gateway's settings name no `link_base`, or 24 hours have passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        example = "https://perks.example.com/my/chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70.9f86d081884c7d659a2feaa0c55ad015"
    )]
    link: Option<String>,
}

/// The answer as this caller may see it: a score's value is for roles that may read scores.
pub fn shown_to(caller: &Principal, answer: Answer) -> CheckShown {
    CheckShown::of(answer, caller.role.may(Permission::ReadScores))
}

/// Check a person
///
/// Decides by the perk's published rule, records the decision, and answers with its reasons; a
/// grant carries its token. `denied` is a 200: it is an answer. `referred` leaves it to a person: ask
/// for the check again until its `referral` isn't `open`. While a referral of the person and perk is open, another
/// check that is referred joins it. Send an `Idempotency-Key` to make a retry safe: it gets the same decision and
/// the very same token for 24 hours, or, once the grant has ended, how it ended and no token. The words for
/// guests are no part of the answer that is kept: a retry has them in the languages that it asks for.
#[utoipa::path(
    tag = "checks",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1–255 printable ASCII characters"),
        ("Accept-Language" = Option<String>, Header, description = "The guest's languages: each refusal brings a `guest_message` in the one that fits best (RFC 4647 look-up)")
    ),
    request_body = CheckBody,
    responses(
        (status = 200, description = "The decision", body = CheckView),
        ProblemsOfNames, ProblemsOfRules, ProblemsOfDryRuns, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys
    )
)]
#[post("/checks")]
pub(crate) async fn create_check(
    caller: Authorized<Check>,
    gateway: Data<Gateway>,
    state: Data<State>,
    key: IdempotencyKey,
    languages: GuestLanguages,
    body: Body<CheckBody>,
) -> Result<HttpResponse, Problem> {
    let idempotency = key.into_inner().map(|key| gateway.ledger.idempotency(&key, body.hash()));
    let question = body.into_inner().read(&gateway.keyring, caller.merchant()?, idempotency)?;
    let view = answer_check(&caller, &gateway, &state, question, &languages.0).await?;
    let view = with_openings(&caller, &gateway, view).await;
    Ok(in_languages(&view.guest_languages()).json(view))
}

/// A 200 that addresses guests in these languages, which were chosen by the request's `Accept-Language`.
pub(crate) fn in_languages(languages: &[&str]) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::VARY, "Accept-Language"));
    if !languages.is_empty() {
        response.insert_header((header::CONTENT_LANGUAGE, languages.join(", ")));
    }
    response
}

/// Answers one question, alone or of a batch.
pub(super) async fn answer_check(
    caller: &Principal,
    gateway: &Gateway,
    state: &State,
    question: Question,
    languages: &Languages,
) -> Result<CheckShown, Problem> {
    let merchant = caller.merchant()?;
    let dry_run = question.dry_run;
    if dry_run && !caller.role.may(Permission::ReadScores) {
        let person = gateway.keyring.subject_ref(&merchant.id, &question.subject);
        state.dry_runs.take(&caller.key, person, gateway.clock.now()).inspect_err(|_| count_dry_run("limited"))?;
    }
    let answer = gateway.checker.check(caller, merchant, question).await?;
    if dry_run {
        count_dry_run(answer.decided.decision.as_str());
    }
    let deciding = gateway.checker.rule_behind(merchant, &answer).await;
    let closure = gateway.checker.words_of_closure_behind(merchant, &answer).await;
    let shown = shown_to(caller, answer).for_guests(deciding.as_ref().map(|it| &*it.rule), languages);
    Ok(shown.with_closure(closure.as_ref(), languages).with_link(|check| gateway.links.address(check)))
}

/// Nothing is recorded of a dry run: this is all that tells an operator of them.
fn count_dry_run(outcome: &'static str) {
    meters().dry_runs.count([outcome]);
}

impl CheckBody {
    /// The question, which the caller waits for from now on.
    pub(super) fn read(
        self,
        keyring: &Keyring,
        merchant: &Merchant,
        idempotency: Option<Idempotency>,
    ) -> Result<Question, Problem> {
        let Self { perk, subject, boarding_pass, context, party, dry_run } = self;
        let boarding_pass = read_pass(boarding_pass)?;
        let subject = subject.read(keyring, merchant, boarding_pass.as_ref())?;
        let context = with_party(read_context(context)?, party.as_ref())?;
        let deadline = Instant::now() + PATIENCE;
        Ok(Question { perk, subject, context, boarding_pass, dry_run, idempotency, deadline })
    }
}

/// The context that a body brings; nothing is said by one that is left out.
pub(super) fn read_context(context: Option<LooseJson>) -> Result<Context, Problem> {
    let Some(context) = context else { return Ok(Context::default()) };
    Context::parse_loose(&context).map_err(|errors| Problem::of_fields("/context", errors))
}

/// Show a check
///
/// A kiosk sees the checks that its own key made, and what a person granted in their place; a desk sees all of them, and
/// the tokens of those only that a kiosk with its key would see.
#[utoipa::path(
    tag = "checks",
    params(
        ("check" = String, Path, description = "The check's id", example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"),
        ("Accept-Language" = Option<String>, Header, description = "The guest's languages, as when a person is checked")
    ),
    responses((status = 200, description = "What was decided", body = CheckView), ProblemsOfNames, ProblemsOfPruning, ProblemsOfKeys)
)]
#[get("/checks/{check}")]
pub(crate) async fn get_check(
    caller: Authorized<Check>,
    gateway: Data<Gateway>,
    check: Path<CheckId>,
    languages: GuestLanguages,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let mut answer = gateway.checker.find_check(merchant, &check).await?.ok_or_else(Problem::not_found)?;
    let sees_all = caller.role.may(Permission::ManagePerks);
    let mut is_own = sees_all || answer.key == caller.key;
    // What a person granted in the place of a kiosk's check is for that kiosk to hand over.
    if let (false, Some(asked)) = (is_own, &answer.resolves) {
        is_own = match gateway.checker.find_check(merchant, asked).await {
            Err(CheckError::Ledger(LedgerError::Pruned)) if sees(&caller, &answer) => false,
            asked => asked?.is_some_and(|asked| asked.key == caller.key),
        };
    }
    if !is_own && !sees(&caller, &answer) {
        return Err(Problem::not_found());
    }
    if !is_own {
        // A desk looks at what others asked; the door is opened by who did.
        answer.token = None;
    }
    let joins = answer.joins.clone();
    let (location, kiosk) = (answer.location.clone(), answer.kiosk.clone());
    let referral = match answer.decided.decision {
        Decision::Referred => {
            gateway.ledger.reader().referral_of(&merchant.id, joins.as_ref().unwrap_or(&check)).await?
        }
        Decision::Denied => gateway.ledger.reader().case_of(&merchant.id, &check).await?,
        Decision::Granted => None,
    };
    let deciding = gateway.checker.rule_behind(merchant, &answer).await;
    let closure = gateway.checker.words_of_closure_behind(merchant, &answer).await;
    let view = shown_to(&caller, answer).for_guests(deciding.as_ref().map(|it| &*it.rule), &languages.0);
    let view = view.with_closure(closure.as_ref(), &languages.0).with_place(location, kiosk);
    let view = with_openings(&caller, &gateway, view.with_link(|check| gateway.links.address(check))).await;
    let Some(referral) = referral else { return Ok(in_languages(&view.guest_languages()).json(view)) };
    if referral.contest.is_some() {
        let view = view.with_contest(Some(&referral));
        return Ok(in_languages(&view.guest_languages()).json(view));
    }
    let view = view.with_referral(Some(&referral));
    // The check that was granted is another kiosk's, perhaps: the caller who asked this one hands it over all the same.
    let granted = joins.and(referral.decided).and_then(|decided| decided.granted);
    let Some((granted, _)) = granted else { return Ok(in_languages(&view.guest_languages()).json(view)) };
    let token = match gateway.checker.find_check(merchant, &granted).await {
        Ok(granted) => granted.and_then(|granted| granted.token),
        Err(CheckError::Ledger(LedgerError::Pruned)) => None,
        Err(error) => return Err(error.into()),
    };
    let referral = view.referral.map(|referral| referral.with_token(token.filter(|_| is_own)));
    let view = CheckShown { referral, ..view };
    Ok(in_languages(&view.guest_languages()).json(view))
}

/// Admins and desks see every check of their merchant, others those that they made.
pub(super) fn sees(caller: &Principal, answer: &Answer) -> bool {
    caller.role.may(Permission::SeeChecks) || answer.key == caller.key
}

/// A handle from a body.
pub fn read_subject(text: &str) -> Result<SubjectHandle, Problem> {
    // The text is not repeated: it may name a person, and problems end up in logs.
    text.parse().map_err(|error: SubjectError| {
        Problem::invalid(vec![FieldError::at("/subject", "bad_subject", error.to_string())])
    })
}
