//! A provider's own document of where it is asked what (OpenID Connect Discovery 1.0).

use std::net::IpAddr;

use reqwest::Url;
use serde::Deserialize;

/// The places of a provider.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub authorization: Url,
    pub token: Url,
    pub keys: Url,
    /// The secret goes into the form: the provider takes it in no header.
    pub secret_in_form: bool,
    /// It says in its answers which issuer it is (RFC 9207).
    pub names_itself: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// The address of an issuer's document.
pub(super) fn address_of(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// Tells whether an address may be asked: https, or http to this machine where the issuer is there too.
fn place(text: &str, is_issuer_here: bool) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_here && is_issuer_here);
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (is_safe && is_plain).then_some(url)
}

impl Places {
    /// Reads an issuer's document.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(issuer: &str, bytes: &[u8]) -> Result<Self, &'static str> {
        let document: Document = serde_json::from_slice(bytes).map_err(|_| "its discovery document can't be read")?;
        if document.issuer != issuer {
            return Err("its discovery document is of another issuer");
        }
        let is_here = issuer.starts_with("http://");
        let place =
            |text: &str| place(text, is_here).ok_or("its discovery document names an address that is not https");
        let methods = document.token_endpoint_auth_methods_supported.unwrap_or_default();
        let takes = |method: &str| methods.iter().any(|it| it == method);
        Ok(Self {
            authorization: place(&document.authorization_endpoint)?,
            token: place(&document.token_endpoint)?,
            keys: place(&document.jwks_uri)?,
            secret_in_form: takes("client_secret_post") && !takes("client_secret_basic"),
            names_itself: document.authorization_response_iss_parameter_supported,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_of_its_issuer_and_names_safe_places() {
        let read = |issuer: &str, said: &str, token: &str| {
            let text = format!(
                r#"{{"issuer":"{said}","authorization_endpoint":"{issuer}/a","token_endpoint":"{token}","jwks_uri":"{issuer}/k"}}"#
            );
            Places::read(issuer, text.as_bytes()).map(|it| it.token.to_string())
        };
        let (far, here) = ("https://id.example", "http://127.0.0.1:9000");
        assert_eq!(read(far, far, "https://api.example/t").as_deref(), Ok("https://api.example/t"));
        assert_eq!(read(here, here, "http://127.0.0.1:9000/t").as_deref(), Ok("http://127.0.0.1:9000/t"));
        assert!(read(far, "https://id.example/", "https://id.example/t").is_err());
        for bad in [
            "http://id.example/t",
            "http://127.0.0.1/t",
            "ftp://id.example",
            "https://a:b@id.example",
            "t",
            "https://id.example/#t",
        ] {
            assert!(read(far, far, bad).is_err(), "{bad}");
        }
        assert!(read(here, here, "http://id.example/t").is_err());
        assert!(Places::read(far, b"<html>").is_err());
    }
}
