//! The facts by which a person decides about someone.

use serde::Serialize;

use super::check::CheckShown;
use super::explanation::GuestsShown;
use crate::access::Merchant;
use crate::eligibility::checker::{CheckError, Checker};
use crate::foundation::json::Json;
use crate::ledger::cases::referral::Referred;
use crate::rules::tier::Tier;
use crate::rules::tier::party::Party;

/// All there is to decide a referral or a contest by.
#[derive(Debug, Serialize)]
pub struct CaseShown {
    pub subject: String,
    pub party: u64,
    /// The part of the visit that the rule looked at.
    pub context: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kiosk: Option<String>,
    /// The tiers that can be granted: those of the version that it was asked by, highest rank first.
    pub tiers: Vec<GrantableShown>,
    /// Why it was decided as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The answer to the kiosk, with the reasons.
    pub asked: CheckShown,
}

/// A tier that a person can grant.
#[derive(Debug, Serialize)]
pub struct GrantableShown {
    pub tier: String,
    pub name: String,
    /// Whom the tier would let in of those who came, where it says something of guests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guests: Option<GuestsShown>,
}

impl GrantableShown {
    fn of(tier: Tier, party: &Party) -> Self {
        let guests = tier.admitted(party).guests.map(GuestsShown::from);
        Self { tier: tier.id, name: tier.name, guests }
    }
}

impl CaseShown {
    /// The case as those see it who may read scores, or as the others do; none without its check.
    ///
    /// # Errors
    /// [`CheckError`]: the ledger's, and those of the rule that asked.
    pub async fn of(
        checker: &Checker,
        merchant: &Merchant,
        referred: Referred,
        reads_scores: bool,
    ) -> Result<Option<Self>, CheckError> {
        let asked = checker.find_check(merchant, &referred.referral.check).await?;
        let Some(asked) = asked else { return Ok(None) };
        let tiers = checker.grantable(merchant, &referred).await?.into_iter();
        Ok(Some(Self {
            subject: referred.handle.as_str().to_owned(),
            party: referred.party.size(),
            context: referred.context,
            location: referred.location,
            kiosk: referred.kiosk,
            tiers: tiers.map(|tier| GrantableShown::of(tier, &referred.party)).collect(),
            note: referred.note,
            asked: CheckShown::of(asked, reads_scores),
        }))
    }
}
