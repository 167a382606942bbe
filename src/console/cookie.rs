//! The cookie that holds a session's token, until the browser is closed.

use crate::web::page::cookie::TokenCookie;

pub(super) const SESSION: TokenCookie =
    TokenCookie { secure: "__Host-perkgate", loopback: "perkgate-session", attributes: "; SameSite=Lax" };

#[cfg(test)]
mod tests {
    use actix_web::http::header::{self, HeaderMap, HeaderValue};

    use super::*;
    use crate::access::accounts::SecretToken;
    use crate::web::page::transport::Transport;

    #[test]
    fn a_token_is_read_from_its_own_cookie_and_only_if_it_stands_once() {
        let token = "a".repeat(43);
        let read = |line: &str, transport| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::from_str(line).unwrap());
            SESSION.read(&headers, transport).map(|token| token.expose().to_owned())
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
        let secure = SESSION.write(Some(&token), Transport::Https);
        let wanted = format!("__Host-perkgate={}; Path=/; HttpOnly; SameSite=Lax; Secure", token.expose());
        assert_eq!(secure.to_str().unwrap(), wanted);
        let ended = SESSION.write(None, Transport::Loopback);
        assert_eq!(ended.to_str().unwrap(), "perkgate-session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    }
}
