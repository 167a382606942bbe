//! `audit::verify`: what it passes, and what it finds.

mod history;
mod pages;
mod tamper;
mod verify;
