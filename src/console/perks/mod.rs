//! The pages of perks.
//!
//! - `list`: the board of perks with today's numbers; `board`: a perk's row, ready to be shown
//! - `new`: one from a template; `edit`: a rule as text, which `rule_text` reads
//! - `simulate`: would one person come in? `checklist`: why
//! - `show`: a perk, and its published rule in `sentences`; `versions`: one version, what it changes, and the steps that
//!   can be taken with it

pub(super) mod board;
pub(super) mod checklist;
pub(super) mod edit;
pub(super) mod list;
pub(super) mod new;
mod rule_text;
mod sentences;
pub(super) mod show;
pub(super) mod simulate;
pub(super) mod versions;
