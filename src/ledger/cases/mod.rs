//! ledger::cases

pub mod case;
pub mod contest;
pub mod referral;
