//! A key that signs the heads of the logs; never a token key.

use std::fmt;

use aws_lc_rs::digest;

use super::token_key::SigningPair;
use crate::foundation::subject::hex;
use crate::tlog::note::{VerifierKey, VerifierKeyError};

/// A key that signs checkpoints, under the name `perkgate-` and 8 digits of its own hash.
pub struct LogKey {
    pair: SigningPair,
    verifier: VerifierKey,
}

impl LogKey {
    pub(super) fn new(pair: SigningPair) -> Result<Self, VerifierKeyError> {
        let verifier = VerifierKey::new(&log_key_name(pair.public_key()), *pair.public_key())?;
        Ok(Self { pair, verifier })
    }

    /// The name on its signature lines.
    #[must_use]
    pub fn name(&self) -> &str {
        self.verifier.name()
    }

    /// The key id on its signature lines.
    #[must_use]
    pub fn key_id(&self) -> [u8; 4] {
        self.verifier.key_id()
    }

    /// The public half (RFC 8032).
    #[must_use]
    pub const fn public_key(&self) -> &[u8; 32] {
        self.pair.public_key()
    }

    /// The key that others check its signatures with.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The verifier key as C2SP writes it: `name+id+key`.
    #[must_use]
    pub fn vkey(&self) -> String {
        self.verifier.to_string()
    }

    /// The Ed25519 signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair.sign(message)
    }
}

/// The name a log key goes by.
pub(super) fn log_key_name(public_key: &[u8; 32]) -> String {
    let digest = digest::digest(&digest::SHA256, public_key);
    format!("perkgate-{}", hex(digest.as_ref().get(..4).unwrap_or_default()))
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogKey").field(&self.name()).finish()
    }
}
