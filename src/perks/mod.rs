//! Perks and their rules.
//!
//! A rule is read once, by [`crate::rules::rule::Rule::parse`], into a compiled and immutable value; everything
//! after that trusts it. What reads and judges a rule is pure; `catalog` is the handle, with `versions`
//! (the life of a rule's versions), `standing` (the perk's own), `apply` (several perks at once) and `four_eyes`
//! (who may approve), which do their work in `life`, `rollback` and `draft`, inside one transaction with its events.
//!
//! To add a field to a rule: read it where its neighbours are read, through [`crate::foundation::document::Spot`] (which
//! bounds texts, refuses unknown fields and knows the JSON pointer), with a default, so that rules
//! published before it still mean the same; write it in the same file's `to_json`. The round trip of
//! the canonical form and the evaluator in `tests/it/oracle` fail until both are done.
//!
//! [`schema`] describes rules to editors: a new field, operator or window stands there too, and a test
//! fails until it does.
//!
//! To add an operator: a variant of [`crate::rules::leaf::Test`], its name and types in `Leaf::read`, its
//! truth in `eligibility::evaluate`.
//!
//! To add a window: a variant of [`crate::rules::window::Window`], and its key. Keys must never change for windows
//! that are in use: a changed key is a fresh counter, and a fresh counter is an over-grant.
//!
//! To add a step to a version's life: a function in `life.rs` that runs inside the ledger's
//! transaction with its event, its method in `versions.rs`, and what the event means in
//! `audit::rules`.

mod active_perk;
pub mod apply;
pub mod catalog;
mod draft;
pub mod error;
pub mod four_eyes;
pub mod keys;
pub mod life;
mod lint_inputs;
pub mod observed_attributes;
pub mod perk;
pub mod purpose;
mod rollback;
pub mod schema;
mod status;
pub mod store;
pub mod versions;
