//! A rule as text that someone writes in a page: YAML or JSON, with the line of everything that is wrong.

use crate::foundation::field_error::FieldError;
use crate::foundation::json::Json;
use crate::foundation::unicode::text_without_bom;
use crate::foundation::yaml;
use crate::web::problem::sentence;

/// The longest text of a rule, in bytes: far beyond any rule, and within what a form may send.
pub(super) const MAX_TEXT: usize = 48 * 1024;

/// Something that is wrong or odd, where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub line: Option<usize>,
    pub pointer: String,
    pub detail: String,
}

/// Reads the text.
///
/// # Errors
/// The finding that makes it no YAML and no JSON.
pub(super) fn read(text: &str) -> Result<Json, Finding> {
    let text = text_without_bom(text);
    let whole = |line, pointer: &str, detail| Finding { line, pointer: pointer.to_owned(), detail };
    if text.len() > MAX_TEXT {
        return Err(whole(None, "", format!("The text is longer than {MAX_TEXT} bytes, which no rule needs.")));
    }
    if text.trim().is_empty() {
        return Err(whole(None, "", "There is no rule yet.".to_owned()));
    }
    if text.trim_start().starts_with('{') {
        return Json::parse(text).map_err(|error| {
            let line = yaml::locate(text, [error.pointer()]).remove(error.pointer()).map(|mark| mark.line);
            whole(line.filter(|_| !error.pointer().is_empty()), error.pointer(), said(&error.to_string()))
        });
    }
    yaml::read(text).map_err(|error| whole(Some(error.mark.line), "", said(&error.fault.to_string())))
}

/// The errors of a rule with the lines of `text` that they are about.
pub(super) fn located(text: &str, errors: &[FieldError]) -> Vec<Finding> {
    let marks = yaml::locate(text, errors.iter().map(|error| error.path.as_str()));
    let finding = |error: &FieldError| {
        let pointer = error.path.as_str();
        Finding {
            line: marks.get(pointer).map(|mark| mark.line),
            pointer: pointer.to_owned(),
            detail: said(&error.detail),
        }
    };
    errors.iter().map(finding).collect()
}

/// The text as a sentence of a page, with quotation marks around what the API marks as code.
pub(super) fn said(text: &str) -> String {
    let mut parts = text.split('`');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for (nth, part) in parts.enumerate() {
        out.push(if nth % 2 == 0 { '“' } else { '”' });
        out.push_str(part);
    }
    sentence(&out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_are_both_read() {
        let expected = Json::parse(r#"{"at_least":40}"#).unwrap();
        for text in ["at_least: 40\n", "\u{feff}at_least: 40", r#" {"at_least": 40}"#, "# ours\nat_least: 40"] {
            assert_eq!(read(text), Ok(expected.clone()), "{text}");
        }
    }

    #[test]
    fn what_is_neither_says_where() {
        assert_eq!(read(" ").unwrap_err().detail, "There is no rule yet.");
        assert!(read("a: 1\nb: [1\n").unwrap_err().line.is_some());
        assert!(read(r#"{"a": }"#).unwrap_err().detail.starts_with("Not valid JSON"));
        assert!(read(&"#".repeat(MAX_TEXT + 1)).unwrap_err().detail.contains("longer"));
    }

    #[test]
    fn an_error_has_the_line_it_is_about() {
        let text = "score: klout\nat_least: 400\n";
        let errors = [FieldError::at("/at_least", "off_scale", "no score of `klout` reaches `standard`")];
        let found = located(text, &errors);
        assert_eq!((found[0].line, found[0].detail.as_str()), (Some(2), "No score of “klout” reaches “standard”."));
    }
}
