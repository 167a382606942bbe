//! The most uses of a limit that fit: one number, or another one at some locations.

use std::collections::BTreeMap;

use super::engine::{FLOOR, PLAIN};
use crate::foundation::decimal::Decimal;
use crate::foundation::document::{FieldErrors, Node, below};
use crate::foundation::ids::{self, MAX_LABEL};
use crate::foundation::json::Json;

/// The greatest maximum.
pub(crate) const MAX_MAX: i64 = 1_000_000_000;
/// The most locations that one limit names.
pub(crate) const MAX_LOCATIONS: usize = 200;

/// The most uses that fit, by the location of the API key that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maximum {
    /// Where no location is named, or the key has none.
    pub default: u64,
    pub by_location: BTreeMap<String, u64>,
}

impl Maximum {
    /// The same at every location.
    pub(crate) fn everywhere(default: u64) -> Self {
        Self { default, by_location: BTreeMap::new() }
    }

    /// The most that fit at a location.
    #[must_use]
    pub fn at(&self, location: Option<&str>) -> u64 {
        location.and_then(|location| self.by_location.get(location)).copied().unwrap_or(self.default)
    }

    /// Every maximum with its location, the default first.
    pub(crate) fn each(&self) -> impl Iterator<Item = (Option<&str>, u64)> {
        let named = self.by_location.iter().map(|(location, max)| (Some(location.as_str()), *max));
        std::iter::once((None, self.default)).chain(named)
    }

    /// Tells whether locations differ.
    #[must_use]
    pub fn is_by_location(&self) -> bool {
        !self.by_location.is_empty()
    }

    /// The reading that it needs.
    pub(crate) fn engine(&self) -> u32 {
        if self.is_by_location() { FLOOR } else { PLAIN }
    }

    /// Where the maximum of a location stands, in the limit at `pointer`.
    pub(crate) fn pointer_at(&self, pointer: &str, location: Option<&str>) -> String {
        let max = below(pointer, "max");
        match location {
            Some(location) => below(&below(&max, "by_location"), location),
            None if self.is_by_location() => below(&max, "default"),
            None => max,
        }
    }

    pub(crate) fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        if !matches!(node.json(), Json::Object(_)) {
            let default = node.whole(1..=MAX_MAX, errors)?.unsigned_abs();
            return Some(Self { default, by_location: BTreeMap::new() });
        }
        let fields = node.fields(&["default", "by_location"], errors)?;
        let default = fields.required("default", errors).and_then(|max| max.whole(1..=MAX_MAX, errors));
        let by_location = fields.or("by_location", BTreeMap::new(), |maxima| read_locations(&maxima, errors));
        Some(Self { default: default?.unsigned_abs(), by_location: by_location? })
    }

    /// The canonical form: a number unless locations differ, as it was before they could.
    pub(crate) fn to_json(&self) -> Json {
        let whole = |value: u64| Json::Number(Decimal::from_whole(i64::try_from(value).unwrap_or(MAX_MAX)));
        if !self.is_by_location() {
            return whole(self.default);
        }
        let named = self.by_location.iter().map(|(location, max)| (location.as_str(), whole(*max)));
        Json::object([("default", whole(self.default)), ("by_location", Json::object(named))])
    }
}

fn read_locations(node: &Node<'_>, errors: &mut FieldErrors) -> Option<BTreeMap<String, u64>> {
    let members = node.members(errors)?;
    if members.is_empty() {
        return node.refuse(errors, "empty", "name a location at least, or write the number alone");
    }
    if members.len() > MAX_LOCATIONS {
        return node.refuse(errors, "too_many", format!("name at most {MAX_LOCATIONS} locations"));
    }
    let mut maxima = BTreeMap::new();
    let mut all = true;
    for (location, _) in members {
        let Some(max) = node.member(location) else { continue };
        let name = location_name(location, node.is_stored());
        match (name, max.whole(1..=MAX_MAX, errors)) {
            (Ok(()), Some(max)) => {
                maxima.insert(location.clone(), max.unsigned_abs());
            }
            // A name that is long or not what it looks like isn't sent back.
            (Err(detail), _) => {
                errors.add(node.pointer(), "bad_form", detail);
                all = false;
            }
            (Ok(()), None) => all = false,
        }
    }
    all.then_some(maxima)
}

/// A location as a key's is kept: what a key can't have is never met.
fn location_name(name: &str, is_stored: bool) -> Result<(), String> {
    match ids::label(name, MAX_LABEL) {
        _ if is_stored => Ok(()),
        Ok(kept) if kept == name => Ok(()),
        Ok(_) => Err("a location's name has no white space around it".to_owned()),
        Err(error) => Err(format!("the name of a location: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Maximum, Vec<(String, &'static str)>> {
        let json = Json::parse(text).unwrap();
        let mut errors = FieldErrors::default();
        let max = Maximum::read(&Node::root(&json), &mut errors);
        errors.unless_any(max).map_err(|errors| errors.iter().map(|it| (it.path.to_string(), it.code)).collect())
    }

    #[test]
    fn a_location_has_its_own_and_all_others_the_default() {
        let max = read(r#"{"default":200,"by_location":{"SFO-A":120,"Hong Kong · 離境":3}}"#).unwrap();
        for (location, most) in
            [(None, 200), (Some("LAX"), 200), (Some("sfo-a"), 200), (Some("SFO-A"), 120), (Some("Hong Kong · 離境"), 3)]
        {
            assert_eq!(max.at(location), most, "{location:?}");
        }
        assert_eq!(max.to_json().canonical(), r#"{"by_location":{"Hong Kong · 離境":3,"SFO-A":120},"default":200}"#);
        assert_eq!((max.engine(), max.pointer_at("/limits/0", None)), (FLOOR, "/limits/0/max/default".into()));
        assert_eq!(max.pointer_at("/limits/0", Some("a/b")), "/limits/0/max/by_location/a~1b");
    }

    #[test]
    fn one_that_no_location_differs_from_is_a_number() {
        for text in ["200", r#"{"default":200}"#, r#"{"default":200,"by_location":null}"#] {
            let max = read(text).unwrap();
            assert_eq!((max.to_json().canonical(), max.engine(), max.at(Some("SFO-A"))), ("200".into(), PLAIN, 200));
            assert_eq!(max.pointer_at("/limits/0", None), "/limits/0/max");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_at_its_spot() {
        let many: Vec<_> = (0..=MAX_LOCATIONS).map(|n| format!(r#""L{n}":1"#)).collect();
        let (most, many) = (many[1..].join(","), many.join(","));
        assert!(read(&format!(r#"{{"default":1,"by_location":{{{most}}}}}"#)).is_ok());
        let long = "x".repeat(MAX_LABEL);
        assert!(read(&format!(r#"{{"default":1,"by_location":{{"{long}":1}}}}"#)).is_ok());
        for (text, at, code) in [
            ("0".to_owned(), "", "out_of_range"),
            ("1000000001".to_owned(), "", "out_of_range"),
            ("\"1\"".to_owned(), "", "wrong_type"),
            (r#"{"by_location":{"SFO":1}}"#.to_owned(), "/default", "missing"),
            (r#"{"default":0}"#.to_owned(), "/default", "out_of_range"),
            (r#"{"default":1,"location":{}}"#.to_owned(), "/location", "unknown_field"),
            (r#"{"default":1,"by_location":{"SFO":0}}"#.to_owned(), "/by_location/SFO", "out_of_range"),
            (r#"{"default":1,"by_location":{"SFO":1.5}}"#.to_owned(), "/by_location/SFO", "out_of_range"),
            (r#"{"default":1,"by_location":{"SFO":null}}"#.to_owned(), "/by_location/SFO", "wrong_type"),
            (r#"{"default":1,"by_location":{}}"#.to_owned(), "/by_location", "empty"),
            (r#"{"default":1,"by_location":[1]}"#.to_owned(), "/by_location", "wrong_type"),
            (r#"{"default":1,"by_location":{"":1}}"#.to_owned(), "/by_location", "bad_form"),
            (r#"{"default":1,"by_location":{" SFO":1}}"#.to_owned(), "/by_location", "bad_form"),
            ("{\"default\":1,\"by_location\":{\"S\u{200B}FO\":1}}".to_owned(), "/by_location", "bad_form"),
            (format!(r#"{{"default":1,"by_location":{{"{long}x":1}}}}"#), "/by_location", "bad_form"),
            (format!(r#"{{"default":1,"by_location":{{{many}}}}}"#), "/by_location", "too_many"),
        ] {
            assert_eq!(read(&text).unwrap_err(), [(at.to_owned(), code)], "{text}");
        }
    }
}
