//! Grants after they were made: `ending` releases and voids them, `selection` finds those that are to be taken back.

pub mod ending;
pub mod selection;
