//! The master key: the one secret that comes from outside. It wraps every other key.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::zeroize::Zeroizing;

use super::KeyPurpose;
use super::seal::{SealKey, mac};
use crate::foundation::entropy::Entropy;

/// The first byte of a wrapped key.
const VERSION: u8 = 1;
const CHECK_BYTES: usize = 8;

/// 32 secret bytes; written in base64.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// Why a text is no master key. Says nothing of the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    #[error("the master key is not base64")]
    NotBase64,
    #[error("the master key has {0} bytes, not 32")]
    Length(usize),
    #[error("the master key is one byte repeated: it is a placeholder, not a secret")]
    Placeholder,
}

/// Why a wrapped key can't be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnwrapError {
    /// It was wrapped under another master key.
    OtherMasterKey,
    /// It was wrapped under this one, and changed or moved since.
    Damaged,
}

impl MasterKey {
    /// A fresh one.
    #[must_use]
    pub fn generate(entropy: &Entropy) -> Self {
        Self(Zeroizing::new(entropy.bytes()))
    }

    /// From base64 (RFC 4648 §4), with white space around it as a file has it.
    ///
    /// # Errors
    /// [`MasterKeyError`].
    pub fn parse(base64: &str) -> Result<Self, MasterKeyError> {
        let bytes = Zeroizing::new(BASE64.decode(base64.trim()).map_err(|_| MasterKeyError::NotBase64)?);
        let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| MasterKeyError::Length(bytes.len()))?;
        if key.windows(2).all(|pair| pair.first() == pair.last()) {
            return Err(MasterKeyError::Placeholder);
        }
        Ok(Self(Zeroizing::new(key)))
    }

    /// The secret itself, in base64: for the file or the variable it is kept in, nothing else.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(self.0.as_slice()))
    }

    /// Version, 8 bytes that tell master keys apart, and the sealed secret. The purpose and `kid`
    /// are bound to it, so that a row can't stand in for another.
    pub(super) fn wrap(&self, purpose: KeyPurpose, kid: &str, secret: &[u8; 32], entropy: &Entropy) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.check());
        out.append(&mut self.seal_key().seal(&aad(purpose, kid), secret, entropy));
        out
    }

    pub(super) fn unwrap(
        &self,
        purpose: KeyPurpose,
        kid: &str,
        wrapped: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, UnwrapError> {
        let Some((&VERSION, rest)) = wrapped.split_first() else { return Err(UnwrapError::Damaged) };
        let (check, sealed) = rest.split_first_chunk::<CHECK_BYTES>().ok_or(UnwrapError::Damaged)?;
        if *check != self.check() {
            return Err(UnwrapError::OtherMasterKey);
        }
        let secret = self.seal_key().open(&aad(purpose, kid), sealed).map_err(|_| UnwrapError::Damaged)?;
        Ok(Zeroizing::new(secret.as_slice().try_into().map_err(|_| UnwrapError::Damaged)?))
    }

    fn seal_key(&self) -> SealKey {
        SealKey::new(mac(&self.hmac_key(), &[b"perkgate wrap v1\0"]))
    }

    /// Tells a wrong master key from a damaged row; of a random key it gives nothing away.
    fn check(&self) -> [u8; CHECK_BYTES] {
        let mac = mac(&self.hmac_key(), &[b"perkgate master key check v1\0"]);
        let mut out = [0; CHECK_BYTES];
        out.iter_mut().zip(mac.iter()).for_each(|(to, from)| *to = *from);
        out
    }

    fn hmac_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice())
    }
}

fn aad(purpose: KeyPurpose, kid: &str) -> Vec<u8> {
    format!("perkgate key v1\0{purpose}\0{kid}").into_bytes()
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_key_is_32_bytes_in_base64() {
        let key = MasterKey::generate(&Entropy::seeded(1));
        let text = key.to_base64();
        assert_eq!(text.len(), 44);
        assert_eq!(*MasterKey::parse(&format!(" {}\n", *text)).unwrap().0, *key.0);
        let refused = |text: &str| MasterKey::parse(text).unwrap_err();
        assert_eq!(refused("not base64!"), MasterKeyError::NotBase64);
        assert_eq!(refused(""), MasterKeyError::Length(0));
        assert_eq!(refused("AAAA"), MasterKeyError::Length(3));
        assert_eq!(refused(&BASE64.encode([7; 33])), MasterKeyError::Length(33));
        assert_eq!(refused(&BASE64.encode([0; 32])), MasterKeyError::Placeholder);
        assert_eq!(format!("{key:?}"), "MasterKey(…)");
    }

    #[test]
    fn a_wrapped_key_opens_only_under_its_master_key_purpose_and_name() {
        let entropy = Entropy::seeded(1);
        let (key, other) = (MasterKey::generate(&entropy), MasterKey::generate(&entropy));
        let wrapped = key.wrap(KeyPurpose::Token, "a", &[7; 32], &entropy);
        assert_eq!(*key.unwrap(KeyPurpose::Token, "a", &wrapped).unwrap(), [7; 32]);
        assert_eq!(other.unwrap(KeyPurpose::Token, "a", &wrapped), Err(UnwrapError::OtherMasterKey));
        assert_eq!(key.unwrap(KeyPurpose::Log, "a", &wrapped), Err(UnwrapError::Damaged));
        assert_eq!(key.unwrap(KeyPurpose::Token, "b", &wrapped), Err(UnwrapError::Damaged));
        for cut in 0..wrapped.len() {
            assert!(key.unwrap(KeyPurpose::Token, "a", &wrapped[..cut]).is_err(), "{cut}");
        }
    }
}
