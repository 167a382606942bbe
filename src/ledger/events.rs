//! The audit event, version 1: frozen. Its canonical bytes are the leaves of the log.
//!
//! ```json
//! {"v":1,"id":"evt_…","kind":"check.decided","at":"2012-05-08T18:00:00Z","merchant":"mer_…",
//!  "actor":{"key":"key_…","role":"kiosk"},"about":"chk_…","facts":{…},"sealed":"…"}
//! ```
//! - The bytes are the canonical JSON (RFC 8785); the leaf hash is SHA-256(0x00 ‖ bytes) (RFC 6962).
//! - Its place (log and index) is not inside: the tree says it. So a body can be pruned and its
//!   leaf hash still proves where it stood.
//! - `facts` names nobody. What is personal (the score, the context, the gap, notes) is in `sealed`:
//!   base64 of AES-256-GCM under the subject's key, bound to the event's id. Once that key is
//!   destroyed nobody can read it, and every hash still holds.
//! - `merchant` is null in the operator's log; `key` is null for the command line; `sealed` is
//!   absent where nothing is personal. Members are added under a new version only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::entry::Actor;
use crate::foundation::ids::{EventId, MerchantId};
use crate::foundation::json::{Json, JsonError};
use crate::tlog::merkle;

/// The format's version, in every event.
pub const VERSION: i64 = 1;

/// Every kind of event that is written. None is ever taken out: logs hold them for good.
pub const KINDS: [&str; 43] = [
    "approvals.kept",
    "approvals.lift_requested",
    "approvals.lifted",
    "approvals.required",
    "audit.exported",
    "audit.pruned",
    "check.decided",
    "contest.added",
    "contest.closed",
    "contest.opened",
    "contest.overturned",
    "contest.upheld",
    "gateway_key.created",
    "gateway_key.revoked",
    "gateway_key.rotated",
    "grant.released",
    "grant.voided",
    "key.created",
    "key.revoked",
    "merchant.created",
    "merchant.rezoned",
    "perk.created",
    "perk.paused",
    "perk.renamed",
    "perk.repurposed",
    "perk.resumed",
    "perk.retired",
    "referral.decided",
    "rule.approved",
    "rule.deleted",
    "rule.drafted",
    "rule.edited",
    "rule.published",
    "rule.rejected",
    "rule.rolled_back",
    "rule.scheduled",
    "rule.submitted",
    "rule.unscheduled",
    "rule.withdrawn",
    "source.created",
    "subject.erased",
    "subject.record_read",
    "token.redeemed",
];

/// An event before it is written.
pub struct Event<'a> {
    pub id: &'a EventId,
    pub kind: &'a str,
    pub at: Timestamp,
    pub merchant: Option<&'a MerchantId>,
    pub actor: &'a Actor,
    pub about: &'a str,
    pub facts: Json,
    pub sealed: Option<&'a [u8]>,
}

impl Event<'_> {
    /// The canonical bytes.
    pub fn to_body(self) -> String {
        let mut members = vec![
            ("v", Json::whole(VERSION)),
            ("id", Json::text(self.id.as_str())),
            ("kind", Json::text(self.kind)),
            ("at", Json::text(self.at.to_string())),
            ("merchant", Json::optional(self.merchant.map(MerchantId::as_str))),
            (
                "actor",
                Json::object([
                    ("key", Json::optional(self.actor.key.as_ref().map(AsRef::as_ref))),
                    ("role", Json::text(self.actor.role)),
                ]),
            ),
            ("about", Json::text(self.about)),
            ("facts", self.facts),
        ];
        if let Some(sealed) = self.sealed {
            members.push(("sealed", Json::text(STANDARD.encode(sealed))));
        }
        Json::object(members).canonical()
    }
}

/// The hash under which a body stands in the log.
pub fn leaf_hash(body: &str) -> [u8; 32] {
    merkle::leaf_hash(body.as_bytes())
}

/// An event that was read back.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    pub id: String,
    pub kind: String,
    pub at: String,
    pub about: String,
    pub facts: Json,
    pub actor_key: Option<String>,
    pub sealed: Option<Vec<u8>>,
}

/// Why a stored body is no event of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error("the event's `{0}` is missing or of the wrong type")]
    Member(&'static str),
}

impl StoredEvent {
    /// Reads a body.
    pub fn parse(body: &str) -> Result<Self, EventError> {
        let json = Json::parse(body)?;
        let text = |name: &'static str| json.member(name).and_then(Json::as_text).ok_or(EventError::Member(name));
        if json.member("v").and_then(Json::as_whole) != Some(VERSION) {
            return Err(EventError::Member("v"));
        }
        let sealed = match json.member("sealed") {
            None => None,
            Some(value) => {
                let text = value.as_text().ok_or(EventError::Member("sealed"))?;
                Some(STANDARD.decode(text).map_err(|_| EventError::Member("sealed"))?)
            }
        };
        Ok(Self {
            id: text("id")?.to_owned(),
            kind: text("kind")?.to_owned(),
            at: text("at")?.to_owned(),
            about: text("about")?.to_owned(),
            facts: json.member("facts").cloned().ok_or(EventError::Member("facts"))?,
            actor_key: json.member("actor").and_then(|a| a.member("key")).and_then(Json::as_text).map(str::to_owned),
            sealed,
        })
    }
}
