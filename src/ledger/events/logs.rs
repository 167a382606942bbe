//! Pruning and exports: the events about the log itself.

use jiff::Timestamp;

use super::canonical::{Nullable, Text, facts};

facts! {
    /// The facts of `audit.pruned`.
    pub struct EventsPruned {
        /// Number of bodies that an earlier pruning has counted.
        again: Option<u64>,
        before: Timestamp,
        count: u64,
        from_index: i64,
        to_index: i64,
    }

    /// The facts of `audit.exported`.
    pub struct LogExported<'a> {
        format: Text<'a>,
        from: Nullable<Timestamp>,
        /// The index behind which it goes on.
        since: Nullable<i64>,
        to: Nullable<Timestamp>,
    }
}
