//! A key that signs tokens: Ed25519 (RFC 8032), named by its RFC 7638 thumbprint.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use jiff::Timestamp;

use super::token_names::{protected_header, thumbprint};

/// An Ed25519 key pair, prepared once: parsing it costs more than signing.
pub(super) struct SigningPair {
    pair: Ed25519KeyPair,
    public_key: [u8; 32],
}

impl SigningPair {
    /// From the 32 secret bytes of RFC 8032; none when they are no key.
    pub(super) fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let public_key = pair.public_key().as_ref().try_into().ok()?;
        Some(Self { pair, public_key })
    }

    pub(super) const fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut out = [0; 64];
        out.copy_from_slice(self.pair.sign(message).as_ref());
        out
    }
}

/// A key that signs tokens, and the time it does.
pub struct TokenKey {
    pair: SigningPair,
    kid: String,
    protected_header: String,
    signs_from: Timestamp,
    retires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

impl TokenKey {
    pub(super) fn new(
        pair: SigningPair,
        signs_from: Timestamp,
        retires_at: Option<Timestamp>,
        revoked_at: Option<Timestamp>,
    ) -> Self {
        let kid = thumbprint(pair.public_key());
        Self { protected_header: protected_header(&kid), kid, pair, signs_from, retires_at, revoked_at }
    }

    /// The RFC 7638 thumbprint of the key.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half (RFC 8032).
    #[must_use]
    pub const fn public_key(&self) -> &[u8; 32] {
        self.pair.public_key()
    }

    /// The first segment of every token that it signs, in base64url.
    #[must_use]
    pub fn protected_header(&self) -> &str {
        &self.protected_header
    }

    /// From when it may sign; it is published before.
    #[must_use]
    pub const fn signs_from(&self) -> Timestamp {
        self.signs_from
    }

    /// From when it is no longer published or used; none while no later key takes over.
    #[must_use]
    pub const fn retires_at(&self) -> Option<Timestamp> {
        self.retires_at
    }

    /// When it was withdrawn; none while its signatures count.
    #[must_use]
    pub const fn revoked_at(&self) -> Option<Timestamp> {
        self.revoked_at
    }

    /// Tells whether it stands in the JWKS at `now`. A withdrawn key never does, whatever this replica's clock says.
    #[must_use]
    pub fn is_published(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.retires_at.is_none_or(|at| now < at)
    }

    /// The Ed25519 signature: the same message gives the same bytes, always.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair.sign(message)
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey")
            .field("kid", &self.kid)
            .field("signs_from", &self.signs_from)
            .field("retires_at", &self.retires_at)
            .field("revoked_at", &self.revoked_at)
            .finish_non_exhaustive()
    }
}
