//! A file of YAML or JSON that a person wrote, and the line of every field in it.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write as _};
use std::path::{Path, PathBuf};

use super::error::CliError;
use crate::foundation::field_error::{FieldError, FieldPath};
use crate::foundation::json::{Json, JsonError, LooseJson};
use crate::foundation::unicode::text_without_bom;
use crate::foundation::yaml::{self, Mark, YamlError};

/// Writes a new file, and never over one that someone made meanwhile.
///
/// # Errors
/// [`CliError::FileExists`], and [`CliError::Unwritable`].
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), CliError> {
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    made.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => CliError::FileExists(path.to_owned()),
        _ => CliError::Unwritable { path: path.to_owned(), why: error.to_string() },
    })
}

/// One file, read.
#[derive(Debug)]
pub(super) struct Document {
    pub path: PathBuf,
    loose: LooseJson,
    text: String,
}

impl Document {
    /// Reads the file at `path`, or standard input for `-`: YAML by its name, JSON otherwise; standard
    /// input may be either.
    ///
    /// # Errors
    /// [`CliError::Unreadable`], and [`CliError::Faulty`] when it is neither.
    pub(super) fn open(path: &Path, max_bytes: u64) -> Result<Self, CliError> {
        let text = read_bounded(path, max_bytes)?;
        let read = if is_yaml(path, &text) {
            yaml::read(&text).map_err(of_yaml)
        } else {
            Json::parse(&text).map_err(|error| of_json(&error))
        };
        Self::of(path, text, read.map(LooseJson::from))
    }

    /// The same, of a file in which a number may be one that no rule can compare.
    ///
    /// # Errors
    /// As [`Document::open`].
    pub(super) fn open_loose(path: &Path, max_bytes: u64) -> Result<Self, CliError> {
        let text = read_bounded(path, max_bytes)?;
        let read = if is_yaml(path, &text) {
            yaml::read_loose(&text).map_err(of_yaml)
        } else {
            LooseJson::parse(&text).map_err(|error| of_json(&error))
        };
        Self::of(path, text, read)
    }

    fn of(path: &Path, text: String, read: Result<LooseJson, FieldError>) -> Result<Self, CliError> {
        let path = path.to_owned();
        match read {
            Ok(loose) => Ok(Self { path, loose, text }),
            Err(mut error) => {
                error.path.position = error.path.position.or_else(|| position_of(&text, error.path.as_str()));
                error.path.file = named(&path);
                Err(CliError::Faulty(vec![error]))
            }
        }
    }

    /// Its content.
    pub(super) const fn json(&self) -> &Json {
        &self.loose.json
    }

    /// Its content, with the numbers in it that can't be taken.
    pub(super) const fn loose(&self) -> &LooseJson {
        &self.loose
    }

    /// The errors of what stands at `root` in this file, each with its position in it.
    pub(super) fn located(&self, root: &str, errors: Vec<FieldError>) -> Vec<FieldError> {
        let mut errors: Vec<FieldError> = errors.into_iter().map(|error| error.below(root)).collect();
        let pointers: Vec<String> = errors.iter().map(|error| error.path.to_string()).collect();
        let marks = yaml::locate(&self.text, pointers.iter().map(String::as_str));
        for (error, pointer) in errors.iter_mut().zip(&pointers) {
            error.path.file = named(&self.path);
            error.path.position = marks.get(pointer.as_str()).copied();
        }
        errors
    }

    /// The lines that these pointers stand on, in their order.
    pub(super) fn lines(&self, pointers: &[&str]) -> Vec<Option<usize>> {
        let marks = yaml::locate(&self.text, pointers.iter().copied());
        pointers.iter().map(|pointer| marks.get(pointer).map(|mark| mark.line)).collect()
    }
}

/// Standard input is YAML unless it begins like JSON.
fn is_yaml(path: &Path, text: &str) -> bool {
    if path == Path::new("-") { !text.trim_start().starts_with(['{', '[']) } else { has_yaml_name(path) }
}

/// The path by which errors name a file; none of standard input.
fn named(path: &Path) -> Option<PathBuf> {
    (path != Path::new("-")).then(|| path.to_owned())
}

/// Tells whether the name of a file says that it is YAML.
pub(super) fn has_yaml_name(path: &Path) -> bool {
    path.extension().is_some_and(|it| it.eq_ignore_ascii_case("yaml") || it.eq_ignore_ascii_case("yml"))
}

fn read_bounded(path: &Path, max_bytes: u64) -> Result<String, CliError> {
    let unreadable = |why: String| CliError::Unreadable { path: path.to_owned(), why };
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(max_bytes + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(max_bytes + 1).read_to_string(&mut text))
    };
    read.map_err(|e| unreadable(e.to_string()))?;
    if text.len() as u64 > max_bytes {
        return Err(unreadable(format!("it is larger than {max_bytes} bytes")));
    }
    Ok(text_without_bom(&text).to_owned())
}

fn of_yaml(YamlError { mark, fault }: YamlError) -> FieldError {
    let path = FieldPath { position: Some(mark), ..FieldPath::pointer("") };
    FieldError { path, code: "malformed", detail: fault.to_string() }
}

fn of_json(error: &JsonError) -> FieldError {
    FieldError::at(error.pointer(), "malformed", error.to_string())
}

/// Finds the field in the text. An error about the whole of it names its own line, or needs none.
fn position_of(text: &str, pointer: &str) -> Option<Mark> {
    if pointer.is_empty() { None } else { yaml::locate(text, [pointer]).remove(pointer) }
}
