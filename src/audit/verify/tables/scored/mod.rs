//! Who is scored, and by which models.

pub(crate) mod enrolments;
pub(crate) mod models;
mod submissions;
