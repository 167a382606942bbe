//! http::v1::access

pub mod keys;
pub mod me;
pub mod merchants;
