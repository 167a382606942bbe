//! A database that is no longer the one that a process began with.

use std::path::PathBuf;

/// The way in which the database is no longer the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error("the database's file {} was deleted while it was in use", .0.display())]
    Deleted(PathBuf),
    #[error("the database's file {} was replaced by another while it was in use", .0.display())]
    Replaced(PathBuf),
    /// A backup that was restored, or a standby that took over and had not heard of everything.
    #[error("the database went back to an older state: {0}")]
    RolledBack(String),
    /// Another version of this program is at work on it.
    #[error("the database has a schema that this version of perkgate doesn't know (migration {0})")]
    SchemaNewer(String),
}

impl Mismatch {
    /// A stable word for it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Deleted(_) | Self::Replaced(_) | Self::RolledBack(_) => "database_replaced",
            Self::SchemaNewer(_) => "schema_newer",
        }
    }

    /// The mismatch in words, for someone who need not know where the files lie.
    #[must_use]
    pub const fn summary(&self) -> &'static str {
        match self {
            Self::Deleted(_) => "The database was deleted while it was in use.",
            Self::Replaced(_) => "The database was replaced while it was in use.",
            Self::RolledBack(_) => "The database went back to an older state while it was in use.",
            Self::SchemaNewer(_) => "The database was brought to a newer schema than this version knows.",
        }
    }

    /// The way to fix it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Deleted(_) | Self::Replaced(_) | Self::RolledBack(_) => {
                "stop every process that uses it, put the right database in its place (a SQLite file without an older -wal and -shm beside it), and start again; receipts tell what is missing"
            }
            Self::SchemaNewer(_) => "the version of perkgate that migrated it, or a newer one",
        }
    }
}
