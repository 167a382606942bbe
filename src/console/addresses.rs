//! The addresses that a log-in comes back to: our own pages, and nothing else.

use super::words::encoded;

/// The longest address to come back to.
const LONGEST_RETURN: usize = 1_024;

/// An address of our own to come back to: anything else would lead people who trust this page elsewhere.
pub(super) fn own_address(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("/console")?;
    let is_ours = rest.is_empty() || rest.starts_with(['/', '?']);
    let is_plain = text.len() <= LONGEST_RETURN && text.bytes().all(|b| (b'!'..=b'~').contains(&b) && b != b'\\');
    // Browsers take these steps up themselves, also where they are written in percents.
    let path = rest.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase().replace("%2e", ".");
    let has_steps = path.split('/').any(|part| matches!(part, "." | ".."));
    let is_page = !["/login", "/logout", "/links", "/assets", "/openid"].iter().any(|no| rest.starts_with(no));
    (is_ours && is_plain && is_page && !has_steps).then_some(text)
}

/// The log-in that comes back to an address.
pub(super) fn log_in_address(wanted: &str) -> String {
    match own_address(wanted).filter(|wanted| *wanted != "/console") {
        Some(wanted) => format!("/console/login?return={}", encoded(wanted)),
        None => "/console/login".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_are_returned_to() {
        for own in ["/console", "/console/perks", "/console/perks?q=a%20b&cursor=../x", "/console?x=1"] {
            assert_eq!(own_address(own), Some(own));
        }
        for foreign in [
            "",
            "/",
            "//evil.example",
            "https://evil.example/console",
            "/consoles",
            "/console\\evil",
            "/console/a b",
            "/console/\u{e9}",
            "/console\r\nSet-Cookie: x",
            "/console/../v1/perks",
            "/console/perks/..",
            "/console/%2E%2e/evil",
            "/console/./login",
            "/console/login",
            "/console/logout",
            "/console/openid/return?code=x",
            "javascript:alert(1)",
            "/v1/perks",
        ] {
            assert_eq!(own_address(foreign), None, "{foreign}");
        }
        assert_eq!(log_in_address("/console/perks?q=a"), "/console/login?return=/console/perks%3Fq%3Da");
        assert_eq!(log_in_address("https://evil.example"), "/console/login");
    }
}
