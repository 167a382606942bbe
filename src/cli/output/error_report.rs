//! The report of an error: one thing that is wrong, its place, and what to try.

use std::path::Path;

use crate::foundation::field_error::{FieldError, FieldPath, FieldTarget};

/// One thing that is wrong, as it is reported.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct ErrorReport {
    pub detail: String,
    /// The field that it is about, where it is about one; it stands in `detail` too.
    #[serde(flatten)]
    pub path: Option<FieldPath>,
    /// A stable code, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    #[serde(rename = "try", skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl ErrorReport {
    /// The report of a field of a document, as compilers write it, `lounge.yaml:3:5: …`; of standard input the field
    /// comes first.
    pub(crate) fn of_field(error: &FieldError) -> Self {
        let FieldError { path, code, detail } = error;
        let field = if path.as_str().is_empty() { "the file" } else { path.as_str() };
        let text = match (&path.file, path.position) {
            (Some(file), Some(mark)) => format!("{}:{}:{}: {field}: {detail}", file.display(), mark.line, mark.column),
            (Some(file), None) => format!("{}: {field}: {detail}", file.display()),
            (None, Some(mark)) => format!("{field}: {detail} ({mark})"),
            (None, None) => format!("{field}: {detail}"),
        };
        Self { detail: text, path: Some(path.clone()), code: Some(code), remedy: remedy_of(code) }
    }

    /// The report of a field of what a flag brought as JSON.
    pub(crate) fn of_json_flag(flag: &str, error: &FieldError) -> Self {
        let field = format!("{flag} {}", error.path.as_str());
        let detail = format!("{}: {}", field.trim_end(), error.detail);
        Self { detail, path: Some(error.path.clone()), code: Some(error.code), ..Self::default() }
    }

    /// The report of a field that was given as a flag.
    pub(crate) fn of_flag(error: &FieldError) -> Self {
        let name = match error.path.as_str() {
            "/expires_at" => "expires",
            "/time_zone" => "time-zone",
            "/max_age" => "max-age",
            "/on_missing" => "on-missing",
            "" => return Self { detail: error.detail.clone(), code: Some(error.code), ..Self::default() },
            pointer => pointer.trim_start_matches('/'),
        };
        Self { detail: format!("--{name}: {}", error.detail), code: Some(error.code), ..Self::default() }
    }

    /// The same, which names the file if it doesn't yet.
    pub(crate) fn in_file(self, file: &Path) -> Self {
        let path = self.path.unwrap_or(FieldPath { target: FieldTarget::File, file: None, position: None });
        if path.file.is_some() {
            return Self { path: Some(path), ..self };
        }
        let detail = format!("{}: {}", file.display(), self.detail);
        Self { detail, path: Some(FieldPath { file: Some(file.to_owned()), ..path }), ..self }
    }
}

/// The remedy against an error that a command mends.
fn remedy_of(code: &str) -> Option<String> {
    let words = match code {
        "unknown_source" => "`perkgate source list` shows the sources, `perkgate source create` makes one",
        _ => return None,
    };
    Some(words.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_the_field_and_the_file_that_are_known() {
        let json = |report: &ErrorReport| serde_json::to_string(report).unwrap();
        let plain = ErrorReport { detail: "no".to_owned(), remedy: Some("yes".to_owned()), ..ErrorReport::default() };
        assert_eq!(json(&plain), r#"{"detail":"no","try":"yes"}"#);
        let of_file = plain.in_file(Path::new("a.yaml"));
        assert_eq!(json(&of_file), r#"{"detail":"a.yaml: no","file":"a.yaml","try":"yes"}"#);
        assert_eq!(of_file.clone().in_file(Path::new("b.yaml")), of_file);

        let field = ErrorReport::of_field(&FieldError::at("/a", "bad_form", "use b").below("/rule"));
        assert_eq!(json(&field), r#"{"detail":"/rule/a: use b","pointer":"/rule/a","code":"bad_form"}"#);
        let whole = ErrorReport::of_field(&FieldError::at("", "malformed", "not JSON"));
        assert_eq!(json(&whole), r#"{"detail":"the file: not JSON","pointer":"","code":"malformed"}"#);
        assert_eq!(
            json(&field.in_file(Path::new("a.yaml"))),
            r#"{"detail":"a.yaml: /rule/a: use b","pointer":"/rule/a","file":"a.yaml","code":"bad_form"}"#
        );
        let flag = ErrorReport::of_flag(&FieldError::at("/expires_at", "in_the_past", "later"));
        assert_eq!(json(&flag), r#"{"detail":"--expires: later","code":"in_the_past"}"#);
    }
}
