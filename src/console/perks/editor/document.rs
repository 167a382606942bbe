//! A rule's document by JSON pointers. What a form has typed stands in it too, also where it is nothing yet, so that reading
//! the rule says at its place what is wrong.

use crate::foundation::json::Json;

/// The value at a pointer; none where nothing stands, or null.
pub(super) fn at<'a>(doc: &'a Json, pointer: &str) -> Option<&'a Json> {
    let found = steps(pointer).try_fold(doc, |json, step| match json {
        Json::List(items) => items.get(step.parse::<usize>().ok()?),
        other => other.member(step),
    });
    found.filter(|value| **value != Json::Null)
}

/// The items of the list at a pointer.
pub(super) fn items<'a>(doc: &'a Json, pointer: &str) -> &'a [Json] {
    at(doc, pointer).and_then(Json::as_list).unwrap_or_default()
}

/// The text at a pointer.
pub(super) fn text<'a>(doc: &'a Json, pointer: &str) -> Option<&'a str> {
    at(doc, pointer).and_then(Json::as_text)
}

/// Puts a value at a pointer, or takes it away. Objects on the way are made; into anything else nothing is put.
pub(super) fn set(doc: &mut Json, pointer: &str, value: Option<Json>) {
    let Some((parent, name)) = pointer.rsplit_once('/') else { return };
    let Some(parent) = reach(doc, parent, value.is_some()) else { return };
    match parent {
        Json::List(items) => {
            let Ok(nth) = name.parse::<usize>() else { return };
            match value {
                Some(value) => {
                    if let Some(item) = items.get_mut(nth) {
                        *item = value;
                    }
                }
                None if nth < items.len() => drop(items.remove(nth)),
                None => {}
            }
        }
        Json::Object(members) => match (members.iter().position(|(it, _)| it == name), value) {
            (Some(nth), Some(value)) => {
                if let Some((_, old)) = members.get_mut(nth) {
                    *old = value;
                }
            }
            (None, Some(value)) => members.push((name.to_owned(), value)),
            (Some(nth), None) => drop(members.remove(nth)),
            (None, None) => {}
        },
        _ => {}
    }
}

/// Adds an item to the list at a pointer, which is made where there is none.
pub(super) fn push(doc: &mut Json, pointer: &str, item: Json) {
    if at(doc, pointer).is_none() {
        set(doc, pointer, Some(Json::List(Vec::new())));
    }
    if let Some(Json::List(items)) = reach(doc, pointer, false) {
        items.push(item);
    }
}

/// The value at a pointer, to be changed; objects on the way are made if they are wanted.
fn reach<'a>(doc: &'a mut Json, pointer: &str, makes: bool) -> Option<&'a mut Json> {
    let mut here = doc;
    for step in steps(pointer) {
        here = match here {
            Json::List(items) => items.get_mut(step.parse::<usize>().ok()?)?,
            Json::Object(members) => {
                let found = members.iter().position(|(it, _)| it == step);
                let nth = match found {
                    Some(nth) => nth,
                    None if makes => {
                        members.push((step.to_owned(), Json::Null));
                        members.len() - 1
                    }
                    None => return None,
                };
                &mut members.get_mut(nth)?.1
            }
            _ => return None,
        };
        if makes && *here == Json::Null {
            *here = Json::Object(Vec::new());
        }
    }
    Some(here)
}

fn steps(pointer: &str) -> impl Iterator<Item = &str> {
    pointer.split('/').skip(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_changed_by_pointers() {
        let mut doc = Json::parse(r#"{"score":null,"tiers":[{"id":"a"},{"id":"b"}],"zone":"UTC"}"#).unwrap();
        set(&mut doc, "/score/source", Some(Json::text("klout")));
        set(&mut doc, "/tiers/1/rank", Some(Json::whole(2)));
        set(&mut doc, "/tiers/0", None);
        set(&mut doc, "/zone", None);
        set(&mut doc, "/zone/none/of/it", None);
        set(&mut doc, "/tiers/9", Some(Json::Null));
        set(&mut doc, "/tiers/x/y", Some(Json::Null));
        push(&mut doc, "/limits", Json::whole(1));
        push(&mut doc, "/limits", Json::whole(2));
        let expected = r#"{"limits":[1,2],"score":{"source":"klout"},"tiers":[{"id":"b","rank":2}]}"#;
        assert_eq!(doc.canonical(), expected);
        assert_eq!((text(&doc, "/score/source"), items(&doc, "/limits").len()), (Some("klout"), 2));
    }
}
