//! A check as an event: what of it names nobody, what is sealed, and how it is read back.

use std::sync::Arc;

use aws_lc_rs::digest;
use jiff::Timestamp;
use secrecy::zeroize::Zeroizing;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::append::Leaf;
use super::subjects::Subject;
use crate::database::DatabaseError;
use crate::decision::decided::{Admission, Decided, ScoreSeen};
use crate::decision::reason::Reason;
use crate::foundation::clock::from_seconds;
use crate::foundation::ids::{CheckId, EventId, KeyId, PerkSlug};
use crate::foundation::json::Json;
use crate::foundation::subject::hex;
use crate::ledger::context::WriterContext;
use crate::ledger::entry::{Actor, CheckEntry, CheckRecord, Grant, LogOwner, Receipt};
use crate::ledger::events::check::{CheckDecided, GrantMade, PaymentMade, ScopeDigest};
use crate::ledger::events::{Event, Nullable, StoredEvent, Text, leaf_hash};
use crate::ledger::grants::party::guests_column;
use crate::ledger::payment::{Payment, reference_digest};
use crate::ledger::store::GrantRow;
use crate::rules::limit::ScopeDigests;
use crate::rules::tier::party::Party;

/// The kind of a check's event.
pub const KIND: &str = "check.decided";

/// A check's event as it is read back.
pub(crate) type StoredCheck = StoredEvent<CheckDecided<'static>>;

/// A check once the limits had spoken.
#[derive(Debug, Clone)]
pub struct Settled {
    pub decided: Decided,
    pub grant: Option<Grant>,
    pub digests: ScopeDigests,
    /// The check whose open referral it belongs to, if it is left to a person.
    pub joins: Option<CheckId>,
}

/// The personal part of a check: sealed under the subject's key.
#[derive(Serialize, Deserialize)]
pub(crate) struct Personal {
    pub reasons: Vec<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<ScoreSeen>,
    /// The handle's network: rules may look at it, so a replay needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    pub context: Json,
    /// The ages of the children, each lowered to what the rule tells apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<u8>,
    /// When waiting is enough, where the facts say so: a departure or an observation could be read from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_eligible_at: Option<Timestamp>,
    /// Why a desk overrode the refusal, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Joins what the rule decided with what the limits said, if they were asked, and when waiting is enough for one that
/// they refuse.
pub(crate) fn settle(
    check: &CheckEntry,
    subject: &Subject,
    digests: ScopeDigests,
    admission: Option<Admission>,
    next: Option<Timestamp>,
) -> Settled {
    let decided = check.decided.clone();
    let decided = match admission {
        Some(admission) => decided.limited(admission, next),
        None => decided,
    };
    let grant = check.grant.as_ref().filter(|_| decided.is_granted()).map(|terms| {
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
    Settled { decided, grant, digests, joins: None }
}

/// The event of a settled check.
pub(crate) fn leaf(
    context: &WriterContext,
    check: &CheckEntry,
    subject: &Subject,
    settled: &Settled,
) -> Result<Leaf, DatabaseError> {
    let personal = Personal {
        reasons: settled.decided.reasons.clone(),
        score: settled.decided.score.clone(),
        network: check.handle.network().map(str::to_owned),
        context: check.context.clone(),
        children: check.party.children().to_vec(),
        next_eligible_at: settled.decided.next_eligible_at.filter(|_| check.seals_hint),
        note: check.overrides.as_ref().and_then(|given| given.note.clone()),
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
        facts: &facts(check, subject, settled),
        sealed: Some(&sealed),
    }
    .to_body();
    Ok(Leaf {
        log: LogOwner::Merchant(check.merchant.clone()),
        id: check.event.clone(),
        kind: KIND,
        about: check.check.as_str().to_owned(),
        at: check.at,
        hash: leaf_hash(&body),
        body,
    })
}

/// The row of the grant that was made of a settled check, if one was.
pub(crate) fn grant_row(check: &CheckEntry, settled: &Settled) -> Option<GrantRow> {
    let grant = settled.grant.as_ref()?;
    let terms = check.grant.as_ref()?;
    Some(GrantRow {
        id: grant.id.as_str().to_owned(),
        merchant_id: check.merchant.as_str().to_owned(),
        perk_id: check.perk.as_str().to_owned(),
        check_id: check.check.as_str().to_owned(),
        kid: grant.kid.clone(),
        claims: grant.claims.clone(),
        audience: terms.claims.aud.clone(),
        single_use: grant.single_use,
        granted_at: check.at.as_microsecond(),
        expires_at: grant.expires_at.as_microsecond(),
        released_at: None,
        voided_at: None,
        guests: settled.decided.guests.map(guests_column),
        corrected: None,
        frees_at: None,
    })
}

/// The part of a check that names nobody.
fn facts<'a>(check: &'a CheckEntry, subject: &'a Subject, settled: &'a Settled) -> CheckDecided<'a> {
    let decided = &settled.decided;
    CheckDecided {
        decision: decided.decision,
        digests: (!settled.digests.is_empty()).then(|| settled.digests.iter().map(scope_digest).collect()),
        engine: i64::from(check.engine),
        grant: settled.grant.as_ref().map(|grant| grant_made(grant, check)).into(),
        guests: decided.guests.map(Into::into),
        joins: settled.joins.clone(),
        kiosk: Nullable::text(check.kiosk.as_deref()),
        limits: decided.limits.iter().map(Into::into).collect(),
        location: Nullable::text(check.location.as_deref()),
        max_wait: decided.max_wait,
        next_eligible_at: decided.next_eligible_at.filter(|_| !check.seals_hint).into(),
        override_reason: check.overrides.as_ref().map(|given| given.reason.as_str().into()),
        paid: check.overrides.as_ref().and_then(|given| given.payment.as_ref()).map(payment_made),
        party: Some(check.party.size()),
        perk: check.perk_slug.as_str().into(),
        perk_id: check.perk.as_str().into(),
        reasons: decided.reasons.iter().map(Into::into).collect(),
        refused_tier: Nullable::text(decided.refused_tier.as_deref()),
        resolves: check.resolves.clone(),
        rule_hash: check.rule_hash.as_ref().into(),
        rule_version: check.rule_version,
        subject: subject.pseudonym.as_str().into(),
        tier: Nullable::text(decided.tier.as_deref()),
    }
}

fn payment_made(payment: &Payment) -> PaymentMade<'_> {
    PaymentMade {
        amount: payment.price().amount.as_str().into(),
        currency: payment.price().currency.as_str().into(),
        reference_sha256: reference_digest(payment.reference()).into(),
    }
}

fn scope_digest<'a>((scope, month, digest): (&'a str, &'a str, &'a str)) -> ScopeDigest<'a> {
    ScopeDigest { digest: digest.into(), month: month.into(), scope: scope.into() }
}

fn grant_made<'a>(grant: &'a Grant, check: &CheckEntry) -> GrantMade<'a> {
    let is_online_only = check.grant.as_ref().is_some_and(|terms| terms.claims.online_only);
    GrantMade {
        claims_sha256: claims_digest(&grant.claims).into(),
        expires_at: grant.expires_at,
        id: grant.id.as_str().into(),
        kid: grant.kid.as_str().into(),
        online_only: is_online_only.then_some(true),
        single_use: grant.single_use,
    }
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
        decided: settled.decided,
        location: check.location.clone(),
        kiosk: check.kiosk.clone(),
        resolves: check.resolves.clone(),
        joins: settled.joins,
        grant: settled.grant,
        receipt,
    }
}

/// The record of a check as its event has it. `subject` opens what is personal; without it
/// (the person was erased) the codes of the reasons remain.
pub(crate) fn read(
    event: &StoredCheck,
    subject: Option<&Subject>,
    grant: Option<Grant>,
    receipt: Receipt,
) -> Result<CheckRecord, DatabaseError> {
    let facts = &event.facts;
    let key = event.actor.key.0.as_deref().ok_or_else(|| DatabaseError::corrupt("check event", "actor"))?;
    let text = |text: &Nullable<Text<'_>>| text.0.as_deref().map(str::to_owned);
    Ok(CheckRecord {
        check: event.about.parse::<CheckId>().map_err(|e| DatabaseError::corrupt("check id", e))?,
        at: event.at,
        key: key.parse::<KeyId>().map_err(|e| DatabaseError::corrupt("actor of a check", e))?,
        perk: facts.perk.parse::<PerkSlug>().map_err(|e| DatabaseError::corrupt("perk", e))?,
        rule_version: facts.rule_version,
        rule_hash: Arc::from(facts.rule_hash.as_ref()),
        decided: decided_of(facts, open(event, subject)?.as_ref()),
        location: text(&facts.location),
        kiosk: text(&facts.kiosk),
        resolves: facts.resolves.clone(),
        joins: facts.joins.clone(),
        grant,
        receipt,
    })
}

/// The decision in a check's facts; without the personal part the codes of its reasons remain.
pub(crate) fn decided_of(facts: &CheckDecided<'_>, personal: Option<&Personal>) -> Decided {
    let text = |text: &Nullable<Text<'_>>| text.0.as_deref().map(str::to_owned);
    Decided {
        decision: facts.decision,
        tier: text(&facts.tier),
        refused_tier: text(&facts.refused_tier),
        reasons: personal.map_or_else(|| facts.bare_reasons(), |personal| personal.reasons.clone()),
        limits: facts.limits_touched(),
        score: personal.and_then(|personal| personal.score.clone()),
        next_eligible_at: facts.next_eligible_at.0.or_else(|| personal?.next_eligible_at),
        max_wait: facts.max_wait,
        guests: facts.guests.map(Into::into),
    }
}

/// The visit as the rule looked at it: the part of the caller's context, and the party.
pub(crate) fn visit(event: &StoredCheck, subject: &Subject) -> Result<(Json, Party), DatabaseError> {
    let opened = unsealed::<Personal, _>(event, subject)?.map(|personal| (personal.context, personal.children));
    let (context, children) = opened.unwrap_or_else(|| (Json::object([]), Vec::new()));
    Ok((context, party_of(&event.facts, children)?))
}

/// The party of a check, with the children's ages as they were recorded.
pub(crate) fn party_of(facts: &CheckDecided<'_>, children: Vec<u8>) -> Result<Party, DatabaseError> {
    let party = Party::recorded(facts.party.unwrap_or(1), children);
    party.ok_or_else(|| DatabaseError::corrupt("check event", "party"))
}

/// The personal part of an event, if it has one.
pub(crate) fn unsealed<T: DeserializeOwned, F>(
    event: &StoredEvent<F>,
    subject: &Subject,
) -> Result<Option<T>, DatabaseError> {
    let Some(sealed) = &event.sealed else { return Ok(None) };
    let id = event.id.parse().map_err(|e| DatabaseError::corrupt("event id", e))?;
    let plain = subject.secret.open(&id, sealed).map_err(|e| DatabaseError::corrupt("sealed event", e))?;
    serde_json::from_slice(&plain).map(Some).map_err(|e| DatabaseError::corrupt("sealed event", e))
}

/// The bytes of what is sealed in an event of any kind.
pub(crate) fn unseal(event: &EventId, sealed: &[u8], subject: &Subject) -> Result<Zeroizing<Vec<u8>>, DatabaseError> {
    subject.secret.open(event, sealed).map_err(|e| DatabaseError::corrupt("sealed event", e))
}

/// The personal part of a check, if its person is known.
pub(crate) fn open(event: &StoredCheck, subject: Option<&Subject>) -> Result<Option<Personal>, DatabaseError> {
    subject.map_or(Ok(None), |subject| unsealed(event, subject))
}
