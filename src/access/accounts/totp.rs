//! Codes of an authenticator (TOTP, RFC 6238): six digits of HMAC-SHA-1 over steps of thirty seconds, as every such app
//! makes them.

use aws_lc_rs::{constant_time, hmac};
use jiff::Timestamp;

/// The seconds of a step.
const STEP_SECONDS: i64 = 30;
/// Steps that a code may be early or late: clocks differ, and people type.
const SLACK: i64 = 1;
const DIGITS: usize = 6;

/// The bytes of a secret: as long as the hash (RFC 4226 §4, R6).
pub(super) const SECRET: usize = 20;

/// The code of a step.
fn code(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let hash = tag.as_ref();
    // Dynamic truncation (RFC 4226 §5.3).
    let offset = usize::from(hash.last().copied().unwrap_or(0) & 0x0f);
    let four = hash.get(offset..offset + 4).unwrap_or_default();
    let number = four.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff;
    format!("{:0DIGITS$}", number % 1_000_000)
}

/// The step of a code that is right at `now` and later than `last`: a code is taken once (RFC 6238 §5.2).
pub(super) fn step_of(secret: &[u8], typed: &str, now: Timestamp, last: Option<i64>) -> Option<i64> {
    let typed: String = typed.chars().filter(|letter| !letter.is_whitespace()).collect();
    let current = now.as_second().div_euclid(STEP_SECONDS);
    let is_code =
        |step: i64| constant_time::verify_slices_are_equal(code(secret, step).as_bytes(), typed.as_bytes()).is_ok();
    // All are compared: the time that it takes says nothing of which was right.
    let right: Vec<i64> = (current - SLACK..=current + SLACK).filter(|step| is_code(*step)).collect();
    right.into_iter().find(|step| last.is_none_or(|last| *step > last))
}

/// The secret as authenticators take it (base32, RFC 4648).
pub(super) fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::new();
    for chunk in bytes.chunks(5) {
        let bits = chunk.iter().enumerate().fold(0_u64, |bits, (nth, byte)| bits | u64::from(*byte) << (32 - 8 * nth));
        for nth in 0..(chunk.len() * 8).div_ceil(5) {
            let five = usize::try_from(bits >> (35 - 5 * nth) & 31).unwrap_or(0);
            out.push(char::from(LETTERS.get(five).copied().unwrap_or(b'A')));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 4226, appendix D: the counter is the step.
        let secret = b"12345678901234567890";
        let codes: Vec<String> = (0..10).map(|step| code(secret, step)).collect();
        assert_eq!(
            codes,
            ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
        );
        // RFC 6238, appendix B, for SHA-1: its eight digits end in these.
        for (second, digits) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let now = Timestamp::from_second(second).unwrap();
            assert_eq!(step_of(secret, digits, now, None), Some(second / 30), "{second}");
        }
    }

    #[test]
    fn a_code_is_taken_once_and_a_step_early_or_late() {
        let secret = b"12345678901234567890";
        let now = Timestamp::from_second(300).unwrap();
        let of = |step: i64| code(secret, step);
        for step in 9..=11 {
            assert_eq!(step_of(secret, &of(step), now, None), Some(step));
        }
        assert_eq!(step_of(secret, &of(8), now, None), None);
        assert_eq!(step_of(secret, &of(12), now, None), None);
        assert_eq!(step_of(secret, &of(10), now, Some(10)), None, "it was taken");
        assert_eq!(step_of(secret, &of(11), now, Some(10)), Some(11));
        let spaced = format!(" {} {} ", &of(10)[..3], &of(10)[3..]);
        assert_eq!(step_of(secret, &spaced, now, None), Some(10));
        for bad in ["", "12345", "1234567", "abcdef"] {
            assert_eq!(step_of(secret, bad, now, None), None, "{bad}");
        }
    }

    #[test]
    fn a_secret_is_written_as_the_standard_has_it() {
        // RFC 4648 §10, without its padding.
        for (bytes, text) in [("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB")]
        {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
        assert_eq!(base32(&[0; SECRET]).len(), 32);
    }
}
