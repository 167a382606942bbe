//! The name that a person logs in with: unique in the gateway, written in small letters.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::foundation::ids;

const LONGEST: usize = 120;

/// An account's name, such as an address for e-mail.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountName(Arc<str>);

/// A text that no account is called by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an account's name has 1 to {LONGEST} characters and no spaces, such as `mei@cathay.example`")]
pub struct BadAccountName;

impl AccountName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part that people call each other by: what stands before an `@`.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.split('@').next().filter(|part| !part.is_empty()).unwrap_or(&self.0)
    }
}

impl FromStr for AccountName {
    type Err = BadAccountName;

    fn from_str(text: &str) -> Result<Self, BadAccountName> {
        let folded = text.trim().to_lowercase();
        let fits = !folded.chars().any(char::is_whitespace) && ids::label(&folded, LONGEST).is_ok();
        if fits { Ok(Self(folded.into())) } else { Err(BadAccountName) }
    }
}

impl TryFrom<String> for AccountName {
    type Error = BadAccountName;

    fn try_from(text: String) -> Result<Self, BadAccountName> {
        text.parse()
    }
}

impl From<AccountName> for String {
    fn from(name: AccountName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_in_small_letters() {
        let name: AccountName = " Mei@Cathay.example ".parse().unwrap();
        assert_eq!((name.as_str(), name.short()), ("mei@cathay.example", "mei"));
        assert_eq!("@x".parse::<AccountName>().unwrap().short(), "@x");
        for bad in ["", "  ", "a b", "a\0b", "a\u{202E}b", &"a".repeat(121)] {
            assert_eq!(bad.parse::<AccountName>(), Err(BadAccountName), "{bad:?}");
        }
    }
}
