//! The ledger's promises, from outside.

mod at_once;
mod calendar;
mod corrections;
mod crash;
mod damaged;
pub(crate) mod degrade;
mod digests;
mod erasing;
mod event_types;
mod golden;
mod hung;
mod limits;
mod occupancy;
mod promises;
mod race;
mod replaced;
mod subtrees;
mod sweep;
mod time;
