//! Eligibility: from a rule and what is known about a person to a decision with its reasons.
//!
//! `facts`, `evaluate`, `decide`, `reason` and `cases` are pure and total: whatever rule could be parsed and
//! whatever facts are given, there is one verdict, and it is the same on every machine.
//!
//! To change what is decided: change `decide` (the order of refusals) or `evaluate` (the truth of a
//! condition), raise [`crate::decision::decide::ENGINE_VERSION`], which every audit event carries, and write the same
//! change into the evaluator of `tests/it/oracle`, from the design and not from the code here.
//!
//! Before a rule is published it is tried out: `trace` takes one decision apart, `everyone` counts all
//! whose score is known, `backtest` replays the ledger's checks with `replayed` limits, and `recount` asks
//! these what they held at one instant of the past. What a rule
//! learns to ask for has to be added to them too: their matches are exhaustive, so the compiler lists
//! the places.
//!
//! To add a reason: a code in [`crate::decision::reason::ReasonCode`], its sentence in `reason.rs` and what would have lifted
//! it in `remedy.rs`, which the [`subject_access`] tells the person themselves. Codes are never
//! renamed, and no sentence may let a score be read out of it.

pub mod backtest;
pub mod backtester;
pub mod cases;
mod caveats;
pub mod checker;
pub mod exporter;
pub mod grants;
pub mod issuer;
mod limits_at;
mod outcome;
pub mod population;
pub mod redeemer;
pub mod referral_decision;
mod replay;
pub mod rule_selection;
pub mod runs;
mod simulated_limits;
pub mod simulator;
pub mod subject_access;
pub mod trial;
