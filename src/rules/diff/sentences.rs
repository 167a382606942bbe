//! The sentences of changes.

use super::member;
use crate::foundation::json::Json;
use crate::rules::describe;

pub(super) fn tier_sentence(tier: &str, field: &str, old: Option<&Json>, new: Option<&Json>) -> String {
    let sides = said(old, new, describe::value);
    match field {
        "name" => format!("The tier {} is now called {tier}", old.map(describe::shown).unwrap_or_default()),
        "max_wait" if old.is_none() => {
            format!("{tier}: waits at most {}", new.map(describe::value).unwrap_or_default())
        }
        "max_wait" if new.is_none() => format!("{tier}: no longest wait any more"),
        "max_wait" => format!("{tier}: waits at most {sides}"),
        "guests" => {
            let terms = |side: Option<&Json>| side.map_or_else(|| "any party".to_owned(), describe::guests);
            format!("{tier}: {} → {}", terms(old), terms(new))
        }
        other => format!("{tier}: {other} {sides}"),
    }
}

pub(super) fn limit_sentence(
    id: &str,
    is: &Json,
    was: &Json,
    name: &str,
    old: Option<&Json>,
    new: Option<&Json>,
) -> Option<String> {
    let (old, new) = (old?, new?);
    let scope = |side: &Json| side.as_list().map(describe::scope).unwrap_or_default();
    let cost = |side: &Json| match side.as_text() {
        Some("party") => "each person of the party".to_owned(),
        _ => describe::shown(side),
    };
    Some(match name {
        "max" if describe::limit_terms(is) == describe::limit_terms(was) => {
            format!("Limit {id}: {} → {} {}", describe::shown(old), describe::shown(new), describe::limit_terms(is))
        }
        "max" => format!("Limit {id}: {} → {}", describe::shown(old), describe::shown(new)),
        "window" => format!("Limit {id}: counted {} → {}", describe::window(old), describe::window(new)),
        "scope" => format!("Limit {id}: {} → {}", scope(old), scope(new)),
        "cost" => format!("Limit {id}: a grant counts {} → {}", cost(old), cost(new)),
        _ => return None,
    })
}

pub(super) fn rule_sentence(name: &str, old: Option<&Json>, new: Option<&Json>) -> Option<String> {
    let deny = Json::text("deny");
    Some(match (name, old, new) {
        ("score", None, Some(policy)) => {
            let source = policy.member("source").map(describe::shown).unwrap_or_default();
            let age = member(policy, "max_age").map(|age| format!(", and count for {}", describe::value(age)));
            format!("Scores now come from {source}{}", age.unwrap_or_default())
        }
        ("score", Some(_), None) => "No score is asked for any more".to_owned(),
        ("time_zone", Some(_), Some(_)) => format!("All times are in {}", said(old, new, describe::shown)),
        ("override", None, Some(terms)) => format!("Desks may now override refusals: {}", describe::overrides(terms)),
        ("override", Some(_), None) => "Nobody overrides refusals any more".to_owned(),
        ("paid", None, Some(terms)) => format!("Desks may now let in for pay: {}", describe::overrides(terms)),
        ("paid", Some(_), None) => "Nobody is let in for pay any more".to_owned(),
        // Written only when it isn't the default.
        ("otherwise", old, new) => format!(
            "Anyone whom no tier admits is {}",
            said(Some(old.unwrap_or(&deny)), Some(new.unwrap_or(&deny)), describe::fallback)
        ),
        _ => return None,
    })
}

pub(super) fn score_sentence(name: &str, old: Option<&Json>, new: Option<&Json>) -> Option<String> {
    Some(match (name, old, new) {
        ("source", Some(_), Some(_)) => format!("Scores come from {}", said(old, new, describe::shown)),
        ("max_age", None, Some(age)) => format!("Scores older than {} no longer count", describe::value(age)),
        ("max_age", Some(age), None) => {
            format!("Scores count however old they are (until now for {})", describe::value(age))
        }
        ("max_age", Some(_), Some(_)) => format!("Scores count for {}", said(old, new, describe::value)),
        ("on_stale", Some(_), Some(_)) => {
            format!("Anyone whose score is too old is {}", said(old, new, describe::fallback))
        }
        ("on_missing", Some(_), Some(_)) => {
            format!("Anyone who has no score is {}", said(old, new, describe::fallback))
        }
        _ => return None,
    })
}

pub(super) fn valid_sentence(name: &str, old: Option<&Json>, new: Option<&Json>) -> Option<String> {
    let time = |side: &Json| describe::shown(side).replace('T', " ");
    Some(match (name, old, new) {
        ("from", None, Some(from)) => format!("Begins to hold at {}", time(from)),
        ("from", Some(from), None) => format!("Holds from the start (until now from {} on)", time(from)),
        ("from", ..) => format!("Begins to hold at {}", said(old, new, time)),
        ("until", None, Some(until)) => format!("Ends at {}", time(until)),
        ("until", Some(until), None) => format!("No longer ends (until now at {})", time(until)),
        ("until", ..) => format!("Ends at {}", said(old, new, time)),
        _ => return None,
    })
}

pub(super) fn token_sentence(name: &str, old: Option<&Json>, new: Option<&Json>) -> Option<String> {
    let uses = |side: &Json| if *side == Json::Bool(true) { "once" } else { "any number of times" }.to_owned();
    Some(match name {
        "ttl" => format!("Tokens are good for {}", said(old, new, describe::value)),
        "audience" => format!("Tokens are for the door {}", said(old, new, describe::shown)),
        "single_use" => format!("Tokens can be used {}", said(old, new, uses)),
        "online_only" if new == Some(&Json::Bool(true)) => "Doors take tokens online only".to_owned(),
        "online_only" => "Doors may take tokens while they are offline".to_owned(),
        _ => return None,
    })
}

pub(super) fn rollout_sentence(name: &str, old: Option<&Json>, new: Option<&Json>) -> Option<String> {
    let everyone = Json::whole(100);
    let (old, new) = (old.unwrap_or(&everyone), new.unwrap_or(&everyone));
    let share = |side: &Json| format!("{}%", describe::shown(side));
    (name == "percent").then(|| format!("Open to {} of the people", said(Some(old), Some(new), share)))
}

pub(super) fn override_sentence(name: &str, old: Option<&Json>, new: Option<&Json>) -> Option<String> {
    let listed = |side: &Json| describe::names(side);
    Some(match name {
        "max" => format!("Desks may override {}", said(old, new, describe::shown)),
        "window" => format!("Overrides are counted {}", said(old, new, describe::window)),
        "scope" => {
            let scope = |side: &Json| side.as_list().map(describe::scope).unwrap_or_default();
            format!("Overrides are counted {}", said(old, new, scope))
        }
        "reasons" => format!("Reasons to override: {}", said(old, new, listed)),
        "tiers" => format!("An override may grant {}", said(old, new, listed)),
        "past_limits" => format!("Overrides may go past {}", said(old, new, listed)),
        _ => return None,
    })
}

pub(super) fn paid_sentence(name: &str, old: Option<&Json>, new: Option<&Json>) -> Option<String> {
    let listed = |side: &Json| describe::names(side);
    let scope = |side: &Json| side.as_list().map(describe::scope).unwrap_or_default();
    Some(match name {
        "max" => format!("Desks may let in for pay {}", said(old, new, describe::shown)),
        "window" => format!("Paid entry is counted {}", said(old, new, describe::window)),
        "scope" => format!("Paid entry is counted {}", said(old, new, scope)),
        "tiers" => format!("Paid entry may be to {}", said(old, new, listed)),
        "past_limits" => format!("Paid entry may go past {}", said(old, new, listed)),
        _ => return None,
    })
}

/// The words for a member that has none of its own.
pub(super) fn plain(label: &str, old: Option<&Json>, new: Option<&Json>) -> String {
    format!("{label}: {}", said(old, new, describe::shown))
}

pub(super) fn said(old: Option<&Json>, new: Option<&Json>, say: impl Fn(&Json) -> String) -> String {
    let side = |side: Option<&Json>| side.map_or_else(|| "nothing".to_owned(), &say);
    format!("{} → {}", side(old), side(new))
}

/// Which values of a list came and went, when that is all that changed in a leaf and the list is long.
pub(super) fn list_change(before: &Json, after: &Json) -> Option<String> {
    let same = |name: &str| before.member(name).is_some() && before.member(name) == after.member(name);
    let values = |side: &Json| side.member("values").and_then(Json::as_list).map(<[Json]>::to_vec);
    let (old, new) = (values(before)?, values(after)?);
    if !same("attr") || !same("op") || old.len().max(new.len()) <= describe::SHOWN {
        return None;
    }
    let only = |these: &[Json], those: &[Json]| -> Vec<Json> {
        these.iter().filter(|value| !those.contains(value)).cloned().collect()
    };
    let (came, went) = (only(&new, &old), only(&old, &new));
    let parts = [("now also", came), ("no longer", went)];
    let parts = parts.iter().filter(|(_, values)| !values.is_empty());
    let parts: Vec<_> = parts.map(|(word, values)| format!("{word} {}", describe::list(values))).collect();
    let subject = before.member("attr").and_then(Json::as_text).map(describe::subject).unwrap_or_default();
    let what = if before.member("op").and_then(Json::as_text) == Some("not_in") { "is none of" } else { "is one of" };
    Some(if parts.is_empty() {
        format!("{subject} {what} the same values in another order")
    } else {
        format!("{subject} {what}: {}", parts.join(", "))
    })
}
