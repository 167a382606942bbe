//! Models and signals in files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::cli::document::Document;
use crate::cli::error::CliError;
use crate::foundation::field_error::{FieldError, FieldPath, FieldTarget};
use crate::foundation::yaml::Mark;
use crate::scoring::default_model::default_model;
use crate::scoring::lines;
use crate::scoring::lint::lint;
use crate::scoring::model::Model;
use crate::scoring::observation::Observation;

/// The largest model that is read: far beyond any.
const LARGEST_MODEL: u64 = 1 << 20;

/// The longest line of signals.
const LONGEST_LINE: u64 = 16 << 10;

/// The most lines whose faults are reported.
const MOST_FAULTS: usize = 20;

/// The observations about each person.
pub(super) type Signals = BTreeMap<String, Vec<Observation>>;

/// Reads a model, whatever `lint` says of it.
///
/// # Errors
/// [`CliError::Unreadable`] and [`CliError::Faulty`].
pub(super) fn model(path: &Path) -> Result<Model, CliError> {
    let document = Document::open(path, LARGEST_MODEL)?;
    Model::read(document.json()).map_err(|errors| CliError::Faulty(document.located("", errors)))
}

/// Reads a model that may score.
///
/// # Errors
/// As [`model`], and with what `lint` finds.
pub(super) fn sound_model(path: &Path) -> Result<Model, CliError> {
    let document = Document::open(path, LARGEST_MODEL)?;
    let read = Model::read(document.json()).and_then(|model| {
        let errors = lint(&model);
        if errors.is_empty() { Ok(model) } else { Err(errors) }
    });
    read.map_err(|errors| CliError::Faulty(document.located("", errors)))
}

/// The model of a file, or the one that is shipped.
///
/// # Errors
/// As [`sound_model`].
pub(super) fn model_or_shipped(path: Option<&Path>) -> Result<Model, CliError> {
    path.map_or_else(|| default_model().map_err(CliError::Faulty), sound_model)
}

/// Reads signals, one JSON object a line: those about `subject`, or about everybody. Nothing may lie ahead of `until`.
///
/// # Errors
/// [`CliError::Unreadable`], and [`CliError::Faulty`] with the lines that can't be taken.
pub(super) fn signals(path: &Path, subject: Option<&str>, until: Timestamp) -> Result<Signals, CliError> {
    let unreadable = |error: std::io::Error| CliError::Unreadable { path: path.to_owned(), why: error.to_string() };
    let mut reader: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(path).map_err(unreadable)?))
    };
    let (mut signals, mut faults, mut line) = (Signals::new(), Vec::new(), Vec::new());
    for nth in 1.. {
        line.clear();
        let mut bounded = std::io::Read::take(&mut reader, LONGEST_LINE);
        if bounded.read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
            break;
        }
        if !line.ends_with(b"\n") && line.len() as u64 >= LONGEST_LINE {
            faults.push(fault(path, nth, format!("the line is longer than {LONGEST_LINE} bytes")));
            break;
        }
        let read = std::str::from_utf8(&line).map_err(|_| "it is not UTF-8".to_owned());
        match read.map(str::trim).and_then(|text| {
            if text.is_empty() { Ok(None) } else { lines::read(text, until).map(Some).map_err(|it| it.to_string()) }
        }) {
            Ok(Some((of, observation))) if subject.is_none_or(|subject| subject == of) => {
                signals.entry(of).or_default().push(observation);
            }
            Ok(_) => {}
            Err(detail) => faults.push(fault(path, nth, detail)),
        }
        if faults.len() >= MOST_FAULTS {
            break;
        }
    }
    if faults.is_empty() { Ok(signals) } else { Err(CliError::Faulty(faults)) }
}

fn fault(path: &Path, line: usize, detail: String) -> FieldError {
    let file: Option<PathBuf> = (path != Path::new("-")).then(|| path.to_owned());
    let path = FieldPath { target: FieldTarget::File, file, position: Some(Mark { line, column: 1 }) };
    FieldError { path, code: "bad_signal", detail }
}
