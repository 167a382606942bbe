//! What the ledger records, and the frozen form of an audit event.

use jiff::Timestamp;

use crate::ids::{GrantId, KeyId, MerchantId};
use crate::json::Json;

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

/// Whose log an event goes to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogOwner {
    /// The operator of the gateway.
    Operator,
    Merchant(MerchantId),
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The API key, or none for the command line.
    pub key: Option<KeyId>,
    /// The role's name, or `cli`.
    pub role: &'static str,
}

/// An audit event that has no place in a log yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventDraft {
    pub log: LogOwner,
    /// `key.created`, `rule.published` …
    pub kind: &'static str,
    /// The id of what it is about.
    pub about: String,
    pub actor: Actor,
    /// An object of facts that name nobody.
    pub facts: Json,
}
