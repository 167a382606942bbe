//! ledger::read

pub mod browse;
pub mod decisions;
pub mod evidence;
pub mod history;
pub mod lists;
pub mod person;
pub mod proof;
pub mod published;
pub(crate) mod searches;
