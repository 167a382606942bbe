//! The differences between what two rules do with those whom they don't admit.

use super::schedule::unmatched;
use super::sentences::rule_sentence;
use super::{Changes, Sides, below, is_reordered, items};
use crate::foundation::json::Json;
use crate::rules::describe;

/// The differences between the two `otherwise`, of which one is an object.
pub(super) fn compare(found: &mut Changes, pointer: &str, (old, new): Sides<'_>) {
    let (was, is) = (decision(old), decision(new));
    if was != is {
        // Where it is written, or was.
        let written = if is.is_some() { new } else { old };
        let at = if matches!(written, Some(Json::Object(_))) { below(pointer, "decision") } else { pointer.to_owned() };
        let sentence = rule_sentence("otherwise", was, is).unwrap_or_default();
        found.note(at, was, is, sentence);
    }
    let offers = |side: Option<&Json>| side.and_then(|side| side.member("offers").cloned());
    let (before, after) = (offers(old), offers(new));
    let pointer = below(pointer, "offers");
    let (was, is) = (items(before.as_ref()), items(after.as_ref()));
    let (removed, added) = unmatched(was, is);
    if removed.is_empty() && added.is_empty() && was != is && is_reordered(was, is) {
        let sentence = "The same offers in another order".to_owned();
        return found.note(pointer, before.as_ref(), after.as_ref(), sentence);
    }
    for (at, offer) in added {
        let sentence = format!("Those who are refused are now offered {}", describe::offer(offer));
        found.note(below(&pointer, &at.to_string()), None, Some(offer), sentence);
    }
    for (at, offer) in removed {
        let sentence = format!("Those who are refused are no longer offered {}", describe::offer(offer));
        found.note(below(&pointer, &at.to_string()), Some(offer), None, sentence);
    }
}

/// The word in either form; none for the default.
fn decision(side: Option<&Json>) -> Option<&Json> {
    side.and_then(|side| if matches!(side, Json::Object(_)) { side.member("decision") } else { Some(side) })
}
