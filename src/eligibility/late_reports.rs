//! Tokens that doors took while they were offline, handed in afterwards: each by itself, with an answer that stands.

use std::time::Instant;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::redeemer::{Redeemer, Spent, objection_of, own};
use crate::access::{Merchant, Principal};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{EventId, GrantId, KeyId, NameError, label};
use crate::ledger::LedgerError;
use crate::ledger::door::{
    EarlierRedemption, LATEST_REPORT, LateObjection, LateReport, RedeemEntry, Redeemed, Unproven,
};
use crate::scores::score::parse_instant;
use crate::telemetry::meters;
use crate::tokens::claims::Claims;
use crate::tokens::verifier::Signed;
use crate::tokens::{TokenError, scanned};

/// The most items in one report.
pub const MOST: usize = 100;

/// The longest name of a door, and the longest text that tells one attempt from another.
pub const MAX_DOOR: usize = 80;
pub const MAX_ATTEMPT: usize = 128;

/// A token that a door took.
#[derive(Debug, Clone)]
pub struct LateItem {
    token: String,
    door: String,
    attempt: String,
    at: Timestamp,
}

/// Why an item is refused.
#[derive(Debug, thiserror::Error)]
pub enum LateFault {
    /// It can't be read.
    #[error("{0}")]
    Item(String),
    #[error(transparent)]
    Token(TokenError),
    #[error(transparent)]
    Report(LateObjection),
}

/// The answer to an item.
#[derive(Debug)]
pub enum LateOutcome {
    Recorded(Spent),
    /// Another door or attempt was first.
    Duplicate {
        grant: GrantId,
        first: EarlierRedemption,
    },
    Refused(LateFault),
}

impl LateItem {
    /// Reads an item.
    ///
    /// # Errors
    /// Each member that can't be taken, with its pointer.
    pub fn read(token: String, door: &str, attempt: &str, at: &str) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut text = |pointer: &'static str, read: Result<String, NameError>| {
            read.map_err(|error| errors.push(FieldError::at(pointer, "invalid_value", error.to_string())))
                .unwrap_or_default()
        };
        let door = text("/door", label(door, MAX_DOOR));
        let attempt = text("/attempt", label(attempt, MAX_ATTEMPT));
        let instant = parse_instant(at);
        if instant.is_none() {
            let detail = "write an instant of RFC 3339 with its offset: 2012-05-08T19:00:00Z";
            errors.push(FieldError::at("/at", "invalid_value", detail));
        }
        match instant {
            Some(at) if errors.is_empty() => Ok(Self { token, door, attempt, at }),
            _ => Err(errors),
        }
    }
}

impl LateFault {
    /// The fault of an item that can't be read.
    #[must_use]
    pub fn of_item(errors: &[FieldError]) -> Self {
        let each = errors.iter().map(|error| {
            let detail = error.detail.trim_end_matches('.');
            if error.path.as_str().is_empty() { detail.to_owned() } else { format!("{}: {detail}", error.path) }
        });
        Self::Item(each.collect::<Vec<_>>().join("; "))
    }
}

/// An item on its way: the token's claims and what is handed to the ledger.
struct Asked {
    claims: Claims,
    entry: RedeemEntry,
}

impl Redeemer {
    /// Records what a door took while it was offline, each item by itself; those before come first. `caller` is none for
    /// the command line. A retry gets the same answers. Items that can't be read keep their fault.
    ///
    /// # Errors
    /// [`LedgerError`]: what was recorded by then is, and a retry tells.
    pub async fn redeem_late(
        &self,
        caller: Option<&Principal>,
        merchant: &Merchant,
        items: Vec<Result<LateItem, LateFault>>,
        deadline: Instant,
    ) -> Result<Vec<LateOutcome>, LedgerError> {
        let now = self.clock.now();
        let mut asked = Vec::with_capacity(items.len());
        for item in items {
            asked.push(match item {
                Ok(item) => self.asked(caller, merchant, item, now, deadline).await?,
                Err(fault) => Err(fault),
            });
        }
        let outcomes = asked.into_iter().map(async |asked| match asked {
            Ok(asked) => self.record_late(asked).await,
            Err(fault) => {
                meters().redemptions.count(["refused"]);
                Ok(LateOutcome::Refused(fault))
            }
        });
        join_all(outcomes).await.into_iter().collect()
    }

    async fn asked(
        &self,
        caller: Option<&Principal>,
        merchant: &Merchant,
        item: LateItem,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Result<Asked, LateFault>, LedgerError> {
        let Signed { claims, withdrawn } = match self.verify_reported(merchant, &item.token).await? {
            Ok(signed) => signed,
            Err(error) => return Ok(Err(LateFault::Token(error))),
        };
        let unproven = withdrawn.map(|kid| Box::new(Unproven { kid, claims: claims.clone() }));
        let entry = RedeemEntry {
            event: EventId::new(now, &self.entropy),
            at: now,
            merchant: merchant.id.clone(),
            key: caller.map(|caller| KeyId::clone(&caller.key)),
            role: caller.map_or("cli", |caller| caller.role.as_str()),
            grant: claims.jti.clone(),
            location: caller.and_then(|caller| caller.location.clone()),
            kiosk: caller.and_then(|caller| caller.kiosk.clone()),
            door: item.door,
            attempt: self.ledger.attempt(&item.attempt),
            objection: caller.and_then(|caller| objection_of(caller, merchant, &claims)),
            late: Some(LateReport::new(item.at, (claims.nbf.max(claims.iat), claims.exp), now)),
            unproven,
            deadline,
        };
        Ok(Ok(Asked { claims, entry }))
    }

    /// The token of a report, by a key that may be retired since: the door took it while the key was good.
    async fn verify_reported(
        &self,
        merchant: &Merchant,
        token: &str,
    ) -> Result<Result<Signed, TokenError>, LedgerError> {
        let token = scanned(token);
        let mut verified = self.verifier.verify_reported(token, LATEST_REPORT);
        if verified == Err(TokenError::UnknownKey) {
            self.keys.catch_up().await?;
            verified = self.verifier.verify_reported(token, LATEST_REPORT);
        }
        Ok(verified.and_then(|signed| Ok(Signed { claims: own(merchant, signed.claims)?, ..signed })))
    }

    async fn record_late(&self, Asked { claims, entry }: Asked) -> Result<LateOutcome, LedgerError> {
        let redeemed = self.ledger.redeem(entry).await?;
        meters().redemptions.count([redeemed.as_str()]);
        Ok(match redeemed {
            Redeemed::Accepted(redemption) => LateOutcome::Recorded(Spent::of(redemption, claims)),
            Redeemed::AlreadyRedeemed(first) => LateOutcome::Duplicate { grant: claims.jti, first },
            Redeemed::Refused(error) => LateOutcome::Refused(LateFault::Token(error)),
            Redeemed::RefusedLate(error) => LateOutcome::Refused(LateFault::Report(error)),
            // As when it is redeemed at once.
            Redeemed::Unknown => LateOutcome::Refused(LateFault::Token(TokenError::BadSignature)),
        })
    }
}
