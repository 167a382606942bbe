//! Deletion: `erasure` destroys what names a person, `pruning` takes old bodies away, `sweep` forgets what has expired.

pub mod erasure;
pub mod pruning;
pub mod sweep;
