//! Deciding, pure and total: a rule, the facts and an instant give a decision with its reasons.
//!
//! - `decide`: the function; `merits`: which tier it comes to where the rule is open; `evaluate`: the truth of a condition
//!   (Kleene's three values), and `timing`: as time goes on
//! - `decided`: its answer, which is carried as it is from here into the log, to the caller and back
//! - `forecast`: when waiting alone is enough
//! - `facts`: what is known, with `person`: what is kept of the person; `reason`: why it came out so; `remedy`: what would have changed it
//! - `rollout`: where a person stands in a rollout
//! - `trace`: a decision explained step by step, with the values (`shown_value`) of its conditions; `guest`: a refusal as a guest hears it
//!
//! Most reasons are decided in `decide`; a limit refuses in `ledger::write::arithmetic`, a paused perk in
//! `eligibility::checker`, and a person grants in `eligibility::referral_decision`.
//!
//! To change a decision: change `decide` (the order of refusals) or `evaluate` (the truth of a condition), raise
//! [`ENGINE_VERSION`](crate::rules::engine::ENGINE_VERSION) for the rules that it touches, whose audit events carry it, and write the same change into the evaluator of
//! `tests/it/oracle`, from the rule model and not from the code here.
//!
//! To add a reason: a code in [`reason::ReasonCode`], its sentence in `reason.rs` and what would have lifted it in
//! `remedy.rs`, which `eligibility::subject_access` tells the person, and the one for guests in `guest.rs`. Codes are never renamed, and no sentence may let a
//! score be read out of it. `.github/CONTRIBUTING.md` lists the tests to extend.

pub mod decide;
pub mod decided;
pub(crate) mod evaluate;
pub mod facts;
pub mod forecast;
pub mod guest;
pub(crate) mod merits;
pub mod person;
pub mod reason;
pub mod remedy;
pub mod rollout;
pub mod shown_value;
pub(crate) mod timing;
pub mod trace;
