//! The differences between what two rules say to guests, language by language.

use super::{Changes, Sides, below, differing};
use crate::foundation::json::Json;
use crate::rules::describe;

/// The differences between the `messages` of something called `label`, which stand at `pointers` in the old and the new
/// rule.
pub(super) fn compare(found: &mut Changes, [was_at, is_at]: [String; 2], label: &str, (old, new): Sides<'_>) {
    for (language, old, new) in differing(old, new) {
        let (was, is) = (old.map(quoted), new.map(quoted));
        let sentence = match (&was, &is) {
            // Both are cut at the same place.
            (Some(was), Some(is)) if was == is => {
                format!("{label}: guests are told {is} in {language} (a part that isn't shown here changed)")
            }
            (Some(was), Some(is)) => format!("{label}: guests are told {was} → {is} in {language}"),
            (None, Some(is)) => format!("{label}: guests are now told {is} in {language}"),
            (Some(was), None) => format!("{label}: guests are no longer told {was} in {language}"),
            (None, None) => continue,
        };
        found.note(below(if new.is_some() { &is_at } else { &was_at }, language), old, new, sentence);
    }
}

/// The differences between the `names` of something called `label`, as [`compare`].
pub(super) fn compare_names(found: &mut Changes, [was_at, is_at]: [String; 2], label: &str, (old, new): Sides<'_>) {
    for (language, old, new) in differing(old, new) {
        let sentence = match (old.map(quoted), new.map(quoted)) {
            (Some(was), Some(is)) => format!("{label}: guests call it {was} → {is} in {language}"),
            (None, Some(is)) => format!("{label}: guests now call it {is} in {language}"),
            (Some(was), None) => format!("{label}: guests no longer call it {was} in {language}"),
            (None, None) => continue,
        };
        found.note(below(if new.is_some() { &is_at } else { &was_at }, language), old, new, sentence);
    }
}

fn quoted(sentence: &Json) -> String {
    format!("“{}”", describe::shown(sentence))
}
