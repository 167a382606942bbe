//! A rule in sentences, as a manager reads it: part by part, from the rule itself. A member that this page doesn't know
//! yet is named as it is written, so that nothing is left out unseen.

use std::fmt::Write as _;

use super::board::tier_name;
use crate::foundation::json::Json;
use crate::rules::describe;
use crate::web::problem::sentence;

/// A part of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub heading: &'static str,
    pub sentences: Vec<String>,
}

/// The parts of a rule, by its canonical JSON.
pub(super) fn parts(rule: &Json) -> Vec<Part> {
    let all = [
        ("Who comes in", tiers(rule)),
        (
            "Besides the score",
            said(rule, "when").map(|when| vec![sentence(&describe::condition(when))]).unwrap_or_default(),
        ),
        ("Score", score(rule)),
        ("Open", open(rule)),
        ("Closed", closed(rule)),
        ("Limits", listed(rule, "limits", |limit| named(limit, &describe::limit(limit)))),
        (
            "Desk",
            said(rule, "override")
                .map(|terms| vec![format!("The desk may admit refused guests: {}.", describe::overrides(terms))])
                .unwrap_or_default(),
        ),
        ("Otherwise", otherwise(rule)),
        ("Token", token(rule)),
        ("Also", others(rule)),
    ];
    let part = |(heading, sentences): (&'static str, Vec<String>)| Part { heading, sentences };
    all.map(part).into_iter().filter(|part| !part.sentences.is_empty()).collect()
}

/// The members that the parts above read.
const KNOWN: [&str; 12] = [
    "blackouts",
    "limits",
    "otherwise",
    "override",
    "rollout",
    "schedule",
    "score",
    "tiers",
    "time_zone",
    "token",
    "valid",
    "when",
];

/// A member that says something: the canonical form writes what is left out as null.
fn said<'a>(json: &'a Json, name: &str) -> Option<&'a Json> {
    json.member(name).filter(|value| **value != Json::Null)
}

fn named(part: &Json, words: &str) -> String {
    let id = part.member("id").map(describe::shown).unwrap_or_default();
    format!("{id}: {words}.")
}

fn listed(rule: &Json, member: &str, words: impl Fn(&Json) -> String) -> Vec<String> {
    rule.member(member).and_then(Json::as_list).unwrap_or_default().iter().map(words).collect()
}

fn tiers(rule: &Json) -> Vec<String> {
    let mut tiers: Vec<&Json> = rule.member("tiers").and_then(Json::as_list).unwrap_or_default().iter().collect();
    let rank =
        |tier: &Json| tier.member("rank").map(describe::shown).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    tiers.sort_by_key(|tier| std::cmp::Reverse(rank(tier)));
    let words = |tier: &Json| {
        let mut text = format!("{}: {}", tier_name(tier), describe::audience(said(tier, "when")));
        if let Some(wait) = said(tier, "max_wait") {
            let _ = write!(text, ", waiting at most {}", describe::value(wait));
        }
        if let Some(guests) = said(tier, "guests") {
            let _ = write!(text, "; {}", describe::guests(guests));
        }
        text.push('.');
        text
    };
    tiers.into_iter().map(words).collect()
}

fn score(rule: &Json) -> Vec<String> {
    let Some(score) = said(rule, "score") else { return Vec::new() };
    let source = score.member("source").map(describe::shown).unwrap_or_default();
    let fallback = |name: &str| score.member(name).map(describe::fallback);
    let mut sentences = vec![format!("From the source {source}.")];
    if let Some(age) = score.member("max_age").filter(|age| age.as_text().is_some()) {
        let then = fallback("on_stale").unwrap_or_default();
        sentences.push(format!("At most {} old: guests with an older one are {then}.", describe::value(age)));
    }
    if let Some(then) = fallback("on_missing") {
        sentences.push(format!("Guests without one are {then}."));
    }
    sentences
}

fn open(rule: &Json) -> Vec<String> {
    let zone = rule.member("time_zone").map(describe::shown).unwrap_or_default();
    let openings = rule.member("schedule").and_then(|it| it.member("open")).and_then(Json::as_list).unwrap_or_default();
    let mut sentences: Vec<String> = openings
        .iter()
        .map(|it| format!("{}, {}.", sentence(&describe::days(it)).trim_end_matches('.'), describe::hours(it)))
        .collect();
    if openings.is_empty() {
        sentences.push("At no time: there is no opening.".to_owned());
    }
    let valid = |name: &str| {
        let side = rule.member("valid").and_then(|valid| valid.member(name)).and_then(Json::as_text)?;
        Some(side.replace('T', " "))
    };
    match (valid("from"), valid("until")) {
        (Some(from), Some(until)) => sentences.push(format!("Valid from {from} until {until}.")),
        (Some(from), None) => sentences.push(format!("Valid from {from} on.")),
        (None, Some(until)) => sentences.push(format!("Valid until {until}.")),
        (None, None) => {}
    }
    sentences.push(format!("All times are those of {zone}."));
    sentences
}

fn closed(rule: &Json) -> Vec<String> {
    let dates =
        rule.member("schedule").and_then(|it| it.member("closed_dates")).filter(|dates| dates.as_list() != Some(&[]));
    let dates = dates.map(|dates| format!("On {}.", describe::names(dates)));
    dates
        .into_iter()
        .chain(listed(rule, "blackouts", |it| format!("{}.", sentence(&describe::blackout(it)).trim_end_matches('.'))))
        .collect()
}

fn otherwise(rule: &Json) -> Vec<String> {
    let Some(otherwise) = said(rule, "otherwise") else { return Vec::new() };
    // A word, or an object with offers beside it.
    let decision = otherwise.member("decision").unwrap_or(otherwise);
    let fallback =
        decision.as_text().map(|_| format!("Guests whom no tier admits are {}.", describe::fallback(decision)));
    let offers = listed(otherwise, "offers", |it| format!("Refused guests are offered {}.", describe::offer(it)));
    fallback.into_iter().chain(offers).collect()
}

fn token(rule: &Json) -> Vec<String> {
    let Some(token) = rule.member("token") else { return Vec::new() };
    let audience = token.member("audience").map(describe::shown).unwrap_or_default();
    let life = said(token, "ttl").map(describe::value).unwrap_or_default();
    let once = if token.member("single_use") == Some(&Json::Bool(true)) { ", once only" } else { "" };
    vec![format!("Good for {life} at the door {audience}{once}.")]
}

fn others(rule: &Json) -> Vec<String> {
    let percent = rule.member("rollout").and_then(|it| it.member("percent")).map(describe::shown);
    let rollout =
        percent.filter(|percent| percent != "100").map(|percent| format!("Rolled out to {percent} percent of people."));
    let Json::Object(members) = rule else { return Vec::new() };
    let unknown = members.iter().filter(|(name, value)| !KNOWN.contains(&name.as_ref()) && *value != Json::Null);
    rollout.into_iter().chain(unknown.map(|(name, value)| format!("{name}: {}", describe::shown(value)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::Rule;

    #[test]
    fn a_rule_reads_as_a_manager_would_say_it() {
        let text = r#"{"time_zone":"America/Los_Angeles","score":{"source":"klout","max_age":"P7D","on_missing":"refer"},
            "schedule":{"open":[{"days":["mon","tue","wed","thu","fri"],"from":"06:00","to":"23:30"}],"closed_dates":["2026-12-25"]},
            "when":{"attr":"context.terminal","op":"in","values":["A","G"]},
            "tiers":[{"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}},
                     {"id":"first","rank":2,"name":"First lounge","when":{"attr":"score","op":"gte","value":60}}],
            "limits":[{"id":"house-day","scope":["perk"],"max":200,"cost":"party","window":{"calendar":"day"}}],
            "token":{"audience":"sfo-lounge","ttl":"PT30M","single_use":true}}"#;
        let rule = Rule::parse(&Json::parse(text).unwrap(), "sfo-lounge").unwrap();
        let parts = parts(&Json::parse(rule.canonical()).unwrap());
        let text: Vec<String> =
            parts.iter().map(|part| format!("{}: {}", part.heading, part.sentences.join(" "))).collect();
        insta::assert_snapshot!(text.join("\n"), @"
        Who comes in: First lounge: for scores of at least 60. Main lounge: for scores of at least 40.
        Besides the score: Terminal is one of A, G.
        Score: From the source klout. At most 7 days old: guests with an older one are refused. Guests without one are referred to a person.
        Open: On Mondays to Fridays, 06:00–23:30. All times are those of America/Los_Angeles.
        Closed: On 2026-12-25.
        Limits: house-day: 200 guests a day for the whole perk.
        Token: Good for 30 minutes at the door sfo-lounge, once only.
        ");
    }
}
