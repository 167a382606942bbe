//! The one writer of grants, limits, redemptions and audit events.

pub mod entry;
mod recorded;

pub use recorded::Recorded;
