//! The one who did what an event says.

use serde::Deserialize;

use super::canonical::{Canonical, put, read_members};
use super::text::Text;

/// A key with its role, or `cli`.
#[derive(Debug, Deserialize)]
pub(crate) struct Actor<'a> {
    #[serde(borrow)]
    pub key: Option<Text<'a>>,
    #[serde(borrow)]
    pub role: Text<'a>,
}

read_members!(Actor { key, role });

impl Actor<'_> {
    /// Tells whether a table for people names this one: by the role, and the key where there is one.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        match &self.key {
            None => name == &*self.role,
            Some(key) => name.strip_prefix(&*self.role).and_then(|it| it.strip_prefix(' ')) == Some(&**key),
        }
    }

    /// The one that rows name: the key, or the role where there is none.
    pub(crate) fn name(&self) -> String {
        self.key.as_deref().unwrap_or(&self.role).to_owned()
    }
}
