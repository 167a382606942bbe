//! `--key`: the log keys that someone trusts, each as it is written or all of them in a file.

use std::io::Read as _;
use std::str::FromStr;

use crate::audit::receipt::read_keys;
use crate::foundation::unicode::text_without_bom;
use crate::tlog::note::{VerifierKey, VerifierKeyError};

/// More than the keys of any gateway take.
const MAX_BYTES: u64 = 16 << 20;

/// The log keys that one `--key` names.
#[derive(Debug, Clone)]
pub(super) struct LogKeys(Vec<VerifierKey>);

/// Why a `--key` names none.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogKeysError {
    #[error("{0}, nor is there such a file")]
    Key(VerifierKeyError),
    #[error("the file can't be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("the file holds no answer of `/.well-known/log-keys` and no key a line: {0}")]
    File(String),
}

impl LogKeys {
    /// All of them.
    pub(super) fn all(given: &[Self]) -> Vec<VerifierKey> {
        given.iter().flat_map(|keys| keys.0.iter().cloned()).collect()
    }

    fn of_file(text: &str) -> Result<Self, LogKeysError> {
        read_keys(text_without_bom(text)).map(Self).map_err(LogKeysError::File)
    }
}

impl FromStr for LogKeys {
    type Err = LogKeysError;

    fn from_str(text: &str) -> Result<Self, LogKeysError> {
        match text.parse() {
            Ok(key) => Ok(Self(vec![key])),
            Err(error) if !std::path::Path::new(text).is_file() => Err(LogKeysError::Key(error)),
            Err(_) => {
                let mut held = String::new();
                std::fs::File::open(text)?.take(MAX_BYTES).read_to_string(&mut held)?;
                Self::of_file(&held)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_the_published_answer_and_from_lines() {
        let [one, other] = ["gate.example/cathay", "perkgate-1"].map(|name| VerifierKey::new(name, [1; 32]).unwrap());
        let both = [one.clone(), other.clone()];
        let lines = format!("{one}\n\n {other}\r\n");
        let answer = serde_json::json!({"keys": [
            {"log": "cathay", "name": one.name(), "key_id": "", "verifier_key": one.to_string()},
            {"name": other.name(), "verifier_key": other.to_string()},
        ]});
        for text in [lines, answer.to_string()] {
            assert_eq!(LogKeys::all(&[LogKeys::of_file(&text).unwrap()]), both, "{text}");
        }
        assert_eq!(LogKeys::all(&[one.to_string().parse().unwrap(), other.to_string().parse().unwrap()]), both);
        for bad in ["", "\n", "{}", "{\"keys\":[]}", "hello", &format!("{one}\nhello")] {
            assert!(LogKeys::of_file(bad).is_err(), "{bad}");
        }
        assert!(matches!("no+such+file".parse::<LogKeys>(), Err(LogKeysError::Key(_))));
    }
}
