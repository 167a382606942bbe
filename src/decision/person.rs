//! Attributes that are kept of a person besides scores, each with a value for as long as that is good, and with what
//! becomes of a person without one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::foundation::document::{FieldErrors, Node};
use crate::foundation::field_error::FieldError;
use crate::foundation::json::Json;
use crate::rules::attribute::{NETWORK, SUBJECT, is_context_name};
use crate::rules::rule::Rule;
use crate::rules::terms::Fallback;

/// The most members that a list has.
const MAX_LIST: usize = 20;

/// Behind the name of a recorded attribute: until when its value is good, and what becomes of a person without one.
const UNTIL: &str = ".until";
const ON_MISSING: &str = ".on_missing";

/// The most members that are recorded of one attribute.
pub(super) const RECORDED_OF_ONE: usize = 3;

/// Attributes of a person, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PersonFacts {
    known: BTreeMap<String, Known>,
    /// For those that do not leave the decision to the rest of the rule.
    on_missing: BTreeMap<String, Fallback>,
    /// Those that the person is assumed not to have.
    absent: BTreeSet<String>,
}

/// A value, and the first instant at which it isn't known any more.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    value: Json,
    until: Option<Timestamp>,
}

impl PersonFacts {
    /// Adds an attribute with its value.
    pub fn know(&mut self, name: &str, value: Json, until: Option<Timestamp>) {
        self.known.insert(name.to_owned(), Known { value, until });
    }

    /// Says what becomes of a person without a value of the attribute.
    pub fn want(&mut self, name: &str, on_missing: Fallback) {
        if on_missing != Fallback::Ignore {
            self.on_missing.insert(name.to_owned(), on_missing);
        }
    }

    /// Takes the values of `other` in place of its own, one by one, and does without those that it says to be absent.
    pub fn assume(&mut self, other: &Self) {
        self.known.extend(other.known.clone());
        self.known.retain(|name, _| !other.absent.contains(name));
    }

    /// Takes what becomes of a person without a value from `other`, where nothing is said of it here.
    pub fn want_as(&mut self, other: &Self) {
        for (name, fallback) in &other.on_missing {
            self.on_missing.entry(name.clone()).or_insert(*fallback);
        }
    }

    /// The attributes that leave the decision about a person without a value to their declaration, and what that is.
    pub fn wanted(&self) -> impl Iterator<Item = (&str, Fallback)> {
        self.on_missing.iter().map(|(name, fallback)| (name.as_str(), *fallback))
    }

    /// Reads the attributes that a person is assumed to have: names and plain values, good for as long as one waits.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn parse(json: &Json) -> Result<Self, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        let person = Self::read(&Node::root(json), &mut errors);
        errors.unless_any(person)
    }

    /// The same, where they stand in a larger document.
    pub(crate) fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let mut person = Self::default();
        for (name, _) in node.members(errors)? {
            if !is_attribute_name(name) {
                errors.add(
                    node.pointer(),
                    "bad_form",
                    "name attributes with up to 32 of a-z, 0-9 and _, a letter first",
                );
                continue;
            }
            let Some(value) = node.member(name) else { continue };
            if *value.json() == Json::Null {
                person.absent.insert(name.to_owned());
            } else if check_value(&value, errors).is_some() {
                person.know(name, value.json().clone(), None);
            }
        }
        Some(person)
    }

    /// The names of the attributes that have a value, or are said to have none.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.keys().chain(&self.absent).map(String::as_str)
    }

    /// The values by the names of their attributes, for how long ever they are good.
    pub fn values(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.known.iter().map(|(name, known)| (name.as_str(), &known.value))
    }

    /// The value of an attribute, while it is good.
    #[must_use]
    pub fn value(&self, name: &str, now: Timestamp) -> Option<&Json> {
        let known = self.known.get(name)?;
        known.until.is_none_or(|until| now < until).then_some(&known.value)
    }

    /// True if a value of the attribute is there that isn't good any more.
    #[must_use]
    pub fn is_stale(&self, name: &str, now: Timestamp) -> bool {
        self.known.contains_key(name) && self.value(name, now).is_none()
    }

    /// The attributes of `rule` that have no value at `now` and must have one, and the strictest of what becomes of that.
    pub(super) fn lacks(&self, rule: &Rule, now: Timestamp) -> Option<(Fallback, Vec<&str>)> {
        let lacking: Vec<(&str, Fallback)> = self
            .on_missing
            .iter()
            .filter(|(name, _)| rule.of_subject().contains(*name) && self.value(name, now).is_none())
            .map(|(name, fallback)| (name.as_str(), *fallback))
            .collect();
        let is_denied = lacking.iter().any(|(_, fallback)| *fallback == Fallback::Deny);
        let fallback = if is_denied { Fallback::Deny } else { Fallback::Refer };
        let names: Vec<&str> = lacking.into_iter().filter(|(_, it)| *it == fallback).map(|(name, _)| name).collect();
        (!names.is_empty()).then_some((fallback, names))
    }

    /// The instants at which what `rule` looks at stops being known.
    pub(super) fn turns(&self, rule: &Rule) -> impl Iterator<Item = Timestamp> {
        let looked_at = self.known.iter().filter(|(name, _)| rule.of_subject().contains(*name));
        looked_at.filter_map(|(_, known)| known.until)
    }

    /// The members that are recorded of those among `names`.
    pub(super) fn recorded(&self, names: &BTreeSet<String>) -> impl Iterator<Item = (String, Json)> {
        let is_named = |name: &str| names.contains(&format!("{SUBJECT}{name}"));
        let known = self.known.iter().filter(move |(name, _)| is_named(name)).flat_map(|(name, known)| {
            let until = known.until.map(|until| (format!("{SUBJECT}{name}{UNTIL}"), Json::text(until.to_string())));
            std::iter::once((format!("{SUBJECT}{name}"), known.value.clone())).chain(until)
        });
        let wanted = self.on_missing.iter().filter(move |(name, _)| is_named(name));
        known.chain(wanted.map(|(name, it)| (format!("{SUBJECT}{name}{ON_MISSING}"), it.to_json())))
    }

    /// Takes a member that was recorded; false for what is none of these.
    pub(super) fn take(&mut self, member: &str, value: &Node<'_>, errors: &mut FieldErrors) -> bool {
        let Some(rest) = member.strip_prefix(SUBJECT) else { return false };
        let (name, what) = rest.find('.').map_or((rest, ""), |at| rest.split_at(at));
        if !is_attribute_name(name) {
            return false;
        }
        match what {
            "" => {
                if check_value(value, errors).is_some() {
                    let until = self.known.get(name).and_then(|known| known.until);
                    self.know(name, value.json().clone(), until);
                }
            }
            UNTIL => match (value.json().as_text().and_then(|text| text.parse().ok()), self.known.get_mut(name)) {
                // Members come in the order of their names: the value before its end.
                (Some(until), Some(known)) => known.until = Some(until),
                _ => errors.add(value.pointer(), "bad_form", "this must be the end of an attribute that is there"),
            },
            ON_MISSING => {
                if let Some(fallback) = Fallback::read(value, errors) {
                    self.want(name, fallback);
                }
            }
            _ => return false,
        }
        true
    }
}

/// Checks that an attribute can have the value.
///
/// # Errors
/// The code of the first thing that is wrong with it.
pub fn is_attribute_value(value: &Json) -> Result<(), &'static str> {
    let mut errors = FieldErrors::default();
    let checked = check_value(&Node::root(value), &mut errors);
    match errors.unless_any(checked) {
        Ok(()) => Ok(()),
        Err(errors) => Err(errors.first().map_or("bad_form", |error| error.code)),
    }
}

/// Tells whether attributes can be declared under the name.
#[must_use]
pub fn is_attribute_name(name: &str) -> bool {
    is_context_name(name) && name != NETWORK
}

/// Checks that a value is plain: text, a number, a boolean, or a list of texts.
pub(super) fn check_value(node: &Node<'_>, errors: &mut FieldErrors) -> Option<()> {
    match node.json() {
        Json::Text(_) => node.text(errors).map(|_| ()),
        Json::List(_) => {
            let texts: Vec<_> = node.list(0..=MAX_LIST, errors)?.iter().map(|item| item.text(errors)).collect();
            texts.into_iter().collect::<Option<Vec<_>>>().map(|_| ())
        }
        Json::Number(_) | Json::Bool(_) => Some(()),
        Json::Object(_) | Json::Null => {
            errors.add(node.pointer(), "wrong_type", "use text, a number, true or false, or a list of texts");
            None
        }
    }
}
