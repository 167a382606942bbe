//! Signs the tokens of recorded grants.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;

use crate::keyring::Keyring;
use crate::ledger::Recorded;
use crate::ledger::entry::Grant;
use crate::tokens::TokenError;
use crate::tokens::verifier::MAX_TOKEN_BYTES;

/// The only maker of tokens.
#[derive(Debug, Clone)]
pub struct Issuer {
    keyring: Keyring,
}

impl Issuer {
    /// An issuer that signs with these keys.
    #[must_use]
    pub const fn new(keyring: Keyring) -> Self {
        Self { keyring }
    }

    /// The grant's token: its stored claims under its stored key. Ed25519 takes no randomness
    /// (RFC 8032 §5.1.6), so a replay gives the very same bytes.
    ///
    /// # Errors
    /// [`TokenError::UnknownKey`] when the grant's key was retired, and [`TokenError::Malformed`]
    /// when the claims are too long for any verifier.
    pub fn sign(&self, grant: &Recorded<Grant>) -> Result<String, TokenError> {
        let grant = grant.get();
        let key = self.keyring.find_token_key(&grant.kid).ok_or(TokenError::UnknownKey)?;
        let mut token = String::with_capacity(1024);
        token.push_str(key.protected_header());
        token.push('.');
        BASE64URL.encode_string(&grant.claims, &mut token);
        let signature = key.sign(token.as_bytes());
        token.push('.');
        BASE64URL.encode_string(signature, &mut token);
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Malformed("it is too long"));
        }
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};

    use super::*;
    use crate::foundation::clock::Clock;
    use crate::keyring::tests::Fixture;
    use crate::tokens::claims::tests::claims;

    fn grant(keyring: &Keyring) -> Recorded<Grant> {
        Recorded::for_test(Grant {
            id: claims().jti,
            kid: keyring.token_key().kid().to_owned(),
            claims: claims().to_json(),
            expires_at: Timestamp::from_second(claims().exp).unwrap(),
            single_use: true,
            end: None,
        })
    }

    #[test]
    fn a_grant_has_one_token_and_others_verify_it() {
        let fixture = Fixture::new();
        let keyring = fixture.open();
        let grant = grant(&keyring);
        let token = Issuer::new(keyring.clone()).sign(&grant).unwrap();
        assert_eq!(Issuer::new(fixture.open()).sign(&grant).unwrap(), token, "another replica, the same bytes");

        let key = DecodingKey::from_ed_components(&BASE64URL.encode(keyring.token_key().public_key())).unwrap();
        let mut strict = Validation::new(Algorithm::EdDSA);
        strict.set_audience(&["cathay/sfo-lounge"]);
        strict.set_issuer(&["https://gate.example"]);
        strict.validate_exp = false;
        let read = decode::<serde_json::Value>(&token, &key, &strict).unwrap();
        assert_eq!(read.header.kid.as_deref(), Some(keyring.token_key().kid()));
        assert_eq!(read.header.typ.as_deref(), Some("eligibility+jwt"));
        assert_eq!(read.claims["jti"], "grt_00000000000070008000000000000001");
        let header = BASE64URL.decode(token.split('.').next().unwrap()).unwrap();
        assert_eq!(
            String::from_utf8(header).unwrap(),
            format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"eligibility+jwt"}}"#, keyring.token_key().kid())
        );
    }

    #[test]
    fn a_replay_signs_with_the_grants_own_key_until_that_is_retired() {
        let fixture = Fixture::new();
        let keyring = fixture.open();
        let (issuer, grant) = (Issuer::new(keyring.clone()), grant(&keyring));
        let token = issuer.sign(&grant).unwrap();
        let next = keyring.rotate_token_key(SignedDuration::from_hours(1)).unwrap();
        let start = fixture.clock.now();
        fixture.clock.set(start + SignedDuration::from_hours(2));
        assert_eq!(keyring.token_key().kid(), next.kid());
        assert_eq!(issuer.sign(&grant).unwrap(), token);
        fixture.clock.set(start + SignedDuration::from_hours(26));
        assert_eq!(issuer.sign(&grant), Err(TokenError::UnknownKey));
        assert!(matches!(fixture.clock, Clock::Fixed(_)));
    }

    #[test]
    fn a_token_that_no_verifier_would_take_is_not_made() {
        let keyring = Fixture::new().open();
        let long = Recorded::for_test(Grant { claims: "x".repeat(3000), ..grant(&keyring).get().clone() });
        assert!(matches!(Issuer::new(keyring).sign(&long), Err(TokenError::Malformed(_))));
    }
}
