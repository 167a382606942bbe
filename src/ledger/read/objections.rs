//! Contests as those know them who made them.

use super::LedgerReader;
use crate::ledger::LedgerError;
use crate::ledger::cases::contest::{self, Objection};

/// Tells whether this very reason stands in the log already, as someone says who got no answer. Nobody knows once the
/// person was erased.
pub async fn is_repeated(reader: &LedgerReader, objection: Objection) -> Result<bool, LedgerError> {
    let context = reader.context.clone();
    Ok(reader.read(move |conn| contest::is_repeated(conn, &context, &objection)).await?)
}
