//! The differences of random rules, held against a naive comparison of their canonical documents.

use std::collections::BTreeSet;

use perkgate::foundation::json::Json;
use perkgate::rules::diff::{Change, ChangeKind, diff};
use perkgate::rules::rule::Rule;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::oracle::generate;

/// A rule with every member, to be edited at random spots.
const FULL: &str = r#"{"time_zone":"America/Los_Angeles","valid":{"from":"2012-05-08T00:00","until":"2030-01-01T00:00"},
    "score":{"source":"klout","max_age":"P7D"},
    "schedule":{"open":[{"days":["mon","tue"],"from":"06:00","to":"23:00"},{"days":["sun"],"from":"08:00","to":"20:00"}],
                "closed_dates":["2026-12-25","2026-12-26"]},
    "blackouts":[{"id":"a","from":"2026-10-01T00:00","until":"2026-10-08T00:00"},{"id":"b","yearly":{"from":"12-31","to":"01-01"}}],
    "when":{"all":[{"attr":"context.terminal","op":"in","values":["A","G"]},
                   {"any":[{"attr":"context.party","op":"lte","value":4},{"attr":"subject.network","op":"eq","value":"cx"}]}]},
    "tiers":[{"id":"a","rank":2,"name":"First","when":{"attr":"score","op":"gte","value":60}},
             {"id":"b","rank":1,"name":"Main","when":{"not":{"attr":"score","op":"lt","value":40}}}],
    "limits":[{"id":"x","scope":["subject"],"max":1,"window":{"calendar":"day"}},
              {"id":"y","scope":["perk"],"max":20,"cost":"party","window":{"calendar":"week"}}],
    "token":{"audience":"door","ttl":"PT30M","single_use":true}}"#;

#[derive(Debug, Clone)]
enum Edit {
    Put(Json),
    Drop,
    Double,
    Reverse,
}

fn edit() -> impl Strategy<Value = Edit> {
    let values = [
        "1",
        "2",
        "3",
        "41.5",
        "true",
        "false",
        "null",
        "\"a\"",
        "\"x\"",
        "\"P1D\"",
        "\"PT2H\"",
        "\"05:00\"",
        "\"21:00\"",
        "\"mon\"",
        "\"week\"",
        "\"UTC\"",
        "\"gte\"",
        "\"lte\"",
        "\"2026-12-24\"",
        "\"2026-12-24T00:00\"",
        "[\"sat\"]",
        "[\"tier\",\"subject\"]",
        r#"{"lifetime":true}"#,
        r#"{"attr":"score","op":"gt","value":7}"#,
        r#"{"all":[{"attr":"score","op":"gt","value":7}]}"#,
    ];
    let values: Vec<Json> = values.iter().map(|text| Json::parse(text).unwrap()).collect();
    prop_oneof![6 => select(values).prop_map(Edit::Put), 1 => Just(Edit::Drop), 1 => Just(Edit::Double), 1 => Just(Edit::Reverse)]
}

/// How many values stand in `json`, itself among them.
fn count(json: &Json) -> usize {
    1 + match json {
        Json::List(items) => items.iter().map(count).sum(),
        Json::Object(members) => members.iter().map(|(_, value)| count(value)).sum(),
        _ => 0,
    }
}

/// `json` with `edit` made at its `at`-th value, depth first.
fn edited(json: &Json, at: &mut usize, edit: &Edit) -> Vec<Json> {
    let here = *at == 0;
    *at = at.wrapping_sub(1);
    if here {
        return match edit {
            Edit::Put(value) => vec![value.clone()],
            Edit::Drop => Vec::new(),
            Edit::Double => vec![json.clone(), json.clone()],
            Edit::Reverse => match json {
                Json::List(items) => vec![Json::List(items.iter().rev().cloned().collect())],
                other => vec![other.clone()],
            },
        };
    }
    vec![match json {
        Json::List(items) => Json::List(items.iter().flat_map(|item| edited(item, at, edit)).collect()),
        Json::Object(members) => Json::Object(
            members
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), edited(value, at, edit).into_iter().next()?)))
                .collect(),
        ),
        other => other.clone(),
    }]
}

/// The document with tiers and limits keyed by id, openings and dates by what they say, as pairs of
/// a path and a plain value; what a change at a path covers is all that begins with it.
fn leaves(json: &Json, path: &str, into: &mut BTreeSet<(String, String)>) {
    let keyed = |name: &str, value: &Json, at: usize| match name {
        "/tiers" | "/limits" | "/blackouts" => value.member("id").unwrap().canonical(),
        "/schedule/open" | "/schedule/closed_dates" => value.canonical(),
        _ => at.to_string(),
    };
    match json {
        Json::Object(members) => {
            for (name, value) in members {
                leaves(value, &format!("{path}/{name}"), into);
            }
        }
        Json::List(items) => {
            for (at, item) in items.iter().enumerate() {
                leaves(item, &format!("{path}/{}", keyed(path, item, at)), into);
            }
        }
        plain => {
            into.insert((path.to_owned(), plain.canonical()));
        }
    }
}

fn at<'a>(json: &'a Json, pointer: &str) -> Option<&'a Json> {
    pointer.split('/').skip(1).try_fold(json, |json, step| match json {
        Json::List(items) => items.get(step.parse::<usize>().ok()?),
        other => other.member(step),
    })
}

/// The path of `leaves` for a pointer into `json`.
fn path_of(json: &Json, pointer: &str) -> String {
    let steps: Vec<_> = pointer.split('/').skip(1).collect();
    let mut path = String::new();
    let mut here = json;
    for step in steps {
        let (key, next) = match here {
            Json::List(items) => {
                let item = &items[step.parse::<usize>().unwrap()];
                let key = match path.as_str() {
                    "/tiers" | "/limits" | "/blackouts" => item.member("id").unwrap().canonical(),
                    "/schedule/open" | "/schedule/closed_dates" => item.canonical(),
                    _ => step.to_owned(),
                };
                (key, item)
            }
            other => (step.to_owned(), other.member(step).unwrap()),
        };
        path = format!("{path}/{key}");
        here = next;
    }
    path
}

/// A pointer leads to what the change says, in the document that it points into.
fn spot(change: &Change, before: &Json, after: &Json) -> Vec<String> {
    let (document, value) = match change.kind {
        ChangeKind::Removed => (before, &change.before),
        ChangeKind::Added | ChangeKind::Changed => (after, &change.after),
    };
    // The orders of limits are told by their ids.
    if change.pointer != "/limits" || document.member("limits").is_none() {
        assert_eq!(at(document, &change.pointer), value.as_ref(), "{change:?}");
    }
    let mut covered = vec![path_of(document, &change.pointer)];
    // An opening that changed stands in both documents, under two names.
    if change.pointer.starts_with("/schedule/open/") && change.kind == ChangeKind::Changed {
        covered.push(format!("/schedule/open/{}", change.before.as_ref().unwrap().canonical()));
    }
    covered
}

fn check(before: &Rule, after: &Rule) {
    let changes = diff(before, after);
    assert_eq!(
        changes.is_empty(),
        before.canonical() == after.canonical(),
        "{} {}",
        before.canonical(),
        after.canonical()
    );
    let (old, new) = (Json::parse(before.canonical()).unwrap(), Json::parse(after.canonical()).unwrap());
    let covered: Vec<_> = changes.iter().flat_map(|change| spot(change, &old, &new)).collect();
    let (mut was, mut is) = (BTreeSet::new(), BTreeSet::new());
    leaves(&old, "", &mut was);
    leaves(&new, "", &mut is);
    for (path, value) in was.symmetric_difference(&is) {
        let under = |spot: &String| path == spot || path.starts_with(&format!("{spot}/"));
        assert!(covered.iter().any(under), "{path} = {value} isn't covered by {changes:#?}");
    }
    for change in &changes {
        assert_ne!(change.before, change.after, "{change:?}");
        let said = change.sentence.split_once(": ").map_or(change.sentence.as_str(), |(_, said)| said);
        assert!(said.split_once(" → ").is_none_or(|(old, new)| old != new), "{change:?}");
    }
}

fn parsed(json: &Json) -> Option<Rule> {
    Rule::parse(json, "door").ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn two_random_rules_differ_where_the_changes_say(before in generate::rule(), after in generate::rule()) {
        let rule = |text: &str| parsed(&Json::parse(text).unwrap()).unwrap();
        check(&rule(&before), &rule(&after));
        check(&rule(&before), &rule(&before));
    }

    #[test]
    fn every_edit_of_a_rule_is_a_change(edits in prop::collection::vec((any::<Index>(), edit()), 1..4)) {
        let full = Json::parse(FULL).unwrap();
        let mut document = full.clone();
        for (place, edit) in &edits {
            let next = edited(&document, &mut place.index(count(&document)), edit).into_iter().next();
            if let Some(next) = next.filter(|next| parsed(next).is_some()) {
                document = next;
            }
        }
        let (before, after) = (parsed(&full).unwrap(), parsed(&document).unwrap());
        check(&before, &after);
        check(&after, &before);
    }
}

/// Without this the edits could all be refused, and the property hold of nothing.
#[test]
fn most_members_are_reached_by_an_edit() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let edits = (any::<Index>(), edit());
    let full = Json::parse(FULL).unwrap();
    let mut seen = BTreeSet::new();
    for _ in 0..4000 {
        let (place, edit) = edits.new_tree(&mut runner).unwrap().current();
        let next = edited(&full, &mut place.index(count(&full)), &edit).into_iter().next();
        let Some(rule) = next.as_ref().and_then(parsed) else { continue };
        for change in diff(&parsed(&full).unwrap(), &rule) {
            seen.insert(change.pointer.split('/').nth(1).unwrap().to_owned());
        }
    }
    let wanted = ["blackouts", "limits", "schedule", "score", "tiers", "time_zone", "token", "valid", "when"];
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), wanted);
}
