//! The locations that keys name.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{listed, store};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::MerchantId;
use crate::foundation::nearest::nearest;

/// The warning that no key names this location, if none does: whatever is said of it concerns nobody.
pub(in crate::perks) fn none_at(
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
            "no key names a location, so that this closes nothing: close the whole perk".to_owned()
        }
        Some(near) => format!("no key names this location, so that this closes nothing: do you mean {near}?"),
        None => format!("no key names this location, so that this closes nothing: keys name {}", listed(&known)),
    };
    Ok(Some(FieldError::at("/location", "no_key_there", detail)))
}
