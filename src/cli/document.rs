//! A file of YAML or JSON that a person wrote, and the line for every spot in it.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::CliError;
use crate::foundation::document::Issue;
use crate::foundation::json::{Json, JsonError};
use crate::foundation::unicode::text_without_bom;
use crate::foundation::yaml::{self, Mark, YamlError};

/// One file, read.
#[derive(Debug)]
pub(super) struct Document {
    pub path: PathBuf,
    pub json: Json,
    text: String,
    /// One of several: complaints name the file.
    is_one_of_many: bool,
}

/// A fault in a file, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// None where only one file was given.
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
    pub(super) fn open(path: &Path, max_bytes: u64, is_one_of_many: bool) -> Result<Self, CliError> {
        let text = read_bounded(path, max_bytes)?;
        let is_yaml =
            if path == Path::new("-") { !text.trim_start().starts_with(['{', '[']) } else { has_yaml_name(path) };
        let read = if is_yaml {
            yaml::read(&text).map_err(of_yaml)
        } else {
            Json::parse(&text).map_err(|error| of_json(&error))
        };
        let path = path.to_owned();
        match read {
            Ok(json) => Ok(Self { path, json, text, is_one_of_many }),
            Err((issue, mark)) => {
                let mark = mark.or_else(|| place_of(&text, &issue.pointer));
                let file = is_one_of_many.then_some(path);
                Err(CliError::Faulty(vec![Fault { file, mark, issue }]))
            }
        }
    }

    /// Issues whose pointers go from `root`, each with its place.
    pub(super) fn faults(&self, root: &str, issues: Vec<Issue>) -> Vec<Fault> {
        let pointers: Vec<String> = issues.iter().map(|issue| format!("{root}{}", issue.pointer)).collect();
        let marks = yaml::locate(&self.text, pointers.iter().map(String::as_str));
        let fault = |(issue, pointer): (Issue, &String)| Fault {
            file: self.is_one_of_many.then(|| self.path.clone()),
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
