//! Grants that someone made in the place of a refusal or a referral, for the desk at which their person asks again: the
//! grant has used its limits, and only there it is handed out.

use crate::access::Merchant;
use crate::eligibility::checker::{CheckError, Checker};
use crate::eligibility::grants::GrantStatus;
use crate::foundation::ids::{CheckId, GrantId, PerkSlug};
use crate::foundation::subject::SubjectHandle;
use crate::ledger::LedgerError;
use crate::ledger::cases::model::Referral;
use crate::ledger::read::waiting;

/// The most grants of one person that are looked at, the last first.
const MOST: u32 = 5;

impl Checker {
    /// The check of the last grant that someone made for this person, the perk and a place, and that no door has taken
    /// and nothing has ended; none where there is none.
    ///
    /// # Errors
    /// [`CheckError`].
    pub async fn find_made_for(
        &self,
        merchant: &Merchant,
        (perk, place): (&PerkSlug, Option<&str>),
        subject: &SubjectHandle,
    ) -> Result<Option<CheckId>, CheckError> {
        let perk = self.catalog.open_perk(&merchant.id, perk).await?;
        let subject = self.keyring.subject_refs(&merchant.id, subject);
        let reader = self.ledger.reader();
        for grant in waiting::granted_to(reader, &merchant.id, &perk.id, subject, MOST).await? {
            if let Some(check) = self.unspent(merchant, &grant, place).await? {
                return Ok(Some(check));
            }
        }
        Ok(None)
    }

    async fn unspent(
        &self,
        merchant: &Merchant,
        grant: &GrantId,
        place: Option<&str>,
    ) -> Result<Option<CheckId>, CheckError> {
        let found = match self.find_grant(&merchant.id, grant).await {
            Err(CheckError::Ledger(LedgerError::Pruned)) => return Ok(None),
            found => found?,
        };
        let found = found.filter(|grant| grant.status == GrantStatus::Active);
        let here = found.filter(|grant| super::elsewhere(place, grant.location.as_deref()).is_none());
        Ok(here.map(|grant| grant.check))
    }

    /// The check that someone granted in the place of this one, or of the one that it belongs to; with its case, once that
    /// is decided.
    ///
    /// # Errors
    /// [`CheckError`].
    pub async fn find_case_decided(
        &self,
        merchant: &Merchant,
        check: &CheckId,
    ) -> Result<Option<(Referral, Option<CheckId>)>, CheckError> {
        let case = self.ledger.reader().case_of(&merchant.id, check).await?;
        let Some(case) = case.filter(|case| case.decided.is_some()) else { return Ok(None) };
        let granted = case.decided.as_ref().and_then(|decided| decided.granted.as_ref());
        let granted = granted.map(|(granted, _)| granted.clone());
        Ok(Some((case, granted)))
    }
}
