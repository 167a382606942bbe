//! Contests as those know them who made them.

use super::LedgerReader;
use crate::ledger::LedgerError;
use crate::ledger::cases::contest::{self, Objection};

impl LedgerReader {
    /// Tells whether this very reason stands in the log already, as someone says who got no answer. Nobody knows once the
    /// person was erased.
    pub async fn is_repeated(&self, objection: Objection) -> Result<bool, LedgerError> {
        let context = self.context.clone();
        Ok(self.read(move |conn| contest::is_repeated(conn, &context, &objection)).await?)
    }
}
