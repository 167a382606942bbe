//! A perk as its merchant sees it, and the versions of its rule.

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::PerkError;
use super::purpose::Purpose;
use crate::foundation::clock::from_micros;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{PerkId, PerkSlug};
use crate::foundation::json::Json;
use crate::foundation::subject::hex;
use crate::rules::rule::Rule;

/// The longest name of a perk, in characters.
pub const MAX_NAME: usize = 120;

/// Where a version of a rule is in its life. A version never changes otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionStatus {
    /// Decides nothing yet.
    Draft,
    /// Waits for someone's approval.
    InReview,
    /// May be published.
    Approved,
    /// Decides from an instant on.
    Scheduled,
    /// The one that decides.
    Published,
    /// Decided once; another has taken its place.
    Retired,
}

impl VersionStatus {
    pub const ALL: [Self; 6] =
        [Self::Draft, Self::InReview, Self::Approved, Self::Scheduled, Self::Published, Self::Retired];

    /// The stored and the wire form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::InReview => "in_review",
            Self::Approved => "approved",
            Self::Scheduled => "scheduled",
            Self::Published => "published",
            Self::Retired => "retired",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// A version of this status, in a sentence.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Draft => "a draft",
            Self::InReview => "in review",
            Self::Approved => "approved",
            Self::Scheduled => "scheduled",
            Self::Published => "published, and decides already",
            Self::Retired => "retired, as another decides by now",
        }
    }
}

/// The status of a perk: is it on offer?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PerkStatus {
    Active,
    /// Every check is denied, until it is resumed.
    Paused,
    /// Retired for good: as if it had never been, but for those who ask again about an earlier check.
    Retired,
}

impl PerkStatus {
    /// The stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Retired => "retired",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Paused, Self::Retired].into_iter().find(|status| status.as_str() == text)
    }
}

/// A benefit that a merchant offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Perk {
    pub id: PerkId,
    pub slug: PerkSlug,
    pub name: String,
    pub purpose: Purpose,
    pub status: PerkStatus,
    /// The person who paused, resumed or retired it last, and when.
    pub status_changed: Option<Signed>,
    pub status_note: Option<String>,
    /// The highest number that was ever given; that draft may have been deleted.
    pub latest_version: i32,
    pub published_version: Option<i32>,
    pub created_at: Timestamp,
}

impl Perk {
    /// Its status as it is shown: while it is on offer, `published` or, with nothing published, `draft`.
    #[must_use]
    pub const fn shown_status(&self) -> &'static str {
        match (self.status, self.published_version) {
            (PerkStatus::Active, Some(_)) => VersionStatus::Published.as_str(),
            (PerkStatus::Active, None) => VersionStatus::Draft.as_str(),
            (PerkStatus::Paused | PerkStatus::Retired, _) => self.status.as_str(),
        }
    }
}

/// The person who did something, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The API key, or `cli`.
    pub by: String,
    pub at: Timestamp,
}

impl Signed {
    pub(super) fn stored(by: Option<String>, at: Option<i64>) -> Option<Self> {
        by.zip(at).map(|(by, at)| Self { by, at: from_micros(at) })
    }
}

/// A version that decides from an instant on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Scheduled {
    pub version: i32,
    pub at: Timestamp,
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
    /// The others who wrote on it.
    pub editors: Vec<String>,
    pub created_at: Timestamp,
    pub submitted: Option<Signed>,
    pub approved: Option<Signed>,
    /// The person who scheduled it, and when it decides from.
    pub scheduled: Option<Signed>,
    pub published_by: Option<String>,
    pub published_at: Option<Timestamp>,
    /// The note of the last step.
    pub step_note: Option<String>,
    /// Who saved it last, and when; none where that was not noted.
    pub saved: Option<Signed>,
}

impl RuleVersion {
    /// The rule of this version of `perk`.
    ///
    /// # Errors
    /// [`PerkError::RuleNewer`] or a damaged text.
    pub fn read(&self, perk: &PerkSlug) -> Result<Rule, PerkError> {
        Rule::of_version(&self.rule, &self.rule_hash, perk.as_str())
            .map_err(|error| PerkError::unreadable(perk.as_str(), error))
    }

    /// Everybody who wrote it or took a step: API keys, or `cli`.
    pub fn people(&self) -> impl Iterator<Item = &str> {
        let signed = [&self.submitted, &self.approved, &self.scheduled].into_iter().flatten().map(|it| it.by.as_str());
        let others = self.editors.iter().chain(&self.published_by).map(String::as_str);
        std::iter::once(self.author.as_str()).chain(others).chain(signed)
    }

    /// Tells one content and status from another: what `If-Match` names.
    #[must_use]
    pub fn etag(&self) -> String {
        let note = self.change_note.as_deref().unwrap_or_default();
        let content = [self.rule_hash.as_str(), self.status.as_str(), note].join("\0");
        hex(digest::digest(&digest::SHA256, content.as_bytes()).as_ref()).chars().take(32).collect()
    }
}

/// A rule that wants to become a version.
#[derive(Debug, Clone)]
pub struct NewVersion {
    pub rule: Json,
    pub publish: bool,
    pub change_note: Option<String>,
}

/// A version that was made, and what is odd about it.
#[derive(Debug, Clone)]
pub struct Made {
    pub perk: Perk,
    pub version: RuleVersion,
    pub warnings: Vec<FieldError>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_back_from_its_name() {
        for status in VersionStatus::ALL {
            assert_eq!(VersionStatus::parse(status.as_str()), Some(status));
            assert_eq!(serde_json::to_string(&status).unwrap(), format!("\"{}\"", status.as_str()));
        }
        assert_eq!(PerkStatus::parse("paused"), Some(PerkStatus::Paused));
        assert_eq!((VersionStatus::parse("deleted"), PerkStatus::parse("gone")), (None, None));
    }
}
