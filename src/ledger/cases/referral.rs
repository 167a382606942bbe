//! Checks that a rule refers to a person: the queue, and what the person decided.
//!
//! The row is written with the check. A decision is one transaction: the row is locked first, before
//! anything that checks lock, so that of two people one decides; then the check that the person
//! grants goes through `write/batch.rs` like any other, limits and all; then the row and the event. A grant
//! that a limit refuses is rolled back whole, and the referral remains open.

use jiff::Timestamp;
use serde::de::IgnoredAny;

use super::case::with_additions;
use super::contest;
use super::model::{Referral, ReferralStatus, SealedNote};
use super::overrides;
use crate::database::{Abort, AnyConnection, DatabaseError};
use crate::decision::reason::Reason;
use crate::foundation::ids::{CheckId, EventId, MerchantId};
use crate::foundation::json::Json;
use crate::foundation::subject::{SubjectHandle, SubjectRef};
use crate::ledger::context::WriterContext;
use crate::ledger::entry::{Actor, CheckEntry, CheckRecord, LogOwner};
use crate::ledger::events::cases::CaseDecided;
use crate::ledger::events::{Event, Nullable, Text, leaf_hash};
use crate::ledger::idempotency::replay;
use crate::ledger::store::{self, ReferralRow};
use crate::ledger::write::append::Leaf;
use crate::ledger::write::batch::{self, CheckOutcome};
use crate::ledger::write::check::{self, StoredCheck};
use crate::ledger::write::prepared::PreparedCheck;
use crate::ledger::write::subjects::{self, Subject};
use crate::ledger::write::transaction::Transaction;
use crate::ledger::{LedgerError, Recorded};
use crate::rules::limit::ScopeDigests;
use crate::rules::tier::party::Party;

/// The kind of a decision's event; it is about the check that was referred.
pub const KIND: &str = "referral.decided";

/// All there is to decide a referral by.
#[derive(Debug, Clone)]
pub struct Referred {
    pub referral: Referral,
    pub asked: CheckRecord,
    pub subject_ref: SubjectRef,
    /// The person it is about: personal.
    pub handle: SubjectHandle,
    pub party: Party,
    pub location: Option<String>,
    pub kiosk: Option<String>,
    /// The context that the rule looked at; an object.
    pub context: Json,
    /// The digests that the check recorded, for limits to count by.
    pub digests: ScopeDigests,
    /// Why it was contested, if it was.
    pub objection: Option<String>,
    /// Why the refusals that were added to it were, each in its place.
    pub added_objections: Vec<Option<String>>,
    /// Why it was decided as it was.
    pub note: Option<String>,
}

/// The decision of a person about a check.
#[derive(Debug, Clone)]
pub struct Resolution {
    pub merchant: MerchantId,
    /// The check that is decided about.
    pub check: CheckId,
    pub event: EventId,
    pub at: Timestamp,
    pub by: Actor,
    /// Why: personal, as it may name people.
    pub note: String,
    /// The check that is granted in its place; none to deny.
    pub grant: Option<Box<CheckEntry>>,
}

/// The outcome of a [`Resolution`].
#[derive(Debug)]
pub enum Resolved {
    Granted(Box<Recorded<CheckRecord>>),
    Denied,
}

impl Resolved {
    /// The outcome of a decision that is committed: only now is there a grant to sign.
    pub(crate) fn committed(granted: Option<Box<CheckRecord>>) -> Self {
        granted.map_or(Self::Denied, |record| Self::Granted(Box::new(Recorded::new(*record))))
    }
}

/// Why a [`Resolution`] was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("there is no such referral")]
    NotFound,
    #[error("a person has decided this already")]
    AlreadyDecided,
    #[error("a desk overrode it: `{granted}` was granted in its place")]
    AlreadyOverridden { granted: CheckId },
    #[error("a limit has no room for it")]
    NoRoom(Vec<Reason>),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<DatabaseError> for ResolveError {
    fn from(error: DatabaseError) -> Self {
        Self::Ledger(LedgerError::from(&error))
    }
}

/// A referral with all there is to decide it by; none when the person has been erased since.
pub(crate) fn find(
    conn: &mut AnyConnection,
    context: &WriterContext,
    merchant: &MerchantId,
    check: &CheckId,
) -> Result<Option<Referred>, LedgerError> {
    let Some(row) = store::find_referral(conn, merchant, check)? else { return Ok(None) };
    let Some(referral) = with_additions(conn, merchant, vec![row.clone()])?.pop() else { return Ok(None) };
    let Some((subject_ref, subject)) = subjects::find(conn, &context.keyring, merchant, &row.subject)? else {
        return Ok(None);
    };
    let Some(asked) = replay::recorded_check(conn, &context.keyring, merchant, check)? else { return Ok(None) };
    let event: Option<StoredCheck> = replay::find_event(conn, merchant, check, check::KIND)?;
    let Some(event) = event else { return Ok(None) };
    let mut note_of = |check: &CheckId, kind: &str| match replay::find_event(conn, merchant, check, kind)? {
        Some(event) => Ok(check::unsealed::<SealedNote, IgnoredAny>(&event, &subject)?.map(|personal| personal.note)),
        None => Ok::<_, DatabaseError>(None),
    };
    let objection = if row.contested_at.is_some() { note_of(check, contest::OPENED)? } else { None };
    let added = referral.contest.iter().flat_map(|contest| &contest.added);
    let added_objections = added.map(|added| note_of(&added.check, contest::ADDED)).collect::<Result<_, _>>()?;
    let note = note_of(check, kind_of(&row))?;
    let text = |text: &Nullable<Text<'_>>| text.0.as_deref().map(str::to_owned);
    let (context, party) = check::visit(&event, &subject)?;
    Ok(Some(Referred {
        referral,
        asked: asked.get().clone(),
        subject_ref,
        party,
        location: text(&event.facts.location),
        kiosk: text(&event.facts.kiosk),
        context,
        digests: event.facts.scope_digests(),
        handle: subject.secret.handle().clone(),
        objection,
        added_objections,
        note,
    }))
}

/// The kind of event that its decision is recorded as.
fn kind_of(row: &ReferralRow) -> &'static str {
    match row.contested_at {
        None => KIND,
        Some(_) if row.status == ReferralStatus::Granted.as_str() => contest::OVERTURNED,
        Some(_) if row.status == ReferralStatus::Closed.as_str() => contest::CLOSED,
        Some(_) => contest::UPHELD,
    }
}

/// Records the decision; the check that was granted, none when it was denied. A refusal rolls back whatever the check
/// has written.
pub(crate) fn decide(
    tx: &mut Transaction<'_>,
    resolution: &Resolution,
) -> Result<Option<Box<CheckRecord>>, Abort<ResolveError>> {
    let merchant = &resolution.merchant;
    let Some(mut row) = store::lock_referral(tx.conn, merchant, &resolution.check)? else {
        return Err(Abort::Refused(ResolveError::NotFound));
    };
    if row.status != ReferralStatus::Open.as_str() {
        return Err(Abort::Refused(ResolveError::AlreadyDecided));
    }
    // A desk was first: one dispute is made good once.
    if resolution.grant.is_some()
        && let Some(granted) = overrides::find_in_case(tx.conn, merchant, &resolution.check)?
    {
        return Err(Abort::Refused(ResolveError::AlreadyOverridden { granted }));
    }
    tx.known.subjects.leave_aside();
    let subject = subjects::find(tx.conn, &tx.context.keyring, merchant, &row.subject)?;
    let granted = match &resolution.grant {
        None => None,
        Some(check) => match batch::record(tx, &[&PreparedCheck::alone(check.as_ref().clone())], &[])?.checks.pop() {
            Some(CheckOutcome::Recorded(record)) if record.decided.is_granted() => Some(record),
            Some(CheckOutcome::Recorded(record)) => {
                return Err(Abort::Refused(ResolveError::NoRoom(record.decided.reasons)));
            }
            Some(CheckOutcome::KeyReused) | None => return Err(DatabaseError::NotFound.into()),
        },
    };
    settle_row(&mut row, resolution, granted.as_deref());
    store::update_referral(tx.conn, merchant, &row)?;
    let leaf = leaf(tx.context, resolution, &row, subject.as_ref().map(|(_, subject)| subject))?;
    tx.append(vec![leaf])?;
    Ok(granted)
}

/// Says in the row how it was decided.
pub(crate) fn settle_row(row: &mut ReferralRow, resolution: &Resolution, granted: Option<&CheckRecord>) {
    let grant = granted.and_then(|record| record.grant.as_ref());
    let status = if granted.is_some() { ReferralStatus::Granted } else { ReferralStatus::Denied };
    status.as_str().clone_into(&mut row.status);
    row.decided_at = Some(resolution.at.as_microsecond());
    row.decided_by = Some(resolution.by.name());
    row.resolved_by = granted.map(|record| record.check.as_str().to_owned());
    row.grant_id = grant.map(|grant| grant.id.as_str().to_owned());
}

/// The event of a decision; the note is sealed under the person's key.
pub(crate) fn leaf(
    context: &WriterContext,
    resolution: &Resolution,
    row: &ReferralRow,
    subject: Option<&Subject>,
) -> Result<Leaf, DatabaseError> {
    let personal = SealedNote { note: resolution.note.clone() };
    let plain = serde_json::to_vec(&personal).map_err(|e| DatabaseError::corrupt("referral", e))?;
    // Without the person there is no key to seal the note with, and in the clear it could name them.
    let sealed = subject.map(|subject| subject.secret.seal(&resolution.event, &plain, &context.entropy));
    let body = Event {
        id: &resolution.event,
        kind: kind_of(row),
        at: resolution.at,
        merchant: Some(&resolution.merchant),
        actor: &resolution.by,
        about: &row.check_id,
        facts: &CaseDecided {
            check: Nullable::text(row.resolved_by.as_deref()),
            decision: row.status.as_str().into(),
            grant: Nullable::text(row.grant_id.as_deref()),
            perk: row.perk.as_str().into(),
            perk_id: row.perk_id.as_str().into(),
            rule_version: row.rule_version,
            subject: row.subject.as_str().into(),
        },
        sealed: sealed.as_deref(),
    }
    .to_body();
    Ok(Leaf {
        log: LogOwner::Merchant(resolution.merchant.clone()),
        id: resolution.event.clone(),
        kind: kind_of(row),
        about: row.check_id.clone(),
        at: resolution.at,
        hash: leaf_hash(&body),
        body,
    })
}
