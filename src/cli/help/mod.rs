//! cli::help

pub(crate) mod completions;
pub(crate) mod examples;
pub(crate) mod man;
