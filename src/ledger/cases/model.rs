//! A case that a person decides, as it is stored and answered: a referral, or a refusal that was contested.

use jiff::Timestamp;

use crate::database::DatabaseError;
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{CheckId, GrantId, PerkId, PerkSlug};
use crate::ledger::store::{AdditionRow, ReferralRow};

/// Where a referral is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferralStatus {
    Open,
    Granted,
    Denied,
    /// A contest whose person was erased before anybody judged. A referral is denied then.
    #[serde(skip_deserializing)]
    Closed,
}

/// A check that a person is to decide, or has decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referral {
    pub check: CheckId,
    pub perk: PerkSlug,
    pub perk_id: PerkId,
    pub rule_version: i32,
    pub status: ReferralStatus,
    pub created_at: Timestamp,
    /// Where it is a refusal that was contested.
    pub contest: Option<Contested>,
    pub decided: Option<CaseDecision>,
}

/// The contest of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contested {
    pub at: Timestamp,
    /// The API key, or `cli`.
    pub by: String,
    /// Other refusals of the person and perk that were contested while it was open: they are decided with it.
    pub added: Vec<Added>,
}

/// The decision of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseDecision {
    pub at: Timestamp,
    /// The API key, or `cli`.
    pub by: String,
    /// The check that was granted in the place of the one that was referred, and its grant.
    pub granted: Option<(CheckId, GrantId)>,
}

/// A contested refusal that belongs to the case of another check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    pub check: CheckId,
    pub at: Timestamp,
    /// The API key, or `cli`.
    pub by: String,
}

impl TryFrom<AdditionRow> for Added {
    type Error = DatabaseError;
    fn try_from(row: AdditionRow) -> Result<Self, DatabaseError> {
        let check = row.check_id.parse().map_err(|e| DatabaseError::corrupt("contest", e))?;
        Ok(Self { check, at: from_micros(row.added_at), by: row.added_by })
    }
}

impl Referral {
    /// The one who contested this check: the case's own, or one that was added to it.
    pub fn contested_by(&self, check: &CheckId) -> Option<&str> {
        let contest = self.contest.as_ref()?;
        if self.check == *check {
            return Some(&contest.by);
        }
        contest.added.iter().find(|added| added.check == *check).map(|added| added.by.as_str())
    }

    /// The API key that decided, or `cli`. None where it was closed unjudged.
    pub fn decided_by(&self) -> Option<&str> {
        let decided = self.decided.as_ref().filter(|_| self.status != ReferralStatus::Closed)?;
        Some(&decided.by)
    }
}

impl ReferralStatus {
    /// The stored and the wire form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Granted => "granted",
            Self::Denied => "denied",
            Self::Closed => "closed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Granted, Self::Denied, Self::Closed].into_iter().find(|status| status.as_str() == text)
    }
}

impl TryFrom<ReferralRow> for Referral {
    type Error = DatabaseError;
    fn try_from(row: ReferralRow) -> Result<Self, DatabaseError> {
        let wrong = |what: &'static str| DatabaseError::corrupt("referral", what);
        let granted = match (row.resolved_by, row.grant_id) {
            (Some(check), Some(grant)) => {
                Some((check.parse().map_err(|_| wrong("resolved_by"))?, grant.parse().map_err(|_| wrong("grant_id"))?))
            }
            _ => None,
        };
        let by = row.decided_by;
        Ok(Self {
            check: row.check_id.parse().map_err(|_| wrong("check_id"))?,
            perk: row.perk.parse().map_err(|_| wrong("perk"))?,
            perk_id: row.perk_id.parse().map_err(|_| wrong("perk_id"))?,
            rule_version: row.rule_version,
            status: ReferralStatus::parse(&row.status).ok_or_else(|| wrong("status"))?,
            created_at: from_micros(row.created_at),
            contest: row.contested_at.zip(row.contested_by).map(|(at, by)| Contested {
                at: from_micros(at),
                by,
                added: Vec::new(),
            }),
            decided: row.decided_at.zip(by).map(|(at, by)| CaseDecision { at: from_micros(at), by, granted }),
        })
    }
}

/// The personal part of a decision, or of what made it necessary.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct SealedNote {
    pub note: String,
}
