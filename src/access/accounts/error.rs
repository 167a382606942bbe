//! Why a password or a code was not taken.

use jiff::Timestamp;

use crate::database::DatabaseError;

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// There is no such account, it has no password, or has another: which of them is not said.
    #[error("the account or the password is wrong")]
    Refused {
        /// So many more may be wrong in the same period.
        left: u32,
    },
    /// The password is right, and the code of the second factor is missing, wrong, too old, or was taken before.
    #[error("the code is missing or wrong")]
    Code {
        /// So many more may be wrong in the same period.
        left: u32,
        /// So many were wrong in a row that only a recovery code is taken now.
        recovery_only: bool,
    },
    /// The session that asks has ended meanwhile, as by a reset.
    #[error("the session has ended")]
    Ended,
    #[error("too many passwords were wrong")]
    Locked { until: Timestamp },
    #[error("too many people log in at once")]
    Busy,
    #[error(transparent)]
    Database(#[from] DatabaseError),
}
