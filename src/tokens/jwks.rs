//! The public token keys as a JWK set (RFC 7517, RFC 8037), and their RFC 7638 names.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;

use crate::foundation::json::Json;
use crate::keyring::{ALGORITHM, thumbprint};

/// A set of Ed25519 public keys by name, in the order they were given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Jwks(Vec<(String, [u8; 32])>);

/// Why a document is no JWK set that can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    #[error("not a JWK set: {0}")]
    Malformed(&'static str),
    #[error("a key's `kid` is not its RFC 7638 thumbprint")]
    WrongKid,
    #[error("two keys go by the same `kid`")]
    Doubled,
    #[error("the set holds a private key: it must not leave the gateway")]
    PrivateKey,
}

impl Jwks {
    /// The set of these keys.
    #[must_use]
    pub fn new(public_keys: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self(public_keys.into_iter().map(|key| (thumbprint(&key), key)).collect())
    }

    /// The key of this name.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&[u8; 32]> {
        self.0.iter().find(|(name, _)| name == kid).map(|(_, key)| key)
    }

    /// The document, in canonical JSON: the same keys give the same bytes, so an `ETag` can be
    /// made of it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let member = |name: &str, text: &str| (name.to_owned(), Json::Text(text.to_owned()));
        let keys = self.0.iter().map(|(kid, key)| {
            Json::Object(vec![
                member("kty", "OKP"),
                member("crv", "Ed25519"),
                member("x", &BASE64URL.encode(key)),
                member("kid", kid),
                member("alg", ALGORITHM),
                member("use", "sig"),
            ])
        });
        Json::Object(vec![("keys".to_owned(), Json::List(keys.collect()))]).canonical()
    }

    /// Reads a set. Keys of other kinds are passed over (RFC 7517 §5), as are members it doesn't
    /// know; a key that says it is ours must be so.
    ///
    /// # Errors
    /// [`JwksError`].
    pub fn parse(text: &str) -> Result<Self, JwksError> {
        let json = Json::parse(text).map_err(|_| JwksError::Malformed("it is not strict JSON"))?;
        let Some(Json::List(keys)) = json.member("keys") else {
            return Err(JwksError::Malformed("it has no list `keys`"));
        };
        let mut set = Self::default();
        for key in keys {
            let text = |name: &str| match key.member(name) {
                Some(Json::Text(text)) => Some(text.as_str()),
                _ => None,
            };
            if text("kty") != Some("OKP") || text("crv") != Some("Ed25519") {
                continue;
            }
            if key.member("d").is_some() {
                return Err(JwksError::PrivateKey);
            }
            if text("alg").is_some_and(|alg| alg != ALGORITHM) || text("use").is_some_and(|usage| usage != "sig") {
                continue;
            }
            let public_key: [u8; 32] = text("x")
                .and_then(|x| BASE64URL.decode(x).ok())
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or(JwksError::Malformed("an Ed25519 key's `x` is not the base64url of 32 bytes"))?;
            let kid = thumbprint(&public_key);
            if text("kid") != Some(&kid) {
                return Err(JwksError::WrongKid);
            }
            if set.find(&kid).is_some() {
                return Err(JwksError::Doubled);
            }
            set.0.push((kid, public_key));
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::{Jwk, JwkSet, ThumbprintHash};

    use super::*;

    /// RFC 8037, appendix A.1 and A.3.
    const RFC_KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const RFC_KID: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

    fn rfc_key() -> [u8; 32] {
        BASE64URL.decode(RFC_KEY).unwrap().try_into().unwrap()
    }

    #[test]
    fn a_key_is_named_by_its_thumbprint() {
        assert_eq!(thumbprint(&rfc_key()), RFC_KID);
        let jwk: Jwk = serde_json::from_str(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{RFC_KEY}"}}"#)).unwrap();
        assert_eq!(jwk.thumbprint(ThumbprintHash::SHA256).unwrap(), RFC_KID);
    }

    #[test]
    fn a_set_prints_and_parses_and_others_read_it() {
        let set = Jwks::new([rfc_key(), [3; 32]]);
        let text = set.to_json();
        assert!(
            text.starts_with(&format!(
                r#"{{"keys":[{{"alg":"EdDSA","crv":"Ed25519","kid":"{RFC_KID}","kty":"OKP","use":"sig","x":"{RFC_KEY}"}}"#
            )),
            "{text}"
        );
        assert_eq!(Jwks::parse(&text), Ok(set.clone()));
        assert_eq!(set.find(RFC_KID), Some(&rfc_key()));
        assert_eq!(set.find("another"), None);
        let others: JwkSet = serde_json::from_str(&text).unwrap();
        assert!(others.find(RFC_KID).is_some_and(Jwk::is_supported));
    }

    #[test]
    fn keys_of_other_kinds_are_passed_over() {
        let ours = Jwks::new([rfc_key()]).to_json();
        let mixed = ours.replace("{\"keys\":[", "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"},7,");
        assert_eq!(Jwks::parse(&mixed), Jwks::parse(&ours));
    }

    #[test]
    fn a_set_that_can_not_be_trusted_is_refused() {
        let good = Jwks::new([rfc_key()]).to_json();
        for (from, to, why) in [
            (RFC_KID, "kid-1", JwksError::WrongKid),
            (&*format!("\"kid\":\"{RFC_KID}\","), "", JwksError::WrongKid),
            ("\"kty\"", "\"d\":\"AAAA\",\"kty\"", JwksError::PrivateKey),
        ] {
            assert!(good.contains(from));
            assert_eq!(Jwks::parse(&good.replace(from, to)), Err(why), "{to}");
        }
        let one = good.trim_start_matches("{\"keys\":[").trim_end_matches("]}");
        assert_eq!(Jwks::parse(&format!("{{\"keys\":[{one},{one}]}}")), Err(JwksError::Doubled));
        for bad in ["", "[]", "{}", "{\"keys\":{}}", &good.replace(RFC_KEY, "AAAA"), &good.replace("keys", "Keys")] {
            assert!(matches!(Jwks::parse(bad), Err(JwksError::Malformed(_))), "{bad}");
        }
    }
}
