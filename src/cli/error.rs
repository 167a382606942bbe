//! What can keep a command from being done, and what to try.

use crate::database::DatabaseError;
use crate::settings::SettingError;
use crate::settings::master_key::MasterKeyError;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Everything that is wrong with the settings.
    #[error("{} wrong", if .0.len() == 1 { "a setting is".to_owned() } else { format!("{} settings are", .0.len()) })]
    Settings(Vec<SettingError>),
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Standard output can't be written to.
    #[error("the answer can't be written: {0}")]
    Output(#[from] std::io::Error),
}

/// One thing that is wrong, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Complaint {
    pub error: String,
    #[serde(rename = "try", skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl CliError {
    /// What is told: one complaint, or one for each wrong setting.
    #[must_use]
    pub fn complaints(&self) -> Vec<Complaint> {
        match self {
            Self::Settings(all) => {
                all.iter().map(|each| Complaint { error: each.to_string(), remedy: Some(each.remedy()) }).collect()
            }
            other => vec![Complaint { error: other.to_string(), remedy: other.remedy() }],
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::MasterKey(error) => Some(error.remedy()),
            Self::Database(DatabaseError::Unavailable(_)) => {
                Some("`perkgate doctor` says what is wrong with the database's address".to_owned())
            }
            Self::Database(error) if error.is_passing() => Some("run it again".to_owned()),
            Self::Settings(_) | Self::Database(_) | Self::Output(_) => None,
        }
    }
}
