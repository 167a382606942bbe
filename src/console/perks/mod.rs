//! The pages of perks.
//!
//! - `list`: the board of perks with today's numbers; `board`: a perk's row, ready to be shown
//! - `new`: one from a template; `editor`: a rule as forms; `edit`: a rule as text, which `rule_text` reads; `judge`: what
//!   stops one of them, and what is odd; `saved`: when a draft was saved, and by whom
//! - `simulate`: would one person come in? `checklist`: why
//! - `backtest`: a period again; `everyone`: all whose score is known; `trial_form`: what both share; `run`: how far they are
//! - `show`: a perk, and its published rule in `sentences`; `versions`: one version and what it changes; `steps`: those that
//!   can be taken with it; `close`: a place that is closed, a perk that is paused

pub(super) mod backtest;
pub(super) mod board;
pub(super) mod checklist;
pub(super) mod close;
pub(super) mod edit;
pub(super) mod editor;
pub(super) mod everyone;
mod judge;
pub(super) mod list;
pub(super) mod new;
mod rule_text;
mod run;
mod saved;
mod sentences;
pub(super) mod show;
pub(super) mod simulate;
pub(super) mod steps;
mod trial_form;
pub(super) mod versions;

/// The pages of a perk, by the end of their address.
pub(super) const TABS: &[(&str, &str)] = &[
    ("Overview", ""),
    ("Rule", "/rule"),
    ("As text", "/rule.json"),
    ("Who comes in", "/picture"),
    ("Try it", "/try"),
    ("Backtest", "/backtest"),
    ("Everyone", "/everyone"),
];
