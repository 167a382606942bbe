//! perkgate: who may have a perk? Threshold rules over cached scores, answered with signed tokens
//! and a record that can be proven.
//!
//! # The house
//! A request comes in at a door, is decided from memory, recorded in one transaction, signed, and
//! goes out at the same door: door → [`eligibility`] → [`ledger`] → [`eligibility`] → door.
//!
//! The rooms stand in one order, and a room imports only those above it. `tests/it/architecture` reads the source and
//! holds it to that.
//!
//! | room | what it is |
//! |---|---|
//! | [`foundation`] | words and numbers that everyone uses: time, ids, exact decimals, strict JSON and YAML |
//! | [`telemetry`], [`database`], [`redis_link`], [`settings`] | technology without business words |
//! | [`rules`] | the language of rules: read, linted, compared, described; pure |
//! | [`decision`] | from a rule, facts and an instant to a decision with its reasons; pure |
//! | [`tlog`] | a transparency log: Merkle trees and signed notes; pure |
//! | [`keyring`] | keys wrapped by the master key: the [`Keyring`](keyring::Keyring) |
//! | [`tokens`] | eligibility tokens: what they say, the published keys, the [`Verifier`](tokens::Verifier) |
//! | [`ledger`] | the one writer of grants, limits, redemptions and audit events: the [`Ledger`](ledger::Ledger) |
//! | [`access`] | merchants, API keys, roles: the [`Directory`](access::Directory) |
//! | [`scores`] | scores and where they come from: [`Scores`](scores::Scores) |
//! | [`perks`] | perks and the versions of their rules: the [`Catalog`](perks::catalog::Catalog) |
//! | [`audit`] | what the ledger wrote, held to its signed logs, exported, reported; read-only |
//! | [`eligibility`] | the only room that calls its siblings' handles: the [`Checker`](eligibility::checker::Checker) on the hot path, the [`Redeemer`](eligibility::redeemer::Redeemer), the [`Issuer`](eligibility::issuer::Issuer); trying rules out; what is held on one person |
//! | [`gateway`] | the composition root: from settings to every handle |
//! | [`web`] | what the web doors share |
//! | [`http`], [`cli`] | the doors: the API and the command line. They never import each other |
//! | [`server`] | the listening side of the web doors; `main.rs` hands it to the command line |

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
