//! Who is inside a perk's place: the count of its concurrent limit as the ledger has it, and its corrections.
//!
//! - `peak`: the most that were inside today, from the log
//! - `sample`: how full it is, for rules; `watch`: places that streams watch; `words`: why nobody can say

mod peak;
pub mod sample;
mod watch;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tokio::runtime::Handle;

use super::watches::Watches;
use crate::access::Merchant;
use crate::database::DatabaseError;
use crate::foundation::clock::Clock;
use crate::foundation::entropy::Entropy;
use crate::foundation::ids::{OccupancyId, PerkSlug};
use crate::ledger::entry::Actor;
use crate::ledger::occupancy::{self, CountedPlace, Inside, OccupancyCorrectedAt, OccupancyCorrection, OccupancyError};
use crate::ledger::{Ledger, LedgerError};
use crate::perks::catalog::Catalog;
use crate::perks::error::PerkError;
use crate::rules::occupancy::{House, NoHouse};
use crate::rules::rule::Rule;
use peak::Day;
pub use watch::Watched;

/// Why nobody can say who is inside, or the count was not corrected.
#[derive(Debug, thiserror::Error)]
pub enum OccupancyRequestError {
    #[error("no limit counts who is inside")]
    NoOccupancy(NoHouse),
    #[error(transparent)]
    Correction(#[from] OccupancyError),
    #[error(transparent)]
    Perk(#[from] PerkError),
}

impl From<DatabaseError> for OccupancyRequestError {
    fn from(error: DatabaseError) -> Self {
        Self::Perk(error.into())
    }
}

impl From<LedgerError> for OccupancyRequestError {
    fn from(error: LedgerError) -> Self {
        Self::Perk(error.into())
    }
}

/// The place that is asked about.
#[derive(Debug, Clone)]
pub struct PlaceAsked {
    pub perk: PerkSlug,
    /// None for the perk as a whole, or where only locations are counted the key's own.
    pub location: Option<String>,
    /// The location of the key that asks.
    pub own: Option<String>,
}

/// How full a place is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Occupancy {
    pub perk: PerkSlug,
    /// None where the perk is counted as a whole.
    pub location: Option<String>,
    /// The limit that counts.
    pub limit: String,
    pub inside: u64,
    pub capacity: u64,
    pub free: u64,
    pub expected_releases: Vec<ExpectedRelease>,
    pub peak_today: u64,
    pub as_of: Timestamp,
}

/// Places that are free by an instant at the latest, by the quarter of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ExpectedRelease {
    pub by: Timestamp,
    pub count: u64,
}

/// A count that was corrected.
#[derive(Debug, Clone)]
pub struct CorrectedOccupancy {
    pub id: OccupancyId,
    pub corrected: OccupancyCorrectedAt,
    pub place: CountedPlace,
}

type Reading = Arc<tokio::sync::Mutex<Option<Day>>>;

/// Tells who is inside. Cheap to clone.
#[derive(Clone)]
pub struct Floor {
    pub(crate) catalog: Catalog,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    peaks: Arc<Mutex<HashMap<CountedPlace, Reading>>>,
    watches: Watches<CountedPlace, Arc<Occupancy>>,
}

/// A place, and the rule by which it is counted.
struct Found {
    place: CountedPlace,
    rule: Arc<Rule>,
}

impl Floor {
    pub(crate) fn new(catalog: Catalog, ledger: Ledger, clock: Clock, entropy: Entropy, handle: Handle) -> Self {
        Self { catalog, ledger, clock, entropy, peaks: Arc::default(), watches: Watches::new(handle) }
    }

    /// How full the place is now.
    ///
    /// # Errors
    /// [`OccupancyRequestError::NoOccupancy`] where no limit says so; the perk's and the database's.
    pub async fn occupancy(&self, merchant: &Merchant, asked: &PlaceAsked) -> Result<Occupancy, OccupancyRequestError> {
        let Found { place, rule } = self.find_known(merchant, asked).await?;
        let inside = self.inside(&place).await?;
        let peak = self.peak_today(&place, &rule, &inside).await?;
        Ok(shown(place, inside, peak))
    }

    async fn inside(&self, place: &CountedPlace) -> Result<Inside, DatabaseError> {
        let (place, now) = (place.clone(), self.clock.now());
        self.ledger.context().database.read(move |conn| occupancy::read(conn, &place, now)).await
    }

    /// Corrects how many are inside by `delta`, which is not zero and at most [`occupancy::MOST`] either way.
    ///
    /// # Errors
    /// As [`Floor::occupancy`], and [`OccupancyError::BelowZero`].
    pub async fn correct(
        &self,
        merchant: &Merchant,
        asked: &PlaceAsked,
        actor: Actor,
        (delta, reason): (i64, String),
    ) -> Result<CorrectedOccupancy, OccupancyRequestError> {
        let Found { place, rule } = self.find_known(merchant, asked).await?;
        let now = self.clock.now();
        let id = OccupancyId::new(now, &self.entropy);
        let others = place.house.others(&rule, merchant.id.as_str());
        let correction = OccupancyCorrection { id: id.clone(), actor, place: place.clone(), others, delta, reason };
        let change = self.ledger.change(move |conn, events| occupancy::correct(conn, events, &correction, now));
        Ok(CorrectedOccupancy { id, corrected: change.await?, place })
    }

    /// The location that is counted; none for the perk as a whole.
    ///
    /// # Errors
    /// As [`Floor::occupancy`].
    pub async fn location_of(
        &self,
        merchant: &Merchant,
        asked: &PlaceAsked,
    ) -> Result<Option<String>, OccupancyRequestError> {
        Ok(self.find_known(merchant, asked).await?.place.house.location)
    }

    /// The place, at a location that keys name or named.
    async fn find_known(&self, merchant: &Merchant, asked: &PlaceAsked) -> Result<Found, OccupancyRequestError> {
        let found = self.find(merchant, asked).await?;
        if let Some(location) = &asked.location {
            self.catalog.require_location(&merchant.id, location).await?;
        }
        Ok(found)
    }

    async fn find(&self, merchant: &Merchant, asked: &PlaceAsked) -> Result<Found, OccupancyRequestError> {
        let PlaceAsked { perk, location, own } = asked;
        let active = self.catalog.open_perk(&merchant.id, perk).await?;
        let no = OccupancyRequestError::NoOccupancy;
        let deciding = self.catalog.deciding(&merchant.id, &active, self.clock.now()).await?;
        let house = House::of(&deciding.rule, location.as_deref(), own.as_deref()).map_err(no)?;
        let (merchant, perk, slug) = (merchant.id.clone(), active.id.clone(), active.slug.clone());
        Ok(Found { place: CountedPlace { merchant, perk, slug, house }, rule: deciding.rule.clone() })
    }

    /// The day of a place as far as it was read; one reads at a time.
    fn peak_of(&self, place: &CountedPlace) -> Reading {
        /// Each costs some hundred bytes and is found again in the log.
        const MOST: usize = 10_000;
        let mut peaks = self.peaks.lock().unwrap_or_else(PoisonError::into_inner);
        if peaks.len() >= MOST && !peaks.contains_key(place) {
            peaks.clear();
        }
        peaks.entry(place.clone()).or_default().clone()
    }
}

fn shown(place: CountedPlace, inside: Inside, peak_today: u64) -> Occupancy {
    let House { limit, location, capacity, .. } = place.house;
    let releases = inside.releases.into_iter().map(|it| ExpectedRelease { by: it.by, count: it.count });
    Occupancy {
        perk: place.slug,
        location,
        limit,
        inside: inside.count,
        capacity,
        free: capacity.saturating_sub(inside.count),
        expected_releases: releases.collect(),
        peak_today,
        as_of: inside.at,
    }
}
