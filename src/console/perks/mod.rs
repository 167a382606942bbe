//! The pages of perks.
//!
//! - `list`: the board of perks with today's numbers; `board`: a perk's row, ready to be shown
//! - `new`: one from a template; `editor`: a rule as forms; `edit`: a rule as text, which `rule_text` reads; `judge`: what
//!   stops one of them, and what is odd
//! - `simulate`: would one person come in? `checklist`: why
//! - `show`: a perk, and its published rule in `sentences`; `versions`: one version, what it changes, and the steps that
//!   can be taken with it

mod board;
mod checklist;
pub(super) mod edit;
pub(super) mod editor;
mod judge;
pub(super) mod list;
pub(super) mod new;
mod rule_text;
mod sentences;
pub(super) mod show;
pub(super) mod simulate;
pub(super) mod versions;

/// The pages of a perk, by the end of their address.
pub(super) const TABS: &[(&str, &str)] =
    &[("Overview", ""), ("Rule", "/rule"), ("As text", "/rule.json"), ("Who comes in", "/picture"), ("Try it", "/try")];
