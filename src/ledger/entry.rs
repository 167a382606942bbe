//! What the ledger records, and the frozen form of an audit event.

use jiff::Timestamp;

use crate::ids::GrantId;

/// A positive decision, as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub id: GrantId,
    /// The token key that signs it, now and at every replay.
    pub kid: String,
    /// The token's claims: canonical JSON, exactly the bytes that are signed.
    pub claims: String,
    pub expires_at: Timestamp,
}
