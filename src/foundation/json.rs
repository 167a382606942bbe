//! Strict JSON: numbers keep their digits, doubled members and deep nesting are refused, and every
//! value has one canonical form (RFC 8785) to hash and to sign.

use std::fmt::{self, Write as _};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::decimal::{Decimal, DecimalError};

/// The deepest that a value may nest: far beyond any rule, far below any stack.
pub const MAX_DEPTH: usize = 32;

/// A JSON value whose numbers are exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(Decimal),
    Text(String),
    List(Vec<Json>),
    /// Members in the order they came; no name twice.
    Object(Vec<(String, Json)>),
}

/// JSON in which a number may be one that no [`Decimal`] holds: for texts of which only a part is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LooseJson {
    /// The value, with null in the place of each such number.
    pub json: Json,
    /// The pointer of each such number, and why it can't be taken.
    pub inexact: Vec<(String, DecimalError)>,
}

impl LooseJson {
    /// Reads one JSON document.
    ///
    /// # Errors
    /// [`JsonError`], but never for a number.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|e| JsonError::Syntax(e.to_string()))?;
        Self::of(raw)
    }

    fn of(raw: &RawValue) -> Result<Self, JsonError> {
        let mut inexact = Vec::new();
        let json = build(raw.get(), &mut String::new(), 0, &mut Some(&mut inexact))?;
        Ok(Self { json, inexact })
    }
}

impl From<Json> for LooseJson {
    fn from(json: Json) -> Self {
        Self { json, inexact: Vec::new() }
    }
}

impl<'de> Deserialize<'de> for LooseJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::of(&raw).map_err(serde::de::Error::custom)
    }
}

/// Why a text is not JSON that we take; `pointer` says where (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("not valid JSON: {0}")]
    Syntax(String),
    #[error("the member {name:?} stands twice at {pointer:?}")]
    Doubled { pointer: String, name: String },
    #[error("nested deeper than {MAX_DEPTH} at {pointer:?}")]
    TooDeep { pointer: String },
    #[error("the number at {pointer:?} can't be taken: {source}")]
    Number { pointer: String, source: DecimalError },
    #[error("the text at {pointer:?} holds a NUL character")]
    Nul { pointer: String },
}

impl JsonError {
    /// Where in the document it is; empty for the whole.
    #[must_use]
    pub fn pointer(&self) -> &str {
        match self {
            Self::Syntax(_) => "",
            Self::Doubled { pointer, .. }
            | Self::TooDeep { pointer }
            | Self::Number { pointer, .. }
            | Self::Nul { pointer } => pointer,
        }
    }
}

impl Json {
    /// Reads one JSON document.
    ///
    /// # Errors
    /// [`JsonError`] when it is malformed, doubles a member, nests too deep, or holds a number
    /// beyond three decimals.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|e| JsonError::Syntax(e.to_string()))?;
        build(raw.get(), &mut String::new(), 0, &mut None)
    }

    /// Text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Text, or null for none.
    #[must_use]
    pub fn optional(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Self::text)
    }

    /// A whole number.
    #[must_use]
    pub fn whole(number: i64) -> Self {
        Self::Number(Decimal::from_whole(number))
    }

    /// An object of these members.
    #[must_use]
    pub fn object<'a>(members: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    #[must_use]
    pub fn as_whole(&self) -> Option<i64> {
        match self {
            Self::Number(number) if number.thousandths() % 1000 == 0 => Some(number.thousandths() / 1000),
            _ => None,
        }
    }

    /// The items, if it is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The member `name` of an object.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The kind of the value, in words for an error.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// The canonical form of RFC 8785: members sorted by UTF-16 code units, no white space, the
    /// shortest number. Two values are equal exactly when these bytes are.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        self.write_canonical(&mut out);
        out
    }

    fn write_canonical(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(number) => {
                let _ = write!(out, "{number}");
            }
            Self::Text(text) => write_text(text, out),
            Self::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write_canonical(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                out.push('{');
                for (at, (name, value)) in sorted.into_iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_text(name, out);
                    out.push(':');
                    value.write_canonical(out);
                }
                out.push('}');
            }
        }
    }
}

/// Writes a JSON string as RFC 8785 §3.2.2.2 does.
pub fn write_text(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    // Nearly every text is taken as it is; one look at all of it costs less than one at each character.
    let mut has_escapes = text.bytes().fold(false, |found, byte| found | is_escaped(byte));
    while has_escapes {
        let (plain, from) = rest.split_at(rest.bytes().position(is_escaped).unwrap_or(rest.len()));
        let mut chars = from.chars();
        out.push_str(plain);
        match chars.next() {
            Some(c) => write_escape(c, out),
            None => has_escapes = false,
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// Tells whether a character of this one byte is escaped; none of more bytes is.
const fn is_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

fn write_escape(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\u{c}' => out.push_str("\\f"),
        '\r' => out.push_str("\\r"),
        c => drop(write!(out, "\\u{:04x}", u32::from(c))),
    }
}

/// Adds one step to a JSON pointer (RFC 6901), escaping `~` and `/`.
pub fn push_pointer(pointer: &mut String, step: &str) {
    pointer.push('/');
    for c in step.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}

/// Builds from the raw text level by level: `serde_json` hands floats over as `f64`, which would
/// lose digits, so every number is read from its own characters. Those that can't be taken are put into `inexact`, if
/// that is given.
fn build(
    raw: &str,
    pointer: &mut String,
    depth: usize,
    inexact: &mut Option<&mut Vec<(String, DecimalError)>>,
) -> Result<Json, JsonError> {
    if depth > MAX_DEPTH {
        return Err(JsonError::TooDeep { pointer: pointer.clone() });
    }
    let syntax = |e: serde_json::Error| JsonError::Syntax(e.to_string());
    let here = pointer.len();
    match raw.as_bytes().first() {
        Some(b'{') => {
            let Members(raw_members) = serde_json::from_str(raw).map_err(syntax)?;
            let mut members: Vec<(String, Json)> = Vec::with_capacity(raw_members.len());
            let mut seen = std::collections::HashSet::with_capacity(raw_members.len());
            for (name, value) in raw_members {
                if !seen.insert(name.clone()) {
                    return Err(JsonError::Doubled { pointer: pointer.clone(), name });
                }
                push_pointer(pointer, &name);
                if name.contains('\0') {
                    return Err(JsonError::Nul { pointer: pointer.clone() });
                }
                let value = build(value.get(), pointer, depth + 1, inexact)?;
                pointer.truncate(here);
                members.push((name, value));
            }
            Ok(Json::Object(members))
        }
        Some(b'[') => {
            let Items(raw_items) = serde_json::from_str(raw).map_err(syntax)?;
            let mut items = Vec::with_capacity(raw_items.len());
            for (at, item) in raw_items.into_iter().enumerate() {
                push_pointer(pointer, &at.to_string());
                items.push(build(item.get(), pointer, depth + 1, inexact)?);
                pointer.truncate(here);
            }
            Ok(Json::List(items))
        }
        Some(b'"') => {
            let text: String = serde_json::from_str(raw).map_err(syntax)?;
            // PostgreSQL can't store it, and nobody means it.
            if text.contains('\0') { Err(JsonError::Nul { pointer: pointer.clone() }) } else { Ok(Json::Text(text)) }
        }
        Some(b'n') => Ok(Json::Null),
        Some(b't') => Ok(Json::Bool(true)),
        Some(b'f') => Ok(Json::Bool(false)),
        _ => match (raw.parse(), inexact) {
            (Ok(number), _) => Ok(Json::Number(number)),
            (Err(source), Some(inexact)) => {
                inexact.push((pointer.clone(), source));
                Ok(Json::Null)
            }
            (Err(source), None) => Err(JsonError::Number { pointer: pointer.clone(), source }),
        },
    }
}

struct Members<'a>(Vec<(String, &'a RawValue)>);
struct Items<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    members.push(entry);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Items<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(Collect)
    }
}

/// The value as serde sees it, so that a [`Json`] can stand inside a wire type.
impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        build(raw.get(), &mut String::new(), 0, &mut None).map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for Json {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::Text(value) => serializer.serialize_str(value),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(members) => serializer.collect_map(members.iter().map(|(name, value)| (name, value))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_form_is_sorted_and_bare() {
        let json = Json::parse(
            "{ \"b\": [1, 2.50, true, null], \"a\": \"\\u0041\\u000f\\n\", \"\\uD83D\\uDE00\": 1, \"\\uFB33\": 2 }",
        )
        .unwrap();
        assert_eq!(json.canonical(), "{\"a\":\"A\\u000f\\n\",\"b\":[1,2.5,true,null],\"\u{1F600}\":1,\"\u{FB33}\":2}");
    }

    #[test]
    fn only_what_must_be_is_escaped_wherever_it_stands() {
        for (text, written) in [
            ("", r#""""#),
            ("\u{7f}é\u{2028}/", "\"\u{7f}é\u{2028}/\""),
            ("\"", r#""\"""#),
            ("a\\b", r#""a\\b""#),
            ("é\n\t\r\u{8}\u{c}\u{1f}é\"", r#""é\n\t\r\b\f\u001fé\"""#),
        ] {
            let mut out = String::new();
            write_text(text, &mut out);
            assert_eq!(out, written);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn doubled_members_deep_nesting_and_long_floats_are_refused() {
        assert_eq!(
            Json::parse("{\"a\":{\"b\":1,\"b\":2}}"),
            Err(JsonError::Doubled { pointer: "/a".into(), name: "b".into() })
        );
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        assert!(matches!(Json::parse(&deep), Err(JsonError::TooDeep { .. })));
        let abyss = "[".repeat(200_000);
        assert!(matches!(Json::parse(&abyss), Err(JsonError::Syntax(_))));
        assert_eq!(Json::parse("{\"x/y\":[1.0000000000000000000000000000001]}").unwrap_err().pointer(), "/x~1y/0");
        assert!(matches!(Json::parse("\"a\\u0000\""), Err(JsonError::Nul { .. })));
        for bad in ["", "{", "NaN", "01", "1e400", "[1,]", "{\"a\":1}x"] {
            assert!(Json::parse(bad).is_err(), "{bad}");
        }
    }
}
