//! A check that is left to a person, or a refusal that was contested, and how it was decided.

use jiff::Timestamp;
use serde::Serialize;

use crate::foundation::ids::{CheckId, GrantId, PerkSlug};
use crate::ledger::cases::contest::ContestStatus;
use crate::ledger::cases::model::{Added, Referral, ReferralStatus};
use crate::ledger::cases::referral::Referred;

/// A check that a person is to decide, or has decided.
#[derive(Debug, Serialize)]
pub struct ReferralShown {
    pub check: CheckId,
    pub perk: PerkSlug,
    pub rule_version: i32,
    pub opened_at: Timestamp,
    #[serde(flatten)]
    pub state: ReferralStateShown,
}

/// Where a referral is, and how it was decided.
#[derive(Debug, Serialize)]
pub struct ReferralStateShown {
    pub status: ReferralStatus,
    #[serde(flatten)]
    pub outcome: OutcomeShown,
    /// The token of what was granted, for the kiosk of a check that joined the referral.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// The decision of a person, if there is one.
#[derive(Debug, Serialize)]
pub struct OutcomeShown {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
    /// The key that decided, or `cli`; nobody where it was closed unjudged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// The check that was granted in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted_check: Option<CheckId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
}

/// A refusal that was contested.
#[derive(Debug, Serialize)]
pub struct ContestShown {
    pub check: CheckId,
    pub perk: PerkSlug,
    pub rule_version: i32,
    pub status: ContestStatus,
    pub opened_at: Timestamp,
    /// The key that opened it, or `cli`.
    pub opened_by: String,
    /// The number of further refusals that are decided with it.
    pub additions: usize,
    #[serde(flatten)]
    pub outcome: OutcomeShown,
}

/// Another refusal of the same person and perk, contested while the case was open.
#[derive(Debug, Serialize)]
pub struct AdditionShown {
    pub check: CheckId,
    pub added_at: Timestamp,
    /// The key that added it, or `cli`.
    pub added_by: String,
    /// Why that refusal is said to be wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl OutcomeShown {
    fn of(referral: &Referral) -> Self {
        let decided = referral.decided.as_ref();
        let (granted_check, grant) = decided.and_then(|decided| decided.granted.clone()).unzip();
        let decided_by = referral.decided_by().map(str::to_owned);
        Self { decided_at: decided.map(|decided| decided.at), decided_by, granted_check, grant }
    }
}

impl ReferralStateShown {
    /// The state of the referral.
    #[must_use]
    pub fn of(referral: &Referral) -> Self {
        Self { status: referral.status, outcome: OutcomeShown::of(referral), token: None }
    }

    /// The same, with the token of what was granted.
    #[must_use]
    pub fn with_token(self, token: Option<String>) -> Self {
        Self { token, ..self }
    }
}

impl From<&Referral> for ReferralShown {
    fn from(referral: &Referral) -> Self {
        Self {
            check: referral.check.clone(),
            perk: referral.perk.clone(),
            rule_version: referral.rule_version,
            opened_at: referral.created_at,
            state: ReferralStateShown::of(referral),
        }
    }
}

impl ContestShown {
    /// None for a check that its rule referred by itself.
    #[must_use]
    pub fn of(referral: &Referral) -> Option<Self> {
        let contest = referral.contest.as_ref()?;
        Some(Self {
            check: referral.check.clone(),
            perk: referral.perk.clone(),
            rule_version: referral.rule_version,
            status: ContestStatus::of(referral.status),
            opened_at: contest.at,
            opened_by: contest.by.clone(),
            additions: contest.added.len(),
            outcome: OutcomeShown::of(referral),
        })
    }
}

impl AdditionShown {
    /// The refusals that were added to a case, each with why.
    #[must_use]
    pub fn all(referred: &Referred) -> Vec<Self> {
        let added = referred.referral.contest.iter().flat_map(|contest| contest.added.clone());
        let reasons = referred.added_objections.iter().cloned();
        let addition = |(Added { check, at, by }, reason)| Self { check, added_at: at, added_by: by, reason };
        added.zip(reasons).map(addition).collect()
    }
}
