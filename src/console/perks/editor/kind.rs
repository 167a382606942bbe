//! The kinds of fields: the text that a field shows of its part of the document, and the part that a text becomes.

use super::document::{at, items, set, text};
use super::period;
use crate::foundation::decimal::Decimal;
use crate::foundation::json::Json;
use crate::foundation::language;

pub(super) const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The kind of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A number; anything else remains text.
    Number,
    /// A text or a number without which what holds it is not there either.
    Holder,
    HolderNumber,
    /// True or false.
    Flag,
    /// A length of time, which is there or not: clearing it takes it away.
    Period,
    /// A time of day.
    Clock,
    /// A day of each year.
    YearDay,
    /// Texts, one to a line.
    Lines,
    /// Names with commas between them.
    Names,
    /// Days of the week.
    Days,
    /// Sentences by language, one to a line: `en: The lounge is full`.
    Messages,
    /// The kind of a limit's window.
    Window,
    /// The comparison of a condition.
    Op,
    /// The value or values of a condition, by its comparison.
    Operand,
    /// The least score of a tier, in a condition that is there.
    Threshold,
    /// The same where the tier has no condition.
    NewThreshold,
}

/// The comparisons that hold several values against one.
pub(super) fn is_listed(op: &str) -> bool {
    matches!(op, "in" | "not_in" | "between")
}

/// The pointer of what holds a field's part, such as a condition.
fn holder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(leaf, _)| leaf)
}

impl Kind {
    /// The text of the field `name`.
    pub(super) fn shown(self, doc: &Json, name: &str) -> String {
        if self == Self::Operand {
            return operand_text(doc, holder_of(name));
        }
        let Some(value) = at(doc, name) else { return String::new() };
        match self {
            Self::Period => period::words(value),
            Self::Lines | Self::Days => listed(value, if self == Self::Days { " " } else { "\n" }),
            Self::Names => listed(value, ", "),
            Self::Messages => match value {
                Json::Object(members) => {
                    let line = |(tag, text): &(String, Json)| format!("{tag}: {}", plain(text));
                    members.iter().map(line).collect::<Vec<_>>().join("\n")
                }
                other => plain(other),
            },
            Self::Window => window_name(value).to_owned(),
            _ => plain(value),
        }
    }

    /// Puts what was typed into the document, at the place of the field `name`.
    pub(super) fn take(self, doc: &mut Json, name: &str, typed: &str) {
        let trimmed = typed.trim();
        let or_none = |value: Json| (!trimmed.is_empty()).then_some(value);
        let value = match self {
            Self::Holder | Self::HolderNumber if trimmed.is_empty() => return set(doc, holder_of(name), None),
            Self::Text | Self::Holder => or_none(Json::text(trimmed)),
            Self::Number | Self::HolderNumber => or_none(number_or_text(trimmed)),
            Self::Flag => match trimmed {
                "true" | "false" => Some(Json::Bool(trimmed == "true")),
                _ => or_none(Json::text(trimmed)),
            },
            Self::Period if trimmed.is_empty() && is_needed(name) => Some(Json::text("")),
            Self::Period => or_none(Json::text(period::written(trimmed))),
            Self::Clock => or_none(Json::text(clock(trimmed))),
            Self::YearDay => or_none(Json::text(trimmed.trim_start_matches("--"))),
            Self::Lines => or_none(texts(trimmed.lines())),
            Self::Names => or_none(texts(trimmed.split(','))),
            Self::Days => Some(texts(trimmed.split(' '))),
            Self::Messages => or_none(messages(trimmed)),
            Self::Window => return set_window(doc, name, trimmed),
            Self::Op => return set_op(doc, holder_of(name), trimmed),
            Self::Operand => return set_operand(doc, holder_of(name), typed),
            Self::Threshold => Some(number_or_text(trimmed)),
            Self::NewThreshold => or_none(Json::object([
                ("attr", Json::text("score")),
                ("op", Json::text("gte")),
                ("value", number_or_text(trimmed)),
            ])),
        };
        set(doc, name, value);
    }
}

/// Lengths that their surroundings can't be without.
fn is_needed(name: &str) -> bool {
    name.ends_with("/rolling") || name.ends_with("/max_stay")
}

fn plain(json: &Json) -> String {
    match json {
        Json::Text(text) => text.clone(),
        other => other.canonical(),
    }
}

fn listed(json: &Json, between: &str) -> String {
    match json {
        Json::List(items) => items.iter().map(plain).collect::<Vec<_>>().join(between),
        other => plain(other),
    }
}

fn texts<'a>(parts: impl Iterator<Item = &'a str>) -> Json {
    Json::List(parts.map(str::trim).filter(|part| !part.is_empty()).map(Json::text).collect())
}

fn number_or_text(typed: &str) -> Json {
    Decimal::typed(typed).map_or_else(|_| Json::text(typed), Json::Number)
}

/// `6:00` as rules write it.
fn clock(typed: &str) -> String {
    let is_short = typed.len() == 4 && typed.as_bytes().get(1) == Some(&b':');
    if is_short { format!("0{typed}") } else { typed.to_owned() }
}

/// Sentences by language. A line without a language is English; lines of which two would be in one language remain a text.
pub(in crate::console::perks) fn messages(typed: &str) -> Json {
    let mut members: Vec<(String, Json)> = Vec::new();
    for line in typed.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let parts = line.split_once(':').filter(|(tag, _)| language::tag(tag.trim()).is_some());
        let (tag, sentence) = parts.unwrap_or(("en", line));
        let (tag, sentence) = (tag.trim(), sentence.trim());
        if members.iter().any(|(other, _)| other == tag) {
            return Json::text(typed);
        }
        members.push((tag.to_owned(), Json::text(sentence)));
    }
    Json::Object(members)
}

fn window_name(window: &Json) -> &str {
    let unit = window.member("calendar").and_then(Json::as_text);
    let has = |name: &str| window.member(name).is_some();
    match unit {
        Some(unit) => unit,
        None if has("rolling") => "rolling",
        None if has("concurrent") => "concurrent",
        None if has("lifetime") => "lifetime",
        None => "",
    }
}

/// Another kind of window. Its length, where it has one, is asked for next.
fn set_window(doc: &mut Json, name: &str, typed: &str) {
    let window = match typed {
        "rolling" => Json::object([("rolling", Json::text(""))]),
        "concurrent" => Json::object([("concurrent", Json::object([("max_stay", Json::text(""))]))]),
        "lifetime" => Json::object([("lifetime", Json::Bool(true))]),
        unit => Json::object([("calendar", Json::text(unit))]),
    };
    set(doc, name, Some(window));
}

/// Another comparison, with what it holds against as far as that fits.
fn set_op(doc: &mut Json, leaf: &str, op: &str) {
    let values = held_against(doc, leaf);
    set(doc, &format!("{leaf}/op"), Some(Json::text(op)));
    put_operand(doc, leaf, values);
}

/// The values that a condition holds against, whether one or several.
fn held_against(doc: &Json, leaf: &str) -> Vec<Json> {
    match at(doc, &format!("{leaf}/value")) {
        Some(value) => vec![value.clone()],
        None => items(doc, &format!("{leaf}/values")).to_vec(),
    }
}

fn put_operand(doc: &mut Json, leaf: &str, values: Vec<Json>) {
    let op = text(doc, &format!("{leaf}/op")).unwrap_or_default().to_owned();
    let (one, several) = (format!("{leaf}/value"), format!("{leaf}/values"));
    set(doc, &one, None);
    set(doc, &several, None);
    if is_listed(&op) {
        set(doc, &several, Some(Json::List(values)));
    } else if op != "exists"
        && let Some(value) = values.into_iter().next()
    {
        set(doc, &one, Some(value));
    }
}

fn operand_text(doc: &Json, leaf: &str) -> String {
    let attribute = text(doc, &format!("{leaf}/attr")).unwrap_or_default();
    let values = held_against(doc, leaf);
    values.iter().map(|value| scalar_text(attribute, value)).collect::<Vec<_>>().join("\n")
}

fn set_operand(doc: &mut Json, leaf: &str, typed: &str) {
    let attribute = text(doc, &format!("{leaf}/attr")).unwrap_or_default().to_owned();
    let lines = typed.lines().map(str::trim).filter(|line| !line.is_empty());
    let values = lines.map(|line| scalar(&attribute, line)).collect();
    put_operand(doc, leaf, values);
}

/// How the values of an attribute are written.
#[derive(PartialEq, Eq)]
enum Values {
    Numbers,
    Periods,
    Texts,
    /// Any type, as YAML has it: with quotation marks around a text that would be something else.
    Any,
}

fn values_of(attribute: &str) -> Values {
    match attribute {
        "score" | "context.party" | "occupancy.percent" | "boarding_pass.days_from_today" => Values::Numbers,
        "score.age" => Values::Periods,
        "subject.network" => Values::Texts,
        pass if pass.starts_with("boarding_pass.") => Values::Texts,
        _ => Values::Any,
    }
}

fn scalar(attribute: &str, typed: &str) -> Json {
    match values_of(attribute) {
        Values::Numbers => number_or_text(typed),
        Values::Periods => Json::text(period::written(typed)),
        Values::Texts => Json::text(typed),
        Values::Any => any_scalar(typed),
    }
}

fn any_scalar(typed: &str) -> Json {
    match typed {
        "true" | "false" => Json::Bool(typed == "true"),
        quoted if quoted.starts_with('"') => match Json::parse(quoted) {
            Ok(text @ Json::Text(_)) => text,
            _ => Json::text(typed),
        },
        _ => typed.parse::<Decimal>().map_or_else(|_| Json::text(typed), Json::Number),
    }
}

fn scalar_text(attribute: &str, value: &Json) -> String {
    match (values_of(attribute), value) {
        (Values::Periods, value) => period::words(value),
        (Values::Any, Json::Text(text)) if any_scalar(text.trim()) != *value => value.canonical(),
        (_, value) => plain(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(attr: &str, op: &str, rest: &str) -> Json {
        Json::parse(&format!(r#"{{"when":{{"attr":"{attr}","op":"{op}"{rest}}}}}"#)).unwrap()
    }

    #[test]
    fn what_a_condition_holds_against_keeps_its_type() {
        let mut doc = leaf("context.card", "in", r#","values":["5",5,true,"gold","true"," a"]"#);
        let shown = Kind::Operand.shown(&doc, "/when/values");
        assert_eq!(shown, "\"5\"\n5\ntrue\ngold\n\"true\"\n\" a\"");
        let before = doc.clone();
        Kind::Operand.take(&mut doc, "/when/values", &shown);
        assert_eq!(doc.canonical(), before.canonical());
        Kind::Op.take(&mut doc, "/when/op", "eq");
        assert_eq!(doc.canonical(), r#"{"when":{"attr":"context.card","op":"eq","value":"5"}}"#);
        Kind::Operand.take(&mut doc, "/when/values", "silver");
        assert_eq!(text(&doc, "/when/value"), Some("silver"));
        Kind::Op.take(&mut doc, "/when/op", "exists");
        assert_eq!(doc.canonical(), r#"{"when":{"attr":"context.card","op":"exists"}}"#);
        let mut flight = leaf("boarding_pass.flight", "eq", "");
        Kind::Operand.take(&mut flight, "/when/value", "870");
        assert_eq!(text(&flight, "/when/value"), Some("870"), "a flight number is a text");
    }

    #[test]
    fn what_is_nothing_yet_remains_as_it_was_typed() {
        let mut doc = Json::Object(Vec::new());
        Kind::Number.take(&mut doc, "/rank", "first");
        Kind::Period.take(&mut doc, "/token/ttl", "half an hour");
        Kind::Messages.take(&mut doc, "/messages", "Closed: at night\nzh-Hant: 滿");
        Kind::Clock.take(&mut doc, "/from", "6:00");
        Kind::Window.take(&mut doc, "/window", "rolling");
        let expected = concat!(
            r#"{"from":"06:00","messages":{"en":"Closed: at night","zh-Hant":"滿"},"rank":"first","#,
            r#""token":{"ttl":"half an hour"},"window":{"rolling":""}}"#
        );
        assert_eq!(doc.canonical(), expected);
        Kind::Messages.take(&mut doc, "/messages", "en: One.\nTwo.");
        assert_eq!(Kind::Messages.shown(&doc, "/messages"), "en: One.\nTwo.");
        Kind::Number.take(&mut doc, "/rank", " ");
        assert_eq!(at(&doc, "/rank"), None);
    }
}
