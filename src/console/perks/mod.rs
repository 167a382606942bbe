//! The pages of perks.
//!
//! - `list`: the board of perks with today's numbers; `board`: a perk's row, ready to be shown
//! - `show`: a perk, and its published rule in `sentences`; `versions`: one version, what it changes, and the steps that
//!   can be taken with it

mod board;
pub(super) mod list;
mod sentences;
pub(super) mod show;
pub(super) mod versions;
