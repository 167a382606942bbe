//! Deciding, pure and total: a rule, the facts and an instant give a decision with its reasons.
//!
//! - `decide`: the function; `evaluate`: the truth of a condition (Kleene's three values)
//! - `facts`: what is known; `reason`: why it came out so; `remedy`: what would have changed it
//! - `trace`: the decision taken apart

pub mod decide;
pub(crate) mod evaluate;
pub mod facts;
pub mod reason;
pub mod remedy;
pub mod trace;
