//! The person a check is about: how a handle is normalised, and the name-free references to it.

use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;

use crate::ids::is_deceptive;

/// The longest handle, in bytes after normalisation.
pub const MAX_HANDLE_BYTES: usize = 256;

/// A normalised handle: `network:handle`, or a member number. It names a person, so it is never
/// logged and its `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SubjectHandle(String);

/// Why a text is no handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    #[error("a subject can't be empty: write it as `network:handle`, or as a member number")]
    Empty,
    #[error("a subject has at most {MAX_HANDLE_BYTES} bytes")]
    TooLong,
    #[error("a subject has no white space, control or direction characters")]
    Character,
}

impl SubjectHandle {
    /// The normalised text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The network before the first colon, if there is one: `twitter` of `twitter:ada`.
    #[must_use]
    pub fn network(&self) -> Option<&str> {
        self.0.split_once(':').map(|(network, _)| network)
    }
}

impl FromStr for SubjectHandle {
    type Err = SubjectError;

    /// NFKC, lower case, trimmed: `Twitter:Ada ` and `twitter:ada` are one person. Lower-casing
    /// can undo NFKC for a few characters, hence the second pass.
    fn from_str(text: &str) -> Result<Self, SubjectError> {
        // Before any work on it: NFKC can make a text 18 times as long.
        if text.len() > 4 * MAX_HANDLE_BYTES {
            return Err(SubjectError::TooLong);
        }
        let handle: String = text.trim().nfkc().flat_map(char::to_lowercase).nfkc().collect();
        if handle.is_empty() {
            Err(SubjectError::Empty)
        } else if handle.len() > MAX_HANDLE_BYTES {
            Err(SubjectError::TooLong)
        } else if handle.chars().any(|c| is_deceptive(c) || c.is_whitespace()) {
            Err(SubjectError::Character)
        } else {
            Ok(Self(handle))
        }
    }
}

impl fmt::Debug for SubjectHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectHandle(…)")
    }
}

/// A person without a name: HMAC-SHA-256 of merchant and handle under the gateway's hash key.
/// Scores and caches are kept under it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectRef(pub [u8; 32]);

impl fmt::Display for SubjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for SubjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectRef({self})")
    }
}

/// A person as one merchant's events, counters and tokens (`sub`) know them: `sub_` and 32
/// hexadecimal digits of HMAC(secret of the subject, merchant). Once the secret is destroyed,
/// nobody can tell whose it was.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Pseudonym(std::sync::Arc<str>);

impl Pseudonym {
    /// From the first 16 bytes of the HMAC.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        Self(format!("sub_{}", hex(bytes)).into())
    }

    /// One that was stored.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The pseudonym as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    // Not `{:02x}`: the audit writes millions of hashes, and formatting takes longer than hashing.
    let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'a' + value - 10 });
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(digit(byte >> 4));
        out.push(digit(byte & 15));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_has_one_handle() {
        for same in ["twitter:ada", " Twitter:Ada ", "TWITTER:ADA", "ｔwitter:ａda"] {
            assert_eq!(same.parse::<SubjectHandle>().unwrap().as_str(), "twitter:ada", "{same}");
        }
        assert_eq!("cx:1234567".parse::<SubjectHandle>().unwrap().network(), Some("cx"));
    }

    #[test]
    fn what_hides_or_overflows_is_refused() {
        for (bad, why) in [
            ("", SubjectError::Empty),
            (" \t", SubjectError::Empty),
            ("a\0b", SubjectError::Character),
            ("a b", SubjectError::Character),
            ("twitter:\u{202E}ada", SubjectError::Character),
            (&*"a".repeat(4096), SubjectError::TooLong),
            (&*"a".repeat(257), SubjectError::TooLong),
        ] {
            assert_eq!(bad.parse::<SubjectHandle>().unwrap_err(), why, "{bad:?}");
        }
    }

    #[test]
    fn debug_names_nobody() {
        assert_eq!(format!("{:?}", "twitter:ada".parse::<SubjectHandle>().unwrap()), "SubjectHandle(…)");
    }
}
