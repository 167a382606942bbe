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

/// The error that no key of the merchant that works names this location, if none does: what is said of it would concern
/// nobody.
pub(in crate::perks) fn unknown_location(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    location: &str,
    now: Timestamp,
) -> Result<Option<FieldError>, DatabaseError> {
    Ok(unknown_among(&store::list_locations(conn, merchant, now)?.into_iter().collect(), location))
}

fn unknown_among(known: &BTreeSet<String>, location: &str) -> Option<FieldError> {
    if known.contains(location) {
        return None;
    }
    let detail = match nearest(location, known.iter().map(String::as_str)) {
        _ if known.is_empty() => {
            "no key of yours names a location: leave it out for the whole perk, or give the keys of this place theirs"
                .to_owned()
        }
        Some(near) => {
            format!("no key of yours names this location: do you mean {near}? They name {}", joined(known, LISTED))
        }
        None => format!("no key of yours names this location: they name {}", joined(known, LISTED)),
    };
    Some(FieldError::at("/location", "unknown_location", detail))
}

impl Catalog {
    /// Passes where a key of the merchant names this location, or did: people may be counted there when the last one was
    /// revoked.
    ///
    /// # Errors
    /// [`PerkError::Field`] that names those that keys name; the database's.
    pub async fn require_location(&self, merchant: &MerchantId, location: &str) -> Result<(), PerkError> {
        let merchant = merchant.clone();
        let named = self.database.read(move |conn| store::list_locations_ever(conn, &merchant)).await?;
        unknown_among(&named.into_iter().collect(), location)
            .map_or(Ok(()), |error| Err(PerkError::Field(Box::new(error))))
    }
}
