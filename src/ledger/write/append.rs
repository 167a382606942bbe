//! Appending to the logs: index, leaf hash, new root and one signed checkpoint a log.

use std::collections::BTreeMap;

use jiff::Timestamp;

pub(crate) use super::continuity::KnownLogs;
use crate::database::followed::bump_epoch;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{EventId, LogId};
use crate::keyring::EPOCH;
use crate::ledger::context::WriterContext;
use crate::ledger::entry::{LogOwner, Receipt};
use crate::ledger::events::{KINDS, leaf_hash};
use crate::ledger::origin;
use crate::ledger::store::{self, EventRow, LogRow, SubtreeRow, heads};
use crate::tlog::merkle::Frontier;
use crate::tlog::note::{Checkpoint, VerifierKey};

/// An event whose bytes are final and whose place is not known yet.
pub(crate) struct Leaf {
    pub log: LogOwner,
    pub id: EventId,
    pub kind: &'static str,
    pub about: String,
    pub at: Timestamp,
    pub body: String,
}

/// Appends the leaves in their order and returns their receipts in the same order. It locks the
/// heads, which every batch of a merchant needs, so it must come last in the transaction.
pub(crate) fn append(
    conn: &mut AnyConnection,
    context: &WriterContext,
    known: &mut KnownLogs,
    leaves: Vec<Leaf>,
) -> Result<Vec<Receipt>, DatabaseError> {
    let Some(at) = leaves.iter().map(|leaf| leaf.at).max() else {
        return Ok(Vec::new());
    };
    let mut ids = Vec::with_capacity(leaves.len());
    for leaf in &leaves {
        ids.push(log_id(conn, context, known, &leaf.log, at)?);
    }
    let mut unique: Vec<&str> = ids.iter().map(LogId::as_str).collect();
    unique.sort_unstable();
    unique.dedup();
    let mut heads: BTreeMap<String, (LogRow, Frontier)> = BTreeMap::new();
    for row in store::lock_logs(conn, &unique)? {
        let frontier = Frontier::from_bytes(&row.frontier).map_err(|e| DatabaseError::corrupt("log frontier", e))?;
        heads.insert(row.id.clone(), (row, frontier));
    }
    let owners: BTreeMap<String, LogOwner> =
        ids.iter().zip(&leaves).map(|(id, leaf)| (id.as_str().to_owned(), leaf.log.clone())).collect();
    for (id, owner) in &owners {
        known.check(conn, owner, heads.get(id).map(|(row, _)| row))?;
    }
    let mut rows = Vec::with_capacity(leaves.len());
    let mut places = Vec::with_capacity(leaves.len());
    let mut subtrees = Vec::new();
    for (leaf, log_id) in leaves.into_iter().zip(&ids) {
        let (head, frontier) = heads.get_mut(log_id.as_str()).ok_or(DatabaseError::NotFound)?;
        // Tests make events of their own.
        debug_assert!(
            KINDS.contains(&leaf.kind) || leaf.kind.starts_with("test."),
            "{} is missing in the list of kinds",
            leaf.kind
        );
        let hash = leaf_hash(&leaf.body);
        let index = frontier.size();
        frontier.append_telling(hash, |whole| subtrees.push((log_id, whole)));
        places.push((head.name.clone(), index, hash));
        rows.push(EventRow {
            log_id: head.id.clone(),
            log_index: i64::try_from(index).map_err(|e| DatabaseError::corrupt("log size", e))?,
            id: leaf.id.as_str().to_owned(),
            kind: leaf.kind.to_owned(),
            about: leaf.about,
            at: leaf.at.as_microsecond(),
            leaf_hash: hash.to_vec(),
            body: Some(leaf.body),
        });
    }
    let key = context.keyring.log_key();
    for (row, frontier) in heads.values_mut() {
        // A replica of the build before, which still ran when the schema was brought up to date, made this log.
        if row.origin.is_empty() {
            row.origin = origin::legacy(&row.id);
            heads::update_origin(conn, &row.id, &row.origin)?;
            bump_epoch(conn, EPOCH)?;
        }
        let checkpoint = Checkpoint { origin: row.origin.clone(), size: frontier.size(), root: frontier.root() };
        row.size = i64::try_from(frontier.size()).map_err(|e| DatabaseError::corrupt("log size", e))?;
        row.frontier = frontier.to_bytes();
        row.root = checkpoint.root.to_vec();
        let verifier = origin::verifier(&row.origin, &row.id, key.verifier())
            .map_err(|e| DatabaseError::corrupt("log origin", e))?;
        row.checkpoint = checkpoint.sign(&verifier, |text| key.sign(text));
    }
    for chunk in rows.chunks(1000) {
        store::insert_events(conn, chunk)?;
    }
    if !subtrees.is_empty() {
        let rows: Result<Vec<_>, _> =
            subtrees.iter().map(|(log, whole)| SubtreeRow::new(log.as_str(), whole)).collect();
        store::put_subtrees(conn, &rows?)?;
    }
    let heads: BTreeMap<String, LogRow> = heads.into_iter().map(|(id, (row, _))| (id, row)).collect();
    store::advance_logs(conn, heads.values(), at.as_microsecond())?;
    for (id, owner) in owners {
        if let Some(row) = heads.get(&id) {
            known.sign(owner, row);
        }
    }
    let mut receipts = Vec::with_capacity(places.len());
    for ((log, index, leaf_hash), log_id) in places.into_iter().zip(&ids) {
        let checkpoint = heads.get(log_id.as_str()).map(|row| row.checkpoint.clone()).unwrap_or_default();
        receipts.push(Receipt { log, index, leaf_hash, checkpoint });
    }
    Ok(receipts)
}

/// The id of the owner's log; makes the log at its first event. Its origin is decided here, for good: whatever
/// the gateway is called later, what is signed goes on being of the same log.
fn log_id(
    conn: &mut AnyConnection,
    context: &WriterContext,
    known: &mut KnownLogs,
    owner: &LogOwner,
    at: Timestamp,
) -> Result<LogId, DatabaseError> {
    if let Some(id) = known.id(owner) {
        return Ok(id.clone());
    }
    let merchant = owner.merchant();
    let row = if let Some(row) = store::find_log(conn, merchant)? {
        row
    } else {
        known.check_absent(owner)?;
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
        store::find_log(conn, merchant)?.ok_or(DatabaseError::NotFound)?
    };
    let id: LogId = row.id.parse().map_err(|e| DatabaseError::corrupt("log id", e))?;
    known.remember(owner.clone(), id.clone());
    Ok(id)
}
