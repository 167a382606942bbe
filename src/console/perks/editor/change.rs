//! The fields that a form was sent with, and its button, which may add a part or take one away.

use std::collections::BTreeMap;

use super::document::{at, items, push, set, text};
use super::kind::Kind;
use super::layout::{Field, Section};
use crate::foundation::json::Json;

/// Puts the fields that differ from what the form showed into the document: the others change nothing, whatever stands there.
pub(super) fn take(doc: &mut Json, sections: &[Section], sent: &BTreeMap<String, String>) {
    let mut cleared = Vec::new();
    for field in sections.iter().flat_map(Section::fields) {
        let Some(typed) = typed(field, sent) else { continue };
        let is_same = |a: &str, b: &str| {
            // A browser has its own ends of lines, and takes them out of what is one line.
            let whole = |text: &str| text.replace("\r\n", "\n");
            let joined = |text: &str| text.replace(['\r', '\n'], "");
            if field.is_area() { whole(a) == whole(b) } else { joined(a) == joined(b) }
        };
        if is_same(&typed, &field.value) {
            continue;
        }
        if field.kind == Kind::Threshold && typed.trim().is_empty() {
            cleared.extend(field.name.rsplit_once('/').map(|(condition, _)| condition));
        } else {
            field.kind.take(doc, &field.name, &typed.replace("\r\n", "\n"));
        }
    }
    // At last, from behind: what is taken out of a list moves what stands after it.
    for condition in cleared.into_iter().rev() {
        remove(doc, condition);
    }
}

/// The text of a field as it was sent; none where it wasn't.
fn typed(field: &Field, sent: &BTreeMap<String, String>) -> Option<String> {
    let text = sent.get(&field.name)?;
    if field.kind != Kind::Days {
        return Some(text.clone());
    }
    let days = field.days().into_iter().zip(super::kind::WEEK);
    let chosen = days.filter(|((name, ..), _)| sent.contains_key(name)).map(|(_, day)| day);
    Some(chosen.collect::<Vec<_>>().join(" "))
}

/// Does what a button says; tells whether there is such a button.
pub(super) fn press(doc: &mut Json, button: &str) -> bool {
    if let Some(pointer) = button.strip_prefix("remove:") {
        remove(doc, pointer);
        return true;
    }
    if let Some(pointer) = button.strip_prefix("add:condition:") {
        add_condition(doc, pointer, Json::object([("attr", Json::text("")), ("op", Json::text("eq"))]));
        return true;
    }
    if let Some(pointer) = button.strip_prefix("add:window:") {
        let window = [
            ("attr", Json::text("context.departure")),
            ("op", Json::text("within")),
            ("before", Json::text("PT3H")),
            ("after", Json::text("PT0S")),
        ];
        add_condition(doc, pointer, Json::object(window));
        return true;
    }
    let Some(part) = button.strip_prefix("add:") else { return false };
    let member = |text: &str| Json::text(text);
    match part {
        "tier" => {
            // Below the others: nobody moves up by it.
            let ranks = items(doc, "/tiers").iter().filter_map(|tier| tier.member("rank")?.as_whole());
            let rank = ranks.min().map_or(1, |lowest| (lowest - 1).max(1));
            let id = free(doc, "/tiers", "tier");
            push(doc, "/tiers", Json::object([("id", member(&id)), ("rank", Json::whole(rank))]));
        }
        "limit" => {
            let id = free(doc, "/limits", "limit");
            let window = Json::object([("calendar", member("day"))]);
            let scope = Json::List(vec![member("subject")]);
            push(
                doc,
                "/limits",
                Json::object([("id", member(&id)), ("scope", scope), ("max", member("")), ("window", window)]),
            );
        }
        "opening" => {
            let days = Json::List(super::kind::WEEK.map(Json::text).to_vec());
            push(
                doc,
                "/schedule/open",
                Json::object([("days", days), ("from", member("09:00")), ("to", member("17:00"))]),
            );
        }
        "blackout" => {
            let id = free(doc, "/blackouts", "closed");
            push(doc, "/blackouts", Json::object([("id", member(&id)), ("from", member("")), ("until", member(""))]));
        }
        "yearly" => {
            let id = free(doc, "/blackouts", "yearly");
            let yearly = Json::object([("from", member("")), ("to", member(""))]);
            push(doc, "/blackouts", Json::object([("id", member(&id)), ("yearly", yearly)]));
        }
        "offer" => {
            if let Some(decision) = at(doc, "/otherwise").filter(|it| it.as_text().is_some()).cloned() {
                set(doc, "/otherwise", Some(Json::object([("decision", decision)])));
            }
            push(doc, "/otherwise/offers", Json::object([("text", Json::object([("en", member(""))]))]));
        }
        "override" | "paid" => {
            let window = Json::object([("calendar", member("day"))]);
            let mut terms = vec![("max", member("")), ("window", window)];
            if part == "override" {
                terms.push(("reasons", Json::List(vec![member("courtesy")])));
            }
            set(doc, &format!("/{part}"), Some(Json::object(terms)));
        }
        _ => return false,
    }
    true
}

/// A short name that nothing in the list has yet.
fn free(doc: &Json, list: &str, name: &str) -> String {
    let taken = |id: &str| items(doc, list).iter().any(|it| it.member("id").and_then(Json::as_text) == Some(id));
    let mut numbered = (1..=items(doc, list).len() + 1).map(|nth| format!("{name}-{nth}"));
    numbered.find(|id| !taken(id)).unwrap_or_else(|| name.to_owned())
}

/// Asks for one thing more.
fn add_condition(doc: &mut Json, pointer: &str, leaf: Json) {
    let all = format!("{pointer}/all");
    if at(doc, &all).is_some() {
        push(doc, &all, leaf);
        return;
    }
    let condition = match at(doc, pointer).cloned() {
        None => leaf,
        Some(before) => Json::object([("all", Json::List(vec![before, leaf]))]),
    };
    set(doc, pointer, Some(condition));
}

fn remove(doc: &mut Json, pointer: &str) {
    set(doc, pointer, None);
    // Conditions that all of must hold, of which none is left.
    if let Some((holder, _)) = pointer.rsplit_once('/')
        && let Some(condition) = holder.strip_suffix("/all")
        && items(doc, holder).is_empty()
    {
        set(doc, condition, None);
    }
    if pointer.starts_with("/otherwise/offers/") && items(doc, "/otherwise/offers").is_empty() {
        let decision = text(doc, "/otherwise/decision").map(Json::text);
        set(doc, "/otherwise", decision);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sections::sections;
    use super::*;
    use crate::rules::rule::Rule;

    const RULE: &str = r#"{"names":{"zh-Hant":"貴賓室"},"time_zone":"America/Los_Angeles","score":{"source":"klout","max_age":"P7D"},
        "schedule":{"open":[{"days":["mon","tue"],"from":"06:00","to":"23:00"}],"closed_dates":["2026-12-25"],"messages":{"en":"At six."}},
        "blackouts":[{"id":"a","from":"2026-10-01T00:00","until":"2026-10-08T00:00"},{"id":"b","yearly":{"from":"12-31","to":"01-01"}}],
        "when":{"all":[{"attr":"context.terminal","op":"in","values":["A","5"]},
            {"attr":"context.departure","op":"within","before":"PT3H","after":"PT0S","messages":{"en":"Later."}},
            {"any":[{"attr":"context.party","op":"lte","value":4},{"attr":"subject.network","op":"eq","value":"cx"}]}]},
        "tiers":[{"id":"a","rank":2,"name":"First","names":{"de":"Erste"},"guests":{"max":3,"free":1},"when":{"all":[{"attr":"score","op":"gte","value":60},
                {"attr":"context.gold","op":"eq","value":true}]}},
            {"id":"b","rank":1,"when":{"not":{"attr":"score","op":"lt","value":40}}}],
        "limits":[{"id":"x","scope":["subject"],"max":{"default":1,"by_location":{"SFO":2}},"window":{"rolling":"P1D"}}],
        "otherwise":{"decision":"refer","offers":[{"text":{"en":"A pass"},"price":{"amount":"45.00","currency":"USD"}}]},
        "override":{"reasons":["courtesy"],"max":20,"window":{"calendar":"day"}},"token":{"ttl":"PT30M"}}"#;

    fn doc() -> Json {
        let rule = Rule::parse(&Json::parse(RULE).unwrap(), "lounge").unwrap();
        Json::parse(rule.canonical()).unwrap()
    }

    fn sent(sections: &[Section]) -> BTreeMap<String, String> {
        let mut sent = BTreeMap::new();
        for field in sections.iter().flat_map(Section::fields) {
            sent.insert(field.name.clone(), field.value.replace('\n', "\r\n"));
            if field.is_days() {
                sent.extend(
                    field.days().into_iter().filter(|(_, _, is)| *is).map(|(name, ..)| (name, "on".to_owned())),
                );
            }
        }
        sent
    }

    #[test]
    fn a_form_that_is_sent_back_as_it_came_changes_nothing() {
        let before = doc();
        let form = sections(&before, &["klout".to_owned()]);
        let mut after = before.clone();
        take(&mut after, &form, &sent(&form));
        assert_eq!(after.canonical(), before.canonical());
        let kept = super::super::layout::kept(&before, &form);
        let kept: Vec<_> = kept.iter().map(|it| it.pointer.as_str()).collect();
        assert_eq!(kept, ["/limits/0/max/by_location", "/tiers/1/when", "/when/all/2"]);
    }

    #[test]
    fn only_what_was_typed_changes() {
        let before = doc();
        let form = sections(&before, &[]);
        let mut all = sent(&form);
        let mut put =
            |name: &str, value: &str| assert!(all.insert(name.to_owned(), value.to_owned()).is_some(), "{name}");
        put("/tiers/0/when/all/0/value", "62,5");
        put("/limits/0/window/rolling", "36 hours");
        put("/when/all/0/values", "A\r\nG");
        put("/tiers/0/guests/max", "");
        put("/tiers/0/when/all/1/value", "false");
        all.remove("/schedule/open/0/days/tue");
        let mut after = before.clone();
        take(&mut after, &form, &all);
        let expected = RULE
            .replace("60", "62.5")
            .replace("\"rolling\":\"P1D\"", "\"rolling\":\"PT36H\"")
            .replace(r#"["A","5"]"#, r#"["A","G"]"#)
            .replace(r#""guests":{"max":3,"free":1},"#, "")
            .replace(r#""value":true"#, r#""value":false"#)
            .replace(r#"["mon","tue"]"#, r#"["mon"]"#);
        let parse = |json: &Json| Rule::parse(json, "lounge").unwrap().canonical().to_owned();
        assert_eq!(parse(&after), parse(&Json::parse(&expected).unwrap()));
        // A threshold that is cleared is taken out of what all must hold, after what stands behind it was changed.
        all.insert("/tiers/0/when/all/0/value".to_owned(), " ".to_owned());
        let mut after = before.clone();
        take(&mut after, &form, &all);
        let expected = expected.replace(r#"{"attr":"score","op":"gte","value":62.5},"#, "");
        assert_eq!(parse(&after), parse(&Json::parse(&expected).unwrap()));
    }

    #[test]
    fn parts_are_added_and_taken_away() {
        let before = doc();
        for (add, pointer) in [
            ("add:tier", "/tiers/2"),
            ("add:limit", "/limits/1"),
            ("add:opening", "/schedule/open/1"),
            ("add:blackout", "/blackouts/2"),
            ("add:yearly", "/blackouts/2"),
            ("add:offer", "/otherwise/offers/1"),
            ("add:paid", "/paid"),
            ("add:condition:/when", "/when/all/3"),
            ("add:window:/when", "/when/all/3"),
            ("add:condition:/tiers/0/when", "/tiers/0/when/all/2"),
        ] {
            let mut doc = before.clone();
            assert!(press(&mut doc, add), "{add}");
            assert!(at(&doc, pointer).is_some(), "{add}");
            assert!(
                sections(&doc, &[]).iter().flat_map(Section::fields).any(|field| field.name.starts_with(pointer)),
                "{add}"
            );
            assert!(press(&mut doc, &format!("remove:{pointer}")));
            assert_eq!(doc.canonical(), before.canonical(), "{add}");
        }
        assert!(!press(&mut doc(), "add:nothing") && !press(&mut doc(), "save"));
    }

    #[test]
    fn the_last_of_several_takes_what_held_them_along() {
        let mut doc = Json::parse(r#"{"otherwise":"refer","tiers":[{"id":"t"}]}"#).unwrap();
        let before = doc.canonical();
        for (add, pointer) in [("add:offer", "/otherwise/offers/0"), ("add:condition:/when", "/when")] {
            press(&mut doc, add);
            press(&mut doc, &format!("remove:{pointer}"));
            assert_eq!(doc.canonical(), before);
        }
        press(&mut doc, "add:condition:/when");
        press(&mut doc, "add:condition:/when");
        press(&mut doc, "remove:/when/all/1");
        press(&mut doc, "remove:/when/all/0");
        assert_eq!(doc.canonical(), before);
    }
}
