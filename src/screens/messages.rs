//! The words of the screens, by language: one file each, of lines `key = text`. A key with a number has one line a plural
//! category of its language (CLDR), `key[one] = …`, chosen by the first number that its `other` names. `{name}` stands for
//! what is said, and what stands between stars is set off. A text that says when to come has a whole sentence for today,
//! `key.today`, and one for another day, `key.day`.
//!
//! A page begins with one of them, and then fetches the others, so that who stands at a kiosk can change the language at
//! any time, also while the gateway is away. The page of a person is written by the server, with `words`: what only that
//! one says (`my.`, `date.`) is fetched by none.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Serialize;

use super::assets;
use crate::access::devices::Screen;

/// A language: its tag, its own name, the name of its file in a browser, and what it says.
pub(super) struct Language {
    pub tag: &'static str,
    pub name: &'static str,
    file: &'static str,
    is_right_to_left: bool,
    text: &'static str,
}

impl Language {
    pub(super) const fn dir(&self) -> &'static str {
        if self.is_right_to_left { "rtl" } else { "ltr" }
    }
}

/// In the order in which they are offered. The first has every key: the others are held to it.
pub(super) const LANGUAGES: [Language; 6] = [
    language("en", "English", "en.json", include_str!("messages/en.txt")),
    language("zh-Hant", "繁體中文", "zh-Hant.json", include_str!("messages/zh-Hant.txt")),
    language("zh-Hans", "简体中文", "zh-Hans.json", include_str!("messages/zh-Hans.txt")),
    language("es", "Español", "es.json", include_str!("messages/es.txt")),
    language("ja", "日本語", "ja.json", include_str!("messages/ja.txt")),
    Language { is_right_to_left: true, ..language("ar", "العربية", "ar.json", include_str!("messages/ar.txt")) },
];

const fn language(tag: &'static str, name: &'static str, file: &'static str, text: &'static str) -> Language {
    Language { tag, name, file, is_right_to_left: false, text }
}

/// One sentence, or one a plural category.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Said {
    Always(&'static str),
    ByNumber(BTreeMap<&'static str, &'static str>),
}

/// A language as pages offer it, and where what it says is.
#[derive(Serialize)]
struct Offered {
    tag: &'static str,
    name: &'static str,
    dir: &'static str,
    at: &'static str,
}

/// The beginnings of the keys that the server alone says.
const OF_THE_SERVER: [&str; 2] = ["my.", "date."];

/// The words of each language, in their order.
pub(super) static SAID: LazyLock<Vec<BTreeMap<&'static str, Said>>> =
    LazyLock::new(|| LANGUAGES.iter().map(|language| read(language.text)).collect());

/// The lines of a file. Lines without a text are passed over; a test finds them.
fn read(text: &'static str) -> BTreeMap<&'static str, Said> {
    let mut said = BTreeMap::new();
    for (key, text) in text.lines().filter_map(|line| line.split_once(" = ")) {
        match key.strip_suffix(']').and_then(|key| key.split_once('[')) {
            None => _ = said.insert(key, Said::Always(text)),
            Some((key, category)) => {
                let forms = said.entry(key).or_insert_with(|| Said::ByNumber(BTreeMap::new()));
                if let Said::ByNumber(forms) = forms {
                    forms.insert(category, text);
                }
            }
        }
    }
    said
}

/// The file of each language, by its name, as pages read it.
pub(super) fn files() -> impl Iterator<Item = (&'static str, String)> {
    let is_fetched = |key: &str| !OF_THE_SERVER.iter().any(|own| key.starts_with(own));
    LANGUAGES.iter().zip(SAID.iter()).map(move |(language, said)| {
        let fetched: BTreeMap<_, _> = said.iter().filter(|(key, _)| is_fetched(key)).collect();
        (language.file, serde_json::to_string(&fetched).unwrap_or_default())
    })
}

/// The languages, as a page has them.
static OFFERED: LazyLock<String> = LazyLock::new(|| {
    let offered =
        LANGUAGES.iter().map(|it| Offered { tag: it.tag, name: it.name, dir: it.dir(), at: assets::address(it.file) });
    serde_json::to_string(&offered.collect::<Vec<_>>()).unwrap_or_default()
});

/// The beginning of every page of a screen.
pub(super) struct Shell {
    pub merchant: String,
    pub place: String,
    pub styles: &'static str,
    pub icon: &'static str,
    pub languages: &'static str,
    pub version: &'static str,
    pub page_token: String,
}

/// The shell of a screen's page.
pub(super) fn shell(screen: &Screen) -> Shell {
    let principal = &screen.principal;
    let place = [principal.location.as_deref(), principal.kiosk.as_deref()];
    Shell {
        merchant: principal.merchant.as_ref().map(|merchant| merchant.name.clone()).unwrap_or_default(),
        place: place.into_iter().flatten().collect::<Vec<_>>().join(" · "),
        styles: assets::styles(),
        icon: assets::icon(),
        languages: &OFFERED,
        version: assets::version(),
        page_token: screen.page_token.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::decision::reason::ReasonCode;

    /// The plural categories that each language tells apart (CLDR).
    fn plurals_of(tag: &str) -> BTreeSet<&'static str> {
        let known: [(&str, &[&str]); 6] = [
            ("en", &["one", "other"]),
            ("zh-Hant", &["other"]),
            ("zh-Hans", &["other"]),
            ("es", &["one", "many", "other"]),
            ("ja", &["other"]),
            ("ar", &["zero", "one", "two", "few", "many", "other"]),
        ];
        let found = known.iter().find(|(of, _)| *of == tag);
        found.unwrap_or_else(|| panic!("say which plurals {tag} has")).1.iter().copied().collect()
    }

    fn names(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn every_language_says_everything() {
        let [first, others @ ..] = &LANGUAGES;
        let wanted = read(first.text);
        assert!(wanted.len() > 80);
        for language in std::iter::once(first).chain(others) {
            let said = read(language.text);
            assert_eq!(said.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>(), "{}", language.tag);
            for (key, said) in &said {
                match (said, &wanted[key]) {
                    (Said::Always(text), Said::Always(other)) => {
                        assert_eq!(names(text), names(other), "{} {key}", language.tag);
                    }
                    (Said::ByNumber(forms), Said::ByNumber(others)) => {
                        let categories: BTreeSet<_> = forms.keys().copied().collect();
                        assert_eq!(categories, plurals_of(language.tag), "{} {key}", language.tag);
                        assert_eq!(names(forms["other"]), names(others["other"]), "{} {key}", language.tag);
                    }
                    _ => panic!("{} {key} is by number in one language only", language.tag),
                }
            }
        }
    }

    #[test]
    fn every_line_is_read_once_and_says_something() {
        for language in &LANGUAGES {
            let mut keys = BTreeSet::new();
            for line in language.text.lines() {
                let (key, text) = line.split_once(" = ").unwrap_or_else(|| panic!("{}: {line}", language.tag));
                assert!(keys.insert(key), "{}: {key} stands twice", language.tag);
                assert!(!text.trim().is_empty() && text.matches('*').count() % 2 == 0, "{}: {line}", language.tag);
            }
        }
    }

    #[test]
    fn every_reason_has_its_words() {
        let said = read(LANGUAGES[0].text);
        for code in ReasonCode::ALL {
            assert!(said.contains_key(format!("reason.{}", code.as_str()).as_str()), "{}", code.as_str());
        }
    }
}
