//! Eligibility: from a rule and what is known about a person to a decision with its reasons.
//!
//! `facts`, `evaluate`, `decide`, `reason` and `cases` are pure and total: whatever rule could be parsed and
//! whatever facts are given, there is one verdict, and it is the same on every machine.
//!
//! To change what is decided: change `decide` (the order of refusals) or `evaluate` (the truth of a
//! condition), raise [`decide::ENGINE_VERSION`], which every audit event carries, and write the same
//! change into the evaluator of `tests/it/oracle`, from the design and not from the code here.
//!
//! To add a reason: a code in [`reason::ReasonCode`] and its sentence in `reason.rs`. Codes are never
//! renamed, and no sentence may let a score be read out of it.

pub mod cases;
pub mod checker;
pub mod decide;
mod evaluate;
pub mod facts;
pub mod reason;
pub mod redeemer;
