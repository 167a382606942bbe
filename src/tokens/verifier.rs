//! Checks tokens as RFC 8725 asks: everything is pinned, and nothing in the token chooses how it
//! is checked. What `jsonwebtoken` takes more freely is refused here first: a header that is not exactly
//! ours, segments that are not canonical.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::errors::{Error as JwtError, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::de::IgnoredAny;

use super::{Claims, Jwks, TokenError};
use crate::foundation::json::Json;
use crate::keyring::{ALGORITHM, TYPE};
use crate::keyring::{Keyring, LONGEST_TOKEN_TTL};

/// The longest token that is looked at.
pub const MAX_TOKEN_BYTES: usize = 4096;

/// Header members that other JWTs carry and that make a verifier fetch, trust or skip something.
const DANGEROUS: [&str; 10] = ["crit", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "b64", "zip", "enc"];

/// Checks tokens of one issuer against its published keys.
#[derive(Debug, Clone)]
pub struct Verifier {
    keys: Keys,
    /// The rules of [`Verifier::verify_signature`].
    validation: Validation,
}

/// A token that was signed by a key of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    pub claims: Claims,
    /// The name of the key, where it was withdrawn.
    pub withdrawn: Option<String>,
}

#[derive(Debug, Clone)]
enum Keys {
    /// The gateway's own; follows rotation.
    Keyring(Keyring),
    /// A door's copy.
    Copy(Jwks),
}

impl Verifier {
    /// The gateway's own verifier.
    #[must_use]
    pub fn new(keyring: Keyring, issuer: &str) -> Self {
        Self { keys: Keys::Keyring(keyring), validation: validation_of(issuer) }
    }

    /// A verifier without a gateway: `jwks` must have come from `issuer` over a trusted way.
    #[must_use]
    pub fn offline(jwks: Jwks, issuer: &str) -> Self {
        Self { keys: Keys::Copy(jwks), validation: validation_of(issuer) }
    }

    /// Checks everything: [`Verifier::verify_signature`], the audience (`merchant/audience`), the time.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn verify(&self, token: &str, audience: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let aud = Some(set([audience]));
        let validation = Validation { validate_aud: true, aud, ..self.validation.clone() };
        let claims = self.read(token, &validation)?;
        claims.check_time(now)?;
        Ok(claims)
    }

    /// Checks that this issuer made the token, whenever and for whichever door. The claims are not looked
    /// at before the signature is known to fit.
    ///
    /// # Errors
    /// [`TokenError`], but for the audience and the time.
    pub fn verify_signature(&self, token: &str) -> Result<Claims, TokenError> {
        self.read(token, &self.validation)
    }

    /// [`Verifier::verify_signature`] of a token that a door took up to `ago` before: its key may be retired or withdrawn
    /// since. By a withdrawn key anybody may have signed.
    ///
    /// # Errors
    /// As [`Verifier::verify_signature`].
    pub fn verify_reported(&self, token: &str, ago: SignedDuration) -> Result<Signed, TokenError> {
        let mut withdrawn = None;
        let claims = Self::read_by(token, &self.validation, |kid| match &self.keys {
            Keys::Keyring(keyring) => {
                let key = keyring.find_reported_key(kid, ago).ok_or(TokenError::UnknownKey)?;
                withdrawn = key.revoked_at().map(|_| kid.to_owned());
                Ok(*key.public_key())
            }
            Keys::Copy(_) => self.find_key(kid),
        })?;
        Ok(Signed { claims, withdrawn })
    }

    fn read(&self, token: &str, validation: &Validation) -> Result<Claims, TokenError> {
        Self::read_by(token, validation, |kid| self.find_key(kid))
    }

    fn read_by(
        token: &str,
        validation: &Validation,
        find: impl FnOnce(&str) -> Result<[u8; 32], TokenError>,
    ) -> Result<Claims, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Malformed("it is too long"));
        }
        let segments: Vec<&str> = token.split('.').collect();
        let [header, payload, signature] = segments.as_slice() else {
            return Err(TokenError::Malformed("a token has three segments"));
        };
        let kid = checked_header(&decoded(header)?)?;
        let claims = decoded(payload)?;
        decoded(signature)?;
        let public_key = find(&kid)?;
        let key = DecodingKey::from_ed_components(&BASE64URL.encode(public_key)).map_err(|error| refusal(&error))?;
        let checked = decode::<IgnoredAny>(token, &key, validation).map_err(|error| refusal(&error));
        if let Err(error) = &checked
            && !matches!(error, TokenError::WrongIssuer | TokenError::WrongAudience)
        {
            return Err(*error);
        }
        // The signature fits. The claims are still to be read strictly: doubled members, fractions of a second and
        // lists of audiences have been taken, and are no claims of ours, whomever they name.
        let text = std::str::from_utf8(&claims).map_err(|_| TokenError::Malformed("the claims are not UTF-8"))?;
        let claims = Claims::parse(text)?;
        checked?;
        // Someone who has stolen a key can sign what they like, but not past the time at which doors forget the key.
        if claims.exp.saturating_sub(claims.iat) > LONGEST_TOKEN_TTL.as_secs() {
            return Err(TokenError::TooLongLived);
        }
        Ok(claims)
    }

    /// The key of this name that is believed.
    fn find_key(&self, kid: &str) -> Result<[u8; 32], TokenError> {
        match &self.keys {
            Keys::Keyring(keyring) => match keyring.find_token_key(kid) {
                Some(key) => Ok(*key.public_key()),
                None if keyring.revoked_at(kid).is_some() => Err(TokenError::KeyRevoked),
                None => Err(TokenError::UnknownKey),
            },
            Keys::Copy(jwks) => jwks.find(kid).copied().ok_or(TokenError::UnknownKey),
        }
    }
}

/// The rules for a token of this issuer, at any door and at any time. Every option is written out, so that one that a
/// later version of the crate adds is decided on here.
fn validation_of(issuer: &str) -> Validation {
    Validation {
        algorithms: vec![Algorithm::EdDSA],
        required_spec_claims: set(["iss", "aud", "sub", "nbf", "exp"]),
        iss: Some(set([issuer])),
        // One door's where a door asks: `Verifier::verify`.
        validate_aud: false,
        aud: None,
        sub: None,
        // It would ask the system's clock. The time is `Claims::check_time`'s: by the gateway's clock, with the skew
        // that is promised, and only once it is known that nobody has redeemed the token before.
        validate_exp: false,
        validate_nbf: false,
        leeway: 0,
        reject_tokens_expiring_in_less_than: 0,
    }
}

fn set<const N: usize>(texts: [&str; N]) -> HashSet<String> {
    texts.map(str::to_owned).into()
}

/// The reason of a refusal by `jsonwebtoken`.
fn refusal(error: &JwtError) -> TokenError {
    match error.kind() {
        ErrorKind::InvalidSignature => TokenError::BadSignature,
        ErrorKind::InvalidIssuer => TokenError::WrongIssuer,
        ErrorKind::InvalidAudience => TokenError::WrongAudience,
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName | ErrorKind::UnsupportedAlgorithm => {
            TokenError::UnsupportedAlgorithm
        }
        ErrorKind::MissingRequiredClaim(_) => TokenError::Malformed("a claim that every token has is missing or isn't"),
        _ => TokenError::Malformed("it is no JSON Web Token"),
    }
}

/// One segment: base64url without padding, in its one canonical form (the engine refuses bits
/// that carry nothing).
fn decoded(segment: &str) -> Result<Vec<u8>, TokenError> {
    if segment.is_empty() {
        return Err(TokenError::Malformed("a segment is empty"));
    }
    BASE64URL.decode(segment).map_err(|_| TokenError::Malformed("a segment is not canonical base64url"))
}

/// The `kid` of a header that is exactly what [`crate::keyring::protected_header`] writes.
fn checked_header(bytes: &[u8]) -> Result<String, TokenError> {
    let malformed = TokenError::Malformed("the header is not a strict, canonical JSON object");
    let text = std::str::from_utf8(bytes).map_err(|_| malformed)?;
    let json = Json::parse(text).map_err(|_| malformed)?;
    let Json::Object(members) = &json else { return Err(malformed) };
    // Not "is it a known algorithm", but "is it the one": `none` and HS256 end here.
    if json.member("alg") != Some(&Json::Text(ALGORITHM.to_owned())) {
        return Err(TokenError::UnsupportedAlgorithm);
    }
    if let Some((name, _)) = members.iter().find(|(name, _)| !matches!(name.as_str(), "alg" | "kid" | "typ")) {
        let known = DANGEROUS.into_iter().find(|dangerous| dangerous == name);
        return Err(TokenError::UnsupportedHeader(known.unwrap_or("another member")));
    }
    if json.member("typ") != Some(&Json::Text(TYPE.to_owned())) {
        return Err(TokenError::WrongType);
    }
    let Some(Json::Text(kid)) = json.member("kid") else {
        return Err(TokenError::Malformed("the header names no key"));
    };
    if json.canonical() != text {
        return Err(malformed);
    }
    Ok(kid.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::tests::Fixture;
    use crate::keyring::{protected_header, thumbprint};
    use crate::tokens::claims::tests::claims;
    use aws_lc_rs::hmac;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    const ISSUER: &str = "https://gate.example";
    const DOOR: &str = "cathay/sfo-lounge";

    fn pair() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap()
    }

    fn public_key() -> [u8; 32] {
        pair().public_key().as_ref().try_into().unwrap()
    }

    fn verifier() -> Verifier {
        Verifier::offline(Jwks::new([public_key()]), ISSUER)
    }

    /// A token with a right signature over whatever header and claims these are.
    fn signed(header: &str, claims: &str) -> String {
        let message = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(claims));
        let signature = BASE64URL.encode(pair().sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn header() -> String {
        String::from_utf8(BASE64URL.decode(protected_header(&thumbprint(&public_key()))).unwrap()).unwrap()
    }

    fn good() -> String {
        signed(&header(), &claims().to_json())
    }

    #[track_caller]
    fn assert_refused(token: &str, why: TokenError) {
        assert_eq!(verifier().verify_signature(token).unwrap_err().slug(), why.slug(), "{token}");
    }

    const MALFORMED: TokenError = TokenError::Malformed("");

    #[test]
    fn a_good_token_is_taken_at_its_door_in_its_time() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(verifier().verify(&good(), DOOR, at(1_700_000_100)), Ok(claims()));
        let other = "american/admirals-club";
        assert_eq!(verifier().verify(&good(), other, at(1_700_000_100)), Err(TokenError::WrongAudience));
        assert_eq!(verifier().verify(&good(), DOOR, at(1_700_009_999)), Err(TokenError::Expired));
        assert_eq!(verifier().verify(&good(), DOOR, at(1_600_000_000)), Err(TokenError::NotYetValid));
        let elsewhere = Verifier::offline(Jwks::new([public_key()]), "https://other.example");
        assert_eq!(elsewhere.verify_signature(&good()), Err(TokenError::WrongIssuer));
        let without_the_key = Verifier::offline(Jwks::new([[3; 32]]), ISSUER);
        assert_eq!(without_the_key.verify_signature(&good()), Err(TokenError::UnknownKey));
    }

    #[test]
    fn every_bent_bit_of_the_text_is_refused() {
        let (verifier, good) = (verifier(), good());
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bytes = good.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                if let Ok(bent) = String::from_utf8(bytes) {
                    assert!(verifier.verify_signature(&bent).is_err(), "{at}/{bit}: {bent}");
                }
            }
        }
    }

    #[test]
    fn every_bent_bit_of_a_decoded_segment_is_refused() {
        let (verifier, good) = (verifier(), good());
        let segments: Vec<Vec<u8>> = good.split('.').map(|part| BASE64URL.decode(part).unwrap()).collect();
        for (which, segment) in segments.iter().enumerate() {
            for at in 0..segment.len() {
                for bit in 0..8 {
                    let mut bent = segments.clone();
                    bent[which][at] ^= 1 << bit;
                    let token: Vec<_> = bent.iter().map(|part| BASE64URL.encode(part)).collect();
                    let refused = verifier.verify_signature(&token.join(".")).unwrap_err();
                    assert!(which == 0 || refused == TokenError::BadSignature, "{which}/{at}/{bit}: {refused}");
                }
            }
        }
    }

    #[test]
    fn every_cut_token_is_refused() {
        let good = good();
        for end in 0..good.len() {
            assert!(verifier().verify_signature(&good[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn what_is_not_three_canonical_segments_is_refused() {
        let good = good();
        let parts: Vec<&str> = good.split('.').collect();
        let [header, payload, signature] = parts.as_slice() else { panic!("three segments") };
        // 64 bytes leave 4 bits of the last character that carry nothing: each must be zero.
        let last = signature.chars().last().unwrap();
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let next = alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap();
        let loose = format!("{header}.{payload}.{}{next}", &signature[..signature.len() - 1]);
        for bad in [
            String::new(),
            ".".into(),
            "..".into(),
            "...".into(),
            format!("{header}.{payload}"),
            format!("{header}.{payload}."),
            format!(".{payload}.{signature}"),
            format!("{header}..{signature}"),
            format!("{good}.{signature}"),
            format!("{good}."),
            format!("{good}="),
            format!("{good}=="),
            format!("{good}\n"),
            format!(" {good}"),
            format!("{good}\0"),
            format!("{header}=.{payload}.{signature}"),
            good.replace('.', ","),
            format!("{header}.{payload}.{}", signature.replace(['-', '_'], "+") + "+"),
            loose,
            format!("{header}.{}.{signature}", "A".repeat(1_000_000)),
            "A".repeat(MAX_TOKEN_BYTES + 1),
            "é".repeat(100),
        ] {
            assert_refused(&bad, MALFORMED);
        }
        assert_refused(&format!("{good}A"), TokenError::BadSignature);
    }

    #[test]
    fn a_header_is_exactly_ours() {
        let (header, claims) = (header(), claims().to_json());
        let with = |member: &str| header.replacen('{', &format!("{{{member},"), 1);
        let kid = thumbprint(&public_key());
        let jwk = format!(r#""jwk":{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, BASE64URL.encode(public_key()));
        for (bad, why) in [
            (header.replace("EdDSA", "none"), TokenError::UnsupportedAlgorithm),
            (header.replace("EdDSA", "eddsa"), TokenError::UnsupportedAlgorithm),
            (header.replace("EdDSA", "HS256"), TokenError::UnsupportedAlgorithm),
            (header.replace("EdDSA", "Ed25519"), TokenError::UnsupportedAlgorithm),
            (header.replace("\"alg\":\"EdDSA\",", ""), TokenError::UnsupportedAlgorithm),
            (header.replace("\"EdDSA\"", "[\"EdDSA\"]"), TokenError::UnsupportedAlgorithm),
            (with(&jwk), TokenError::UnsupportedHeader("jwk")),
            (with("\"crit\":[\"exp\"]"), TokenError::UnsupportedHeader("crit")),
            (with("\"crit\":[]"), TokenError::UnsupportedHeader("crit")),
            (with("\"jku\":\"https://evil.example/jwks.json\""), TokenError::UnsupportedHeader("jku")),
            (with("\"x5u\":\"https://evil.example/c.pem\""), TokenError::UnsupportedHeader("x5u")),
            (with("\"x5c\":[\"MIIB\"]"), TokenError::UnsupportedHeader("x5c")),
            (with("\"b64\":false"), TokenError::UnsupportedHeader("b64")),
            (with("\"cty\":\"JWT\""), TokenError::UnsupportedHeader("another member")),
            (header.replace(TYPE, "JWT"), TokenError::WrongType),
            (header.replace(TYPE, "at+jwt"), TokenError::WrongType),
            (header.replace(&format!(",\"typ\":\"{TYPE}\""), ""), TokenError::WrongType),
            (header.replace(&kid, "another"), TokenError::UnknownKey),
            (header.replace(&kid, ""), TokenError::UnknownKey),
            (header.replace(&format!(",\"kid\":\"{kid}\""), ""), MALFORMED),
            (header.replace(&format!("\"{kid}\""), "7"), MALFORMED),
            (with("\"alg\":\"EdDSA\""), MALFORMED),
            (header.replace(':', ": "), MALFORMED),
            (format!("[{header}]"), MALFORMED),
            ("{".repeat(500), MALFORMED),
            ("{}".into(), TokenError::UnsupportedAlgorithm),
        ] {
            assert_ne!(bad, header);
            assert_refused(&signed(&bad, &claims), why);
        }
    }

    #[test]
    fn a_public_key_is_no_hmac_secret() {
        for alg in ["HS256", "EdDSA"] {
            let header = header().replace("EdDSA", alg);
            let message = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(claims().to_json()));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public_key()), message.as_bytes());
            let token = format!("{message}.{}", BASE64URL.encode(tag));
            assert!(verifier().verify_signature(&token).is_err(), "{alg}");
        }
    }

    #[test]
    fn signed_claims_are_still_read_strictly() {
        let text = claims().to_json();
        for bad in [
            text.replacen('{', "{\"aud\":\"american/admirals-club\",", 1),
            text.replace("1700001800", "1700001800.5"),
            text.replace("\"exp\":1700001800,", ""),
            text.replace(':', ": "),
            "null".into(),
            "not json".into(),
        ] {
            assert_refused(&signed(&header(), &bad), MALFORMED);
        }
        let [at_most, too_long] =
            [1_700_086_400, 1_700_086_401].map(|exp: u64| text.replace("1700001800", &exp.to_string()));
        assert!(verifier().verify_signature(&signed(&header(), &at_most)).is_ok(), "a day");
        assert_refused(&signed(&header(), &too_long), TokenError::TooLongLived);
        let other_issuer = text.replace(ISSUER, "https://gate.example.evil");
        assert_refused(&signed(&header(), &other_issuer), TokenError::WrongIssuer);
    }

    #[test]
    fn the_gateways_verifier_follows_rotation_and_a_doors_copy_does_not() {
        let fixture = Fixture::new();
        let keyring = fixture.open();
        let gateway = Verifier::new(keyring.clone(), ISSUER);
        let sign = || {
            let key = keyring.token_key();
            let message = format!("{}.{}", key.protected_header(), BASE64URL.encode(claims().to_json()));
            format!("{message}.{}", BASE64URL.encode(key.sign(message.as_bytes())))
        };
        let copy = Jwks::new(keyring.token_keys().iter().map(|key| *key.public_key()));
        let door = Verifier::offline(Jwks::parse(&copy.to_json()).unwrap(), ISSUER);
        let old = sign();
        assert_eq!((gateway.verify_signature(&old), door.verify_signature(&old)), (Ok(claims()), Ok(claims())));

        let start = fixture.clock.now();
        keyring.rotate_token_key(SignedDuration::from_mins(10)).unwrap();
        fixture.clock.set(start + SignedDuration::from_mins(10));
        let new = sign();
        assert_eq!((gateway.verify_signature(&old), gateway.verify_signature(&new)), (Ok(claims()), Ok(claims())));
        assert_eq!(door.verify_signature(&new), Err(TokenError::UnknownKey));
        fixture.clock.set(start + SignedDuration::from_hours(25));
        assert_eq!(gateway.verify_signature(&old), Err(TokenError::UnknownKey));
    }
}
