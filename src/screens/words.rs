//! The server speaks to a person in their language: the twin of `scripts/words.js`. Numbers are in Latin digits
//! in every language, as on an airport's boards.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::messages::{LANGUAGES, Language, SAID, Said};
use crate::foundation::language::Languages;

/// From how many days on a day is named by its date.
const NAMED_BY_WEEKDAY: i64 = 6;

/// A value in a sentence.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(i64),
}

/// A part of a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub is_strong: bool,
    pub text: String,
}

/// Speaks one language.
#[derive(Clone, Copy)]
pub(super) struct Speaker {
    language: &'static Language,
    said: &'static BTreeMap<&'static str, Said>,
}

impl Speaker {
    /// One for the language that was chosen, or else for the one that fits best of those that are wanted.
    pub(super) fn of(chosen: Option<&str>, wanted: &Languages) -> Self {
        let tags = LANGUAGES.iter().map(|it| it.tag);
        let tag = chosen.filter(|chosen| tags.clone().any(|tag| tag == *chosen)).or_else(|| wanted.choose(&tags));
        let known = || LANGUAGES.iter().zip(SAID.iter());
        let [first, ..] = &LANGUAGES;
        let (language, said) = known().find(|(it, _)| Some(it.tag) == tag).or_else(|| known().next()).unzip();
        Self { language: language.unwrap_or(first), said: said.unwrap_or(&NOTHING) }
    }

    pub(super) fn tag(&self) -> &'static str {
        self.language.tag
    }

    pub(super) fn dir(&self) -> &'static str {
        self.language.dir()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.said.contains_key(key)
    }

    /// The text of a key that says no more than itself.
    pub(super) fn text(&self, key: &str) -> String {
        self.fill(key, &[])
    }

    /// The text of a key, with what is said in it.
    pub(super) fn fill(&self, key: &str, said: &[(&str, Value<'_>)]) -> String {
        let text = match self.said.get(key) {
            None => key,
            Some(Said::Always(text)) => text,
            Some(Said::ByNumber(forms)) => {
                let other = forms.get("other").copied().unwrap_or(key);
                let counted = names(other).find_map(|name| match said.iter().find(|(of, _)| *of == name) {
                    Some((_, Value::Number(number))) => Some(*number),
                    _ => None,
                });
                forms.get(plural(self.language.tag, counted.unwrap_or_default())).copied().unwrap_or(other)
            }
        };
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, (name, after))) =
            rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            filled.push_str(before);
            match said.iter().find(|(of, _)| *of == name) {
                Some((_, Value::Text(text))) => filled.push_str(text),
                Some((_, Value::Number(number))) => filled.push_str(&self.number(*number)),
                None => filled.extend(["{", name, "}"]),
            }
            rest = after;
        }
        filled.push_str(rest);
        filled
    }

    /// A number with its thousands set apart, as the language does: Spanish from five digits on.
    pub(super) fn number(&self, number: i64) -> String {
        let digits = number.unsigned_abs().to_string();
        let (mark, least) = if self.language.tag == "es" { ('.', 5) } else { (',', 4) };
        let mut text = String::from(if number < 0 { "\u{2212}" } else { "" });
        for (nth, digit) in digits.chars().enumerate() {
            let behind = digits.len() - nth;
            if nth > 0 && behind.is_multiple_of(3) && digits.len() >= least {
                text.push(mark);
            }
            text.push(digit);
        }
        text
    }

    /// The hour of an instant.
    pub(super) fn time(at: Timestamp, zone: &TimeZone) -> String {
        let at = at.to_zoned(zone.clone());
        format!("{:02}:{:02}", at.hour(), at.minute())
    }

    /// An instant with its whole date.
    pub(super) fn instant(&self, at: Timestamp, zone: &TimeZone) -> String {
        let date = self.date("date.full", at, zone);
        self.fill("date.time", &[("date", Value::Text(&date)), ("time", Value::Text(&Self::time(at, zone)))])
    }

    /// The text of a key about an instant, as seen at `now`: a sentence of its own for another day than today. `said` is
    /// what else is said in it.
    pub(super) fn at(&self, key: &str, (at, now): (Timestamp, Timestamp), zone: &TimeZone) -> String {
        let time = Self::time(at, zone);
        let (day, today) = (at.to_zoned(zone.clone()).date(), now.to_zoned(zone.clone()).date());
        if day == today {
            return self.fill(&format!("{key}.today"), &[("time", Value::Text(&time))]);
        }
        let days = day.duration_since(today).as_hours() / 24;
        let day = if days.abs() < NAMED_BY_WEEKDAY {
            self.text(&format!("date.weekday.{}", day.weekday().to_monday_one_offset()))
        } else {
            self.date("date.short", at, zone)
        };
        self.fill(&format!("{key}.day"), &[("day", Value::Text(&day)), ("time", Value::Text(&time))])
    }

    fn date(&self, key: &str, at: Timestamp, zone: &TimeZone) -> String {
        let at = at.to_zoned(zone.clone());
        let weekday = self.text(&format!("date.weekday.{}", at.weekday().to_monday_one_offset()));
        let month = self.text(&format!("date.month.{}", at.month()));
        // Years have no thousands that are set apart.
        let (day, year) = (at.day().to_string(), at.year().to_string());
        let said = [("weekday", &weekday), ("month", &month), ("day", &day), ("year", &year)];
        self.fill(key, &said.map(|(name, text)| (name, Value::Text(text))))
    }
}

static NOTHING: BTreeMap<&str, Said> = BTreeMap::new();

/// The parts of a sentence of ours: what stands between stars is set off.
pub(super) fn marked(text: &str) -> Vec<Part> {
    let parts = text.split('*').enumerate();
    let parts = parts.map(|(nth, text)| Part { is_strong: nth % 2 == 1, text: text.to_owned() });
    parts.filter(|part| !part.text.is_empty()).collect()
}

/// The names in a text, in their order.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
}

/// The plural category of a whole number (CLDR 48, cardinals).
fn plural(tag: &str, number: i64) -> &'static str {
    let number = number.unsigned_abs();
    match tag {
        "en" | "es" if number == 1 => "one",
        "es" if number != 0 && number.is_multiple_of(1_000_000) => "many",
        "ar" => match (number, number % 100) {
            (0, _) => "zero",
            (1, _) => "one",
            (2, _) => "two",
            (_, 3..=10) => "few",
            (_, 11..=99) => "many",
            _ => "other",
        },
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speaker(tag: &str) -> Speaker {
        Speaker::of(Some(tag), &Languages::default())
    }

    #[test]
    fn the_language_is_the_one_that_was_chosen_or_fits() {
        let tag = |chosen: Option<&str>, wanted: &str| Speaker::of(chosen, &Languages::of_header(wanted)).tag();
        assert_eq!(tag(Some("ja"), "es"), "ja");
        assert_eq!(tag(Some("tlh"), "es"), "es");
        assert_eq!(tag(None, "zh-HK, en;q=0.5"), "zh-Hant");
        assert_eq!(tag(None, "fr"), "en");
        assert_eq!(speaker("ar").dir(), "rtl");
    }

    #[test]
    fn a_number_chooses_the_form_of_its_sentence() {
        let gap = |tag: &str, gap: i64| {
            let said = [("gap", Value::Number(gap)), ("wanted", Value::Number(40)), ("tier", Value::Text("Main"))];
            speaker(tag).fill("reason.score_below_threshold", &said)
        };
        assert_eq!(gap("en", 1), "Your score is *1 point short* of the 40 that Main asks for.");
        assert_eq!(gap("en", 3), "Your score is *3 points short* of the 40 that Main asks for.");
        assert!(gap("es", 1).contains("falta 1 punto*") && gap("es", 2).contains("faltan 2 puntos"));
        assert!(gap("ar", 1).contains("نقطة واحدة") && gap("ar", 2).contains("نقطتان"));
        assert!(
            gap("ar", 3).contains("3 نقاط") && gap("ar", 11).contains("11 نقطة") && gap("ar", 103).contains("نقاط")
        );
        assert!(gap("ja", 1).contains("1 点"));
    }

    #[test]
    fn what_is_put_into_a_sentence_is_not_read_again() {
        let said = [("merchant", Value::Text("{merchant} *{x}*"))];
        assert_eq!(speaker("en").fill("my.request.confirmed", &said), "{merchant} *{x}* has agreed.");
        assert_eq!(speaker("en").text("no.such.key"), "no.such.key");
    }

    #[test]
    fn numbers_have_their_thousands_set_apart() {
        for (tag, number, text) in [
            ("en", 48_213, "48,213"),
            ("en", 999, "999"),
            ("ja", 1_000, "1,000"),
            ("es", 4_821, "4821"),
            ("es", 48_213, "48.213"),
            ("ar", 1_234_567, "1,234,567"),
            ("en", -3, "\u{2212}3"),
        ] {
            assert_eq!(speaker(tag).number(number), text, "{tag}");
        }
    }

    #[test]
    fn instants_are_said_as_of_now_in_the_zone_of_the_place() {
        let zone = TimeZone::get("America/Los_Angeles").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-27T22:32:00Z");
        let said = |tag: &str, when: &str| speaker(tag).at("my.request.asked", (at(when), now), &zone);
        assert_eq!(said("en", "2026-11-27T22:31:00Z"), "You asked at 14:31.");
        assert_eq!(said("en", "2026-11-28T22:31:00Z"), "You asked on Saturday at 14:31.");
        assert_eq!(said("en", "2026-12-20T22:31:00Z"), "You asked on 20 December at 14:31.");
        assert_eq!(said("es", "2026-12-20T22:31:00Z"), "Lo pidió el 20 de diciembre a las 14:31 h.");
        assert_eq!(said("ja", "2026-12-20T22:31:00Z"), "12月20日 14:31 にご依頼いただきました。");
        assert_eq!(speaker("en").instant(now, &zone), "Friday 27 November 2026, 14:32");
        assert_eq!(speaker("zh-Hant").instant(now, &zone), "2026年11月27日 星期五 14:32");
        assert_eq!(speaker("ja").instant(now, &zone), "2026年11月27日(金曜日) 14:32");
    }

    #[test]
    fn what_stands_between_stars_is_set_off() {
        let part = |is_strong, text: &str| Part { is_strong, text: text.to_owned() };
        assert_eq!(marked("a *b* c"), [part(false, "a "), part(true, "b"), part(false, " c")]);
        assert_eq!(marked("*b*"), [part(true, "b")]);
    }
}
