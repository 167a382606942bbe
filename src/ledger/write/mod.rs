//! ledger::write

pub(crate) mod admission;
pub(crate) mod append;
pub(crate) mod batch;
pub mod check;
pub(crate) mod continuity;
pub(crate) mod counters;
pub mod gateway_keys;
pub(crate) mod near_full;
pub mod redemption;
pub(crate) mod subjects;
pub(crate) mod subtrees;
pub(crate) mod transaction;
pub mod uses;
pub(crate) mod writer;
