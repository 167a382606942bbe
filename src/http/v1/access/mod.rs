//! Access to the API: `merchants`, their `keys`, and `me`, the caller's own.

pub mod clerks;
pub mod devices;
pub mod keys;
pub mod me;
pub mod merchants;
