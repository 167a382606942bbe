//! Secrets that a browser or a link holds: random, and stored as a hash only.

use std::fmt;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::foundation::entropy::Entropy;

/// SHA-256 of a token's text. The text holds 256 random bits, so a plain hash can't be reversed by guessing.
pub(in crate::access) type TokenHash = [u8; 32];

const RANDOM_BYTES: usize = 32;
const LENGTH: usize = 43;

/// The token of a session or of a one-time link: 43 letters that may stand in an address.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretToken(String);

impl SecretToken {
    /// A new random token.
    pub(super) fn new(entropy: &Entropy) -> Self {
        Self(BASE64.encode(entropy.bytes::<RANDOM_BYTES>()))
    }

    /// Reads a token's text; it may still be unknown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (text.len() == LENGTH && text.bytes().all(is_plain)).then(|| Self(text.to_owned()))
    }

    pub(in crate::access) fn hash(&self) -> TokenHash {
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(digest::digest(&digest::SHA256, self.0.as_bytes()).as_ref()) {
            *to = *from;
        }
        out
    }

    /// The text itself, for its one holder.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_keeps_its_text_to_itself() {
        let token = SecretToken::new(&Entropy::seeded(1));
        assert_eq!(SecretToken::parse(token.expose()), Some(token.clone()));
        assert_eq!(format!("{token:?}"), "SecretToken(…)");
        assert_ne!(token.hash(), SecretToken::new(&Entropy::seeded(2)).hash());
        for bad in ["", "x", &"a".repeat(42), &"a".repeat(44), &"!".repeat(43)] {
            assert_eq!(SecretToken::parse(bad), None, "{bad}");
        }
    }
}
