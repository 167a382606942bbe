//! Spending a token at a door.

use std::time::Instant;

use super::checker::CheckError;
use crate::access::{Merchant, Principal, Role};
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::ids::{EventId, PerkSlug};
use crate::ledger::Ledger;
use crate::ledger::entry::{RedeemEntry, Redeemed, Redemption};
use crate::tokens::claims::Claims;
use crate::tokens::{TokenError, Verifier};

/// Why a token was not spent.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    #[error("the token was redeemed before")]
    AlreadyRedeemed,
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
}

/// Redeems tokens; cheap to clone.
#[derive(Clone)]
pub struct Redeemer {
    pub(crate) verifier: Verifier,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
}

impl Redeemer {
    /// What a token of ours says, whenever and for whichever door it is.
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
        let claims = self.verifier.verify_signature(token)?;
        // A foreign merchant's token gets the answer of a forged one: nobody learns that it is real.
        if claims.merchant != merchant.slug {
            return Err(TokenError::BadSignature.into());
        }
        let at = self.clock.now();
        let objection = match (principal.role, &principal.audience) {
            (Role::Door, Some(audience)) => claims.check_audience(&format!("{}/{audience}", merchant.slug)).err(),
            // A door without an audience opens for nobody.
            (Role::Door, None) => Some(TokenError::WrongAudience),
            _ => None,
        };
        let entry = RedeemEntry {
            event: EventId::new(at, &self.entropy),
            at,
            merchant: merchant.id.clone(),
            key: principal.key.clone(),
            role: principal.role.as_str(),
            grant: claims.jti.clone(),
            location: principal.location.clone(),
            kiosk: principal.kiosk.clone(),
            door,
            attempt: self.ledger.attempt(&attempt),
            objection: objection.or_else(|| claims.check_time(at).err()),
            deadline,
        };
        let redeemed = self.ledger.redeem(entry).await.map_err(CheckError::from)?;
        metrics::counter!("redemptions_total", "outcome" => redeemed.as_str()).increment(1);
        match redeemed {
            Redeemed::Accepted(redemption) => Ok(Spent { redemption, perk: claims.perk, tier: claims.tier }),
            Redeemed::AlreadyRedeemed => Err(RedeemError::AlreadyRedeemed),
            Redeemed::Refused(objection) => Err(objection.into()),
            // Signed by us and not in the ledger: another gateway with our key, or a lost database.
            Redeemed::Unknown => Err(TokenError::BadSignature.into()),
        }
    }
}
