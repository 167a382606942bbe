//! The integration tests: the real gateway, on every database. `cargo test` runs them all in one
//! process, so that PostgreSQL and Redis are started once; see `support/services.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected has failed"
)]
#![allow(clippy::large_futures, reason = "a test holds whole gateways, and has a stack of its own")]

mod architecture;
mod audit;
mod backups;
mod cli;
mod console;
mod database;
mod deploy;
mod http;
mod ledger;
mod metrics;
mod oracle;
mod perks;
mod privacy;
mod readme;
mod score_cache;
mod screens;
mod support;
