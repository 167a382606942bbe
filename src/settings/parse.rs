//! Texts into values: bounded numbers, durations, networks and URLs. Each says what it wants.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use jiff::SignedDuration;
use reqwest::Url;
use secrecy::SecretString;
use tracing_subscriber::EnvFilter;

use crate::database::DatabaseUrl;
use crate::foundation::web_origin::WebOrigin;

/// A whole number from `minimum` to `maximum`; `_` may part the digits.
pub(super) fn number(text: &str, minimum: u64, maximum: u64) -> Result<u64, String> {
    let wanted = || format!("it must be a whole number from {minimum} to {maximum}");
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wanted());
    }
    let value = digits.parse().map_err(|_| wanted())?;
    if (minimum..=maximum).contains(&value) { Ok(value) } else { Err(wanted()) }
}

/// A duration such as `100ms`, `10s`, `1m30s` or `PT10S`, from 1 ms to `maximum`.
pub(super) fn duration(text: &str, maximum: Duration) -> Result<Duration, String> {
    let wanted = || format!("it must be a duration such as `250ms`, `10s` or `5m`, from 1ms to {}s", maximum.as_secs());
    let parsed: SignedDuration = text.parse().map_err(|_| wanted())?;
    let value = Duration::try_from(parsed).map_err(|_| wanted())?;
    if (Duration::from_millis(1)..=maximum).contains(&value) { Ok(value) } else { Err(wanted()) }
}

/// An IP address and a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    let text = text.replace("localhost:", "127.0.0.1:");
    text.parse().map_err(|_| "it must be an IP address and a port")
}

/// The URL that stands as `iss` in tokens: compared byte by byte, so there is one way to write it.
pub(super) fn issuer(text: &str) -> Result<String, &'static str> {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return Err("it must be an http:// or https:// URL");
    };
    let host = rest.split('/').next().unwrap_or_default();
    if host.is_empty() || host.starts_with(':') {
        return Err("it must name a host");
    }
    if host.contains('@') {
        return Err("it must hold no name or password, as every token shows it");
    }
    if rest.contains(['?', '#']) {
        return Err("it must have no query and no fragment");
    }
    if rest.ends_with('/') {
        return Err("it must not end in `/`");
    }
    if !rest.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("it must be plain ASCII without spaces");
    }
    Ok(text.to_owned())
}

/// Tells whether what is sent to this address can be read on the way: it is not encrypted, and leaves the machine.
#[must_use]
pub fn is_in_the_open(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.scheme() == "http" && !url.host_str().is_some_and(is_here))
}

/// Tells whether the host of an address is this machine.
fn is_here(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The beginning of the origins of logs: a URL without its scheme, as C2SP's tlog-checkpoint asks. It stands in
/// signed notes and in the names of keys.
pub(super) fn log_origin(text: &str) -> Result<String, &'static str> {
    if text.contains("://") {
        return Err("it must have no scheme: only a host and a path");
    }
    if text.is_empty() || text.starts_with('/') || text.ends_with('/') {
        return Err("it must neither be empty nor begin or end with `/`");
    }
    if text.len() > 200 || text.contains('+') || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("it must be at most 200 characters of plain ASCII without spaces and `+`");
    }
    Ok(text.to_owned())
}

/// A Redis URL. The words of the error never repeat it: it may hold a password.
pub(super) fn redis_url(text: &str) -> Result<SecretString, &'static str> {
    let rest = text.strip_prefix("redis://").or_else(|| text.strip_prefix("rediss://"));
    match rest {
        Some(rest) if !place_of(rest).is_empty() => Ok(SecretString::from(text)),
        Some(_) => Err("it must name a host"),
        None => Err("it must begin with redis:// or rediss://"),
    }
}

/// `true` or `false`.
pub(super) fn boolean(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "it must be `true` or `false`")
}

/// Where anchors are posted. The words of the error never repeat it: receivers put secrets into paths.
pub(super) fn webhook_url(text: &str) -> Result<SecretString, &'static str> {
    let url = Url::parse(text).map_err(|_| "it must be an https:// URL")?;
    let is_here = is_here(url.host_str().ok_or("it must name a host")?);
    match url.scheme() {
        "https" => {}
        "http" if is_here => {}
        "http" => return Err("it must begin with https://: plain http:// is for this machine only"),
        _ => return Err("it must begin with https://"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must hold no name or password: give PERKGATE_ANCHOR_WEBHOOK_TOKEN");
    }
    if url.fragment().is_some() {
        return Err("it must have no fragment");
    }
    Ok(SecretString::from(text))
}

/// A provider of OpenID Connect, exactly as its tokens name it.
pub(super) fn provider(text: &str) -> Result<String, &'static str> {
    if !cfg!(feature = "oidc") {
        return Err(
            "this build has no OpenID Connect: build it with the cargo feature `oidc`, or take the setting out",
        );
    }
    let url = Url::parse(text).map_err(|_| "it must be an https:// URL")?;
    let is_here = is_here(url.host_str().ok_or("it must name a host")?);
    if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
        return Err("it must begin with https://: plain http:// is for this machine only");
    }
    if !url.username().is_empty() || url.password().is_some() || text.contains(['?', '#']) {
        return Err("it must have no name, no password, no query and no fragment");
    }
    if text.len() > 255 || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("it must be at most 255 characters of plain ASCII without spaces");
    }
    Ok(text.to_owned())
}

/// Plain text of one line.
pub(super) fn line(text: &str, most: usize) -> Result<String, String> {
    let is_line = (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if is_line { Ok(text.to_owned()) } else { Err(format!("it must be a line of at most {most} characters")) }
}

/// The text that stands behind `Bearer` in a header.
pub(super) fn bearer(text: &str) -> Result<SecretString, &'static str> {
    if text.len() <= 4096 && text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        Ok(SecretString::from(text))
    } else {
        Err("it must be at most 4096 characters of plain ASCII")
    }
}

/// A database URL; one of SQLite is a plain path. SQLite would also take `file:` URIs, but then
/// nobody could tell whether the file exists and where its key lies.
pub(super) fn database_url(text: &str) -> Result<DatabaseUrl, String> {
    match text.parse::<DatabaseUrl>() {
        Ok(DatabaseUrl::Sqlite(path)) if path.starts_with("file:") || path.contains('?') => {
            Err("a SQLite database is a plain path, without `file:` and options".to_owned())
        }
        Ok(url) => Ok(url),
        Err(error) => Err(error.to_string()),
    }
}

/// A filter for `tracing`. A lone word has to be a level: `inof` would otherwise be a target, and
/// nothing but that target would be logged.
pub(super) fn log_filter(text: &str) -> Result<String, &'static str> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let by_target = |part: &str| part.contains(['=', '[', ']', '{', '}']) && !part.ends_with('=');
    let is_sound = |part: &str| !part.contains(char::is_whitespace) && (by_target(part) || LEVELS.contains(&part));
    if text.split(',').map(str::trim).all(is_sound) && EnvFilter::try_new(text).is_ok() {
        Ok(text.to_owned())
    } else {
        Err("it must be a level (error, warn, info, debug, trace) or levels by target such as `info,perkgate=debug`")
    }
}

/// `host:port` of what stands after a URL's scheme.
pub(super) fn place_of(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

/// True if a URL holds a password, before its host or among its parameters.
pub(super) fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = place.split('/').next().unwrap_or_default();
    let login = authority.rsplit_once('@').is_some_and(|(login, _)| login.contains(':'));
    login || parameters.split('&').any(|parameter| parameter.starts_with("password="))
}

/// Addresses that belong together: one address, or a network in CIDR form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// True if `address` is one of them. `::ffff:10.0.0.1` is 10.0.0.1, as a socket that listens on
    /// both families reports it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let alone = || text.parse::<IpAddr>().map(IpNet::from);
        let network = text.parse::<IpNet>().or_else(|_| alone());
        network.map(Self).map_err(|_| format!("`{text}` is no address and no network"))
    }
}

/// Networks with commas between.
pub(super) fn networks(text: &str) -> Result<Vec<Network>, String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse).collect()
}

/// Web origins with commas between.
pub(super) fn web_origins(text: &str) -> Result<Vec<WebOrigin>, String> {
    let origins = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    origins.map(|part| part.parse().map_err(|error| format!("`{part}`: {error}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_encrypted_is_in_the_open_off_this_machine() {
        for (url, expected) in [
            ("https://perks.example.com", false),
            ("http://perks.example.com", true),
            ("http://perks.example.com:8080/p", true),
            ("http://192.0.2.1", true),
            ("http://127.0.0.1:8080", false),
            ("http://localhost:8080/p", false),
            ("http://localhost.example.com", true),
            ("http://[::1]:8080", false),
            ("http://[2001:db8::1]", true),
        ] {
            assert_eq!(is_in_the_open(url), expected, "{url}");
        }
    }

    #[test]
    fn numbers_and_durations_are_bounded() {
        assert_eq!(number("65_536", 1, 1_000_000), Ok(65_536));
        for bad in ["", "-1", "0", "1.5", "11", "0x1", "99999999999999999999999"] {
            assert!(number(bad, 1, 10).is_err(), "{bad}");
        }
        let hour = Duration::from_hours(1);
        assert_eq!(duration("100ms", hour), Ok(Duration::from_millis(100)));
        assert_eq!(duration("1m30s", hour), Ok(Duration::from_secs(90)));
        assert_eq!(duration("PT10S", hour), Ok(Duration::from_secs(10)));
        for bad in ["10", "0s", "-5s", "2h", "soon", "1 day"] {
            assert!(duration(bad, hour).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_webhook_is_https_or_this_machine() {
        for good in [
            "https://auditor.example.com/anchors?tenant=7",
            "https://10.0.0.9:8443",
            "http://127.0.0.1:9000/x",
            "http://localhost",
            "http://[::1]:9000",
        ] {
            assert!(webhook_url(good).is_ok(), "{good}");
        }
        for bad in [
            "auditor.example.com",
            "http://auditor.example.com",
            "http://10.0.0.9",
            "http://localhost.example.com",
            "https://me:pw@auditor.example.com",
            "https://auditor.example.com/#x",
            "ftp://127.0.0.1",
            "https://",
        ] {
            assert!(webhook_url(bad).is_err(), "{bad}");
        }
        assert!(bearer("a b").is_ok() && bearer("a\nb").is_err() && bearer("ä").is_err());
        assert!(boolean("true") == Ok(true) && boolean("yes").is_err());
    }

    #[test]
    #[cfg(feature = "oidc")]
    fn a_provider_is_https_or_this_machine() {
        for good in
            ["https://id.example.com", "https://id.example.com/realms/a/", "http://127.0.0.1:9000", "http://[::1]"]
        {
            assert_eq!(provider(good).as_deref(), Ok(good));
        }
        for bad in [
            "id.example.com",
            "http://id.example.com",
            "https://a:b@id.example.com",
            "https://id.example.com?x",
            "https://",
        ] {
            assert!(provider(bad).is_err(), "{bad}");
        }
        assert!(line("Okta & Co", 40).is_ok() && line("", 40).is_err() && line("a\nb", 40).is_err());
    }

    #[test]
    #[cfg(not(feature = "oidc"))]
    fn a_build_without_providers_says_so() {
        assert!(provider("https://id.example.com").unwrap_err().contains("cargo feature `oidc`"));
    }

    #[test]
    fn a_misspelt_log_level_is_no_target() {
        for good in ["info", "off", "warn,perkgate=debug", "info,perkgate::ledger[{batch}]=trace"] {
            assert_eq!(log_filter(good).as_deref(), Ok(good));
        }
        for bad in ["", "inof", "perkgate", "info,perkgate=loud", "info debug"] {
            assert!(log_filter(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_sqlite_database_is_a_plain_path() {
        assert!(database_url("sqlite:/var/lib/perkgate/perkgate.db").is_ok());
        for bad in ["sqlite:file:x.db?mode=ro", "sqlite:x.db?cache=shared", "sqlite::memory:", "x.db"] {
            assert!(database_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_issuer_is_written_one_way() {
        for good in ["https://perks.example.com", "http://127.0.0.1:8080", "https://example.com/perks"] {
            assert_eq!(issuer(good).as_deref(), Ok(good));
        }
        for bad in [
            "perks.example.com",
            "https://",
            "https://:8080",
            "https://example.com/",
            "https://example.com?x=1",
            "https://example.com#x",
            "https://me:pw@example.com",
            "https://exa mple.com",
            "ftp://example.com",
        ] {
            assert!(issuer(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_log_origin_fits_into_a_note_and_a_key_name() {
        for good in ["perks.example.com", "127.0.0.1:8080", "example.com/perks"] {
            assert_eq!(log_origin(good).as_deref(), Ok(good));
        }
        let long = "a".repeat(201);
        for bad in
            ["", "/", "https://perks.example.com", "example.com/", "/perks", "a b", "a+b", "ä.example", "a\nb", &long]
        {
            assert!(log_origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let all = networks("10.0.0.0/8, 192.168.1.7, 2001:db8::/32, 0.0.0.0/0").unwrap();
        let holds = |at: usize, address: &str| all[at].contains(address.parse().unwrap());
        assert!(holds(0, "10.255.0.1") && holds(0, "::ffff:10.1.2.3") && !holds(0, "11.0.0.1") && !holds(0, "::1"));
        assert!(holds(1, "192.168.1.7") && !holds(1, "192.168.1.8"));
        assert!(holds(2, "2001:db8:1::1") && !holds(2, "2001:db9::1"));
        assert!(holds(3, "203.0.113.9"));
        for bad in ["10.0.0.0/33", "::/129", "10.0.0", "example.com", "10.0.0.0/x"] {
            assert!(networks(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_place_of_a_url_leaves_its_password_out() {
        assert_eq!(place_of("me:s3cret@cache.example:6379/0"), "cache.example:6379");
        assert!(redis_url("redis://").is_err() && redis_url("http://x").is_err());
    }

    #[test]
    fn a_password_in_a_url_is_found() {
        for url in ["postgres://a:b@h/d", "redis://:b@h", "postgres://h/d?sslmode=require&password=b"] {
            assert!(has_password(url), "{url}");
        }
        for url in ["postgres://a@h:5432/d", "redis://h:6379/0", "postgres://h/d?application_name=a:b@c"] {
            assert!(!has_password(url), "{url}");
        }
    }
}
