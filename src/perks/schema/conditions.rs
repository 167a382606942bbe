//! The schema of conditions, and of the tests that they are made of.

use serde_json::{Value, json};

use super::guests::messages_said;
use super::{described, number, object, optional};
use crate::foundation::document::MAX_TEXT_BYTES;
use crate::rules::attribute::{Attribute, CONTEXT_PATTERN, PARTY, PassField, SUBJECT_PATTERN};
use crate::rules::condition::{MAX_DEPTH, MAX_LEAVES};
use crate::rules::leaf::{MAX_VALUES, OF_A_VALUE, OF_VALUES, operators_of};
use crate::rules::time_window::{LONGEST_REACH, WITHIN};

pub(super) fn condition() -> Value {
    let members = |word: &str| {
        let list = json!({
            "type": "array", "minItems": 1, "maxItems": MAX_LEAVES, "items": {"$ref": "#/$defs/condition"}
        });
        object(&[word], json!({word: list}))
    };
    let not = object(&["not"], json!({"not": {"$ref": "#/$defs/condition"}}));
    let has = |word: &str| json!({"required": [word]});
    json!({
        "description": format!(
            "`all`, `any` or `not` over others, at most {MAX_DEPTH} deep and {MAX_LEAVES} in a rule; or one test of an attribute."
        ),
        "type": "object",
        "if": has("all"), "then": members("all"),
        "else": {
            "if": has("any"), "then": members("any"),
            "else": {"if": has("not"), "then": not, "else": {"$ref": "#/$defs/leaf"}}
        }
    })
}

pub(super) fn attribute() -> Value {
    let party = Attribute::Context(PARTY.to_owned());
    let known = [Attribute::Score, Attribute::ScoreAge, Attribute::Network, Attribute::Occupancy, party];
    let of_pass = PassField::ALL.map(Attribute::BoardingPass);
    let known: Vec<_> = known.iter().chain(&of_pass).map(Attribute::name).collect();
    json!({
        "description": "What is looked at: the score, its age, the network of the handle, what the boarding pass says, what the kiosk says, how full the place is, or a declared attribute of the person.",
        "anyOf": [{"enum": known}, {"type": "string", "pattern": CONTEXT_PATTERN}, {"type": "string", "pattern": SUBJECT_PATTERN}]
    })
}

/// One test. What an operator takes hangs on the operator, and of which type on the attribute too.
pub(super) fn leaf() -> Value {
    let text = || json!({"type": "string", "maxLength": MAX_TEXT_BYTES});
    let period = || json!({"$ref": "#/$defs/period"});
    let scalars = || json!([text(), number(), {"type": "boolean"}]);
    let is = |op: &[&str]| json!({"properties": {"op": {"enum": op}}, "required": ["op"]});
    let none = || json!({"type": "null"});
    let list = |item: Value| json!({"type": ["array", "null"], "items": item});
    let lists: Vec<_> = [text(), number(), json!({"type": "boolean"})].into_iter().map(list).collect();
    let named =
        |attribute: &Attribute| json!({"properties": {"attr": {"const": attribute.name()}}, "required": ["attr"]});
    let of = |attribute: Attribute, value: Value| {
        let fits = json!({
            "properties": {"op": {"enum": operators_of(&attribute)}, "value": optional(value.clone()), "values": list(value)}
        });
        json!({"if": named(&attribute), "then": fits})
    };
    let party = Attribute::Context(PARTY.to_owned());
    let free = Attribute::Context("name".to_owned());
    let instant = || json!({"type": "string", "pattern": CONTEXT_PATTERN, "not": {"const": party.name()}});
    let is_free = json!({
        "properties": {"attr": {"type": "string", "anyOf": [{"pattern": CONTEXT_PATTERN}, {"pattern": SUBJECT_PATTERN}],
                                "not": {"enum": [party.name(), Attribute::Network.name()]}}},
        "required": ["attr"]
    });
    let mut leaf = object(
        &["attr", "op"],
        json!({
            "attr": {"$ref": "#/$defs/attribute"},
            "op": {"enum": operators_of(&free)},
            "value": {"description": "What the attribute is compared with."},
            "values": described(optional(json!({"type": "array"})), "A list to be in, or the two ends of `between`."),
            "ref": described(optional(json!({"$ref": "#/$defs/attribute"})), "Another attribute to compare with, in place of a value."),
            "before": described(optional(period()), &format!("How long before the instant `within` opens; at most {LONGEST_REACH}.")),
            "after": described(optional(period()), &format!("How long after the instant `within` closes; at most {LONGEST_REACH}.")),
            "opens_by": described(optional(instant()), "Another instant that it opens by, where that is known."),
            "messages": messages_said("who come before or after it")
        }),
    );
    let texts = PassField::ALL.into_iter().filter(|field| *field != PassField::DaysFromToday);
    let texts: Vec<_> = texts.map(PassField::attribute).collect();
    let of_pass = json!({
        "if": {"properties": {"attr": {"enum": texts}}, "required": ["attr"]},
        "then": {"properties": {
            "op": {"enum": operators_of(&Attribute::BoardingPass(PassField::Carrier))},
            "value": optional(text()), "values": list(text())
        }}
    });
    let rules = json!([
        {
            "if": is(&[WITHIN]),
            "then": {
                "properties": {"attr": instant(), "value": none(), "values": none(), "ref": none()},
                "anyOf": [{"required": ["before"]}, {"required": ["after"]}, {"required": ["opens_by"]}]
            },
            "else": {"properties": {"before": none(), "after": none(), "opens_by": none(), "messages": none()}}
        },
        {"if": is(&["exists"]), "then": {"properties": {"value": none(), "values": none(), "ref": none()}}},
        {
            "if": is(&OF_A_VALUE),
            "then": {"properties": {"values": none()}, "anyOf": [{"required": ["value"]}, {"required": ["ref"]}]}
        },
        {
            "if": is(&OF_VALUES),
            "then": {
                "required": ["values"],
                "properties": {"value": none(), "ref": none(), "values": {"minItems": 1, "maxItems": MAX_VALUES}}
            }
        },
        {"if": is(&["between"]), "then": {"properties": {"values": {"minItems": 2, "maxItems": 2}}}},
        of(Attribute::Score, number()),
        of(Attribute::ScoreAge, period()),
        of(Attribute::Network, text()),
        of(party.clone(), number()),
        of(Attribute::Occupancy, number()),
        of(Attribute::BoardingPass(PassField::DaysFromToday), number()),
        of_pass,
        {
            "if": is_free,
            "then": {"allOf": [
                {"properties": {"value": optional(json!({"anyOf": scalars()})), "values": {"anyOf": lists}}},
                {"if": is(&["gt", "gte", "lt", "lte"]), "then": {"properties": {"value": optional(number())}}},
                {"if": is(&["between"]), "then": {"properties": {"values": list(number())}}}
            ]}
        },
        {
            "if": is(&["contains", "starts_with"]),
            "then": {"properties": {"value": {"type": ["string", "null"], "minLength": 1}}}
        }
    ]);
    if let Value::Object(members) = &mut leaf {
        members.insert("allOf".to_owned(), rules);
    }
    leaf
}
