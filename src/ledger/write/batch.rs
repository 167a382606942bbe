//! One batch inside its transaction. The order of the steps is what keeps replicas from waiting
//! for each other in circles and the log heads, which everyone needs, locked for the shortest time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::admission::LimitCounters;
use super::append::{self, Leaf};
use super::check::{self, Settled};
use super::known::Known;
use super::prepared::{PreparedCheck, Written};
use super::redemption::Tokens;
use super::subjects::{self, Subject};
use super::transaction::Transaction;
use crate::database::{AnyConnection, DatabaseError};
use crate::decision::decide::Decision;
use crate::decision::decided::Decided;
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::Pseudonym;
use crate::ledger::IDEMPOTENCY_WINDOW;
use crate::ledger::cases::case;
use crate::ledger::cases::case::OpenReferrals;
use crate::ledger::context::WriterContext;
use crate::ledger::digests;
use crate::ledger::door::{RedeemEntry, Redeemed};
use crate::ledger::entry::{CheckEntry, CheckRecord, Receipt};
use crate::ledger::idempotency::{answered, replay};
use crate::ledger::store::{self, BatchRows, GrantRow, IdempotencyRow, people};
use crate::rules::limit::ScopeDigests;

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
    asked: &[&PreparedCheck],
    doors: &[&RedeemEntry],
) -> Result<Outcomes, DatabaseError> {
    let replayed = claim_idempotency(tx.conn, asked)?;
    let fresh = asked.iter().enumerate().filter(|(at, _)| !replayed.contains_key(at));
    let checks: Vec<&PreparedCheck> = fresh.map(|(_, check)| *check).collect();

    let people = subjects::resolve(tx.conn, tx.context, tx.known, &entries(&checks))?;
    let digests = digests::resolve(tx.conn, tx.context, &entries(&checks))?;
    let checks: Vec<Asked<'_>> = asked_about(&checks, people, digests);
    // Whom an erasure took, the memory may still have: it is not asked again.
    let held = hold_referred(tx.conn, &checks);
    let mut referrals_of = held.inspect_err(|_| tx.known.subjects.forget())?;
    let entering: Vec<_> = doors.iter().map(|entry| (&entry.grant, entry.at)).collect();
    let mut counters = LimitCounters::lock(tx.conn, &granted(&checks), &entering)?;
    let mut written = Vec::with_capacity(checks.len());
    for asked in &checks {
        written.push(asked.written(tx.context, |check, subject| {
            let mut settled = admit(tx.conn, &mut counters, check, subject, &asked.digests)?;
            if settled.decided.decision == Decision::Referred {
                settled.joins = referrals_of.join(check, &subject.pseudonym);
            }
            Ok(settled)
        })?);
    }

    let referred = checks.iter().zip(&written);
    let referred: Vec<_> =
        referred.filter_map(|(it, written)| case::row(it.check, &it.subject, &written.settled)).collect();
    let (settled, mut leaves, grants) = apart(written);
    let mut tokens = Tokens::lock(tx.conn, doors)?;
    let mut redemptions = Vec::with_capacity(doors.len());
    for entry in doors {
        let (answer, leaf) = tokens.redeem(entry, &mut counters)?;
        leaves.extend(leaf);
        redemptions.push(answer);
    }
    counters.store(tx.conn)?;
    store::insert_referrals(tx.conn, &referred)?;
    tokens.store(tx.conn)?;

    let receipts = append::append(tx, leaves, grants)?;
    let mut recorded = recorded(&checks, settled, receipts)?.into_iter();
    let mut replayed = replayed;
    let mut outcomes = Vec::with_capacity(asked.len());
    for (at, check) in asked.iter().enumerate() {
        outcomes.push(match replayed.remove(&at) {
            Some(earlier) => replay_of(tx, check, &earlier)?,
            None => recorded.next().ok_or(DatabaseError::NotFound)?,
        });
    }
    Ok(Outcomes { checks: outcomes, redemptions })
}

/// The rows of checks that can be recorded at once, and the outcomes that are theirs once [`store::record_at_once`] has written
/// them: it does only if everything is as it is assumed here. Nobody holds an idempotency key of theirs, whom the table
/// doesn't know is new, and the heads are as this process left them; and so are the counters then. None where those aren't known.
pub(crate) fn record_at_once(
    conn: &mut AnyConnection,
    context: &WriterContext,
    known: &mut Known,
    asked: &[&PreparedCheck],
) -> Result<Option<(BatchRows, Outcomes)>, DatabaseError> {
    if !append::knows_heads(known, asked.iter().map(|check| &check.merchant)) {
        return Ok(None);
    }
    let found = subjects::find_or_make(conn, context, known, &entries(asked))?;
    let checks = asked_about(asked, found.subjects, vec![ScopeDigests::default(); asked.len()]);
    let mut counters = LimitCounters::find(conn, &granted(&checks))?;
    let mut written = Vec::with_capacity(checks.len());
    for asked in &checks {
        let settle = |check: &CheckEntry, subject: &Subject| admit(conn, &mut counters, check, subject, &asked.digests);
        written.push(asked.written(context, settle)?);
    }
    let (settled, leaves, grants) = apart(written);
    let counters = counters.into_changed();
    let Some((rows, receipts)) = append::place_at_once(context, known, leaves)? else { return Ok(None) };
    let mut claims: Vec<IdempotencyRow> = asked.iter().filter_map(|check| idempotency_row(check)).collect();
    claims.sort_by(|one, other| one.key().cmp(&other.key()));
    let outcomes = Outcomes { checks: recorded(&checks, settled, receipts)?, redemptions: Vec::new() };
    Ok(Some((BatchRows { claims, people: found.new, counters, grants, ..rows }, outcomes)))
}

/// A check, and whom it is about.
struct Asked<'a> {
    check: &'a PreparedCheck,
    subject: Arc<Subject>,
    digests: ScopeDigests,
}

impl Asked<'_> {
    /// The check as it was prepared, or as `settle` settles it.
    fn written(
        &self,
        context: &WriterContext,
        settle: impl FnOnce(&CheckEntry, &Subject) -> Result<Settled, DatabaseError>,
    ) -> Result<Written, DatabaseError> {
        match self.check.take(&self.subject) {
            Some(written) => Ok(written),
            None => Written::of(context, self.check, &self.subject, settle(self.check, &self.subject)?),
        }
    }
}

fn entries<'a>(checks: &[&'a PreparedCheck]) -> Vec<&'a CheckEntry> {
    checks.iter().map(|check| &***check).collect()
}

fn asked_about<'a>(
    checks: &[&'a PreparedCheck],
    people: Vec<Arc<Subject>>,
    digests: Vec<ScopeDigests>,
) -> Vec<Asked<'a>> {
    let each = checks.iter().zip(people).zip(digests);
    each.map(|((check, subject), digests)| Asked { check, subject, digests }).collect()
}

fn apart(written: Vec<Written>) -> (Vec<Settled>, Vec<Leaf>, Vec<GrantRow>) {
    let (mut settled, mut leaves, mut grants) =
        (Vec::with_capacity(written.len()), Vec::with_capacity(written.len()), Vec::new());
    for it in written {
        settled.push(it.settled);
        leaves.push(it.leaf);
        grants.extend(it.grant);
    }
    (settled, leaves, grants)
}

/// The outcomes of settled checks, which have the first receipts.
fn recorded(
    checks: &[Asked<'_>],
    settled: Vec<Settled>,
    receipts: Vec<Receipt>,
) -> Result<Vec<CheckOutcome>, DatabaseError> {
    let mut receipts = receipts.into_iter();
    let mut outcomes = Vec::with_capacity(checks.len());
    for (asked, settled) in checks.iter().zip(settled) {
        let receipt = receipts.next().ok_or(DatabaseError::NotFound)?;
        outcomes.push(CheckOutcome::Recorded(Box::new(check::record(asked.check, settled, receipt))));
    }
    Ok(outcomes)
}

/// Holds the people whose checks are left to a person until the commit: an erasure closes what is open about
/// someone, and must see it; and of two replicas that refer the same person, one sees the other's referral. Who is
/// erased already is someone new the next time. Returns what is open about them.
fn hold_referred(conn: &mut AnyConnection, checks: &[Asked<'_>]) -> Result<OpenReferrals, DatabaseError> {
    let mut open = OpenReferrals::default();
    let mut referred: BTreeMap<&MerchantId, BTreeSet<&str>> = BTreeMap::new();
    for Asked { check, subject, .. } in checks.iter().filter(|it| it.check.decided.decision == Decision::Referred) {
        referred.entry(&check.merchant).or_default().insert(subject.pseudonym.as_str());
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
fn granted<'a>(checks: &'a [Asked<'_>]) -> Vec<(&'a CheckEntry, &'a Pseudonym, &'a ScopeDigests)> {
    let granted = checks.iter().filter(|it| it.check.decided.is_granted());
    granted.map(|it| (&**it.check, &it.subject.pseudonym, &it.digests)).collect()
}

/// Admits the next one, in the order of arrival.
fn admit(
    conn: &mut AnyConnection,
    counters: &mut LimitCounters,
    check: &CheckEntry,
    subject: &Subject,
    digests: &ScopeDigests,
) -> Result<Settled, DatabaseError> {
    if !check.decided.is_granted() {
        return Ok(check::settle(check, subject, digests.clone(), None, None));
    }
    let admission = counters.admit(check, &subject.pseudonym, digests)?;
    let next = counters.next_grant(conn, check, &subject.pseudonym, digests, &admission)?;
    Ok(check::settle(check, subject, digests.clone(), Some(admission), next))
}

/// The answer that the ledger would give to a check now. Nothing is recorded or locked, so another may come
/// first.
pub(crate) fn preview(
    conn: &mut AnyConnection,
    context: &WriterContext,
    check: &CheckEntry,
) -> Result<Decided, DatabaseError> {
    let subject = subjects::guess(conn, context, check)?.pseudonym;
    let (digests, _) = digests::peek(conn, context, check)?;
    let mut counters = LimitCounters::peek(conn, check, &subject, &digests)?;
    let admission = counters.admit(check, &subject, &digests)?;
    let next = if admission.admitted {
        // Nobody waits for what is granted; what no limit was asked about keeps what is known of it.
        check.decided.next_eligible_at
    } else {
        counters.next_grant(conn, check, &subject, &digests, &admission)?
    };
    Ok(check.decided.clone().limited(admission, next))
}

/// When waiting is enough for a check that its rule refuses, and whose limits would then be asked. Nothing is locked.
pub(crate) fn next_admitted(
    conn: &mut AnyConnection,
    context: &WriterContext,
    check: &CheckEntry,
) -> Result<Option<Timestamp>, DatabaseError> {
    let subject = subjects::guess(conn, context, check)?;
    let (digests, _) = digests::peek(conn, context, check)?;
    LimitCounters::next_admitted(conn, check, &subject.pseudonym, &digests)
}

/// Claims the batch's idempotency keys; returns, for each entry that came second, who was first. An answer about someone
/// who has been erased since is nobody's: who asks again asks something new, and who asks about another under that key
/// must not learn that it was about someone.
fn claim_idempotency(
    conn: &mut AnyConnection,
    checks: &[&PreparedCheck],
) -> Result<HashMap<usize, IdempotencyRow>, DatabaseError> {
    let asked = checks.iter().enumerate();
    let mut asked: Vec<(usize, IdempotencyRow)> =
        asked.filter_map(|(at, it)| Some((at, idempotency_row(it)?))).collect();
    asked.sort_by(|(_, one), (_, other)| one.key().cmp(&other.key()));
    let (places, sorted): (Vec<usize>, Vec<IdempotencyRow>) = asked.into_iter().unzip();
    // Where all were written, nobody else holds any.
    if sorted.is_empty() || store::insert_idempotency(conn, &sorted)? == sorted.len() {
        return Ok(HashMap::new());
    }
    let (mut replayed, mut held) = (HashMap::new(), 0);
    for holder in store::list_idempotency(conn, &sorted)? {
        let nth = sorted.binary_search_by(|row| row.key().cmp(&holder.key())).map_err(|_| DatabaseError::NotFound)?;
        let (Some(row), Some(at)) = (sorted.get(nth), places.get(nth)) else { return Err(DatabaseError::NotFound) };
        held += 1;
        // Ours holds our own check id, which nobody else can have.
        if holder.outcome == row.outcome {
            continue;
        }
        let check = checks.get(*at).ok_or(DatabaseError::NotFound)?;
        if !replay::is_of_erased(conn, &check.merchant, &answered::check_of(&holder)?)? {
            replayed.insert(*at, holder);
        } else if store::update_idempotency(conn, &holder, row)? == 0 {
            return Err(DatabaseError::Conflict);
        }
    }
    // Each is held by someone: a holder that expired while we looked was ours to take over.
    if held == sorted.len() { Ok(replayed) } else { Err(DatabaseError::Conflict) }
}

fn idempotency_row(check: &CheckEntry) -> Option<IdempotencyRow> {
    let idempotency = check.idempotency.as_ref()?;
    let created_at = check.at.as_microsecond();
    Some(IdempotencyRow {
        merchant_id: check.merchant.as_str().to_owned(),
        key_id: check.key.as_str().to_owned(),
        operation: CHECK_OPERATION.to_owned(),
        idempotency_key: idempotency.key.clone(),
        request_hash: idempotency.request_hash.to_vec(),
        outcome: check.check.as_str().as_bytes().to_vec(),
        created_at,
        expires_at: created_at.saturating_add(i64::try_from(IDEMPOTENCY_WINDOW.as_micros()).unwrap_or(i64::MAX)),
    })
}

fn replay_of(
    tx: &mut Transaction<'_>,
    check: &CheckEntry,
    earlier: &IdempotencyRow,
) -> Result<CheckOutcome, DatabaseError> {
    let asked = check.idempotency.as_ref().map(|i| i.request_hash.as_slice());
    if asked != Some(earlier.request_hash.as_slice()) {
        return Ok(CheckOutcome::KeyReused);
    }
    let id = answered::check_of(earlier)?;
    let record =
        replay::find_check(tx.conn, &tx.context.keyring, &check.merchant, &id)?.ok_or(DatabaseError::NotFound)?;
    Ok(CheckOutcome::Recorded(Box::new(record.get().clone())))
}
