//! Figures that streams share: each would read the same of the database otherwise, at every change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::figures::{Figures, figures};
use crate::access::{Permission, Principal};
use crate::foundation::ids::PerkId;
use crate::gateway::Gateway;
use crate::perks::perk::Perk;
use crate::web::problem::Problem;

/// The longest that figures are shared.
const LASTS: Duration = Duration::from_secs(1);

/// The most perks of which figures are kept.
const MOST: usize = 1_000;

/// Figures as they were read last, and the index of the log up to which they count everything.
struct ReadFigures {
    counts_to: i64,
    at: Instant,
    figures: Arc<Figures>,
}

type Slot = Arc<tokio::sync::Mutex<Option<ReadFigures>>>;

/// The figures of perks, for those who may decide its cases and for the others.
#[derive(Default)]
pub(in crate::console) struct SharedFigures(Mutex<HashMap<(PerkId, bool), Slot>>);

impl SharedFigures {
    /// The numbers of a perk, in which everything is before this index of the log; those that another stream has just read.
    pub(super) async fn of(
        &self,
        gateway: &Gateway,
        caller: &Principal,
        perk: &Perk,
        counts_to: i64,
    ) -> Result<Arc<Figures>, Problem> {
        let slot = self.slot((perk.id.clone(), caller.role.may(Permission::Decide)));
        // Held while they are read: the others wait for them rather than read them too.
        let mut slot = slot.lock().await;
        if let Some(read) = slot.as_ref().filter(|read| read.counts_to >= counts_to && read.at.elapsed() < LASTS) {
            return Ok(read.figures.clone());
        }
        let at = Instant::now();
        let figures = Arc::new(figures(gateway, caller, perk).await?);
        *slot = Some(ReadFigures { counts_to, at, figures: figures.clone() });
        Ok(figures)
    }

    fn slot(&self, of: (PerkId, bool)) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MOST && !slots.contains_key(&of) {
            slots.clear();
        }
        slots.entry(of).or_default().clone()
    }
}
