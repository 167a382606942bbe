//! The token by which a provider says who logged in, checked as OpenID Connect Core 3.1.3.7 and RFC 8725 ask: the token
//! chooses neither its key's kind nor how it is checked, and every claim is held to what was asked for.

use aws_lc_rs::constant_time;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde_json::Value;

/// The most bytes of a token that is looked at.
const LONGEST: usize = 16 * 1024;
/// Longest subject (OpenID Connect Core 2).
pub const LONGEST_SUBJECT: usize = 255;
/// How far the provider's clock may be from ours.
const SKEW: SignedDuration = SignedDuration::from_mins(1);

/// The signatures that are taken. Neither `none` nor those of a shared secret are among them.
const ALGORITHMS: [(&str, Algorithm, &str); 9] = [
    ("RS256", Algorithm::RS256, "RSA"),
    ("RS384", Algorithm::RS384, "RSA"),
    ("RS512", Algorithm::RS512, "RSA"),
    ("PS256", Algorithm::PS256, "RSA"),
    ("PS384", Algorithm::PS384, "RSA"),
    ("PS512", Algorithm::PS512, "RSA"),
    ("ES256", Algorithm::ES256, "EC"),
    ("ES384", Algorithm::ES384, "EC"),
    ("EdDSA", Algorithm::EdDSA, "OKP"),
];

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    #[error("it is no token that can be read")]
    Malformed,
    #[error("its header asks for something that is not known here")]
    Critical,
    #[error("it is signed by no algorithm that is taken")]
    Algorithm,
    #[error("the provider publishes no such key")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
    #[error("it is of another issuer")]
    Issuer,
    #[error("it is for another client")]
    Audience,
    #[error("it is over")]
    Expired,
    #[error("it was issued before the log-in began, or in the future")]
    IssuedAt,
    #[error("it answers another log-in")]
    Nonce,
    #[error("its subject can't be one")]
    Subject,
}

/// The header of a token, as far as it is looked at.
#[derive(Debug, Clone)]
pub struct Header {
    name: &'static str,
    algorithm: Algorithm,
    family: &'static str,
    kid: Option<String>,
}

#[derive(Deserialize)]
struct RawHeader {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
    b64: Option<Value>,
    enc: Option<Value>,
    zip: Option<Value>,
}

/// The request that a token is held to.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    pub issuer: &'a str,
    pub client: &'a str,
    pub nonce: &'a str,
    /// When the log-in began.
    pub begun: Timestamp,
    pub now: Timestamp,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    nonce: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Header {
    /// Reads the header of a token.
    ///
    /// # Errors
    /// [`IdTokenError`].
    pub fn of(token: &str) -> Result<Self, IdTokenError> {
        if token.len() > LONGEST {
            return Err(IdTokenError::Malformed);
        }
        let first = token.split('.').next().unwrap_or_default();
        let bytes = BASE64URL.decode(first).map_err(|_| IdTokenError::Malformed)?;
        let RawHeader { alg, kid, crit, b64, enc, zip } =
            serde_json::from_slice(&bytes).map_err(|_| IdTokenError::Malformed)?;
        if [crit, b64, enc, zip].iter().any(Option::is_some) {
            return Err(IdTokenError::Critical);
        }
        let known = ALGORITHMS.into_iter().find(|(name, ..)| *name == alg).ok_or(IdTokenError::Algorithm)?;
        let (name, algorithm, family) = known;
        Ok(Self { name, algorithm, family, kid })
    }

    /// The key among those that are published which the token names; without a name, the only one that can be it.
    #[must_use]
    pub fn key_among<'a>(&self, keys: &'a [Value]) -> Option<&'a Value> {
        let text = |key: &'a Value, member: &str| key.get(member).and_then(Value::as_str);
        let mut fit = keys.iter().filter(|key| {
            text(key, "kty") == Some(self.family)
                && text(key, "use").is_none_or(|purpose| purpose == "sig")
                && text(key, "alg").is_none_or(|algorithm| algorithm == self.name)
                && self.kid.as_deref().is_none_or(|kid| text(key, "kid") == Some(kid))
        });
        let first = fit.next();
        if fit.next().is_some() { None } else { first }
    }

    /// The subject of a token whose header this is, held to its key and to what was asked for.
    ///
    /// # Errors
    /// [`IdTokenError`].
    pub fn verify(&self, token: &str, key: &Value, expected: &Expected<'_>) -> Result<String, IdTokenError> {
        let key: Jwk = serde_json::from_value(key.clone()).map_err(|_| IdTokenError::UnknownKey)?;
        let key = DecodingKey::from_jwk(&key).map_err(|_| IdTokenError::UnknownKey)?;
        let mut validation = Validation::new(self.algorithm);
        validation.required_spec_claims.clear();
        // The claims are held below, to our clock.
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        let claims = decode::<Value>(token, &key, &validation).map_err(|_| IdTokenError::Signature)?.claims;
        hold(serde_json::from_value(claims).map_err(|_| IdTokenError::Malformed)?, expected)
    }
}

fn hold(claims: Claims, expected: &Expected<'_>) -> Result<String, IdTokenError> {
    let Claims { iss, sub, aud, azp, exp, iat, nbf, nonce } = claims;
    if iss != expected.issuer {
        return Err(IdTokenError::Issuer);
    }
    let (is_ours, has_others) = match &aud {
        Audience::One(one) => (one == expected.client, false),
        Audience::Several(all) => (all.iter().any(|it| it == expected.client), all.len() > 1),
    };
    // Of several audiences the token says which one it was made for.
    let is_party = azp.as_deref().map_or(!has_others, |party| party == expected.client);
    if !is_ours || !is_party {
        return Err(IdTokenError::Audience);
    }
    let instant = |seconds: i64| Timestamp::from_second(seconds).map_err(|_| IdTokenError::Malformed);
    if expected.now.duration_since(instant(exp)?) >= SKEW {
        return Err(IdTokenError::Expired);
    }
    let issued = instant(iat)?;
    let is_early = |at: Timestamp| at.duration_since(expected.now) > SKEW;
    if is_early(issued) || expected.begun.duration_since(issued) > SKEW {
        return Err(IdTokenError::IssuedAt);
    }
    if let Some(nbf) = nbf
        && is_early(instant(nbf)?)
    {
        return Err(IdTokenError::IssuedAt);
    }
    let nonce = nonce.unwrap_or_default();
    if constant_time::verify_slices_are_equal(nonce.as_bytes(), expected.nonce.as_bytes()).is_err() {
        return Err(IdTokenError::Nonce);
    }
    if is_subject(&sub) { Ok(sub) } else { Err(IdTokenError::Subject) }
}

/// Tells whether a text can be a subject: at most 255 ASCII characters, none of them a control.
#[must_use]
pub fn is_subject(text: &str) -> bool {
    (1..=LONGEST_SUBJECT).contains(&text.len())
        && text.bytes().all(|b| (b' '..=b'~').contains(&b))
        && text == text.trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn held(claims: Value) -> Result<String, IdTokenError> {
        let expected =
            Expected { issuer: "https://id.example", client: "console", nonce: "n", begun: at(1_000), now: at(1_010) };
        hold(serde_json::from_value(claims).map_err(|_| IdTokenError::Malformed)?, &expected)
    }

    fn with(member: &str, value: Value) -> Value {
        let mut claims = json!({
            "iss": "https://id.example", "sub": "7", "aud": "console", "exp": 1_300, "iat": 1_005, "nonce": "n"
        });
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(member)),
            value => claims[member] = value,
        }
        claims
    }

    #[test]
    fn every_claim_is_held_to_what_was_asked_for() {
        assert_eq!(held(with("sub", json!("7"))), Ok("7".to_owned()));
        assert_eq!(held(with("aud", json!(["console"]))), Ok("7".to_owned()));
        for (member, value, wanted) in [
            ("iss", json!("https://id.example/"), IdTokenError::Issuer),
            ("aud", json!("other"), IdTokenError::Audience),
            ("aud", json!([]), IdTokenError::Audience),
            ("aud", json!(["console", "other"]), IdTokenError::Audience),
            ("azp", json!("other"), IdTokenError::Audience),
            ("exp", json!(950), IdTokenError::Expired),
            ("exp", Value::Null, IdTokenError::Malformed),
            ("iat", json!(939), IdTokenError::IssuedAt),
            ("iat", json!(1_071), IdTokenError::IssuedAt),
            ("iat", Value::Null, IdTokenError::Malformed),
            ("nbf", json!(1_071), IdTokenError::IssuedAt),
            ("nonce", json!("m"), IdTokenError::Nonce),
            ("nonce", Value::Null, IdTokenError::Nonce),
            ("sub", json!(""), IdTokenError::Subject),
            ("sub", json!("a\0b"), IdTokenError::Subject),
            ("sub", json!("a".repeat(256)), IdTokenError::Subject),
            ("sub", json!(7), IdTokenError::Malformed),
        ] {
            assert_eq!(held(with(member, value.clone())), Err(wanted), "{member}: {value}");
        }
        let mut several = with("aud", json!(["other", "console"]));
        several["azp"] = json!("console");
        assert_eq!(held(several), Ok("7".to_owned()));
    }

    #[test]
    fn a_header_chooses_nothing_but_a_key() {
        let header = |text: &str| Header::of(&format!("{}.e30.", BASE64URL.encode(text)));
        assert!(header(r#"{"alg":"ES256","kid":"a","typ":"JWT"}"#).is_ok());
        for (text, wanted) in [
            (r#"{"alg":"none"}"#, IdTokenError::Algorithm),
            (r#"{"alg":"None"}"#, IdTokenError::Algorithm),
            (r#"{"alg":"HS256"}"#, IdTokenError::Algorithm),
            (r#"{"alg":"ES256","crit":["exp"]}"#, IdTokenError::Critical),
            (r#"{"alg":"ES256","b64":false}"#, IdTokenError::Critical),
            ("{}", IdTokenError::Malformed),
            ("", IdTokenError::Malformed),
        ] {
            assert_eq!(header(text).unwrap_err(), wanted, "{text}");
        }
        assert_eq!(Header::of(&"a".repeat(LONGEST + 1)).unwrap_err(), IdTokenError::Malformed);
        let keys = [
            json!({"kty": "oct", "kid": "a", "k": "AAAA"}),
            json!({"kty": "EC", "kid": "a", "use": "enc"}),
            json!({"kty": "EC", "kid": "b", "use": "sig"}),
            json!({"kty": "EC", "kid": "c", "alg": "ES384"}),
        ];
        let found = |text: &str| header(text).unwrap().key_among(&keys).and_then(|key| key["kid"].as_str());
        assert_eq!(found(r#"{"alg":"ES256","kid":"a"}"#), None);
        assert_eq!(found(r#"{"alg":"ES256","kid":"b"}"#), Some("b"));
        assert_eq!(found(r#"{"alg":"ES256","kid":"c"}"#), None);
        assert_eq!(found(r#"{"alg":"ES256"}"#), Some("b"));
        assert_eq!(found(r#"{"alg":"ES384"}"#), None, "two could be it");
        assert_eq!(found(r#"{"alg":"RS256"}"#), None);
    }
}
