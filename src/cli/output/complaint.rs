//! The report of an error: one thing that is wrong, its place, and what to try.

use crate::access::Flaw;
use crate::cli::document::Fault;
use crate::foundation::document::Issue;

/// One thing that is wrong, as it is reported.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Complaint {
    pub error: String,
    /// Where in the file that was given (RFC 6901); it stands in `error` too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Which file, where several were given; it stands in `error` too, as line and column do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// A stable code, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    #[serde(rename = "try", skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Complaint {
    /// The same, which says the file if it doesn't yet.
    pub(crate) fn in_file(self, file: &str) -> Self {
        if self.file.is_some() {
            return self;
        }
        Self { error: format!("{file}: {}", self.error), file: Some(file.to_owned()), ..self }
    }
}

pub(crate) fn complaint_at(root: &str, issue: &Issue) -> Complaint {
    let pointer = format!("{root}{}", issue.pointer);
    let spot = if pointer.is_empty() { "the file" } else { &pointer };
    let error = format!("{spot}: {}", issue.detail);
    Complaint { error, pointer: Some(pointer), code: Some(issue.code), ..Complaint::default() }
}

/// As compilers write it where there are several files, `lounge.yaml:3:5: …`; with one, the spot comes first.
pub(crate) fn complaint_of_fault(fault: &Fault) -> Complaint {
    let file = fault.file.as_ref().map(|file| file.display().to_string());
    let plain = complaint_at("", &fault.issue);
    let error = match (&file, fault.mark) {
        (Some(file), Some(mark)) => format!("{file}:{}:{}: {}", mark.line, mark.column, plain.error),
        (Some(file), None) => format!("{file}: {}", plain.error),
        (None, Some(mark)) => format!("{} ({mark})", plain.error),
        (None, None) => plain.error,
    };
    Complaint { error, file, line: fault.mark.map(|it| it.line), column: fault.mark.map(|it| it.column), ..plain }
}

/// A field that doesn't fit was given as a flag.
pub(crate) fn complaint_of_flag(flaw: &Flaw) -> Complaint {
    let name = match flaw.pointer {
        "/expires_at" => "expires",
        "/time_zone" => "time-zone",
        pointer => pointer.trim_start_matches('/'),
    };
    Complaint { error: format!("--{name}: {}", flaw.detail), code: Some(flaw.code), ..Complaint::default() }
}
