//! Refusals that a desk overrides: each once, and counted in the limits like any grant.
//!
//! One transaction: the person is held first, as in contests and erasures, so that none comes in between; then the case
//! about the refusal, or to which it was added, as its decision locks it; the row of the override, of which there can be
//! one; and the check that is granted goes through `write/batch.rs`. One that a limit refuses is rolled back whole.

use std::iter;

use jiff::Timestamp;

use super::model::ReferralStatus;
use crate::database::{Abort, AnyConnection, DatabaseError};
use crate::decision::reason::Reason;
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{CheckId, GrantId, MerchantId, PerkId, PerkSlug};
use crate::foundation::json::Json;
use crate::foundation::subject::{SubjectHandle, SubjectRef};
use crate::ledger::LedgerError;
use crate::ledger::context::WriterContext;
use crate::ledger::entry::{CheckEntry, CheckRecord};
use crate::ledger::idempotency::replay;
use crate::ledger::payment::{MAX_REFERENCE, Payment};
use crate::ledger::store::overrides::{self, OverrideRow};
use crate::ledger::store::{self, ReferralRow, people};
use crate::ledger::write::batch::{self, CheckOutcome};
use crate::ledger::write::check::{self, StoredCheck};
use crate::ledger::write::prepared::PreparedCheck;
use crate::ledger::write::subjects;
use crate::ledger::write::transaction::Transaction;
use crate::rules::limit::ScopeDigests;
use crate::rules::offers::Price;
use crate::rules::tier::party::Party;

/// A check with all there is to override it by.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub asked: CheckRecord,
    pub perk_id: PerkId,
    /// The person's name in events.
    pub subject: String,
    /// None once the person was erased.
    pub visitor: Option<Visitor>,
    pub digests: ScopeDigests,
}

/// The person of a check, and their visit as the rule looked at it.
#[derive(Debug, Clone)]
pub struct Visitor {
    pub subject_ref: SubjectRef,
    pub handle: SubjectHandle,
    pub party: Party,
    pub context: Json,
}

/// A refusal that is overridden, with the check that is granted in its place.
#[derive(Debug, Clone)]
pub struct OverrideEntry {
    pub check: CheckId,
    pub subject: String,
    /// The check that is granted, with its `overrides` and its `grant`.
    pub entry: Box<CheckEntry>,
}

/// The reasons for which nothing is overridden.
#[derive(Debug, thiserror::Error)]
pub enum OverrideRefused {
    #[error("it was overridden before")]
    AlreadyOverridden { granted: CheckId },
    /// The payment let someone in before. Where that was undone since, its reference with the ending `free` is another that was
    /// not used.
    #[error("the payment was used before")]
    ReferenceUsed { granted: CheckId, free: Option<String> },
    #[error("a person has granted it already")]
    AlreadyGranted,
    #[error("the person was erased")]
    Erased,
    #[error("a limit has no room for it")]
    NoRoom(Vec<Reason>),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<DatabaseError> for OverrideRefused {
    fn from(error: DatabaseError) -> Self {
        Self::Ledger(LedgerError::from(&error))
    }
}

/// An override that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overridden {
    pub check: CheckId,
    pub granted_check: CheckId,
    pub grant: GrantId,
    pub perk: PerkSlug,
    pub rule_version: i32,
    pub tier: String,
    pub reason: String,
    /// The key or clerk.
    pub by: String,
    pub at: Timestamp,
    /// Paid entries only.
    pub payment: Option<Payment>,
}

impl TryFrom<OverrideRow> for Overridden {
    type Error = DatabaseError;

    fn try_from(row: OverrideRow) -> Result<Self, DatabaseError> {
        let check = |id: &str| id.parse::<CheckId>().map_err(|e| DatabaseError::corrupt("check id", e));
        Ok(Self {
            check: check(&row.check_id)?,
            granted_check: check(&row.granted_check)?,
            grant: row.grant_id.parse().map_err(|e| DatabaseError::corrupt("grant id", e))?,
            perk: row.perk.parse().map_err(|e| DatabaseError::corrupt("perk", e))?,
            rule_version: row.rule_version,
            tier: row.tier,
            reason: row.reason,
            by: row.overridden_by,
            at: from_micros(row.overridden_at),
            payment: match (row.reference, row.amount, row.currency) {
                (Some(reference), Some(amount), Some(currency)) => {
                    Some(Payment::stored(reference, Price { amount, currency }))
                }
                _ => None,
            },
        })
    }
}

/// A check of the merchant with what it takes to override it; none when there is none.
///
/// # Errors
/// [`LedgerError::Pruned`] when its event's body is pruned.
pub(crate) fn find_refusal(
    conn: &mut AnyConnection,
    context: &WriterContext,
    merchant: &MerchantId,
    check: &CheckId,
) -> Result<Option<Refusal>, LedgerError> {
    let Some(asked) = replay::recorded_check(conn, &context.keyring, merchant, check)? else { return Ok(None) };
    let event: Option<StoredCheck> = replay::find_event(conn, merchant, check, check::KIND)?;
    let Some(event) = event else { return Ok(None) };
    let subject = event.facts.subject.clone().into_owned();
    let visitor = match subjects::find(conn, &context.keyring, merchant, &subject)? {
        None => None,
        Some((subject_ref, subject)) => {
            let (context, party) = check::visit(&event, &subject)?;
            Some(Visitor { subject_ref, handle: subject.secret.handle().clone(), party, context })
        }
    };
    let perk_id = event.facts.perk_id.parse().map_err(|e| DatabaseError::corrupt("perk id", e))?;
    let digests = event.facts.scope_digests();
    Ok(Some(Refusal { asked: asked.get().clone(), perk_id, subject, visitor, digests }))
}

/// Records the override and the check that is granted; a refusal rolls back whatever was written.
pub(crate) fn record(
    tx: &mut Transaction<'_>,
    overriding: &OverrideEntry,
) -> Result<Box<CheckRecord>, Abort<OverrideRefused>> {
    let (check, entry) = (&overriding.check, overriding.entry.as_ref());
    let merchant = &entry.merchant;
    if people::hold_subjects(tx.conn, merchant, &[&overriding.subject])?.is_empty() {
        return Err(Abort::Refused(OverrideRefused::Erased));
    }
    if lock_case(tx.conn, merchant, check)?.is_some_and(|case| case.status == ReferralStatus::Granted.as_str()) {
        return Err(Abort::Refused(OverrideRefused::AlreadyGranted));
    }
    let row = row_of(check, entry)?;
    if overrides::insert_override(tx.conn, &row)? == 0 {
        return Err(refused_before(tx.conn, merchant, check, row.reference.as_deref())?);
    }
    tx.known.subjects.leave_aside();
    match batch::record(tx, &[&PreparedCheck::alone(entry.clone())], &[])?.checks.pop() {
        Some(CheckOutcome::Recorded(record)) if record.decided.is_granted() => Ok(record),
        Some(CheckOutcome::Recorded(record)) => Err(Abort::Refused(OverrideRefused::NoRoom(record.decided.reasons))),
        Some(CheckOutcome::KeyReused) | None => Err(DatabaseError::NotFound.into()),
    }
}

/// Why the row of an override was not written: its check has one, or another check has its payment.
fn refused_before(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    check: &CheckId,
    reference: Option<&str>,
) -> Result<Abort<OverrideRefused>, DatabaseError> {
    let granted = |row: OverrideRow| row.granted_check.parse().map_err(|e| DatabaseError::corrupt("check id", e));
    if let Some(first) = overrides::find_override(conn, merchant, check)? {
        return Ok(Abort::Refused(OverrideRefused::AlreadyOverridden { granted: granted(first)? }));
    }
    let Some(reference) = reference else { return Err(DatabaseError::Conflict) };
    let other = overrides::find_paid(conn, merchant, reference)?.ok_or(DatabaseError::Conflict)?;
    let free = free_ending(conn, merchant, reference)?;
    Ok(Abort::Refused(OverrideRefused::ReferenceUsed { granted: granted(other)?, free }))
}

/// An ending with which a reference that was used is another that was not: where each grant that the payment let in was
/// undone. None where one of them stands, as a payment lets one visit in, or the name would be too long.
fn free_ending(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    reference: &str,
) -> Result<Option<String>, DatabaseError> {
    let mut ending = String::new();
    for nth in 2..10 {
        let Some(used) = overrides::find_paid(conn, merchant, &format!("{reference}{ending}"))? else { break };
        let grant = store::find_grant(conn, merchant, &used.grant_id)?;
        if grant.is_none_or(|grant| grant.voided_at.is_none()) {
            return Ok(None);
        }
        ending = format!("/{nth}");
    }
    let longer = format!("{reference}{ending}");
    let is_free = longer.len() <= MAX_REFERENCE && overrides::find_paid(conn, merchant, &longer)?.is_none();
    Ok(is_free.then_some(ending))
}

/// The case about the refusal, or the one to which it was added, locked.
fn lock_case(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    check: &CheckId,
) -> Result<Option<ReferralRow>, DatabaseError> {
    let Some(addition) = store::find_addition(conn, merchant, check)? else {
        return store::lock_referral(conn, merchant, check);
    };
    let case = addition.case_id.parse().map_err(|e| DatabaseError::corrupt("referral", e))?;
    store::lock_referral(conn, merchant, &case)
}

/// The check that was granted by override in place of this one, or of a refusal that was added to its case.
pub(super) fn find_in_case(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    check: &CheckId,
) -> Result<Option<CheckId>, DatabaseError> {
    let added = store::list_additions(conn, merchant, &[check.as_str()])?;
    for check in iter::once(check.as_str()).chain(added.iter().map(|addition| addition.check_id.as_str())) {
        let check = check.parse().map_err(|e| DatabaseError::corrupt("check id", e))?;
        if let Some(overridden) = find(conn, merchant, &check)? {
            return Ok(Some(overridden.granted_check));
        }
    }
    Ok(None)
}

fn row_of(check: &CheckId, entry: &CheckEntry) -> Result<OverrideRow, DatabaseError> {
    let (Some(terms), Some(given)) = (&entry.grant, &entry.overrides) else { return Err(DatabaseError::NotFound) };
    Ok(OverrideRow {
        check_id: check.as_str().to_owned(),
        merchant_id: entry.merchant.as_str().to_owned(),
        perk_id: entry.perk.as_str().to_owned(),
        perk: entry.perk_slug.as_str().to_owned(),
        rule_version: entry.rule_version,
        granted_check: entry.check.as_str().to_owned(),
        grant_id: terms.id.as_str().to_owned(),
        tier: terms.claims.tier.clone(),
        reason: given.reason.clone(),
        overridden_by: entry.key.as_str().to_owned(),
        overridden_at: entry.at.as_microsecond(),
        reference: given.payment.as_ref().map(|payment| payment.reference().to_owned()),
        amount: given.payment.as_ref().map(|payment| payment.price().amount.clone()),
        currency: given.payment.as_ref().map(|payment| payment.price().currency.clone()),
    })
}

/// The override of this check, if it was overridden.
pub(crate) fn find(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    check: &CheckId,
) -> Result<Option<Overridden>, DatabaseError> {
    overrides::find_override(conn, merchant, check)?.map(Overridden::try_from).transpose()
}

/// Up to `most` overrides of the merchant, or of one perk, the newest first.
pub(crate) fn list(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    perk: Option<&PerkSlug>,
    before: Option<&CheckId>,
    most: u32,
) -> Result<Vec<Overridden>, DatabaseError> {
    let rows = overrides::list_overrides(conn, merchant, perk, before, most.into())?;
    rows.into_iter().map(Overridden::try_from).collect()
}
