//! perkgate: who may have a perk? Threshold rules over cached scores, answered with signed tokens
//! and a record that can be proven.
//!
//! # The house
//! A request comes in at a door, is decided from memory, recorded in one transaction, signed, and
//! goes out at the same door: door → [`eligibility`] → [`ledger`] → [`tokens`] → door.
//!
//! | room | what it is | who may call its handle |
//! |---|---|---|
//! | [`http`], [`cli`] | the doors: they turn the outside's technology into calls of the rooms | nobody; doors never call each other (`serve`, `demo` and `openapi` start or describe [`http`]) |
//! | [`gateway`] | the composition root: from settings to every handle | the doors |
//! | [`eligibility`] | deciding: the pure function, the [`Checker`](eligibility::checker::Checker) on the hot path, the [`Redeemer`](eligibility::redeemer::Redeemer); trying rules out: the [`Simulator`](eligibility::simulator::Simulator), the [`Backtester`](eligibility::backtester::Backtester); telling people what is held on them: the [`Discloser`](eligibility::discloser::Discloser); the only room that calls its siblings | the doors |
//! | [`access`] | merchants, API keys, roles: the [`Directory`](access::Directory) | the doors |
//! | [`perks`] | rules and their versions: the [`Catalog`](perks::catalog::Catalog) | the doors, `eligibility` |
//! | [`scores`] | scores and where they come from: the [`Lookup`](scores::Lookup) | the doors, `eligibility` |
//! | [`ledger`] | the one writer of grants, limits, redemptions and audit events | every room appends; the doors and `eligibility` ask |
//! | [`keyring`] | keys wrapped by the master key | `ledger`, `tokens`, `audit`, the doors |
//! | [`tokens`] | eligibility tokens: the [`Issuer`](tokens::Issuer) and the [`Verifier`](tokens::Verifier) | `eligibility`, the doors |
//! | [`audit`] | what the ledger wrote, read-only: verification | the doors |
//! | [`database`], [`redis_link`], [`settings`], [`telemetry`] | technology without business words | the rooms (settings: the doors and the root) |
//!
//! [`clock`], [`decimal`], [`entropy`], [`ids`], [`json`], [`subject`], [`unicode`], [`web_origin`] and [`yaml`] are words
//! and numbers that everyone uses. `tests/it/architecture` reads the source and holds it to this page.

pub mod access;
pub mod audit;
pub mod cli;
pub mod database;
pub mod decision;
pub mod eligibility;
pub mod foundation;
pub mod gateway;
pub mod http;
pub mod keyring;
pub mod ledger;
pub mod perks;
pub mod redis_link;
pub mod rules;
pub mod scores;
pub mod server;
pub mod settings;
pub mod telemetry;
pub mod tlog;
pub mod tokens;
pub mod web;
