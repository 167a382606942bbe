//! The template of a URL: `{account}`, `{id}` and `{secret}` stand where they are filled in, the host is fixed.

use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};

pub(super) const ACCOUNT: &str = "{account}";
pub(super) const ID: &str = "{id}";
pub(super) const SECRET: &str = "{secret}";

const LONGEST: usize = 1_000;

/// A template that makes URLs of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// The fault, in a sentence.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        if text.len() > LONGEST {
            return Err("it is longer than a URL may be");
        }
        let filled = |with| [ACCOUNT, ID, SECRET].iter().fold(text.to_owned(), |text, hole| text.replace(hole, with));
        let plain = filled("x");
        if plain.contains(['{', '}']) {
            return Err("only `{account}`, `{id}` and `{secret}` may stand in braces");
        }
        let rest = text.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
        let (path, _) = rest.split_once('?').unwrap_or((rest, ""));
        if path.contains(SECRET) {
            return Err("`{secret}` may stand behind the question mark only, or better in a header");
        }
        let url = Url::parse(&plain).map_err(|_| "it must be an https:// URL")?;
        if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
            return Err("it must be an https:// URL");
        }
        // As a URL is read, not as it looks: of `https:///{account}` the account would be the host.
        let other = Url::parse(&filled("y")).map_err(|_| "it must be an https:// URL")?;
        if (url.host_str(), url.port()) != (other.host_str(), other.port()) {
            return Err("its host must be fixed");
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("it must hold no name, password or fragment");
        }
        Ok(Self(text.to_owned()))
    }

    /// True if this is filled in somewhere.
    pub(super) fn has(&self, hole: &str) -> bool {
        self.0.contains(hole)
    }

    /// The URL for an account. None if it can't be one.
    pub(super) fn fill(&self, account: &str, id: &str, secret: Option<&SecretString>) -> Option<Url> {
        let secret = secret.map_or("", |secret| secret.expose_secret());
        // One pass: what an account is called is never taken for a hole.
        let (mut text, mut rest) = (String::with_capacity(self.0.len()), self.0.as_str());
        while let Some((before, behind)) = rest.split_once('{') {
            let (hole, behind) = behind.split_once('}')?;
            text.push_str(before);
            text.push_str(&escaped(match hole {
                "account" => account,
                "id" => id,
                _ => secret,
            }));
            rest = behind;
        }
        text.push_str(rest);
        Url::parse(&text).ok()
    }
}

/// Text as it may stand anywhere in a path or a query: a lone or double dot would be taken for a folder.
pub(super) fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    if matches!(text, "." | "..") {
        return text.replace('.', "%252E");
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_leads_nowhere_else() {
        let template = Template::read("https://api.example.com/v1/{account}/score?id={id}&key={secret}").unwrap();
        let secret = SecretString::from("a&b");
        let fill = |account: &str| template.fill(account, "{secret}", Some(&secret)).unwrap();
        let url = fill("a/../b?c#d@e{secret}");
        assert_eq!(url.host_str(), Some("api.example.com"));
        assert_eq!(url.path(), "/v1/a%2F..%2Fb%3Fc%23d%40e%7Bsecret%7D/score");
        assert_eq!(url.query(), Some("id=%7Bsecret%7D&key=a%26b"));
        assert_eq!(fill("..").path(), "/v1/%252E%252E/score");
    }

    #[test]
    fn a_template_has_a_fixed_host_and_its_secret_in_the_query() {
        for bad in [
            "",
            "api.example.com/{account}",
            "ftp://x/{account}",
            "https://{account}.example.com/",
            "https://x:{secret}@example.com/{account}",
            "https://ann@example.com/{account}",
            "https://example.com/{secret}/{account}",
            "https://example.com/{name}",
            "https://example.com/{account}#x",
            "https:///{account}",
            "https:/{account}",
            "https:\\\\{account}/",
            "https://example.com:{account}/",
        ] {
            assert!(Template::read(bad).is_err(), "{bad}");
        }
    }
}
