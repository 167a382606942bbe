//! Limits that begin again when a version takes over from the one that decides now: under another id, scope or
//! window nothing that was used counts any more, and someone who had used a limit up is let in again.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::foundation::field_error::FieldError;
use crate::foundation::json::Json;
use crate::rules::describe;
use crate::rules::limit::{Limit, Scope, Window};
use crate::rules::rule::Rule;

/// A warning for each limit of `after` that is counted apart from what it was in `before`. `at` is when `after` takes
/// over: whether a stretch of the calendar goes on depends on it.
#[must_use]
pub fn restarts(before: &Rule, after: &Rule, at: Timestamp) -> Vec<FieldError> {
    let mut found = Vec::new();
    let mut removed: Vec<&Limit> = before.limits().iter().filter(|old| named(after, &old.id).is_none()).collect();
    for (nth, new) in after.limits().iter().enumerate() {
        let old = named(before, &new.id).or_else(|| {
            let twin = most_alike(&removed, new)?;
            Some(removed.remove(twin))
        });
        if let Some((pointer, change)) = old.and_then(|old| change(before, after, (old, new), nth, at)) {
            let old = old.unwrap_or(new);
            found.push(FieldError::at(pointer, "limits_restart", format!("{change}: {}", outcome(old, new))));
        }
    }
    let overrides = (before.overrides(), after.overrides(), "/override", "overrides are");
    for (old, new, pointer, are) in [overrides, (before.paid(), after.paid(), "/paid", "paid entries are")] {
        if let (Some(old), Some(new)) = (old, new)
            && change(before, after, (old.limit(), new.limit()), 0, at).is_some()
        {
            let detail = format!("{are} counted otherwise than before: those that were made count no more");
            found.push(FieldError::at(pointer, "limits_restart", detail));
        }
    }
    found
}

fn named<'a>(rule: &'a Rule, id: &str) -> Option<&'a Limit> {
    rule.limits().iter().find(|limit| limit.id == id)
}

/// The removed limit that the new one stands for, by what both count; none for one that is new.
fn most_alike(removed: &[&Limit], new: &Limit) -> Option<usize> {
    let kind = |window: Window| std::mem::discriminant(&window);
    let alike = |old: &Limit| u8::from(old.scope == new.scope) + u8::from(kind(old.window) == kind(new.window));
    let (at, best) = removed.iter().enumerate().rev().max_by_key(|(_, old)| alike(old))?;
    (alike(best) > 0).then_some(at)
}

/// Where and by what a limit begins again; none when it goes on.
fn change(
    before: &Rule,
    after: &Rule,
    (old, new): (&Limit, &Limit),
    nth: usize,
    at: Timestamp,
) -> Option<(String, String)> {
    let pointer = format!("/limits/{nth}");
    let (was, is) = (old.to_json(), new.to_json());
    if old.id != new.id {
        return Some((pointer, format!("limit `{}` stands for `{}` and counts by itself", new.id, old.id)));
    }
    let key = |limit: &Limit, rule: &Rule| limit.window.key(rule.time_zone(), at).0;
    if old.scope != new.scope || key(old, after) != key(new, after) {
        let (was, is) = (describe::limit_terms(&was), describe::limit_terms(&is));
        return Some((pointer, format!("limit `{}` is counted {is}, no longer {was}", new.id)));
    }
    if key(old, before) != key(new, after) {
        let zone = after.time_zone().iana_name().unwrap_or("another time zone");
        let detail = format!("the stretches of limit `{}` are those of {zone} and begin at other instants", new.id);
        return Some(("/time_zone".to_owned(), detail));
    }
    if new.scope.contains(&Scope::Tier) {
        let (were, are) = (tiers(before), tiers(after));
        let added: Vec<&str> = are.difference(&were).copied().collect();
        if let (Some(removed), false) = (were.difference(&are).next(), added.is_empty()) {
            let added = added.join("`, `");
            let detail =
                format!("limit `{}` is counted by tier, and the tier `{removed}` gives way to `{added}`", new.id);
            return Some((pointer, detail));
        }
    }
    None
}

fn tiers(rule: &Rule) -> BTreeSet<&str> {
    rule.tiers().iter().map(|tier| tier.id.as_str()).collect()
}

/// The consequence of a restart, and for whom.
fn outcome(old: &Limit, new: &Limit) -> String {
    let scope = old.to_json();
    let whom = scope.member("scope").and_then(Json::as_list).map(describe::scope).unwrap_or_default();
    let free = if old.scope.contains(&Scope::Subject) {
        "anyone who has used it up can be granted again at once".to_owned()
    } else if new.max.is_by_location() {
        "all are free again at once".to_owned()
    } else {
        format!("all {} are free again at once", new.max.default)
    };
    let inside = match old.window {
        Window::Concurrent { .. } => "; guests who are still inside are not counted, and others come in beside them",
        _ => "",
    };
    let across = if old.is_across_perks() || new.is_across_perks() {
        "; limits of the same id of other perks go on as they were"
    } else {
        ""
    };
    format!("what `{}` has counted {whom} counts no more, and {free}{inside}{across}", old.id)
}
