//! The ledger's promises, from outside.

mod crash;
mod degrade;
mod erasing;
mod limits;
mod promises;
mod race;
mod subtrees;
mod sweep;
mod time;
