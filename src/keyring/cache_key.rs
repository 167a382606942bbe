//! The key that authenticates what lies in a cache that others can write to.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;

/// The length of a tag, in bytes.
pub const TAG_BYTES: usize = 32;

/// Derived from the gateway's hash key, so all replicas have the same; cheap to clone.
#[derive(Clone)]
pub struct CacheKey(Arc<hmac::Key>);

impl CacheKey {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// HMAC-SHA-256 over the parts, one after the other. The caller sees to it that no two
    /// messages are the same bytes cut differently.
    #[must_use]
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; TAG_BYTES] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        let mut tag = [0; TAG_BYTES];
        tag.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        tag
    }

    /// Tells whether `tag` is [`CacheKey::tag`] of the same message; takes as long for any wrong one.
    #[must_use]
    pub fn is_tag(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        hmac::verify(&self.0, &parts.concat(), tag).is_ok()
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheKey(…)")
    }
}

/// A key for tests of other rooms.
#[cfg(test)]
pub(crate) fn testing(byte: u8) -> CacheKey {
    CacheKey::new(&[byte; 32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_fits_its_message_and_key_only() {
        let (key, other) = (CacheKey::new(&[1; 32]), CacheKey::new(&[2; 32]));
        let tag = key.tag(&[b"one", b"two"]);
        assert!(key.is_tag(&[b"one", b"two"], &tag));
        assert!(!key.is_tag(&[b"one", b"twp"], &tag));
        assert!(!other.is_tag(&[b"one", b"two"], &tag));
        for bit in 0..TAG_BYTES * 8 {
            let mut bent = tag;
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.is_tag(&[b"one", b"two"], &bent), "{bit}");
        }
        for cut in 0..TAG_BYTES {
            assert!(!key.is_tag(&[b"one", b"two"], &tag[..cut]), "{cut}");
        }
        assert_eq!(format!("{key:?}"), "CacheKey(…)");
    }
}
