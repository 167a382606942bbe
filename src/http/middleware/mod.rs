//! Checks that stand in front of the handlers and are read off the OpenAPI document: which methods and which query
//! parameters an address takes.

pub(crate) mod allowed_methods;
pub(crate) mod known_parameters;
pub(crate) mod path_pattern;
