//! Erasing a person: what names them is destroyed, and their events are nobody's from then on.
//!
//! One transaction: the person's row is locked first, so that whatever is being opened about them is either
//! there or refused (opening a case keeps the row from being deleted: `people::hold_subjects`). Then sums of events
//! count them as nobody, which takes their secret ([`Summaries`](crate::ledger::Summaries)); of someone with many events that
//! is reckoned beforehand, outside the writer. Then what is
//! open about them is locked and closed, because it is not known any more who it is about; then the row with the
//! secret goes, and what other rooms hold under the same reference; then the event, in the log that goes on
//! proving everything. A check that is decided meanwhile under the old secret becomes nobody's too.
//!
//! Retained, and naming nobody: events with what is sealed in them, which nobody can open any more; grants
//! and their tokens, which go on opening doors until they expire; counters of limits. Someone who comes
//! back is someone new, with another pseudonym, so their limits begin again: keeping the old ones would
//! mean keeping who they are. It is not done silently: the answer lists what is let go, and its
//! number stands in the event.
//!
//! Anything new about people that is open when they are erased is closed in `close`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::database::{Abort, AnyConnection, Database, DatabaseError};
use crate::foundation::ids::{EventId, MerchantId};
use crate::foundation::subject::{Pseudonym, SubjectRef, SubjectRefs};
use crate::ledger::cases::model::ReferralStatus;
use crate::ledger::cases::referral::{self, Resolution};
use crate::ledger::cases::requests;
use crate::ledger::context::WriterContext;
use crate::ledger::entry::{Actor, LogOwner, NOBODY};
use crate::ledger::events::subjects::{SUBJECT_ERASED, SubjectErased};
use crate::ledger::events::{Event, Nullable, leaf_hash};
use crate::ledger::read::person::{self, LimitHeld};
use crate::ledger::store;
use crate::ledger::store::people as rows;
use crate::ledger::write::append::Leaf;
use crate::ledger::write::handle::WriterHandle;
use crate::ledger::write::transaction::{Transaction, WorkStamp};
use crate::ledger::write::writer::MAX_TRIES;
use crate::ledger::{LedgerError, PreparedSums};
use crate::telemetry::Outage;

/// The kind of an erasure's event; it is about the pseudonym that is nobody's any more.
pub const KIND: &str = SUBJECT_ERASED;

/// The tables that name people, or say of a few of them what was sealed.
const TABLES: &str = "subjects, klout_ids, report_quarters, report_people";

/// The time a request waits for the database to get rid of what deleted rows left behind, and the time
/// one try takes afterwards: a vacuum that is cut off has done a part, and the next one goes on.
const SCRUB_PATIENCE: Duration = Duration::from_secs(5);
const LONG_SCRUB_PATIENCE: Duration = Duration::from_mins(1);

/// The person who is erased, and the one who erases them.
#[derive(Debug, Clone)]
pub struct Erasure {
    pub merchant: MerchantId,
    pub subject: SubjectRefs,
    pub by: Actor,
    /// The person's own request, where they asked for it by a link.
    pub asked: Option<AskedFor>,
}

/// A person's request to be erased, as it was found to be due.
#[derive(Debug, Clone)]
pub struct AskedFor {
    /// The person's name in events.
    pub name: Pseudonym,
    /// The limits that were seen to hold them no more: another visit puts it off.
    pub limits: Vec<LimitHeld>,
    /// Until when it waits for the record that they asked for too.
    pub waits_until: Timestamp,
}

/// The rows of other rooms that went with a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgotten {
    pub scores: u64,
    pub attributes: u64,
    /// Accounts that were linked, and signals, as they were counted just before; very many count as 100,000.
    pub accounts: u64,
    pub signals: u64,
}

/// The data that was held on a person, and is theirs no more.
#[derive(Debug, Clone)]
pub struct Erased {
    /// Their pseudonym in their events; none for someone whom neither a check nor an enrolment was ever about.
    pub pseudonym: Option<Pseudonym>,
    /// Their pseudonym in events about another form of their handle, if some were about both.
    pub former: Option<Pseudonym>,
    pub forgotten: Forgotten,
    /// Referrals that were open and are closed.
    pub referrals: u64,
    /// The uses of limits whose windows may still be open: they begin again for a person who comes
    /// back.
    pub limits: Vec<LimitHeld>,
    /// True if the signals, and old copies in the database's files, are deleted too. Otherwise it is tried again.
    pub is_purged: bool,
}

/// Erases a person in a transaction of the writer, which is tried again when another was in its way; `forget` is what
/// other rooms do in it.
pub(crate) async fn erase(
    writer: &WriterHandle,
    erasure: Erasure,
    forget: impl Fn(&mut AnyConnection) -> Result<Forgotten, DatabaseError> + Send + Sync + 'static,
) -> Result<Option<Erased>, LedgerError> {
    let asked = Arc::new((erasure, forget));
    let until = writer.deadline();
    let mut tries = 0;
    loop {
        tries += 1;
        // The last try waits for no sums to stand still.
        let prepared = if tries < MAX_TRIES { prepare(&writer.context, &asked.0).await } else { None };
        let asked = asked.clone();
        let work = move |tx: &mut Transaction<'_>, stamp: &WorkStamp| {
            let (erasure, forget) = asked.as_ref();
            erase_in(tx, erasure, stamp, prepared, forget).map_err(Abort::<LedgerError>::Database)
        };
        match writer.in_writer_until(until, None, work).await {
            Err(LedgerError::Database(DatabaseError::Conflict | DatabaseError::Unclassified(_)))
                if tries < MAX_TRIES && Instant::now() < until => {}
            Err(LedgerError::Database(error)) => return Err(LedgerError::from(&error)),
            erased => return erased,
        }
    }
}

/// The changes of the sums that the erasure makes, where that is much. If it can't be said, the transaction finds out.
async fn prepare(context: &WriterContext, erasure: &Erasure) -> Option<PreparedSums> {
    let (means, merchant) = (context.clone(), erasure.merchant.clone());
    let references: Vec<SubjectRef> = erasure.subject.in_order().collect();
    let prepared = context.database.read(move |conn| {
        let wanted: Vec<(&str, &[u8])> =
            references.iter().map(|reference| (merchant.as_str(), reference.0.as_slice())).collect();
        let found = rows::list_subjects(conn, &wanted)?;
        let names: Vec<Pseudonym> = found.iter().map(|row| Pseudonym::stored(&row.pseudonym)).collect();
        means.summaries.prepare_erasing(conn, &means.keyring, &merchant, &names.iter().collect::<Vec<_>>())
    });
    prepared.await.unwrap_or_else(|error| {
        tracing::debug!(%error, "sums were not prepared for an erasure");
        None
    })
}

/// The clearing of what deleted rows left in the database's files; cheap to clone. It holds no handle of the writer:
/// anyone who stops would wait for it.
#[derive(Clone)]
pub(crate) struct Purge {
    database: Database,
    /// True if something may be left.
    is_pending: Arc<AtomicBool>,
}

impl Purge {
    pub(crate) fn new(database: Database) -> Self {
        Self { database, is_pending: Arc::default() }
    }

    /// Clears what an erasure has just left, while its caller waits; true if nothing is left any more.
    pub(crate) async fn at_once(&self) -> bool {
        self.run(SCRUB_PATIENCE).await
    }

    /// Clears what earlier erasures left, if anything may be left; in nobody's way.
    pub(crate) fn in_background(&self) {
        if self.is_pending.load(Ordering::Relaxed) {
            let this = self.clone();
            tokio::spawn(async move { this.run(LONG_SCRUB_PATIENCE).await });
        }
    }

    async fn run(&self, patience: Duration) -> bool {
        static OUTAGE: Outage =
            Outage::new("what erased rows left in the database's files can't be cleared", "it is cleared again");
        let is_done = match self.database.scrub(TABLES, patience).await {
            Ok(is_done) => {
                OUTAGE.succeeded();
                is_done
            }
            Err(error) => {
                OUTAGE.failed(&error);
                false
            }
        };
        self.is_pending.store(!is_done, Ordering::Relaxed);
        is_done
    }
}

fn erase_in(
    tx: &mut Transaction<'_>,
    erasure: &Erasure,
    stamp: &WorkStamp,
    prepared: Option<PreparedSums>,
    forget: &impl Fn(&mut AnyConnection) -> Result<Forgotten, DatabaseError>,
) -> Result<Option<Erased>, DatabaseError> {
    let Erasure { merchant, subject, .. } = erasure;
    let WorkStamp { at, event } = stamp;
    let at = *at;
    let mut leaves = Vec::new();
    let mut erased = Erased {
        pseudonym: None,
        former: None,
        forgotten: Forgotten::default(),
        referrals: 0,
        limits: Vec::new(),
        is_purged: false,
    };
    let known = lock(tx.conn, merchant, subject)?;
    // In the person's own name only as they asked for: the merchant may have declined it meanwhile.
    if erasure.by.role == requests::PERSON.role
        && !(requests::is_erasure_due(tx.conn, merchant, known.iter().map(|(_, name)| name.as_str()), at)?
            && is_still_so(tx.conn, merchant, erasure.asked.as_ref(), at)?)
    {
        return Ok(None);
    }
    if !known.is_empty() {
        if let Some(prepared) = prepared
            && !prepared(tx.conn)?
        {
            return Err(DatabaseError::Conflict);
        }
        // The rest, which came since.
        let names: Vec<&Pseudonym> = known.iter().map(|(_, name)| name).collect();
        tx.context.summaries.erasing(tx.conn, &tx.context.keyring, merchant, &names)?;
    }
    // The row under the form of an earlier build is the same person's, and goes with an event of its own.
    for (reference, name) in &known {
        let limits = person::limits_of(tx.conn, merchant, name, at)?;
        let closed = close(tx.conn, tx.context, erasure, name, at)?;
        requests::settle(tx.conn, merchant, name.as_str())?;
        if !rows::delete_subject(tx.conn, merchant, &reference.0, name.as_str())? {
            // Another replica was first: its own event records it. Look again.
            return Err(DatabaseError::Conflict);
        }
        let (count, number) = (closed.len(), limits.len());
        erased.referrals += u64::try_from(count).unwrap_or(u64::MAX);
        erased.limits.extend(limits);
        leaves.extend(closed);
        if erased.pseudonym.is_none() {
            erased.forgotten = forget(tx.conn)?;
            leaves.push(leaf(erasure, event.clone(), at, Some(name), (erased.forgotten, count, number)));
            erased.pseudonym = Some(name.clone());
        } else {
            let event = EventId::new(at, &tx.context.entropy);
            leaves.push(leaf(erasure, event, at, Some(name), (Forgotten::default(), count, number)));
            erased.former = Some(name.clone());
        }
    }
    if known.is_empty() {
        erased.forgotten = forget(tx.conn)?;
        if erased.forgotten == Forgotten::default() {
            return Ok(None);
        }
        leaves.push(leaf(erasure, event.clone(), at, None, (erased.forgotten, 0, 0)));
    }
    tx.append(leaves)?;
    Ok(Some(erased))
}

/// Tells whether a request is as it was found to be due: no limit was used meanwhile, and no record is waited for.
fn is_still_so(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    asked: Option<&AskedFor>,
    at: Timestamp,
) -> Result<bool, DatabaseError> {
    let Some(AskedFor { name, limits, waits_until }) = asked else { return Ok(true) };
    let is_waiting = at < *waits_until && requests::is_record_pending(conn, merchant, name.as_str())?;
    Ok(!is_waiting && person::limits_of(conn, merchant, name, at)? == *limits)
}

/// The person's rows, locked: by the form of the handle first, and by that of an earlier build if there is one too.
fn lock(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRefs,
) -> Result<Vec<(SubjectRef, Pseudonym)>, DatabaseError> {
    let mut references: Vec<SubjectRef> = subject.in_order().collect();
    // In the order in which everyone locks several.
    references.sort_unstable();
    let mut found = Vec::new();
    for reference in references {
        let row = rows::lock_subject(conn, merchant, &reference.0)?;
        found.extend(row.map(|row| (reference, Pseudonym::stored(&row.pseudonym))));
    }
    found.sort_by_key(|(reference, _)| *reference != subject.current);
    Ok(found)
}

/// The event of an erasure, with how many scores, attributes, referrals and limits went with it.
fn leaf(
    erasure: &Erasure,
    id: EventId,
    at: Timestamp,
    pseudonym: Option<&Pseudonym>,
    (forgotten, referrals, limits): (Forgotten, usize, usize),
) -> Leaf {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let about = pseudonym.map_or(NOBODY, Pseudonym::as_str).to_owned();
    let body = Event {
        id: &id,
        kind: KIND,
        at,
        merchant: Some(&erasure.merchant),
        actor: &erasure.by,
        about: &about,
        facts: &SubjectErased {
            accounts: (forgotten.accounts > 0).then_some(forgotten.accounts),
            attributes: (forgotten.attributes > 0).then_some(forgotten.attributes),
            limits: count(limits),
            referrals: count(referrals),
            scores: forgotten.scores,
            signals: (forgotten.signals > 0).then_some(forgotten.signals),
            subject: Nullable::text(pseudonym.map(Pseudonym::as_str)),
        },
        sealed: None,
    }
    .to_body();
    Leaf { log: LogOwner::Merchant(erasure.merchant.clone()), id, kind: KIND, about, at, hash: leaf_hash(&body), body }
}

/// Closes what waits for someone's word about the person.
fn close(
    conn: &mut AnyConnection,
    context: &WriterContext,
    erasure: &Erasure,
    pseudonym: &Pseudonym,
    at: Timestamp,
) -> Result<Vec<Leaf>, DatabaseError> {
    let merchant = &erasure.merchant;
    let open = ReferralStatus::Open.as_str();
    let mut leaves = Vec::new();
    for mut row in rows::lock_open_referrals_of(conn, merchant, pseudonym.as_str(), open)? {
        let check = row.check_id.parse().map_err(|e| DatabaseError::corrupt("check id", e))?;
        let resolution = Resolution {
            merchant: merchant.clone(),
            check,
            event: EventId::new(at, &context.entropy),
            at,
            by: erasure.by.clone(),
            note: String::new(),
            grant: None,
        };
        referral::settle_row(&mut row, &resolution, None);
        if row.contested_at.is_some() {
            ReferralStatus::Closed.as_str().clone_into(&mut row.status);
        }
        store::update_referral(conn, merchant, &row)?;
        leaves.push(referral::leaf(context, &resolution, &row, None)?);
    }
    Ok(leaves)
}
