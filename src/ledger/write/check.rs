//! A check as an event: what of it names nobody, what is sealed, and how it is read back.

use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::admission::Admission;
use super::append::Leaf;
use super::subjects::Subject;
use crate::database::DatabaseError;
use crate::decision::decide::{Decision, ENGINE_VERSION};
use crate::decision::reason::Reason;
use crate::foundation::clock::from_seconds;
use crate::foundation::decimal::Decimal;
use crate::foundation::document::{Issues, Spot};
use crate::foundation::ids::{CheckId, EventId, KeyId, PerkSlug, SourceName};
use crate::foundation::json::Json;
use crate::foundation::period::{LONGEST, Period};
use crate::foundation::subject::hex;
use crate::ledger::context::WriterContext;
use crate::ledger::entry::{
    Actor, CheckEntry, CheckRecord, Grant, LimitTouched, LogOwner, Receipt, ScoreSeen, UseTouched,
};
use crate::ledger::events::{Event, StoredEvent};

/// The kind of a check's event.
pub const KIND: &str = "check.decided";

/// The decision about a check once the limits had spoken.
#[derive(Debug, Clone)]
pub struct Settled {
    pub decision: Decision,
    pub tier: Option<String>,
    /// The tier that the rule granted and the limits refused.
    pub refused_tier: Option<String>,
    pub reasons: Vec<Reason>,
    pub limits: Vec<LimitTouched>,
    pub next_eligible_at: Option<jiff::Timestamp>,
    pub max_wait: Option<Period>,
    pub grant: Option<Grant>,
    /// The check whose open referral it belongs to, if it is left to a person.
    pub joins: Option<CheckId>,
}

/// The personal part of a check: sealed under the subject's key.
#[derive(Serialize, Deserialize)]
pub(crate) struct Personal {
    pub reasons: Vec<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<PersonalScore>,
    /// The handle's network: rules may look at it, so a replay needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    pub context: Json,
}

impl Personal {
    /// The score as entries hold it.
    pub(crate) fn score_seen(&self) -> Option<ScoreSeen> {
        self.score.as_ref().map(|s| ScoreSeen {
            source: s.source.clone(),
            value: s.value,
            observed_at: s.observed_at,
            fresh: s.fresh,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct PersonalScore {
    source: SourceName,
    value: Decimal,
    observed_at: jiff::Timestamp,
    fresh: bool,
}

/// Joins the verdict with what the limits said.
pub(crate) fn settle(check: &CheckEntry, subject: &Subject, admission: Admission) -> Settled {
    let verdict = &check.verdict;
    let limits = admission.limits;
    if !admission.admitted {
        return Settled {
            decision: Decision::Denied,
            tier: None,
            refused_tier: verdict.tier.clone(),
            reasons: admission.refusals,
            limits,
            next_eligible_at: admission.next_eligible_at,
            max_wait: None,
            grant: None,
            joins: None,
        };
    }
    let grant = check.grant.as_ref().map(|terms| {
        let mut claims = terms.claims.clone();
        claims.sub = subject.pseudonym.clone();
        Grant {
            id: terms.id.clone(),
            kid: terms.kid.clone(),
            expires_at: from_seconds(claims.exp),
            claims: claims.to_json(),
            single_use: terms.single_use,
            end: None,
        }
    });
    Settled {
        decision: verdict.decision,
        tier: verdict.tier.clone(),
        refused_tier: None,
        reasons: verdict.reasons.clone(),
        limits,
        next_eligible_at: verdict.next_eligible_at,
        max_wait: verdict.max_wait,
        grant,
        joins: None,
    }
}

/// The event of a settled check.
pub(crate) fn leaf(
    context: &WriterContext,
    check: &CheckEntry,
    subject: &Subject,
    settled: &Settled,
) -> Result<Leaf, DatabaseError> {
    let personal = Personal {
        reasons: settled.reasons.clone(),
        score: check.score.as_ref().map(|s| PersonalScore {
            source: s.source.clone(),
            value: s.value,
            observed_at: s.observed_at,
            fresh: s.fresh,
        }),
        network: check.handle.network().map(str::to_owned),
        context: check.context.clone(),
    };
    let plain = serde_json::to_vec(&personal).map_err(|e| DatabaseError::corrupt("check", e))?;
    let sealed = subject.secret.seal(&check.event, &plain, &context.entropy);
    let body = Event {
        id: &check.event,
        kind: KIND,
        at: check.at,
        merchant: Some(&check.merchant),
        actor: &Actor { key: Some(check.key.clone()), role: check.role },
        about: check.check.as_str(),
        facts: facts(check, subject, settled),
        sealed: Some(&sealed),
    }
    .to_body();
    Ok(Leaf {
        log: LogOwner::Merchant(check.merchant.clone()),
        id: check.event.clone(),
        kind: KIND,
        about: check.check.as_str().to_owned(),
        at: check.at,
        body,
    })
}

fn facts(check: &CheckEntry, subject: &Subject, settled: &Settled) -> Json {
    let reasons = settled.reasons.iter().map(|reason| {
        let mut members = vec![("code", Json::text(reason.code.as_str()))];
        for (name, value) in [("tier", &reason.tier), ("limit", &reason.limit), ("attribute", &reason.attribute)] {
            if let Some(value) = value {
                members.push((name, Json::text(value)));
            }
        }
        members.extend(reason.at_most.map(|most| ("at_most", count(most))));
        Json::object(members)
    });
    let limits = settled.limits.iter().map(|limit| {
        let counted = limit.counted.iter().flat_map(|counted| {
            [("horizon", Json::text(counted.horizon.to_string())), ("counts_at", instant(counted.counts_at))]
        });
        let members = [
            ("id", Json::text(&limit.id)),
            ("scope", Json::text(&limit.scope)),
            ("window", Json::text(&limit.window)),
            ("cost", count(limit.cost)),
            ("max", count(limit.max)),
            ("used", count(limit.used)),
            ("resets_at", instant(limit.resets_at)),
        ];
        Json::object(members.into_iter().chain(counted))
    });
    let grant = settled.grant.as_ref().map_or(Json::Null, |grant| {
        Json::object([
            ("id", Json::text(grant.id.as_str())),
            ("kid", Json::text(&grant.kid)),
            ("expires_at", Json::text(grant.expires_at.to_string())),
            ("single_use", Json::Bool(grant.single_use)),
            ("claims_sha256", Json::text(claims_digest(&grant.claims))),
        ])
    });
    let mut members = vec![
        ("perk", Json::text(check.perk_slug.as_str())),
        ("perk_id", Json::text(check.perk.as_str())),
        ("rule_version", Json::whole(i64::from(check.rule_version))),
        ("rule_hash", Json::text(check.rule_hash.as_ref())),
        ("engine", Json::whole(i64::from(ENGINE_VERSION))),
        ("decision", Json::text(settled.decision.as_str())),
        ("tier", Json::optional(settled.tier.as_deref())),
        // What the rule would have given if the limits had had room.
        ("refused_tier", Json::optional(settled.refused_tier.as_deref())),
        ("party", count(check.party)),
        ("reasons", Json::List(reasons.collect())),
        ("next_eligible_at", instant(settled.next_eligible_at)),
        ("subject", Json::text(subject.pseudonym.as_str())),
        ("location", Json::optional(check.location.as_deref())),
        ("kiosk", Json::optional(check.kiosk.as_deref())),
        ("limits", Json::List(limits.collect())),
        ("grant", grant),
    ];
    members.extend(check.resolves.as_ref().map(|check| ("resolves", Json::text(check.as_str()))));
    members.extend(settled.joins.as_ref().map(|check| ("joins", Json::text(check.as_str()))));
    members.extend(settled.max_wait.map(|wait| ("max_wait", Json::text(wait.to_string()))));
    Json::object(members)
}

/// The text by which an event holds a grant to its claims: `sha256:` and the digest of the signed bytes.
pub fn claims_digest(claims: &str) -> String {
    format!("sha256:{}", hex(digest::digest(&digest::SHA256, claims.as_bytes()).as_ref()))
}

/// The record of a check that was settled just now.
pub(crate) fn record(check: &CheckEntry, settled: Settled, receipt: Receipt) -> CheckRecord {
    CheckRecord {
        check: check.check.clone(),
        at: check.at,
        key: check.key.clone(),
        perk: check.perk_slug.clone(),
        rule_version: check.rule_version,
        rule_hash: check.rule_hash.clone(),
        decision: settled.decision,
        tier: settled.tier,
        reasons: settled.reasons,
        score: check.score.clone(),
        limits: settled.limits,
        next_eligible_at: settled.next_eligible_at,
        max_wait: settled.max_wait,
        resolves: check.resolves.clone(),
        joins: settled.joins,
        grant: settled.grant,
        receipt,
    }
}

/// The record of a check as its event has it. `subject` opens what is personal; without it
/// (the person was erased) the codes of the reasons remain.
pub(crate) fn read(
    event: &StoredEvent,
    subject: Option<&Subject>,
    grant: Option<Grant>,
    receipt: Receipt,
) -> Result<CheckRecord, DatabaseError> {
    let wrong = |what: &'static str| move || DatabaseError::corrupt("check event", what);
    let facts = &event.facts;
    let text = |name: &'static str| facts.member(name).and_then(Json::as_text).ok_or_else(wrong(name));
    let limits = read_limits(facts)?;
    let (reasons, score) = match open(event, subject)? {
        Some(personal) => {
            let score = personal.score_seen();
            (personal.reasons, score)
        }
        None => (bare_reasons(facts), None),
    };
    let version = facts.member("rule_version").and_then(Json::as_whole).and_then(|n| i32::try_from(n).ok());
    Ok(CheckRecord {
        check: event.about.parse::<CheckId>().map_err(|e| DatabaseError::corrupt("check id", e))?,
        at: event.at.parse().map_err(|e| DatabaseError::corrupt("event time", e))?,
        key: event.actor_key.as_deref().and_then(|key| key.parse::<KeyId>().ok()).ok_or_else(wrong("actor"))?,
        perk: text("perk")?.parse::<PerkSlug>().map_err(|e| DatabaseError::corrupt("perk", e))?,
        rule_version: version.ok_or_else(wrong("rule_version"))?,
        rule_hash: Arc::from(text("rule_hash")?),
        decision: Decision::parse(text("decision")?).ok_or_else(wrong("decision"))?,
        tier: facts.member("tier").and_then(Json::as_text).map(str::to_owned),
        reasons,
        score,
        limits,
        next_eligible_at: parse_time(facts.member("next_eligible_at")),
        max_wait: read_wait(facts),
        resolves: facts.member("resolves").and_then(Json::as_text).and_then(|check| check.parse().ok()),
        joins: facts.member("joins").and_then(Json::as_text).and_then(|check| check.parse().ok()),
        grant,
        receipt,
    })
}

/// The part of the caller's context that the rule looked at.
pub(crate) fn context(event: &StoredEvent, subject: &Subject) -> Result<Json, DatabaseError> {
    Ok(unsealed::<Personal>(event, subject)?.map_or_else(|| Json::object([]), |personal| personal.context))
}

/// The personal part of an event, if it has one.
pub(crate) fn unsealed<T: DeserializeOwned>(
    event: &StoredEvent,
    subject: &Subject,
) -> Result<Option<T>, DatabaseError> {
    let Some(sealed) = &event.sealed else { return Ok(None) };
    let id = event.id.parse().map_err(|e| DatabaseError::corrupt("event id", e))?;
    let plain = subject.secret.open(&id, sealed).map_err(|e| DatabaseError::corrupt("sealed event", e))?;
    serde_json::from_slice(&plain).map(Some).map_err(|e| DatabaseError::corrupt("sealed event", e))
}

/// The personal part of an event of any kind, from the text that is sealed in it.
pub(crate) fn unseal(event: &EventId, sealed: &Json, subject: &Subject) -> Result<Json, DatabaseError> {
    let corrupt = |what: String| DatabaseError::corrupt("sealed event", what);
    let sealed = sealed.as_text().and_then(|text| STANDARD.decode(text).ok()).ok_or_else(|| corrupt("form".into()))?;
    let plain = subject.secret.open(event, &sealed).map_err(|e| corrupt(e.to_string()))?;
    let text = std::str::from_utf8(&plain).map_err(|e| corrupt(e.to_string()))?;
    Json::parse(text).map_err(|e| corrupt(e.to_string()))
}

/// The personal part of a check, if its person is known.
pub(crate) fn open(event: &StoredEvent, subject: Option<&Subject>) -> Result<Option<Personal>, DatabaseError> {
    subject.map_or(Ok(None), |subject| unsealed(event, subject))
}

/// Reads the limits in a check's facts.
pub(crate) fn read_limits(facts: &Json) -> Result<Vec<LimitTouched>, DatabaseError> {
    let wrong = |what: &'static str| move || DatabaseError::corrupt("check event", what);
    let mut limits = Vec::new();
    for limit in facts.member("limits").and_then(Json::as_list).ok_or_else(wrong("limits"))? {
        let text = |name| limit.member(name).and_then(Json::as_text).map(str::to_owned).ok_or_else(wrong(name));
        let count = |name| {
            limit.member(name).and_then(Json::as_whole).and_then(|n| u64::try_from(n).ok()).ok_or_else(wrong(name))
        };
        limits.push(LimitTouched {
            id: text("id")?,
            scope: text("scope")?,
            window: text("window")?,
            cost: count("cost")?,
            max: count("max")?,
            used: count("used")?,
            resets_at: parse_time(limit.member("resets_at")),
            counted: parse_time(limit.member("horizon"))
                .map(|horizon| UseTouched { horizon, counts_at: parse_time(limit.member("counts_at")) }),
        });
    }
    Ok(limits)
}

/// Reads the wait that was promised in a check's facts.
pub(crate) fn read_wait(facts: &Json) -> Option<Period> {
    facts.member("max_wait").and_then(|wait| Period::read(&Spot::root(wait), LONGEST, &mut Issues::default()))
}

fn parse_time(value: Option<&Json>) -> Option<jiff::Timestamp> {
    value.and_then(Json::as_text).and_then(|text| text.parse().ok())
}

fn bare_reasons(facts: &Json) -> Vec<Reason> {
    let list = facts.member("reasons").and_then(Json::as_list).unwrap_or_default();
    list.iter().filter_map(|reason| serde_json::from_str(&reason.canonical()).ok()).collect()
}

fn count(number: u64) -> Json {
    Json::whole(i64::try_from(number).unwrap_or(i64::MAX))
}

fn instant(at: Option<jiff::Timestamp>) -> Json {
    at.map_or(Json::Null, |at| Json::text(at.to_string()))
}
