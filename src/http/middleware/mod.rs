//! http::middleware

pub(crate) mod allowed_methods;
pub(crate) mod known_parameters;
pub(crate) mod path_pattern;
