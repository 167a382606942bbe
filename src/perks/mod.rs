//! Perks and the versions of their rules.
//!
//! `catalog` is the handle, with `versions` (the life of a rule's versions), `status` (the perk's own), `apply` (several
//! perks at once) and `four_eyes` (who may approve), which do their work in `life`, `rollback` and `draft`, inside one
//! transaction with its events. `attributes` are those of people that rules may look at; `closures` are places that are
//! closed for a while; `models` are those by which sources compute. `active_perk` is what checks go by, from memory, and `snapshot` reads it; `schema`
//! describes perk files to editors, and `search` finds perks by a part of their names.
//!
//! To add a step to a version's life: a function in `life.rs` that runs inside the ledger's
//! transaction with its event, its method in `versions.rs`, and what the event means in
//! `audit/verify/tables/` (`rules.rs` and `versions.rs`).

pub mod active_perk;
pub mod apply;
pub mod attributes;
pub mod catalog;
pub mod closures;
mod draft;
pub mod error;
pub mod four_eyes;
pub mod keys;
pub mod life;
mod lint_inputs;
pub mod models;
pub mod observed_attributes;
pub mod perk;
pub mod purpose;
mod required_status;
mod rollback;
pub mod schema;
pub mod search;
mod snapshot;
mod status;
pub mod store;
pub mod versions;
