//! Proofs over a stored log of any length: they read a few hundred hashes at each level, not all leaves.

use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::store::subtrees as rows;
use crate::tlog::merkle::{Frontier, Hash, root_of};
use crate::tlog::tree::{Nodes, Short, Tree, WIDTH};

impl From<Short> for DatabaseError {
    fn from(error: Short) -> Self {
        Self::corrupt("log", error)
    }
}

/// The frontier of the log's first `size` events.
///
/// # Errors
/// [`DatabaseError::Corrupt`] when the log has fewer, or lacks some.
pub fn frontier_at(conn: &mut AnyConnection, log: &str, size: u64) -> Result<Frontier, DatabaseError> {
    tree(conn, log, size).frontier(size)
}

/// The path from the event at `index` to the root at `size`, lowest first (RFC 9162 §2.1.3.1).
///
/// # Errors
/// [`DatabaseError::NotFound`] when there is no such leaf in a tree of that size, and as [`frontier_at`].
pub fn inclusion(conn: &mut AnyConnection, log: &str, index: u64, size: u64) -> Result<Vec<Hash>, DatabaseError> {
    tree(conn, log, size).inclusion_proof(index)?.ok_or(DatabaseError::NotFound)
}

/// The proof that the tree of `size` events only appended to that of `first` (RFC 9162 §2.1.4.1).
///
/// # Errors
/// [`DatabaseError::NotFound`] when `first` is the larger, and as [`frontier_at`].
pub fn consistency(conn: &mut AnyConnection, log: &str, first: u64, size: u64) -> Result<Vec<Hash>, DatabaseError> {
    tree(conn, log, size).consistency_proof(first)?.ok_or(DatabaseError::NotFound)
}

fn tree<'a>(
    conn: &'a mut AnyConnection,
    log: &'a str,
    size: u64,
) -> Tree<impl FnMut(Nodes) -> Result<Vec<Hash>, DatabaseError> + 'a> {
    Tree::new(size, move |wanted| nodes(conn, log, wanted))
}

/// Stored nodes, and what follows from the level below where none is stored: a log that is older than
/// the table has its proofs too, only slower until the table is filled.
pub(crate) fn nodes(conn: &mut AnyConnection, log: &str, wanted: Nodes) -> Result<Vec<Hash>, DatabaseError> {
    let Nodes { level, from, before } = wanted;
    let stored = match level {
        0 => rows::list_leaves(conn, log, (from, before))?,
        level => rows::list_subtrees(conn, log, level, (from, before))?,
    };
    let mut stored = stored.into_iter().peekable();
    let mut all = Vec::new();
    for nth in from..before {
        all.push(match stored.next_if(|(at, _)| *at == nth) {
            Some((_, hash)) => hash,
            None => computed(conn, log, level, nth)?,
        });
    }
    Ok(all)
}

/// The root of a whole subtree, from what is below it.
pub(crate) fn computed(conn: &mut AnyConnection, log: &str, level: u32, nth: u64) -> Result<Hash, DatabaseError> {
    let below = level.checked_sub(1).ok_or(Short { level, nth })?;
    let children = Nodes { level: below, from: nth * WIDTH, before: (nth + 1) * WIDTH };
    Ok(root_of(&nodes(conn, log, children)?))
}
