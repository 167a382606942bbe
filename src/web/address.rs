//! Whose address a request came from, when proxies stand between.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use actix_web::http::header::{HeaderMap, HeaderValue};

use crate::settings::Network;

/// The client's own address. `X-Forwarded-For` is believed from the right, and only as far as the
/// hops are proxies we trust: everything left of the first stranger was written by that stranger.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    // Several headers are one list (RFC 9110 §5.3): the last header is the nearest.
    let lines: Vec<&[u8]> = headers.get_all("x-forwarded-for").map(HeaderValue::as_bytes).collect();
    // As bytes: a line that is no text must not be passed over for the one that a stranger wrote before it.
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b',')) {
        if !is_trusted(client) {
            break;
        }
        match std::str::from_utf8(hop).ok().and_then(|hop| address_of(hop.trim())) {
            Some(address) => client = address.to_canonical(),
            None => break,
        }
    }
    client
}

/// The address of one hop, as proxies write it: some add the port, some put brackets around IPv6, and then some
/// leave the port out.
fn address_of(hop: &str) -> Option<IpAddr> {
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    hop.parse().ok().or_else(with_port).or_else(bracketed)
}

/// The unit that counts as one client: an IPv4 address, or an IPv6 /64, which is what one customer gets and
/// can choose any address of.
pub(crate) fn bucket(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderName;

    fn client_of(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_static(line));
        }
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_stranger_can_not_say_where_it_comes_from() {
        assert_eq!(client_of("203.0.113.9", &["198.51.100.1"], &[]), "203.0.113.9");
        assert_eq!(client_of("203.0.113.9", &["198.51.100.1"], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn behind_trusted_proxies_the_rightmost_stranger_is_the_client() {
        let trusted = ["10.0.0.0/8", "2001:db8::/32"];
        assert_eq!(client_of("10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.1.1.1"], &trusted), "198.51.100.1");
        assert_eq!(client_of("::ffff:10.0.0.1", &["6.6.6.6", "198.51.100.1"], &trusted), "198.51.100.1");
        assert_eq!(client_of("2001:db8::1", &["198.51.100.1"], &trusted), "198.51.100.1");
        assert_eq!(client_of("10.0.0.1", &["198.51.100.1, garbage"], &trusted), "10.0.0.1");
        assert_eq!(client_of("10.0.0.1", &[], &trusted), "10.0.0.1");
    }

    #[test]
    fn a_line_that_is_no_text_is_not_passed_over() {
        let mut headers = HeaderMap::new();
        for line in [&b"6.6.6.6"[..], b"\xFF, 198.51.100.2"] {
            headers.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_bytes(line).unwrap());
        }
        let of = |trusted: &[&str]| {
            let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
            client("10.0.0.1".parse().unwrap(), &headers, &trusted).to_string()
        };
        assert_eq!(of(&["10.0.0.0/8"]), "198.51.100.2");
        assert_eq!(of(&["10.0.0.0/8", "198.51.100.0/24"]), "198.51.100.2", "what stands before it is the stranger's");
    }

    #[test]
    fn a_port_or_brackets_around_an_address_are_no_part_of_it() {
        for (hop, address) in [
            ("203.0.113.7:50123", "203.0.113.7"),
            ("[2001:db8::7]:50123", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[::ffff:203.0.113.7]:1", "203.0.113.7"),
        ] {
            assert_eq!(client_of("10.0.0.1", &[hop], &["10.0.0.0/8"]), address, "{hop}");
        }
        assert_eq!(
            client_of("10.0.0.1", &["203.0.113.7:1, 10.0.0.2:443, [::ffff:10.0.0.3]"], &["10.0.0.0/8"]),
            "203.0.113.7"
        );
        for garbage in ["", ":1", "203.0.113.7:", "203.0.113.7:99999", "[203.0.113.7]", "[2001:db8::7", "unknown"] {
            assert_eq!(client_of("10.0.0.1", &[garbage], &["10.0.0.0/8"]), "10.0.0.1", "{garbage}");
        }
    }

    #[test]
    fn an_ipv6_customer_is_one_client() {
        let of = |text: &str| bucket(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:aaaa::1"), of("2001:db8:1:2:bbbb::2"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
