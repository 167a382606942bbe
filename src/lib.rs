//! perkgate: who may have a perk? Threshold rules over cached scores, answered with signed tokens
//! and a record that can be proven.
//!
//! # The house
//! A request comes in at a door, is decided from memory, recorded in one transaction, signed, and
//! goes out at the same door: door → [`eligibility`] → [`ledger`] → [`eligibility`] → door.
//!
//! # The promises
//! 1. No token without its record: it leaves only after the grant, its limit use and its event are committed.
//! 2. Never over-granted: a limit of N admits exactly N, under any race, crash or number of replicas.
//! 3. One winner: a single-use token is redeemed once; the same attempt again gets the same answer.
//! 4. Same question, same answer: a check repeated with its idempotency key is decided once.
//! 5. Tamper shows: `perkgate audit verify` finds every record that was edited, deleted, inserted or moved.
//! 6. Tenants are walls: every query starts from the merchant, and another's id is a 404.
//! 7. Degrade, never lie: without Redis checks go on; without the database nothing is granted; both are said.
//! 8. The token tells the door, not the world: a tier and never the score, a pairwise `sub`.
//! 9. Every refusal explains itself: a stable code, a sentence, the gap and, where it can be known, when to come again.
//!
//! # The rooms
//! They stand in one order, and a room imports only those above it. `tests/it/architecture` reads the source and
//! holds it to that. Rooms below the ledger append to it; the other handles are called from `eligibility`,
//! `gateway` and the doors only.
//!
//! | room | what it is |
//! |---|---|
//! | [`foundation`] | words and numbers that everyone uses: time, ids, exact decimals, strict JSON and YAML |
//! | [`telemetry`], [`database`], [`redis_link`], [`outgoing`], [`settings`] | technology without business words |
//! | [`rules`] | the language of rules: read, linted, compared, described; pure |
//! | [`decision`] | from a rule, facts and an instant to a decision with its reasons; pure |
//! | [`scoring`] | from a person's signals and a frozen model to a score that explains itself; pure |
//! | [`tlog`] | a transparency log: Merkle trees and signed notes; pure |
//! | [`keyring`] | keys wrapped by the master key: the [`Keyring`](keyring::Keyring) |
//! | [`tokens`] | eligibility tokens: what they say, the published keys, the [`Verifier`](tokens::Verifier) |
//! | [`ledger`] | the one writer of grants, limits, redemptions and audit events: the [`Ledger`](ledger::Ledger), read back by its [`LedgerReader`](ledger::LedgerReader) |
//! | [`access`] | merchants, API keys, roles: the [`Directory`](access::Directory) |
//! | [`scores`] | scores and where they come from: [`Scores`](scores::Scores) |
//! | [`perks`] | perks and the versions of their rules: the [`Catalog`](perks::catalog::Catalog) |
//! | [`audit`] | what the ledger wrote, held to its signed logs, exported, reported; read-only |
//! | [`eligibility`] | the only room that calls its siblings' handles: the [`Checker`](eligibility::checker::Checker) on the hot path, the [`Redeemer`](eligibility::redeemer::Redeemer), the [`Issuer`](eligibility::issuer::Issuer); trying rules out; what is held on one person |
//! | [`gateway`] | the composition root: from settings to every handle |
//! | [`web`] | what the web doors share, and the codes of errors that the command line names too |
//! | [`http`], [`console`], [`screens`], [`cli`] | the doors: the API, the pages for people, the screens at a lounge, and the command line. They never import each other |
//! | [`server`] | the listening side of the web doors; `main.rs` hands it to the command line |

pub mod access;
pub mod audit;
pub mod cli;
pub mod console;
pub mod database;
pub mod decision;
pub mod eligibility;
pub mod foundation;
pub mod gateway;
pub mod http;
pub mod keyring;
pub mod ledger;
pub mod outgoing;
pub mod perks;
pub mod redis_link;
pub mod rules;
pub mod scores;
pub mod scoring;
pub mod screens;
pub mod server;
pub mod settings;
pub mod telemetry;
pub mod tlog;
pub mod tokens;
pub mod web;
