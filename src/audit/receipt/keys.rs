//! The log keys that someone trusts, as they kept them.

use serde::Deserialize;

use crate::tlog::note::{VerifierKey, VerifierKeyError};

/// The answer of `/.well-known/log-keys`.
#[derive(Deserialize)]
struct Published {
    keys: Vec<PublishedKey>,
}

#[derive(Deserialize)]
struct PublishedKey {
    verifier_key: String,
}

/// Reads keys: the answer of `/.well-known/log-keys`, or one a line.
///
/// # Errors
/// A text that says what is wrong; also where there is none.
pub fn read_keys(text: &str) -> Result<Vec<VerifierKey>, String> {
    let lines = match serde_json::from_str::<Published>(text) {
        Ok(published) => published.keys.into_iter().map(|key| key.verifier_key).collect(),
        Err(error) if text.trim_start().starts_with('{') => return Err(error.to_string()),
        Err(_) => text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>(),
    };
    let keys: Result<Vec<VerifierKey>, _> = lines.iter().map(|line| line.parse()).collect();
    let keys = keys.map_err(|error: VerifierKeyError| error.to_string())?;
    if keys.is_empty() { Err("it is empty".to_owned()) } else { Ok(keys) }
}
