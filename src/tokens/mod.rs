//! Eligibility tokens: what they say, how they are signed, how a door checks one.
//!
//! - `claims`: the claims and their exact text; `jwks`: the published keys; `verifier`: the check of a token
//!
//! The [`Issuer`](crate::eligibility::issuer::Issuer) signs recorded grants only. A [`Verifier`] follows RFC 8725: it pins everything
//! and takes no key from the token.
//!
//! Verifying goes through `jsonwebtoken`, behind stricter checks of our own: a mistake in one of the two is caught by
//! the other. Signing does not: it would parse the key (PKCS #8) and serialize the claims at every check, where the
//! keyring has the key ready and the grant has the very bytes that are stored and signed. `issuer.rs` tests that
//! `jsonwebtoken` takes what it signs.
//!
//! To add a claim: `claims.rs`, optional, so that older doors and stored grants go on.

pub mod claims;
pub mod jwks;
pub mod verifier;

pub use claims::Claims;
pub use jwks::{Jwks, JwksError};
pub use verifier::Verifier;

/// Why a token is not taken, or could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("not an eligibility token: {0}")]
    Malformed(&'static str),
    #[error("the token's algorithm is not EdDSA")]
    UnsupportedAlgorithm,
    #[error("the token's header holds `{0}`, which is never taken from a token")]
    UnsupportedHeader(&'static str),
    #[error("the token is of another type")]
    WrongType,
    #[error("the token names a key that is not published")]
    UnknownKey,
    /// Known to the gateway alone: a door's copy no longer has the key.
    #[error("the key that the token names was withdrawn: ask for another token")]
    KeyRevoked,
    #[error("the token's signature does not fit")]
    BadSignature,
    #[error("the token is of another issuer")]
    WrongIssuer,
    #[error("the token is for another door")]
    WrongAudience,
    /// No rule grants for so long, so it is no grant's, whatever key signed it.
    #[error("the token lives longer than any that is granted")]
    TooLongLived,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the grant was released: the guest has left")]
    Released,
    #[error("the grant was taken back")]
    Voided,
}

impl TokenError {
    /// The stable name of the reason, for answers and logs.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::UnsupportedHeader(_) => "unsupported_header",
            Self::WrongType => "wrong_type",
            Self::UnknownKey => "unknown_key",
            Self::KeyRevoked => "key_revoked",
            Self::BadSignature => "bad_signature",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::TooLongLived => "too_long_lived",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Released => "released",
            Self::Voided => "voided",
        }
    }
}

/// A token without the line ends and blanks that scanners put around what they read.
#[must_use]
pub fn scanned(text: &str) -> &str {
    text.trim_ascii()
}
