//! Correcting the party of a grant: more or fewer came than were granted.
//!
//! It counts in the very counters that the check touched, by the rule that granted it, also when their windows are over:
//! fewer always, more only with room there. It locks in the order of a batch: the person, whom an erasure must not take
//! away meanwhile, then counters, grants, and the log's head last.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::claims;
use super::party::PartyStanding;
use crate::database::{AnyConnection, DatabaseError};
use crate::decision::reason::{Reason, ReasonCode};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{GrantId, MerchantId};
use crate::foundation::json::Json;
use crate::ledger::LedgerError;
use crate::ledger::entry::{Actor, EventDraft, LogOwner, SealedFields};
use crate::ledger::events::check::LimitAsked;
use crate::ledger::events::correction::{GrantCorrected, LimitCorrected};
use crate::ledger::events::{Nullable, WrittenFacts};
use crate::ledger::store::{self, GrantRow, RedemptionRow, UseRow, people};
use crate::ledger::write::arithmetic;
use crate::ledger::write::check::{self, StoredCheck};
use crate::ledger::write::counters::{self, Counter, CounterKey, Wanted};
use crate::ledger::write::redemption::digest_of;
use crate::rules::limit::{Counting, is_across_perks};
use crate::rules::tier::guests::Admitted;
use crate::rules::tier::party::Party;

/// The kind of its event.
pub const CORRECTED: &str = "grant.corrected";

/// How long after the grant, or after a door first took its token, it may be corrected.
pub const OPEN_FOR: SignedDuration = SignedDuration::from_mins(10);

/// Number of digits of an entity tag: enough to tell any two states apart.
const TAG_DIGITS: usize = 32;

/// Why a grant was not corrected. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CorrectionError {
    #[error("there is no such grant")]
    NotFound,
    #[error("the grant has changed since it was looked at")]
    Stale,
    #[error("the grant was taken back")]
    Voided,
    #[error("the guest has left")]
    Released,
    #[error("the person was erased")]
    Erased,
    #[error("it is too late to correct the grant")]
    TooLate,
    /// More guests than the tier admits, and more than were granted.
    #[error("{} Nothing was changed.", .0.message())]
    TooMany(Box<Reason>),
    #[error("{} Nothing was changed: those who were granted may come.", sentences(.0))]
    NoRoom(Vec<Reason>),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The party that really came, as the rule that granted the visit counts it.
#[derive(Debug, Clone)]
pub struct Correction {
    pub actor: Actor,
    pub location: Option<String>,
    pub kiosk: Option<String>,
    /// One of these tags, or any state.
    pub expected: Option<Vec<String>>,
    pub admitted: Admitted,
    /// Why the tier doesn't admit them, where they are more than it granted.
    pub refused: Option<Box<Reason>>,
    /// The limits of the rule that count people.
    pub limits: BTreeMap<String, Counting>,
    /// Those who came, with what the rule tells apart of children's ages. Personal.
    pub came: Party,
    /// Personal, as it may name people.
    pub reason: String,
}

/// A grant that was corrected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrected {
    pub at: Timestamp,
    pub standing: PartyStanding,
    /// Number of people that limits counted before.
    pub was_counted: u64,
    /// When doors had taken its token by then, the first first.
    pub redeemed_at: Vec<Timestamp>,
    /// The tag of the state that it has now.
    pub tag: String,
}

fn sentences(reasons: &[Reason]) -> String {
    reasons.iter().map(Reason::message).collect::<Vec<_>>().join(" ")
}

/// The entity tag of the state of a grant that a correction builds on.
pub(crate) fn tag_of(grant: &GrantRow, redemptions: usize) -> String {
    let ended = |at: Option<i64>| at.map(|at| at.to_string()).unwrap_or_default();
    let parts = [
        grant.id.as_str(),
        grant.corrected.as_deref().unwrap_or_default(),
        &redemptions.to_string(),
        &ended(grant.released_at),
        &ended(grant.voided_at),
    ];
    digest_of(&parts).chars().take(TAG_DIGITS).collect()
}

/// Corrects a grant of the merchant.
pub(crate) fn correct(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    merchant: &MerchantId,
    grant: &GrantId,
    correction: &Correction,
    now: Timestamp,
) -> Result<Corrected, CorrectionError> {
    let found = store::find_grant(conn, merchant, grant.as_str())?.ok_or(CorrectionError::NotFound)?;
    let claims = claims::read(&found)?;
    let is_erased = people::hold_subjects(conn, merchant, &[claims.sub.as_str()])?.is_empty();
    let asked = limits_asked(conn, merchant, &found)?;
    let mut locked = Locked::lock(conn, merchant, &found, &asked, correction, now)?;
    // By the row under its lock: what was read before may have changed.
    let row = &locked.grant.clone();
    if row.voided_at.is_some() {
        return Err(CorrectionError::Voided);
    }
    if row.released_at.is_some() {
        return Err(CorrectionError::Released);
    }
    if is_erased {
        return Err(CorrectionError::Erased);
    }
    let spent = store::list_redemptions(conn, &[grant.as_str()])?;
    let tag = tag_of(row, spent.len());
    if correction.expected.as_ref().is_some_and(|tags| !tags.contains(&tag)) {
        return Err(CorrectionError::Stale);
    }
    require_open(row, &spent, now)?;
    if let Some(reason) = &correction.refused {
        return Err(CorrectionError::TooMany(reason.clone()));
    }

    let before = PartyStanding::of(row)?;
    let counted = locked.count(&asked, &before, correction)?;
    // Those whose uses had lapsed and were forgotten remain as they were.
    let mut costs = before.costs.clone();
    costs.extend(counted.iter().map(|limit| (limit.id.clone().into_owned(), limit.cost)));
    let standing =
        PartyStanding { admitted: correction.admitted, corrections: before.corrections.saturating_add(1), costs };
    let corrected = WrittenFacts::of(&standing.written()).into_text();
    store::correct_grant(conn, merchant, grant.as_str(), &corrected)?;
    counters::store(conn, locked.counters)?;

    let facts = GrantCorrected {
        check: row.check_id.as_str().into(),
        corrected: standing.written(),
        corrected_at: now,
        counted: correction.admitted.counted(),
        kiosk: Nullable::text(correction.kiosk.as_deref()),
        limits: counted,
        location: Nullable::text(correction.location.as_deref()),
        perk: claims.perk.as_str().into(),
        perk_id: row.perk_id.as_str().into(),
        rule_version: claims.rule,
        subject: claims.sub.as_str().into(),
        tier: claims.tier.as_str().into(),
        was_counted: before.admitted.counted(),
        was_party: before.admitted.party,
    };
    events.push(EventDraft {
        log: LogOwner::Merchant(merchant.clone()),
        kind: CORRECTED,
        about: grant.as_str().to_owned(),
        actor: correction.actor.clone(),
        facts: WrittenFacts::of(&facts),
        personal: Some(SealedFields { subject: claims.sub.as_str().to_owned(), fields: personal(correction) }),
    });
    let tag = tag_of(&GrantRow { corrected: Some(corrected), ..row.clone() }, spent.len());
    let mut redeemed_at: Vec<Timestamp> = spent.iter().map(|row| from_micros(row.redeemed_at)).collect();
    redeemed_at.sort_unstable();
    Ok(Corrected { at: now, standing, was_counted: before.admitted.counted(), redeemed_at, tag })
}

fn personal(correction: &Correction) -> Json {
    let came = &correction.came;
    let whole = |number: u64| Json::whole(i64::try_from(number).unwrap_or(i64::MAX));
    let ages = came.children().iter().map(|age| whole((*age).into())).collect();
    Json::object([
        ("children", Json::List(ages)),
        ("party", whole(came.size())),
        ("reason", Json::text(&correction.reason)),
    ])
}

/// Requires that the grant may still be corrected: whether or not its token has expired, as doors that verify offline
/// take tokens and say nothing of it.
fn require_open(row: &GrantRow, spent: &[RedemptionRow], now: Timestamp) -> Result<(), CorrectionError> {
    let first = spent.iter().map(|row| row.redeemed_at).min();
    let since = from_micros(first.map_or(row.granted_at, |first| first.max(row.granted_at)));
    let until = since.checked_add(OPEN_FOR).unwrap_or(Timestamp::MAX);
    if now <= until { Ok(()) } else { Err(CorrectionError::TooLate) }
}

/// The limits that the check of a grant touched, as its event records them.
fn limits_asked(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    row: &GrantRow,
) -> Result<Vec<LimitAsked<'static>>, CorrectionError> {
    let events = store::list_events_about(conn, merchant, &[&row.check_id], check::KIND)?;
    let body = events.into_iter().find_map(|event| event.body).ok_or(LedgerError::Pruned)?;
    let event = StoredCheck::from_body(&body).map_err(|e| DatabaseError::corrupt("event", e))?;
    Ok(event.facts.limits)
}

/// A grant and the counters that count its people, locked.
struct Locked {
    grant: GrantRow,
    counters: BTreeMap<CounterKey, Counter>,
    uses: Vec<UseRow>,
    now: i64,
}

impl Locked {
    fn lock(
        conn: &mut AnyConnection,
        merchant: &MerchantId,
        found: &GrantRow,
        asked: &[LimitAsked<'_>],
        correction: &Correction,
        now: Timestamp,
    ) -> Result<Self, CorrectionError> {
        let now = now.as_microsecond();
        let mut wanted: BTreeMap<CounterKey, Wanted> = BTreeMap::new();
        // A grant's uses move under their counters' locks, but never to another counter.
        let singly: HashSet<CounterKey> =
            store::list_uses_of(conn, &[&found.id])?.iter().map(counters::key_of).collect();
        for limit in asked {
            let Some(counting) = correction.limits.get(limit.id.as_ref()) else { continue };
            let key = key_of(found, limit);
            if limit.horizon.is_none() || singly.contains(&key) {
                wanted.entry(key).or_default().horizons.push((now, arithmetic::behind(*counting)));
            }
        }
        let mut counters = counters::lock(conn, &wanted)?;
        let mut held = store::lock_grants(conn, &[&found.id])?;
        let grant = held.pop().filter(|row| row.merchant_id == merchant.as_str()).ok_or(CorrectionError::NotFound)?;
        let uses = store::list_uses_of(conn, &[&found.id])?;
        counters::read_corrections(conn, &mut counters, uses.iter())?;
        Ok(Self { grant, counters, uses, now })
    }

    /// Counts the party in the counters of its check, if all that count more have room.
    fn count(
        &mut self,
        asked: &[LimitAsked<'_>],
        before: &PartyStanding,
        correction: &Correction,
    ) -> Result<Vec<LimitCorrected<'static>>, CorrectionError> {
        let cost = correction.admitted.counted();
        let (mut recounts, mut refusals) = (Vec::new(), Vec::<Reason>::new());
        for limit in asked {
            let Some(counting) = correction.limits.get(limit.id.as_ref()) else { continue };
            let key = key_of(&self.grant, limit);
            let Some(counter) = self.counters.get_mut(&key) else { continue };
            let was_cost = before.cost_of(&limit.id, limit.cost);
            let (counts, left) = if limit.horizon.is_none() {
                counter.recount(was_cost, cost);
                (true, Vec::new())
            } else {
                let Some(held) = self.uses.iter().find(|held| counters::key_of(held) == key) else { continue };
                let behind = arithmetic::behind(*counting).unwrap_or(0);
                counter.recount_use(held, cost, self.now, behind)
            };
            let used = counter.uses.sum();
            let is_named = refusals.iter().any(|it| it.limit.as_deref() == Some(&*limit.id));
            if counts && cost > was_cost && used > limit.max && !is_named {
                let at_most = (cost > limit.max).then_some(limit.max);
                let id = Some(limit.id.clone().into_owned());
                refusals.push(Reason { limit: id, at_most, ..Reason::new(ReasonCode::LimitReached) });
            }
            recounts.push(LimitCorrected {
                corrections: counters::uses_left(&left),
                cost,
                horizon: limit.horizon.map(|_| from_micros(counter.uses.horizon())),
                id: limit.id.clone().into_owned().into(),
                max: limit.max,
                scope: limit.scope.clone().into_owned().into(),
                used,
                was_cost,
                window: limit.window.clone().into_owned().into(),
            });
        }
        if refusals.is_empty() { Ok(recounts) } else { Err(CorrectionError::NoRoom(refusals)) }
    }
}

/// The counter that the check's answer is of.
fn key_of(grant: &GrantRow, limit: &LimitAsked<'_>) -> CounterKey {
    let perk = if is_across_perks(&limit.scope) { String::new() } else { grant.perk_id.clone() };
    let [id, scope, window] = [&limit.id, &limit.scope, &limit.window].map(|text| text.clone().into_owned());
    [grant.merchant_id.clone(), perk, id, scope, window]
}
