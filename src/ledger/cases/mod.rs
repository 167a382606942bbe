//! ledger::cases

pub mod case;
pub mod contest;
pub mod model;
pub mod referral;
