//! The code that is typed into a new screen, and the two words that prove to a person which screen typed it.

use std::fmt;

use aws_lc_rs::constant_time;

use super::words::WORDS;
use crate::access::accounts::TokenHash;
use crate::foundation::entropy::Entropy;

/// Letters that nobody takes for another one: neither I, L and O, nor U and V, nor Q.
const LETTERS: &[u8; 20] = b"ABCDEFGHJKMNPRSTWXYZ";
const LENGTH: usize = 8;
const HALF: usize = 4;

/// A code of eight letters. It opens nothing: who types it has still to be confirmed. Shown in no log.
#[derive(Clone, PartialEq, Eq)]
pub struct PairingCode(String);

impl PairingCode {
    pub(super) fn new(entropy: &Entropy) -> Self {
        let most = (256 / LETTERS.len() * LETTERS.len()) as u64;
        let mut text = String::with_capacity(LENGTH);
        while text.len() < LENGTH {
            // A byte beyond the last whole round of the letters would make the first ones likelier.
            for byte in entropy.bytes::<32>().into_iter().filter(|byte| u64::from(*byte) < most) {
                let letter = LETTERS.get(usize::from(byte) % LETTERS.len()).copied().unwrap_or(b'A');
                if text.len() < LENGTH {
                    text.push(char::from(letter));
                }
            }
        }
        Self(text)
    }

    /// Reads a code as it is typed: small letters, blanks and dashes don't matter.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letters: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).take(LENGTH + 1).collect();
        let letters = letters.to_ascii_uppercase();
        (letters.len() == LENGTH && letters.bytes().all(|b| LETTERS.contains(&b))).then_some(Self(letters))
    }

    /// The text itself, for the admin who types it into a screen.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The half by which the device is found, and wrong codes are counted: who knows it has ten guesses of the other.
    pub(super) fn half(&self) -> &str {
        self.0.get(..HALF).unwrap_or_default()
    }

    /// The hash that is stored in its stead; `blind` hashes under the gateway's own key, as a code is short.
    pub(super) fn hash(&self, blind: impl FnOnce(&[&[u8]]) -> [u8; 32]) -> [u8; 32] {
        blind(&[b"pairing code\0", self.0.as_bytes()])
    }

    /// The two words that a screen shows which typed this code and holds the secret of this hash.
    pub(super) fn words(&self, secret: &TokenHash, blind: impl FnOnce(&[&[u8]]) -> [u8; 32]) -> String {
        let [first, second, ..] = blind(&[b"words of a device\0", self.0.as_bytes(), secret]);
        let word = |byte: u8| WORDS.get(usize::from(byte)).copied().unwrap_or_default();
        format!("{} {}", word(first), word(second))
    }
}

impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingCode(…)")
    }
}

/// Tells whether two hashes are one, in a time that says nothing of where they differ.
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(one, other).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_back_however_it_is_typed() {
        let code = PairingCode::new(&Entropy::seeded(1));
        assert_eq!(PairingCode::parse(code.expose()), Some(code.clone()));
        let typed = format!(" {}-{} ", code.half().to_lowercase(), &code.expose()[4..]);
        assert_eq!(PairingCode::parse(&typed), Some(code.clone()));
        assert_ne!(PairingCode::new(&Entropy::seeded(2)), code);
        for bad in ["", "ABCDEFG", "ABCDEFGHJ", "ABCDEFG1", "ABCDEFGO", "ABCD\u{200b}EFGH", "ÄBCDEFGH"] {
            assert_eq!(PairingCode::parse(bad), None, "{bad}");
        }
        assert_eq!(format!("{code:?}"), "PairingCode(…)");
    }

    #[test]
    fn every_letter_comes_up() {
        let codes: String = (0..200).map(|seed| PairingCode::new(&Entropy::seeded(seed)).0).collect();
        assert!(LETTERS.iter().all(|letter| codes.contains(char::from(*letter))), "{codes}");
    }

    #[test]
    fn the_words_are_of_the_code_and_of_the_secret() {
        let code = PairingCode::parse("ABCDEFGH").unwrap();
        let hash = |parts: &[&[u8]]| -> [u8; 32] {
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &parts.concat()).as_ref().try_into().unwrap()
        };
        let words = code.words(&[1; 32], hash);
        assert_eq!(words.split(' ').count(), 2);
        assert_ne!(words, code.words(&[2; 32], hash));
        assert_ne!(words, PairingCode::parse("ABCDEFGJ").unwrap().words(&[1; 32], hash));
    }
}
