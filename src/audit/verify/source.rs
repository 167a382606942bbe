//! A log and its leaves, as a table or an export has them.

use super::findings::Line;
use crate::tlog::merkle::Hash;

/// Which log it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub name: String,
    /// None: the operator's.
    pub merchant: Option<String>,
    pub origin: String,
}

/// A leaf as its source has it.
pub(crate) struct Entry<'a> {
    pub index: i64,
    /// None: what is stored is no hash.
    pub leaf_hash: Option<Hash>,
    /// None: pruned, or bare.
    pub body: Option<&'a str>,
    /// Outside of what was exported: it is not known whether it has a body.
    pub is_bare: bool,
    /// The columns that a table or a row of CSV holds beside it.
    pub columns: Option<Columns<'a>>,
    pub line: Option<Line<'a>>,
}

/// The columns of a table that repeat an event's body.
pub(crate) struct Columns<'a> {
    pub id: &'a str,
    pub kind: &'a str,
    pub about: &'a str,
    pub at: i64,
    /// The role, and the key where there is one; not in a table.
    pub actor: Option<&'a str>,
}
