//! The faults of settings, said so that they can be mended without a manual.

use std::fmt;
use std::path::PathBuf;

use super::table::{Flag, Setting};

/// Where a setting's value came from, in the order in which they win.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `--listen`.
    Flag(String),
    /// `PERKGATE_LISTEN`.
    Variable(String),
    /// A file of its own, named by a flag, a variable or the TOML file.
    File {
        path: PathBuf,
        named_by: String,
    },
    /// A key of the TOML file.
    Toml(PathBuf),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Variable(name) => f.write_str(name),
            Self::File { path, named_by } => write!(f, "{} (named by {named_by})", path.display()),
            Self::Toml(path) => write!(f, "{}", path.display()),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// One wrong setting.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// `why` never repeats a secret value.
    #[error("the setting `{setting}` from {origin} is wrong: {why}")]
    Wrong { setting: &'static Setting, origin: Origin, why: String },
    #[error("there is no setting `{name}` (found in {origin})")]
    Unknown { name: String, origin: Origin, nearest: Option<String> },
    /// The file with a setting's value can't be read.
    #[error("the setting `{setting}` can't be read from {origin}: {why}")]
    Unreadable { setting: &'static Setting, origin: Origin, why: String },
    /// The TOML file can't be read or is no TOML.
    #[error("the settings file {} can't be used: {why}", path.display())]
    ConfigFile { path: PathBuf, why: String },
}

impl SettingError {
    /// The text to write instead.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Wrong { setting, origin: Origin::Toml(_), .. } => {
                format!("{} = \"{}\"", setting.name, setting.example)
            }
            Self::Wrong { setting, origin: Origin::Flag(flag), .. } => format!("--{flag} '{}'", setting.example),
            Self::Wrong { setting, origin: Origin::File { path, .. }, .. } => {
                format!("write {} into {}", setting.example, path.display())
            }
            Self::Wrong { setting, .. } => format!("{}='{}'", setting.variable(), setting.example),
            Self::Unknown { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?"),
            Self::Unknown { nearest: None, .. } => {
                "take it out; deploy/perkgate.example.toml lists every setting".to_owned()
            }
            Self::Unreadable { setting, .. } if setting.flag == Flag::FileOnly => {
                format!("name a file that this process can read and that holds {}", setting.example)
            }
            Self::Unreadable { .. } => "name a file that this process can read and that holds the value".to_owned(),
            Self::ConfigFile { .. } => "start from deploy/perkgate.example.toml".to_owned(),
        }
    }
}
