//! audit::reader

pub(crate) mod body;
pub(crate) mod canonical;
pub(crate) mod instant;
pub(crate) mod text;
