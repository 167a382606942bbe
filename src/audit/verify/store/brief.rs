//! Short texts and hashes of millions of rows, read without an allocation for each.

use std::ops::Deref;

use diesel::deserialize::{FromSql, FromSqlRow, Result};
use diesel::pg::{Pg, PgValue};
use diesel::sql_types::{Binary, Text};
use diesel::sqlite::{Sqlite, SqliteValue};

use crate::tlog::merkle::Hash;

/// Enough for every id, kind and name of a key that the gateway makes.
const ROOM: usize = 47;

/// A text that is nearly always short. In a table that was tampered with it may have any length.
#[derive(Debug, Clone, FromSqlRow)]
pub(crate) enum Brief {
    Here { len: u8, bytes: [u8; ROOM] },
    Apart(Box<str>),
}

impl From<&str> for Brief {
    fn from(text: &str) -> Self {
        let mut bytes = [0; ROOM];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(room), Ok(len)) => {
                room.copy_from_slice(text.as_bytes());
                Self::Here { len, bytes }
            }
            _ => Self::Apart(text.into()),
        }
    }
}

impl Deref for Brief {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            // What was written there is a text, and whole.
            Self::Here { len, bytes } => {
                bytes.get(..usize::from(*len)).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
            }
            Self::Apart(text) => text,
        }
    }
}

impl AsRef<[u8]> for Brief {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Here { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Apart(text) => text.as_bytes(),
        }
    }
}

impl FromSql<Text, Sqlite> for Brief {
    fn from_sql(mut value: SqliteValue<'_, '_, '_>) -> Result<Self> {
        Ok(value.read_text().into())
    }
}

impl FromSql<Text, Pg> for Brief {
    fn from_sql(value: PgValue<'_>) -> Result<Self> {
        Ok(std::str::from_utf8(value.as_bytes())?.into())
    }
}

/// A hash, or none where what is stored has another length.
#[derive(Debug, Clone, Copy, FromSqlRow)]
pub(crate) struct Stored(pub Option<Hash>);

impl FromSql<Binary, Sqlite> for Stored {
    fn from_sql(mut value: SqliteValue<'_, '_, '_>) -> Result<Self> {
        Ok(Self(value.read_blob().try_into().ok()))
    }
}

impl FromSql<Binary, Pg> for Stored {
    fn from_sql(value: PgValue<'_>) -> Result<Self> {
        Ok(Self(value.as_bytes().try_into().ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_any_length_is_kept_as_it_is() {
        for length in [0, 1, ROOM - 1, ROOM, ROOM + 1, 255, 256, 1000] {
            let text = "é".repeat(length / 2) + &"x".repeat(length % 2);
            let brief = Brief::from(text.as_str());
            assert_eq!((&*brief, brief.as_ref()), (text.as_str(), text.as_bytes()));
            assert_eq!(matches!(brief, Brief::Here { .. }), length <= ROOM, "{length}");
        }
    }
}
