//! Places that are watched.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Floor, Found, Occupancy, OccupancyRequestError, PlaceAsked, shown};
use crate::access::Merchant;
use crate::eligibility::watches::News;
use crate::ledger::occupancy::CountedPlace;
use crate::perks::error::PerkError;

/// A place as it changes.
pub struct Watched {
    changes: watch::Receiver<Arc<Occupancy>>,
}

impl Watched {
    /// How full the place is by the last look.
    pub fn current(&mut self) -> Arc<Occupancy> {
        self.changes.borrow_and_update().clone()
    }

    /// Waits until it is another number, or foreseen otherwise. None when nobody looks any more: the rule counts otherwise
    /// now, or nothing.
    pub async fn changed(&mut self) -> Option<Arc<Occupancy>> {
        self.changes.changed().await.ok()?;
        Some(self.current())
    }
}

impl Floor {
    /// Watches a place.
    ///
    /// # Errors
    /// As [`Floor::occupancy`].
    pub async fn watch(&self, merchant: &Merchant, asked: &PlaceAsked) -> Result<Watched, OccupancyRequestError> {
        let Found { place, rule } = self.find_known(merchant, asked).await?;
        let inside = self.inside(&place).await?;
        let peak = self.peak_today(&place, &rule, &inside).await?;
        let now = Arc::new(shown(place.clone(), inside, peak));
        let of = (self.clone(), merchant.clone(), asked.clone(), place.clone());
        let look = move || {
            let (floor, merchant, asked, place) = of.clone();
            async move { floor.look(&merchant, &asked, &place).await }
        };
        Ok(Watched { changes: self.watches.watch(place, now, NEWS, look) })
    }

    /// How full the place is; none where the rule counts it otherwise by now.
    async fn look(
        &self,
        merchant: &Merchant,
        asked: &PlaceAsked,
        place: &CountedPlace,
    ) -> Result<Option<Arc<Occupancy>>, OccupancyRequestError> {
        let found = match self.find(merchant, asked).await {
            Ok(found) if found.place == *place => found,
            Err(error @ OccupancyRequestError::Perk(PerkError::Database(_))) => return Err(error),
            // It is retired, say, or counted otherwise.
            Ok(_) | Err(_) => return Ok(None),
        };
        let inside = self.inside(place).await?;
        let peak = self.peak_today(place, &found.rule, &inside).await?;
        Ok(Some(Arc::new(shown(found.place, inside, peak))))
    }
}

const NEWS: News<Arc<Occupancy>> = News { is_later, is_other };

/// Tells whether a newcomer saw it no earlier than the last look did.
fn is_later(known: &Arc<Occupancy>, now: &Arc<Occupancy>) -> bool {
    now.as_of >= known.as_of
}

/// Tells whether it differs in more than when it was seen.
fn is_other(known: &Arc<Occupancy>, now: &Arc<Occupancy>) -> bool {
    Occupancy { as_of: now.as_of, ..(**known).clone() } != **now
}
