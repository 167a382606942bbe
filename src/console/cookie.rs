//! The cookie that holds a session's token.

use actix_web::http::header::{self, HeaderMap, HeaderValue};

use super::transport::Transport;
use crate::access::accounts::SecretToken;

/// A browser takes a cookie of this name over HTTPS only, for this very host only, and from no other host.
const SECURE: &str = "__Host-perkgate";
/// Over plain http to one's own machine there is no such cookie.
const LOOPBACK: &str = "perkgate-session";

const fn name(transport: Transport) -> &'static str {
    match transport {
        Transport::Https => SECURE,
        Transport::Loopback => LOOPBACK,
    }
}

/// The token that a browser sent. One that stands twice is none: which of them was planted can't be known.
pub(super) fn read(headers: &HeaderMap, transport: Transport) -> Option<SecretToken> {
    let lines = headers.get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut tokens = pairs.filter(|(of, _)| *of == name(transport)).map(|(_, value)| value);
    let token = tokens.next().and_then(SecretToken::parse);
    if tokens.next().is_some() { None } else { token }
}

/// The header that gives a browser a token until it is closed; without one, that takes it away.
pub(super) fn write(token: Option<&SecretToken>, transport: Transport) -> HeaderValue {
    let secure = if transport == Transport::Https { "; Secure" } else { "" };
    let (value, ended) = token.map_or(("", "; Max-Age=0"), |token| (token.expose(), ""));
    let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{ended}", name(transport));
    let mut header = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
    header.set_sensitive(true);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_from_its_own_cookie_and_only_if_it_stands_once() {
        let token = "a".repeat(43);
        let read = |line: &str, transport| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::from_str(line).unwrap());
            super::read(&headers, transport).map(|token| token.expose().to_owned())
        };
        assert_eq!(read(&format!("x=1; __Host-perkgate={token}"), Transport::Https), Some(token.clone()));
        assert_eq!(read(&format!("perkgate-session={token}; x=1"), Transport::Loopback), Some(token.clone()));
        assert_eq!(read(&format!("perkgate-session={token}"), Transport::Https), None);
        assert_eq!(read(&format!("__Host-perkgate={token}; __Host-perkgate={token}"), Transport::Https), None);
        assert_eq!(read("__Host-perkgate=short", Transport::Https), None);
    }

    #[test]
    fn no_script_reads_it_and_no_other_site_sends_it() {
        let token = SecretToken::parse(&"a".repeat(43)).unwrap();
        let secure = write(Some(&token), Transport::Https);
        let wanted = format!("__Host-perkgate={}; Path=/; HttpOnly; SameSite=Lax; Secure", token.expose());
        assert_eq!(secure.to_str().unwrap(), wanted);
        let ended = write(None, Transport::Loopback);
        assert_eq!(ended.to_str().unwrap(), "perkgate-session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    }
}
