//! The context attributes that a merchant's checks send: names only, noted off the hot path, so that a
//! rule that waits for one that never comes can be pointed out.

mod store;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Semaphore;

use crate::database::{AnyConnection, Database, DatabaseError};
use crate::foundation::clock::Clock;
use crate::foundation::ids::MerchantId;

/// The most names that are kept of a merchant; with more, nothing is said about any.
const MAX_NAMES: usize = 200;
/// The most merchants whose names this process remembers to have noted.
const MAX_MERCHANTS: usize = 10_000;
/// The most writes that may be under way: names are new once, and a check must never wait for one.
const MAX_WRITES: usize = 2;

/// Notes names; cheap to clone.
#[derive(Clone)]
pub struct ObservedAttributes {
    database: Database,
    clock: Clock,
    noted: Arc<RwLock<HashMap<MerchantId, HashSet<String>>>>,
    writes: Arc<Semaphore>,
}

impl ObservedAttributes {
    /// One that has noted nothing yet.
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock, noted: Arc::default(), writes: Arc::new(Semaphore::new(MAX_WRITES)) }
    }

    /// Notes that a check of the merchant sent attributes of these names, perhaps none. It returns at
    /// once, and what can't be written now is tried again with a later check.
    pub fn note<'a>(&self, merchant: &MerchantId, names: impl Iterator<Item = &'a str> + Clone) {
        let new = self.unnoted(merchant, names);
        if new.is_empty() {
            return;
        }
        let Ok(turn) = self.writes.clone().try_acquire_owned() else { return };
        if !self.remember(merchant, &new) {
            return;
        }
        let (this, merchant, now) = (self.clone(), merchant.clone(), self.clock.now());
        tokio::spawn(async move {
            let (owner, names) = (merchant.clone(), new.clone());
            let insert = move |conn: &mut AnyConnection| store::insert(conn, &owner, &names, MAX_NAMES, now);
            let written: Result<(), DatabaseError> = this.database.write(insert).await;
            if written.is_err() {
                this.forget(&merchant, &new);
            }
            drop(turn);
        });
    }

    /// The names that aren't noted yet; with the merchant's first check the empty one is among them,
    /// which stands for the check itself.
    fn unnoted<'a>(&self, merchant: &MerchantId, names: impl Iterator<Item = &'a str>) -> Vec<String> {
        let noted = self.noted.read().unwrap_or_else(PoisonError::into_inner);
        match noted.get(merchant) {
            None if noted.len() >= MAX_MERCHANTS => Vec::new(),
            None => std::iter::once("").chain(names).map(str::to_owned).collect(),
            Some(known) => {
                let room = MAX_NAMES.saturating_sub(known.len());
                names.filter(|name| !known.contains(*name)).take(room).map(str::to_owned).collect()
            }
        }
    }

    /// Notes the names and tells whether any was new: of two checks at once, one writes.
    fn remember(&self, merchant: &MerchantId, names: &[String]) -> bool {
        let mut noted = self.noted.write().unwrap_or_else(PoisonError::into_inner);
        let known = noted.entry(merchant.clone()).or_default();
        let before = known.len();
        known.extend(names.iter().cloned());
        known.len() > before
    }

    fn forget(&self, merchant: &MerchantId, names: &[String]) {
        let mut noted = self.noted.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = noted.get_mut(merchant) {
            known.retain(|name| !names.contains(name));
            if known.is_empty() {
                noted.remove(merchant);
            }
        }
    }
}

/// The names that the merchant's checks have sent; none before its first check, and where there are
/// too many to have kept them all.
pub(super) fn sent(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<Option<BTreeSet<String>>, DatabaseError> {
    let names = store::list(conn, merchant)?;
    Ok((names.contains("") && names.len() < MAX_NAMES).then_some(names))
}
