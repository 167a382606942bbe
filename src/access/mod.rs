//! Access control, that is who may call, and for whom: merchants, API keys, roles and what each role may do.
//!
//! - `merchant`, `key`, `role`: a tenant, an API key and the permissions of a role; `principal`: the caller they make
//! - `directory`: the handle; `snapshot`: what it answers from; `change`, `store`: its writes and its rows
//! - `clerks`: the people at a desk, who act under keys of their own that have no secret
//! - `accounts`: the people who use the console, who act under such keys too
//! - `guessing`: the turns of counting tries at PINs and passwords
//! - `devices`: screens in a browser, which act under such keys as well
//! - `last_use`: when keys were last used, to the hour
//!
//! `Directory` is the handle. It answers from a snapshot in memory, so that authenticating costs no
//! I/O; the database is the truth, and the row `directory` of `epochs` says when it moved.
//!
//! To let a role do something new, add a line to the table in `role.rs`; the doors ask for it by
//! name and nothing else changes. To change what a key or a merchant is: the pure type (`key.rs`,
//! `merchant.rs`), its row in `store.rs`, and the write in `directory.rs`. Every write goes through
//! `Ledger::change`, so that it stands in one transaction with its audit event, and bumps the epoch
//! there: a bump before the commit would let a replica reload the old content and call it new.

pub mod accounts;
mod change;
pub mod clerks;
pub mod devices;
pub mod directory;
mod error;
mod guessing;
pub mod key;
mod last_use;
mod least_seen;
pub mod merchant;
pub mod principal;
pub mod role;
mod snapshot;
mod store;

pub use directory::Directory;
pub use error::{AccessError, Refused};
pub use key::{ApiKey, KeySecret, KeyStatus, NewKey};
pub use least_seen::LeastSeen;
pub use merchant::{Merchant, UnknownZone};
pub use principal::{Forbidden, Principal};
pub use role::{Permission, Role};
