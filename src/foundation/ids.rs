//! The names things go by: prefixed ids that we make (`chk_…`), and short names that people choose.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::entropy::Entropy;
use super::unicode::find_invisible;

/// A name or id that doesn't have the form it must have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("an id of this kind is `{prefix}_` and 32 lower-case hexadecimal digits")]
    Id { prefix: &'static str },
    #[error("use 1 to 63 lower-case letters, digits and hyphens, beginning and ending with a letter or digit")]
    Slug,
    #[error("`{0}` is reserved: choose another name")]
    Reserved(&'static str),
    #[error("use 1 to {max} characters without control or direction characters")]
    Label { max: usize },
    #[error(
        "leave out control, direction and invisible characters: its character {at} is U+{:04X}", u32::from(*.character)
    )]
    Invisible { at: usize, character: char },
}

/// The 32 hexadecimal digits of a new `UUIDv7` (RFC 9562): sorted by the time they were made.
fn uuid_v7(now: Timestamp, entropy: &Entropy) -> String {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let random = entropy.bytes::<10>();
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().simple().to_string()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// A new id, made at `now`.
            #[must_use]
            pub fn new(now: Timestamp, entropy: &Entropy) -> Self {
                Self(format!(concat!($prefix, "_{}"), uuid_v7(now, entropy)).into())
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// When it was made, to the millisecond; none of one that says an instant beyond all calendars.
            #[must_use]
            pub fn made_at(&self) -> Option<Timestamp> {
                let millis = self.0.get(concat!($prefix, "_").len()..)?.get(..12)?;
                Timestamp::from_millisecond(i64::from_str_radix(millis, 16).ok()?).ok()
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|rest| rest.len() == 32 && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
                    .map(|_| Self(text.into()))
                    .ok_or(NameError::Id { prefix: $prefix })
            }
        }
        text_type!($name);
    )*};
}

macro_rules! text_type {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

ids! {
    /// A merchant.
    MerchantId = "mer";
    /// A perk of a merchant.
    PerkId = "prk";
    /// One check.
    CheckId = "chk";
    /// One recorded grant; also the token's `jti`.
    GrantId = "grt";
    /// An API key.
    KeyId = "key";
    /// One audit event.
    EventId = "evt";
    /// An append-only log of events.
    LogId = "log";
    /// A correction of how many are inside.
    OccupancyId = "occ";
    /// A place that is closed for a while.
    ClosureId = "clo";
    /// A request of a person by the link of an answer.
    SubjectRequestId = "srq";
    /// A feed, or a run of a computed source, that is held.
    HeldFeedId = "hld";
}

macro_rules! slugs {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                if !is_slug(text) {
                    return Err(NameError::Slug);
                }
                // The operator's log stands beside the merchants' logs under this name.
                if text == "operator" {
                    return Err(NameError::Reserved("operator"));
                }
                Ok(Self(text.into()))
            }
        }
        text_type!($name);
    )*};
}

slugs! {
    /// A merchant's short name, unique in the gateway: `cathay`.
    MerchantSlug;
    /// A perk's short name, unique within its merchant: `sfo-lounge`.
    PerkSlug;
    /// The name of a score source, unique within its merchant: `klout`.
    SourceName;
}

/// True if `text` is a short name: 1–63 of `a-z 0-9 -`, with no hyphen at either end.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The longest label of a key, a location or a kiosk, in characters.
pub const MAX_LABEL: usize = 80;

/// The longest note on why something was done, in characters.
pub const MAX_NOTE: usize = 500;

/// Text for people (a label, a place, a door): 1 to `max` characters, trimmed, its bytes kept, with no control,
/// direction or invisible characters, which could make one name look like another.
///
/// # Errors
/// [`NameError::Label`] when it is empty or too long, [`NameError::Invisible`] when it holds such a character.
pub fn label(text: &str, max: usize) -> Result<String, NameError> {
    let text = text.trim();
    if let Some((at, character)) = find_invisible(text) {
        return Err(NameError::Invisible { at, character });
    }
    let fits = !text.is_empty() && text.chars().count() <= max;
    if fits { Ok(text.to_owned()) } else { Err(NameError::Label { max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_prefix_and_a_uuid_of_version_7() {
        let id = CheckId::new(Timestamp::UNIX_EPOCH, &Entropy::seeded(1));
        assert!(id.as_str().starts_with("chk_0000000000007"), "{id}");
        assert_eq!(id.as_str().parse::<CheckId>().unwrap(), id);
        let at: Timestamp = "2012-05-08T19:00:00.123Z".parse().unwrap();
        assert_eq!(CheckId::new(at, &Entropy::seeded(1)).made_at(), Some(at));
        let beyond: CheckId = "chk_ffffffffffff70008000000000000001".parse().unwrap();
        assert_eq!(beyond.made_at(), None);
        for bad in
            ["", "chk_", "grt_018f3c2e7b7a7000800000000000abcd", "chk_018F3C2E7B7A7000800000000000ABCD", "chk_018f"]
        {
            assert!(bad.parse::<CheckId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_slug_is_short_plain_and_not_reserved() {
        for good in ["a", "cathay", "sfo-lounge", "7-eleven"] {
            assert!(good.parse::<MerchantSlug>().is_ok(), "{good}");
        }
        let long = "a".repeat(64);
        for bad in ["", "-a", "a-", "Cathay", "a b", "a/b", "é", "operator", "a\0b", long.as_str()] {
            assert!(bad.parse::<MerchantSlug>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_label_refuses_what_cannot_be_seen() {
        assert_eq!(label("  SFO A12 ", 80).unwrap(), "SFO A12");
        for bad in ["", "  ", "a\0b", "a\u{202E}b", "a\u{200B}b", "123456"] {
            assert!(label(bad, 5).is_err(), "{bad:?}");
        }
    }
}
