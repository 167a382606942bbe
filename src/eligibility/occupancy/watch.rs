//! Places that are watched: however many streams there are of one, the database is asked once a second. What other
//! replicas write is seen that way too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::{Floor, Found, Occupancy, OccupancyRequestError, PlaceAsked, shown};
use crate::access::Merchant;
use crate::ledger::occupancy::CountedPlace;
use crate::perks::error::PerkError;

/// How often a watched place is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// How long streams go on where nobody can say who is inside now.
const STALE: Duration = Duration::from_secs(10);

/// The places that are watched now.
#[derive(Clone)]
pub(super) struct Watches {
    /// The runtime that outlives each worker's: the look-out of one place serves streams of all.
    handle: Handle,
    places: Arc<Mutex<HashMap<CountedPlace, watch::Sender<Arc<Occupancy>>>>>,
}

/// A place as it changes.
pub struct Watched {
    changes: watch::Receiver<Arc<Occupancy>>,
}

impl Watches {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle, places: Arc::default() }
    }
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
        let mut places = self.watches.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = places.get(&place) {
            // Newer than the last look, where a write came between.
            sender.send_if_modified(|known| now.as_of >= known.as_of && renew(known, &now));
            return Ok(Watched { changes: sender.subscribe() });
        }
        let (sender, changes) = watch::channel(now);
        places.insert(place.clone(), sender);
        drop(places);
        self.watches.handle.spawn(self.clone().look_out(merchant.clone(), asked.clone(), place));
        Ok(Watched { changes })
    }

    /// Looks at the place for as long as someone watches it.
    async fn look_out(self, merchant: Merchant, asked: PlaceAsked, place: CountedPlace) {
        let mut looked_at = Instant::now();
        loop {
            tokio::time::sleep(EVERY).await;
            // Under the lock, so that nobody begins to watch what ends here.
            {
                let mut places = self.watches.places.lock().unwrap_or_else(PoisonError::into_inner);
                if places.get(&place).is_none_or(|sender| sender.receiver_count() == 0) {
                    places.remove(&place);
                    return;
                }
            }
            let looked = self.look(&merchant, &asked, &place).await;
            let mut places = self.watches.places.lock().unwrap_or_else(PoisonError::into_inner);
            match looked {
                Ok(Some(now)) => {
                    if let Some(sender) = places.get(&place) {
                        let now = Arc::new(now);
                        sender.send_if_modified(|known| renew(known, &now));
                    }
                    looked_at = Instant::now();
                }
                // Streams end, and a client that opens another learns why.
                Ok(None) => {
                    places.remove(&place);
                    return;
                }
                // The database is away, and the next look may tell more; but no screen shows for long what may be over.
                Err(error) => {
                    tracing::debug!(%error, "who is inside can't be read now");
                    if looked_at.elapsed() >= STALE {
                        places.remove(&place);
                        return;
                    }
                }
            }
        }
    }

    /// How full the place is; none where the rule counts it otherwise by now.
    async fn look(
        &self,
        merchant: &Merchant,
        asked: &PlaceAsked,
        place: &CountedPlace,
    ) -> Result<Option<Occupancy>, OccupancyRequestError> {
        let found = match self.find(merchant, asked).await {
            Ok(found) if found.place == *place => found,
            Err(error @ OccupancyRequestError::Perk(PerkError::Database(_))) => return Err(error),
            // It is retired, say, or counted otherwise.
            Ok(_) | Err(_) => return Ok(None),
        };
        let inside = self.inside(place).await?;
        let peak = self.peak_today(place, &found.rule, &inside).await?;
        Ok(Some(shown(found.place, inside, peak)))
    }
}

/// Puts what was seen now in the place of what is known, unless it differs in nothing but when that was; whether it did.
fn renew(known: &mut Arc<Occupancy>, now: &Arc<Occupancy>) -> bool {
    let is_same = Occupancy { as_of: now.as_of, ..(**known).clone() } == **now;
    if !is_same {
        *known = now.clone();
    }
    !is_same
}
