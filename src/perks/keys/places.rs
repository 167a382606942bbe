//! The locations that keys name.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{joined, store};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::MerchantId;
use crate::foundation::nearest::nearest;
use crate::perks::catalog::Catalog;
use crate::perks::error::PerkError;

/// The most locations that a refusal lists.
const LISTED: usize = 20;

/// The error that no key of the merchant names this location, if none does: what is said of it would concern nobody.
pub(in crate::perks) fn unknown_location(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    location: &str,
    now: Timestamp,
) -> Result<Option<FieldError>, DatabaseError> {
    let known: BTreeSet<String> = store::list_locations(conn, merchant, now)?.into_iter().collect();
    if known.contains(location) {
        return Ok(None);
    }
    let detail = match nearest(location, known.iter().map(String::as_str)) {
        _ if known.is_empty() => {
            "no key of yours names a location: leave it out for the whole perk, or give the keys of this place theirs"
                .to_owned()
        }
        Some(near) => {
            format!("no key of yours names this location: do you mean {near}? They name {}", joined(&known, LISTED))
        }
        None => format!("no key of yours names this location: they name {}", joined(&known, LISTED)),
    };
    Ok(Some(FieldError::at("/location", "unknown_location", detail)))
}

impl Catalog {
    /// Passes where a key of the merchant that works names this location.
    ///
    /// # Errors
    /// [`PerkError::Field`] that names those that keys name; the database's.
    pub async fn require_location(&self, merchant: &MerchantId, location: &str) -> Result<(), PerkError> {
        let (merchant, location, now) = (merchant.clone(), location.to_owned(), self.clock.now());
        let unknown = self.database.read(move |conn| unknown_location(conn, &merchant, &location, now)).await?;
        unknown.map_or(Ok(()), |error| Err(PerkError::Field(Box::new(error))))
    }
}
