//! The ledger's promises, from outside.

mod crash;
mod degrade;
mod limits;
mod promises;
mod race;
mod subtrees;
mod sweep;
mod time;
