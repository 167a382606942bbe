//! The connections over which pages are answered, and the pages whose forms are taken.
//!
//! A session's cookie must not cross a network in the clear. So pages are answered over HTTPS, which a proxy in front of
//! the gateway ends, and over plain http to a browser on this very machine.

use std::net::IpAddr;

use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::uri::Authority;

use crate::settings::Network;
use crate::web::problem::{Kind, Problem};

/// The way that a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Https,
    /// Plain http, from this machine to itself.
    Loopback,
}

impl Transport {
    const fn scheme(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Loopback => "http",
        }
    }
}

const FORWARDED: [HeaderName; 3] = [
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("forwarded"),
];
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The way that a request came, where pages are answered.
///
/// # Errors
/// A 403 that says how it can be reached.
pub(crate) fn of(req: &ServiceRequest, trusted: &[Network]) -> Result<Transport, Problem> {
    let peer = req.peer_addr().map(|peer| peer.ip().to_canonical());
    let host = host_of(req).unwrap_or_default();
    judge(peer, host, req.headers(), trusted).ok_or_else(|| {
        Problem::new(
            Kind::Forbidden,
            "Pages are answered over HTTPS, or over plain http to a browser on the gateway's own machine: what you type here \
             must not cross a network in the clear. Where a proxy with TLS stands in front, name it in `trusted_proxies` and \
             let it send `X-Forwarded-Proto: https`.",
        )
    })
}

fn judge(peer: Option<IpAddr>, host: &str, headers: &HeaderMap, trusted: &[Network]) -> Option<Transport> {
    let peer = peer?;
    if trusted.iter().any(|network| network.contains(peer)) && forwarded_scheme(headers) == Some("https") {
        return Some(Transport::Https);
    }
    // What a proxy passes on comes from this machine too, and from anywhere.
    let is_passed_on = FORWARDED.iter().any(|name| headers.contains_key(name));
    (peer.is_loopback() && is_own_machine(host) && !is_passed_on).then_some(Transport::Loopback)
}

/// The scheme that the nearest proxy says; the last one counts, as what stands before it anyone may have written.
fn forwarded_scheme(headers: &HeaderMap) -> Option<&str> {
    let last = headers.get_all(FORWARDED_PROTO).last()?;
    let scheme = last.to_str().ok()?.rsplit(',').next()?.trim();
    Some(if scheme.eq_ignore_ascii_case("https") { "https" } else { "http" })
}

/// Tells whether a name can only mean this machine: another one could be made to point here, with a page of its own.
fn is_own_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host that was asked for, with its port.
fn host_of(req: &ServiceRequest) -> Option<&str> {
    let of_header = || req.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    req.uri().authority().map(Authority::as_str).or_else(of_header)
}

/// Refuses what another site's page makes a browser send here.
///
/// # Errors
/// A 403.
pub(crate) fn require_own_page(req: &ServiceRequest, transport: Transport) -> Result<(), Problem> {
    if matches!(*req.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    let host = host_of(req).unwrap_or_default();
    if is_own_page(req.headers(), transport, host) {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Forbidden,
        "This was sent from a page that is not ours, or by something that doesn't say where it comes from. \
         Nothing was done. Open the page here and send it from there.",
    ))
}

fn is_own_page(headers: &HeaderMap, transport: Transport, host: &str) -> bool {
    let own = format!("{}://{host}", transport.scheme());
    let mut origins = headers.get_all(header::ORIGIN).peekable();
    let is_said = origins.peek().is_some();
    let is_own = is_said
        && origins.all(|origin: &HeaderValue| origin.to_str().is_ok_and(|origin| origin.eq_ignore_ascii_case(&own)));
    // Every browser of today says which site a request comes from, and no page can say it for it. Behind a proxy the host
    // may be another than the one in the browser's address; on this machine it is the same.
    match headers.get(FETCH_SITE) {
        Some(site) => site.as_bytes() == b"same-origin" && (is_own || !is_said || transport == Transport::Https),
        None => is_own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn it_answers_this_machine_and_trusted_proxies_with_tls_only() {
        let judged = |peer: &str, host: &str, lines: &[(&'static str, &'static str)], trusted: &[&str]| {
            let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
            judge(Some(peer.parse().unwrap()), host, &headers(lines), &trusted)
        };
        for host in ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "localhost", "127.0.0.2"] {
            assert_eq!(judged("127.0.0.1", host, &[], &[]), Some(Transport::Loopback), "{host}");
        }
        for host in ["gate.example:8080", "localhost.gate.example", "192.0.2.1", "", "127.0.0.1.gate.example"] {
            assert_eq!(judged("127.0.0.1", host, &[], &[]), None, "{host}");
        }
        let https = ("x-forwarded-proto", "https");
        let (proxy, stranger) = ("10.0.0.1", "203.0.113.9");
        assert_eq!(judged(proxy, "gate.example", &[https], &["10.0.0.0/8"]), Some(Transport::Https));
        assert_eq!(judged(proxy, "gate.example", &[https], &[]), None, "nobody is trusted");
        assert_eq!(judged(stranger, "gate.example", &[https], &["10.0.0.0/8"]), None);
        assert_eq!(judged(stranger, "127.0.0.1", &[], &[]), None);
        assert_eq!(judged(proxy, "gate.example", &[("x-forwarded-proto", "http")], &["10.0.0.0/8"]), None);
        assert_eq!(judged(proxy, "gate.example", &[("x-forwarded-proto", "https, http")], &["10.0.0.0/8"]), None);
        assert_eq!(judged("127.0.0.1", "127.0.0.1:8080", &[("x-forwarded-for", "203.0.113.9")], &[]), None);
        assert_eq!(judged("127.0.0.1", "gate.example", &[https], &["127.0.0.1"]), Some(Transport::Https));
    }

    #[test]
    fn forms_come_from_our_own_pages() {
        let own =
            |lines: &[(&'static str, &'static str)]| is_own_page(&headers(lines), Transport::Https, "gate.example");
        assert!(own(&[("sec-fetch-site", "same-origin")]));
        assert!(own(&[("origin", "https://gate.example")]));
        for foreign in [
            &[][..],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://gate.example")],
            &[("origin", "null")],
            &[("origin", "http://gate.example")],
            &[("origin", "https://gate.example.evil.example")],
            &[("origin", "https://gate.example"), ("origin", "https://evil.example")],
        ] {
            assert!(!own(foreign), "{foreign:?}");
        }
        let here = |lines: &[(&'static str, &'static str)]| {
            is_own_page(&headers(lines), Transport::Loopback, "localhost:8080")
        };
        let site = ("sec-fetch-site", "same-origin");
        assert!(here(&[site]) && here(&[site, ("origin", "http://localhost:8080")]));
        for foreign in ["http://localhost:9090", "http://127.0.0.1:8080", "https://localhost:8080", "null"] {
            assert!(!here(&[site, ("origin", foreign)]), "{foreign}");
        }
    }
}
