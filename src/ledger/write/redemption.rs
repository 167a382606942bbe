//! Spending tokens: one winner, and the same answer to the same attempt.

use std::collections::HashMap;

use aws_lc_rs::digest;

use super::admission::{HeldPlace, LimitCounters};
use super::append::Leaf;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::subject::hex;
use crate::ledger::entry::{Actor, LogOwner, RedeemEntry, Redeemed, Redemption};
use crate::ledger::events::redemption::{PlaceHeld, TokenRedeemed};
use crate::ledger::events::{Event, Nullable, leaf_hash};
use crate::ledger::grants::claims;
use crate::ledger::grants::party::PartyStanding;
use crate::ledger::store::{self, GrantRow, RedemptionRow};
use crate::tokens::TokenError;

/// The kind of a redemption's event.
pub const KIND: &str = "token.redeemed";

/// The slot of a single-use token: there is one.
const SINGLE: &str = "single";

/// Grants that doors ask about in this batch, locked until it commits, and who has spent them.
pub(crate) struct Tokens {
    grants: HashMap<String, GrantRow>,
    spent: HashMap<String, Vec<RedemptionRow>>,
    fresh: Vec<RedemptionRow>,
}

impl Tokens {
    pub(crate) fn lock(conn: &mut AnyConnection, entries: &[&RedeemEntry]) -> Result<Self, DatabaseError> {
        let mut ids: Vec<&str> = entries.iter().map(|entry| entry.grant.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut tokens = Self { grants: HashMap::new(), spent: HashMap::new(), fresh: Vec::new() };
        if ids.is_empty() {
            return Ok(tokens);
        }
        // The grants first: the holder of their lock is alone in reading and adding redemptions.
        for row in store::lock_grants(conn, &ids)? {
            tokens.grants.insert(row.id.clone(), row);
        }
        for row in store::list_redemptions(conn, &ids)? {
            tokens.spent.entry(row.grant_id.clone()).or_default().push(row);
        }
        Ok(tokens)
    }

    /// The order of the questions is the promise: an earlier try of the same attempt is answered
    /// alike even when the token has expired since, until the grant ends; then another's redemption;
    /// then the rest.
    ///
    /// # Errors
    /// [`DatabaseError::Corrupt`] when the grant's claims can't be read.
    pub(crate) fn redeem(
        &mut self,
        entry: &RedeemEntry,
        counters: &mut LimitCounters,
    ) -> Result<(Redeemed, Option<Leaf>), DatabaseError> {
        let grant = match self.grants.get(entry.grant.as_str()) {
            Some(grant) if grant.merchant_id == entry.merchant.as_str() => grant,
            _ => return Ok((Redeemed::Unknown, None)),
        };
        let spent = self.spent.entry(grant.id.clone()).or_default();
        let same = |row: &&RedemptionRow| {
            row.key_id == entry.key.as_str() && row.door == entry.door && row.attempt == entry.attempt
        };
        // Before all: what was taken back opens no door, not even by an attempt that it has opened before.
        if grant.voided_at.is_some() {
            return Ok((Redeemed::Refused(TokenError::Voided), None));
        }
        let released = grant.released_at.map(|_| TokenError::Released);
        if let Some(earlier) = spent.iter().find(same) {
            // The guest has left and the place may be the next guest's: a door that repeats itself must
            // not let someone in with the token that was left behind.
            if let Some(objection) = released {
                return Ok((Redeemed::Refused(objection), None));
            }
            let (redeemed_at, standing) = (from_micros(earlier.redeemed_at), PartyStanding::of(grant)?);
            let corrected = standing.corrected();
            return Ok((Redeemed::Accepted(Redemption { grant: entry.grant.clone(), redeemed_at, corrected }), None));
        }
        if grant.single_use && !spent.is_empty() {
            return Ok((Redeemed::AlreadyRedeemed, None));
        }
        if let Some(objection) = released.or(entry.objection) {
            return Ok((Redeemed::Refused(objection), None));
        }
        // A place that lapsed may be another's by now.
        let Some(held) = counters.begin_stay(&grant.id, entry.at, spent.is_empty()) else {
            return Ok((Redeemed::Refused(TokenError::Expired), None));
        };
        let attempt_hash = digest_of(&[entry.key.as_str(), &entry.door, &entry.attempt]);
        let row = RedemptionRow {
            grant_id: grant.id.clone(),
            slot: if grant.single_use { SINGLE.to_owned() } else { attempt_hash.clone() },
            merchant_id: grant.merchant_id.clone(),
            key_id: entry.key.as_str().to_owned(),
            door: entry.door.clone(),
            attempt: entry.attempt.clone(),
            redeemed_at: entry.at.as_microsecond(),
        };
        // What the token says, so that a report needs no other event, which may be pruned.
        let claims = claims::read(grant)?;
        let standing = PartyStanding::of(grant)?;
        let facts = TokenRedeemed {
            attempt_sha256: attempt_hash.into(),
            check: grant.check_id.as_str().into(),
            door: entry.door.as_str().into(),
            guests: standing.admitted.guests.map(Into::into),
            holds: (!held.is_empty()).then(|| held.iter().map(place_held).collect()),
            kiosk: Nullable::text(entry.kiosk.as_deref()),
            location: Nullable::text(entry.location.as_deref()),
            party: Some(standing.stated_party(&claims).into()),
            perk: Some(Nullable::some(claims.perk.as_str().into())),
            perk_id: grant.perk_id.as_str().into(),
            rule_version: Some(Nullable::some(claims.rule)),
            slot: row.slot.as_str().into(),
            subject: Some(Nullable::some(claims.sub.as_str().into())),
            tier: Some(Nullable::some(claims.tier.as_str().into())),
        };
        let body = Event {
            id: &entry.event,
            kind: KIND,
            at: entry.at,
            merchant: Some(&entry.merchant),
            actor: &Actor { key: Some(entry.key.clone()), role: entry.role },
            about: entry.grant.as_str(),
            facts: &facts,
            sealed: None,
        }
        .to_body();
        let leaf = Leaf {
            log: LogOwner::Merchant(entry.merchant.clone()),
            id: entry.event.clone(),
            kind: KIND,
            about: entry.grant.as_str().to_owned(),
            at: entry.at,
            hash: leaf_hash(&body),
            body,
        };
        spent.push(row.clone());
        self.fresh.push(row);
        let (grant, corrected) = (entry.grant.clone(), standing.corrected());
        Ok((Redeemed::Accepted(Redemption { grant, redeemed_at: entry.at, corrected }), Some(leaf)))
    }

    pub(crate) fn store(self, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        store::insert_redemptions(conn, &self.fresh).map(drop)
    }
}

fn place_held(hold: &HeldPlace) -> PlaceHeld<'_> {
    PlaceHeld { id: hold.limit.as_str().into(), scope: hold.scope.as_str().into(), until: hold.until }
}

/// The digest that ties a redemption's row to its event: SHA-256 over the parts, each ended by a NUL.
pub fn digest_of(parts: &[&str]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part.as_bytes());
        context.update(&[0]);
    }
    hex(context.finish().as_ref())
}
