//! The schema of the guests that tiers admit, of the words for guests, and of the offers for those who are refused.

use serde_json::{Value, json};

use super::{described, object, optional};
use crate::rules::messages::{MAX_LANGUAGES, MAX_SENTENCE};
use crate::rules::offers::{MAX_OFFERS, MAX_URL, MAX_WHOLE_DIGITS};
use crate::rules::tier::guests::{MAX_GUESTS, MAX_UNDER, Over};

/// A language, a script and a region (BCP 47).
const LANGUAGE_PATTERN: &str = "^[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?$";

/// The guests that a tier admits.
pub(super) fn terms() -> Value {
    let count = |least: i64, most: i64| json!({"type": "integer", "minimum": least, "maximum": most});
    object(
        &["max"],
        json!({
            "free": described(optional(count(0, MAX_GUESTS)), "How many are free; none unless given, at most `max`."),
            "max": described(count(0, MAX_GUESTS), "How many may be brought; those who are not free are charged."),
            "under": described(
                optional(count(1, MAX_UNDER)),
                "Children younger than so many years are not counted, by limits neither.",
            ),
            "over": described(
                optional(json!({"enum": Over::ALL.map(Over::as_str), "default": Over::Deny.as_str()})),
                "What becomes of a larger party: this tier doesn't admit it, or admits as many as may be brought.",
            )
        }),
    )
}

/// The `otherwise` of a rule: a word, or an object with offers beside it.
pub(super) fn otherwise() -> Value {
    let word = || json!({"enum": ["deny", "refer"], "default": "deny"});
    let price = object(
        &["amount", "currency"],
        json!({
            "amount": {
                "type": "string", "pattern": format!("^(0|[1-9][0-9]{{0,{}}})(\\.[0-9]{{1,4}})?$", MAX_WHOLE_DIGITS - 1),
                "examples": ["45.00"], "description": "With at most the digits of its currency."
            },
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["USD"], "description": "ISO 4217."}
        }),
    );
    let url = json!({"type": "string", "maxLength": MAX_URL, "pattern": "^https://", "examples": ["https://example.com/pass"]});
    let offer = object(
        &["text"],
        json!({
            "text": {"$ref": "#/$defs/messages"},
            "price": described(optional(price), "What it costs."),
            "url": described(optional(url), "Where it is to be had.")
        }),
    );
    let offers = json!({"type": ["array", "null"], "minItems": 1, "maxItems": MAX_OFFERS, "items": offer});
    let terms = object(
        &[],
        json!({
            "decision": optional(word()),
            "offers": described(offers, "What else there is: shown with a refusal, never with a grant.")
        }),
    );
    let any = json!({"anyOf": [word(), terms, {"type": "null"}]});
    described(any, "What becomes of whom no tier admits, and what else there is for those who are refused.")
}

/// One thing as it is said to guests.
pub(super) fn messages() -> Value {
    json!({
        "description": "What guests are told, by language; chosen by the `Accept-Language` of who asks.",
        "type": "object", "minProperties": 1, "maxProperties": MAX_LANGUAGES,
        "propertyNames": {"pattern": LANGUAGE_PATTERN},
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": MAX_SENTENCE},
        "examples": [{"en": "The lounge is full at the moment.", "zh-Hant": "貴賓室目前已滿。"}]
    })
}

/// Names for guests; `otherwise` is the one where none fits.
pub(super) fn names(otherwise: &str) -> Value {
    let text = format!("What guests call it, by language; {otherwise} where none fits.");
    described(optional(json!({"$ref": "#/$defs/messages"})), &text)
}

/// Words for guests, said `when`.
pub(super) fn messages_said(when: &str) -> Value {
    let text = format!("What guests are told {when}, in place of the standard sentence.");
    described(optional(json!({"$ref": "#/$defs/messages"})), &text)
}
