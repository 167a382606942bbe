//! Perks, the versions of their rules, approvals, and sources of scores: written by their own rooms.

use jiff::Timestamp;

use super::canonical::{Nullable, Text, facts, present};
use crate::foundation::decimal::Decimal;
use crate::foundation::period::Period;

facts! {
    /// The facts of `perk.…`: each kind has those that it changes. The first events said less.
    pub struct PerkChanged<'a> {
        #[serde(default, deserialize_with = "present")]
        change_note: Option<Nullable<Text<'a>>>,
        name: Option<Text<'a>>,
        perk: Text<'a>,
        purpose: Option<Text<'a>>,
    }

    /// The facts of `place.closed` and `place.opened`, which are about a perk. A closure replaces the one of its place.
    pub struct PlaceClosed<'a> {
        closure: Text<'a>,
        /// None for all of the perk.
        location: Nullable<Text<'a>>,
        /// The words for guests, as canonical JSON: `place.closed` only.
        message: Option<Text<'a>>,
        perk: Text<'a>,
        /// When it opens by itself, or would have.
        until: Timestamp,
    }

    /// The facts of `rule.…`.
    pub struct VersionChanged<'a> {
        change_note: Nullable<Text<'a>>,
        /// From when it decides: `rule.published` and `rule.scheduled` only.
        from: Option<Timestamp>,
        perk: Text<'a>,
        rule_hash: Text<'a>,
        /// The version that was rolled back to: `rule.rolled_back` only.
        to: Option<i32>,
        version: i32,
    }

    /// The facts of `approvals.…`.
    pub struct ApprovalsChanged<'a> {
        /// The one who asked for it to be lifted.
        asked_by: Nullable<Text<'a>>,
        required: bool,
    }

    /// The facts of `attribute.…`: of one that was deleted only its name.
    pub struct AttributeChanged<'a> {
        attribute: Text<'a>,
        max_age: Option<Period>,
        on_missing: Option<Text<'a>>,
        purpose: Option<Text<'a>>,
        value_type: Option<Text<'a>>,
    }

    /// The facts of `model.submitted` and `model.published`, which are about a source: the model by its hash.
    pub struct ModelChanged<'a> {
        /// Someone has approved it, and it is published by that: `model.published` only.
        approves: Option<bool>,
        /// The days for which the model before is to count too: `model.submitted` only. The first events didn't say.
        grace_days: Option<i64>,
        /// Until when the model before counts too: `model.published` only, where it does.
        grace_until: Option<Timestamp>,
        model: Text<'a>,
        source: Text<'a>,
    }

    /// The facts of `feed.held`, which is about a feed, or a run of a computed source: how it would move people's scores.
    pub struct FeedHeld<'a> {
        /// The number of people who would all have one score; absent where nobody moves.
        common_people: Option<u64>,
        common_value: Option<Decimal>,
        compared: u64,
        down: u64,
        /// `feed` or `run`.
        kind: Text<'a>,
        largest: Decimal,
        /// The guard that held it.
        points: Decimal,
        share: Decimal,
        source: Text<'a>,
        up: u64,
    }

    /// The facts of `feed.released`, `feed.dropped` and `feed.expired`.
    pub struct FeedEnded<'a> {
        kind: Text<'a>,
        source: Text<'a>,
    }

    /// The facts of `source.guard_changed`.
    pub struct GuardChanged<'a> {
        points: Decimal,
        share: Decimal,
        source: Text<'a>,
    }

    /// The facts of `source.created`.
    pub struct SourceCreated<'a> {
        /// Absent where feeders push.
        kind: Option<Text<'a>>,
        maximum: Decimal,
        minimum: Decimal,
        /// Computed sources: the hash of the model.
        model: Option<Text<'a>>,
        refresh: Option<Period>,
        source: Text<'a>,
    }
}

impl<'a> AttributeChanged<'a> {
    /// An attribute with its terms.
    #[must_use]
    pub fn declared(
        attribute: &'a str,
        value_type: &'a str,
        purpose: &'a str,
        max_age: Option<Period>,
        on_missing: &'a str,
    ) -> Self {
        Self {
            attribute: attribute.into(),
            max_age,
            on_missing: Some(on_missing.into()),
            purpose: Some(purpose.into()),
            value_type: Some(value_type.into()),
        }
    }

    /// One that was deleted.
    #[must_use]
    pub fn deleted(attribute: &'a str) -> Self {
        Self { attribute: attribute.into(), max_age: None, on_missing: None, purpose: None, value_type: None }
    }
}
