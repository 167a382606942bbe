//! Sealing small secrets: XAES-256-GCM (<https://c2sp.org/XAES-256-GCM>) and keys derived by
//! HMAC-SHA-256.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{cmac, hmac};
use secrecy::zeroize::Zeroizing;

use crate::foundation::entropy::Entropy;

/// The first byte of everything sealed, so that another form can stand beside this one.
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// A key that seals any number of messages. Plain AES-256-GCM with random 96-bit nonces is worn
/// out after 2³² of them, which a busy gateway reaches in days; here each message has a key of
/// its own, derived from the first half of a 192-bit nonce.
pub(super) struct SealKey(Zeroizing<[u8; 32]>);

/// The bytes were not sealed with this key for this purpose, or were changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotSealedHere;

impl SealKey {
    /// A key of 32 secret bytes.
    pub(super) const fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// Version, nonce, ciphertext and tag: 41 bytes more than `plaintext`. `aad` says what it is
    /// for; only the same `aad` opens it.
    pub(super) fn seal(&self, aad: &[u8], plaintext: &[u8], entropy: &Entropy) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = entropy.bytes();
        let mut message = Vec::with_capacity(plaintext.len() + TAG_BYTES);
        message.extend_from_slice(plaintext);
        #[expect(clippy::expect_used, reason = "fails for a key of a wrong length or 64 GiB of text only")]
        self.seal_with(&nonce, aad, &mut message).expect("a 32-byte key seals");
        let mut out = Vec::with_capacity(1 + NONCE_BYTES + message.len());
        out.push(VERSION);
        out.extend_from_slice(&nonce);
        out.append(&mut message);
        out
    }

    /// Opens what [`SealKey::seal`] sealed.
    ///
    /// # Errors
    /// [`NotSealedHere`].
    pub(super) fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotSealedHere> {
        let Some((&VERSION, rest)) = sealed.split_first() else { return Err(NotSealedHere) };
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(NotSealedHere)?;
        let mut message = Zeroizing::new(ciphertext.to_vec());
        let (key, nonce) = self.message_key(nonce).map_err(|_| NotSealedHere)?;
        let length = key.open_in_place(nonce, Aad::from(aad), &mut message).map_err(|_| NotSealedHere)?.len();
        message.truncate(length);
        Ok(message)
    }

    fn seal_with(&self, nonce: &[u8; NONCE_BYTES], aad: &[u8], message: &mut Vec<u8>) -> Result<(), Unspecified> {
        let (key, nonce) = self.message_key(nonce)?;
        key.seal_in_place_append_tag(nonce, Aad::from(aad), message)
    }

    /// The key and nonce of one message: NIST SP 800-108 in counter mode over AES-256-CMAC.
    fn message_key(&self, nonce: &[u8; NONCE_BYTES]) -> Result<(LessSafeKey, Nonce), Unspecified> {
        let (context, nonce) = nonce.split_at(12);
        let kdf = cmac::Key::new(cmac::AES_256, self.0.as_slice())?;
        let mut derived = Zeroizing::new([0; 32]);
        for (counter, half) in [1, 2].into_iter().zip(derived.chunks_mut(16)) {
            let mut block = [0, counter, b'X', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            block.iter_mut().skip(4).zip(context).for_each(|(to, from)| *to = *from);
            half.copy_from_slice(cmac::sign(&kdf, &block)?.as_ref());
        }
        let key = UnboundKey::new(&AES_256_GCM, derived.as_slice())?;
        Ok((LessSafeKey::new(key), Nonce::try_assume_unique_for_key(nonce)?))
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}

/// HMAC-SHA-256 over the parts, one after the other. The caller's first part is a label that ends
/// in NUL and is no prefix of another, so that no two purposes share an input.
pub(super) fn mac(key: &hmac::Key, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    let mut out = Zeroizing::new([0; 32]);
    out.copy_from_slice(context.sign().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::subject::hex;

    /// The vectors of the specification.
    #[test]
    fn the_cipher_is_xaes_256_gcm() {
        for (byte, aad, ciphertext) in [
            (1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
            (3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
        ] {
            let key = SealKey::new(Zeroizing::new([byte; 32]));
            let mut message = b"XAES-256-GCM".to_vec();
            key.seal_with(b"ABCDEFGHIJKLMNOPQRSTUVWX", aad.as_bytes(), &mut message).unwrap();
            assert_eq!(hex(&message), ciphertext);
        }
    }

    #[test]
    fn what_is_sealed_opens_only_whole_and_for_its_purpose() {
        let entropy = Entropy::seeded(1);
        let key = SealKey::new(Zeroizing::new(entropy.bytes()));
        let sealed = key.seal(b"purpose", b"secret", &entropy);
        assert_eq!(key.open(b"purpose", &sealed).unwrap().as_slice(), b"secret");
        assert_ne!(key.seal(b"purpose", b"secret", &entropy), sealed, "a nonce is used once");
        assert!(key.open(b"another", &sealed).is_err());
        assert!(SealKey::new(Zeroizing::new(entropy.bytes())).open(b"purpose", &sealed).is_err());
        for at in 0..sealed.len() {
            assert!(key.open(b"purpose", &sealed[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut bent = sealed.clone();
                bent[at] ^= 1 << bit;
                assert!(key.open(b"purpose", &bent).is_err(), "bent at {at}/{bit}");
            }
        }
        assert_eq!(key.open(b"", &key.seal(b"", b"", &entropy)).unwrap().as_slice(), b"");
    }
}
