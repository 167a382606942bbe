//! The evidence that an auditor asks of a merchant's log: its signed heads, and proofs that lead to them.

use jiff::Timestamp;
use serde::Deserialize;

use super::proof;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::count::counted;
use crate::foundation::ids::{CheckId, EventId, MerchantId, NameError};
use crate::ledger::LedgerError;
use crate::ledger::store::{self, CheckpointRow, LogRow, heads};
use crate::ledger::write::check;
use crate::tlog::merkle::{Hash, verify_consistency, verify_inclusion};
use crate::tlog::note::Checkpoint;

/// A head of a log as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// The log's name.
    pub log: String,
    /// The content of the note.
    pub checkpoint: Checkpoint,
    /// The signed note.
    pub note: String,
    pub signed_at: Timestamp,
}

/// A thing that stands in a log, by an id that an auditor holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Recordable {
    Event(EventId),
    /// The event that its decision was.
    Check(CheckId),
}

impl TryFrom<String> for Recordable {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse().map(Self::Check).or_else(|_| text.parse().map(Self::Event))
    }
}

/// The proof that an event stands in its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    pub event: String,
    pub log: String,
    pub index: u64,
    pub leaf_hash: Hash,
    /// Size of the tree that it leads to.
    pub size: u64,
    pub root: Hash,
    /// From the leaf up (RFC 9162 §2.1.3.1).
    pub path: Vec<Hash>,
    /// None when nothing was signed at that size.
    pub head: Option<SignedHead>,
    /// The event's canonical bytes, whose hash the leaf is; none once they are pruned.
    pub body: Option<String>,
}

/// The proof that a log was only appended to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    pub log: String,
    pub from: u64,
    pub to: u64,
    /// RFC 9162 §2.1.4.1.
    pub path: Vec<Hash>,
    /// The heads that were signed at the two sizes.
    pub heads: Vec<SignedHead>,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    #[error("there is no such event")]
    NotFound,
    /// The size of the tree that is led to is out of range.
    #[error("the log has {}: ask for a size from 1 up to that, or leave it out for the newest", counted(*size, "event"))]
    TooLarge { size: u64 },
    #[error("the event stands at index {index}: ask for a size above that, or leave it out for the newest")]
    TooSmall { index: u64 },
    #[error("`from` is above `to`, which is {to}: swap them, or ask for sizes up to that")]
    Reversed { to: u64 },
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<DatabaseError> for ProofError {
    fn from(error: DatabaseError) -> Self {
        Self::Ledger(error.into())
    }
}

/// The merchant's checkpoints of fewer than `below` events, the newest first, up to `most`.
pub(crate) fn list_checkpoints(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    below: Option<u64>,
    most: u32,
) -> Result<Vec<SignedHead>, DatabaseError> {
    let Some(log) = store::find_log(conn, Some(merchant))? else { return Ok(Vec::new()) };
    let below = below.map_or(i64::MAX, |below| i64::try_from(below).unwrap_or(i64::MAX));
    let rows = heads::list_checkpoints(conn, &log.id, below, most.into())?;
    rows.into_iter().map(|row| signed_head(&log, row)).collect()
}

/// The head that was signed when the merchant's log had this many events.
pub(crate) fn find_checkpoint(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    size: u64,
) -> Result<Option<SignedHead>, DatabaseError> {
    let Some(log) = store::find_log(conn, Some(merchant))? else { return Ok(None) };
    head_at(conn, &log, size)
}

/// Proves that a recorded thing stands in the log of `size` events, or of as many as it has.
pub(crate) fn inclusion(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    what: &Recordable,
    size: Option<u64>,
) -> Result<InclusionProof, ProofError> {
    let log = store::find_log(conn, Some(merchant))?.ok_or(ProofError::NotFound)?;
    let event = match what {
        Recordable::Event(event) => event.as_str().to_owned(),
        Recordable::Check(check) => {
            store::find_event(conn, merchant, check.as_str(), check::KIND)?.ok_or(ProofError::NotFound)?.id
        }
    };
    let (index, leaf, body) = heads::find_leaf(conn, &log.id, &event)?.ok_or(ProofError::NotFound)?;
    let index = u64::try_from(index).map_err(|e| DatabaseError::corrupt("log index", e))?;
    let leaf_hash: Hash = leaf.try_into().map_err(|_| DatabaseError::corrupt("leaf hash", "it is not 32 bytes"))?;
    let size = tree_size(&log, size)?;
    if index >= size {
        return Err(ProofError::TooSmall { index });
    }
    let head = head_at(conn, &log, size)?;
    let root = root_at(conn, &log, size, head.as_ref())?;
    let path = proof::inclusion(conn, &log.id, index, size)?;
    if !verify_inclusion(&leaf_hash, index, size, &path, &root) {
        return Err(astray(size).into());
    }
    Ok(InclusionProof { event, log: log.name, index, leaf_hash, size, root, path, head, body })
}

/// Proves that the log of `to` events, or of as many as it has, continues that of `from`.
pub(crate) fn consistency(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    from: u64,
    to: Option<u64>,
) -> Result<ConsistencyProof, ProofError> {
    let log = store::find_log(conn, Some(merchant))?.ok_or(ProofError::TooLarge { size: 0 })?;
    let to = tree_size(&log, to)?;
    if from > to {
        return Err(ProofError::Reversed { to });
    }
    let (old, new) = (head_at(conn, &log, from)?, head_at(conn, &log, to)?);
    let old_root = root_at(conn, &log, from, old.as_ref())?;
    let new_root = root_at(conn, &log, to, new.as_ref())?;
    let path = proof::consistency(conn, &log.id, from, to)?;
    if !verify_consistency(from, &old_root, to, &new_root, &path) {
        return Err(astray(to).into());
    }
    let heads = old.into_iter().chain(new.filter(|_| from != to)).collect();
    Ok(ConsistencyProof { log: log.name, from, to, path, heads })
}

/// The size that is asked for, which the log has; all of it unless one is.
fn tree_size(log: &LogRow, asked: Option<u64>) -> Result<u64, ProofError> {
    let size = u64::try_from(log.size).map_err(|e| DatabaseError::corrupt("log size", e))?;
    match asked {
        None => Ok(size),
        Some(asked) if (1..=size).contains(&asked) => Ok(asked),
        Some(_) => Err(ProofError::TooLarge { size }),
    }
}

fn head_at(conn: &mut AnyConnection, log: &LogRow, size: u64) -> Result<Option<SignedHead>, DatabaseError> {
    // No log is as long as what no column holds.
    let Ok(size) = i64::try_from(size) else { return Ok(None) };
    heads::find_checkpoint(conn, &log.id, size)?.map(|row| signed_head(log, row)).transpose()
}

fn signed_head(log: &LogRow, row: CheckpointRow) -> Result<SignedHead, DatabaseError> {
    let checkpoint = Checkpoint::unverified(&row.note).map_err(|e| DatabaseError::corrupt("checkpoint", e))?;
    Ok(SignedHead { log: log.name.clone(), checkpoint, note: row.note, signed_at: from_micros(row.signed_at) })
}

/// The root that was signed at that size, or the one that the leaves come to where nothing was.
fn root_at(
    conn: &mut AnyConnection,
    log: &LogRow,
    size: u64,
    head: Option<&SignedHead>,
) -> Result<Hash, DatabaseError> {
    match head {
        Some(head) => Ok(head.checkpoint.root),
        None => Ok(proof::frontier_at(conn, &log.id, size)?.root()),
    }
}

/// A proof that does not hold must not leave the house as one.
fn astray(size: u64) -> DatabaseError {
    let detail =
        format!("its hashes don't lead to the root at size {size}: `perkgate audit verify` says where it broke");
    DatabaseError::corrupt("log", detail)
}
