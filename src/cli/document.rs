//! A file of YAML or JSON that a person wrote, and the line for every spot in it.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::CliError;
use crate::foundation::document::Issue;
use crate::foundation::json::{Json, JsonError, LooseJson};
use crate::foundation::unicode::text_without_bom;
use crate::foundation::yaml::{self, Mark, YamlError};

/// One file, read.
#[derive(Debug)]
pub(super) struct Document {
    pub path: PathBuf,
    loose: LooseJson,
    text: String,
}

/// A fault in a file, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// None for standard input.
    pub file: Option<PathBuf>,
    pub mark: Option<Mark>,
    /// Its pointer goes from the file's root.
    pub issue: Issue,
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

    fn of(path: &Path, text: String, read: Result<LooseJson, (Issue, Option<Mark>)>) -> Result<Self, CliError> {
        let path = path.to_owned();
        match read {
            Ok(loose) => Ok(Self { path, loose, text }),
            Err((issue, mark)) => {
                let mark = mark.or_else(|| place_of(&text, &issue.pointer));
                let file = named(&path);
                Err(CliError::Faulty(vec![Fault { file, mark, issue }]))
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

    /// Issues whose pointers go from `root`, each with its place.
    pub(super) fn faults(&self, root: &str, issues: Vec<Issue>) -> Vec<Fault> {
        let pointers: Vec<String> = issues.iter().map(|issue| format!("{root}{}", issue.pointer)).collect();
        let marks = yaml::locate(&self.text, pointers.iter().map(String::as_str));
        let fault = |(issue, pointer): (Issue, &String)| Fault {
            file: named(&self.path),
            mark: marks.get(pointer.as_str()).copied(),
            issue: Issue { pointer: pointer.clone(), ..issue },
        };
        issues.into_iter().zip(&pointers).map(fault).collect()
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

/// The path by which complaints name a file.
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

fn of_yaml(YamlError { mark, fault }: YamlError) -> (Issue, Option<Mark>) {
    (Issue { pointer: String::new(), code: "malformed", detail: fault.to_string() }, Some(mark))
}

fn of_json(error: &JsonError) -> (Issue, Option<Mark>) {
    (Issue { pointer: error.pointer().to_owned(), code: "malformed", detail: error.to_string() }, None)
}

/// A complaint about the whole of a text names its own line, or needs none.
fn place_of(text: &str, pointer: &str) -> Option<Mark> {
    if pointer.is_empty() { None } else { yaml::locate(text, [pointer]).remove(pointer) }
}
