//! A rule's parts in words that a manager can read: conditions, limits, openings, lengths of time.
//!
//! They read the canonical JSON and not the compiled rule, so that a member this file doesn't know
//! yet is still named, as it is written, instead of being left out.

use crate::foundation::json::Json;

/// The most items of a long list that are named.
pub(crate) const SHOWN: usize = 8;
/// The most characters of an unknown value that are shown.
const SHOWN_CHARS: usize = 60;

/// A condition: `score at least 40 and terminal is one of A, G`; a lone test of the score leaves
/// its subject out: `at least 40`.
#[must_use]
pub fn condition(json: &Json) -> String {
    match scored(json) {
        Some(predicate) => predicate,
        None => nested(json, false),
    }
}

/// Whom a tier is for: `for scores of at least 40`, `when terminal is A`.
#[must_use]
pub fn audience(when: Option<&Json>) -> String {
    match when {
        None => "for everyone who meets the rule's own conditions".to_owned(),
        Some(when) => match scored(when) {
            Some(predicate) => format!("for scores of {predicate}"),
            None => format!("when {}", nested(when, false)),
        },
    }
}

/// The predicate of a lone comparison of the score with a number.
fn scored(json: &Json) -> Option<String> {
    let of_score = json.member("attr").and_then(Json::as_text) == Some("score");
    let op = json.member("op").and_then(Json::as_text)?;
    (of_score && op != "exists").then(|| predicate(json, op))
}

fn nested(json: &Json, bracket: bool) -> String {
    let joined = |members: &[Json], word: &str| {
        let words: Vec<_> = members.iter().map(|member| nested(member, members.len() > 1)).collect();
        let words = words.join(word);
        if bracket && members.len() > 1 { format!("({words})") } else { words }
    };
    if let Some(members) = json.member("all").and_then(Json::as_list) {
        return joined(members, " and ");
    }
    if let Some(members) = json.member("any").and_then(Json::as_list) {
        return joined(members, " or ");
    }
    if let Some(inner) = json.member("not") {
        return format!("not ({})", nested(inner, false));
    }
    match (json.member("attr").and_then(Json::as_text), json.member("op").and_then(Json::as_text)) {
        (Some(attribute), Some("within")) => format!("the time is {}", time_window(json, subject(attribute))),
        (Some(attribute), Some(op)) => format!("{} {}", subject(attribute), predicate(json, op)),
        _ => shown(json),
    }
}

/// The guests of a tier: `at most 3 guests, the first free, children under 2 not counted, larger parties are turned
/// away`.
#[must_use]
pub fn guests(json: &Json) -> String {
    let number = |name: &str| json.member(name).map(shown).unwrap_or_default();
    let (max, free) = (number("max"), number("free"));
    let mut parts = vec![match max.as_str() {
        "0" => "no guests".to_owned(),
        "1" => "at most 1 guest".to_owned(),
        max => format!("at most {max} guests"),
    }];
    match free.as_str() {
        _ if max == "0" => {}
        "0" => parts.push("none of them free".to_owned()),
        _ if free == max => parts.push("free".to_owned()),
        "1" => parts.push("the first free".to_owned()),
        free => parts.push(format!("the first {free} free")),
    }
    if let Some(years) = json.member("under").map(shown) {
        parts.push(format!("children under {years} not counted"));
    }
    let is_cut = json.member("over").and_then(Json::as_text) == Some("admit_max");
    let over = if is_cut { "the rest of a larger party is not admitted" } else { "larger parties are turned away" };
    parts.push(over.to_owned());
    parts.join(", ")
}

/// The terms of overriding: `20 a day for the perk, to standard, for courtesy, past house-day`; of paid entry, without reasons.
#[must_use]
pub fn overrides(json: &Json) -> String {
    let named = |name: &str| json.member(name).map(names).unwrap_or_default();
    let past = match named("past_limits").as_str() {
        "none" => String::new(),
        past => format!(", past {past}"),
    };
    let reasons = json.member("reasons").map(|reasons| format!(", for {}", names(reasons))).unwrap_or_default();
    format!("{}, to {}{reasons}{past}", limit(json), named("tiers"))
}

/// The names of a list: `courtesy, irregular_operations`, or `none`.
#[must_use]
pub fn names(json: &Json) -> String {
    match json.as_list() {
        Some([]) | None => "none".to_owned(),
        Some(items) => list(items),
    }
}

/// The name of an attribute in sentences: `terminal` for `context.terminal`.
#[must_use]
pub fn subject(attribute: &str) -> &str {
    match attribute {
        "score.age" => "age of the score",
        "subject.network" => "network",
        "occupancy.percent" => "percent of the place that is taken",
        "boarding_pass.carrier" => "carrier on the boarding pass",
        "boarding_pass.flight" => "flight number on the boarding pass",
        "boarding_pass.date" => "date of the flight",
        "boarding_pass.days_from_today" => "days from today to the flight",
        "boarding_pass.from" => "airport of departure",
        "boarding_pass.to" => "airport of arrival",
        "boarding_pass.compartment" => "compartment on the boarding pass",
        "boarding_pass.seat" => "seat on the boarding pass",
        "boarding_pass.sequence" => "sequence number on the boarding pass",
        "boarding_pass.status" => "passenger status on the boarding pass",
        "boarding_pass.frequent_flyer_airline" => "frequent flyer programme on the boarding pass",
        "boarding_pass.frequent_flyer" => "frequent flyer number on the boarding pass",
        other => other.strip_prefix("context.").or_else(|| other.strip_prefix("subject.")).unwrap_or(other),
    }
}

fn predicate(leaf: &Json, op: &str) -> String {
    let operand = match (leaf.member("ref").and_then(Json::as_text), leaf.member("value")) {
        (Some(other), _) => format!("the {}", subject(other)),
        (None, Some(wanted)) => value(wanted),
        (None, None) => String::new(),
    };
    let listed = || leaf.member("values").and_then(Json::as_list).map(list).unwrap_or_default();
    let is_score = leaf.member("attr").and_then(Json::as_text) == Some("score");
    match op {
        "gte" => format!("at least {operand}"),
        "gt" => format!("above {operand}"),
        "lte" => format!("at most {operand}"),
        "lt" => format!("below {operand}"),
        "eq" if is_score => format!("exactly {operand}"),
        "eq" => format!("is {operand}"),
        "neq" if is_score => format!("other than {operand}"),
        "neq" => format!("is not {operand}"),
        "in" => format!("is one of {}", listed()),
        "not_in" => format!("is none of {}", listed()),
        "between" => match leaf.member("values").and_then(Json::as_list) {
            Some([low, high]) => format!("from {} to {}", value(low), value(high)),
            _ => shown(leaf),
        },
        "exists" => "is known".to_owned(),
        "contains" => format!("contains {operand}"),
        "starts_with" => format!("starts with {operand}"),
        other => format!("{other} {operand}"),
    }
}

/// A time window: `from 3 hours before the scheduled_departure (or the departure) until the departure`.
fn time_window(leaf: &Json, attribute: &str) -> String {
    let length = |name: &str| leaf.member(name).map(shown).filter(|length| length != "PT0S");
    let edge = |length: Option<String>, word: &str, of: String| match length {
        Some(length) => format!("{} {word} {of}", duration(&length).unwrap_or(length)),
        None => of,
    };
    let known = leaf.member("opens_by").and_then(Json::as_text);
    let opens_by = match known.map(subject) {
        Some(other) => format!("the {other} (or the {attribute} where that is not known)"),
        None => format!("the {attribute}"),
    };
    let opens = edge(length("before"), "before", opens_by);
    format!("from {opens} until {}", edge(length("after"), "after", format!("the {attribute}")))
}

/// A plain value; a text that is a duration in words.
#[must_use]
pub fn value(json: &Json) -> String {
    match json {
        Json::Text(text) => duration(text).unwrap_or_else(|| text.clone()),
        other => shown(other),
    }
}

pub(crate) fn list(items: &[Json]) -> String {
    let words = items.iter().take(SHOWN).map(value).collect::<Vec<_>>().join(", ");
    if items.len() > SHOWN { format!("{words} and {} more", items.len() - SHOWN) } else { words }
}

/// Any value as JSON, cut where it is long.
#[must_use]
pub fn shown(json: &Json) -> String {
    let text = match json {
        Json::Text(text) => text.clone(),
        other => other.canonical(),
    };
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

/// A canonical duration in words: `P7D` is `7 days`, `PT1H30M` `1 hour 30 minutes`.
#[must_use]
pub fn duration(text: &str) -> Option<String> {
    let rest = text.strip_prefix('P')?;
    let mut words = Vec::new();
    let mut digits = String::new();
    for c in rest.chars() {
        let unit = match c {
            '0'..='9' => {
                digits.push(c);
                continue;
            }
            'T' if digits.is_empty() => continue,
            'D' => "day",
            'H' => "hour",
            'M' => "minute",
            'S' => "second",
            _ => return None,
        };
        if digits.is_empty() {
            return None;
        }
        words.push(format!("{digits} {unit}{}", if digits == "1" { "" } else { "s" }));
        digits.clear();
    }
    (digits.is_empty() && !words.is_empty()).then(|| words.join(" "))
}

/// A limit: `1 a day for each person`, `200 guests a day for the whole perk`.
#[must_use]
pub fn limit(json: &Json) -> String {
    let (max, elsewhere) = json.member("max").map(maximum).unwrap_or_default();
    let guests = match json.member("cost") {
        Some(Json::Text(word)) if word == "party" => " guests",
        _ => "",
    };
    format!("{max}{guests}{elsewhere} {}", limit_terms(json))
}

/// A maximum, and those of locations behind it: `200` and ` (120 at SFO-A)`.
#[must_use]
pub fn maximum(json: &Json) -> (String, String) {
    let (Some(default), Some(Json::Object(members))) = (json.member("default"), json.member("by_location")) else {
        return (shown(json), String::new());
    };
    let named = members.iter().take(SHOWN).map(|(location, max)| format!("{} at {location}", shown(max)));
    let named = named.collect::<Vec<_>>().join(", ");
    let more = members.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (shown(default), format!(" ({named}{more})"))
}

/// A limit without its number: `a day for each person`.
#[must_use]
pub fn limit_terms(json: &Json) -> String {
    let window = json.member("window").map(window).unwrap_or_default();
    let scope = json.member("scope").and_then(Json::as_list).map(scope).unwrap_or_default();
    format!("{window} {scope}")
}

/// A window: `a day`, `in any 24 hours`, `ever`, `at a time`.
#[must_use]
pub fn window(json: &Json) -> String {
    if let Some(unit) = json.member("calendar").and_then(Json::as_text) {
        return if unit == "hour" { "an hour".to_owned() } else { format!("a {unit}") };
    }
    if let Some(length) = json.member("rolling") {
        // The canonical form of PT24H is P1D.
        let length = if length.as_text() == Some("P1D") { "24 hours".to_owned() } else { value(length) };
        return format!("in any {length}");
    }
    if let Some(concurrent) = json.member("concurrent") {
        let stay = concurrent.member("max_stay").map(|stay| format!(" (stays of at most {})", value(stay)));
        return format!("at a time{}", stay.unwrap_or_default());
    }
    if json.member("lifetime").is_some() { "ever".to_owned() } else { format!("in {}", shown(json)) }
}

/// For whom a limit counts: `for each person`, `for each location and tier`, `across all perks`.
#[must_use]
pub fn scope(parts: &[Json]) -> String {
    let names: Vec<&str> = parts.iter().filter_map(Json::as_text).collect();
    let each: Vec<&str> = names
        .iter()
        .filter(|name| !matches!(**name, "perk" | "merchant"))
        .map(|name| match *name {
            "subject" => "person",
            "boarding_pass" => "boarding pass",
            name => name.strip_prefix("context.").unwrap_or(name),
        })
        .collect();
    let across = names.contains(&"merchant") && !names.contains(&"perk");
    match (each.is_empty(), across) {
        (true, false) => "for the whole perk".to_owned(),
        (true, true) => "across all perks".to_owned(),
        (false, false) => format!("for each {}", each.join(" and ")),
        (false, true) => format!("for each {} across all perks", each.join(" and ")),
    }
}

/// An offer in the first language that it has: `“Day pass” for 45.00 USD (https://example.com)`.
#[must_use]
pub fn offer(json: &Json) -> String {
    let text = json.member("text");
    let first = text.and_then(|text| match text {
        Json::Object(members) => members.first().map(|(_, sentence)| sentence),
        _ => None,
    });
    let sentence = text.and_then(|text| text.member("en")).or(first).map(shown).unwrap_or_default();
    let part = |price: &Json, name: &str| price.member(name).map(shown).unwrap_or_default();
    let price = json.member("price").map(|price| format!(" for {} {}", part(price, "amount"), part(price, "currency")));
    let url = json.member("url").map(|url| format!(" ({})", shown(url)));
    format!("“{sentence}”{}{}", price.unwrap_or_default(), url.unwrap_or_default())
}

/// The days of an opening: `every day`, `on Mondays to Fridays`, `on Mondays and Sundays`.
#[must_use]
pub fn days(opening: &Json) -> String {
    const WEEK: [(&str, &str); 7] = [
        ("mon", "Mondays"),
        ("tue", "Tuesdays"),
        ("wed", "Wednesdays"),
        ("thu", "Thursdays"),
        ("fri", "Fridays"),
        ("sat", "Saturdays"),
        ("sun", "Sundays"),
    ];
    let named = |name: &str| {
        opening
            .member("days")
            .and_then(Json::as_list)
            .is_some_and(|days| days.iter().any(|day| day.as_text() == Some(name)))
    };
    let on: Vec<(usize, &str)> =
        WEEK.iter().enumerate().filter(|(_, (name, _))| named(name)).map(|(at, (_, word))| (at, *word)).collect();
    match on.as_slice() {
        [] => "on no day".to_owned(),
        [(_, day)] => format!("on {day}"),
        all if all.len() == WEEK.len() => "every day".to_owned(),
        [(first, from), .., (last, to)] if on.len() > 2 && last - first + 1 == on.len() => format!("on {from} to {to}"),
        [first @ .., (_, last)] => {
            let first: Vec<_> = first.iter().map(|(_, day)| *day).collect();
            format!("on {} and {last}", first.join(", "))
        }
    }
}

/// The hours of an opening: `06:00–23:00`.
#[must_use]
pub fn hours(opening: &Json) -> String {
    let time = |name: &str| opening.member(name).map(shown).unwrap_or_default();
    format!("{}–{}", time("from"), time("to"))
}

/// The times of a blackout: `from 2026-10-01 00:00 until 2026-10-08 00:00`, `every year from 12-31 to 01-01`.
#[must_use]
pub fn blackout(json: &Json) -> String {
    let side = |json: &Json, name: &str| json.member(name).map(shown).unwrap_or_default();
    let wall = |name: &str| {
        let written = side(json, name).replace('T', " ");
        written.strip_suffix(":00").map_or_else(|| written.clone(), str::to_owned)
    };
    match json.member("yearly") {
        Some(yearly) if yearly.member("from") == yearly.member("to") => format!("every year on {}", side(yearly, "to")),
        Some(yearly) => format!("every year from {} to {}", side(yearly, "from"), side(yearly, "to")),
        None => format!("from {} until {}", wall("from"), wall("until")),
    }
}

/// The treatment of people whom a rule doesn't admit by itself: `refused`, `referred to a person`.
#[must_use]
pub fn fallback(json: &Json) -> String {
    match json.as_text() {
        Some("deny") => "refused".to_owned(),
        Some("refer") => "referred to a person".to_owned(),
        Some("ignore") => "decided without it".to_owned(),
        _ => shown(json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    #[test]
    fn conditions_read_as_sentences() {
        let leaf = |attr: &str, op: &str, rest: &str| format!(r#"{{"attr":"{attr}","op":"{op}"{rest}}}"#);
        let score = leaf("score", "gte", r#","value":40"#);
        let gates = leaf("context.terminal", "in", r#","values":["A","G"]"#);
        for (text, words) in [
            (score.clone(), "at least 40"),
            (leaf("score", "between", r#","values":[40.5,60]"#), "from 40.5 to 60"),
            (leaf("score", "exists", ""), "score is known"),
            (leaf("score", "eq", r#","value":3"#), "exactly 3"),
            (leaf("score.age", "lt", r#","value":"PT1H30M""#), "age of the score below 1 hour 30 minutes"),
            (leaf("subject.network", "not_in", r#","values":["bot"]"#), "network is none of bot"),
            (leaf("context.vip", "eq", r#","value":true"#), "vip is true"),
            (leaf("context.spent", "gt", r#","ref":"context.needed""#), "spent above the needed"),
            (format!(r#"{{"all":[{score},{gates}]}}"#), "score at least 40 and terminal is one of A, G"),
            (
                format!(r#"{{"any":[{{"not":{gates}}},{{"all":[{score},{gates}]}}]}}"#),
                "not (terminal is one of A, G) or (score at least 40 and terminal is one of A, G)",
            ),
            (
                leaf("context.departure", "within", r#","before":"PT3H","after":"PT0S""#),
                "the time is from 3 hours before the departure until the departure",
            ),
            (
                leaf("context.departure", "within", r#","before":"PT0S","after":"P1D","opens_by":"context.scheduled""#),
                "the time is from the scheduled (or the departure where that is not known) until 1 day after the departure",
            ),
            (leaf("context.x", "resembles", r#","value":1"#), "x resembles 1"),
        ] {
            assert_eq!(condition(&json(&text)), words, "{text}");
        }
    }

    #[test]
    fn long_lists_and_values_are_cut() {
        let many: Vec<_> = (0..20).map(|n| n.to_string()).collect();
        let text = format!(r#"{{"attr":"context.row","op":"in","values":[{}]}}"#, many.join(","));
        assert_eq!(condition(&json(&text)), "row is one of 0, 1, 2, 3, 4, 5, 6, 7 and 12 more");
        assert_eq!(shown(&Json::text("ä".repeat(100))).chars().count(), SHOWN_CHARS + 1);
    }

    #[test]
    fn limits_and_openings_read_as_sentences() {
        let of = |scope: &str, window: &str, cost: &str| {
            limit(&json(&format!(r#"{{"max":3,"scope":{scope},"window":{window},"cost":{cost}}}"#)))
        };
        assert_eq!(of(r#"["subject"]"#, r#"{"calendar":"day"}"#, "1"), "3 a day for each person");
        assert_eq!(of(r#"["perk"]"#, r#"{"calendar":"hour"}"#, "\"party\""), "3 guests an hour for the whole perk");
        assert_eq!(
            of(r#"["subject","location","merchant"]"#, r#"{"rolling":"P1D"}"#, "1"),
            "3 in any 24 hours for each person and location across all perks"
        );
        assert_eq!(
            of(r#"["merchant"]"#, r#"{"concurrent":{"max_stay":"PT4H"}}"#, "1"),
            "3 at a time (stays of at most 4 hours) across all perks"
        );
        assert_eq!(of(r#"["subject"]"#, r#"{"lifetime":true}"#, "1"), "3 ever for each person");
        assert_eq!(of(r#"["subject"]"#, r#"{"calendar":"quarter"}"#, "1"), "3 a quarter for each person");
        let places: Vec<_> = (0..10).map(|n| format!(r#""L{n}":{n}"#)).collect();
        for (places, words) in [
            (r#""SFO-A":120,"SFO-B":80"#.to_owned(), "200 guests (120 at SFO-A, 80 at SFO-B) a year for each location"),
            (
                places.join(","),
                "200 guests (0 at L0, 1 at L1, 2 at L2, 3 at L3, 4 at L4, 5 at L5, 6 at L6, 7 at L7 and 2 more) a year \
                 for each location",
            ),
        ] {
            let max = format!(r#"{{"default":200,"by_location":{{{places}}}}}"#);
            let text = format!(r#"{{"max":{max},"scope":["location"],"window":{{"calendar":"year"}},"cost":"party"}}"#);
            assert_eq!(limit(&json(&text)), words);
        }
        for (on, words) in [
            (r#"["mon"]"#, "on Mondays"),
            (r#"["mon","tue","wed","thu","fri"]"#, "on Mondays to Fridays"),
            (r#"["sat","sun"]"#, "on Saturdays and Sundays"),
            (r#"["mon","wed","sun"]"#, "on Mondays, Wednesdays and Sundays"),
            (r#"["mon","tue","wed","thu","fri","sat","sun"]"#, "every day"),
        ] {
            assert_eq!(days(&json(&format!(r#"{{"days":{on}}}"#))), words);
        }
    }
}
