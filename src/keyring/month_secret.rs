//! A merchant's secret of one month: what digests of boarding passes and members of the context are made with. Once it is
//! destroyed, nobody can try which pass a counter stands for.

use std::fmt;

use aws_lc_rs::hmac;
use secrecy::zeroize::Zeroizing;

use super::master::{MasterKey, UnwrapError};
use super::seal::mac;
use super::{KeyPurpose, KeyringError};
use crate::foundation::entropy::Entropy;
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::hex;

/// The secret, unwrapped.
pub struct MonthSecret(hmac::Key);

impl MonthSecret {
    /// The digest of what a check brought for a scope: 32 hexadecimal digits.
    #[must_use]
    pub fn digest(&self, scope: &str, value: &[u8]) -> String {
        let mac = mac(&self.0, &[b"perkgate scope v1\0", scope.as_bytes(), b"\0", value]);
        let (half, _) = mac.split_at(mac.len() / 2);
        hex(half)
    }
}

impl fmt::Debug for MonthSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MonthSecret(…)")
    }
}

fn kid(merchant: &MerchantId, month: &str) -> String {
    format!("{merchant} {month}")
}

pub(super) fn wrap(master: &MasterKey, merchant: &MerchantId, month: &str, entropy: &Entropy) -> Vec<u8> {
    let secret = Zeroizing::new(entropy.bytes::<32>());
    master.wrap(KeyPurpose::Month, &kid(merchant, month), &secret, entropy)
}

pub(super) fn unwrap(
    master: &MasterKey,
    merchant: &MerchantId,
    month: &str,
    wrapped: &[u8],
) -> Result<MonthSecret, KeyringError> {
    let kid = kid(merchant, month);
    match master.unwrap(KeyPurpose::Month, &kid, wrapped) {
        Ok(secret) => Ok(MonthSecret(hmac::Key::new(hmac::HMAC_SHA256, secret.as_slice()))),
        Err(UnwrapError::OtherMasterKey) => Err(KeyringError::WrongMasterKey { kid }),
        Err(UnwrapError::Damaged) => Err(KeyringError::Damaged { kid }),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_digest_is_the_merchants_the_months_the_scopes_and_the_values() {
        let (entropy, master) = (Entropy::seeded(1), MasterKey::generate(&Entropy::seeded(2)));
        let merchant = |seed| MerchantId::new(Timestamp::UNIX_EPOCH, &Entropy::seeded(seed));
        let wrapped = wrap(&master, &merchant(1), "2026-11", &entropy);
        let secret = unwrap(&master, &merchant(1), "2026-11", &wrapped).unwrap();
        let digest = secret.digest("boarding_pass", b"a");
        assert_eq!((digest.len(), &digest), (32, &secret.digest("boarding_pass", b"a")));
        assert_ne!(secret.digest("boarding_pass", b"b"), digest);
        assert_ne!(secret.digest("context.a", b"a"), digest);
        let other = wrap(&master, &merchant(1), "2026-11", &entropy);
        assert_ne!(unwrap(&master, &merchant(1), "2026-11", &other).unwrap().digest("boarding_pass", b"a"), digest);
        assert!(unwrap(&master, &merchant(2), "2026-11", &wrapped).is_err());
        assert!(unwrap(&master, &merchant(1), "2026-12", &wrapped).is_err());
        assert!(unwrap(&MasterKey::generate(&entropy), &merchant(1), "2026-11", &wrapped).is_err());
        assert_eq!(format!("{secret:?}"), "MonthSecret(…)");
    }
}
