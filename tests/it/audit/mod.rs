//! `audit::verify`: what it passes, and what it finds.

mod anchoring;
mod history;
mod life;
mod pages;
mod pruning;
mod referrals;
mod tamper;
mod verify;
