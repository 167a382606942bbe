//! Grants after they were made: `ending` releases and voids them, `selection` finds those that are to be taken back,
//! `claims` reads what their tokens state, `party` who comes by them; `correction`: who came after all.

pub(crate) mod claims;
pub mod correction;
pub mod ending;
pub mod party;
pub mod selection;
