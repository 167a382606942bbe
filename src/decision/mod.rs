//! decision

pub mod decide;
pub(crate) mod evaluate;
pub mod facts;
pub mod reason;
pub mod remedy;
pub mod trace;
