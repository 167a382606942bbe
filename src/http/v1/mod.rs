//! Version 1 of the API: one file a resource.

pub mod approvals;
pub mod audit;
pub mod audit_export;
pub mod audit_proofs;
pub mod audit_search;
pub mod backtests;
pub mod checks;
pub mod checks_batch;
pub mod contests;
pub mod diff;
pub mod explanation;
pub mod grants;
pub mod keys;
pub mod merchants;
pub mod perk_steps;
pub mod perks;
pub mod referrals;
pub mod reports;
pub mod scores;
pub mod simulations;
pub mod sources;
pub mod subjects;
pub mod tokens;
pub mod trials;
pub mod version_steps;
pub mod versions;
