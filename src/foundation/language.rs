//! Languages: the tags that texts are written under, and which of them a reader wants.

use std::fmt;
use std::str::FromStr;

/// The most ranges of one preference that are looked at.
const MOST_RANGES: usize = 32;
/// The longest range, in characters, as long as RFC 5646 wants tags to be had room for.
const LONGEST_RANGE: usize = 35;
/// The language that most readers know some of.
const COMMON: &str = "en";
/// The regions in which Chinese is written in traditional characters.
const TRADITIONAL: [&str; 3] = ["tw", "hk", "mo"];

/// A language tag of a language, a script and a region (BCP 47), in its usual case: `zh-Hant-TW`.
///
/// None for what is not well-formed, or says more than these.
#[must_use]
pub fn tag(text: &str) -> Option<String> {
    let letters = |part: &str, count: &[usize]| {
        count.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    let mut parts = text.split('-').peekable();
    let mut tag = parts.next().filter(|language| letters(language, &[2, 3]))?.to_ascii_lowercase();
    if let Some(script) = parts.next_if(|part| letters(part, &[4])) {
        let (first, rest) = script.split_at(1);
        tag.extend(["-", &first.to_ascii_uppercase(), &rest.to_ascii_lowercase()]);
    }
    let is_code = |part: &str| part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(region) = parts.next_if(|part| letters(part, &[2]) || is_code(part)) {
        tag.extend(["-", &region.to_ascii_uppercase()]);
    }
    parts.next().is_none().then_some(tag)
}

/// The languages that a reader wants, best first: the ranges of an `Accept-Language` (RFC 9110, 12.5.4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Languages(Vec<String>);

/// A preference that can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("name languages as `Accept-Language` does: `zh-Hant`, or `fr-CA, fr;q=0.8, en;q=0.5`")]
pub struct BadLanguages;

impl Languages {
    /// Reads a header. A range that is not well-formed is passed over: a guest is answered in some language all the
    /// same.
    #[must_use]
    pub fn of_header(text: &str) -> Self {
        Self::ranked(text.split(',').take(MOST_RANGES).filter_map(range))
    }

    fn ranked(ranges: impl Iterator<Item = (String, u16)>) -> Self {
        let mut ranges: Vec<_> = ranges.filter(|(range, weight)| *weight > 0 && range != "*").collect();
        // Stable: of those that are wanted as much, the one that is named first.
        ranges.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
        Self(ranges.into_iter().map(|(range, _)| range).collect())
    }

    /// The tag that fits best, by the look-up of RFC 4647, 3.4, or else one of the same language, whatever its script and
    /// region; where none is, `en`.
    #[must_use]
    pub fn choose<'a>(&self, tags: &(impl Iterator<Item = &'a str> + Clone)) -> Option<&'a str> {
        let fits = |wanted: &str| tags.clone().find(|tag| with_script(&tag.to_ascii_lowercase()) == wanted);
        let found = self.0.iter().find_map(|range| {
            let mut wanted = range.as_str();
            loop {
                if let Some(tag) = fits(wanted) {
                    return Some(tag);
                }
                wanted = wanted.rsplit_once('-')?.0;
                // A single letter introduces what stood behind it.
                if let Some((rest, last)) = wanted.rsplit_once('-')
                    && last.len() == 1
                {
                    wanted = rest;
                }
            }
        });
        let language = |text: &str| text.split('-').next().unwrap_or_default().to_ascii_lowercase();
        let alike = || self.0.iter().find_map(|range| tags.clone().find(|tag| language(tag) == language(range)));
        found.or_else(alike).or_else(|| fits(COMMON))
    }
}

impl FromStr for Languages {
    type Err = BadLanguages;

    /// Reads what a person wrote: every range must be well-formed.
    fn from_str(text: &str) -> Result<Self, BadLanguages> {
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        let ranges = ranges.filter(|ranges| ranges.len() <= MOST_RANGES).ok_or(BadLanguages)?;
        Ok(Self::ranked(ranges.into_iter()))
    }
}

impl fmt::Display for Languages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// A range in lower case with its weight, in thousandths.
fn range(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';');
    let name = parts.next()?.trim();
    let weight = match (parts.next(), parts.next()) {
        (None, _) => 1000,
        (Some(weight), None) => thousandths(weight.trim())?,
        (Some(_), Some(_)) => return None,
    };
    if name == "*" {
        return Some((name.to_owned(), weight));
    }
    let mut subtags = name.split('-');
    let is_language = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic());
    let is_subtag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_range = name.len() <= LONGEST_RANGE && subtags.next().is_some_and(is_language) && subtags.all(is_subtag);
    is_range.then(|| (with_script(&name.to_ascii_lowercase()), weight))
}

/// `q=0.8` as 800.
fn thousandths(weight: &str) -> Option<u16> {
    let value = weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q="))?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction = format!("{fraction:0<3}").parse::<u16>().ok()?;
    match (whole, fraction) {
        ("0", fraction) => Some(fraction),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

/// Chinese with the script that its region writes, which is what readers tell apart: `zh-tw` is `zh-hant-tw`, and `zh`
/// alone `zh-hans`. Other tags as they are; all in lower case.
fn with_script(tag: &str) -> String {
    let mut subtags = tag.split('-');
    if subtags.next() != Some("zh") {
        return tag.to_owned();
    }
    let rest: Vec<&str> = subtags.collect();
    let script = rest.iter().copied().find(|part| part.len() == 4);
    let region = rest.iter().copied().find(|part| part.len() == 2);
    let is_traditional = region.is_some_and(|region| TRADITIONAL.contains(&region));
    let script = script.unwrap_or(if is_traditional { "hant" } else { "hans" });
    match region {
        Some(region) => format!("zh-{script}-{region}"),
        None => format!("zh-{script}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_well_formed_and_have_their_usual_case() {
        for (text, usual) in [
            ("en", "en"),
            ("EN-gb", "en-GB"),
            ("zh-hANT", "zh-Hant"),
            ("ZH-HANT-tw", "zh-Hant-TW"),
            ("es-419", "es-419"),
            ("haw", "haw"),
            ("sr-Latn-RS", "sr-Latn-RS"),
        ] {
            assert_eq!(tag(text).as_deref(), Some(usual), "{text}");
        }
        for bad in [
            "",
            "e",
            "english",
            "en_GB",
            "en-",
            "-en",
            "en--GB",
            "en-GB-x",
            "en-GB-oxendict",
            "zh-TW-Hant",
            "x-klingon",
            "en-GBR",
            "en-1",
            "é",
            "en-Latn-GB-a",
            "zh-Hänt",
        ] {
            assert_eq!(tag(bad), None, "{bad}");
        }
    }

    #[track_caller]
    fn expect(header: &str, tags: &[&str], wanted: &str) {
        assert_eq!(Languages::of_header(header).choose(&tags.iter().copied()), Some(wanted), "{header} of {tags:?}");
    }

    #[test]
    fn the_best_fit_is_looked_up_from_the_narrowest_on() {
        let tags = ["de", "en", "fr", "fr-CA", "zh-Hans", "zh-Hant"];
        for (header, wanted) in [
            ("fr-CA", "fr-CA"),
            ("fr-BE", "fr"),
            ("FR-ca-x-quebec", "fr-CA"),
            ("es, de;q=0.5", "de"),
            ("de;q=0.5, fr;q=0.9", "fr"),
            ("de;q=0.5, fr;q=0.5", "de"),
            ("de;q=0, fr;q=0.001", "fr"),
            ("es", "en"),
            ("", "en"),
            ("*", "en"),
            ("*, de;q=0.1", "de"),
            ("zh-TW", "zh-Hant"),
            ("zh-HK,en;q=0.9", "zh-Hant"),
            ("zh-Hant-SG", "zh-Hant"),
            ("zh-CN", "zh-Hans"),
            ("zh-SG", "zh-Hans"),
            ("zh", "zh-Hans"),
            ("zh-cmn-Hant-TW", "zh-Hant"),
            ("de ; q=0.2 , fr ; Q=0.3", "fr"),
        ] {
            expect(header, &tags, wanted);
        }
        // A plain `zh` is in simplified characters, and a region says which.
        expect("zh-CN", &["en", "zh"], "zh");
        expect("zh-TW", &["en", "zh"], "zh");
        expect("zh-TW", &["en", "zh-Hans"], "zh-Hans");
        expect("zh-Hant-TW", &["en", "zh-TW"], "zh-TW");
        expect("zh-HK", &["en", "zh-TW", "zh-Hant-HK"], "zh-Hant-HK");
    }

    #[test]
    fn where_none_fits_it_is_one_of_the_same_language_or_english() {
        expect("es", &["de", "en", "fr"], "en");
        expect("en-GB", &["de", "en-US"], "en-US");
        expect("pt, fr", &["en", "fr-CA", "pt-BR"], "pt-BR");
        // What is wanted less and fits stands before what is wanted more and is only alike.
        expect("pt, fr;q=0.1", &["en", "fr", "pt-BR"], "fr");
        assert_eq!(Languages::of_header("es").choose(&["de", "fr"].into_iter()), None);
        assert_eq!(Languages::default().choose(&std::iter::empty()), None);
    }

    #[test]
    fn a_header_of_nonsense_wants_nothing() {
        let long = "a-".repeat(5000);
        for header in
            [";q=1", "de;q=2", "de;q=1.001", "de;q=0.1234", "de;q=x", "de;q=0.5;q=0.6", "é", "d_e", "-", &long]
        {
            assert_eq!(Languages::of_header(header), Languages::default(), "{header:.20}");
            assert_eq!(header.parse::<Languages>(), Err(BadLanguages), "{header:.20}");
        }
        // The others stand.
        expect("d_e, fr;q=0.1", &["de", "fr"], "fr");
        assert_eq!("d_e, fr;q=0.1".parse::<Languages>(), Err(BadLanguages));
        assert_eq!("fr-CA, fr;q=0.8, *;q=0.1".parse::<Languages>().unwrap().to_string(), "fr-ca, fr");
    }

    #[test]
    fn many_ranges_are_looked_at_up_to_a_bound() {
        let many = format!("{}de", "es,".repeat(MOST_RANGES));
        expect(&many, &["de", "en"], "en");
        assert_eq!(many.parse::<Languages>(), Err(BadLanguages));
    }
}
