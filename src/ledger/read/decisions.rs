//! The past as it is replayed: checks with everything that is needed to decide them again, and what
//! became of their grants.

use crate::database::DatabaseError;
use crate::decision::decide::Decision;
use crate::decision::reason::Reason;
use crate::foundation::ids::CheckId;
use crate::foundation::json::Json;
use crate::foundation::period::Period;
use crate::foundation::subject::{Pseudonym, SubjectRef};
use crate::ledger::entry::{LimitTouched, ScoreSeen};
use crate::ledger::events::StoredEvent;
use crate::ledger::write::check::{open, read_limits, read_wait};
use crate::ledger::write::subjects::Subject;

/// Something that a replay has to know of, in the log's order.
#[derive(Debug, Clone)]
pub enum PastEvent {
    Check(Box<PastCheck>),
    Redeemed(PastRedemption),
    Ended(PastEnd),
}

/// A door took a grant's token.
#[derive(Debug, Clone)]
pub struct PastRedemption {
    pub grant: String,
    pub at: jiff::Timestamp,
    /// The places that it goes on holding.
    pub holds: Vec<PastHold>,
}

/// A place, and when it is free at the latest.
#[derive(Debug, Clone)]
pub struct PastHold {
    pub limit: String,
    pub scope: String,
    pub until: jiff::Timestamp,
}

/// A grant was released or voided.
#[derive(Debug, Clone)]
pub struct PastEnd {
    pub grant: String,
    pub at: jiff::Timestamp,
    /// The perk's id.
    pub perk: String,
    pub is_void: bool,
    /// True if a void left what was used as it was.
    pub keeps_uses: bool,
    /// The uses of limits that it gave back.
    pub returned: Vec<PastReturn>,
}

/// The uses of one limit that came back.
#[derive(Debug, Clone)]
pub struct PastReturn {
    pub limit: String,
    pub scope: String,
    pub window: String,
    pub cost: u64,
}

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
    /// The tier that the rule granted and the limits refused.
    pub refused_tier: Option<String>,
    pub party: u64,
    pub subject: Pseudonym,
    pub location: Option<String>,
    pub kiosk: Option<String>,
    pub limits: Vec<LimitTouched>,
    pub next_eligible_at: Option<jiff::Timestamp>,
    pub max_wait: Option<Period>,
    /// A person granted it, in the place of a check that was referred.
    pub is_by_person: bool,
    /// The grant's id.
    pub grant: Option<String>,
    /// The codes of its reasons, each once.
    pub codes: Vec<String>,
    /// None once the person was erased, and where nobody asked for it.
    pub personal: Option<PastPersonal>,
}

/// The part that is sealed under the person's key.
#[derive(Debug, Clone)]
pub struct PastPersonal {
    pub subject: SubjectRef,
    pub reasons: Vec<Reason>,
    pub score: Option<ScoreSeen>,
    pub network: Option<String>,
    /// The part of the caller's context that the rule looked at; an object.
    pub context: Json,
}

/// The pseudonym that the event goes by.
pub(crate) fn pseudonym(event: &StoredEvent) -> Option<&str> {
    event.facts.member("subject").and_then(Json::as_text)
}

/// The check as its event records it; `subject` opens what is personal.
pub(crate) fn read(event: &StoredEvent, subject: Option<&(SubjectRef, Subject)>) -> Result<PastCheck, DatabaseError> {
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
    let opened = open(event, subject.map(|(_, subject)| subject))?.zip(subject);
    let personal = opened.map(|(personal, (subject, _))| PastPersonal {
        subject: *subject,
        score: personal.score_seen(),
        reasons: personal.reasons,
        network: personal.network,
        context: personal.context,
    });
    let grant = facts.member("grant").and_then(|grant| grant.member("id")).and_then(Json::as_text);
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
        max_wait: read_wait(facts),
        is_by_person: maybe("resolves").is_some(),
        grant: grant.map(str::to_owned),
        codes,
        personal,
    })
}

/// The redemption as its event records it.
pub(crate) fn redemption(event: &StoredEvent) -> Result<PastRedemption, DatabaseError> {
    let holds = event.facts.member("holds").and_then(Json::as_list).unwrap_or_default();
    Ok(PastRedemption {
        grant: event.about.clone(),
        at: event.at.parse().map_err(|e| DatabaseError::corrupt("event time", e))?,
        holds: holds
            .iter()
            .map(|hold| {
                let until = text(hold, "until")?.parse().map_err(|e| DatabaseError::corrupt("hold", e))?;
                Ok(PastHold { limit: text(hold, "id")?, scope: text(hold, "scope")?, until })
            })
            .collect::<Result<_, DatabaseError>>()?,
    })
}

/// The end of a grant as its event records it.
pub(crate) fn end(event: &StoredEvent, is_void: bool) -> Result<PastEnd, DatabaseError> {
    let returned = event.facts.member("returned").and_then(Json::as_list).unwrap_or_default();
    Ok(PastEnd {
        grant: event.about.clone(),
        at: event.at.parse().map_err(|e| DatabaseError::corrupt("event time", e))?,
        perk: text(&event.facts, "perk_id")?,
        is_void,
        keeps_uses: event.facts.member("keeps_uses") == Some(&Json::Bool(true)),
        returned: returned
            .iter()
            .map(|part| {
                let cost = part.member("cost").and_then(Json::as_whole).and_then(|cost| u64::try_from(cost).ok());
                Ok(PastReturn {
                    limit: text(part, "id")?,
                    scope: text(part, "scope")?,
                    window: text(part, "window")?,
                    cost: cost.ok_or_else(|| DatabaseError::corrupt("end of a grant", "cost"))?,
                })
            })
            .collect::<Result<_, DatabaseError>>()?,
    })
}

fn text(facts: &Json, name: &'static str) -> Result<String, DatabaseError> {
    let text = facts.member(name).and_then(Json::as_text).map(str::to_owned);
    text.ok_or_else(|| DatabaseError::corrupt("event", name))
}
