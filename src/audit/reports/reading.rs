//! A page of the log, read for a report.

use std::collections::{BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;

use super::asked::{ReportKind, ReportPeriod};
use super::counting::{Fate, Person, contest_column};
use super::facts::{PartyFacts, Personal, ReportedEvent};
use super::store::{self, OutcomeRow};
use super::tally::{Moment, Tally, TooMany};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{EventId, MerchantId, PerkId};
use crate::foundation::subject::SubjectRef;
use crate::keyring::{Keyring, SubjectSecret};
use crate::ledger::cases::contest;
use crate::ledger::grants::{correction, ending};
use crate::ledger::store::history::{self as rows, PlacedRow};
use crate::ledger::write::{check, redemption};

/// Number of events that a page spans.
pub(super) const PAGE: i64 = 1_000;

/// The part of the log that is read.
#[derive(Clone)]
pub(super) struct Wanted {
    pub kind: ReportKind,
    pub merchant: MerchantId,
    pub perk: Option<PerkId>,
    pub period: ReportPeriod,
    /// The log's size when the report was begun: what comes later is not looked at.
    pub head: i64,
    /// Only what doors reported late.
    pub is_late: bool,
}

struct Placed<'a> {
    index: i64,
    at: Timestamp,
    kind: &'a str,
    body: ReportedEvent<'a>,
}

/// Counts the events from the index `from` on and before `before`, at most a page of them; where the next page begins.
pub(super) fn page(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    wanted: &Wanted,
    (from, before): (i64, i64),
    tally: &mut Tally,
) -> Result<Result<i64, TooMany>, DatabaseError> {
    let Some((log, _)) = rows::find_log_size(conn, &wanted.merchant)? else { return Ok(Ok(before)) };
    let kinds = kinds(wanted.kind).iter().copied().filter(|kind| !wanted.is_late || *kind == redemption::OFFLINE);
    let kinds: Vec<&str> = kinds.collect();
    let listed = rows::list_first_placed(conn, &log, &kinds, (from, before), PAGE)?;
    let is_full = i64::try_from(listed.len()).is_ok_and(|length| length >= PAGE);
    let next = listed.last().filter(|_| is_full).map_or(before, |row| row.log_index + 1);
    let mut events = Vec::with_capacity(listed.len());
    for row in &listed {
        let Some(event) = placed(row)? else {
            tally.pruned += u64::from(wanted.period.has(from_micros(row.at)));
            continue;
        };
        if wanted.period.has(event.at) && is_wanted(&event, wanted) {
            events.push(event);
        }
    }
    let outcomes = outcomes(conn, &log, wanted, &events)?;
    let corrected = corrected(conn, &log, wanted, &events)?;
    let asked: BTreeSet<&str> = events.iter().filter_map(|event| pseudonym(event, wanted.kind)).collect();
    let secrets = secrets(conn, keyring, &wanted.merchant, &asked)?;
    let contested = events.iter().filter(|event| contest_column(event.kind).is_some());
    let contested: Vec<&str> = contested.map(|event| &*event.body.about).collect();
    let refusals: HashMap<_, _> = store::list_bodies(conn, &log, &contested, check::KIND)?.into_iter().collect();
    for event in &events {
        if let Some(column) = contest_column(event.kind) {
            let refusal = refusals.get(&*event.body.about).and_then(Option::as_deref);
            let secret = secret_of(&secrets, event.body.facts.subject.as_deref())?;
            if let Err(many) = tally.contested(column, &refused(refusal, secret)?) {
                return Ok(Err(many));
            }
            continue;
        }
        if let Err(many) = count(event, wanted.kind, (&outcomes, &corrected), &secrets, tally)? {
            return Ok(Err(many));
        }
    }
    Ok(Ok(next))
}

pub(super) const fn kinds(report: ReportKind) -> &'static [&'static str] {
    match report {
        ReportKind::Grants => &[
            check::KIND,
            redemption::KIND,
            redemption::OFFLINE,
            correction::CORRECTED,
            ending::RELEASED,
            ending::VOIDED,
            ending::FREED,
        ],
        ReportKind::Billing => &[redemption::KIND, redemption::OFFLINE, ending::VOIDED],
        ReportKind::Fairness => &[check::KIND, contest::OPENED, contest::UPHELD, contest::OVERTURNED, contest::CLOSED],
    }
}

fn placed(row: &PlacedRow) -> Result<Option<Placed<'_>>, DatabaseError> {
    let Some(text) = &row.body else { return Ok(None) };
    let body = serde_json::from_str(text).map_err(|e| DatabaseError::corrupt("event", format!("{}: {e}", row.id)))?;
    let body: ReportedEvent<'_> = body;
    // What a door reported late counts by when it happened.
    let at = body.facts.redeemed_at.unwrap_or_else(|| from_micros(row.at));
    Ok(Some(Placed { index: row.log_index, at, kind: &row.kind, body }))
}

fn is_wanted(event: &Placed<'_>, wanted: &Wanted) -> bool {
    let perk = event.body.facts.perk_id.as_deref();
    wanted.perk.as_ref().is_none_or(|wanted| perk == Some(wanted.as_str()))
}

type Outcomes = HashMap<String, Vec<OutcomeRow>>;

/// The outcomes of the grants that these events are about, by grant.
fn outcomes(
    conn: &mut AnyConnection,
    log: &str,
    wanted: &Wanted,
    events: &[Placed<'_>],
) -> Result<Outcomes, DatabaseError> {
    let (grants, kinds): (Vec<&str>, &[&str]) = match wanted.kind {
        ReportKind::Grants => {
            let granted = events.iter().filter_map(|event| event.body.facts.grant.as_ref());
            let kinds = &[redemption::KIND, redemption::OFFLINE, ending::RELEASED, ending::VOIDED];
            (granted.map(|grant| &*grant.id).collect(), kinds)
        }
        ReportKind::Billing => {
            let voided = events.iter().filter(|event| event.kind == ending::VOIDED);
            (voided.map(|event| &*event.body.about).collect(), &[redemption::KIND, redemption::OFFLINE])
        }
        ReportKind::Fairness => (Vec::new(), &[]),
    };
    let mut outcomes = Outcomes::new();
    for row in store::list_outcomes(conn, log, &grants, kinds, wanted.head)? {
        outcomes.entry(row.grant.clone()).or_default().push(row);
    }
    Ok(outcomes)
}

type Parties = HashMap<String, PartyFacts>;

/// Those who came by the grants that were redeemed, as they were corrected last.
fn corrected(
    conn: &mut AnyConnection,
    log: &str,
    wanted: &Wanted,
    events: &[Placed<'_>],
) -> Result<Parties, DatabaseError> {
    let mut parties = Parties::new();
    if wanted.kind != ReportKind::Billing {
        return Ok(parties);
    }
    let redeemed = events.iter().filter(|event| redemption::is_redemption(event.kind));
    let grants: Vec<&str> = redeemed.map(|event| &*event.body.about).collect();
    for (grant, body) in store::list_bodies_before(conn, log, &grants, correction::CORRECTED, wanted.head)? {
        let Some(text) = body else { continue };
        let event: ReportedEvent<'_> =
            serde_json::from_str(&text).map_err(|e| DatabaseError::corrupt("event", format!("{grant}: {e}")))?;
        parties.extend(event.facts.corrected.map(|party| (grant, party)));
    }
    Ok(parties)
}

/// Whose key is needed to count the event.
fn pseudonym<'a>(event: &'a Placed<'_>, report: ReportKind) -> Option<&'a str> {
    let facts = &event.body.facts;
    let is_needed = match report {
        ReportKind::Grants => event.kind == check::KIND && facts.is_below(),
        ReportKind::Billing => false,
        ReportKind::Fairness => true,
    };
    facts.subject.as_deref().filter(|_| is_needed)
}

/// By pseudonym; of a person whose secret can't be opened, why.
pub(super) type Secrets = HashMap<String, Result<SubjectSecret, String>>;

pub(super) fn secrets(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    merchant: &MerchantId,
    pseudonyms: &BTreeSet<&str>,
) -> Result<Secrets, DatabaseError> {
    let pseudonyms: Vec<&str> = pseudonyms.iter().copied().collect();
    let mut secrets = Secrets::new();
    if pseudonyms.is_empty() {
        return Ok(secrets);
    }
    for row in rows::list_subjects_called(conn, merchant, &pseudonyms)? {
        let bytes = <[u8; 32]>::try_from(row.subject_ref.as_slice()).map_err(|e| e.to_string());
        let secret = bytes.and_then(|bytes| {
            keyring.open_subject(merchant, &SubjectRef(bytes), &row.sealed).map_err(|e| e.to_string())
        });
        secrets.insert(row.pseudonym, secret);
    }
    Ok(secrets)
}

/// The person's secret; none once they are erased.
pub(super) fn secret_of<'a>(
    secrets: &'a Secrets,
    name: Option<&str>,
) -> Result<Option<&'a SubjectSecret>, DatabaseError> {
    let secret = name.and_then(|name| secrets.get(name)).map(Result::as_ref).transpose();
    secret.map_err(|error| DatabaseError::corrupt("subject", error))
}

fn count(
    event: &Placed<'_>,
    report: ReportKind,
    (outcomes, corrected): (&Outcomes, &Parties),
    secrets: &Secrets,
    tally: &mut Tally,
) -> Result<Result<(), TooMany>, DatabaseError> {
    let Placed { index, at, kind, body } = event;
    let moment = Moment { index: *index, at: *at };
    let happened = |grant: &str| outcomes.get(grant).map(Vec::as_slice).unwrap_or_default();
    Ok(match *kind {
        check::KIND => {
            let person = match pseudonym(event, report) {
                None => Person::Unasked,
                name => open(body, secret_of(secrets, name)?)?,
            };
            let grant = body.facts.grant.as_ref().map(|grant| happened(&grant.id)).unwrap_or_default();
            let has = |kind: &str| grant.iter().any(|row| row.kind == kind);
            let redeemed = has(redemption::KIND) || has(redemption::OFFLINE);
            let fate = Fate { redeemed, voided: has(ending::VOIDED), released: has(ending::RELEASED) };
            tally.check(moment, &body.facts, fate, &person)
        }
        redemption::KIND | redemption::OFFLINE => {
            tally.redeemed(*at, &body.facts, corrected.get(&*body.about).copied())
        }
        correction::CORRECTED => tally.corrected(moment, &body.facts),
        ending::FREED => tally.freed(moment, &body.facts),
        kind => {
            let visits = happened(&body.about).iter();
            let visits =
                visits.filter(|row| redemption::is_redemption(&row.kind) && row.log_index < *index).count() as u64;
            tally.ended(moment, &body.facts, kind == ending::VOIDED, visits)
        }
    })
}

/// The person as the event of their refusal knew them.
pub(super) fn refused(body: Option<&str>, secret: Option<&SubjectSecret>) -> Result<Person, DatabaseError> {
    let Some(text) = body else { return Ok(Person::Unknown) };
    let body = serde_json::from_str(text).map_err(|e| DatabaseError::corrupt("event", e))?;
    open(&body, secret)
}

pub(super) fn open(body: &ReportedEvent<'_>, secret: Option<&SubjectSecret>) -> Result<Person, DatabaseError> {
    let Some(secret) = secret else { return Ok(Person::Unknown) };
    let Some(sealed) = &body.sealed else { return Ok(Person::Known(Personal::default())) };
    let sealed = BASE64.decode(sealed.as_bytes()).map_err(|e| DatabaseError::corrupt("sealed event", e))?;
    let id: EventId = body.id.parse().map_err(|e| DatabaseError::corrupt("event id", e))?;
    let plain = secret.open(&id, &sealed).map_err(|e| DatabaseError::corrupt("sealed event", e))?;
    serde_json::from_slice(&plain).map(Person::Known).map_err(|e| DatabaseError::corrupt("sealed event", e))
}
