//! Rules that were taken before, read back.

use super::rule::{Rule, hash_of};
use crate::foundation::json::Json;

/// A stored rule that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableRule {
    /// It is what was stored, so a newer build has stored it.
    #[error("a newer build wrote this rule: {0}")]
    Newer(String),
    #[error("its text is not the one that was stored: {0}")]
    Damaged(String),
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl Eq for Rule {}

impl Rule {
    /// Reads the text of a version that was stored with `hash`, of the perk `slug`.
    ///
    /// # Errors
    /// [`UnreadableRule`]: where the text still has its hash, the build that stored it could read it.
    pub fn of_version(stored: &str, hash: &str, slug: &str) -> Result<Self, UnreadableRule> {
        let read = Json::parse(stored).map_err(|error| error.to_string()).and_then(|json| {
            Self::stored(&json, slug)
                .map_err(|errors| errors.into_iter().next().map(|error| error.detail).unwrap_or_default())
        });
        read.map_err(|detail| {
            if hash_of(stored) == hash { UnreadableRule::Newer(detail) } else { UnreadableRule::Damaged(detail) }
        })
    }
}
