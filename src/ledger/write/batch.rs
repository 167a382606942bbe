//! One batch inside its transaction. The order of the steps is what keeps replicas from waiting
//! for each other in circles and the log heads, which everyone needs, locked for the shortest time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::admission::LimitCounters;
use super::append::Leaf;
use super::check::{self, Settled};
use super::redemption::Tokens;
use super::subjects::{self, Subject, Subjects};
use super::transaction::Transaction;
use crate::database::{AnyConnection, DatabaseError};
use crate::decision::decide::Decision;
use crate::decision::decided::Decided;
use crate::foundation::ids::{CheckId, MerchantId};
use crate::foundation::subject::Pseudonym;
use crate::ledger::IDEMPOTENCY_WINDOW;
use crate::ledger::cases::case;
use crate::ledger::cases::case::OpenReferrals;
use crate::ledger::context::WriterContext;
use crate::ledger::entry::{CheckEntry, CheckRecord, Receipt, RedeemEntry, Redeemed};
use crate::ledger::idempotency::replay;
use crate::ledger::store::{self, GrantRow, IdempotencyRow, people};

/// The outcome of a check, true once the transaction commits.
pub(crate) enum CheckOutcome {
    Recorded(Box<CheckRecord>),
    /// The idempotency key stands for another request.
    KeyReused,
}

/// The outcomes of a batch, in its order.
pub(crate) struct Outcomes {
    pub checks: Vec<CheckOutcome>,
    pub redemptions: Vec<Redeemed>,
}

/// The operation under which checks keep their idempotency keys.
pub(crate) const CHECK_OPERATION: &str = "checks";

/// Records the checks and redemptions and returns their outcomes in the same order. All of it or, on an error,
/// none of it: the caller rolls back.
pub(crate) fn record(
    tx: &mut Transaction<'_>,
    asked: &[&CheckEntry],
    doors: &[&RedeemEntry],
) -> Result<Outcomes, DatabaseError> {
    let replayed = claim_idempotency(tx.conn, asked)?;
    let fresh = asked.iter().enumerate().filter(|(at, _)| !replayed.contains_key(at));
    let checks: Vec<(usize, &CheckEntry)> = fresh.map(|(at, check)| (at, *check)).collect();

    let subjects = subjects::resolve(tx.conn, tx.context, &checks.iter().map(|(_, check)| *check).collect::<Vec<_>>())?;
    let mut referrals_of = hold_referred(tx.conn, &checks, &subjects)?;
    let entering: Vec<_> = doors.iter().map(|entry| (&entry.grant, entry.at)).collect();
    let mut counters = LimitCounters::lock(tx.conn, &granted(&checks, &subjects)?, &entering)?;
    let mut settled = admit(&mut counters, &checks, &subjects)?;
    for ((_, check), settled) in checks.iter().zip(&mut settled) {
        if settled.decided.decision == Decision::Referred {
            let subject = subject_of(&subjects, check)?;
            settled.joins = referrals_of.join(check, &subject.pseudonym);
        }
    }

    let mut leaves: Vec<Leaf> = Vec::with_capacity(checks.len() + doors.len());
    let mut grants = Vec::new();
    let mut referred = Vec::new();
    for ((_, check), settled) in checks.iter().zip(&settled) {
        leaves.push(check::leaf(tx.context, check, subject_of(&subjects, check)?, settled)?);
        grants.extend(grant_row(check, settled));
        referred.extend(case::row(check, subject_of(&subjects, check)?, settled));
    }
    let mut tokens = Tokens::lock(tx.conn, doors)?;
    let mut redemptions = Vec::with_capacity(doors.len());
    for entry in doors {
        let (answer, leaf) = tokens.redeem(entry, &mut counters)?;
        leaves.extend(leaf);
        redemptions.push(answer);
    }
    counters.store(tx.conn)?;
    store::insert_grants(tx.conn, &grants)?;
    store::insert_referrals(tx.conn, &referred)?;
    tokens.store(tx.conn)?;

    let mut receipts = tx.append(leaves)?.into_iter();
    let mut outcomes: BTreeMap<usize, CheckOutcome> = BTreeMap::new();
    for ((at, check), settled) in checks.into_iter().zip(settled) {
        let receipt: Receipt = receipts.next().ok_or(DatabaseError::NotFound)?;
        outcomes.insert(at, CheckOutcome::Recorded(Box::new(check::record(check, settled, receipt))));
    }
    for (at, earlier) in replayed {
        let check = asked.get(at).ok_or(DatabaseError::NotFound)?;
        outcomes.insert(at, replay_of(tx, check, earlier)?);
    }
    Ok(Outcomes { checks: outcomes.into_values().collect(), redemptions })
}

/// Holds the people whose checks are left to a person until the commit: an erasure closes what is open about
/// someone, and must see it; and of two replicas that refer the same person, one sees the other's referral. Who is
/// erased already is someone new the next time. Returns what is open about them.
fn hold_referred(
    conn: &mut AnyConnection,
    checks: &[(usize, &CheckEntry)],
    subjects: &Subjects,
) -> Result<OpenReferrals, DatabaseError> {
    let mut open = OpenReferrals::default();
    let mut referred: BTreeMap<&MerchantId, BTreeSet<&str>> = BTreeMap::new();
    for (_, check) in checks.iter().filter(|(_, check)| check.decided.decision == Decision::Referred) {
        referred.entry(&check.merchant).or_default().insert(subject_of(subjects, check)?.pseudonym.as_str());
    }
    for (merchant, people) in referred {
        let people: Vec<&str> = people.into_iter().collect();
        if people::hold_subjects(conn, merchant, &people)?.len() < people.len() {
            return Err(DatabaseError::Conflict);
        }
        open.load(conn, merchant, &people)?;
    }
    Ok(open)
}

/// The checks that the rules grant, for which limits have the last word.
fn granted<'a>(
    checks: &[(usize, &'a CheckEntry)],
    subjects: &'a Subjects,
) -> Result<Vec<(&'a CheckEntry, &'a Pseudonym)>, DatabaseError> {
    let granted = checks.iter().filter(|(_, check)| check.decided.is_granted());
    granted.map(|(_, check)| Ok((*check, &subject_of(subjects, check)?.pseudonym))).collect()
}

/// Admits one by one in the order of arrival.
fn admit(
    counters: &mut LimitCounters,
    checks: &[(usize, &CheckEntry)],
    subjects: &Subjects,
) -> Result<Vec<Settled>, DatabaseError> {
    let mut settled = Vec::with_capacity(checks.len());
    for (_, check) in checks {
        let subject = subject_of(subjects, check)?;
        let granted = check.decided.is_granted();
        let admission = granted.then(|| counters.admit(check, &subject.pseudonym)).transpose()?;
        settled.push(check::settle(check, subject, admission));
    }
    Ok(settled)
}

/// The answer that the ledger would give to a check now. Nothing is recorded or locked, so another may come
/// first.
pub(crate) fn preview(
    conn: &mut AnyConnection,
    context: &WriterContext,
    check: &CheckEntry,
) -> Result<Decided, DatabaseError> {
    let subject = subjects::guess(conn, context, check)?;
    let admission = LimitCounters::peek(conn, check, &subject.pseudonym)?.admit(check, &subject.pseudonym)?;
    Ok(check.decided.clone().limited(admission))
}

fn subject_of<'a>(subjects: &'a Subjects, check: &CheckEntry) -> Result<&'a Subject, DatabaseError> {
    subjects.get(&(check.merchant.clone(), check.subject)).ok_or(DatabaseError::NotFound)
}

fn grant_row(check: &CheckEntry, settled: &Settled) -> Option<GrantRow> {
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
    })
}

/// Claims the batch's idempotency keys; returns, for each entry that came second, who was first.
fn claim_idempotency(
    conn: &mut AnyConnection,
    checks: &[&CheckEntry],
) -> Result<HashMap<usize, IdempotencyRow>, DatabaseError> {
    let mut rows: BTreeMap<(String, String, String), (usize, IdempotencyRow)> = BTreeMap::new();
    for (at, check) in checks.iter().enumerate() {
        let Some(idempotency) = &check.idempotency else { continue };
        let row = idempotency_row(check, &idempotency.key, &idempotency.request_hash);
        rows.insert((row.merchant_id.clone(), row.key_id.clone(), row.idempotency_key.clone()), (at, row));
    }
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let sorted: Vec<IdempotencyRow> = rows.values().map(|(_, row)| row.clone()).collect();
    store::insert_idempotency(conn, &sorted)?;
    let mut replayed = HashMap::new();
    for holder in store::list_idempotency(conn, &sorted)? {
        let key = (holder.merchant_id.clone(), holder.key_id.clone(), holder.idempotency_key.clone());
        let (at, row) = rows.remove(&key).ok_or(DatabaseError::NotFound)?;
        // Ours holds our own check id, which nobody else can have.
        if holder.outcome != row.outcome {
            replayed.insert(at, holder);
        }
    }
    // Each is held by someone: a holder that expired while we looked was ours to take over.
    if rows.is_empty() { Ok(replayed) } else { Err(DatabaseError::Conflict) }
}

fn idempotency_row(check: &CheckEntry, key: &str, request_hash: &[u8; 32]) -> IdempotencyRow {
    let created_at = check.at.as_microsecond();
    IdempotencyRow {
        merchant_id: check.merchant.as_str().to_owned(),
        key_id: check.key.as_str().to_owned(),
        operation: CHECK_OPERATION.to_owned(),
        idempotency_key: key.to_owned(),
        request_hash: request_hash.to_vec(),
        outcome: check.check.as_str().as_bytes().to_vec(),
        created_at,
        expires_at: created_at.saturating_add(i64::try_from(IDEMPOTENCY_WINDOW.as_micros()).unwrap_or(i64::MAX)),
    }
}

fn replay_of(
    tx: &mut Transaction<'_>,
    check: &CheckEntry,
    earlier: IdempotencyRow,
) -> Result<CheckOutcome, DatabaseError> {
    let asked = check.idempotency.as_ref().map(|i| i.request_hash.as_slice());
    if asked != Some(earlier.request_hash.as_slice()) {
        return Ok(CheckOutcome::KeyReused);
    }
    let text = String::from_utf8(earlier.outcome).map_err(|e| DatabaseError::corrupt("idempotent outcome", e))?;
    let id: CheckId = text.parse().map_err(|e| DatabaseError::corrupt("idempotent outcome", e))?;
    let record =
        replay::find_check(tx.conn, &tx.context.keyring, &check.merchant, &id)?.ok_or(DatabaseError::NotFound)?;
    Ok(CheckOutcome::Recorded(Box::new(record.get().clone())))
}
