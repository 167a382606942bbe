//! Spending a token at a door, asking whether it still opens one, and taking it back.

use std::time::Instant;

use super::checker::CheckError;
use crate::access::{Merchant, Principal, Role};
use crate::foundation::clock::Clock;
use crate::foundation::entropy::Entropy;
use crate::foundation::ids::{EventId, PerkSlug};
use crate::ledger::door::{EarlierRedemption, RedeemEntry, Redeemed, Redemption};
use crate::ledger::grants::ending::{ReturnError, RevokedGrants};
use crate::ledger::idempotency::replay::GrantState;
use crate::ledger::{Ledger, LedgerError, PublishedKeys};
use crate::telemetry::meters;
use crate::tokens::claims::Claims;
use crate::tokens::{TokenError, Verifier, scanned};

/// Why a token was not spent.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    #[error("the token was redeemed before")]
    AlreadyRedeemed(EarlierRedemption),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Check(#[from] CheckError),
}

/// A token that was spent.
#[derive(Debug, Clone)]
pub struct Spent {
    pub redemption: Redemption,
    pub perk: PerkSlug,
    pub tier: String,
    /// Number of people that the token is for.
    pub party: u64,
}

impl Spent {
    pub(super) fn of(redemption: Redemption, claims: Claims) -> Self {
        let party = claims.party.map_or(1, |party| u64::try_from(party).unwrap_or(1));
        Self { redemption, perk: claims.perk, tier: claims.tier, party }
    }
}

/// A token that opens a door now.
#[derive(Debug, Clone)]
pub struct Active {
    pub claims: Claims,
    pub state: GrantState,
}

/// Redeems tokens; cheap to clone.
#[derive(Clone)]
pub struct Redeemer {
    pub(crate) verifier: Verifier,
    pub(crate) keys: PublishedKeys,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
}

impl Redeemer {
    /// The claims of a token of ours, whenever and for whichever door it is.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        self.verifier.verify_signature(token)
    }

    /// Spends `token` at `door`. The order: signature, then an earlier redemption (the same
    /// attempt gets the same answer even after expiry, another's is a conflict), then the rest.
    ///
    /// # Errors
    /// [`RedeemError`].
    pub async fn redeem(
        &self,
        principal: &Principal,
        merchant: &Merchant,
        token: &str,
        door: String,
        attempt: String,
        deadline: Instant,
    ) -> Result<Spent, RedeemError> {
        let claims = self.verify_of(merchant, token).await.map_err(CheckError::from)??;
        let at = self.clock.now();
        let objection = objection_of(principal, merchant, &claims);
        let entry = RedeemEntry {
            event: EventId::new(at, &self.entropy),
            at,
            merchant: merchant.id.clone(),
            key: Some(principal.key.clone()),
            role: principal.role.as_str(),
            grant: claims.jti.clone(),
            location: principal.location.clone(),
            kiosk: principal.kiosk.clone(),
            door,
            attempt: self.ledger.attempt(&attempt),
            objection: objection.or_else(|| claims.check_time(at).err()),
            late: None,
            unproven: None,
            deadline,
        };
        let redeemed = self.ledger.redeem(entry).await.map_err(CheckError::from)?;
        meters().redemptions.count([redeemed.as_str()]);
        match redeemed {
            Redeemed::Accepted(redemption) => Ok(Spent::of(redemption, claims)),
            Redeemed::AlreadyRedeemed(first) => Err(RedeemError::AlreadyRedeemed(first)),
            Redeemed::Refused(objection) => Err(objection.into()),
            // Signed by us and not in the ledger: another gateway with our key, or a lost database.
            Redeemed::Unknown | Redeemed::RefusedLate(_) => Err(TokenError::BadSignature.into()),
        }
    }

    /// The claims of a token that this caller could spend now (RFC 7662). None for any other, and nobody
    /// learns why: it may be forged, another merchant's, another door's, spent, over or taken back.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn introspect(
        &self,
        principal: &Principal,
        merchant: &Merchant,
        token: &str,
    ) -> Result<Option<Active>, LedgerError> {
        let valid = self.verify_of(merchant, token).await?.ok().filter(|claims| {
            objection_of(principal, merchant, claims).is_none() && claims.check_time(self.clock.now()).is_ok()
        });
        let active = match valid {
            None => None,
            Some(claims) => {
                let state = self.ledger.reader().find_grant_state(&merchant.id, &claims.jti).await?;
                state.filter(GrantState::opens).map(|state| Active { claims, state })
            }
        };
        let word = if active.is_some() { "true" } else { "false" };
        meters().introspections.count([word]);
        Ok(active)
    }

    /// Takes a token back (RFC 7009): from now on it opens no door, not even by an attempt that it has
    /// opened before. A token that opens none anyhow is left as it is: one that is not this merchant's,
    /// that was taken back before, or that expired without being spent.
    ///
    /// # Errors
    /// [`ReturnError`], but for a grant that isn't there.
    pub async fn revoke(&self, principal: &Principal, merchant: &Merchant, token: &str) -> Result<(), ReturnError> {
        let Ok(claims) = self.verify_of(merchant, token).await? else { return Ok(()) };
        // To take it back would give back what it used, long after anybody could have come.
        if claims.check_time(self.clock.now()) == Err(TokenError::Expired) {
            let state = self.ledger.reader().find_grant_state(&merchant.id, &claims.jti).await?;
            if state.is_none_or(|state| state.redemptions == 0) {
                return Ok(());
            }
        }
        match self.ledger.revoke_token(&merchant.id, &claims.jti, principal.actor()).await {
            Ok(RevokedGrants { voided, .. }) => {
                meters().revocations.add([], voided);
                Ok(())
            }
            // Signed by us and not in the ledger, as with redeeming.
            Err(ReturnError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The claims of a token of this merchant. A foreign merchant's gets the answer of a forged one: nobody
    /// learns that it is real. A key that is unknown here may have been made a moment ago on another replica.
    pub(super) async fn verify_of(
        &self,
        merchant: &Merchant,
        token: &str,
    ) -> Result<Result<Claims, TokenError>, LedgerError> {
        let token = scanned(token);
        let mut verified = self.verifier.verify_signature(token);
        if verified == Err(TokenError::UnknownKey) {
            self.keys.catch_up().await?;
            verified = self.verifier.verify_signature(token);
        }
        Ok(verified.and_then(|claims| own(merchant, claims)))
    }
}

/// Tells whether the token's merchant is this one; a foreign one's gets the answer of a forged one.
pub(super) fn own(merchant: &Merchant, claims: Claims) -> Result<Claims, TokenError> {
    if claims.merchant == merchant.slug { Ok(claims) } else { Err(TokenError::BadSignature) }
}

/// Why the token is none of this caller's: a door's audience.
pub(super) fn objection_of(principal: &Principal, merchant: &Merchant, claims: &Claims) -> Option<TokenError> {
    match (principal.role, &principal.audience) {
        (Role::Door, Some(audience)) => claims.check_audience(&format!("{}/{audience}", merchant.slug)).err(),
        // A door without an audience opens for nobody.
        (Role::Door, None) => Some(TokenError::WrongAudience),
        _ => None,
    }
}
