//! The errors of this room, as facts.

use super::accounts::AccountName;
use super::principal::Forbidden;
use crate::database::DatabaseError;
use crate::foundation::count::counted_as;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::MerchantSlug;
use crate::ledger::LedgerError;

/// Why a key was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("no key was given")]
    Missing,
    #[error("the key has the wrong form or checksum")]
    Malformed,
    #[error("no such key")]
    Unknown,
    #[error("the key has expired")]
    Expired,
    #[error("the key was revoked")]
    Revoked,
    /// The account that acts under it is.
    #[error("the key's account is suspended")]
    Suspended,
    /// Not known here, and the database can't be asked: nobody can say that it is wrong.
    #[error("the key is not known here, and the database can't be asked")]
    Unchecked,
}

/// Why the directory did not do something.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("there is a merchant `{0}` already")]
    MerchantExists(MerchantSlug),
    #[error("no such merchant")]
    UnknownMerchant,
    #[error("no such key")]
    UnknownKey,
    #[error("a merchant has at most {} clerks", super::clerks::MOST_CLERKS)]
    TooManyClerks,
    /// Its name is another's: names are unique in the gateway, and nobody learns whose it is.
    #[error("there is an account `{0}` already")]
    AccountExists(AccountName),
    #[error("no such account")]
    UnknownAccount,
    #[error("this is your own account: let someone else do that")]
    OwnAccount,
    #[error("no other admin could log in then: let another one in first")]
    LastAdmin,
    /// The parts of a request don't fit together.
    #[error("{} fit", counted_as(.0.len(), "field doesn't", "fields don't"))]
    Unfit(Vec<FieldError>),
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl AccessError {
    /// The errors of a clerk, whose label is called a name.
    pub(super) fn of_clerk(errors: Vec<FieldError>) -> Self {
        let renamed = errors.into_iter().map(|error| match error.path.to_string().as_str() {
            "/label" => FieldError::at("/name", error.code, error.detail),
            _ => error,
        });
        Self::Unfit(renamed.collect())
    }
}
