//! `audit::verify`: what it passes, and what it finds.

mod campaign;
mod exports;
mod history;
mod life;
mod pages;
mod random;
mod referrals;
mod tamper;
mod verify;
mod written;
