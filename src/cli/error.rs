//! What can keep a command from being done, and what to try.

use std::path::PathBuf;

use crate::access::AccessError;
use crate::audit::AuditError;
use crate::database::DatabaseError;
use crate::gateway::GatewayError;
use crate::settings::SettingError;
use crate::settings::master_key::MasterKeyError;
use crate::telemetry::metrics::MetricsError;

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
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// `name` is the setting.
    #[error("can't listen on {address} (`{name}`): {error}")]
    Listen { name: &'static str, address: std::net::SocketAddr, error: std::io::Error },
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error("the anchor {} can't be read: {reason}", path.display())]
    Anchor { path: PathBuf, reason: String },
    #[error("the demo failed: {0}")]
    Demo(String),
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
            Self::MasterKey(error) | Self::Gateway(GatewayError::MasterKey(error)) => Some(error.remedy()),
            Self::Database(DatabaseError::Unavailable(_)) => {
                Some("`perkgate doctor` says what is wrong with the database's address".to_owned())
            }
            Self::Database(error) if error.is_passing() => Some("run it again".to_owned()),
            Self::Gateway(GatewayError::NotMigrated(_)) => {
                Some("`perkgate migrate`, or `perkgate serve --migrate`".to_owned())
            }
            Self::Gateway(_) => Some("`perkgate doctor` checks the settings and what they point at".to_owned()),
            Self::Audit(AuditError::NoRecord(_)) => {
                Some("name the gateway's database with `--database-url`".to_owned())
            }
            Self::Audit(AuditError::Database(error)) if error.is_passing() => Some("run it again".to_owned()),
            Self::Anchor { .. } => Some(
                "give a checkpoint, the receipt of a check, or an earlier answer of `audit verify --json`".to_owned(),
            ),
            Self::Listen { .. } => Some("end what listens there, or choose another address with `--listen`".to_owned()),
            Self::Settings(_)
            | Self::Database(_)
            | Self::Access(_)
            | Self::Metrics(_)
            | Self::Audit(_)
            | Self::Demo(_)
            | Self::Output(_) => None,
        }
    }
}
