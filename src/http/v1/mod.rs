//! Version 1 of the API: one file a resource.

pub mod approvals;
pub mod checks;
pub mod grants;
pub mod keys;
pub mod merchants;
pub mod perk_steps;
pub mod perks;
pub mod scores;
pub mod sources;
pub mod tokens;
pub mod version_steps;
pub mod versions;
