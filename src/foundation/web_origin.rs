//! Web origins: where a page comes from, as browsers say it in `Origin` (RFC 6454 §6.2).

use core::net::{Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const MAX_LENGTH: usize = 255;

/// `scheme://host[:port]`, in lower case and without the scheme's own port: the text that browsers send.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct WebOrigin(String);

/// Why a text is no origin to allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadOrigin {
    #[error("an origin is `scheme://host` or `scheme://host:port`, as in https://kiosk.example.com")]
    Form,
    #[error("`*` would let every page on the web use the key: name the origins of your own pages")]
    Wildcard,
    #[error("`null` is the origin of every sandboxed page and local file: serve the page from an address of its own")]
    Null,
    #[error("an origin has no path, query or fragment and no `/` at its end: write only `scheme://host[:port]`")]
    Path,
    #[error("an origin is written in ASCII: use the host's punycode form (xn--…)")]
    NotAscii,
    #[error("an origin has at most {MAX_LENGTH} characters")]
    TooLong,
}

impl WebOrigin {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WebOrigin {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let text = text.trim();
        match text {
            "*" => return Err(BadOrigin::Wildcard),
            "null" => return Err(BadOrigin::Null),
            _ if text.len() > MAX_LENGTH => return Err(BadOrigin::TooLong),
            _ if !text.is_ascii() => return Err(BadOrigin::NotAscii),
            _ => {}
        }
        let text = text.to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://").ok_or(BadOrigin::Form)?;
        if authority.contains('*') {
            return Err(BadOrigin::Wildcard);
        }
        if authority.contains(['/', '?', '#']) {
            return Err(BadOrigin::Path);
        }
        let (host, port) = split_port(authority).ok_or(BadOrigin::Form)?;
        let host = serialized(host).filter(|_| is_scheme(scheme)).ok_or(BadOrigin::Form)?;
        let own = match scheme {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        Ok(Self(match port.filter(|port| Some(*port) != own) {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        }))
    }
}

/// The host, and the port if one is given; none when what stands behind the colon is no port.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let end = authority.rfind(']').map_or(0, |end| end + 1);
    match authority.get(end..)?.find(':') {
        None => Some((authority, None)),
        Some(colon) => {
            let (host, port) = authority.split_at(end + colon);
            let digits = port.strip_prefix(':')?;
            let port = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
            Some((host, Some(port)))
        }
    }
}

fn is_scheme(scheme: &str) -> bool {
    let mut bytes = scheme.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.'))
}

/// The host as browsers write it (URL standard, host serializer); none when it is none, or an address in a form that
/// they would write otherwise.
fn serialized(host: &str) -> Option<String> {
    if let Some(address) = host.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        // Browsers have no dotted form within IPv6.
        return Some(match (address.to_ipv4_mapped(), address.segments()) {
            (Some(_), [.., high, low]) => format!("[::ffff:{high:x}:{low:x}]"),
            (None, _) => format!("[{address}]"),
        });
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
    };
    // A dot at the end makes another origin, which browsers tell apart.
    let labels = host.strip_suffix('.').unwrap_or(host);
    let last = labels.rsplit('.').next()?;
    let is_number = last.bytes().all(|b| b.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    let fits = labels.split('.').all(is_label) && (!is_number || host.parse::<Ipv4Addr>().is_ok());
    fits.then(|| host.to_owned())
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<WebOrigin> for String {
    fn from(origin: WebOrigin) -> Self {
        origin.0
    }
}

impl TryFrom<String> for WebOrigin {
    type Error = BadOrigin;

    fn try_from(text: String) -> Result<Self, BadOrigin> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_browsers_send() {
        for (text, origin) in [
            ("https://kiosk.example.com", "https://kiosk.example.com"),
            (" HTTPS://Kiosk.Example.COM:443 ", "https://kiosk.example.com"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("http://10.0.0.7:80", "http://10.0.0.7"),
            ("https://[2001:db8::7]:8443", "https://[2001:db8::7]:8443"),
            ("https://[2001:DB8:0:0:0:0:0:7]", "https://[2001:db8::7]"),
            ("http://[::ffff:10.0.0.7]", "http://[::ffff:a00:7]"),
            ("https://a.example.", "https://a.example."),
            ("capacitor://localhost", "capacitor://localhost"),
            ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
        ] {
            assert_eq!(text.parse::<WebOrigin>().map(|it| it.to_string()), Ok(origin.to_owned()), "{text}");
        }
        for (text, why) in [
            ("*", BadOrigin::Wildcard),
            ("https://*.example.com", BadOrigin::Wildcard),
            ("null", BadOrigin::Null),
            ("https://a.example/", BadOrigin::Path),
            ("https://a.example/kiosk", BadOrigin::Path),
            ("https://a.example?x", BadOrigin::Path),
            ("https://kiösk.example", BadOrigin::NotAscii),
            ("", BadOrigin::Form),
            ("a.example", BadOrigin::Form),
            ("https://", BadOrigin::Form),
            ("https://a..example", BadOrigin::Form),
            ("https://.", BadOrigin::Form),
            ("http://010.0.0.1", BadOrigin::Form),
            ("http://10.1", BadOrigin::Form),
            ("http://0xa.0.0.1", BadOrigin::Form),
            ("http://a.0x7", BadOrigin::Form),
            ("https://user@a.example", BadOrigin::Form),
            ("https://a.example:", BadOrigin::Form),
            ("https://a.example:+1", BadOrigin::Form),
            ("https://a.example:99999", BadOrigin::Form),
            ("https://a b", BadOrigin::Form),
            ("https://2001:db8::7", BadOrigin::Form),
            ("https://[2001:db8::7", BadOrigin::Form),
            ("1https://a", BadOrigin::Form),
        ] {
            assert_eq!(text.parse::<WebOrigin>(), Err(why), "{text}");
        }
        assert_eq!(format!("https://{}", "a".repeat(255)).parse::<WebOrigin>(), Err(BadOrigin::TooLong));
    }
}
