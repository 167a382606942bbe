//! The differences between the maxima of two limits, location by location.

use std::collections::BTreeSet;

use super::{Changes, Sides, below, differing};
use crate::foundation::json::Json;
use crate::rules::describe;

/// Tells whether either side has maxima of locations.
pub(super) fn are_by_location((old, new): Sides<'_>) -> bool {
    [old, new].into_iter().flatten().any(|side| matches!(side, Json::Object(_)))
}

/// The differences between the two maxima of the limit `id`, whose `max` stands at `pointers` in the old and the new
/// rule; `terms` are what the new one counts.
pub(super) fn compare(
    found: &mut Changes,
    [was_at, is_at]: [String; 2],
    (id, terms): (&str, &str),
    (old, new): Sides<'_>,
) {
    let (was, is) = (default_of(old), default_of(new));
    let named: BTreeSet<_> = locations_of(old).chain(locations_of(new)).map(|(location, _)| location).collect();
    if was != is {
        let elsewhere = if named.is_empty() { "" } else { " everywhere else" };
        let sentence = format!("Limit {id}: {} → {} {terms}{elsewhere}", shown(was), shown(is));
        let is_object = matches!(new, Some(Json::Object(_)));
        let pointer = if is_object { below(&is_at, "default") } else { is_at.clone() };
        found.note(pointer, was, is, sentence);
    }
    let by_location = |side: Option<&'_ Json>| side.and_then(|side| side.member("by_location").cloned());
    let (before, after) = (by_location(old), by_location(new));
    for (location, old, new) in differing(before.as_ref(), after.as_ref()) {
        let (from, to) = (shown(old.or(was)), shown(new.or(is)));
        let sentence = if from == to {
            let how = if new.is_some() { "now a number of its own" } else { "no longer a number of its own" };
            format!("Limit {id}: {to} at {location} as before, {how}")
        } else {
            format!("Limit {id}: {from} → {to} at {location} {terms}")
        };
        let at = if new.is_some() { &is_at } else { &was_at };
        found.note(below(&below(at, "by_location"), location), old, new, sentence);
    }
}

fn default_of(side: Option<&Json>) -> Option<&Json> {
    side.map(|side| side.member("default").unwrap_or(side))
}

fn locations_of(side: Option<&Json>) -> impl Iterator<Item = (&str, &Json)> {
    let members = match side.and_then(|side| side.member("by_location")) {
        Some(Json::Object(members)) => members.as_slice(),
        _ => &[],
    };
    members.iter().map(|(location, max)| (location.as_str(), max))
}

fn shown(max: Option<&Json>) -> String {
    max.map(describe::shown).unwrap_or_default()
}
