//! The language of rules, pure: what a merchant writes is read, checked, compared and put into words here.
//!
//! - `rule`: the whole, compiled and hashed, of its `parts`, which are `terms`, `condition`, `leaf`, `attribute`, `tier`, `limit`,
//!   `scope`, `maximum`, `messages`, `offers`, `window`, `time_window`, `schedule`, `blackout` and `instant`; `stored`: one that was taken before, read back
//! - `availability`: whether it can decide at an instant, and when it next can
//! - `engine`: which reading of rules it needs
//! - `lint`: what is wrong or odd about a rule that can be read
//! - `diff`: what differs between two rules, in sentences
//! - `describe`, `normalize`: a rule in words, and as a person would have written it
//! - `occupancy`: the limit that says who is inside
//! - `declared`: what a merchant says of the attributes of people that its rules may look at
//! - `template`: perks to begin with
//!
//! A rule is read once, by [`rule::Rule::parse`], into a compiled and immutable value; everything after that trusts it.
//!
//! To add a member: read it where its neighbours are read, through [`crate::foundation::document::Node`] (which bounds
//! texts, refuses unknown members and knows the JSON pointer), with a default, so that rules published before it still
//! mean the same; write it in the same file's `to_json`, absent where it is the default, or every stored hash would change;
//! and let a rule that has it name the reading that brought it, as its `engine`. It then has a place in `lint`, `diff`, `describe`, `normalize` and
//! `perks::schema`. The round trip of the canonical form and the evaluator in `tests/it/oracle` fail until all is done.
//!
//! To add an operator: a variant of [`leaf::Test`], its name and types in `Leaf::read`, its truth in
//! `decision::evaluate`.
//!
//! To add a window: a variant of [`window::Window`], and its key. Keys must never change for windows
//! that are in use: a changed key is a fresh counter, and a fresh counter is an over-grant.

pub mod attribute;
pub mod availability;
pub mod blackout;
pub mod condition;
pub mod declared;
pub mod describe;
pub mod diff;
pub mod engine;
pub mod instant;
pub mod leaf;
pub mod limit;
pub mod lint;
pub mod maximum;
pub mod messages;
pub mod normalize;
pub mod occupancy;
pub mod offers;
pub mod overrides;
mod parts;
pub mod rule;
pub mod schedule;
pub mod scope;
mod stored;
pub mod template;
pub mod terms;
pub mod tier;
pub mod time_window;
pub mod window;
