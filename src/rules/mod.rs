//! The language of rules, pure: what a merchant writes is read, checked, compared and put into words here.
//!
//! - `rule`: the whole, compiled and hashed; its parts are `terms`, `condition`, `leaf`, `attribute`, `tier`, `limit`,
//!   `window`, `schedule` and `instant`
//! - `lint`: what is wrong or odd about a rule that can be read
//! - `diff`: what differs between two rules, in sentences
//! - `describe`, `normalize`: a rule in words, and as a person would have written it
//! - `template`: perks to begin with
//!
//! A new member of a rule is read in its part, and then has a place in `lint`, `diff`, `describe` and `normalize`.

pub mod attribute;
pub mod condition;
pub mod describe;
pub mod diff;
pub mod instant;
pub mod leaf;
pub mod limit;
pub mod lint;
pub mod normalize;
pub mod rule;
pub mod schedule;
pub mod template;
pub mod terms;
pub mod tier;
pub mod window;
