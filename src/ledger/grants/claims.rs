//! The claims that are stored with a grant, and repeated by the events of what becomes of it.

use crate::database::DatabaseError;
use crate::ledger::store::GrantRow;
use crate::tokens::claims::Claims;

/// Reads a grant's claims.
///
/// # Errors
/// [`DatabaseError::Corrupt`], which names the grant: nothing that is written for good says less than its token.
pub(crate) fn read(grant: &GrantRow) -> Result<Claims, DatabaseError> {
    Claims::parse(&grant.claims).map_err(|error| DatabaseError::corrupt("claims", format!("{}: {error}", grant.id)))
}
