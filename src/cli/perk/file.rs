//! A perk file: the body of `POST /v1/perks`, read with a pointer for everything that is wrong.

use std::path::Path;

use crate::cli::document::Document;
use crate::cli::error::CliError;
use crate::foundation::document::{Issue, Issues, Spot};
use crate::foundation::ids::MAX_NOTE;
use crate::foundation::ids::{self, PerkSlug};
use crate::foundation::json::Json;
use crate::perks::catalog::MAX_NAME;
use crate::perks::purpose::Purpose;

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
            Err(issues) => Err(CliError::Faulty(document.faults("", issues))),
        }
    }

    fn parse(json: &Json) -> Result<Self, Vec<Issue>> {
        let mut issues = Issues::default();
        let read = Self::read(&Spot::root(json), &mut issues);
        issues.unless_any(read)
    }

    fn read(spot: &Spot, issues: &mut Issues) -> Option<Self> {
        let fields = spot.fields(&["perk", "name", "purpose", "rule", "publish", "change_note"], issues)?;
        let perk = fields.required("perk", issues).and_then(|spot| slug(&spot, issues));
        let name = fields.required("name", issues).and_then(|spot| label(&spot, MAX_NAME, issues));
        let purpose = fields.or("purpose", None, |spot| self::purpose(&spot, issues).map(Some));
        let rule = fields.required("rule", issues).map(|spot| spot.json().clone());
        let publish = fields.or("publish", false, |spot| spot.boolean(issues));
        let change_note = fields.or("change_note", None, |spot| label(&spot, MAX_NOTE, issues).map(Some));
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

fn slug(spot: &Spot, issues: &mut Issues) -> Option<PerkSlug> {
    match spot.text(issues)?.parse() {
        Ok(slug) => Some(slug),
        Err(error) => spot.refuse(issues, "bad_form", ids::NameError::to_string(&error)),
    }
}

fn purpose(spot: &Spot, issues: &mut Issues) -> Option<Purpose> {
    match Purpose::parse(spot.text(issues)?) {
        Ok(purpose) => Some(purpose),
        Err(error) => spot.refuse(issues, error.code(), error.to_string()),
    }
}

fn label(spot: &Spot, max: usize, issues: &mut Issues) -> Option<String> {
    let Some(text) = spot.json().as_text() else {
        return spot.refuse(issues, "wrong_type", format!("this must be text, and is {}", spot.json().kind()));
    };
    match ids::label(text, max) {
        Ok(label) => Some(label),
        Err(error) => spot.refuse(issues, "bad_form", error.to_string()),
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
    fn everything_wrong_is_told_with_its_pointer() {
        let pointers = |text: &str| -> Vec<String> {
            PerkFile::parse(&Json::parse(text).unwrap())
                .unwrap_err()
                .into_iter()
                .map(|issue| format!("{} {}", issue.pointer, issue.code))
                .collect()
        };
        assert_eq!(
            pointers(r#"{"perk":"SFO","rule":{},"publish":"yes","limit":1}"#),
            ["/limit unknown_field", "/perk bad_form", "/name missing", "/publish wrong_type"]
        );
        assert_eq!(pointers(r#"{"perk":"a","name":"A","rule":{},"purpose":"housing"}"#), ["/purpose purpose_refused"]);
        assert_eq!(pointers(r#"{"perk":"a","name":"A","rule":{},"purpose":"fun"}"#), ["/purpose unknown_purpose"]);
        assert_eq!(pointers("[]"), [" wrong_type"]);
    }
}
