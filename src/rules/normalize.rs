//! A rule as a person would have written it: without what goes without saying, in the order of the docs.

use super::rule::Rule;
use crate::foundation::json::Json;

/// The order in which members are written; others follow by name.
const ORDER: &[&str] = &[
    "perk",
    "id",
    "rank",
    "name",
    "names",
    "purpose",
    "rule",
    "time_zone",
    "valid",
    "source",
    "score",
    "schedule",
    "open",
    "closed_dates",
    "blackouts",
    "days",
    "from",
    "until",
    "to",
    "yearly",
    "max_age",
    "on_missing",
    "on_stale",
    "scope",
    "free",
    "max",
    "under",
    "over",
    "default",
    "by_location",
    "cost",
    "window",
    "max_wait",
    "guests",
    "attr",
    "op",
    "ref",
    "value",
    "values",
    "before",
    "after",
    "opens_by",
    "messages",
    "when",
    "tiers",
    "otherwise",
    "override",
    "paid",
    "reasons",
    "decision",
    "offers",
    "text",
    "price",
    "amount",
    "currency",
    "url",
    "limits",
    "past_limits",
    "token",
    "audience",
    "ttl",
    "single_use",
    "online_only",
];

/// The document of `rule`, of the perk `slug`, as short as it can be: reading it gives the same rule.
#[must_use]
pub fn normalize(rule: &Rule, slug: &str) -> Json {
    // Canonical forms always read back.
    let mut whole = Json::parse(rule.canonical()).unwrap_or(Json::Null);
    order(&mut whole);
    let mut path = Vec::new();
    shorten(&mut whole, &mut path, &|candidate| is_same(candidate, rule, slug));
    whole
}

fn is_same(candidate: &Json, rule: &Rule, slug: &str) -> bool {
    Rule::stored(candidate, slug).is_ok_and(|read| read.hash() == rule.hash())
}

fn order(json: &mut Json) {
    match json {
        Json::Object(members) => {
            members
                .sort_by_key(|(name, _)| (ORDER.iter().position(|it| it == name).unwrap_or(ORDER.len()), name.clone()));
            for (_, value) in members {
                order(value);
            }
        }
        Json::List(items) => items.iter_mut().for_each(order),
        _ => {}
    }
}

/// Takes out every member below `path` without which `whole` says the same. It asks the rule's own
/// reader, so that a default that is added there is known here.
fn shorten(whole: &mut Json, path: &mut Vec<usize>, is_same: &dyn Fn(&Json) -> bool) {
    let is_object = matches!(at(whole, path), Some(Json::Object(_)));
    let mut nth = 0;
    while nth < at(whole, path).map_or(0, |json| length(json)) {
        if is_object && let Some(taken) = take(whole, path, nth) {
            if is_same(whole) {
                continue;
            }
            put_back(whole, path, nth, taken);
        }
        path.push(nth);
        shorten(whole, path, is_same);
        path.pop();
        nth += 1;
    }
}

fn length(json: &Json) -> usize {
    match json {
        Json::Object(members) => members.len(),
        Json::List(items) => items.len(),
        _ => 0,
    }
}

fn at<'a>(whole: &'a mut Json, path: &[usize]) -> Option<&'a mut Json> {
    path.iter().try_fold(whole, |json, nth| match json {
        Json::Object(members) => members.get_mut(*nth).map(|(_, value)| value),
        Json::List(items) => items.get_mut(*nth),
        _ => None,
    })
}

fn take(whole: &mut Json, path: &[usize], nth: usize) -> Option<(String, Json)> {
    match at(whole, path) {
        Some(Json::Object(members)) if nth < members.len() => Some(members.remove(nth)),
        _ => None,
    }
}

fn put_back(whole: &mut Json, path: &[usize], nth: usize, member: (String, Json)) {
    if let Some(Json::Object(members)) = at(whole, path) {
        members.insert(nth.min(members.len()), member);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        Rule::parse(&Json::parse(text).unwrap(), "sfo-lounge").unwrap()
    }

    #[track_caller]
    fn expect(text: &str, wanted: &str) {
        let rule = rule(text);
        let tidied = normalize(&rule, "sfo-lounge");
        assert_eq!(serde_json::to_string(&tidied).unwrap(), wanted);
        assert_eq!(Rule::parse(&tidied, "sfo-lounge").unwrap().hash(), rule.hash());
    }

    #[test]
    fn what_goes_without_saying_is_left_out() {
        expect(
            r#"{"at_least":40,"score":"klout"}"#,
            r#"{"score":{"source":"klout"},"tiers":[{"id":"standard","name":"Standard","when":{"attr":"score","op":"gte","value":40}}]}"#,
        );
        expect(r#"{"tiers":[{"id":"all"}]}"#, r#"{"tiers":[{"id":"all"}]}"#);
    }

    #[test]
    fn what_is_said_is_in_the_order_of_the_docs() {
        let text = r#"{"time_zone":"America/Los_Angeles","valid":{"from":"2012-05-08T00:00:00"},"score":{"source":"klout","max_age":"P7D"},"schedule":{"open":[{"days":["mon","tue"],"from":"06:00","to":"23:00"}]},"when":{"all":[{"attr":"context.terminal","op":"in","values":["A","G"]}]},"tiers":[{"id":"first","rank":2,"name":"First lounge","when":{"attr":"score","op":"gte","value":60}},{"id":"standard","rank":1,"when":{"attr":"score","op":"gte","value":40}}],"limits":[{"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}}],"token":{"audience":"gate","ttl":"PT30M"}}"#;
        expect(text, text);
    }
}
