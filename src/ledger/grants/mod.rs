//! ledger::grants

pub mod ending;
pub mod selection;
