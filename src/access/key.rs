//! API keys: the secret's form, its hash, and what a key is bound to.

use std::fmt::{self, Write as _};

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::Serialize;

use super::role::{Permission, Role};
use crate::foundation::boarding_pass::{self, AIRPORT_FORM, MOST_AIRPORTS};
use crate::foundation::clock::from_micros;
use crate::foundation::entropy::Entropy;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{self, KeyId, MerchantId};
use crate::foundation::web_origin::WebOrigin;

/// SHA-256 of a key's text. The text holds 192 random bits, so a plain hash can't be reversed by
/// guessing, and a look-up by it tells a prober nothing about the keys that exist.
pub type KeyHash = [u8; 32];

const PREFIX: &str = "pgk_";
const RANDOM_BYTES: usize = 24;

/// A key's text: `pgk_`, 48 hexadecimal digits, `_`, and their CRC-32 in 8 more. The checksum lets
/// us, and secret scanners, tell a mistyped key without asking anyone. Never printed but by
/// [`KeySecret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct KeySecret(String);

/// A text that can't be any key: wrong form or wrong checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is `pgk_`, 48 hexadecimal digits, `_` and a checksum of 8")]
pub struct MalformedKey;

impl KeySecret {
    /// A new random key.
    #[must_use]
    pub fn new(entropy: &Entropy) -> Self {
        let mut text = String::with_capacity(PREFIX.len() + RANDOM_BYTES * 2 + 9);
        text.push_str(PREFIX);
        for byte in entropy.bytes::<RANDOM_BYTES>() {
            let _ = write!(text, "{byte:02x}");
        }
        let sum = crc32(text.as_bytes());
        let _ = write!(text, "_{sum:08x}");
        Self(text)
    }

    /// Reads a key's text; it may still be unknown.
    ///
    /// # Errors
    /// [`MalformedKey`].
    pub fn parse(text: &str) -> Result<Self, MalformedKey> {
        let (body, sum) = text.rsplit_once('_').ok_or(MalformedKey)?;
        let random = body.strip_prefix(PREFIX).ok_or(MalformedKey)?;
        let is_hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let fits = random.len() == RANDOM_BYTES * 2 && is_hex(random) && sum.len() == 8 && is_hex(sum);
        // The checksum is no secret (anyone can compute it), so this comparison may take any time.
        if fits && u32::from_str_radix(sum, 16) == Ok(crc32(body.as_bytes())) {
            Ok(Self(text.to_owned()))
        } else {
            Err(MalformedKey)
        }
    }

    /// The hash that is stored in its stead.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(digest::digest(&digest::SHA256, self.0.as_bytes()).as_ref()) {
            *to = *from;
        }
        out
    }

    /// The text itself, to show to its owner once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pgk_…")
    }
}

/// CRC-32 as in IEEE 802.3 (reflected, polynomial 0xEDB88320).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 })
    })
}

/// A key as it stands in the books: everything but its text, which nobody has any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: KeyId,
    /// None for operator keys.
    pub merchant: Option<MerchantId>,
    pub role: Role,
    pub label: String,
    pub location: Option<String>,
    pub kiosk: Option<String>,
    pub audience: Option<String>,
    /// The airports at which it is used, by IATA code: which leg of a boarding pass counts.
    pub airports: Vec<String>,
    /// The only web origins whose pages may use it; none where the settings' count.
    pub origins: Vec<WebOrigin>,
    /// The key that made it; none for the command line.
    pub created_by: Option<KeyId>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// The hour in which it was last used, as far as it is written; none before its first use.
    pub last_used_at: Option<Timestamp>,
    /// It is the key of an account that is suspended, and opens nothing meanwhile.
    pub is_suspended: bool,
}

/// The status of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyStatus {
    Active,
    /// Its account is suspended.
    Suspended,
    Expired,
    Revoked,
}

impl KeyStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Active, Self::Suspended, Self::Expired, Self::Revoked];

    /// As it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl ApiKey {
    /// Its status at `now`.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => KeyStatus::Revoked,
            (None, Some(at)) if at <= now => KeyStatus::Expired,
            _ if self.is_suspended => KeyStatus::Suspended,
            _ => KeyStatus::Active,
        }
    }

    /// Its airports as its row and its event have them: with spaces between; none when it has none.
    pub(super) fn airports_text(&self) -> Option<String> {
        (!self.airports.is_empty()).then(|| self.airports.join(" "))
    }

    /// Its origins as its row and its event have them: with spaces between; none when it has none.
    pub(super) fn origins_text(&self) -> Option<String> {
        let origins: Vec<_> = self.origins.iter().map(WebOrigin::as_str).collect();
        (!origins.is_empty()).then(|| origins.join(" "))
    }
}

/// The properties of a key to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    pub role: Role,
    /// None for operator keys; every other role needs one.
    pub merchant: Option<MerchantId>,
    pub label: String,
    pub location: Option<String>,
    pub kiosk: Option<String>,
    pub audience: Option<String>,
    /// IATA codes, in any case.
    pub airports: Vec<String>,
    pub origins: Vec<WebOrigin>,
    pub expires_at: Option<Timestamp>,
}

impl NewKey {
    pub const LABEL_MAX: usize = ids::MAX_LABEL;
    pub const MOST_ORIGINS: usize = 20;

    /// A key of `role` with a label and nothing else.
    #[must_use]
    pub fn of(role: Role, merchant: Option<MerchantId>, label: &str) -> Self {
        let label = label.to_owned();
        Self {
            role,
            merchant,
            label,
            location: None,
            kiosk: None,
            audience: None,
            airports: Vec::new(),
            origins: Vec::new(),
            expires_at: None,
        }
    }

    /// Trims what is text and checks that it fits together at `now`.
    ///
    /// # Errors
    /// Every [`FieldError`] found.
    pub fn check(mut self, now: Timestamp) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        match (self.role.has_merchant(), &self.merchant) {
            (true, None) => errors.push(FieldError::at(
                "/merchant",
                "required",
                format!("a key of role `{}` belongs to a merchant", self.role),
            )),
            (false, Some(_)) => {
                errors.push(FieldError::at("/merchant", "not_allowed", "an operator key belongs to no merchant"));
            }
            _ => {}
        }
        let mut clean = |pointer: &'static str, text: &str| {
            ids::label(text, Self::LABEL_MAX)
                .map_err(|e| errors.push(FieldError::at(pointer, "invalid_value", e.to_string())))
                .unwrap_or_default()
        };
        self.label = clean("/label", &self.label);
        self.location = self.location.map(|text| clean("/location", &text));
        self.kiosk = self.kiosk.map(|text| clean("/kiosk", &text));
        let on_site = matches!(self.role, Role::Kiosk | Role::Door | Role::Desk);
        for (pointer, set, fits, whose) in [
            ("/location", self.location.is_some(), on_site, "kiosk, desk and door keys have a location"),
            ("/kiosk", self.kiosk.is_some(), on_site, "kiosk, desk and door keys have a kiosk name"),
            ("/audience", self.audience.is_some(), self.role == Role::Door, "only door keys have an audience"),
        ] {
            if set && !fits {
                errors.push(FieldError::at(pointer, "not_allowed", whose));
            }
        }
        if self.role == Role::Door && self.audience.is_none() {
            // Without one it would open for nobody, and only the first guest would find out.
            errors.push(FieldError::at("/audience", "required", "a door key redeems one audience: name it"));
        }
        if self.audience.as_deref().is_some_and(|audience| !ids::is_slug(audience)) {
            errors.push(FieldError::at("/audience", "invalid_value", ids::NameError::Slug.to_string()));
        }
        if !self.airports.is_empty() && !self.role.may(Permission::Check) {
            errors.push(FieldError::at("/airports", "not_allowed", "only keys that check have airports"));
        }
        for (nth, airport) in self.airports.iter_mut().enumerate() {
            match boarding_pass::airport(airport) {
                Some(code) => *airport = code,
                None => errors.push(FieldError::at(format!("/airports/{nth}"), "invalid_value", AIRPORT_FORM)),
            }
        }
        self.airports.sort();
        self.airports.dedup();
        if self.airports.len() > MOST_AIRPORTS {
            let detail = format!("a key has at most {MOST_AIRPORTS} airports");
            errors.push(FieldError::at("/airports", "too_many", detail));
        }
        self.origins.sort();
        self.origins.dedup();
        if self.origins.len() > Self::MOST_ORIGINS {
            let detail = format!("a key has at most {} origins", Self::MOST_ORIGINS);
            errors.push(FieldError::at("/origins", "too_many", detail));
        }
        // What is stored reads back as what was answered.
        self.expires_at = self.expires_at.map(|at| from_micros(at.as_microsecond()));
        if self.expires_at.is_some_and(|at| at <= now) {
            errors.push(FieldError::at("/expires_at", "in_the_past", "the expiry must lie in the future"));
        }
        if errors.is_empty() { Ok(self) } else { Err(errors) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merchant() -> MerchantId {
        MerchantId::new(Timestamp::UNIX_EPOCH, &Entropy::seeded(1))
    }

    #[test]
    fn a_key_reads_back_and_keeps_its_text_to_itself() {
        let secret = KeySecret::new(&Entropy::seeded(7));
        assert_eq!(KeySecret::parse(secret.expose()), Ok(secret.clone()));
        assert_eq!(secret.expose().len(), 61);
        assert_eq!(format!("{secret:?}"), "pgk_…");
        assert_ne!(secret.hash(), KeySecret::new(&Entropy::seeded(8)).hash());
    }

    #[test]
    fn the_checksum_is_the_common_crc32() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_truncated_key_or_any_flipped_bit_is_malformed() {
        let text = KeySecret::new(&Entropy::seeded(7)).expose().to_owned();
        for cut in 0..text.len() {
            assert_eq!(KeySecret::parse(&text[..cut]), Err(MalformedKey), "{cut}");
        }
        for at in 0..text.len() {
            for bit in 0..7 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let flipped = String::from_utf8(bytes).unwrap();
                assert_eq!(KeySecret::parse(&flipped), Err(MalformedKey), "byte {at} bit {bit}");
            }
        }
        for bad in ["", "_", "pgk_", "pgk__", "pgk_\0_00000000", "Bearer x"] {
            assert_eq!(KeySecret::parse(bad), Err(MalformedKey), "{bad:?}");
        }
    }

    #[test]
    fn a_key_is_bound_to_what_its_role_allows() {
        let now = Timestamp::UNIX_EPOCH;
        let errors = |key: NewKey| {
            key.check(now)
                .unwrap_err()
                .into_iter()
                .map(|error| (error.path.to_string(), error.code))
                .collect::<Vec<_>>()
        };
        let kiosk = NewKey::of(Role::Kiosk, Some(merchant()), "  SFO A12 ");
        let located = NewKey { location: Some(" SFO-A ".into()), ..kiosk.clone() };
        assert_eq!(located.check(now).unwrap().location.as_deref(), Some("SFO-A"));
        assert_eq!(kiosk.clone().check(now).unwrap().label, "SFO A12");
        assert_eq!(errors(NewKey { merchant: None, ..kiosk.clone() }), [("/merchant".to_owned(), "required")]);
        assert_eq!(
            errors(NewKey { audience: Some("sfo-lounge".into()), ..kiosk.clone() }),
            [("/audience".to_owned(), "not_allowed")]
        );
        assert_eq!(
            errors(NewKey { label: "a\u{202E}b".into(), ..kiosk.clone() }),
            [("/label".to_owned(), "invalid_value")]
        );
        assert_eq!(
            errors(NewKey { location: Some("a\0b".into()), ..kiosk.clone() }),
            [("/location".to_owned(), "invalid_value")]
        );
        assert_eq!(errors(NewKey { expires_at: Some(now), ..kiosk }), [("/expires_at".to_owned(), "in_the_past")]);
        assert_eq!(
            errors(NewKey::of(Role::Operator, Some(merchant()), "x")),
            [("/merchant".to_owned(), "not_allowed")]
        );
        let airports = |role, codes: &[&str]| NewKey {
            airports: codes.iter().map(|code| (*code).to_owned()).collect(),
            ..NewKey::of(role, Some(merchant()), "x")
        };
        let kiosk = airports(Role::Kiosk, &["hkg", "SFO", "HKG"]).check(now).unwrap();
        assert_eq!(kiosk.airports, ["HKG", "SFO"]);
        assert_eq!(
            errors(airports(Role::Kiosk, &["SFO", "S1O", "", "KSFO"])),
            [1, 2, 3].map(|nth| (format!("/airports/{nth}"), "invalid_value"))
        );
        let codes: Vec<String> = (b'A'..=b'U').map(|letter| format!("AA{}", char::from(letter))).collect();
        let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
        assert_eq!(errors(airports(Role::Kiosk, &codes)), [("/airports".to_owned(), "too_many")]);
        assert!(airports(Role::Kiosk, &codes[..20]).check(now).is_ok());
        assert_eq!(errors(airports(Role::Feeder, &["SFO"])), [("/airports".to_owned(), "not_allowed")]);
        let feeder = NewKey { location: Some("SFO".into()), ..NewKey::of(Role::Feeder, Some(merchant()), "x") };
        assert_eq!(errors(feeder), [("/location".to_owned(), "not_allowed")]);
        let door = NewKey { audience: Some("SFO Lounge".into()), ..NewKey::of(Role::Door, Some(merchant()), "x") };
        assert_eq!(errors(door), [("/audience".to_owned(), "invalid_value")]);
    }
}
