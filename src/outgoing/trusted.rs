//! Requests to hosts that the operator named, such as a webhook's or a provider's of log-ins: private networks are allowed,
//! as that is where receivers stand. For hosts that others chose there is [`Outgoing`](super::Outgoing).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::{Client, Response, Url, redirect};

use super::address::inner;
use super::in_full;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why nothing was sent, or no answer was read.
#[derive(Debug, thiserror::Error)]
pub enum TrustedError {
    #[error("the URL can't be read")]
    Url,
    #[error("the host {host} is not known: {reason}")]
    Unknown { host: String, reason: String },
    #[error("the host {host} is {address}, {reason}: nothing is sent there")]
    Refused { host: String, address: IpAddr, reason: &'static str },
    #[error("it can't be reached: {0}")]
    Unreachable(String),
    #[error("its answer has more than {0} bytes")]
    TooLarge(usize),
}

/// A client that connects to the addresses that were looked at, and to no others: a name that is
/// resolved again for the connection could by then stand for another machine.
///
/// # Errors
/// [`TrustedError`].
pub async fn client(url: &Url, whole: Duration) -> Result<Client, TrustedError> {
    let host = url.host_str().ok_or(TrustedError::Url)?;
    let port = url.port_or_known_default().ok_or(TrustedError::Url)?;
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let unknown = |reason: String| TrustedError::Unknown { host: host.to_owned(), reason };
    let found = tokio::time::timeout(CONNECT_TIMEOUT.min(whole), tokio::net::lookup_host((name, port)))
        .await
        .map_err(|_| unknown("the look-up took too long".to_owned()))?
        .map_err(|error| unknown(error.to_string()))?;
    let addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() {
        return Err(unknown("it has no address".to_owned()));
    }
    for address in addresses.iter().map(SocketAddr::ip) {
        if let Some(reason) = refusal(address, url.scheme()) {
            return Err(TrustedError::Refused { host: host.to_owned(), address, reason });
        }
    }
    // No proxy: it would resolve the name for itself.
    Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .resolve_to_addrs(name, &addresses)
        .connect_timeout(CONNECT_TIMEOUT.min(whole))
        .timeout(whole)
        .user_agent(concat!("perkgate/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| TrustedError::Unreachable(in_full(&error)))
}

/// The body of an answer, of at most `most` bytes: no more of it is ever held.
///
/// # Errors
/// [`TrustedError::TooLarge`], or [`TrustedError::Unreachable`] where it breaks off.
pub async fn read_bounded(mut answer: Response, most: usize) -> Result<Vec<u8>, TrustedError> {
    let mut body = Vec::new();
    let broken = |error: reqwest::Error| TrustedError::Unreachable(in_full(&error.without_url()));
    while let Some(piece) = answer.chunk().await.map_err(broken)? {
        if body.len() + piece.len() > most {
            return Err(TrustedError::TooLarge(most));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Why nothing is sent to an address: who sets the URL must not make the gateway talk to what only
/// its own machine can reach. Private networks are allowed: that is where receivers stand.
#[must_use]
pub fn refusal(address: IpAddr, scheme: &str) -> Option<&'static str> {
    const METADATA_V4: [Ipv4Addr; 3] =
        [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];
    const METADATA_V6: [Ipv6Addr; 2] =
        [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];
    let address = inner(address).unwrap_or(address);
    let reason = match address {
        IpAddr::V4(v4) if v4.is_link_local() => Some("a link-local address"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("a link-local address"),
        IpAddr::V4(v4) if METADATA_V4.contains(&v4) => Some("a cloud's metadata service"),
        IpAddr::V6(v6) if METADATA_V6.contains(&v6) => Some("a cloud's metadata service"),
        IpAddr::V4(v4) if v4.octets().starts_with(&[0]) || v4.is_broadcast() || v4.is_multicast() => {
            Some("no address of one machine")
        }
        IpAddr::V6(v6) if v6.is_unspecified() || v6.is_multicast() => Some("no address of one machine"),
        _ => None,
    };
    let in_the_open = scheme != "https" && !address.is_loopback();
    reason.or(in_the_open.then_some("not this machine, and only https is safe on the way there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_this_machine_reaches_is_refused() {
        let refused = |text: &str, scheme: &str| refusal(text.parse().unwrap(), scheme).is_some();
        for bad in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ] {
            assert!(refused(bad, "https"), "{bad}");
        }
        for good in ["203.0.113.9", "10.1.2.3", "192.168.1.7", "fd12::1", "2001:db8::1", "127.0.0.1"] {
            assert!(!refused(good, "https"), "{good}");
        }
        for (address, open) in [("127.0.0.1", true), ("::1", true), ("10.1.2.3", false), ("203.0.113.9", false)] {
            assert_eq!(refused(address, "http"), !open, "{address}");
        }
    }
}
