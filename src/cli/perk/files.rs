//! Perk files and case files, by name or by the directory: read together, refused together.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::file::PerkFile;
use crate::cli::document::Document;
use crate::cli::error::CliError;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::PerkSlug;
use crate::rules::rule::Rule;

/// A perk file whose rule could be read.
#[derive(Debug)]
pub(super) struct Sheet {
    pub document: Document,
    pub file: PerkFile,
    pub rule: Rule,
}

/// Which files of a directory are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Perks,
    /// `lounge.test.yaml`, beside `lounge.yaml`.
    Cases,
}

impl Kind {
    const fn what(self) -> &'static str {
        match self {
            Self::Perks => "perk file",
            Self::Cases => "file of cases (`*.test.yaml`)",
        }
    }

    /// Judged by the name alone. Hidden files are the tools', not the merchant's.
    fn takes(self, name: &str) -> bool {
        let stem = [".yaml", ".yml", ".json"].into_iter().find_map(|ending| name.strip_suffix(ending));
        stem.is_some_and(|stem| {
            !stem.is_empty() && !stem.starts_with('.') && is_of_cases(stem) == (self == Self::Cases)
        })
    }
}

/// Tells whether a name, its ending taken off, is that of a file of cases.
pub(super) fn is_of_cases(stem: &str) -> bool {
    stem.strip_suffix(".test").is_some()
}

impl Sheet {
    /// Reads a perk file and its rule.
    ///
    /// # Errors
    /// [`CliError::Unreadable`], and [`CliError::Faulty`] with all that is wrong.
    pub(super) fn open(path: &Path) -> Result<Self, CliError> {
        let (document, file) = PerkFile::open(path)?;
        match Rule::parse(&file.rule, file.perk.as_str()) {
            Ok(rule) => Ok(Self { document, file, rule }),
            Err(errors) => Err(CliError::Faulty(document.located("/rule", errors))),
        }
    }
}

/// The files that are meant by `paths`, those of a directory by name.
///
/// # Errors
/// [`CliError::Unreadable`], and [`CliError::NoFiles`] for a directory without any: more likely a
/// mistyped path than an empty wish.
pub(super) fn expand(paths: &[PathBuf], kind: Kind) -> Result<Vec<PathBuf>, CliError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = in_directory(path, kind)?;
            if found.is_empty() {
                return Err(CliError::NoFiles { path: path.clone(), what: kind.what() });
            }
            files.extend(found);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// The files right in a directory, by name; what lies in directories below is left alone.
///
/// # Errors
/// [`CliError::Unreadable`].
pub(super) fn in_directory(directory: &Path, kind: Kind) -> Result<Vec<PathBuf>, CliError> {
    let unreadable = |e: std::io::Error| CliError::Unreadable { path: directory.to_owned(), why: e.to_string() };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_meant = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| kind.takes(name));
        if is_meant && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Opens every perk file that is meant; one perk has one file.
///
/// # Errors
/// All that is wrong with any of them.
pub(super) fn open_all(paths: &[PathBuf]) -> Result<Vec<Sheet>, CliError> {
    let files = expand(paths, Kind::Perks)?;
    let (sheets, mut wrong) = each(&files);
    wrong.extend(doubles(&sheets));
    if wrong.is_empty() { Ok(sheets) } else { Err(CliError::Several(wrong)) }
}

/// The files that can be taken, and what is wrong with the others.
pub(super) fn each(files: &[PathBuf]) -> (Vec<Sheet>, Vec<CliError>) {
    let mut sheets = Vec::new();
    let mut wrong = Vec::new();
    for path in files {
        match Sheet::open(path) {
            Ok(sheet) => sheets.push(sheet),
            Err(error) => wrong.push(error),
        }
    }
    (sheets, wrong)
}

fn doubles(sheets: &[Sheet]) -> Option<CliError> {
    let mut first: HashMap<&PerkSlug, &Path> = HashMap::new();
    let mut errors: Vec<FieldError> = Vec::new();
    for sheet in sheets {
        if let Some(other) = first.get(&sheet.file.perk) {
            let detail = format!("{} is about the perk `{}` too: keep one of them", other.display(), sheet.file.perk);
            let error = FieldError::at("/perk", "repeated", detail);
            errors.extend(sheet.document.located("", vec![error]));
        } else {
            first.insert(&sheet.file.perk, &sheet.document.path);
        }
    }
    (!errors.is_empty()).then_some(CliError::Faulty(errors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perks_and_cases_are_distinguished_by_name() {
        for (name, perks, cases) in [
            ("lounge.yaml", true, false),
            ("lounge.yml", true, false),
            ("lounge.json", true, false),
            ("lounge.test.yaml", false, true),
            ("lounge.test.json", false, true),
            (".lounge.yaml", false, false),
            (".yaml", false, false),
            ("lounge.yaml~", false, false),
            ("README.md", false, false),
        ] {
            assert_eq!((Kind::Perks.takes(name), Kind::Cases.takes(name)), (perks, cases), "{name}");
        }
    }
}
