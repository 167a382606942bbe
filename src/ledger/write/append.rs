//! Appending to the logs: index, leaf hash, new root and one signed checkpoint a log.
//!
//! There are two ways. [`append`] locks the heads and places the events behind them. [`place_at_once`] places them behind
//! the heads as this process left them, for a statement that writes them only if that is so (`at_once.rs`).

use std::collections::BTreeMap;

use jiff::Timestamp;

pub(crate) use super::continuity::KnownLogs;
use super::continuity::LeftHead;
use super::known::Known;
use super::transaction::Transaction;
use crate::database::followed::bump_epoch;
use crate::database::{AnyConnection, DatabaseError, migrate};
use crate::foundation::ids::{EventId, LogId, MerchantId};
use crate::keyring::EPOCH;
use crate::ledger::context::WriterContext;
use crate::ledger::entry::{LogOwner, Receipt};
use crate::ledger::events::KINDS;
use crate::ledger::events::subjects::SUBJECT_ERASED;
use crate::ledger::origin;
use crate::ledger::store::{self, BatchRows, EventRow, ExpectedState, GrantRow, LogRow, MovedHead, SubtreeRow, heads};
use crate::tlog::merkle::{Frontier, Hash};
use crate::tlog::note::{Checkpoint, VerifierKey};

/// The most events of others that are looked through for an erasure.
const MOST_LOOKED_AT: i64 = 10_000;

/// An event whose bytes are final and whose place is not known yet.
pub(crate) struct Leaf {
    pub log: LogOwner,
    pub id: EventId,
    pub kind: &'static str,
    pub about: String,
    pub at: Timestamp,
    /// The hash of the body.
    pub hash: Hash,
    pub body: String,
}

/// The head of a log while events are placed behind it.
struct Head {
    row: LogRow,
    frontier: Frontier,
    was: (i64, Vec<u8>),
    expected: Option<ExpectedState>,
}

impl Head {
    fn new(row: LogRow, expected: Option<ExpectedState>) -> Result<Self, DatabaseError> {
        let frontier = Frontier::from_bytes(&row.frontier).map_err(|e| DatabaseError::corrupt("log frontier", e))?;
        Ok(Self { was: (row.size, row.root.clone()), row, frontier, expected })
    }

    /// The row with the checkpoint of all that was placed.
    fn signed(mut self, context: &WriterContext) -> Result<LogRow, DatabaseError> {
        let key = context.keyring.log_key();
        let (origin, frontier) = (self.row.origin.clone(), &self.frontier);
        let checkpoint = Checkpoint { origin, size: frontier.size(), root: frontier.root() };
        self.row.size = signed_size(frontier.size())?;
        self.row.frontier = frontier.to_bytes();
        self.row.root = checkpoint.root.to_vec();
        let verifier = origin::verifier(&self.row.origin, &self.row.id, key.verifier())
            .map_err(|e| DatabaseError::corrupt("log origin", e))?;
        self.row.checkpoint = checkpoint.sign(&verifier, |text| key.sign(text));
        Ok(self.row)
    }
}

fn signed_size(size: u64) -> Result<i64, DatabaseError> {
    i64::try_from(size).map_err(|e| DatabaseError::corrupt("log size", e))
}

/// The heads of a batch, each with its owner.
type Heads = BTreeMap<String, (LogOwner, Head)>;

/// Appends the leaves in their order, with the grants that they are about, and returns their receipts in the same order.
/// It locks the heads, which every batch of a merchant needs, so it must come last in the transaction.
pub(crate) fn append(
    tx: &mut Transaction<'_>,
    leaves: Vec<Leaf>,
    grants: Vec<GrantRow>,
) -> Result<Vec<Receipt>, DatabaseError> {
    let Some(at) = leaves.iter().map(|leaf| leaf.at).max() else {
        return Ok(Vec::new());
    };
    let mut owners: BTreeMap<String, LogOwner> = BTreeMap::new();
    for leaf in &leaves {
        if owners.values().all(|owner| *owner != leaf.log) {
            let id = log_id(tx, &leaf.log, at)?;
            owners.insert(id.as_str().to_owned(), leaf.log.clone());
        }
    }
    let ids: Vec<&str> = owners.keys().map(String::as_str).collect();
    let mut locked: BTreeMap<String, LogRow> =
        store::lock_logs(tx.conn, &ids)?.into_iter().map(|row| (row.id.clone(), row)).collect();
    let mut heads = Heads::new();
    for (id, owner) in owners {
        let row = locked.remove(&id);
        tx.known.logs.check(tx.conn, &owner, row.as_ref())?;
        let mut row = row.ok_or(DatabaseError::NotFound)?;
        rely_on_subjects(tx, &owner, &row)?;
        // A replica of the build before, which still ran when the schema was brought up to date, made this log.
        if row.origin.is_empty() {
            row.origin = origin::legacy(&row.id);
            heads::update_origin(tx.conn, &row.id, &row.origin)?;
            bump_epoch(tx.conn, EPOCH)?;
        }
        heads.insert(id, (owner, Head::new(row, None)?));
    }
    let (rows, receipts) = place(tx.context, tx.known, heads, leaves, at)?;
    let rows = BatchRows { grants, ..rows };
    let versions = store::record_batch(tx.conn, &rows)?;
    tx.known.logs.note_versions(&versions);
    Ok(receipts)
}

/// Tells whether the heads of these merchants' logs, and their versions, are known as this process left them.
pub(crate) fn knows_heads<'a>(known: &Known, mut merchants: impl Iterator<Item = &'a MerchantId>) -> bool {
    merchants.all(|merchant| {
        let left = known.logs.left(&LogOwner::Merchant(merchant.clone()));
        left.is_some_and(|left| left.version.is_some())
    })
}

/// Places the leaves behind the heads as this process left them, and returns what is to be written and the receipts.
/// None where a head, or its version, is not known: [`append`] then.
pub(crate) fn place_at_once(
    context: &WriterContext,
    known: &mut Known,
    leaves: Vec<Leaf>,
) -> Result<Option<(BatchRows, Vec<Receipt>)>, DatabaseError> {
    let Some(at) = leaves.iter().map(|leaf| leaf.at).max() else { return Ok(None) };
    let Some(newest) = known.logs.newest() else { return Ok(None) };
    let schema = migrate::known_versions();
    let mut heads = Heads::new();
    for leaf in &leaves {
        if heads.values().any(|(owner, _)| *owner == leaf.log) {
            continue;
        }
        let Some(LeftHead { row, version: Some(version) }) = known.logs.left(&leaf.log) else { return Ok(None) };
        let expected = ExpectedState { version: version.clone(), schema, newest: newest.clone() };
        heads.insert(row.id.clone(), (leaf.log.clone(), Head::new(row.clone(), Some(expected))?));
    }
    place(context, known, heads, leaves, at).map(Some)
}

fn place(
    context: &WriterContext,
    known: &mut Known,
    mut heads: Heads,
    leaves: Vec<Leaf>,
    at: Timestamp,
) -> Result<(BatchRows, Vec<Receipt>), DatabaseError> {
    let mut events = Vec::with_capacity(leaves.len());
    let mut places = Vec::with_capacity(leaves.len());
    let mut subtrees = Vec::new();
    for leaf in leaves {
        let (_, head) = heads.values_mut().find(|(owner, _)| *owner == leaf.log).ok_or(DatabaseError::NotFound)?;
        // Tests make events of their own.
        debug_assert!(
            KINDS.contains(&leaf.kind) || leaf.kind.starts_with("test."),
            "{} is missing in the list of kinds",
            leaf.kind
        );
        if leaf.kind == SUBJECT_ERASED {
            known.subjects.forget();
        }
        let (hash, log_id, index) = (leaf.hash, head.row.id.clone(), head.frontier.size());
        head.frontier.append_telling(hash, |whole| subtrees.push(SubtreeRow::new(&log_id, &whole)));
        places.push((log_id.clone(), index, hash));
        events.push(EventRow {
            log_id,
            log_index: signed_size(index)?,
            id: leaf.id.as_str().to_owned(),
            kind: leaf.kind.to_owned(),
            about: leaf.about,
            at: leaf.at.as_microsecond(),
            leaf_hash: hash.to_vec(),
            body: Some(leaf.body),
        });
    }
    let mut moved = Vec::with_capacity(heads.len());
    for (owner, head) in heads.into_values() {
        let ((was_size, was_root), expected) = (head.was.clone(), head.expected.clone());
        let log = head.signed(context)?;
        known.logs.sign(owner, LeftHead { row: log.clone(), version: None });
        moved.push(MovedHead { log, was_size, was_root, signed_at: at.as_microsecond(), expected });
    }
    let mut receipts = Vec::with_capacity(places.len());
    for (log, index, leaf_hash) in places {
        let head = &moved.iter().find(|head| head.log.id == log).ok_or(DatabaseError::NotFound)?.log;
        receipts.push(Receipt { log: head.name.clone(), index, leaf_hash, checkpoint: head.checkpoint.clone() });
    }
    let subtrees = subtrees.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok((BatchRows { heads: moved, events, subtrees, ..BatchRows::default() }, receipts))
}

/// Holds the people whom the transaction took from memory to not having been erased: that appends to the log.
/// The head, `row`, is locked.
fn rely_on_subjects(tx: &mut Transaction<'_>, owner: &LogOwner, row: &LogRow) -> Result<(), DatabaseError> {
    let Some(left) = tx.known.logs.left(owner) else {
        tx.known.subjects.leave_out();
        return Ok(());
    };
    let (left, others) = (left.row.size, row.size);
    // The head is locked: of very many events it is supposed that one of them is an erasure.
    let is_long = others.saturating_sub(left) > MOST_LOOKED_AT;
    if is_long || left < others && heads::any_of_kind(tx.conn, &row.id, (left, others), SUBJECT_ERASED)? {
        tx.known.subjects.forget();
        // Of those who were read in this transaction none is remembered; they were there when it began.
        if tx.known.subjects.is_relied_on() {
            return Err(DatabaseError::Conflict);
        }
    }
    Ok(())
}

/// The id of the owner's log; makes the log at its first event. Its origin is decided here, for good: whatever
/// the gateway is called later, what is signed goes on being of the same log.
fn log_id(tx: &mut Transaction<'_>, owner: &LogOwner, at: Timestamp) -> Result<LogId, DatabaseError> {
    let (conn, context, known) = (&mut *tx.conn, tx.context, &mut tx.known.logs);
    if let Some(id) = known.id(owner) {
        return Ok(id.clone());
    }
    let merchant = owner.merchant();
    let row = if let Some(row) = store::find_log(conn, merchant)? {
        row
    } else {
        known.check_absent(owner)?;
        make_log(conn, context, owner, at)?;
        store::find_log(conn, merchant)?.ok_or(DatabaseError::NotFound)?
    };
    let id: LogId = row.id.parse().map_err(|e| DatabaseError::corrupt("log id", e))?;
    known.remember(owner.clone(), id.clone());
    Ok(id)
}

fn make_log(
    conn: &mut AnyConnection,
    context: &WriterContext,
    owner: &LogOwner,
    at: Timestamp,
) -> Result<(), DatabaseError> {
    let merchant = owner.merchant();
    let name = match merchant {
        Some(id) => store::merchant_slug(conn, id)?,
        None => "operator".to_owned(),
    };
    let empty = Frontier::default();
    let origin = origin::new(&context.log_origin, &name);
    // Nothing could ever be signed under a name that is none.
    VerifierKey::new(&origin, *context.keyring.log_key().public_key())
        .map_err(|e| DatabaseError::corrupt("log origin", e))?;
    let row = LogRow {
        id: LogId::new(at, &context.entropy).as_str().to_owned(),
        merchant_id: merchant.map(|id| id.as_str().to_owned()),
        name,
        size: 0,
        root: empty.root().to_vec(),
        frontier: empty.to_bytes(),
        checkpoint: String::new(),
        origin,
    };
    store::insert_log(conn, &row)?;
    bump_epoch(conn, EPOCH)?;
    Ok(())
}
