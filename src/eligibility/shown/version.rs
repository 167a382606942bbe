//! A version of a perk's rule, with who wrote it and who took which step.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::foundation::ids::PerkSlug;
use crate::perks::perk::{RuleVersion, Signed, VersionStatus};

/// One version of a rule.
#[derive(Debug, Serialize)]
pub struct VersionShown {
    pub perk: PerkSlug,
    pub version: i32,
    pub status: VersionStatus,
    pub rule_hash: String,
    /// The whole rule with its defaults filled in.
    pub rule: Box<RawValue>,
    pub change_note: Option<String>,
    /// The API key that wrote it, or `cli`.
    pub created_by: String,
    /// The others who wrote on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub editors: Vec<String>,
    pub created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_by: Option<String>,
    /// When it decides from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_by: Option<String>,
    pub published_at: Option<Timestamp>,
    /// The note of its last step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_note: Option<String>,
    /// The labels of the keys that are named above, by key.
    pub key_labels: BTreeMap<String, String>,
}

impl VersionShown {
    /// `labels` are at least those of the keys that the version names.
    ///
    /// # Errors
    /// The parser's, for a stored rule that is no JSON.
    pub fn of(
        perk: PerkSlug,
        version: RuleVersion,
        labels: &BTreeMap<String, String>,
    ) -> Result<Self, serde_json::Error> {
        let key_labels = version.people().filter_map(|key| labels.get_key_value(key));
        let key_labels = key_labels.map(|(key, label)| (key.clone(), label.clone())).collect();
        let signed = |it: Option<Signed>| it.map(|it| (it.by, it.at)).unzip();
        let (submitted_by, submitted_at) = signed(version.submitted);
        let (approved_by, approved_at) = signed(version.approved);
        let (scheduled_by, scheduled_at) = signed(version.scheduled);
        Ok(Self {
            perk,
            version: version.version,
            status: version.status,
            rule_hash: version.rule_hash,
            rule: RawValue::from_string(version.rule)?,
            change_note: version.change_note,
            created_by: version.author,
            editors: version.editors,
            created_at: version.created_at,
            submitted_by,
            submitted_at,
            approved_by,
            approved_at,
            scheduled_by,
            scheduled_at,
            published_by: version.published_by,
            published_at: version.published_at,
            step_note: version.step_note,
            key_labels,
        })
    }

    /// The label of a key that it names; a key that has none, or `cli`, stands for itself.
    #[must_use]
    pub fn person<'a>(&'a self, key: &'a str) -> &'a str {
        self.key_labels.get(key).map_or(key, String::as_str)
    }

    /// When it began to decide, or will.
    #[must_use]
    pub fn decides_from(&self) -> Option<Timestamp> {
        match self.status {
            VersionStatus::Scheduled => self.scheduled_at,
            VersionStatus::Published => self.published_at,
            _ => None,
        }
    }
}
