//! The differences between the opening hours and the blackouts of two rules.

use super::sentences::plain;
use super::{Changes, below, differing, id_of, is_reordered, items, matched, member, messages};
use crate::foundation::json::Json;
use crate::rules::describe;
use crate::rules::schedule::week::Week;

/// An opening or a date, and its place in its list.
pub(super) type Placed<'a> = (usize, &'a Json);

pub(super) fn compare(found: &mut Changes, pointer: &str, before: Option<&Json>, after: Option<&Json>) {
    for (name, old, new) in differing(before, after) {
        let pointer = below(pointer, name);
        match name {
            "open" => openings(found, &pointer, old, new),
            "closed_dates" => closed_dates(found, &pointer, old, new),
            "messages" => {
                messages::compare(found, [pointer.clone(), pointer.clone()], "While it is closed", (old, new));
            }
            _ => found.note(pointer, old, new, plain(&format!("schedule.{name}"), old, new)),
        }
    }
}

fn openings(found: &mut Changes, pointer: &str, before: Option<&Json>, after: Option<&Json>) {
    let (old, new) = (items(before), items(after));
    if is_reordered(old, new) {
        let sentence = "The same opening hours in another order".to_owned();
        return found.note(pointer.to_owned(), before, after, sentence);
    }
    let (mut removed, mut added) = unmatched(old, new);
    // Other hours on the same days, then other days with the same hours.
    for hours_changed in [true, false] {
        let same = |a: &Json, b: &Json| {
            let kept: &[&str] = if hours_changed { &["days"] } else { &["from", "to"] };
            kept.iter().all(|name| member(a, name) == member(b, name))
        };
        removed.retain(|(_, was)| {
            let Some(found_at) = added.iter().position(|(_, is)| same(was, is)) else { return true };
            let (at, is) = added.remove(found_at);
            let sentence = if hours_changed {
                format!("Open {} {} → {}", describe::days(is), describe::hours(was), describe::hours(is))
            } else {
                format!("Open {} {} → {}", describe::hours(is), describe::days(was), describe::days(is))
            };
            found.note(below(pointer, &at.to_string()), Some(was), Some(is), sentence);
            false
        });
    }
    let opening = |opening: &Json| format!("{} {}", describe::days(opening), describe::hours(opening));
    for (at, is) in added {
        let open = opening(is);
        let sentence = match within(is, old) {
            _ if old.contains(is) => format!("Now open {open} (written once more)"),
            Within::Wholly => format!("Open {open} as well: those hours were open already"),
            Within::Partly => format!("Now open {open} (some of those hours were open already)"),
            Within::Not => format!("Now open {open}"),
        };
        found.note(below(pointer, &at.to_string()), None, Some(is), sentence);
    }
    for (at, was) in removed {
        let open = opening(was);
        let sentence = match within(was, new) {
            _ if new.contains(was) => format!("Open {open} (written once less)"),
            Within::Wholly => format!("Open {open} is taken out: those hours are open still"),
            Within::Partly => format!("No longer open {open} (some of those hours are open still)"),
            Within::Not => format!("No longer open {open}"),
        };
        found.note(below(pointer, &at.to_string()), Some(was), None, sentence);
    }
}

/// The share of an opening's hours that other openings have.
enum Within {
    Wholly,
    Partly,
    Not,
}

fn within(opening: &Json, others: &[Json]) -> Within {
    let own = Week::of_documents([opening]);
    let shared = own.shared(&Week::of_documents(others));
    if shared.is_empty() {
        Within::Not
    } else if shared == own {
        Within::Wholly
    } else {
        Within::Partly
    }
}

fn closed_dates(found: &mut Changes, pointer: &str, before: Option<&Json>, after: Option<&Json>) {
    let (removed, added) = unmatched(items(before), items(after));
    for (at, date) in added {
        let sentence = format!("Closed on {}", describe::shown(date));
        found.note(below(pointer, &at.to_string()), None, Some(date), sentence);
    }
    for (at, date) in removed {
        let sentence = format!("No longer closed on {}", describe::shown(date));
        found.note(below(pointer, &at.to_string()), Some(date), None, sentence);
    }
}

/// By id, as tiers and limits.
pub(super) fn blackouts(found: &mut Changes, pointer: &str, before: Option<&Json>, after: Option<&Json>) {
    if is_reordered(items(before), items(after)) {
        let sentence = "The same blackouts in another order".to_owned();
        return found.note(pointer.to_owned(), before, after, sentence);
    }
    for ((old, new), [was_at, is_at]) in matched(pointer, before, after) {
        let id = new.or(old).and_then(id_of).unwrap_or_default();
        match (old, new) {
            (Some(was), Some(is)) if was != is => {
                let words = (member(was, "messages"), member(is, "messages"));
                let at = [below(&was_at, "messages"), below(&is_at, "messages")];
                messages::compare(found, at, &format!("Blackout {id}"), words);
                let (was, is) = (describe::blackout(was), describe::blackout(is));
                if was != is {
                    found.note(is_at, old, new, format!("Blackout {id}: {was} → {is}"));
                }
            }
            (None, Some(is)) => found.note(is_at, old, new, format!("Blackout {id}: new, {}", describe::blackout(is))),
            (Some(was), None) => {
                let sentence = format!("Blackout {id}: removed (it was {})", describe::blackout(was));
                found.note(was_at, old, new, sentence);
            }
            _ => {}
        }
    }
}

/// The items of each list that the other lacks, counting repeats.
pub(super) fn unmatched<'a>(old: &'a [Json], new: &'a [Json]) -> (Vec<Placed<'a>>, Vec<Placed<'a>>) {
    let mut added: Vec<Placed<'a>> = new.iter().enumerate().collect();
    let mut removed = Vec::new();
    for (at, item) in old.iter().enumerate() {
        match added.iter().position(|(_, other)| *other == item) {
            Some(found) => {
                added.remove(found);
            }
            None => removed.push((at, item)),
        }
    }
    (removed, added)
}
