//! From a question to a recorded decision and its token, and everything else that needs several rooms at once: the only
//! room that calls its siblings' handles.
//!
//! - `checker`: the hot path; it asks `decision`, records with `ledger`, and lets `issuer` sign what was recorded
//! - `known_person`: what is kept of a person, as rules may look at it
//! - `redeemer`: doors spend tokens, and report those that they took offline (`late_reports`); `referral_decision`: a person
//!   decides what a rule has left open; `grants`: a grant as it is shown; `words_behind`: an answer's words for guests
//! - `overrides`: a desk lets someone in by hand; `occupancy`: who is inside; `links`: by which the person of a check
//!   sees its answer; `requests`: what they ask for by them
//! - `simulator`: a rule tried on one question (`trial`), at any instant (`limits_at`), or on everyone whose score is known
//!   (`population`); `backtester` replays the ledger's checks (`replay`) with `simulated_limits`; `picture` shows how many
//!   people a threshold lets in; `rule_selection`, `runs` and `caveats` are what all of them share
//! - `cases`: a merchant's own tests of a rule, pure
//! - `subject_access`: everything that is held on one person; `disclosure`: the same as both doors write it; `shown`:
//!   checks, simulations, cases and versions as both doors write them
//! - `today`: the numbers of each perk's day, and its decisions as they happen; `watches`: one look a second at what
//!   streams watch
//! - `exporter`: a log as a file, and the event that says so
//!
//! When rules can look at something new, the trials have to supply it too: their matches are exhaustive, so the compiler
//! lists the places.

pub mod backtest;
pub mod backtester;
pub mod cases;
mod caveats;
pub mod checker;
pub mod disclosure;
pub mod exporter;
pub mod grants;
pub mod issuer;
mod known_person;
pub mod late_reports;
mod limits_at;
pub mod links;
pub mod occupancy;
pub mod overrides;
pub mod picture;
pub mod population;
pub mod redeemer;
pub mod referral_decision;
mod replay;
pub mod requests;
pub mod rule_selection;
pub mod runs;
pub mod shown;
mod simulated_limits;
pub mod simulator;
pub mod subject_access;
pub mod today;
pub mod trial;
mod watches;
mod words_behind;
