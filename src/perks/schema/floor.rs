//! The schema of what a desk may do.

use serde_json::{Value, json};

use super::{described, object, optional, slug, window};
use crate::rules::limit::{MAX_LIMITS, MAX_MAX, MAX_SCOPES};
use crate::rules::overrides::MAX_REASONS;
use crate::rules::tier::MAX_TIERS;

/// The terms of overriding.
pub(super) fn overrides() -> Value {
    let reason = json!({"type": "string", "pattern": "^[a-z][a-z0-9_]{0,62}$", "examples": ["courtesy"]});
    let reasons = json!({
        "type": "array", "minItems": 1, "maxItems": MAX_REASONS, "uniqueItems": true, "items": reason,
        "description": "The reasons that can be given."
    });
    let mut members = counted();
    if let Some(members) = members.as_object_mut() {
        members.insert("reasons".to_owned(), reasons);
    }
    object(&["reasons", "max", "window"], members)
}

/// The terms of paid entry.
pub(super) fn paid() -> Value {
    object(&["max", "window"], counted())
}

/// The members that both have.
fn counted() -> Value {
    let scopes = json!({
        "type": "array", "minItems": 1, "maxItems": MAX_SCOPES, "uniqueItems": true, "default": ["perk"],
        "items": {"enum": ["subject", "perk", "tier", "location", "kiosk", "merchant"]}
    });
    json!({
        "max": {"type": "integer", "minimum": 1, "maximum": MAX_MAX, "description": "How many in a window."},
        "window": window(),
        "scope": described(optional(scopes), "Which of them are counted together."),
        "tiers": described(
            optional(json!({"type": "array", "minItems": 1, "maxItems": MAX_TIERS, "uniqueItems": true, "items": slug()})),
            "The tiers that can be granted so; all unless given.",
        ),
        "past_limits": described(
            optional(json!({"type": "array", "maxItems": MAX_LIMITS, "uniqueItems": true, "items": slug()})),
            "The limits that may be used past their maximum; none unless given.",
        )
    })
}
