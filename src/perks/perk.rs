//! A perk as its merchant sees it, and the versions of its rule.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::rule::Rule;
use crate::ids::{PerkId, PerkSlug};

/// The longest name of a perk and the longest change note, in characters.
pub const MAX_NAME: usize = 120;
pub const MAX_NOTE: usize = 500;

/// Where a version of a rule is in its life. A version never changes otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionStatus {
    /// Decides nothing yet.
    Draft,
    /// The one that decides.
    Published,
    /// Decided once; another has taken its place.
    Retired,
}

impl VersionStatus {
    /// The stored and the wire form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Published => "published",
            Self::Retired => "retired",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Draft, Self::Published, Self::Retired].into_iter().find(|status| status.as_str() == text)
    }
}

/// A benefit that a merchant offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Perk {
    pub id: PerkId,
    pub slug: PerkSlug,
    pub name: String,
    pub latest_version: i32,
    pub published_version: Option<i32>,
    pub created_at: Timestamp,
}

/// One numbered version of a perk's rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleVersion {
    pub version: i32,
    pub status: VersionStatus,
    /// The canonical rule (RFC 8785).
    pub rule: String,
    pub rule_hash: String,
    pub change_note: Option<String>,
    /// The API key that wrote it, or `cli`.
    pub author: String,
    pub created_at: Timestamp,
    pub published_at: Option<Timestamp>,
}

/// The rule that decides about a perk now, parsed and ready.
#[derive(Debug)]
pub struct Deciding {
    pub version: i32,
    pub rule: Rule,
    pub hash: Arc<str>,
}

/// What checks need to know of a perk.
#[derive(Debug, Clone)]
pub struct OpenPerk {
    pub id: PerkId,
    pub slug: PerkSlug,
    /// None while nothing is published.
    pub deciding: Option<Arc<Deciding>>,
}
