//! Version 1 of the API: one file a resource.

pub mod keys;
pub mod merchants;
