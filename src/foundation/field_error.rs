//! One field of an input that can't be taken as it is: its path, a stable code, and the way to fix it.
//!
//! Every reader of input reports with these: rules and perk files, contexts, API keys, request bodies and queries.

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::yaml::Mark;

/// The path to a field: into a document by JSON pointer, or to a parameter by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath {
    pub target: FieldTarget,
    /// The file it stands in, where several were given.
    pub file: Option<PathBuf>,
    /// Its line and column, where it was read from a file.
    pub position: Option<Mark>,
}

/// The field itself, without the file around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldTarget {
    /// A JSON pointer (RFC 6901) from the root of the document; empty for the whole of it.
    Pointer(String),
    /// The name of a parameter of a query or a form.
    Parameter(String),
    /// The file as such, where nothing in it can be pointed at.
    File,
}

impl FieldPath {
    /// The path to a field of a document.
    pub fn pointer(pointer: impl Into<String>) -> Self {
        Self { target: FieldTarget::Pointer(pointer.into()), file: None, position: None }
    }

    /// The path to a parameter.
    pub fn parameter(name: impl Into<String>) -> Self {
        Self { target: FieldTarget::Parameter(name.into()), file: None, position: None }
    }

    /// The pointer or the parameter's name; empty for a file as such.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.target {
            FieldTarget::Pointer(text) | FieldTarget::Parameter(text) => text,
            FieldTarget::File => "",
        }
    }

    /// The same field, seen from a document that holds this one at `root`. Parameters and files have none around them.
    #[must_use]
    pub fn below(self, root: &str) -> Self {
        let target = match self.target {
            FieldTarget::Pointer(pointer) => FieldTarget::Pointer(format!("{root}{pointer}")),
            other => other,
        };
        Self { target, ..self }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The members `pointer` or `parameter`, and `file`, `line` and `column` where they are known.
impl Serialize for FieldPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Members<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            pointer: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            parameter: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            file: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            line: Option<usize>,
            #[serde(skip_serializing_if = "Option::is_none")]
            column: Option<usize>,
        }
        let (pointer, parameter) = match &self.target {
            FieldTarget::Pointer(pointer) => (Some(pointer.as_str()), None),
            FieldTarget::Parameter(name) => (None, Some(name.as_str())),
            FieldTarget::File => (None, None),
        };
        let file = self.file.as_ref().map(|file| file.display().to_string());
        let (line, column) = (self.position.map(|it| it.line), self.position.map(|it| it.column));
        Members { pointer, parameter, file, line, column }.serialize(serializer)
    }
}

/// One field that is wrong; in a list of warnings, one that can be taken and is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    #[serde(flatten)]
    pub path: FieldPath,
    /// A stable code: `missing`, `unknown_field`, `wrong_type` …
    pub code: &'static str,
    /// The fault, and the way to fix it.
    pub detail: String,
}

impl FieldError {
    /// A field of a document.
    pub fn at(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { path: FieldPath::pointer(pointer), code, detail: detail.into() }
    }

    /// A parameter of a query or a form.
    pub fn of_parameter(name: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { path: FieldPath::parameter(name), code, detail: detail.into() }
    }

    /// The same error, seen from a document that holds this one at `root`.
    #[must_use]
    pub fn below(self, root: &str) -> Self {
        Self { path: self.path.below(root), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_members_of_the_error_and_names_only_what_is_known() {
        let json = |error: &FieldError| serde_json::to_string(error).unwrap();
        let error = FieldError::at("/tiers/0", "missing", "say it").below("/rule");
        assert_eq!(json(&error), r#"{"pointer":"/rule/tiers/0","code":"missing","detail":"say it"}"#);
        assert_eq!(json(&FieldError::at("", "empty", "x")), r#"{"pointer":"","code":"empty","detail":"x"}"#);
        let parameter = FieldError::of_parameter("to", "bad_form", "a day").below("/rule");
        assert_eq!(json(&parameter), r#"{"parameter":"to","code":"bad_form","detail":"a day"}"#);
        let path = FieldPath {
            file: Some("a.yaml".into()),
            position: Some(Mark { line: 3, column: 5 }),
            ..FieldPath::pointer("/perk")
        };
        assert_eq!(serde_json::to_string(&path).unwrap(), r#"{"pointer":"/perk","file":"a.yaml","line":3,"column":5}"#);
    }
}
