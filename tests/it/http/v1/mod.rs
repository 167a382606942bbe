//! One file an endpoint, as `src/http/v1` has them.

mod check_promises;
mod checks;
mod diff;
mod grants;
mod keys;
mod merchants;
mod perks;
mod perks_lint;
mod perks_rules;
mod scores;
mod sources;
mod tokens_redeem;

/// 40 or more, once a day.
pub const LOUNGE: &str = r#"{"score":{"source":"klout","max_age":"P7D"},
  "tiers":[{"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}}]}"#;

/// 40 or more, as often as you like.
pub const OPEN_LOUNGE: &str = r#"{"at_least":40,"score":"klout"}"#;
