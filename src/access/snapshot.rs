//! All merchants and keys, indexed for the hot path.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::accounts::TokenHash;
use super::error::Refused;
use super::key::{ApiKey, KeyHash};
use super::last_use::LastUse;
use super::merchant::Merchant;
use super::principal::Principal;
use super::store::Content;
use crate::foundation::ids::{KeyId, MerchantId, MerchantSlug, PerkSlug};

/// The content that the directory answers from.
#[derive(Default)]
pub(super) struct Snapshot {
    by_id: HashMap<MerchantId, Arc<Merchant>>,
    by_slug: HashMap<MerchantSlug, Arc<Merchant>>,
    keys: HashMap<KeyHash, Entry>,
    /// The origins that keys name, by whose keys do, each with the last instant at which one of those expires; none if
    /// one never does.
    origins: HashMap<String, HashMap<Option<MerchantId>, Option<Timestamp>>>,
    /// The clerks who work, by merchant, with the number of their PIN.
    clerks: HashMap<MerchantId, HashMap<KeyId, i32>>,
    /// The screens that were confirmed: the key that each acts under, by the hash of what its browser holds.
    devices: HashMap<TokenHash, (KeyHash, Option<PerkSlug>)>,
}

struct Entry {
    principal: Arc<Principal>,
    expires_at: Option<Timestamp>,
    /// Why it opens nothing, for now or for good.
    closed: Option<Refused>,
    last_use: LastUse,
}

impl Snapshot {
    pub(super) fn of(content: Content) -> Self {
        let Content { merchants, keys, suspended, clerks, devices } = content;
        let suspended = &suspended;
        let merchants: Vec<_> = merchants.into_iter().map(Arc::new).collect();
        let by_id: HashMap<_, _> = merchants.iter().map(|m| (m.id.clone(), m.clone())).collect();
        let by_slug = merchants.iter().map(|m| (m.slug.clone(), m.clone())).collect();
        let keys: HashMap<_, _> =
            keys.into_iter().filter_map(|(hash, key)| Some((hash, Entry::of(key, suspended, &by_id)?))).collect();
        let mut origins: HashMap<String, HashMap<_, _>> = HashMap::new();
        for entry in keys.values().filter(|entry| entry.closed.is_none()) {
            for origin in &entry.principal.origins {
                let of = entry.principal.merchant.as_ref().map(|merchant| merchant.id.clone());
                let until = origins.entry(origin.to_string()).or_default().entry(of).or_insert(entry.expires_at);
                *until = until.zip(entry.expires_at).map(|(known, other)| known.max(other));
            }
        }
        let mut working: HashMap<MerchantId, HashMap<KeyId, i32>> = HashMap::new();
        for (merchant, key, generation) in clerks {
            working.entry(merchant).or_default().insert(key, generation);
        }
        let mut screens: HashMap<KeyId, (TokenHash, Option<PerkSlug>)> =
            devices.into_iter().map(|(secret, key, perk)| (key, (secret, perk))).collect();
        let screen = |(hash, entry): (&KeyHash, &Entry)| {
            let (secret, perk) = screens.remove(&entry.principal.key)?;
            Some((secret, (*hash, perk)))
        };
        let devices = keys.iter().filter_map(screen).collect();
        Self { by_id, by_slug, keys, origins, clerks: working, devices }
    }

    /// The screen whose browser holds this, and the perk that it is for.
    pub(super) fn recognize_device(
        &self,
        secret: &TokenHash,
        now: Timestamp,
    ) -> Result<(Arc<Principal>, Option<PerkSlug>), Refused> {
        let (key, perk) = self.devices.get(secret).ok_or(Refused::Unknown)?;
        Ok((self.recognize(key, now)?, perk.clone()))
    }

    /// True if the merchant has a clerk who works.
    pub(super) fn has_clerks(&self, merchant: &MerchantId) -> bool {
        self.clerks.contains_key(merchant)
    }

    /// True if this is a clerk of the merchant who works, and still has the PIN of this number.
    pub(super) fn is_clerk(&self, merchant: &MerchantId, key: &KeyId, generation: i32) -> bool {
        self.clerks.get(merchant).is_some_and(|clerks| clerks.get(key) == Some(&generation))
    }

    /// The principal whose key this is. The map compares hashes of what was sent, which a caller can't steer
    /// byte by byte, so the time it takes says nothing about the keys that exist.
    pub(super) fn recognize(&self, hash: &KeyHash, now: Timestamp) -> Result<Arc<Principal>, Refused> {
        let entry = self.keys.get(hash).ok_or(Refused::Unknown)?;
        if let Some(refused) = entry.closed {
            return Err(refused);
        }
        if entry.expires_at.is_some_and(|at| at <= now) {
            return Err(Refused::Expired);
        }
        Ok(entry.principal.clone())
    }

    /// The hour of this use, when the key was not used in it before as far as this snapshot knows.
    pub(super) fn first_use_in_hour(&self, hash: &KeyHash, now: Timestamp) -> Option<Timestamp> {
        self.keys.get(hash)?.last_use.first_in_hour(now)
    }

    /// True if a key that works at `now` names this origin.
    pub(super) fn names_origin(&self, origin: &str, now: Timestamp) -> bool {
        self.origins.get(origin).is_some_and(|of| of.values().any(|until| works_until(*until, now)))
    }

    /// The same of the merchant's own keys; of the operator's for none.
    pub(super) fn names_own_origin(&self, merchant: Option<&MerchantId>, origin: &str, now: Timestamp) -> bool {
        let of = self.origins.get(origin).and_then(|of| of.get(&merchant.cloned()));
        of.is_some_and(|until| works_until(*until, now))
    }

    pub(super) fn merchant(&self, id: &MerchantId) -> Option<Arc<Merchant>> {
        self.by_id.get(id).cloned()
    }

    pub(super) fn merchant_by_slug(&self, slug: &MerchantSlug) -> Option<Arc<Merchant>> {
        self.by_slug.get(slug).cloned()
    }
}

fn works_until(until: Option<Timestamp>, now: Timestamp) -> bool {
    until.is_none_or(|until| now < until)
}

impl Entry {
    /// None when the key's merchant is not there, or the key breaks the rule that operators have
    /// none and everyone else has one: such a key opens nothing.
    fn of(key: ApiKey, suspended: &BTreeSet<String>, merchants: &HashMap<MerchantId, Arc<Merchant>>) -> Option<Self> {
        let closed = match key.revoked_at {
            Some(_) => Some(Refused::Revoked),
            None => suspended.contains(key.id.as_str()).then_some(Refused::Suspended),
        };
        let merchant = match &key.merchant {
            Some(id) => Some(Merchant::clone(merchants.get(id)?)),
            None => None,
        };
        if merchant.is_some() != key.role.has_merchant() {
            tracing::error!(key = %key.id, role = %key.role, "a key's role and merchant don't fit: it is left out");
            return None;
        }
        Some(Self {
            principal: Arc::new(Principal {
                key: key.id,
                role: key.role,
                merchant,
                location: key.location,
                kiosk: key.kiosk,
                audience: key.audience,
                airports: key.airports,
                origins: key.origins,
            }),
            expires_at: key.expires_at,
            closed,
            last_use: LastUse::at(key.last_used_at),
        })
    }
}
