//! Passwords: what may be one, and the hash that is stored in its stead.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use secrecy::zeroize::Zeroizing;
use serde::Deserialize;

use super::name::AccountName;

/// Characters. Without a second factor, NIST SP 800-63B asks for a long one, and for no mix of letters and digits.
const SHORTEST: usize = 12;
const LONGEST: usize = 256;
const FEWEST_KINDS: usize = 5;
/// Characters that are neither the account's name nor one of [`COMMON`].
const FEWEST_OWN: usize = 6;

/// The parts that the most used passwords are made of.
const COMMON: [&str; 12] = [
    "password",
    "passwort",
    "perkgate",
    "qwertyuiop",
    "qwerty",
    "welcome",
    "letmein",
    "iloveyou",
    "admin",
    "1234567890",
    "123456",
    "abc",
];

/// The memory of one hash in KiB, its passes and lanes: the first choice of OWASP's for argon2id (2023).
const COST: (u32, u32, u32) = (19_456, 2, 1);
/// The most memory, in KiB, and passes that a stored hash may ask for: a damaged row must not take the machine's.
const MOST: (u32, u32) = (262_144, 16);

const LENGTH: usize = 32;

/// The text of a password, as it was sent. It is shown nowhere.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct Password(Zeroizing<String>);

/// Why a text is no good password. None of them repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    #[error("use at least {SHORTEST} characters: a few words are easier to keep than one")]
    Short,
    #[error("use at most {LONGEST} characters")]
    Long,
    #[error("use more than a few different characters")]
    Simple,
    #[error("use words that few others use: this one is among the first that are tried")]
    Common,
    #[error("leave your account's name out of it")]
    Name,
}

impl Password {
    /// Tells whether an account of this name may have it.
    ///
    /// # Errors
    /// [`WeakPassword`].
    pub fn check(&self, name: &AccountName) -> Result<(), WeakPassword> {
        let count = self.0.chars().count();
        if count < SHORTEST {
            return Err(WeakPassword::Short);
        }
        if count > LONGEST {
            return Err(WeakPassword::Long);
        }
        let mut kinds: Vec<char> = self.0.chars().collect();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.len() < FEWEST_KINDS {
            return Err(WeakPassword::Simple);
        }
        let folded = Zeroizing::new(self.0.to_lowercase());
        let short = name.short();
        if folded.contains(name.as_str())
            || letters(&folded) == letters(name.as_str())
            || (short.chars().count() >= 3 && count_without(&folded, &[short]) < FEWEST_OWN)
        {
            return Err(WeakPassword::Name);
        }
        if count_without(&folded, &COMMON) < FEWEST_OWN || is_repeated(&folded) {
            return Err(WeakPassword::Common);
        }
        Ok(())
    }

    /// True if the two are the same text, as when one is typed twice.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes()).is_ok()
    }

    /// True if it could be one at all: longer texts are not hashed.
    pub(super) fn fits(&self) -> bool {
        self.0.len() <= 4 * LONGEST
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The number of characters that are left where these parts are taken out.
fn count_without(text: &str, parts: &[&str]) -> usize {
    let taken = |rest: Zeroizing<String>, part: &&str| Zeroizing::new(rest.replace(part, ""));
    parts.iter().fold(Zeroizing::new(text.to_owned()), taken).chars().count()
}

fn letters(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.chars().filter(|letter| letter.is_alphanumeric()).collect())
}

/// Tells whether a text is a shorter one over and over.
fn is_repeated(text: &str) -> bool {
    // It then is found in itself twice over, before its own end.
    let twice = Zeroizing::new(format!("{text}{text}"));
    let mut inner = twice.chars();
    inner.next();
    inner.next_back();
    inner.as_str().contains(text)
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Hashes a password, which was hashed under the gateway's own key before, as a PHC string: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
/// It takes its time and its memory, so not on a worker of the doors.
pub(super) fn hash(peppered: &[u8; 32], salt: [u8; 16]) -> Option<String> {
    let hash = derive(peppered, &salt, COST)?;
    let (m, t, p) = COST;
    Some(format!("$argon2id$v=19$m={m},t={t},p={p}${}${}", BASE64.encode(salt), BASE64.encode(*hash)))
}

/// Tells whether a password has this hash. Where there is none, it takes as long to say no.
pub(super) fn verify(peppered: &[u8; 32], stored: Option<&str>) -> bool {
    let Some((cost, salt, wanted)) = stored.and_then(read) else {
        let _ = derive(peppered, &[0; 16], COST);
        return false;
    };
    derive(peppered, &salt, cost).is_some_and(|hash| constant_time::verify_slices_are_equal(&*hash, &wanted).is_ok())
}

fn derive(peppered: &[u8; 32], salt: &[u8], (m, t, p): (u32, u32, u32)) -> Option<Zeroizing<[u8; LENGTH]>> {
    let params = Params::new(m, t, p, Some(LENGTH)).ok()?;
    let mut out = Zeroizing::new([0; LENGTH]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(peppered, salt, &mut *out).ok()?;
    Some(out)
}

/// A stored hash: its cost, its salt, and itself.
type StoredHash = ((u32, u32, u32), Vec<u8>, Vec<u8>);

/// The cost, the salt and the hash that a PHC string says.
fn read(stored: &str) -> Option<StoredHash> {
    let (cost, rest) = stored.strip_prefix("$argon2id$v=19$")?.split_once('$')?;
    let (salt, hash) = rest.split_once('$')?;
    let mut numbers =
        ["m=", "t=", "p="].into_iter().zip(cost.split(',')).map(|(name, part)| part.strip_prefix(name)?.parse().ok());
    let (m, t, p): (u32, u32, u32) = (numbers.next()??, numbers.next()??, numbers.next()??);
    (m <= MOST.0 && t <= MOST.1).then_some(())?;
    Some(((m, t, p), BASE64.decode(salt).ok()?, BASE64.decode(hash).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_and_not_the_account() {
        let name: AccountName = "mei@cathay.example".parse().unwrap();
        let check = |text: &str| Password::from(text.to_owned()).check(&name);
        assert_eq!(check("correct horse battery"), Ok(()));
        assert_eq!(check("正しい馬と電池とホチキス"), Ok(()), "characters, not bytes");
        assert_eq!(check("correct"), Err(WeakPassword::Short));
        assert_eq!(check("abababababababab"), Err(WeakPassword::Simple));
        assert_eq!(check(&"correct horse".repeat(30)), Err(WeakPassword::Long));
        for own in ["My MEI@cathay.example 1", "Mei Cathay Example", "meimeimei1234"] {
            assert_eq!(check(own), Err(WeakPassword::Name), "{own}");
        }
        assert_eq!(check("mei keeps three horses"), Ok(()));
        for common in ["passwordpassword", "Password123456", "qwertyuiop12", "horse 42horse 42", "welcome-admin1"] {
            assert_eq!(check(common), Err(WeakPassword::Common), "{common}");
        }
    }

    #[test]
    fn a_hash_knows_its_password_and_no_other() {
        let stored = hash(&[1; 32], [7; 16]).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$"), "{stored}");
        assert!(verify(&[1; 32], Some(&stored)));
        assert!(!verify(&[2; 32], Some(&stored)));
        assert!(!verify(&[1; 32], None));
        for damaged in ["", "$argon2id$v=19$m=19456,t=2,p=1$BwcH", "$argon2id$v=19$m=99999999,t=2,p=1$BwcHBwcHBwc$AA"] {
            assert!(!verify(&[1; 32], Some(damaged)), "{damaged}");
        }
    }

    #[test]
    fn no_debug_text_repeats_a_password() {
        assert_eq!(format!("{:?}", Password::from("correct horse".to_owned())), "Password(…)");
    }
}
