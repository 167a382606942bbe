//! Grants after they were made: `ending` releases and voids them, `selection` finds those that are to be taken back,
//! `claims` reads what their tokens state.

pub(crate) mod claims;
pub mod ending;
pub mod selection;
pub mod undo;
