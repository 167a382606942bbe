//! The errors of this room, as facts.

use std::sync::Arc;

use super::score::{ScoreFault, SourceFault};
use crate::database::DatabaseError;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::SourceName;
use crate::ledger::LedgerError;

/// The errors of scores and sources.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ScoreError {
    #[error(transparent)]
    Score(#[from] ScoreFault),
    #[error(transparent)]
    Source(#[from] SourceFault),
    #[error("the merchant has a source `{0}` already")]
    SourceExists(SourceName),
    #[error("the source `{0}` is computed: nobody else writes its scores")]
    Computed(SourceName),
    #[error("the source `{0}` is fetched: nobody else writes its scores")]
    Pulled(SourceName),
    #[error("there is no source `{0}` that is fetched")]
    NotPulled(SourceName),
    #[error("the declaration of the source doesn't fit")]
    Unfit(Vec<FieldError>),
    #[error("`{0}` needs a key, and the operator has put none where `pull_secrets_dir` says")]
    NoSecret(SourceName),
    #[error("there is no computed source `{0}`; `perkgate source create NAME --computed` makes one")]
    NotComputed(SourceName),
    #[error("another run of this source is under way, and does the same; one that was cut off is over within a minute")]
    UnderWay,
    #[error("a run of the source `{0}` is held, as it moves too many people too far: release or drop it first")]
    Held(SourceName),
    #[error("nothing of this id is held of the source")]
    NotHeld,
    #[error("it was decided already: it is {0}")]
    HeldDecided(&'static str),
    /// Shared by those who waited for one look-up.
    #[error(transparent)]
    Database(Arc<DatabaseError>),
    #[error(transparent)]
    Ledger(Arc<LedgerError>),
}

impl ScoreError {
    /// The field of a request that it is about, by its pointer, and the error's code; none where it is about no field.
    #[must_use]
    pub const fn field(&self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::Score(ScoreFault::OffScale { .. }) => ("/value", "off_scale"),
            Self::Score(ScoreFault::InFuture) => ("/observed_at", "in_future"),
            Self::Score(ScoreFault::Unobserved) => ("/observed_at", "too_old"),
            Self::Source(SourceFault::EmptyScale) => ("/max", "empty_scale"),
            Self::Source(SourceFault::Reserved)
            | Self::SourceExists(_)
            | Self::Computed(_)
            | Self::NotComputed(_)
            | Self::Pulled(_)
            | Self::NotPulled(_)
            | Self::Unfit(_)
            | Self::NoSecret(_)
            | Self::UnderWay
            | Self::Held(_)
            | Self::NotHeld
            | Self::HeldDecided(_)
            | Self::Database(_)
            | Self::Ledger(_) => return None,
        })
    }
}

impl From<DatabaseError> for ScoreError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl From<LedgerError> for ScoreError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Database(error) => error.into(),
            other => Self::Ledger(Arc::new(other)),
        }
    }
}
