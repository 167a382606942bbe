//! Cases that a person decides: what a rule has referred, and refusals that were contested.
//!
//! - `model`: a case as it is stored and answered; `case`: what belongs to an open one
//! - `overrides`: refusals that a desk overrides by itself; `requests`: what people ask for by links
//! - `referral`: the queue and its decisions; `contest`: opening one about a refusal

pub mod case;
pub mod contest;
pub mod model;
pub mod overrides;
pub mod referral;
pub mod requests;
