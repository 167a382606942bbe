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
//!
//! Each kind has its struct, which is written straight into those bytes and read back from them:
//! - `canonical`: how values are written; `null` and absent
//! - `envelope`: all that is not of one kind
//! - `check`, `redemption`, `correction`, `ending`: a check, and what becomes of its grant; `occupancy`: who is inside
//! - `cases`, `subjects`, `logs`: what people decide, who is forgotten, what is pruned and exported
//! - `perks`, `access`, `gateway_keys`: what is administered; other rooms write these
//! - `excerpt`: what is looked for in events of any kind

pub mod access;
pub mod canonical;
pub mod cases;
pub mod check;
pub mod correction;
pub mod ending;
mod envelope;
pub(crate) mod excerpt;
pub mod gateway_keys;
pub mod logs;
pub mod occupancy;
pub mod perks;
pub mod redemption;
pub mod subjects;

pub use canonical::{CanonicalValue, Nullable, Text};
pub use envelope::{Event, EventError, RecordedActor, StoredEvent, WrittenFacts};

use crate::tlog::merkle;

/// The format's version, in every event.
pub const VERSION: i64 = 1;

/// Every kind of event that is written. None is ever taken out: logs hold them for good.
pub const KINDS: [&str; 76] = [
    "account.attached",
    "account.link_made",
    "account.linked",
    "account.reset",
    "account.restored",
    "account.role_changed",
    "account.suspended",
    "account.unlinked",
    "approvals.kept",
    "approvals.lift_requested",
    "approvals.lifted",
    "approvals.required",
    "attribute.changed",
    "attribute.declared",
    "attribute.deleted",
    "audit.exported",
    "audit.pruned",
    "check.decided",
    "clerk.reset",
    "contest.added",
    "contest.closed",
    "contest.opened",
    "contest.overturned",
    "contest.upheld",
    "device.confirmed",
    "feed.dropped",
    "feed.expired",
    "feed.held",
    "feed.released",
    "gateway_key.created",
    "gateway_key.revoked",
    "gateway_key.rotated",
    "grant.corrected",
    "grant.freed",
    "grant.released",
    "grant.voided",
    "key.created",
    "key.revoked",
    "merchant.created",
    "merchant.renamed",
    "merchant.rezoned",
    "model.published",
    "model.submitted",
    "occupancy.corrected",
    "perk.created",
    "perk.paused",
    "perk.renamed",
    "perk.repurposed",
    "perk.resumed",
    "perk.retired",
    "place.closed",
    "place.opened",
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
    "source.guard_changed",
    "subject.consented",
    "subject.enrolled",
    "subject.erased",
    "subject.record_read",
    "subject.request_confirmed",
    "subject.request_declined",
    "subject.request_made",
    "subject.unenrolled",
    "token.redeemed",
    "token.redeemed_offline",
];

/// The hash under which a body stands in the log.
pub fn leaf_hash(body: &str) -> [u8; 32] {
    merkle::leaf_hash(body.as_bytes())
}
