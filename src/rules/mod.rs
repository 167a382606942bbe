//! rules

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
