//! The auditor of what the ledger wrote: `verify` compares the whole database, or exports of it, with its signed logs, and
//! `reports/` counts them. Of the database it writes only the sums that those make.
//!
//! [`verify()`] reads one snapshot of the database and recomputes everything from the events:
//! - `verify/log_scan.rs` goes through one log in the order of its index, wherever its events come from: dense
//!   indexes, leaf hashes, columns, the root at every checkpoint, and the anchors kept from earlier
//!   (`anchor.rs`);
//! - `verify/expected_state.rs` reads what the events say and hands it to those that know a table
//!   (`verify/tables/`): `merchants.rs`, `rules.rs` (each of whose `versions.rs`), `approvals.rs`, `keys.rs`,
//!   `referrals.rs`, `subjects.rs`, `pruned.rs`, `summaries.rs` and `counters/` per log, `gateway_keys.rs` for the operator's,
//!   `grants.rs` and `redemptions.rs` over all logs.
//!
//! [`verify_exports`] lets the same scan go through files (`verify/offline/`), offline. They have no tables, so
//! the events are compared with each other (`grant_lifecycle.rs` for grants, in the place of their
//! tables).
//!
//! Signatures are verified where nothing else proves the same: at the last checkpoint of a log and at
//! anchors. The last one proves all before it, whose roots are compared; when it or a root is
//! wrong, a second pass verifies every signature, to find the first wrong one.
//!
//! Memory does not grow with the events: events, checkpoints, grants and redemptions pass in pages,
//! and the last two are compared as a `verify::tally::Tally` each, with a second, slower pass only when
//! it differs, to name what does. What does grow: 50 bytes for each limit counter of one merchant
//! at a time, its rules and keys, what people were asked to decide, 40 bytes for each person, 60 for each
//! grant that ended before its time or whose redemption is pruned, and 16 for each whose check is; and what reports
//! have summed up of one merchant's log at a time, for which that log is read once more (`verify/tables/summaries.rs`).
//!
//! The table still says of an event whose body is pruned what kind it was, what it was about and when. Nothing
//! proves that, but the rows that it left must agree with that: someone who changes one has to change the other.
//!
//! To check something new: a variant of [`Wrong`] with its code, and the comparison in the file of
//! the table. To check a new kind of event against a table: its facts in `reader/body.rs`, an arm in
//! `verify/expected_state.rs`. The kinds that nearly all events are of are read by `reader/canonical.rs`.
//!
//! For outsiders: `anchoring/` copies signed heads outside on a schedule, `receipt/`
//! examines the receipt of a check with nothing but a log key.
//!
//! No verification of a database alone can find a history that was rewritten from some point on and
//! signed again with the log key, or a tail that was cut together with its checkpoints. A holder of
//! an [`Anchor`] from outside finds both. For the same reason the log keys in the database are
//! worth as much as the database: name the keys ([`Request::keys`]) to not depend on it.

pub mod anchor;
pub mod anchoring;
pub mod export;
pub mod reader;
pub mod receipt;
pub mod reports;
mod table;
pub mod verify;

pub use anchor::{Anchor, AnchorError};
pub use verify::checked::Checked;
pub use verify::findings::{Finding, FindingPlace, Findings, Wrong};
pub use verify::offline::{ExportFile, verify_exports};
pub use verify::{Head, Progress, Report, Request, verify, verify_at, verify_snapshot};

use crate::database::DatabaseError;

/// Why nothing could be verified.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// There are no logs to read.
    #[error("there is no gateway's record in this database: {0}")]
    NoRecord(String),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}
