//! The report of an error: one thing that is wrong, its place, and what to try.

use crate::access::Flaw;
use crate::cli::document::Fault;
use crate::foundation::document::Issue;

/// One thing that is wrong, as it is reported.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Complaint {
    pub detail: String,
    /// Where in the file that was given (RFC 6901); it stands in `detail` too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Which file; it stands in `detail` too, as line and column do.
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
        Self { detail: format!("{file}: {}", self.detail), file: Some(file.to_owned()), ..self }
    }
}

pub(crate) fn complaint_at(root: &str, issue: &Issue) -> Complaint {
    let pointer = format!("{root}{}", issue.pointer);
    let spot = if pointer.is_empty() { "the file" } else { &pointer };
    let detail = format!("{spot}: {}", issue.detail);
    Complaint {
        detail,
        pointer: Some(pointer),
        code: Some(issue.code),
        remedy: remedy_of(issue.code),
        ..Complaint::default()
    }
}

/// The remedy against an issue that a command mends.
fn remedy_of(code: &str) -> Option<String> {
    let words = match code {
        "unknown_source" => "`perkgate source list` shows the sources, `perkgate source create` makes one",
        _ => return None,
    };
    Some(words.to_owned())
}

/// Something wrong with what a flag brought as JSON.
pub(crate) fn complaint_of_json(flag: &str, issue: &Issue) -> Complaint {
    let spot = format!("{flag} {}", issue.pointer);
    let detail = format!("{}: {}", spot.trim_end(), issue.detail);
    let pointer = Some(issue.pointer.clone());
    Complaint { detail, pointer, code: Some(issue.code), ..Complaint::default() }
}

/// As compilers write it, `lounge.yaml:3:5: …`; of standard input the spot comes first.
pub(crate) fn complaint_of_fault(fault: &Fault) -> Complaint {
    let file = fault.file.as_ref().map(|file| file.display().to_string());
    let plain = complaint_at("", &fault.issue);
    let detail = match (&file, fault.mark) {
        (Some(file), Some(mark)) => format!("{file}:{}:{}: {}", mark.line, mark.column, plain.detail),
        (Some(file), None) => format!("{file}: {}", plain.detail),
        (None, Some(mark)) => format!("{} ({mark})", plain.detail),
        (None, None) => plain.detail,
    };
    Complaint { detail, file, line: fault.mark.map(|it| it.line), column: fault.mark.map(|it| it.column), ..plain }
}

/// A field that doesn't fit was given as a flag.
pub(crate) fn complaint_of_flag(flaw: &Flaw) -> Complaint {
    let name = match flaw.pointer {
        "/expires_at" => "expires",
        "/time_zone" => "time-zone",
        pointer => pointer.trim_start_matches('/'),
    };
    Complaint { detail: format!("--{name}: {}", flaw.detail), code: Some(flaw.code), ..Complaint::default() }
}
