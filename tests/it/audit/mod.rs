//! `audit::verify`: what it passes, and what it finds.

mod additions;
mod anchoring;
mod campaign;
mod exports;
mod four_eyes;
mod gateway_keys;
mod history;
mod life;
mod log_origins;
mod notes;
mod pages;
mod pruned;
mod pruning;
mod pruning_races;
mod random;
mod referrals;
mod reports;
mod tamper;
mod verify;
mod written;
