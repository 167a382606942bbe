//! Version 1 of the API: one file a resource.

pub mod checks;
pub mod diff;
pub mod grants;
pub mod keys;
pub mod merchants;
pub mod perks;
pub mod scores;
pub mod sources;
pub mod tokens;
