//! The ledger's promises, from outside.

mod promises;
mod race;
