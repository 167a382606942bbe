//! A perk file: the body of `POST /v1/perks`, read with a pointer for everything that is wrong.

use std::path::Path;

use crate::cli::document::Document;
use crate::cli::error::CliError;
use crate::foundation::document::{FieldErrors, Node};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::MAX_NOTE;
use crate::foundation::ids::{self, PerkSlug};
use crate::foundation::json::Json;
use crate::perks::catalog::MAX_NAME;
use crate::perks::purpose::Purpose;
use crate::rules::rule::Rule;

/// The largest file that is read: far beyond any rule.
const MAX_BYTES: u64 = 1 << 20;

/// The content of a perk file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PerkFile {
    pub perk: PerkSlug,
    pub name: String,
    pub purpose: Option<Purpose>,
    pub rule: Json,
    pub publish: bool,
    pub change_note: Option<String>,
}

impl PerkFile {
    /// Reads the file at `path`, or standard input for `-`.
    ///
    /// # Errors
    /// [`CliError::Unreadable`], and [`CliError::Faulty`] with all that is wrong but the rule,
    /// which is read where it is stored.
    pub(crate) fn open(path: &Path) -> Result<(Document, Self), CliError> {
        let document = Document::open(path, MAX_BYTES)?;
        match Self::parse(document.json()) {
            Ok(file) => Ok((document, file)),
            Err(errors) => {
                let mut errors = document.located("", errors);
                errors.extend(document.located("/rule", rule_errors(document.json())));
                Err(CliError::Faulty(errors))
            }
        }
    }

    fn parse(json: &Json) -> Result<Self, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        let read = Self::read(&Node::root(json), &mut errors);
        errors.unless_any(read)
    }

    fn read(node: &Node, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(&["perk", "name", "purpose", "rule", "publish", "change_note"], errors)?;
        let perk = fields.required("perk", errors).and_then(|node| slug(&node, errors));
        let name = fields.required("name", errors).and_then(|node| label(&node, MAX_NAME, errors));
        let purpose = fields.or("purpose", None, |node| self::purpose(&node, errors).map(Some));
        let rule = fields.required("rule", errors).map(|node| node.json().clone());
        let publish = fields.or("publish", false, |node| node.boolean(errors));
        let change_note = fields.or("change_note", None, |node| label(&node, MAX_NOTE, errors).map(Some));
        Some(Self {
            perk: perk?,
            name: name?,
            purpose: purpose?,
            rule: rule?,
            publish: publish?,
            change_note: change_note?,
        })
    }
}

/// The errors of the rule of a file that has others: all of them are reported at once.
fn rule_errors(file: &Json) -> Vec<FieldError> {
    // The audience is none of the file's errors.
    file.member("rule").and_then(|rule| Rule::parse(rule, "perk").err()).unwrap_or_default()
}

fn slug(node: &Node, errors: &mut FieldErrors) -> Option<PerkSlug> {
    match node.text(errors)?.parse() {
        Ok(slug) => Some(slug),
        Err(error) => node.refuse(errors, "invalid_value", ids::NameError::to_string(&error)),
    }
}

fn purpose(node: &Node, errors: &mut FieldErrors) -> Option<Purpose> {
    match Purpose::parse(node.text(errors)?) {
        Ok(purpose) => Some(purpose),
        Err(error) => node.refuse(errors, error.code(), error.to_string()),
    }
}

fn label(node: &Node, max: usize, errors: &mut FieldErrors) -> Option<String> {
    let Some(text) = node.json().as_text() else {
        return node.refuse(errors, "wrong_type", format!("this must be text, and is {}", node.json().kind()));
    };
    match ids::label(text, max) {
        Ok(label) => Some(label),
        Err(error) => node.refuse(errors, "invalid_value", error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_perk_file_is_the_body_of_a_post() {
        let text = r#"{"perk":"sfo-lounge","name":" SFO lounge ","rule":{"at_least":40}}"#;
        let file = PerkFile::parse(&Json::parse(text).unwrap()).unwrap();
        assert_eq!((file.perk.as_str(), file.name.as_str()), ("sfo-lounge", "SFO lounge"));
        assert!(!file.publish && file.change_note.is_none());
    }

    #[test]
    fn everything_wrong_is_reported_with_its_pointer() {
        let pointers = |text: &str| -> Vec<String> {
            PerkFile::parse(&Json::parse(text).unwrap())
                .unwrap_err()
                .into_iter()
                .map(|error| format!("{} {}", error.path, error.code))
                .collect()
        };
        assert_eq!(
            pointers(r#"{"perk":"SFO","rule":{},"publish":"yes","limit":1}"#),
            ["/limit unknown_field", "/perk invalid_value", "/name missing", "/publish wrong_type"]
        );
        assert_eq!(pointers(r#"{"perk":"a","name":"A","rule":{},"purpose":"housing"}"#), ["/purpose purpose_refused"]);
        assert_eq!(pointers(r#"{"perk":"a","name":"A","rule":{},"purpose":"fun"}"#), ["/purpose unknown_purpose"]);
        assert_eq!(pointers("[]"), [" wrong_type"]);
    }
}
