//! Sentences for guests: what a merchant says in place of the standard words, in one language or several.

use std::collections::BTreeMap;

use crate::foundation::document::{FieldErrors, Node, below, text};
use crate::foundation::json::Json;
use crate::foundation::language::{self, Languages};
use crate::foundation::unicode::find_invisible;

/// The most languages that one thing is said in.
pub(crate) const MAX_LANGUAGES: usize = 12;
/// The longest sentence, in characters.
pub(crate) const MAX_SENTENCE: usize = 280;

/// One thing as it is said to guests, by language; there is at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Messages(BTreeMap<String, String>);

/// A sentence and the tag of its language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sentence<'a> {
    pub language: &'a str,
    pub text: &'a str,
}

impl Messages {
    /// The sentence in the language that fits best, or in English; none where there is neither.
    #[must_use]
    pub fn choose(&self, languages: &Languages) -> Option<Sentence<'_>> {
        let language = languages.choose(&self.0.keys().map(String::as_str))?;
        Some(Sentence { language, text: self.0.get(language)? })
    }

    /// [`Messages::choose`], or the first by tag: for what has no standard words.
    #[must_use]
    pub fn choose_any(&self, languages: &Languages) -> Option<Sentence<'_>> {
        let first = || self.0.iter().next().map(|(language, text)| Sentence { language, text });
        self.choose(languages).or_else(first)
    }

    /// The sentences, each with the tag of its language.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(language, sentence)| (language.as_str(), sentence.as_str()))
    }

    pub(crate) fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let members = node.members(errors)?;
        if members.is_empty() {
            return node.refuse(errors, "empty", "say it in one language at least, or leave it out");
        }
        if members.len() > MAX_LANGUAGES {
            return node.refuse(errors, "too_many", format!("say it in at most {MAX_LANGUAGES} languages"));
        }
        let mut messages = BTreeMap::new();
        let mut all = true;
        for (name, _) in members {
            let Some(tag) = language::tag(name) else {
                let wanted = "name each language by its tag, such as en, zh-Hant or pt-BR";
                let at = if name.len() <= 64 && find_invisible(name).is_none() {
                    below(node.pointer(), name)
                } else {
                    node.pointer().to_owned()
                };
                errors.add(&at, "bad_language", wanted);
                all = false;
                continue;
            };
            let Some(sentence) = node.member(name).and_then(|sentence| read_sentence(&sentence, errors)) else {
                all = false;
                continue;
            };
            if messages.insert(tag, sentence).is_some() {
                errors.add(&below(node.pointer(), name), "repeated", "another sentence is in this language");
                all = false;
            }
        }
        all.then_some(Self(messages))
    }

    /// The canonical form.
    pub(crate) fn to_json(&self) -> Json {
        Json::object(self.0.iter().map(|(language, sentence)| (language.as_str(), text(sentence))))
    }
}

fn read_sentence(node: &Node<'_>, errors: &mut FieldErrors) -> Option<String> {
    let Json::Text(sentence) = node.json() else {
        return node.refuse(errors, "wrong_type", format!("this must be text, and is {}", node.json().kind()));
    };
    if sentence.chars().nth(MAX_SENTENCE).is_some() {
        return node.refuse(errors, "too_long", format!("use at most {MAX_SENTENCE} characters"));
    }
    if node.is_stored() {
        return Some(sentence.clone());
    }
    if sentence.trim().is_empty() {
        return node.refuse(errors, "empty", "say something, or leave the language out");
    }
    if let Some((at, c)) = find_invisible(sentence) {
        let what = "leave out control, direction and invisible characters: its character";
        return node.refuse(errors, "bad_form", format!("{what} {at} is U+{:04X}", u32::from(c)));
    }
    Some(sentence.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Messages, Vec<(String, &'static str)>> {
        let json = Json::parse(json).unwrap();
        let mut errors = FieldErrors::default();
        let messages = Messages::read(&Node::root(&json), &mut errors);
        errors.unless_any(messages).map_err(|errors| errors.iter().map(|it| (it.path.to_string(), it.code)).collect())
    }

    #[test]
    fn a_guest_reads_the_sentence_in_their_own_language() {
        let messages =
            read(r#"{"zh-hant":"貴賓室已滿。","EN":"The lounge is full.","fr-CA":"Le salon est plein."}"#).unwrap();
        let said = |header: &str| messages.choose(&Languages::of_header(header)).unwrap();
        assert_eq!(said("zh-HK"), Sentence { language: "zh-Hant", text: "貴賓室已滿。" });
        assert_eq!(said("es"), Sentence { language: "en", text: "The lounge is full." });
        let canonical = messages.to_json().canonical();
        assert_eq!(canonical, r#"{"en":"The lounge is full.","fr-CA":"Le salon est plein.","zh-Hant":"貴賓室已滿。"}"#);
        assert_eq!(read(&canonical).unwrap(), messages);
    }

    #[test]
    fn a_sentence_has_280_characters_however_many_bytes() {
        let long = "滿".repeat(MAX_SENTENCE);
        assert!(read(&format!(r#"{{"zh-Hant":"{long}"}}"#)).is_ok());
        let many: Vec<_> = ('a'..='z').take(MAX_LANGUAGES + 1).map(|c| format!(r#""a{c}":"x""#)).collect();
        assert!(read(&format!("{{{}}}", many[1..].join(","))).is_ok());
        for (text, at, code) in [
            (format!(r#"{{"zh-Hant":"{long}滿"}}"#), "/zh-Hant", "too_long"),
            (format!("{{{}}}", many.join(",")), "", "too_many"),
            ("{}".to_owned(), "", "empty"),
            (r#""Full.""#.to_owned(), "", "wrong_type"),
            (r#"{"en":""}"#.to_owned(), "/en", "empty"),
            (r#"{"en":"  "}"#.to_owned(), "/en", "empty"),
            (r#"{"en":["Full."]}"#.to_owned(), "/en", "wrong_type"),
            (r#"{"en":"a\nb"}"#.to_owned(), "/en", "bad_form"),
            ("{\"en\":\"a\u{202E}b\"}".to_owned(), "/en", "bad_form"),
            (r#"{"english":"Full."}"#.to_owned(), "/english", "bad_language"),
            (r#"{"zh_Hant":"x"}"#.to_owned(), "/zh_Hant", "bad_language"),
            ("{\"e\u{200B}n\":\"x\"}".to_owned(), "", "bad_language"),
            (r#"{"en":"a","EN":"b"}"#.to_owned(), "/EN", "repeated"),
        ] {
            assert_eq!(read(&text).unwrap_err(), [(at.to_owned(), code)], "{text:.60}");
        }
    }
}
