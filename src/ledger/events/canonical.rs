//! Writing values straight into their canonical bytes (RFC 8785), with no tree in between.
//!
//! The names of members are ASCII and stand in the source in their order, which the compiler holds: it is that of
//! RFC 8785. A member that may be missing is one of two kinds: a [`Nullable`] stands as `null`, an [`Option`] is absent.

use std::borrow::Cow;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::decision::decide::Decision;
use crate::decision::reason::ReasonCode;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{CheckId, GrantId};
use crate::foundation::json::{Json, write_text};
use crate::foundation::period::Period;

/// A text of an event: borrowed where it is written, owned where it was read.
pub type Text<'a> = Cow<'a, str>;

/// A value that has one canonical form.
pub trait CanonicalValue {
    /// Appends the canonical bytes.
    fn write(&self, out: &mut String);
}

/// A member that stands as `null` where there is none. Read, one that is absent is none too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nullable<T>(pub Option<T>);

impl<T> Nullable<T> {
    /// A value that is there.
    pub const fn some(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T> From<Option<T>> for Nullable<T> {
    fn from(value: Option<T>) -> Self {
        Self(value)
    }
}

impl<'a> Nullable<Text<'a>> {
    /// A text that may be missing, borrowed.
    pub fn text(text: Option<&'a str>) -> Self {
        Self(text.map(Cow::Borrowed))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Nullable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self)
    }
}

/// Reads an optional member that is there: `null` is then a value of its type.
pub(super) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// The members of an object that is being written.
pub struct Members<'a> {
    out: &'a mut String,
    is_first: bool,
}

impl<'a> Members<'a> {
    pub(super) fn begin(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, is_first: true }
    }

    /// Writes a member: after all whose names precede its own.
    pub(super) fn put(&mut self, name: &'static str, value: &dyn CanonicalValue) {
        if !self.is_first {
            self.out.push(',');
        }
        self.is_first = false;
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
        value.write(self.out);
    }

    pub(super) fn end(self) {
        self.out.push('}');
    }
}

/// A type as members have it.
pub trait Member {
    /// Writes the member, unless it is absent.
    fn put(&self, name: &'static str, members: &mut Members<'_>);
}

impl<T: CanonicalValue> Member for T {
    fn put(&self, name: &'static str, members: &mut Members<'_>) {
        members.put(name, self);
    }
}

impl<T: CanonicalValue> Member for Option<T> {
    fn put(&self, name: &'static str, members: &mut Members<'_>) {
        if let Some(value) = self {
            members.put(name, value);
        }
    }
}

/// Tells whether names stand in the order of RFC 8785, each once. They are ASCII, so that of their bytes is it.
pub const fn are_sorted(names: &[&str]) -> bool {
    match names {
        [first, rest @ ..] => {
            let is_before = match rest {
                [] => true,
                [second, ..] => precedes(first.as_bytes(), second.as_bytes()),
            };
            is_before && first.is_ascii() && are_sorted(rest)
        }
        [] => true,
    }
}

const fn precedes(first: &[u8], second: &[u8]) -> bool {
    match (first, second) {
        ([a, first @ ..], [b, second @ ..]) => *a < *b || (*a == *b && precedes(first, second)),
        (first, second) => first.is_empty() && !second.is_empty(),
    }
}

/// Structs of facts, each with its writer and its reader. Members stand in their order.
macro_rules! facts {
    ($($(#[$meta:meta])* $visibility:vis struct $name:ident $(<$lifetime:lifetime>)? {
        $($(#[$member_meta:meta])* $member:ident: $type:ty,)*
    })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
        $visibility struct $name $(<$lifetime>)? {
            $($(#[$member_meta])* $visibility $member: $type,)*
        }

        impl $(<$lifetime>)? $crate::ledger::events::CanonicalValue for $name $(<$lifetime>)? {
            fn write(&self, out: &mut String) {
                const {
                    assert!($crate::ledger::events::canonical::are_sorted(&[$(stringify!($member)),*]));
                }
                let mut members = $crate::ledger::events::canonical::Members::begin(out);
                $($crate::ledger::events::canonical::Member::put(&self.$member, stringify!($member), &mut members);)*
                members.end();
            }
        }
    )*};
}
pub(super) use facts;

/// Types that are written as the text they show.
macro_rules! texts {
    ($($type:ty: $text:ident),*) => {$(
        impl CanonicalValue for $type {
            fn write(&self, out: &mut String) {
                write_text(self.$text(), out);
            }
        }
    )*};
}

texts!(str: as_ref, Text<'_>: as_ref, String: as_str, CheckId: as_str, GrantId: as_str);

/// Types whose text needs no escape.
macro_rules! bare_texts {
    ($($type:ty),*) => {$(
        impl CanonicalValue for $type {
            fn write(&self, out: &mut String) {
                let _ = write!(out, "\"{self}\"");
            }
        }
    )*};
}

bare_texts!(Timestamp, Period);

impl CanonicalValue for Decision {
    fn write(&self, out: &mut String) {
        write_text(self.as_str(), out);
    }
}

impl CanonicalValue for ReasonCode {
    fn write(&self, out: &mut String) {
        write_text(self.written(), out);
    }
}

impl CanonicalValue for bool {
    fn write(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }
}

impl CanonicalValue for Decimal {
    fn write(&self, out: &mut String) {
        let _ = write!(out, "{self}");
    }
}

impl CanonicalValue for i64 {
    fn write(&self, out: &mut String) {
        Decimal::from_whole(*self).write(out);
    }
}

impl CanonicalValue for i32 {
    fn write(&self, out: &mut String) {
        i64::from(*self).write(out);
    }
}

impl CanonicalValue for u64 {
    fn write(&self, out: &mut String) {
        i64::try_from(*self).unwrap_or(i64::MAX).write(out);
    }
}

impl<T: CanonicalValue> CanonicalValue for Nullable<T> {
    fn write(&self, out: &mut String) {
        match &self.0 {
            Some(value) => value.write(out),
            None => out.push_str("null"),
        }
    }
}

impl<T: CanonicalValue> CanonicalValue for Vec<T> {
    fn write(&self, out: &mut String) {
        out.push('[');
        for (at, item) in self.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            item.write(out);
        }
        out.push(']');
    }
}

impl CanonicalValue for Json {
    fn write(&self, out: &mut String) {
        out.push_str(&self.canonical());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    facts! {
        /// One of each.
        struct Sample<'a> {
            absent: Option<u64>,
            #[serde(default, deserialize_with = "present")]
            either: Option<Nullable<Timestamp>>,
            list: Vec<i64>,
            null: Nullable<Text<'a>>,
            text: Text<'a>,
            wait: Option<Period>,
            yes: bool,
        }
    }

    fn sample() -> Sample<'static> {
        Sample {
            absent: None,
            either: Some(Nullable(None)),
            list: vec![-1, 0, 2_000],
            null: Nullable(None),
            text: "a \"quote\"\n\u{1F600}".into(),
            wait: None,
            yes: true,
        }
    }

    fn written(value: &impl CanonicalValue) -> String {
        let mut out = String::new();
        value.write(&mut out);
        out
    }

    #[test]
    fn a_nullable_stands_as_null_and_an_option_is_absent() {
        let text = written(&sample());
        assert_eq!(
            text,
            "{\"either\":null,\"list\":[-1,0,2000],\"null\":null,\"text\":\"a \\\"quote\\\"\\n\u{1F600}\",\"yes\":true}"
        );
        assert_eq!(serde_json::from_str::<Sample<'_>>(&text).unwrap(), sample());
        assert_eq!(Json::parse(&text).unwrap().canonical(), text, "the canonical form of its own parse");
    }

    #[test]
    fn what_is_there_is_written_as_it_was_read() {
        let text = r#"{"absent":3,"either":"2012-05-08T19:00:00.000001Z","list":[],"null":"","text":"","wait":"PT10M","yes":false}"#;
        assert_eq!(written(&serde_json::from_str::<Sample<'_>>(text).unwrap()), text);
        let without = text.replacen(r#""either":"2012-05-08T19:00:00.000001Z","#, "", 1);
        assert_eq!(written(&serde_json::from_str::<Sample<'_>>(&without).unwrap()), without);
        for damaged in ["\"text\":7", "\"list\":[1.5]", "\"yes\":null"] {
            let (name, _) = damaged.split_once(':').unwrap();
            let whole = format!("{{{damaged},{}", text.replacen(name, "\"other\"", 1).split_at(1).1);
            assert!(serde_json::from_str::<Sample<'_>>(&whole).is_err(), "{whole}");
        }
    }

    #[test]
    fn only_names_in_their_order_are_sorted() {
        assert!(are_sorted(&["at_most", "attribute", "code"]) && are_sorted(&["perk", "perk_id"]) && are_sorted(&[]));
        for unsorted in [&["perk_id", "perk"][..], &["a", "a"], &["b", "a"], &["a", "é"]] {
            assert!(!are_sorted(unsorted), "{unsorted:?}");
        }
    }
}
