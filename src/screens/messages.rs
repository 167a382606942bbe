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

    /// The texts between quotes in the sources of the screens that begin like a key: of one that is put together, its
    /// parts around what is put in.
    fn spoken() -> Vec<Vec<String>> {
        let mut spoken = Vec::new();
        let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/screens")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|of| ["rs", "js", "html"].iter().any(|known| of == *known)) {
                    let source = std::fs::read_to_string(&path).unwrap();
                    // Words of tests are said nowhere.
                    let source = source.split("#[cfg(test)]").next().unwrap();
                    spoken.extend(
                        ["kiosk.", "wall.", "my.", "date.", "reason."].iter().flat_map(|root| said_in(source, root)),
                    );
                }
            }
        }
        spoken
    }

    fn said_in(source: &str, root: &str) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        for (at, _) in source.match_indices(root) {
            let Some(quote) = source[..at].chars().next_back().filter(|sign| "\"`".contains(*sign)) else { continue };
            let (mut parts, mut depth) = (vec![String::new()], 0);
            for sign in source[at..].chars() {
                match sign {
                    '{' => depth += 1,
                    '}' if depth > 0 => {
                        depth -= 1;
                        parts.push(String::new());
                    }
                    _ if depth > 0 => {}
                    _ if sign == quote => break,
                    '$' => {}
                    _ => parts.last_mut().unwrap().push(sign),
                }
            }
            found.push(parts);
        }
        found
    }

    fn says(parts: &[String], key: &str) -> bool {
        match parts {
            [only] => only == key,
            [first, .., last] => key.len() > first.len() + last.len() && key.starts_with(first) && key.ends_with(last),
            [] => false,
        }
    }

    #[test]
    fn every_key_is_said_somewhere_and_no_other_is() {
        let spoken = spoken();
        assert!(spoken.len() > 60);
        let known = read(LANGUAGES[0].text);
        let is_dated = |key: &str| key.strip_suffix(".today").or_else(|| key.strip_suffix(".day")).map(str::to_owned);
        let is_said = |key: &str| {
            let dated = is_dated(key);
            let names = std::iter::once(key).chain(dated.as_deref());
            let mut names = names.flat_map(|name| [name, name.strip_suffix(".next").unwrap_or(name)]);
            names.any(|name| spoken.iter().any(|parts| says(parts, name)))
        };
        let unsaid: Vec<_> = known.keys().filter(|key| !is_said(key)).collect();
        assert!(unsaid.is_empty(), "nothing says {unsaid:?}");
        // One of a reason belongs to a reason that there is.
        for key in known.keys().filter_map(|key| key.strip_prefix("reason.")) {
            let code = key.split('.').next().unwrap();
            let is_code = ReasonCode::ALL.iter().any(|known| known.as_str() == code);
            assert!(is_code || ["other", "declined"].contains(&code), "no reason is {code}");
        }
        let is_file = |name: &str| [".js", ".css", ".html", ".json", "."].iter().any(|end| name.ends_with(end));
        let is_known = |name: &String| {
            known.contains_key(name.as_str()) || known.contains_key(format!("{name}.today").as_str()) || is_file(name)
        };
        let missing: Vec<_> =
            spoken.iter().filter(|parts| parts.len() == 1).flatten().filter(|name| !is_known(name)).collect();
        assert!(missing.is_empty(), "no language has {missing:?}");
    }
}
