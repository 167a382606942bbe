//! ledger::retention

pub mod erasure;
pub mod pruning;
pub(crate) mod sweep;
