//! `/v1/referrals` and `/v1/contests`.

mod contests;
mod contests_added;
mod referrals;
