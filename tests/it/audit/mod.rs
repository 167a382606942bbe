//! `audit::verify`: what it passes, and what it finds.

mod history;
mod tamper;
mod verify;
