//! http::v1::cases

pub mod contests;
pub mod referrals;
