//! Counts of what a verification looked at.

use serde::Serialize;

/// The counts of what was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    pub logs: u64,
    pub events: u64,
    /// Events whose body is pruned: their leaf stands in the tree, what they said is not compared.
    pub pruned: u64,
    /// The least number of those that nothing here records: the rest of the log does, if all is well.
    #[serde(skip_serializing_if = "is_none")]
    pub unaccounted: u64,
    /// Rows whose events are pruned, in part at least: of who did what, and when, they are held to nothing.
    #[serde(skip_serializing_if = "is_none")]
    pub unheld: u64,
    /// Overrides in exports: only the texts of their rules, which are not here, could hold them to their terms.
    #[serde(skip_serializing_if = "is_none")]
    pub unheld_overrides: u64,
    pub checkpoints: u64,
    pub anchors: u64,
    /// Anchors of logs that are not here, which were kept in one file with anchors of logs that are: held to nothing.
    #[serde(skip_serializing_if = "is_none")]
    pub anchors_elsewhere: u64,
    pub grants: u64,
    pub redemptions: u64,
    pub counters: u64,
    pub referrals: u64,
    pub rules: u64,
    pub keys: u64,
    /// People who were erased: their events stand, and are nobody's.
    pub erased: u64,
    /// Exports that were read. None: it was a database.
    #[serde(skip_serializing_if = "is_none")]
    pub exports: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_none(count: &u64) -> bool {
    *count == 0
}
