//! The earlier pruning that a log records.

use jiff::Timestamp;

use super::{KIND, rows};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::foundation::json::Json;

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
    let told = bodies.map(|body| {
        let body = Json::parse(&body).map_err(|e| DatabaseError::corrupt("event", e))?;
        let facts = body.member("facts");
        let whole = |name| facts.and_then(|facts| facts.member(name)).and_then(Json::as_whole);
        let before = facts.and_then(|facts| facts.member("before")).and_then(Json::as_text);
        let told = before.and_then(|before| before.parse().ok()).zip(whole("from_index").zip(whole("to_index")));
        let (before, (from_index, to_index)) = told.ok_or_else(|| DatabaseError::corrupt("event", KIND))?;
        Ok(Earlier { before, from_index, to_index })
    });
    told.collect()
}
