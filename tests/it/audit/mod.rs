//! `audit::verify`: what it passes, and what it finds.

mod history;
mod life;
mod pages;
mod referrals;
mod reports;
mod tamper;
mod verify;
