//! Where values come from and which one wins: flag, variable, file, TOML, default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::{Origin, SettingError};
use super::table::{self, OTHER_VARIABLES, PREFIX, Setting, TABLE};
use crate::foundation::nearest::nearest;
use crate::foundation::unicode::text_without_bom;

/// Everything settings are read from. Tests fill it by hand; nothing else touches the process.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--config`; wins over `PERKGATE_CONFIG`.
    pub config: Option<PathBuf>,
    /// Flags that were given: the setting's name (or `NAME_file`) and the value.
    pub flags: Vec<(String, String)>,
    /// The environment; what doesn't begin with `PERKGATE_` is not looked at.
    pub environment: Vec<(String, String)>,
    /// Settings that only a flag may give here.
    pub only_flags: Vec<&'static Setting>,
}

impl Sources {
    /// The flags with the process's own environment.
    #[must_use]
    pub fn of_process(config: Option<PathBuf>, flags: Vec<(String, String)>) -> Self {
        // Not `vars`: it panics on any variable of the machine that isn't UTF-8.
        let environment = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        Self { config, flags, environment, only_flags: Vec::new() }
    }
}

/// A value as it was written, before anybody has judged it.
pub(super) struct Raw {
    pub text: String,
    pub origin: Origin,
}

/// The sources with the TOML file read, and the errors found so far.
pub(super) struct Reader<'a> {
    sources: &'a Sources,
    toml_path: PathBuf,
    toml: BTreeMap<String, String>,
    pub errors: Vec<SettingError>,
    /// Which settings were asked for, and where each came from.
    pub origins: Vec<(&'static Setting, Origin)>,
}

impl<'a> Reader<'a> {
    pub(super) fn open(sources: &'a Sources) -> Self {
        let mut this =
            Self { sources, toml_path: PathBuf::new(), toml: BTreeMap::new(), errors: Vec::new(), origins: Vec::new() };
        let from_variable = || this.variable("PERKGATE_CONFIG").map(PathBuf::from);
        if let Some(path) = sources.config.clone().or_else(from_variable) {
            this.toml_path = path;
            this.read_toml();
        }
        this.refuse_unknown_variables();
        this
    }

    /// The setting's value, parsed; `None` when there is none or it is wrong, which is noted.
    pub(super) fn get<T, E: std::fmt::Display>(
        &mut self,
        setting: &'static Setting,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let raw = self.raw(setting)?;
        self.origins.push((setting, raw.origin.clone()));
        match parse(&raw.text) {
            Ok(value) => Some(value),
            Err(why) => {
                let why = if setting.secret { why.to_string() } else { format!("{why}, not `{}`", raw.text) };
                self.errors.push(SettingError::Wrong { setting, origin: raw.origin, why });
                None
            }
        }
    }

    /// Notes that a setting is missing which another one needs.
    pub(super) fn lacks(&mut self, setting: &'static Setting, why: &str) {
        let is_noted = |error: &SettingError| matches!(error, SettingError::Wrong { setting: of, .. } | SettingError::Unreadable { setting: of, .. } if of.name == setting.name);
        if !self.errors.iter().any(is_noted) {
            self.errors.push(SettingError::Wrong { setting, origin: Origin::Default, why: why.to_owned() });
        }
    }

    fn raw(&mut self, setting: &'static Setting) -> Option<Raw> {
        let file_key = format!("{}_file", setting.name);
        if let Some(text) = self.flag(setting.name) {
            let flag = setting.name.replace('_', "-");
            return Some(Raw { text, origin: Origin::Flag(flag) });
        }
        if let Some(path) = self.flag(&file_key) {
            return self.read_value_file(setting, path, format!("--{}", file_key.replace('_', "-")));
        }
        if self.sources.only_flags.iter().any(|only| only.name == setting.name) {
            return setting.default.map(|text| Raw { text: text.to_owned(), origin: Origin::Default });
        }
        if let Some(text) = self.variable(&setting.variable()) {
            return Some(Raw { text, origin: Origin::Variable(setting.variable()) });
        }
        let file_variable = format!("{}_FILE", setting.variable());
        if let Some(path) = self.variable(&file_variable) {
            return self.read_value_file(setting, path, file_variable);
        }
        if let Some(text) = self.toml.get(setting.name) {
            return Some(Raw { text: text.clone(), origin: Origin::Toml(self.toml_path.clone()) });
        }
        if let Some(path) = self.toml.get(&file_key).cloned() {
            return self.read_value_file(setting, path, self.toml_path.display().to_string());
        }
        setting.default.map(|text| Raw { text: text.to_owned(), origin: Origin::Default })
    }

    fn flag(&self, name: &str) -> Option<String> {
        self.sources.flags.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone())
    }

    /// An empty variable counts as absent: compose files and unit files can't leave one out.
    fn variable(&self, name: &str) -> Option<String> {
        let found = self.sources.environment.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn read_value_file(&mut self, setting: &'static Setting, path: String, named_by: String) -> Option<Raw> {
        let path = PathBuf::from(path);
        let origin = Origin::File { path: path.clone(), named_by };
        match read_bounded(&path) {
            Ok(text) if text.trim().is_empty() => {
                self.errors.push(SettingError::Unreadable { setting, origin, why: "the file is empty".to_owned() });
                None
            }
            Ok(text) => Some(Raw { text: text.trim().to_owned(), origin }),
            Err(why) => {
                self.errors.push(SettingError::Unreadable { setting, origin, why });
                None
            }
        }
    }

    fn read_toml(&mut self) {
        let path = self.toml_path.clone();
        let parsed =
            read_bounded(&path).and_then(|text| text.parse::<toml::Table>().map_err(|e| describe_toml(&e, &text)));
        let table = match parsed {
            Ok(table) => table,
            Err(why) => return self.errors.push(SettingError::ConfigFile { path, why }),
        };
        for (key, value) in table {
            let known = table::find(&key).or_else(|| key.strip_suffix("_file").and_then(table::find));
            let origin = Origin::Toml(path.clone());
            match (known, plain(&value)) {
                (Some(_), Some(text)) => {
                    self.toml.insert(key, text);
                }
                (Some(setting), None) => self.errors.push(SettingError::Wrong {
                    setting,
                    origin,
                    why: format!(
                        "it must be text, a whole number, true or false, or a list of texts, not a {}",
                        value.type_str()
                    ),
                }),
                (None, _) => {
                    let names = TABLE.into_iter().map(|setting| setting.name);
                    let nearest = nearest(&key, names).map(str::to_owned);
                    self.errors.push(SettingError::Unknown { name: key, origin, nearest });
                }
            }
        }
    }

    fn refuse_unknown_variables(&mut self) {
        let variables: Vec<String> = TABLE.into_iter().map(Setting::variable).collect();
        for (name, value) in &self.sources.environment {
            if !name.starts_with(PREFIX) || OTHER_VARIABLES.contains(&name.as_str()) || is_service_link(name, value) {
                continue;
            }
            let bare = name.strip_suffix("_FILE").unwrap_or(name);
            // `anchor_file` is a setting of its own.
            if variables.iter().any(|known| known == name || known == bare) {
                continue;
            }
            let nearest = nearest(name, variables.iter().map(String::as_str)).map(str::to_owned);
            let origin = Origin::Variable("the environment".to_owned());
            self.errors.push(SettingError::Unknown { name: name.clone(), origin, nearest });
        }
    }
}

/// Kubernetes sets these in every pod beside a Service called `perkgate` or `perkgate-…`; refusing
/// them would keep the gateway from starting where it is most often run.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_url = value.starts_with("tcp://") || value.starts_with("udp://");
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && is_url)
        || name.split_once("_PORT_").is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// A settings file or secret is small: a wrong path must not read a disk into memory.
fn read_bounded(path: &Path) -> Result<String, String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    file.take(1 << 20).read_to_string(&mut text).map_err(|e| e.to_string())?;
    Ok(text_without_bom(&text).to_owned())
}

/// The line number and the message, without the line itself: it may hold a secret.
fn describe_toml(error: &toml::de::Error, text: &str) -> String {
    let at = error.span().map_or(0, |span| span.start);
    let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
    match text.lines().nth(line - 1).and_then(unquoted) {
        Some(key) => format!("line {line}: the value of `{key}` is text, which TOML wants in quotes: {key} = \"…\""),
        None => format!("line {line}: {}", error.message()),
    }
}

/// The key of a line whose value is text without quotes, of which TOML's reader only says what else it can't be.
fn unquoted(line: &str) -> Option<&str> {
    let (key, value) = line.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let is_text = !value.is_empty() && !value.starts_with(['"', '\'', '[', '{', '#']);
    let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    // Of a bare key with a value that is fine, something else is wrong with the line.
    let is_fine = || format!("{key} = {value}").parse::<toml::Table>().is_ok();
    (is_text && is_key && !is_fine()).then_some(key)
}

fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.trim().to_owned()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(is) => Some(is.to_string()),
        toml::Value::Array(items) => {
            items.iter().map(toml::Value::as_str).collect::<Option<Vec<_>>>().map(|items| items.join(", "))
        }
        _ => None,
    }
}
