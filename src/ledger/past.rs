//! A check as it was decided once, with everything that is needed to decide it again.

use super::checks::{open, read_limits};
use super::entry::{LimitTouched, ScoreSeen};
use super::event::StoredEvent;
use super::subjects::Subject;
use crate::database::DatabaseError;
use crate::eligibility::decide::Decision;
use crate::eligibility::reason::Reason;
use crate::ids::CheckId;
use crate::json::Json;
use crate::subject::Pseudonym;

/// One `check.decided` of the log.
#[derive(Debug, Clone)]
pub struct PastCheck {
    pub check: CheckId,
    pub at: jiff::Timestamp,
    /// The perk's id.
    pub perk: String,
    pub rule_version: i32,
    pub rule_hash: String,
    /// Which reading of rules decided it.
    pub engine: i64,
    pub decision: Decision,
    pub tier: Option<String>,
    /// What the rule granted and the limits refused.
    pub refused_tier: Option<String>,
    pub party: u64,
    pub subject: Pseudonym,
    pub location: Option<String>,
    pub kiosk: Option<String>,
    pub limits: Vec<LimitTouched>,
    pub next_eligible_at: Option<jiff::Timestamp>,
    /// The codes of its reasons, each once.
    pub codes: Vec<String>,
    /// None once the person was erased, and where nobody asked for it.
    pub personal: Option<PastPersonal>,
}

/// What is sealed under the person's key.
#[derive(Debug, Clone)]
pub struct PastPersonal {
    pub reasons: Vec<Reason>,
    pub score: Option<ScoreSeen>,
    pub network: Option<String>,
    /// What the rule looked at of the caller's context; an object.
    pub context: Json,
}

/// The pseudonym that the event goes by.
pub(super) fn pseudonym(event: &StoredEvent) -> Option<&str> {
    event.facts.member("subject").and_then(Json::as_text)
}

/// The check as its event tells it; `subject` opens what is personal.
pub(super) fn read(event: &StoredEvent, subject: Option<&Subject>) -> Result<PastCheck, DatabaseError> {
    let wrong = |what: &'static str| move || DatabaseError::corrupt("check event", what);
    let facts = &event.facts;
    let maybe = |name: &str| facts.member(name).and_then(Json::as_text);
    let text = |name: &'static str| maybe(name).ok_or_else(wrong(name));
    let whole = |name: &'static str| facts.member(name).and_then(Json::as_whole).ok_or_else(wrong(name));
    let mut codes: Vec<String> = Vec::new();
    for reason in facts.member("reasons").and_then(Json::as_list).unwrap_or_default() {
        let code = reason.member("code").and_then(Json::as_text).ok_or_else(wrong("reasons"))?;
        if !codes.iter().any(|known| known == code) {
            codes.push(code.to_owned());
        }
    }
    let personal = open(event, subject)?.map(|personal| {
        let score = personal.score_seen();
        PastPersonal { reasons: personal.reasons, score, network: personal.network, context: personal.context }
    });
    Ok(PastCheck {
        check: event.about.parse().map_err(|e| DatabaseError::corrupt("check id", e))?,
        at: event.at.parse().map_err(|e| DatabaseError::corrupt("event time", e))?,
        perk: text("perk_id")?.to_owned(),
        rule_version: whole("rule_version")?.try_into().map_err(|e| DatabaseError::corrupt("rule version", e))?,
        rule_hash: text("rule_hash")?.to_owned(),
        engine: whole("engine")?,
        decision: Decision::parse(text("decision")?).ok_or_else(wrong("decision"))?,
        tier: maybe("tier").map(str::to_owned),
        refused_tier: maybe("refused_tier").map(str::to_owned),
        party: whole("party")?.try_into().map_err(|e| DatabaseError::corrupt("party", e))?,
        subject: Pseudonym::stored(text("subject")?),
        location: maybe("location").map(str::to_owned),
        kiosk: maybe("kiosk").map(str::to_owned),
        limits: read_limits(facts)?,
        next_eligible_at: maybe("next_eligible_at").and_then(|at| at.parse().ok()),
        codes,
        personal,
    })
}
