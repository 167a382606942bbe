//! The signing key as tokens name it: its RFC 7638 name, and the header in front of the claims.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;

use crate::foundation::json::Json;

/// The only algorithm: Ed25519 (RFC 8037).
pub const ALGORITHM: &str = "EdDSA";
/// Keeps a token from passing for another kind of JWT of the same issuer (RFC 8725 §3.11).
pub const TYPE: &str = "eligibility+jwt";

/// The RFC 7638 thumbprint of an Ed25519 key: SHA-256 of its required members, in base64url.
#[must_use]
pub fn thumbprint(public_key: &[u8; 32]) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, BASE64URL.encode(public_key));
    BASE64URL.encode(digest::digest(&digest::SHA256, members.as_bytes()))
}

/// The first segment of a token that `kid` signs: base64url of the canonical header.
#[must_use]
pub fn protected_header(kid: &str) -> String {
    let member = |name: &str, text: &str| (name.to_owned(), Json::Text(text.to_owned()));
    BASE64URL.encode(Json::Object(vec![member("alg", ALGORITHM), member("kid", kid), member("typ", TYPE)]).canonical())
}
