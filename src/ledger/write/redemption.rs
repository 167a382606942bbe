//! Spending tokens: one winner, and the same answer to the same attempt.

use std::collections::HashMap;

use aws_lc_rs::digest;

use super::admission::{HeldPlace, LimitCounters};
use super::append::Leaf;
use super::counters::uses_left;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{KeyId, MerchantId};
use crate::foundation::subject::hex;
use crate::ledger::door::{EarlierRedemption, LateReport, Meanwhile, RedeemEntry, Redeemed, Redemption};
use crate::ledger::entry::{Actor, LogOwner};
use crate::ledger::events::redemption::{PlaceHeld, TokenRedeemed};
use crate::ledger::events::{Event, Nullable, leaf_hash};
use crate::ledger::grants::claims;
use crate::ledger::grants::party::PartyStanding;
use crate::ledger::store::{self, GrantRow, RedemptionRow};
use crate::tokens::TokenError;

/// The kind of a redemption's event.
pub const KIND: &str = "token.redeemed";

/// The kind of the event of one that a door reported afterwards.
pub const OFFLINE: &str = "token.redeemed_offline";

/// Tells whether events of this kind are redemptions.
#[must_use]
pub fn is_redemption(kind: &str) -> bool {
    matches!(kind, KIND | OFFLINE)
}

/// The slot of a single-use token: there is one.
const SINGLE: &str = "single";

/// Grants that doors ask about in this batch, locked until it commits, and who has spent them.
pub(crate) struct Tokens {
    grants: HashMap<String, GrantRow>,
    spent: HashMap<String, Vec<RedemptionRow>>,
    fresh: Vec<RedemptionRow>,
    /// Undone grants that wait for what they used to be free, in vain: a door had taken their tokens.
    used: Vec<(MerchantId, String)>,
}

impl Tokens {
    pub(crate) fn lock(conn: &mut AnyConnection, entries: &[&RedeemEntry]) -> Result<Self, DatabaseError> {
        let mut ids: Vec<&str> = entries.iter().map(|entry| entry.grant.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut tokens = Self { grants: HashMap::new(), spent: HashMap::new(), fresh: Vec::new(), used: Vec::new() };
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
    /// then the rest. A door's report of what it did on its own asks no end of the grant: the guest was let in. Of
    /// another audience's door none of this is its business.
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
        let spent = self.spent.get(&grant.id).map(Vec::as_slice).unwrap_or_default();
        let key = entry.key.as_ref().map_or("", KeyId::as_str);
        let same = |row: &&RedemptionRow| row.key_id == key && row.door == entry.door && row.attempt == entry.attempt;
        if let Some(late) = &entry.late {
            if let Some(objection) = entry.objection {
                return Ok((Redeemed::Refused(objection), None));
            }
            if let Some(said) = &entry.unproven
                && (said.kid != grant.kid || said.claims != claims::read(grant)?)
            {
                return Ok((Redeemed::Refused(TokenError::KeyRevoked), None));
            }
            // By whichever key it is reported: a door's key may be another by now, or its file be handed in for it.
            let reported = |row: &&RedemptionRow| row.door == entry.door && row.attempt == entry.attempt;
            if let Some(earlier) = spent.iter().find(reported) {
                let corrected = PartyStanding::of(grant)?.corrected();
                return Ok((Redeemed::Accepted(Redemption::of(&entry.grant, earlier, corrected)), None));
            }
            let first = spent.first().filter(|_| grant.single_use);
            return match (first, late.objection) {
                (Some(first), _) => Ok((Redeemed::AlreadyRedeemed(earlier(first)), None)),
                (None, Some(objection)) => Ok((Redeemed::RefusedLate(objection), None)),
                (None, None) => self.record_late(entry, late, counters),
            };
        }
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
            let corrected = PartyStanding::of(grant)?.corrected();
            return Ok((Redeemed::Accepted(Redemption::of(&entry.grant, earlier, corrected)), None));
        }
        if let Some(first) = spent.first().filter(|_| grant.single_use) {
            return Ok((Redeemed::AlreadyRedeemed(earlier(first)), None));
        }
        if let Some(objection) = released.or(entry.objection) {
            return Ok((Redeemed::Refused(objection), None));
        }
        // A place that lapsed may be another's by now.
        let Some(held) = counters.begin_stay(&grant.id, entry.at, None, spent.is_empty()) else {
            return Ok((Redeemed::Refused(TokenError::Expired), None));
        };
        self.record(entry, None, &held)
    }

    /// Records what a door reports. The place that the grant holds is the guest's from when they came in; one that has
    /// lapsed since may be another's, and is left alone.
    fn record_late(
        &mut self,
        entry: &RedeemEntry,
        late: &LateReport,
        counters: &mut LimitCounters,
    ) -> Result<(Redeemed, Option<Leaf>), DatabaseError> {
        let grant = self.grants.get(entry.grant.as_str()).ok_or(DatabaseError::NotFound)?;
        let meanwhile = if grant.voided_at.is_some() {
            Some(Meanwhile::Voided)
        } else if grant.released_at.is_some() {
            Some(Meanwhile::Released)
        } else if entry.unproven.is_some() {
            Some(Meanwhile::KeyRevoked)
        } else {
            late.has_expired(entry.at).then_some(Meanwhile::Expired)
        };
        let is_first = self.spent.get(&grant.id).is_none_or(Vec::is_empty);
        let held = counters.begin_stay(&grant.id, entry.at, Some(late.at), is_first).unwrap_or_default();
        if grant.frees_at.is_some() {
            self.used.push((entry.merchant.clone(), grant.id.clone()));
        }
        self.record(entry, Some((late, meanwhile)), &held)
    }

    fn record(
        &mut self,
        entry: &RedeemEntry,
        late: Option<(&LateReport, Option<Meanwhile>)>,
        held: &[HeldPlace],
    ) -> Result<(Redeemed, Option<Leaf>), DatabaseError> {
        let grant = self.grants.get(entry.grant.as_str()).ok_or(DatabaseError::NotFound)?;
        let key = entry.key.as_ref().map_or("", KeyId::as_str);
        let attempt_hash = digest_of(&[key, &entry.door, &entry.attempt]);
        let meanwhile = late.and_then(|(_, meanwhile)| meanwhile).map(Meanwhile::as_str);
        let row = RedemptionRow {
            grant_id: grant.id.clone(),
            slot: if grant.single_use { SINGLE.to_owned() } else { attempt_hash.clone() },
            merchant_id: grant.merchant_id.clone(),
            key_id: key.to_owned(),
            door: entry.door.clone(),
            attempt: entry.attempt.clone(),
            redeemed_at: late.map_or(entry.at, |(late, _)| late.at).as_microsecond(),
            heard_at: late.map(|_| entry.at.as_microsecond()),
            meanwhile: meanwhile.map(str::to_owned),
        };
        // What the token says, so that a report needs no other event, which may be pruned.
        let claims = claims::read(grant)?;
        let standing = PartyStanding::of(grant)?;
        // A door's file may be handed in from anywhere: then it is the place for which it was granted.
        let granted_at = claims.loc.as_deref().filter(|_| late.is_some());
        let location = entry.location.as_deref().or(granted_at);
        let facts = TokenRedeemed {
            attempt_sha256: attempt_hash.into(),
            check: grant.check_id.as_str().into(),
            door: entry.door.as_str().into(),
            expires_at: late.map(|(late, _)| late.expires_at),
            guests: standing.admitted.guests.map(Into::into),
            holds: (!held.is_empty()).then(|| held.iter().map(place_held).collect()),
            kiosk: Nullable::text(entry.kiosk.as_deref()),
            location: Nullable::text(location),
            meanwhile: meanwhile.map(Into::into),
            override_reason: claims.override_reason.as_deref().map(Into::into),
            paid: claims.is_paid.then_some(true),
            party: Some(standing.stated_party(&claims).into()),
            perk: Some(Nullable::some(claims.perk.as_str().into())),
            perk_id: grant.perk_id.as_str().into(),
            redeemed_at: late.map(|(late, _)| late.at),
            rule_version: Some(Nullable::some(claims.rule)),
            slot: row.slot.as_str().into(),
            subject: Some(Nullable::some(claims.sub.as_str().into())),
            tier: Some(Nullable::some(claims.tier.as_str().into())),
        };
        let kind = if late.is_some() { OFFLINE } else { KIND };
        let body = Event {
            id: &entry.event,
            kind,
            at: entry.at,
            merchant: Some(&entry.merchant),
            actor: &Actor { key: entry.key.clone(), role: entry.role },
            about: entry.grant.as_str(),
            facts: &facts,
            sealed: None,
        }
        .to_body();
        let leaf = Leaf {
            log: LogOwner::Merchant(entry.merchant.clone()),
            id: entry.event.clone(),
            kind,
            about: entry.grant.as_str().to_owned(),
            at: entry.at,
            hash: leaf_hash(&body),
            body,
        };
        let redemption = Redemption::of(&entry.grant, &row, standing.corrected());
        self.spent.entry(row.grant_id.clone()).or_default().push(row.clone());
        self.fresh.push(row);
        Ok((Redeemed::Accepted(redemption), Some(leaf)))
    }

    pub(crate) fn store(self, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        for (merchant, grant) in &self.used {
            store::ends::free_grant_at(conn, merchant, grant, None)?;
        }
        store::insert_redemptions(conn, &self.fresh).map(drop)
    }
}

fn earlier(row: &RedemptionRow) -> EarlierRedemption {
    EarlierRedemption { door: row.door.clone(), redeemed_at: from_micros(row.redeemed_at) }
}

fn place_held(hold: &HeldPlace) -> PlaceHeld<'_> {
    PlaceHeld {
        corrections: uses_left(&hold.corrections),
        id: hold.limit.as_str().into(),
        scope: hold.scope.as_str().into(),
        until: hold.until,
    }
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
