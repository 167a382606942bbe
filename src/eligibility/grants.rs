//! A grant as it is shown, with where it is in its life.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::checker::{CheckError, Checker};
use crate::access::Merchant;
use crate::decision::reason::Reason;
use crate::foundation::ids::{CheckId, GrantId, KeyId, MerchantId, PerkSlug};
use crate::ledger::entry::{Actor, Ended};
use crate::ledger::grants::correction::{Corrected, Correction, CorrectionError};
use crate::perks::error::PerkError;
use crate::rules::limit::Cost;
use crate::rules::tier::age_bounds;
use crate::rules::tier::guests::Admitted;
use crate::rules::tier::party::Party;
use crate::telemetry::meters;

/// Those who came by a grant.
#[derive(Debug, Clone)]
pub struct CorrectionRequest {
    pub party: Party,
    /// Why.
    pub reason: String,
    /// The tags of states that are to be corrected; any without them.
    pub expected: Option<Vec<String>>,
}

/// Why a grant was not corrected. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CorrectionRequestError {
    #[error(transparent)]
    Perk(#[from] PerkError),
    #[error(transparent)]
    Correction(#[from] CorrectionError),
}

/// Where a grant is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantStatus {
    /// Its token can be spent.
    Active,
    Redeemed,
    /// Its token was not spent in time.
    Expired,
    /// The guest has left: its token opens no door any more.
    Released,
    /// It was taken back: its token opens no door any more.
    Voided,
    /// The key that signed its token was withdrawn before the token was spent: it opens no door any more.
    KeyRevoked,
}

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantShown {
    pub grant: GrantId,
    pub check: CheckId,
    /// The key whose check it was granted by.
    pub key: KeyId,
    /// The check in whose place a person granted it.
    pub resolves: Option<CheckId>,
    pub perk: PerkSlug,
    pub tier: Option<String>,
    pub rule_version: i32,
    pub status: GrantStatus,
    pub single_use: bool,
    /// The party as the token says it.
    pub granted: Admitted,
    /// Those who came, once it was corrected.
    pub corrected: Option<Admitted>,
    /// The tag of this state.
    pub tag: String,
    pub granted_at: Timestamp,
    pub token_expires_at: Timestamp,
    pub redeemed_at: Vec<Timestamp>,
    /// When it ended before its time: it was released or voided, or its token's key was withdrawn.
    pub ended_at: Option<Timestamp>,
    /// Where the key that asked is used.
    pub location: Option<String>,
    pub kiosk: Option<String>,
    /// Why it was voided: personal.
    pub note: Option<String>,
    /// Why the key that granted it undid it.
    pub undone: Option<String>,
}

impl GrantStatus {
    /// Every status.
    pub const ALL: [Self; 6] =
        [Self::Active, Self::Redeemed, Self::Expired, Self::Released, Self::Voided, Self::KeyRevoked];

    /// As it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Redeemed => "redeemed",
            Self::Expired => "expired",
            Self::Released => "released",
            Self::Voided => "voided",
            Self::KeyRevoked => "key_revoked",
        }
    }
}

impl Checker {
    /// The grant of the merchant as it is now, if there is one.
    ///
    /// # Errors
    /// [`CheckError::Ledger`].
    pub async fn find_grant(&self, merchant: &MerchantId, grant: &GrantId) -> Result<Option<GrantShown>, CheckError> {
        let Some(found) = self.ledger.reader().find_grant(merchant, grant).await? else { return Ok(None) };
        let Some(granted) = found.check.grant else { return Ok(None) };
        let is_redeemed = !found.redemptions.is_empty();
        let (status, ended_at) = self.grant_status(&granted.kid, granted.end, granted.expires_at, is_redeemed);
        Ok(Some(GrantShown {
            grant: granted.id,
            check: found.check.check,
            key: found.check.key,
            resolves: found.check.resolves,
            perk: found.check.perk,
            tier: found.check.decided.tier,
            rule_version: found.check.rule_version,
            status,
            single_use: granted.single_use,
            granted: found.granted,
            corrected: found.corrected,
            tag: found.tag,
            granted_at: found.check.at,
            token_expires_at: granted.expires_at,
            redeemed_at: found.redemptions.into_iter().map(|redemption| redemption.redeemed_at).collect(),
            ended_at,
            location: found.check.location,
            kiosk: found.check.kiosk,
            note: found.note,
            undone: found.undone,
        }))
    }

    /// Corrects who came by a grant that was found, as the version of the rule counts them that granted it.
    ///
    /// # Errors
    /// [`CorrectionRequestError`]; then the grant is as it was.
    pub async fn correct_grant(
        &self,
        actor: Actor,
        (location, kiosk): (Option<String>, Option<String>),
        merchant: &Merchant,
        found: GrantShown,
        request: CorrectionRequest,
    ) -> Result<GrantShown, CorrectionRequestError> {
        let CorrectionRequest { party, reason, expected } = request;
        let deciding = self.catalog.read_version(&merchant.id, &found.perk, found.rule_version).await?;
        let rule = &deciding.rule;
        let tier = found.tier.as_deref().and_then(|tier| rule.tier(tier)).ok_or(CorrectionError::NotFound)?;
        let admitted = tier.admitted(&party);
        // As many as were granted always: a person may have granted more than the tier admits.
        let is_more = admitted.counted() > found.granted.counted();
        let refused = Reason::guests_exceeded(tier, &party).filter(|_| is_more).map(Box::new);
        let of_people = rule.limits().iter().filter(|limit| limit.cost == Cost::Party);
        let correction = Correction {
            actor,
            location,
            kiosk,
            expected,
            admitted,
            refused,
            limits: of_people.map(|limit| (limit.id.clone(), limit.window.counting())).collect(),
            came: party.lowered_to(&age_bounds(rule.tiers())),
            reason,
        };
        let corrected = self.ledger.correct_grant(&merchant.id, &found.grant, correction).await;
        let outcome = corrected.as_ref().map_or("refused", |it| match admitted.counted().cmp(&it.was_counted) {
            Ordering::Less => "fewer",
            Ordering::Equal => "same",
            Ordering::Greater => "more",
        });
        meters().corrections.count([outcome]);
        let corrected = corrected?;
        let Corrected { standing, redeemed_at, tag, .. } = corrected;
        let status = if redeemed_at.is_empty() { found.status } else { GrantStatus::Redeemed };
        Ok(GrantShown { corrected: standing.corrected(), status, redeemed_at, tag, ..found })
    }

    /// Where the grant of a token is in its life, and when it ended if that was before its time.
    #[must_use]
    pub fn grant_status(
        &self,
        kid: &str,
        end: Option<Ended>,
        expires_at: Timestamp,
        is_redeemed: bool,
    ) -> (GrantStatus, Option<Timestamp>) {
        match end {
            Some(Ended::Released(at)) => return (GrantStatus::Released, Some(at)),
            Some(Ended::Voided(at)) => return (GrantStatus::Voided, Some(at)),
            None => {}
        }
        let key_revoked_at = self.keyring.revoked_at(kid);
        let is_over = expires_at <= key_revoked_at.unwrap_or_else(|| self.clock.now());
        match (is_redeemed, is_over) {
            (true, _) => (GrantStatus::Redeemed, None),
            (false, true) => (GrantStatus::Expired, None),
            (false, false) if key_revoked_at.is_some() => (GrantStatus::KeyRevoked, key_revoked_at),
            (false, false) => (GrantStatus::Active, None),
        }
    }
}
