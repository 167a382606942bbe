//! The ways by hand that a refusal leaves open, so that a desk offers what it can do, and nothing else.

use jiff::Timestamp;

use super::{OPEN_FOR, OverrideError, Overrider};
use crate::access::Merchant;
use crate::eligibility::checker::{CheckError, Checker};
use crate::foundation::ids::{CheckId, PerkSlug};
use crate::ledger::cases::model::ReferralStatus;
use crate::ledger::entry::CheckEntry;
use crate::rules::overrides::OverrideTerms;

/// The ways; none of what the rule doesn't allow, or what is too late.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Openings {
    pub by_override: Option<Opening>,
    pub by_payment: Option<Opening>,
}

/// The terms of one of them, as things are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// One of them is given; none of paid entry.
    pub reasons: Vec<String>,
    pub tiers: Vec<String>,
    /// How many more the rule allows in its window.
    pub left: u64,
    /// When more are left; none where that is never.
    pub resets_at: Option<Timestamp>,
    /// Until when this refusal can be overridden.
    pub until: Timestamp,
}

impl Checker {
    /// The ways that are left of a check, for this one. Nothing is held: another may come first.
    ///
    /// # Errors
    /// [`CheckError`].
    pub async fn openings(
        &self,
        by: Overrider,
        merchant: &Merchant,
        (check, perk, version): (&CheckId, &PerkSlug, i32),
    ) -> Result<Openings, CheckError> {
        let deciding = self.catalog.read_version(&merchant.id, perk, version).await?;
        // Of most rules nothing more is to be read: they let nobody in by hand.
        if deciding.rule.by_hand().each().next().is_none() {
            return Ok(Openings::default());
        }
        let refusal = match self.open_refusal(merchant, by.place.as_deref(), check).await {
            Ok(refusal) => refusal,
            Err(OverrideError::Check(error)) => return Err(error),
            // Overriding would say why not.
            Err(_) => return Ok(Openings::default()),
        };
        let reader = self.ledger.reader();
        let case = reader.case_of(&merchant.id, check).await?;
        let is_granted = case.is_some_and(|case| case.status == ReferralStatus::Granted);
        if is_granted || reader.find_override(&merchant.id, check).await?.is_some() {
            return Ok(Openings::default());
        }
        let (refusal, visitor) = refusal;
        let until = refusal.asked.at.checked_add(OPEN_FOR).unwrap_or(Timestamp::MAX);
        let opening = async |terms: Option<&OverrideTerms>| {
            let Some(terms) = terms else { return Ok(None) };
            let tiers = terms.tiers.iter().filter_map(|tier| deciding.rule.tier(tier));
            let entries = tiers.map(|tier| {
                let visit = (&refusal, visitor.clone());
                self.in_place(by.clone(), merchant, visit, (&deciding, terms, tier))
            });
            // What can't be counted is not granted.
            let entries = entries.filter(|entry| entry.lacking().is_empty()).collect();
            self.opening(terms, entries, until).await
        };
        Ok(Openings {
            by_override: opening(deciding.rule.overrides()).await?,
            by_payment: opening(deciding.rule.paid()).await?,
        })
    }

    /// The terms with what is left of them: of the tier that has the most left, where each is counted by itself.
    async fn opening(
        &self,
        terms: &OverrideTerms,
        entries: Vec<CheckEntry>,
        until: Timestamp,
    ) -> Result<Option<Opening>, CheckError> {
        let mut most: Option<(u64, Option<Timestamp>)> = None;
        for mut entry in entries {
            entry.claims.retain(|claim| claim.limit == terms.limit().id);
            let decided = self.ledger.reader().preview(entry).await?;
            let is_admitted = decided.is_granted();
            let Some(touched) = decided.limits.into_iter().find(|touched| touched.id == terms.limit().id) else {
                continue;
            };
            // A preview counts itself.
            let used = if is_admitted { touched.used.saturating_sub(touched.cost) } else { touched.used };
            let left = touched.max.saturating_sub(used);
            if most.is_none_or(|(known, _)| left > known) {
                // The preview's own use of a rolling window, which nobody makes, says nothing.
                let resets_at = touched.resets_at.filter(|_| used > 0 || touched.counted.is_none());
                most = Some((left, resets_at));
            }
        }
        Ok(most.map(|(left, resets_at)| Opening {
            reasons: terms.reasons.clone(),
            tiers: terms.tiers.clone(),
            left,
            resets_at,
            until,
        }))
    }
}
