//! Sessions of clerks: who signed in, by which PIN, until when, and a keyed hash that binds all to the key of the desk.
//! Nothing of it is stored; a clerk who is removed or has another PIN has none any more.

use std::fmt;

use aws_lc_rs::constant_time;
use jiff::Timestamp;

use super::SESSION;
use crate::foundation::clock::from_seconds;
use crate::foundation::ids::{KeyId, MerchantId};
use crate::foundation::subject::hex;

const PREFIX: &str = "pgs";

/// A clerk's session as it is said by its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub clerk: KeyId,
    /// The PIN that began it, by its number.
    pub generation: i32,
    /// In whole seconds.
    pub expires_at: Timestamp,
}

/// The text of a session, to be sent as `Perkgate-Clerk`. It is shown in no log.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionText(String);

impl SessionText {
    /// The text itself, for the clerk's own answer.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pgs_…")
    }
}

impl Session {
    /// The end of a session that begins at `now`.
    #[must_use]
    pub fn expiry(now: Timestamp) -> Timestamp {
        from_seconds(now.as_second().saturating_add(SESSION.as_secs()))
    }

    /// The text that stands for it, with the key of the desk `desk` only; `blind` hashes under the gateway's own key.
    #[must_use]
    pub fn sign(&self, blind: impl FnOnce(&[&[u8]]) -> [u8; 32], merchant: &MerchantId, desk: &KeyId) -> SessionText {
        let clerk = self.clerk.as_str().trim_start_matches("key_");
        let seconds = self.expires_at.as_second();
        let proof = hex(&self.proof(blind, merchant, desk));
        SessionText(format!("{PREFIX}_{clerk}_{:x}_{seconds:x}_{proof}", self.generation))
    }

    /// Reads a text that [`Session::sign`] made for this merchant and desk, while it lasts.
    #[must_use]
    pub fn read(
        text: &str,
        blind: impl FnOnce(&[&[u8]]) -> [u8; 32],
        merchant: &MerchantId,
        desk: &KeyId,
        now: Timestamp,
    ) -> Option<Self> {
        let mut parts = text.split('_');
        if parts.next()? != PREFIX {
            return None;
        }
        let (clerk, generation, seconds, proof) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let generation = i32::from_str_radix(generation, 16).ok()?;
        let clerk = format!("key_{clerk}").parse().ok()?;
        let expires_at = Timestamp::from_second(i64::from_str_radix(seconds, 16).ok()?).ok()?;
        let session = Self { clerk, generation, expires_at };
        // The whole text is compared, so that of what reads alike one form is right.
        let wanted = session.sign(blind, merchant, desk);
        let is_ours = constant_time::verify_slices_are_equal(wanted.0.as_bytes(), text.as_bytes()).is_ok();
        (is_ours && !proof.is_empty() && parts.next().is_none() && now < expires_at).then_some(session)
    }

    fn proof(&self, blind: impl FnOnce(&[&[u8]]) -> [u8; 32], merchant: &MerchantId, desk: &KeyId) -> [u8; 32] {
        blind(&[
            b"clerk session\0",
            merchant.as_str().as_bytes(),
            desk.as_str().as_bytes(),
            self.clerk.as_str().as_bytes(),
            &self.expires_at.as_second().to_be_bytes(),
            &self.generation.to_be_bytes(),
        ])
    }
}
