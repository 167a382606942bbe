//! Reading the log back, beside the writer and without a lock.
//!
//! - `browse`, `lists`: filtered pages of events, checks and grants; `searches`: how many may run at once
//! - `person`: what is held on one person
//! - `history`, `decisions`: the past in the log's order, with what is needed to decide it again
//! - `evidence`, `proof`: signed heads, and proofs that lead to them
//! - `published`: the keys that everybody may know

pub mod browse;
pub mod decisions;
pub mod evidence;
pub mod history;
pub mod lists;
pub mod person;
pub mod proof;
pub mod published;
pub(crate) mod searches;
