//! Grants that end before their time, held to the rest of the log.

pub(crate) mod late_reports;
pub(crate) mod undone;
