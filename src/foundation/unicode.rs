//! Unicode's properties of characters: which ones show nothing, and which spell the same handle.

use icu_properties::props::{DefaultIgnorableCodePoint, Emoji, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};
use unicase::UniCase;
use unicode_normalization::UnicodeNormalization as _;

/// The bytes without one byte order mark at their beginning, as editors and shells on Windows write it before text.
/// Never for bytes that are hashed or signed.
#[must_use]
pub fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BOM).unwrap_or(bytes)
}

/// [`without_bom`] of text.
#[must_use]
pub fn text_without_bom(text: &str) -> &str {
    text.strip_prefix('\u{FEFF}').unwrap_or(text)
}

/// The byte order mark, in UTF-8.
pub(crate) const BOM: &[u8] = b"\xEF\xBB\xBF";

/// `toNFKC_Casefold` of the canonical decomposition (Unicode 3.13, D147): what differs in case, width or form
/// only, or in characters that are ignored by default, becomes the same text.
#[must_use]
pub fn nfkc_casefold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // Ignorables go first: one between two marks would keep them from taking their order.
    let mut form: String = text.chars().filter(|c| !is_ignorable(*c)).collect();
    // Once is enough for all that is known; the second time shows that nothing changes any more.
    for _ in 0..4 {
        let decomposed: String = form.nfd().collect();
        let compatible: String = UniCase::unicode(&decomposed).to_folded_case().nfkc().collect();
        let folded = UniCase::unicode(&compatible).to_folded_case();
        let next: String = folded.chars().filter(|c| !is_ignorable(*c)).nfkc().collect();
        if next == form {
            break;
        }
        form = next;
    }
    form
}

/// True if a character that is left in a folded handle makes it one that can't be read off a screen: format
/// and control characters, private and unassigned ones, white space, and the blank of Braille.
#[must_use]
pub fn is_unfit_for_handles(c: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    // Unassigned ones too: how they fold is not known yet.
    GeneralCategoryGroup::Other.contains(category) || c.is_whitespace() || is_deceptive(c) || shows_nothing(c)
}

/// The first character of a text for people that shows nothing, or reorders what is read, with its place
/// counted from 1. Left alone are ZWJ and ZWNJ between letters, where scripts are written with them, and the
/// selector that makes an emoji of what could be a sign.
#[must_use]
pub fn find_invisible(text: &str) -> Option<(usize, char)> {
    if text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return None;
    }
    let mut before = None;
    let mut rest = text.chars().enumerate().peekable();
    while let Some((at, c)) = rest.next() {
        let next = rest.peek().map(|(_, next)| *next);
        let is_at_home = match c {
            '\u{200C}' | '\u{200D}' => before.is_some_and(is_of_a_word) && next.is_some_and(is_letter),
            // After a digit only as part of a key's cap.
            '\u{FE0F}' => before.is_some_and(|it: char| is_emoji(it) && (!it.is_ascii() || next == Some('\u{20E3}'))),
            _ => false,
        };
        if !is_at_home && (is_deceptive(c) || shows_nothing(c)) {
            return Some((at + 1, c));
        }
        before = Some(c);
    }
    None
}

/// Control characters, bidirectional controls, zero-width and other invisible characters
/// (Unicode TR 36): they change how a name looks without changing what a reader sees it say.
#[must_use]
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{061C}' | '\u{FEFF}' | '\u{00AD}' | '\u{FFF9}'..='\u{FFFB}' | '\u{FFFD}')
}

/// True if nothing is drawn for it, where nothing else gives it a form.
fn shows_nothing(c: char) -> bool {
    c == '\u{2800}' || is_ignorable(c)
}

fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

fn is_emoji(c: char) -> bool {
    CodePointSetData::new::<Emoji>().contains(c)
}

fn is_letter(c: char) -> bool {
    GeneralCategoryGroup::Letter.contains(CodePointMapData::<GeneralCategory>::new().get(c))
}

/// A letter, or a mark on one: Indic scripts join behind a virama.
fn is_of_a_word(c: char) -> bool {
    is_letter(c) || GeneralCategoryGroup::Mark.contains(CodePointMapData::<GeneralCategory>::new().get(c))
}

#[cfg(test)]
mod tests {
    use icu_properties::props::ChangesWhenNfkcCasefolded;
    use proptest::prelude::*;

    use super::*;

    fn all() -> impl Iterator<Item = char> {
        ('\0'..=char::MAX).filter(|c| CodePointMapData::<GeneralCategory>::new().get(*c) != GeneralCategory::Unassigned)
    }

    #[test]
    fn every_character_folds_as_unicode_has_it() {
        let changes = CodePointSetData::new::<ChangesWhenNfkcCasefolded>();
        for c in all() {
            let form = nfkc_casefold(c.encode_utf8(&mut [0; 4]));
            assert_eq!(form.chars().ne([c]), changes.contains(c), "U+{:04X} {form:?}", u32::from(c));
            assert_eq!(nfkc_casefold(&form), form, "U+{:04X}", u32::from(c));
            assert!(!form.chars().any(|it| changes.contains(it)), "U+{:04X} {form:?}", u32::from(c));
        }
        // Unicode Character Database, DerivedNormalizationProps.txt, NFKC_CF.
        for (c, form) in [
            ("A", "a"),
            ("\u{A0}", " "),
            ("\u{A8}", " \u{308}"),
            ("\u{AD}", ""),
            ("ß", "ss"),
            ("ẞ", "ss"),
            ("İ", "i\u{307}"),
            ("ſ", "s"),
            ("ς", "σ"),
            ("\u{345}", "ι"),
            ("\u{37A}", " ι"),
            ("\u{390}", "ΐ"),
            ("\u{587}", "եւ"),
            ("\u{13F8}", "\u{13F0}"),
            ("\u{AB70}", "\u{13A0}"),
            ("\u{1FB7}", "ᾶι"),
            ("Ω", "ω"),
            ("℀", "a/c"),
            ("™", "tm"),
            ("ﬃ", "ffi"),
            ("ﷺ", "صلى الله عليه وسلم"),
            ("\u{1D400}", "a"),
            ("\u{1E900}", "\u{1E922}"),
            ("\u{2F800}", "丽"),
            ("\u{E0041}", ""),
            ("ᾲ", "ὰι"),
            ("ı", "ı"),
        ] {
            assert_eq!(nfkc_casefold(c), form, "{}", c.escape_unicode());
        }
    }

    #[test]
    fn what_is_ignored_by_default_is_no_part_of_a_handle() {
        let ignored = ('\0'..=char::MAX).filter(|c| is_ignorable(*c));
        let mut count = 0;
        for c in ignored {
            count += 1;
            for text in [format!("ada{c}"), format!("{c}a{c}da"), format!("ad{c}\u{FE0F}a")] {
                assert_eq!(nfkc_casefold(&text), "ada", "U+{:04X}", u32::from(c));
            }
            assert!(is_unfit_for_handles(c) && find_invisible(&format!("a{c} b")).is_some(), "U+{:04X}", u32::from(c));
        }
        assert!(count > 4000, "{count}");
    }

    #[test]
    fn what_shows_nothing_is_found_where_it_stands() {
        for (text, found) in [
            ("SFO A12", None),
            ("a\u{200B}b", Some((2, '\u{200B}'))),
            ("ab\u{2800}", Some((3, '\u{2800}'))),
            ("a\u{3164}", Some((2, '\u{3164}'))),
            ("\u{FE0F}", Some((1, '\u{FE0F}'))),
            ("❤\u{FE0F}\u{FE0F}", Some((3, '\u{FE0F}'))),
            ("❤\u{FE0F} 1\u{FE0F}\u{20E3}", None),
            ("1\u{FE0F}", Some((2, '\u{FE0F}'))),
            ("می\u{200C}خواهم", None),
            ("ක්\u{200D}ෂ", None),
            ("می\u{200C}", Some((3, '\u{200C}'))),
            ("a\u{200D}\u{200D}b", Some((2, '\u{200D}'))),
            ("葛\u{E0100}", Some((2, '\u{E0100}'))),
            ("नमस्ते 日本語 Ω\u{301}", None),
        ] {
            assert_eq!(find_invisible(text), found, "{}", text.escape_unicode());
        }
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in any::<Vec<char>>()) {
            let text: String = text.into_iter().collect();
            let form = nfkc_casefold(&text);
            prop_assert_eq!(nfkc_casefold(&form), form.clone());
            // However it is composed, it is the same.
            prop_assert_eq!(nfkc_casefold(&text.nfc().collect::<String>()), form.clone());
            prop_assert_eq!(nfkc_casefold(&text.nfd().collect::<String>()), form);
        }

        #[test]
        fn ignorables_among_marks_change_nothing(text in "[aAσΣßﬁǅᾳ\u{301}\u{308}\u{345}\u{323}\u{34F}\u{FE0F}\u{200D}\u{3164}\u{1160}\u{1161}\u{1100}가]{0,12}") {
            let seen: String = text.chars().filter(|c| !is_ignorable(*c)).collect();
            let form = nfkc_casefold(&text);
            prop_assert_eq!(nfkc_casefold(&form), form.clone());
            prop_assert_eq!(form, nfkc_casefold(&seen));
        }
    }
}
