//! Cases that a person decides: `referrals` of rules, and refusals under `contests`.

pub mod contests;
pub mod referrals;
