//! The addresses that nothing is sent to: who names a host must not make the gateway talk to what only it can reach.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A host that an operator allows to be asked wherever it is, and without TLS; with a port only on that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    host: String,
    port: Option<u16>,
}

impl AllowedHost {
    /// True if this is the host, and its port where one was given.
    #[must_use]
    pub fn is(&self, host: &str, port: u16) -> bool {
        self.host.eq_ignore_ascii_case(host) && self.port.is_none_or(|own| own == port)
    }
}

impl FromStr for AllowedHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no host, such as scores.internal or 127.0.0.1:9000");
        if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(Self { host: address.to_string(), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host.trim_matches(['[', ']']), Some(port.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
        if host.is_empty() || !host.bytes().all(fits) { Err(wrong()) } else { Ok(Self { host: host.to_owned(), port }) }
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

/// Why an address is not asked; none for one of the public internet.
#[must_use]
pub fn refusal(address: IpAddr) -> Option<&'static str> {
    match inner(address) {
        Ok(IpAddr::V4(v4)) => refusal_v4(v4),
        Ok(IpAddr::V6(v6)) => refusal_v6(v6),
        Err(reason) => Some(reason),
    }
}

fn refusal_v4(v4: Ipv4Addr) -> Option<&'static str> {
    match v4.octets() {
        [0, ..] => Some("no address of one machine"),
        [127, ..] => Some("this machine"),
        [10, ..] | [192, 168, ..] => Some("a private network"),
        [172, second, ..] if second & 0xf0 == 16 => Some("a private network"),
        [100, second, ..] if second & 0xc0 == 64 => Some("a carrier's own network"),
        [169, 254, ..] => Some("a link-local address"),
        [168, 63, 129, 16] => Some("a cloud's metadata service"),
        [192, 0, 0 | 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _] => {
            Some("set aside for other uses")
        }
        [first, ..] if first >= 224 => Some("no address of one machine"),
        _ => None,
    }
}

fn refusal_v6(v6: Ipv6Addr) -> Option<&'static str> {
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("this machine"),
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("no address of one machine"),
        [first, ..] if first & 0xfe00 == 0xfc00 => Some("a private network"),
        [first, ..] if first & 0xffc0 == 0xfe80 => Some("a link-local address"),
        // Everything else that is given out today begins with 2 or 3.
        [first, ..] if first & 0xe000 != 0x2000 => Some("set aside for other uses"),
        [0x2001, 0xdb8 | 0..=0x1ff, ..] | [0x3fff, ..] => Some("set aside for other uses"),
        _ => None,
    }
}

/// The IPv4 address inside one of IPv6: mapped, NAT64 (RFC 6052), 6to4 (RFC 3056). Others that hold one are refused.
pub(super) fn inner(address: IpAddr) -> Result<IpAddr, &'static str> {
    let IpAddr::V6(v6) = address.to_canonical() else { return Ok(address.to_canonical()) };
    let v4 = |high: u16, low: u16| Ok(IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))));
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => v4(high, low),
        [0x64, 0xff9b, ..] => Err("a private network"),
        _ => Ok(v6.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_asked() {
        for bad in [
            "127.0.0.1",
            "127.8.8.8",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.7",
            "100.64.0.1",
            "100.127.255.255",
            "100.100.100.200",
            "169.254.169.254",
            "168.63.129.16",
            "192.0.0.192",
            "198.18.0.1",
            "203.0.113.9",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::7f00:1",
            "2002:a9fe:a9fe::1",
            "2002:7f00:1::",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
        ] {
            assert!(refusal(bad.parse().unwrap()).is_some(), "{bad}");
        }
        for good in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "192.167.1.1", "::ffff:8.8.8.8", "2606:4700::1111"] {
            assert_eq!(refusal(good.parse().unwrap()), None, "{good}");
        }
    }

    #[test]
    fn an_allowed_host_is_that_host_and_no_other() {
        let allowed = |text: &str| text.parse::<AllowedHost>().unwrap();
        assert!(allowed("scores.internal").is("Scores.Internal", 443));
        assert!(!allowed("scores.internal").is("evil.scores.internal", 443));
        assert!(allowed("127.0.0.1:9000").is("127.0.0.1", 9000) && !allowed("127.0.0.1:9000").is("127.0.0.1", 9001));
        assert!(allowed("[::1]:9000").is("::1", 9000) && allowed("::1").is("::1", 1));
        for bad in ["", "a b", "host:port", "http://x", "a/b", ":80"] {
            assert!(bad.parse::<AllowedHost>().is_err(), "{bad}");
        }
    }
}
