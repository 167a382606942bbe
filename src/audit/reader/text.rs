//! Texts of events, borrowed where they can be.

use std::borrow::Cow;
use std::ops::Deref;

use serde::Deserialize;

use super::canonical::{Canonical, Reader};

/// A text that is copied only when it holds escapes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl<'a> Canonical<'a> for Text<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Canonical::read(reader).map(|text: &str| text.into())
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<[u8]> for Text<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
