//! The earlier pruning that a log records.

use jiff::Timestamp;

use super::{KIND, rows};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::ledger::error::unreadable;
use crate::ledger::events::StoredEvent;
use crate::ledger::events::logs::EventsPruned;

/// The content of one `audit.pruned`.
pub(super) struct Earlier {
    pub before: Timestamp,
    from_index: i64,
    to_index: i64,
}

impl Earlier {
    /// Tells whether it counted this body, which may be there because it was cut off.
    pub(super) fn counted(&self, index: i64, since: i64) -> bool {
        (self.from_index..self.to_index).contains(&index) && since < self.before.as_microsecond()
    }
}

/// The pruning that the merchant's log records.
pub(super) fn list(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<Vec<Earlier>, DatabaseError> {
    let bodies = rows::list_bodies_about_merchant(conn, merchant, KIND)?.into_iter();
    let earlier = bodies.map(|(id, body)| {
        let event = StoredEvent::<EventsPruned>::from_body(&body).map_err(|error| unreadable(&id, error))?;
        let EventsPruned { before, from_index, to_index, .. } = event.facts;
        Ok(Earlier { before, from_index, to_index })
    });
    earlier.collect()
}
