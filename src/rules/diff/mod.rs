//! The differences between two rules: each change with its path and a sentence that a manager can read.
//!
//! It compares the canonical documents, so that a member that has no words here yet is still
//! reported. Tiers and limits are matched by id, openings and closed dates as sets: moving one of
//! them up or down isn't a change of all that follow it.

use serde::Serialize;

use super::describe;
use super::rule::Rule;
use crate::foundation::document::below;
use crate::foundation::json::Json;

mod maxima;
mod messages;
mod offers;
mod schedule;
mod sentences;

use sentences::{
    limit_sentence, list_change, override_sentence, paid_sentence, plain, rollout_sentence, rule_sentence,
    score_sentence, tier_sentence, token_sentence, valid_sentence,
};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// RFC 6901, into the canonical form of the rule with the new content; of the old one for what was removed.
    pub pointer: String,
    pub kind: ChangeKind,
    pub before: Option<Json>,
    pub after: Option<Json>,
    pub sentence: String,
}

/// The kind of a member's change. One that is null counts as left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    Added,
    Removed,
    Changed,
}

/// The members of a rule in the order in which a reader wants to hear of them; others follow.
const ORDER: [&str; 14] = [
    "names",
    "tiers",
    "when",
    "otherwise",
    "override",
    "paid",
    "score",
    "limits",
    "schedule",
    "blackouts",
    "valid",
    "time_zone",
    "token",
    "rollout",
];

/// Everything that makes `after` another rule than `before`; empty exactly when they are the same.
#[must_use]
pub fn diff(before: &Rule, after: &Rule) -> Vec<Change> {
    if before == after {
        return Vec::new();
    }
    // Canonical forms always read back.
    let document = |rule: &Rule| Json::parse(rule.canonical()).unwrap_or(Json::Null);
    diff_documents(&document(before), &document(after))
}

/// [`diff`] of canonical rules that were parsed as JSON: what is stored of a version.
#[must_use]
pub fn diff_documents(before: &Json, after: &Json) -> Vec<Change> {
    let mut found = Changes::default();
    let mut differing: Vec<_> = differing(Some(before), Some(after)).collect();
    differing.sort_by_key(|(name, ..)| ORDER.iter().position(|known| known == name).unwrap_or(ORDER.len()));
    for (name, old, new) in differing {
        let pointer = below("", name);
        match name {
            "names" => messages::compare_names(&mut found, [pointer.clone(), pointer], "The perk", (old, new)),
            "tiers" => found.tiers(&pointer, old, new),
            "when" => found.condition(&pointer, "For every tier", old, new),
            "limits" => found.limits(&pointer, old, new),
            "schedule" => schedule::compare(&mut found, &pointer, old, new),
            "blackouts" => schedule::blackouts(&mut found, &pointer, old, new),
            "score" if old.is_some() && new.is_some() => found.members([&pointer; 2], old, new, score_sentence),
            "valid" => found.members([&pointer; 2], old, new, valid_sentence),
            "token" => found.members([&pointer; 2], old, new, token_sentence),
            "otherwise" if [old, new].into_iter().flatten().any(|side| matches!(side, Json::Object(_))) => {
                offers::compare(&mut found, &pointer, (old, new));
            }
            "override" if old.is_some() && new.is_some() => found.members([&pointer; 2], old, new, override_sentence),
            "paid" if old.is_some() && new.is_some() => found.members([&pointer; 2], old, new, paid_sentence),
            "rollout" => found.members([&pointer; 2], old, new, rollout_sentence),
            _ => {
                let sentence = rule_sentence(name, old, new).unwrap_or_else(|| plain(name, old, new));
                found.note(pointer, old, new, sentence);
            }
        }
    }
    found.0
}

/// The changes found so far.
#[derive(Default)]
struct Changes(Vec<Change>);

/// A member's old and new value.
type Sides<'a> = (Option<&'a Json>, Option<&'a Json>);

impl Changes {
    fn note(&mut self, pointer: String, before: Option<&Json>, after: Option<&Json>, sentence: String) {
        let kind = match (before, after) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Removed,
            _ => ChangeKind::Changed,
        };
        self.0.push(Change { pointer, kind, before: before.cloned(), after: after.cloned(), sentence });
    }

    /// Each differing member of an object, in the words of `say` or as it stands. The object stands at
    /// `pointers` in the old and in the new rule.
    fn members(
        &mut self,
        pointers: [&str; 2],
        before: Option<&Json>,
        after: Option<&Json>,
        say: impl Fn(&str, Option<&Json>, Option<&Json>) -> Option<String>,
    ) {
        for (name, old, new) in differing(before, after) {
            self.member(pointers, name, (old, new), &say);
        }
    }

    /// One differing member of an object, in the words of `say` or as it stands.
    fn member(
        &mut self,
        pointers: [&str; 2],
        name: &str,
        (old, new): Sides<'_>,
        say: impl Fn(&str, Option<&Json>, Option<&Json>) -> Option<String>,
    ) {
        let pointer = pointer_of(pointers, name, new);
        let label = pointer.trim_start_matches('/').replace('/', ".");
        let sentence = say(name, old, new).unwrap_or_else(|| plain(&label, old, new));
        self.note(pointer, old, new, sentence);
    }

    fn tiers(&mut self, pointer: &str, before: Option<&Json>, after: Option<&Json>) {
        for ((old, new), [was_at, is_at]) in matched(pointer, before, after) {
            let named = |tier: &Json| tier.member("name").or_else(|| tier.member("id")).map(describe::shown);
            let name = new.or(old).and_then(named).unwrap_or_default();
            let (Some(was), Some(is)) = (old, new) else {
                let audience = describe::audience(new.or(old).and_then(|tier| member(tier, "when")));
                let sentence = if new.is_some() {
                    format!("{name}: new tier, {audience}")
                } else {
                    format!("{name}: tier removed (it was {audience})")
                };
                self.note(is_at, old, new, sentence);
                continue;
            };
            for (field, old, new) in differing(Some(was), Some(is)) {
                let pointer = pointer_of([&was_at, &is_at], field, new);
                match field {
                    "when" => self.condition(&pointer, &name, old, new),
                    "names" => {
                        let at = [below(&was_at, field), below(&is_at, field)];
                        messages::compare_names(self, at, &name, (old, new));
                    }
                    "messages" => {
                        let at = [below(&was_at, field), below(&is_at, field)];
                        messages::compare(self, at, &name, (old, new));
                    }
                    _ => self.note(pointer, old, new, tier_sentence(&name, field, old, new)),
                }
            }
        }
    }

    fn condition(&mut self, pointer: &str, label: &str, before: Option<&Json>, after: Option<&Json>) {
        for word in ["all", "any"] {
            let (old, new) = (before.and_then(|it| it.member(word)), after.and_then(|it| it.member(word)));
            let (was, is) = (items(old), items(new));
            if was.is_empty() || was.len() != is.len() {
                continue;
            }
            let pointer = below(pointer, word);
            if is_reordered(was, is) {
                let sentence = format!("{label}: the same conditions in another order");
                return self.note(pointer, old, new, sentence);
            }
            for (at, (old, new)) in was.iter().zip(is).enumerate().filter(|(_, (old, new))| old != new) {
                self.condition(&below(&pointer, &at.to_string()), label, Some(old), Some(new));
            }
            return;
        }
        let said = |side: Option<&Json>| side.map_or_else(|| "everyone".to_owned(), describe::condition);
        let changed: Vec<_> = differing(before, after).collect();
        if let [("messages", was, is)] = changed.as_slice() {
            let pointer = below(pointer, "messages");
            return messages::compare(self, [pointer.clone(), pointer], label, (*was, *is));
        }
        let (old, new) = (said(before), said(after));
        let sentence = match before.zip(after).and_then(|(before, after)| list_change(before, after)) {
            Some(change) => format!("{label}: {change}"),
            // Both are cut at the same place.
            None if old == new => format!("{label}: {new} (a part that isn't shown here changed)"),
            None => format!("{label}: {old} → {new}"),
        };
        self.note(pointer.to_owned(), before, after, sentence);
    }

    fn limits(&mut self, pointer: &str, before: Option<&Json>, after: Option<&Json>) {
        for ((old, new), [was_at, is_at]) in matched(pointer, before, after) {
            let id = new.or(old).and_then(id_of).unwrap_or_default();
            match (old, new) {
                (Some(was), Some(is)) => {
                    let say = |name: &str, old: Option<&Json>, new: Option<&Json>| {
                        limit_sentence(id, is, was, name, old, new)
                    };
                    for (name, old, new) in differing(Some(was), Some(is)) {
                        if name == "max" && maxima::are_by_location((old, new)) {
                            let at = [below(&was_at, name), below(&is_at, name)];
                            let terms = describe::limit_terms(is);
                            maxima::compare(self, at, (id, &terms), (old, new));
                        } else if name == "messages" {
                            let at = [below(&was_at, name), below(&is_at, name)];
                            messages::compare(self, at, &format!("Limit {id}"), (old, new));
                        } else {
                            self.member([&was_at, &is_at], name, (old, new), say);
                        }
                    }
                }
                (_, Some(new)) => {
                    self.note(is_at, None, Some(new), format!("Limit {id}: new, {}", describe::limit(new)));
                }
                (Some(old), None) => {
                    let sentence = format!("Limit {id}: removed (it was {})", describe::limit(old));
                    self.note(was_at, Some(old), None, sentence);
                }
                (None, None) => {}
            }
        }
        let ids = |side: Option<&Json>, other: Option<&Json>| {
            let other: Vec<_> = items(other).iter().filter_map(id_of).collect();
            let kept = items(side).iter().filter_map(id_of).filter(|id| other.contains(id));
            Json::List(kept.map(Json::text).collect())
        };
        let (old, new) = (ids(before, after), ids(after, before));
        if old != new {
            self.note(pointer.to_owned(), Some(&old), Some(&new), "The limits stand in another order".to_owned());
        }
    }
}

/// The members of two objects that aren't the same, by name; null counts as left out.
fn differing<'a>(
    before: Option<&'a Json>,
    after: Option<&'a Json>,
) -> impl Iterator<Item = (&'a str, Option<&'a Json>, Option<&'a Json>)> {
    let names = |side: Option<&'a Json>| match side {
        Some(Json::Object(members)) => members.iter().map(|(name, _)| name.as_str()).collect(),
        _ => Vec::new(),
    };
    let mut all: Vec<&'a str> = names(after);
    all.extend(names(before));
    all.sort_unstable();
    all.dedup();
    let side = |side: Option<&'a Json>, name: &str| side.and_then(|side| member(side, name));
    all.into_iter().map(move |name| (name, side(before, name), side(after, name))).filter(|(_, old, new)| old != new)
}

/// Where a member stands: in the new rule, or in the old one when it was removed.
fn pointer_of([was_at, is_at]: [&str; 2], name: &str, new: Option<&Json>) -> String {
    below(if new.is_some() { is_at } else { was_at }, name)
}

/// The items of two lists that have the same id, or no match, each with its pointers in the old and
/// the new rule (the one that there is, twice): first those of `after` in their order, then what was
/// removed.
fn matched<'a>(pointer: &str, before: Option<&'a Json>, after: Option<&'a Json>) -> Vec<(Sides<'a>, [String; 2])> {
    let (old, new) = (items(before), items(after));
    let find = |list: &'a [Json], item: &Json| list.iter().position(|other| id_of(other) == id_of(item));
    let at = |at: usize| below(pointer, &at.to_string());
    let kept = new.iter().enumerate().map(|(n, item)| {
        let was = find(old, item);
        ((was.and_then(|was| old.get(was)), Some(item)), [at(was.unwrap_or(n)), at(n)])
    });
    let removed = old.iter().enumerate().filter(|(_, item)| find(new, item).is_none());
    kept.chain(removed.map(|(n, item)| ((Some(item), None), [at(n), at(n)]))).collect()
}

fn items(list: Option<&Json>) -> &[Json] {
    list.and_then(Json::as_list).unwrap_or_default()
}

fn id_of(item: &Json) -> Option<&str> {
    item.member("id").and_then(Json::as_text)
}

fn member<'a>(object: &'a Json, name: &str) -> Option<&'a Json> {
    object.member(name).filter(|value| **value != Json::Null)
}

/// Tells whether two lists that differ hold the same items.
fn is_reordered(old: &[Json], new: &[Json]) -> bool {
    let sorted = |list: &[Json]| {
        let mut forms: Vec<_> = list.iter().map(Json::canonical).collect();
        forms.sort_unstable();
        forms
    };
    sorted(old) == sorted(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOUNGE: &str = r#"{"time_zone":"America/Los_Angeles",
        "score":{"source":"klout","max_age":"P7D"},
        "schedule":{"open":[{"days":["mon"],"from":"06:00","to":"23:00"},{"days":["sun"],"from":"08:00","to":"20:00"}],
                    "closed_dates":["2026-12-25"]},
        "when":{"all":[{"attr":"context.terminal","op":"in","values":["A","G"]},{"attr":"context.party","op":"lte","value":4}]},
        "tiers":[{"id":"first","rank":2,"name":"First lounge","when":{"attr":"score","op":"gte","value":60}},
                 {"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
        "limits":[{"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}},
                  {"id":"house-day","scope":["perk"],"max":200,"cost":"party","window":{"calendar":"day"}}],
        "token":{"ttl":"PT30M"}}"#;

    /// The changes when each of `edits` is made to the rule's text.
    fn changes(edits: &[(&str, &str)]) -> Vec<Change> {
        let mut edited = LOUNGE.to_owned();
        for (from, to) in edits {
            assert!(edited.contains(from), "{from}");
            edited = edited.replacen(from, to, 1);
        }
        let rule = |text: &str| Rule::parse(&Json::parse(text).unwrap(), "sfo-lounge").unwrap();
        diff(&rule(LOUNGE), &rule(&edited))
    }

    #[track_caller]
    fn expect(edits: &[(&str, &str)], wanted: &[(&str, ChangeKind, &str)]) {
        let found = changes(edits);
        let found: Vec<_> = found.iter().map(|it| (it.pointer.as_str(), it.kind, it.sentence.as_str())).collect();
        assert_eq!(found, wanted);
    }

    use ChangeKind::{Added, Changed, Removed};

    #[test]
    fn the_same_rule_has_no_changes() {
        expect(&[(r#""token":{"ttl":"PT30M"}"#, r#""token":{"ttl":"PT1800S","single_use":true}"#)], &[]);
    }

    #[test]
    fn tiers_are_matched_by_name() {
        expect(
            &[(r#""op":"gte","value":40"#, r#""op":"gte","value":45"#)],
            &[("/tiers/1/when", Changed, "Main lounge: at least 40 → at least 45")],
        );
        expect(
            &[(r#""name":"Main lounge""#, r#""name":"Grand lounge""#)],
            &[("/tiers/1/name", Changed, "The tier Main lounge is now called Grand lounge")],
        );
        expect(
            &[(r#"{"id":"standard","rank":1"#, r#"{"id":"other","rank":3"#)],
            &[
                ("/tiers/0", Added, "Main lounge: new tier, for scores of at least 40"),
                ("/tiers/1", Removed, "Main lounge: tier removed (it was for scores of at least 40)"),
            ],
        );
        expect(
            &[(r#","when":{"attr":"score","op":"gte","value":40}"#, "")],
            &[("/tiers/1/when", Removed, "Main lounge: at least 40 → everyone")],
        );
        // Turned round, and still the same tiers.
        expect(
            &[(r#""rank":2"#, r#""rank":5"#), (r#""rank":1"#, r#""rank":9"#)],
            &[
                ("/tiers/0/rank", Changed, "Main lounge: rank 1 → 9"),
                ("/tiers/1/rank", Changed, "First lounge: rank 2 → 5"),
            ],
        );
    }

    #[test]
    fn of_a_condition_the_part_that_changed_is_named() {
        expect(
            &[(r#""op":"lte","value":4"#, r#""op":"lte","value":2"#)],
            &[("/when/all/1", Changed, "For every tier: party at most 4 → party at most 2")],
        );
        expect(
            &[(r#",{"attr":"context.party","op":"lte","value":4}"#, "")],
            &[(
                "/when",
                Changed,
                "For every tier: terminal is one of A, G and party at most 4 → terminal is one of A, G",
            )],
        );
        let many = r#"["A","G","B","C","D","E","F","H","I"]"#;
        expect(
            &[(r#"["A","G"]"#, many)],
            &[("/when/all/0", Changed, "For every tier: terminal is one of: now also B, C, D, E, F, H, I")],
        );
    }

    #[test]
    fn blackouts_are_matched_by_id() {
        let golden = r#"{"id":"golden","from":"2026-10-01T00:00","until":"2026-10-08T00:00"}"#;
        let new_year = r#"{"id":"new-year","yearly":{"from":"12-31","to":"01-01"}}"#;
        let rule = |blackouts: &str| {
            let text = format!(r#"{{"tiers":[{{"id":"t"}}],"blackouts":[{blackouts}]}}"#);
            Rule::parse(&Json::parse(&text).unwrap(), "sfo-lounge").unwrap()
        };
        let said = |before: &str, after: &str| {
            let changes = diff(&rule(before), &rule(after));
            changes.into_iter().map(|it| (it.pointer, it.kind, it.sentence)).collect::<Vec<_>>()
        };
        let one = |pointer: &str, kind, sentence: &str| vec![(pointer.to_owned(), kind, sentence.to_owned())];
        let added = "Blackout golden: new, from 2026-10-01 00:00 until 2026-10-08 00:00";
        // A member that was not there before: the whole list is not an addition of its own.
        assert_eq!(said("", golden), one("/blackouts/0", Added, added));
        let removed = "Blackout new-year: removed (it was every year from 12-31 to 01-01)";
        assert_eq!(said(&format!("{golden},{new_year}"), golden), one("/blackouts/1", Removed, removed));
        assert_eq!(
            said(new_year, &new_year.replace("12-31", "01-01")),
            one("/blackouts/0", Changed, "Blackout new-year: every year from 12-31 to 01-01 → every year on 01-01")
        );
        assert_eq!(
            said(&format!("{golden},{new_year}"), &format!("{new_year},{golden}")),
            one("/blackouts", Changed, "The same blackouts in another order")
        );
    }

    #[test]
    fn limits_scores_and_tokens_have_their_words() {
        expect(
            &[(r#""max":1,"#, r#""max":2,"#)],
            &[("/limits/0/max", Changed, "Limit person-day: 1 → 2 a day for each person")],
        );
        expect(
            &[
                (r#""max":1,"window":{"calendar":"day"}"#, r#""max":5,"window":{"calendar":"week"}"#),
                (r#""cost":"party""#, r#""cost":2"#),
            ],
            &[
                ("/limits/0/max", Changed, "Limit person-day: 1 → 5"),
                ("/limits/0/window", Changed, "Limit person-day: counted a day → a week"),
                ("/limits/1/cost", Changed, "Limit house-day: a grant counts each person of the party → 2"),
            ],
        );
        expect(
            &[("person-day", "visits")],
            &[
                ("/limits/0", Added, "Limit visits: new, 1 a day for each person"),
                ("/limits/0", Removed, "Limit person-day: removed (it was 1 a day for each person)"),
            ],
        );
        expect(&[("P7D", "P10D")], &[("/score/max_age", Changed, "Scores count for 7 days → 10 days")]);
        expect(
            &[(r#","max_age":"P7D""#, "")],
            &[("/score/max_age", Removed, "Scores count however old they are (until now for 7 days)")],
        );
        expect(&[("PT30M", "PT15M")], &[("/token/ttl", Changed, "Tokens are good for 30 minutes → 15 minutes")]);
    }

    #[test]
    fn maxima_differ_location_by_location() {
        let (plain, terms) = (r#""max":200"#, "a day for the whole perk");
        let max = |default: u32, places: &str| format!(r#""max":{{"default":{default},"by_location":{{{places}}}}}"#);
        expect(
            &[(plain, &max(200, r#""SFO-A":120,"SFO-B":200"#))],
            &[
                ("/limits/1/max/by_location/SFO-A", Added, &format!("Limit house-day: 200 → 120 at SFO-A {terms}")),
                (
                    "/limits/1/max/by_location/SFO-B",
                    Added,
                    "Limit house-day: 200 at SFO-B as before, now a number of its own",
                ),
            ],
        );
        expect(
            &[(plain, &max(250, r#""a/b":120"#))],
            &[
                ("/limits/1/max/default", Changed, &format!("Limit house-day: 200 → 250 {terms} everywhere else")),
                ("/limits/1/max/by_location/a~1b", Added, &format!("Limit house-day: 200 → 120 at a/b {terms}")),
            ],
        );
        let rule = |max: &str| {
            let text = LOUNGE.replacen(plain, max, 1);
            Rule::parse(&Json::parse(&text).unwrap(), "sfo-lounge").unwrap()
        };
        let found = diff(&rule(&max(200, r#""SFO-A":120,"SFO-B":80"#)), &rule(&max(200, r#""SFO-A":130"#)));
        let found: Vec<_> = found.into_iter().map(|it| (it.pointer, it.kind, it.sentence)).collect();
        assert_eq!(
            found,
            [
                (
                    "/limits/1/max/by_location/SFO-A".to_owned(),
                    Changed,
                    format!("Limit house-day: 120 → 130 at SFO-A {terms}")
                ),
                (
                    "/limits/1/max/by_location/SFO-B".to_owned(),
                    Removed,
                    format!("Limit house-day: 80 → 200 at SFO-B {terms}")
                ),
            ]
        );
        let found = diff(&rule(&max(200, r#""SFO-A":120"#)), &rule(r#""max":300"#));
        let pointers: Vec<_> = found.iter().map(|it| it.pointer.as_str()).collect();
        assert_eq!(pointers, ["/limits/1/max", "/limits/1/max/by_location/SFO-A"]);
    }

    #[test]
    fn offers_come_and_go_beside_the_decision() {
        let pass = r#"{"text":{"de":"Tageskarte","en":"Day pass"},"price":{"amount":"45.00","currency":"USD"},"url":"https://example.com"}"#;
        let bar = r#"{"text":{"fr":"Le bar"}}"#;
        let with = |otherwise: &str| {
            let text = LOUNGE.replacen(r#""token""#, &format!(r#""otherwise":{otherwise},"token""#), 1);
            Rule::parse(&Json::parse(&text).unwrap(), "sfo-lounge").unwrap()
        };
        let said = |before: &str, after: &str| {
            let found = diff(&with(before), &with(after));
            found.into_iter().map(|it| (it.pointer, it.kind, it.sentence)).collect::<Vec<_>>()
        };
        let day_pass = "“Day pass” for 45.00 USD (https://example.com)";
        assert_eq!(
            said("\"refer\"", &format!(r#"{{"offers":[{bar},{pass}]}}"#)),
            [
                (
                    "/otherwise".to_owned(),
                    Removed,
                    "Anyone whom no tier admits is referred to a person → refused".to_owned()
                ),
                ("/otherwise/offers/0".to_owned(), Added, "Those who are refused are now offered “Le bar”".to_owned()),
                ("/otherwise/offers/1".to_owned(), Added, format!("Those who are refused are now offered {day_pass}")),
            ]
        );
        let referred = said("\"deny\"", r#"{"decision":"refer","offers":[{"text":{"en":"Bar"}}]}"#);
        assert_eq!((referred[0].0.as_str(), referred[0].1), ("/otherwise/decision", Added));
        assert_eq!(
            said(&format!(r#"{{"offers":[{bar},{pass}]}}"#), &format!(r#"{{"offers":[{pass},{bar}]}}"#)),
            [("/otherwise/offers".to_owned(), Changed, "The same offers in another order".to_owned())]
        );
        assert_eq!(
            said(&format!(r#"{{"offers":[{pass}]}}"#), "\"deny\""),
            [(
                "/otherwise/offers/0".to_owned(),
                Removed,
                format!("Those who are refused are no longer offered {day_pass}")
            )]
        );
    }

    #[test]
    fn names_to_guests_differ_language_by_language() {
        let of = |perk: &str, tier: &str| {
            let text = format!(r#"{{"names":{perk},"tiers":[{{"id":"main","name":"Main lounge","names":{tier}}}]}}"#);
            Rule::parse(&Json::parse(&text).unwrap(), "lounge").unwrap()
        };
        let found = diff(&of(r#"{"de":"Lounge"}"#, r#"{"de":"Halle","fr":"Salon"}"#), &of("null", r#"{"de":"Saal"}"#));
        let found: Vec<_> = found.iter().map(|it| (it.pointer.as_str(), it.kind, it.sentence.as_str())).collect();
        assert_eq!(
            found,
            [
                ("/names/de", Removed, "The perk: guests no longer call it “Lounge” in de"),
                ("/tiers/0/names/de", Changed, "Main lounge: guests call it “Halle” → “Saal” in de"),
                ("/tiers/0/names/fr", Removed, "Main lounge: guests no longer call it “Salon” in fr"),
            ]
        );
    }

    #[test]
    fn words_for_guests_differ_language_by_language() {
        let limit = r#""max":1,"window":{"calendar":"day"}"#;
        let with = |messages: &str| format!(r#"{limit},"messages":{messages}"#);
        let tier = (r#""rank":1,"#, r#""rank":1,"messages":{"fr":"Membres."},"#);
        let schedule =
            (r#""closed_dates":["2026-12-25"]"#, r#""closed_dates":["2026-12-25"],"messages":{"en":"Closed."}"#);
        expect(
            &[(limit, &with(r#"{"en":"Once a day."}"#)), tier, schedule],
            &[
                ("/tiers/1/messages/fr", Added, "Main lounge: guests are now told “Membres.” in fr"),
                ("/limits/0/messages/en", Added, "Limit person-day: guests are now told “Once a day.” in en"),
                ("/schedule/messages/en", Added, "While it is closed: guests are now told “Closed.” in en"),
            ],
        );
        let rule = |messages: &str| {
            let text = LOUNGE.replacen(limit, &with(messages), 1);
            Rule::parse(&Json::parse(&text).unwrap(), "sfo-lounge").unwrap()
        };
        let long = "x".repeat(100);
        let found = diff(
            &rule(&format!(r#"{{"en":"Once.","de":"Einmal.","fr":"{long}"}}"#)),
            &rule(&format!(r#"{{"en":"Once a day.","fr":"{long}."}}"#)),
        );
        let found: Vec<_> = found.into_iter().map(|it| (it.pointer, it.kind, it.sentence)).collect();
        let cut = format!("“{}…”", &long[..60]);
        let wanted = [
            ("de", Removed, "guests are no longer told “Einmal.” in de".to_owned()),
            ("en", Changed, "guests are told “Once.” → “Once a day.” in en".to_owned()),
            ("fr", Changed, format!("guests are told {cut} in fr (a part that isn't shown here changed)")),
        ];
        let wanted = wanted.map(|(language, kind, sentence)| {
            (format!("/limits/0/messages/{language}"), kind, format!("Limit person-day: {sentence}"))
        });
        assert_eq!(found, wanted);
    }

    #[test]
    fn guests_are_said_in_words() {
        let plain = r#""rank":1,"#;
        let with = |guests: &str| format!(r#"{plain}"guests":{guests},"#);
        expect(
            &[(plain, &with(r#"{"free":1,"max":3,"under":2}"#))],
            &[(
                "/tiers/1/guests",
                Added,
                "Main lounge: any party → at most 3 guests, the first free, children under 2 not counted, larger parties \
                 are turned away",
            )],
        );
        let text = |guests: &str| LOUNGE.replacen(plain, &with(guests), 1);
        let rule = |text: &str| Rule::parse(&Json::parse(text).unwrap(), "sfo-lounge").unwrap();
        let found = diff(&rule(&text(r#"{"max":0}"#)), &rule(&text(r#"{"free":2,"max":2,"over":"admit_max"}"#)));
        let sentences: Vec<_> = found.iter().map(|it| it.sentence.as_str()).collect();
        assert_eq!(
            sentences,
            [
                "Main lounge: no guests, larger parties are turned away → at most 2 guests, free, the rest of a larger party is \
              not admitted"
            ]
        );
    }

    #[test]
    fn openings_and_closed_dates_are_sets() {
        expect(
            &[(r#"["mon"],"from":"06:00","to":"23:00""#, r#"["mon"],"from":"06:00","to":"22:00""#)],
            &[("/schedule/open/0", Changed, "Open on Mondays 06:00–23:00 → 06:00–22:00")],
        );
        expect(
            &[(r#"["sun"]"#, r#"["sat","sun"]"#), ("2026-12-25", "2026-12-26")],
            &[
                ("/schedule/closed_dates/0", Added, "Closed on 2026-12-26"),
                ("/schedule/closed_dates/0", Removed, "No longer closed on 2026-12-25"),
                ("/schedule/open/1", Changed, "Open 08:00–20:00 on Sundays → on Saturdays and Sundays"),
            ],
        );
        expect(
            &[(r#"["2026-12-25"]"#, "[]"), (r#"{"days":["mon"],"from":"06:00","to":"23:00"},"#, "")],
            &[
                ("/schedule/closed_dates/0", Removed, "No longer closed on 2026-12-25"),
                ("/schedule/open/0", Removed, "No longer open on Mondays 06:00–23:00"),
            ],
        );
        let also = |opening: &str| format!(r#"{opening},{{"days":["mon"],"from":"06:00","to":"23:00"}},"#);
        let monday = r#"{"days":["mon"],"from":"06:00","to":"23:00"},"#;
        for (days, from, to, kind, sentence) in [
            ("mon", "10:00", "12:00", Added, "Open on Mondays 10:00–12:00 as well: those hours were open already"),
            ("mon", "22:00", "24:00", Added, "Now open on Mondays 22:00–24:00 (some of those hours were open already)"),
            ("tue", "10:00", "12:00", Added, "Now open on Tuesdays 10:00–12:00"),
        ] {
            let opening = format!(r#"{{"days":["{days}"],"from":"{from}","to":"{to}"}}"#);
            expect(&[(monday, &also(&opening))], &[("/schedule/open/0", kind, sentence)]);
        }
        let turned = r#""schedule":{"open":[{"days":["sun"],"from":"08:00","to":"20:00"},{"days":["mon"],"from":"06:00","to":"23:00"}],"#;
        let as_is = LOUNGE.lines().find(|line| line.contains("schedule")).unwrap().trim();
        expect(&[(as_is, turned)], &[("/schedule/open", Changed, "The same opening hours in another order")]);
    }

    #[test]
    fn a_member_without_words_is_shown_as_it_stands() {
        let before = Json::parse(r#"{"tiers":[{"id":"t","name":"T","seats":1}],"later":{"a":1}}"#).unwrap();
        let after = Json::parse(r#"{"tiers":[{"id":"t","name":"T","seats":2}],"later":{"a":2},"new":true}"#).unwrap();
        let found: Vec<_> = diff_documents(&before, &after).into_iter().map(|it| (it.pointer, it.sentence)).collect();
        assert_eq!(
            found,
            [
                ("/tiers/0/seats".to_owned(), "T: seats 1 → 2".to_owned()),
                ("/later".to_owned(), r#"later: {"a":1} → {"a":2}"#.to_owned()),
                ("/new".to_owned(), "new: nothing → true".to_owned()),
            ]
        );
    }
}
