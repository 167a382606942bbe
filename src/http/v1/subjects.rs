//! `/v1/subjects`: what is held on one person, and erasing it. The handle stands in the body only.

use std::collections::BTreeMap;

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::audit::FactsView;
use super::audit::search::{in_body, read_limit};
use super::checks::visitor::{PassBody, VisitorBody, VisitorView, read_pass};
use super::enrolment::ConsentsView;
use super::perks::trace::ShownView;
use crate::access::role::permit::AnswerSubjects;
use crate::eligibility::disclosure::{DisclosedRecord, ErasureOutcome};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::SourceName;
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{ProblemsOfBody, ProblemsOfKeys, ProblemsOfRules};
use crate::ledger::retention::erasure::Erasure;
use crate::web::auth::Authorized;
use crate::web::extract::Body;
use crate::web::problem::Problem;

/// The person to be erased.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ErasureBody {
    #[schema(value_type = VisitorView, example = "twitter:ada")]
    subject: VisitorBody,
    /// The pass that names them, where `subject` says so.
    #[schema(value_type = Option<String>)]
    boarding_pass: Option<PassBody>,
}

/// The result of an erasure. It doesn't repeat who it was.
#[derive(ToSchema)]
#[schema(example = json!({
    "erased": true, "pseudonym": "sub_0c3f5a7e9b1d2f4a6c8e0b2d4f6a8c0e", "scores": 1, "attributes": 1, "referrals_closed": 0,
    "limits_restarted": [{"perk": "sfo-lounge", "limit": "person-day", "window": "day:2026-11-25@-08", "used": 1,
                           "last_used_at": "2026-11-25T18:00:00Z"}],
    "purged": true
}))]
#[expect(dead_code, reason = "describes what `eligibility::disclosure` writes")]
pub struct ErasureView {
    /// False when nothing was held: the person was never known here, or is erased already.
    erased: bool,
    /// The name that events went on using for the person, and that is nobody's now; null when no event was
    /// about them.
    pseudonym: Option<String>,
    /// The same of events about an earlier spelling of the handle, where someone was known under both.
    #[serde(skip_serializing_if = "Option::is_none")]
    former_pseudonym: Option<String>,
    /// The number of scores that were deleted.
    scores: u64,
    /// The number of attributes that were deleted; absent where there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<u64>,
    /// The number of linked accounts that were deleted; absent where there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<u64>,
    /// The number of signals that are deleted, as counted just before, very many as 100,000; absent where there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    signals: Option<u64>,
    /// The number of open referrals that were closed, as denied.
    referrals_closed: u64,
    /// The past use of limits whose windows may still be open. Someone who comes back is
    /// someone new: for them these limits begin again.
    limits_restarted: Vec<LimitHeldView>,
    /// True if the signals, and old copies in the database's own files, are deleted too. If not, something still reads them,
    /// and it is tried again. Backups and archives are yours to let expire.
    purged: bool,
}

/// The use of a limit by a person.
#[derive(ToSchema)]
#[schema(as = LimitHeld)]
#[expect(dead_code, reason = "describes what `eligibility::disclosure` writes")]
pub struct LimitHeldView {
    /// Null for a limit that all perks share.
    #[schema(example = "sfo-lounge")]
    perk: Option<String>,
    #[schema(example = "person-day")]
    limit: String,
    #[schema(example = "day:2026-11-25@-08")]
    window: String,
    used: u64,
    #[schema(value_type = String, format = DateTime)]
    last_used_at: Timestamp,
}

/// Whose record.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordBody {
    #[schema(value_type = VisitorView, example = "twitter:ada")]
    subject: VisitorBody,
    /// The pass that names them, where `subject` says so.
    #[schema(value_type = Option<String>)]
    boarding_pass: Option<PassBody>,
    /// Events a page, 1–200; 50 unless given.
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The record of a person: what stands, with the first page; and what happened, oldest first.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `eligibility::disclosure` writes")]
pub struct RecordView {
    /// As it was normalised.
    #[schema(example = "twitter:ada")]
    subject: String,
    /// The name of the person in events and tokens; null when no event is about them.
    pseudonym: Option<String>,
    /// The name in events that were about an earlier spelling of the handle, where there are both.
    #[serde(skip_serializing_if = "Option::is_none")]
    former_pseudonym: Option<String>,
    /// When the first check about them was made.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scores: Option<Vec<ScoreHeldView>>,
    /// The values that stood before, of 400 days. Absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    score_history: Option<Vec<StretchHeldView>>,
    /// The number by which clients of Klout's API know them. Absent where they have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "635263")]
    klout_id: Option<String>,
    /// Absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Vec<AttributeHeldView>>,
    /// Their accounts on networks, where they are enrolled.
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<Vec<AccountHeldView>>,
    /// Their consents beside being scored.
    #[serde(skip_serializing_if = "Option::is_none")]
    consents: Option<ConsentsView>,
    /// Absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    signals: Option<Vec<SignalsHeldView>>,
    /// Their use of limits whose windows may still be open.
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Vec<LimitHeldView>>,
    /// Before when the merchant pruned its log: events from then may be missing here, as nobody can tell
    /// any more whom they were about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pruned_before: Option<Timestamp>,
    events: Vec<PersonalEventView>,
    /// Null when all was looked at.
    next_cursor: Option<String>,
}

/// A score that stands.
#[derive(ToSchema)]
#[schema(as = ScoreHeld)]
#[expect(dead_code, reason = "describes what `eligibility::disclosure` writes")]
pub struct ScoreHeldView {
    #[schema(value_type = String, example = "klout")]
    source: SourceName,
    #[schema(value_type = f64, example = 47.25)]
    value: Decimal,
    /// When the source computed it.
    #[schema(value_type = String, format = DateTime)]
    observed_at: Timestamp,
    /// When it was written here.
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Timestamp,
}

/// A value that a score had before.
#[derive(ToSchema)]
#[schema(as = ScoreStretchHeld)]
#[expect(dead_code, reason = "describes what `eligibility::disclosure` writes")]
pub struct StretchHeldView {
    #[schema(value_type = String, example = "klout")]
    source: SourceName,
    #[schema(value_type = f64, example = 45.5)]
    value: Decimal,
    /// The first UTC day at whose end it stood.
    #[schema(value_type = String, format = Date, example = "2026-11-20")]
    first_day: Date,
    #[schema(value_type = String, format = Date, example = "2026-11-21")]
    last_day: Date,
}

/// An attribute that is kept.
#[derive(ToSchema)]
#[schema(as = AttributeHeld)]
#[expect(dead_code, reason = "describes what `eligibility::disclosure` writes")]
pub struct AttributeHeldView {
    #[schema(example = "status")]
    attribute: String,
    /// The value, of the type that was declared.
    value: ShownView,
    /// From when on it is not known any more; null where it has no end.
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_until: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Timestamp,
}

/// An account that is linked.
#[derive(ToSchema)]
#[schema(as = AccountHeld)]
#[expect(dead_code, reason = "describes what `eligibility::disclosure` writes")]
pub struct AccountHeldView {
    #[schema(example = "bluesky")]
    network: String,
    #[schema(example = "did:plc:ewvi7nxzyoun6zhxrhs64oiz")]
    account: String,
    #[schema(value_type = enumerations::AccountState)]
    state: String,
    #[schema(value_type = String, format = DateTime)]
    linked_at: Timestamp,
}

/// The signals of one name that are held. Who acted, and on what, is kept as keyed hashes only.
#[derive(ToSchema)]
#[schema(as = SignalsHeld)]
#[expect(dead_code, reason = "describes what `eligibility::disclosure` writes")]
pub struct SignalsHeldView {
    #[schema(example = "bluesky")]
    network: String,
    #[schema(example = "repost")]
    signal: String,
    number: u64,
    #[schema(value_type = String, format = Date)]
    first_day: String,
    #[schema(value_type = String, format = Date)]
    last_day: String,
}

/// The facts that an event keeps sealed under the person's key, by its kind.
#[derive(ToSchema)]
#[schema(as = PersonalFacts, example = json!({"score": 37, "context": {"terminal": "A"}}))]
#[expect(dead_code, reason = "describes what the ledger writes")]
pub struct PersonalFactsView(BTreeMap<String, serde_json::Value>);

/// Something that happened: a check, a redemption, what a person decided.
#[derive(ToSchema)]
#[schema(as = PersonalEvent)]
#[expect(dead_code, reason = "describes what `eligibility::disclosure` writes")]
pub struct PersonalEventView {
    #[schema(value_type = enumerations::EventKind)]
    kind: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    #[schema(example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    about: String,
    /// The facts that the log shows to everyone who may read it.
    #[schema(value_type = Option<FactsView>)]
    facts: Option<Json>,
    /// The facts that it keeps sealed under the person's key: the score, the context, the exact reasons, notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PersonalFactsView>)]
    personal: Option<Json>,
    /// The reasons for a check's outcome, in sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["The score is 3 points short of the 40 that Main lounge asks for."]))]
    explanation: Vec<String>,
    /// The changes that would have led to another outcome of a check that was not granted, reason by reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["3 more points for Main lounge."]))]
    would_have_changed: Vec<String>,
    /// Its place in the log.
    index: i64,
    #[schema(example = "evt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    event: String,
}

/// One page of the record.
#[derive(Debug, Serialize)]
struct RecordPage {
    #[serde(flatten)]
    record: DisclosedRecord,
    next_cursor: Option<String>,
}

/// Erase a person
///
/// Destroys the only row that names the person, with the secret that their events are sealed under, and
/// deletes their scores and attributes, with their linked accounts and signals; open referrals about them are closed as denied, open contests as `closed`. The log
/// goes on proving every event, and nobody can tell any more whose they were: also who reads a check
/// again gets the same decision and token, with the codes of its reasons only. A retry under the check's
/// `Idempotency-Key` is a new question. Of what they paid at a desk the reference is retained, which must name nobody. Tokens that are out go on
/// opening doors until they expire: void their grants first if they shouldn't. It can't be undone, and is
/// an event itself. Asked again, or about someone unknown, `erased` is false and nothing is recorded. A
/// feed that still has the person brings them back as someone new, whose limits begin again.
#[utoipa::path(
    tag = "subjects",
    request_body = ErasureBody,
    responses((status = 200, description = "Nothing names them any more", body = ErasureView), ProblemsOfBody, ProblemsOfKeys)
)]
#[post("/subjects/erase")]
pub(crate) async fn erase_subject(
    caller: Authorized<AnswerSubjects>,
    gateway: Data<Gateway>,
    body: Body<ErasureBody>,
) -> Result<HttpResponse, Problem> {
    let ErasureBody { subject, boarding_pass } = body.into_inner();
    let (merchant, pass) = (caller.merchant()?, read_pass(boarding_pass)?);
    let handle = subject.read(&gateway.keyring, merchant, pass.as_ref())?;
    let merchant = merchant.id.clone();
    let subject = gateway.keyring.subject_refs(&merchant, &handle);
    let erasure = Erasure { merchant, subject, by: caller.actor(), asked: None };
    let erased = gateway.scores.erase(&gateway.ledger, erasure).await?;
    Ok(HttpResponse::Ok().json(ErasureOutcome::from(erased)))
}

/// Tell a person what is held on them
///
/// Everything, for the person who asks (GDPR art. 15): scores, attributes, accounts and signals, what was used of limits, and every event
/// about them, opened, with the reasons of each decision in sentences and what would have changed it. That
/// it was read is an event with its first page, and names nobody. A page can have few events or none and
/// still not be the last: follow `next_cursor`. Events whose bodies were pruned tell of nobody any more.
#[utoipa::path(
    tag = "subjects",
    request_body = RecordBody,
    responses((status = 200, description = "One page", body = RecordView), ProblemsOfRules, ProblemsOfBody, ProblemsOfKeys)
)]
#[post("/subjects/record")]
pub(crate) async fn get_record(
    caller: Authorized<AnswerSubjects>,
    gateway: Data<Gateway>,
    body: Body<RecordBody>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let RecordBody { subject, boarding_pass, limit, cursor } = body.into_inner();
    let pass = read_pass(boarding_pass)?;
    let handle = subject.read(&gateway.keyring, merchant, pass.as_ref())?;
    let most = usize::from(read_limit(limit)?.get());
    let record = gateway.subject_access.record(merchant, caller.actor(), &handle, cursor.as_deref(), most).await;
    let record = record.map_err(|error| in_body(error.into()))?;
    let (record, next_cursor) = DisclosedRecord::of(&handle, record);
    let page = RecordPage { record, next_cursor };
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store"))).json(page))
}
