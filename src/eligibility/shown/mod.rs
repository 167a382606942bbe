//! Answers as both doors write them: one set of members, with the same ones left out. The API's document describes them
//! in `http/v1`; the command line puts them in words.
//!
//! - `explanation`: the parts that decisions have in common; `check` and `simulation`: a decision with all of them
//! - `referral`: how a person decided about a check; `case`: all there is to decide it by
//! - `opening`: what a desk may do by hand about a refusal
//! - `version`: a version of a perk's rule; `proof`: that an event stands in the log; `late`: an item of what a door reports afterwards

pub mod case;
pub mod check;
pub mod explanation;
pub mod late;
pub mod opening;
pub mod proof;
pub mod referral;
pub mod simulation;
pub mod version;
