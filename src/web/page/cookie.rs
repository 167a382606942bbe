//! Cookies that hold a secret token: of a session, of a device.

use actix_web::http::header::{self, HeaderMap, HeaderValue};

use super::transport::Transport;
use crate::access::accounts::SecretToken;

/// A cookie: its name over HTTPS, and over plain http to one's own machine, where no browser takes the other.
pub(crate) struct TokenCookie {
    /// It begins with `__Host-`: a browser takes it over HTTPS only, for this very host only, and from no other host.
    pub secure: &'static str,
    pub loopback: &'static str,
    /// How it is kept from other sites' requests, and for how long.
    pub attributes: &'static str,
}

impl TokenCookie {
    const fn name(&self, transport: Transport) -> &'static str {
        match transport {
            Transport::Https => self.secure,
            Transport::Loopback => self.loopback,
        }
    }

    /// The token that a browser sent.
    pub(crate) fn read(&self, headers: &HeaderMap, transport: Transport) -> Option<SecretToken> {
        self.read_text(headers, transport).and_then(SecretToken::parse)
    }

    /// The text that a browser sent. One that stands twice is none: which of them was planted can't be known.
    pub(crate) fn read_text<'a>(&self, headers: &'a HeaderMap, transport: Transport) -> Option<&'a str> {
        let lines = headers.get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut texts = pairs.filter(|(of, _)| *of == self.name(transport)).map(|(_, value)| value);
        let text = texts.next();
        if texts.next().is_some() { None } else { text }
    }

    /// The header that gives a browser a token; without one, that takes it away.
    pub(crate) fn write(&self, token: Option<&SecretToken>, transport: Transport) -> HeaderValue {
        self.write_text(token.map(SecretToken::expose), transport)
    }

    /// The same of a text, which has no sign that ends a cookie.
    pub(crate) fn write_text(&self, text: Option<&str>, transport: Transport) -> HeaderValue {
        let secure = if transport == Transport::Https { "; Secure" } else { "" };
        let (value, kept) = text.map_or(("", "; SameSite=Lax; Max-Age=0"), |text| (text, self.attributes));
        let text = format!("{}={value}; Path=/; HttpOnly{kept}{secure}", self.name(transport));
        let mut header = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        header.set_sensitive(true);
        header
    }
}
