//! The JSON Schema (2020-12) of a perk file and of the rule in it, so that editors complete and check them.
//!
//! Built from the reader's own names and bounds. It may take what the reader refuses, for what hangs
//! on several members at once; it must never refuse what the reader takes.

mod conditions;
mod floor;
mod guests;

use serde_json::{Map, Value, json};

use super::perk::MAX_NAME;
use super::purpose::Purpose;
use crate::foundation::ids::{MAX_LABEL, MAX_NOTE};
use crate::foundation::period::{LONGEST, ONE_DAY};
use crate::rules::attribute::CONTEXT_PATTERN;
use crate::rules::blackout::MAX_BLACKOUTS;
use crate::rules::limit::{MAX_LIMITS, MAX_LOCATIONS, MAX_MAX, MAX_PARTY, MAX_SCOPES, Scope, Unit};
use crate::rules::schedule::{DAYS, MAX_CLOSED_DATES, MAX_OPENINGS};
use crate::rules::tier::{self, MAX_RANK, MAX_TIERS};

/// As [`crate::foundation::ids::is_slug`].
const SLUG_PATTERN: &str = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
/// Weeks, days, hours, minutes and seconds, each at most once; not all that it matches has a length.
const PERIOD_PATTERN: &str = "^\\+?[Pp]([0-9]+[Ww])?([0-9]+[Dd])?([Tt]([0-9]+([.,][0-9]+)?[Hh])?([0-9]+([.,][0-9]+)?[Mm])?([0-9]+([.,]0+)?[Ss])?)?$";
/// Numbers are exact to three decimals, and within this.
const MAX_NUMBER: i64 = 1_000_000_000_000;

/// The schema as it is served and committed.
#[must_use]
pub fn text() -> String {
    let mut text = serde_json::to_string_pretty(&schema()).unwrap_or_default();
    text.push('\n');
    text
}

/// The whole schema: a perk file, with the rule under `$defs`.
#[must_use]
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "perkgate perk file",
        "description": "A perk and who may have it: the body of `POST /v1/perks`.",
        "type": "object",
        "additionalProperties": false,
        "required": ["perk", "name", "rule"],
        "properties": {
            "perk": described(slug(), "The perk's short name, unique within the merchant."),
            "name": {"type": "string", "minLength": 1, "maxLength": MAX_NAME, "description": "What people call it."},
            "purpose": described(optional(json!({"enum": Purpose::ALL.map(Purpose::as_str)})), "What the perk is for."),
            "rule": {"$ref": "#/$defs/rule"},
            "publish": {
                "type": ["boolean", "null"], "default": false,
                "description": "Let it decide at once; otherwise it is a draft."
            },
            "change_note": {"type": ["string", "null"], "maxLength": MAX_NOTE, "description": "Why it changed."}
        },
        "$defs": {
            "rule": {
                "description": "Who may have the perk: with `tiers`, or for one of them with `\"at_least\": 40, \"score\": \"klout\"`.",
                "type": "object",
                "if": {"required": ["at_least"], "properties": {"at_least": {"not": {"type": "null"}}}},
                "then": {"$ref": "#/$defs/short_rule"},
                "else": {"$ref": "#/$defs/long_rule"}
            },
            "short_rule": short_rule(),
            "long_rule": long_rule(),
            "tier": tier_schema(),
            "limit": limit(),
            "condition": conditions::condition(),
            "leaf": conditions::leaf(),
            "attribute": conditions::attribute(),
            "messages": guests::messages(),
            "slug": {"type": "string", "pattern": SLUG_PATTERN},
            "period": {
                "type": "string", "minLength": 3, "pattern": PERIOD_PATTERN, "examples": ["PT15M", "PT24H", "P7D"],
                "description": "An ISO 8601 duration in weeks, days, hours, minutes and seconds."
            },
            "wall_time": {
                "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?$",
                "examples": ["2012-05-08T00:00"], "description": "A local time in the rule's zone, without an offset."
            }
        }
    })
}

/// The long form, with the least score in the place of the tiers.
fn short_rule() -> Value {
    let mut schema = long_rule();
    let score = schema.pointer("/properties/score/anyOf/0").cloned();
    if let Some(properties) = schema.pointer_mut("/properties").and_then(Value::as_object_mut) {
        properties.insert("tiers".to_owned(), json!({"type": "null"}));
        properties.insert("at_least".to_owned(), described(number(), "The least score that is admitted."));
        let either = json!({"anyOf": [slug(), score]});
        properties.insert("score".to_owned(), described(either, "The source of the score, or all about the score."));
    }
    if let Some(members) = schema.as_object_mut() {
        members.insert("required".to_owned(), json!(["at_least", "score"]));
    }
    schema
}

fn long_rule() -> Value {
    let period = || json!({"$ref": "#/$defs/period"});
    let fallback = || json!({"enum": ["deny", "refer", "ignore"], "default": "deny"});
    let wall_time = || optional(json!({"$ref": "#/$defs/wall_time"}));
    let of = |schema: Value, text: &str| described(optional(schema), text);
    let score = object(
        &["source"],
        json!({
            "source": described(slug(), "Where the score comes from."),
            "max_age": of(period(), &format!("An older score is stale; at most {LONGEST}. Without it none is.")),
            "on_stale": of(fallback(), "What becomes of a stale score: deny, refer to a person, or decide without it."),
            "on_missing": of(fallback(), "What becomes of a person without a score.")
        }),
    );
    let token = object(
        &[],
        json!({
            "audience": of(slug(), "The doors that take the token; the perk's short name unless given."),
            "ttl": of(period(), &format!("How long the token is good for: PT15M unless given, at most {ONE_DAY}.")),
            "single_use": of(json!({"type": "boolean", "default": true}), "Whether a door can spend it once only."),
            "online_only": of(
                json!({"type": "boolean", "default": false}),
                "Whether doors must ask the gateway, and may not take it while they are offline."
            )
        }),
    );
    let percent = json!({"type": "integer", "minimum": 0, "maximum": 100, "description": "Of all people."});
    object(
        &["tiers"],
        json!({
            "at_least": {"type": "null"},
            "names": guests::names("the perk's own"),
            "time_zone": of(
                json!({"type": "string", "default": "UTC", "examples": ["America/Los_Angeles"]}),
                "The IANA zone of every time in the rule.",
            ),
            "valid": of(object(&[], json!({"from": wall_time(), "until": wall_time()})), "When it holds; `until` is exclusive."),
            "score": of(score, "Which score is asked for."),
            "schedule": of(schedule(), "When it is open; always unless given."),
            "blackouts": of(
                json!({"type": "array", "maxItems": MAX_BLACKOUTS, "items": blackout()}),
                "Times at which it admits nobody, whatever its hours.",
            ),
            "when": of(json!({"$ref": "#/$defs/condition"}), "What must hold for every tier."),
            "tiers": {
                "type": "array", "minItems": 1, "maxItems": MAX_TIERS, "items": {"$ref": "#/$defs/tier"},
                "if": {"minItems": 2}, "then": {"items": {"required": ["rank"]}},
                "description": "The outcomes; of those that admit, the one of the highest rank is granted."
            },
            "limits": of(
                json!({"type": "array", "maxItems": MAX_LIMITS, "items": {"$ref": "#/$defs/limit"}}),
                "How often, for whom.",
            ),
            "token": of(token, "What the token of a grant says."),
            "rollout": of(object(&["percent"], json!({"percent": percent})), "For a part of the people only."),
            "otherwise": guests::otherwise(),
            "override": of(floor::overrides(), "Whom a desk may let in by hand whom the rule refuses; nobody unless given."),
            "paid": of(floor::paid(), "Whom a desk may let in for pay whom the rule refuses; nobody unless given.")
        }),
    )
}

fn schedule() -> Value {
    let clock = "([01][0-9]|2[0-3]):[0-5][0-9]";
    let days: Vec<_> = DAYS.iter().map(|(name, _)| *name).collect();
    let opening = object(
        &["days", "from", "to"],
        json!({
            "days": {"type": "array", "minItems": 1, "maxItems": DAYS.len(), "items": {"enum": days}},
            "from": {"type": "string", "pattern": format!("^{clock}$"), "examples": ["06:00"]},
            "to": {
                "type": "string", "pattern": format!("^({clock}|24:00)$"), "examples": ["23:00"],
                "description": "Exclusive. Before `from` it crosses midnight."
            }
        }),
    );
    let date = json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "examples": ["2012-12-25"]});
    object(
        &[],
        json!({
            "open": optional(json!({"type": "array", "maxItems": MAX_OPENINGS, "items": opening})),
            "closed_dates": described(
                optional(json!({"type": "array", "maxItems": MAX_CLOSED_DATES, "items": date})),
                "Dates on which no opening begins.",
            ),
            "messages": guests::messages_said("while it is closed")
        }),
    )
}

/// Once, or on the same dates of every year.
fn blackout() -> Value {
    let wall_time = || optional(json!({"$ref": "#/$defs/wall_time"}));
    let day =
        || json!({"type": "string", "pattern": "^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$", "examples": ["12-31"]});
    let yearly = object(&["from", "to"], json!({"from": day(), "to": day()}));
    let mut schema = object(
        &["id"],
        json!({
            "id": described(slug(), "Its short name, which refusals carry."),
            "from": wall_time(),
            "until": described(wall_time(), "Exclusive."),
            "yearly": described(optional(yearly), "Both dates included; across New Year where `to` comes before `from`."),
            "messages": guests::messages_said("meanwhile")
        }),
    );
    if let Some(members) = schema.as_object_mut() {
        let none = || json!({"type": "null"});
        let is_yearly = json!({"required": ["yearly"], "properties": {"yearly": {"type": "object"}}});
        members.insert("if".to_owned(), is_yearly);
        members.insert("then".to_owned(), json!({"properties": {"from": none(), "until": none()}}));
        members.insert("else".to_owned(), json!({"required": ["from", "until"]}));
    }
    schema
}

fn tier_schema() -> Value {
    object(
        &["id"],
        json!({
            "id": described(slug(), "Its short name, which tokens carry."),
            "rank": described(
                optional(json!({"type": "integer", "minimum": 1, "maximum": MAX_RANK})),
                "The highest that admits is granted; only a lone tier needs none.",
            ),
            "name": described(
                optional(json!({"type": "string", "minLength": 1, "maxLength": tier::MAX_NAME})),
                "What people call it.",
            ),
            "names": guests::names("its `name`"),
            "when": described(optional(json!({"$ref": "#/$defs/condition"})), "Whom it admits; everyone unless given."),
            "max_wait": described(optional(json!({"$ref": "#/$defs/period"})), "The longest that someone of this tier waits."),
            "guests": described(optional(guests::terms()), "The guests that its people may bring; any party counts as it is unless given."),
            "messages": guests::messages_said("whom it doesn't admit")
        }),
    )
}

fn limit() -> Value {
    let scopes = Scope::FIXED.map(|scope| scope.name());
    let number = || json!({"type": "integer", "minimum": 1, "maximum": MAX_MAX});
    let named = json!({
        "type": ["object", "null"], "minProperties": 1, "maxProperties": MAX_LOCATIONS, "additionalProperties": number(),
        "propertyNames": {"minLength": 1, "maxLength": MAX_LABEL}, "examples": [{"SFO-A": 120}],
        "description": "How many fit at a location, which is the API key's."
    });
    let by_location = object(
        &["default"],
        json!({"default": described(number(), "How many fit everywhere else."), "by_location": named}),
    );
    object(
        &["id", "scope", "max", "window"],
        json!({
            "id": described(slug(), "Its short name; another one begins to count again."),
            "scope": {
                "type": "array", "minItems": 1, "maxItems": MAX_SCOPES, "uniqueItems": true,
                "items": {"anyOf": [{"enum": scopes}, {"type": "string", "pattern": CONTEXT_PATTERN}]},
                "description": "Whose uses are counted together; by a boarding pass or a member of the context for a month at most."
            },
            "max": described(json!({"anyOf": [number(), by_location]}), "How many fit; at some locations others."),
            "cost": {
                "anyOf": [{"const": "party"}, {"type": "integer", "minimum": 1, "maximum": 100}, {"type": "null"}],
                "description": format!("What a grant uses: a number, or `party` for each of its people (1–{MAX_PARTY}).")
            },
            "window": window(),
            "messages": guests::messages_said("when it has no room")
        }),
    )
}

/// The window of a limit.
fn window() -> Value {
    let period = || json!({"$ref": "#/$defs/period"});
    json!({
        "type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
        "description": "Uses within it are counted together.",
        "properties": {
            "calendar": {"enum": Unit::ALL.map(Unit::name), "description": "In the rule's zone."},
            "rolling": described(period(), "The time that has just passed, such as PT24H."),
            "lifetime": {"const": true, "description": "For ever."},
            "concurrent": described(object(&["max_stay"], json!({"max_stay": period()})), "At the same time.")
        }
    })
}

/// An object with these members and no others.
fn object(required: &[&str], properties: Value) -> Value {
    let mut schema = Map::from_iter([
        ("type".to_owned(), json!("object")),
        ("additionalProperties".to_owned(), json!(false)),
        ("properties".to_owned(), properties),
    ]);
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    Value::Object(schema)
}

fn slug() -> Value {
    json!({"$ref": "#/$defs/slug"})
}

fn number() -> Value {
    json!({"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER})
}

/// The same, or null, which is as good as left out.
fn optional(schema: Value) -> Value {
    Value::Object(Map::from_iter([("anyOf".to_owned(), Value::Array(vec![schema, json!({"type": "null"})]))]))
}

fn described(mut schema: Value, text: &str) -> Value {
    if let Value::Object(members) = &mut schema {
        members.insert("description".to_owned(), json!(text));
    }
    schema
}
