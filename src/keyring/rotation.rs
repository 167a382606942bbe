//! Rotation, and the gateway's keys as anybody may know them: names, public halves, and when they are used.
//!
//! Nothing here is recorded: `ledger::keys` writes the event in the same transaction.

use jiff::{SignedDuration, Timestamp};

use super::store::{self, KeyRow};
use super::{IDEMPOTENCY_WINDOW, Keyring, KeyringError, LONGEST_TOKEN_TTL, Purpose, snapshot};
use crate::clock::from_micros;
use crate::database::{AnyConnection, DatabaseError};

/// One key of the gateway, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    pub kid: String,
    pub purpose: Purpose,
    /// RFC 8032; the hash key has none.
    pub public_key: Option<[u8; 32]>,
    pub signs_from: Timestamp,
    /// From when it is no longer published or used; none while no later key takes over.
    pub retires_at: Option<Timestamp>,
}

/// A token key that takes over, and those that it takes over from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    pub key: KeyRecord,
    /// When each of them is retired.
    pub retires: Vec<(String, Timestamp)>,
}

impl KeyRecord {
    fn of(row: &KeyRow) -> Option<Self> {
        let public_key = match &row.public_key {
            None => None,
            Some(bytes) => Some(bytes.as_slice().try_into().ok()?),
        };
        Some(Self {
            kid: row.kid.clone(),
            purpose: Purpose::parse(&row.purpose)?,
            public_key,
            signs_from: from_micros(row.signs_from),
            retires_at: row.retires_at.map(from_micros),
        })
    }
}

impl Keyring {
    /// Keeps every other replica from making or telling of keys until the transaction ends.
    ///
    /// # Errors
    /// The database's.
    pub fn lock(&self, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        store::lock(conn)
    }

    /// The gateway's keys as they are stored. A row that this gateway did not make is left out and said:
    /// whoever can write to the table alone can't wrap a key, nor put another public half beside one.
    ///
    /// # Errors
    /// The database's.
    pub fn records(&self, conn: &mut AnyConnection) -> Result<Vec<KeyRecord>, DatabaseError> {
        let mut records = Vec::new();
        for row in store::list(conn)? {
            match snapshot::unwrap(&row, &self.inner.master) {
                Ok(_) => records.extend(KeyRecord::of(&row)),
                Err(error) => tracing::error!(%error, "a row of the keyring is none of this gateway's"),
            }
        }
        Ok(records)
    }

    /// Makes the next token key, inside a transaction: published as soon as each replica has read it,
    /// signing after `ahead`. Let `ahead` be longer than the replicas' refreshing and the JWKS's `max-age`
    /// together, or doors meet tokens whose key they don't know yet; nothing, when a key was stolen. The key
    /// before it stays published for the longest token and the idempotency window after it was superseded.
    ///
    /// # Errors
    /// [`KeyringError::Database`].
    pub fn rotate(&self, conn: &mut AnyConnection, ahead: SignedDuration) -> Result<Rotation, KeyringError> {
        let inner = &self.inner;
        let now = inner.clock.now();
        let ahead = i64::try_from(ahead.as_micros().max(0)).unwrap_or(i64::MAX);
        let signs_from = from_micros(now.as_microsecond().saturating_add(ahead));
        let row = snapshot::new_row(Purpose::Token, now, signs_from, &inner.master, &inner.entropy)?;
        store::lock(conn)?;
        store::insert(conn, &row)?;
        let mut tokens = store::list(conn)?;
        tokens.retain(|row| Purpose::parse(&row.purpose) == Some(Purpose::Token));
        let (mut retires, mut own) = (Vec::new(), None);
        for (key, next) in tokens.iter().zip(tokens.iter().skip(1)) {
            if key.retires_at.is_some() {
                continue;
            }
            let at = retires_at(next);
            store::update_retires_at(conn, &key.kid, at)?;
            // One that waits already takes over from the new one.
            if key.kid == row.kid {
                own = Some(at);
            } else {
                retires.push((key.kid.clone(), from_micros(at)));
            }
        }
        let key = KeyRecord::of(&KeyRow { retires_at: own, ..row });
        Ok(Rotation { key: key.ok_or(KeyringError::Missing { purpose: Purpose::Token })?, retires })
    }

    /// A rotation without its event, for tests of what comes of one.
    #[cfg(test)]
    pub(crate) fn rotate_token_key(
        &self,
        ahead: SignedDuration,
    ) -> Result<std::sync::Arc<super::TokenKey>, KeyringError> {
        let made = self.inner.database.write_blocking(|conn| self.rotate(conn, ahead))?;
        self.refresh()?;
        self.find_token_key(&made.key.kid).ok_or(KeyringError::Missing { purpose: Purpose::Token })
    }
}

/// When a key is retired that `next` takes over from, in microseconds.
fn retires_at(next: &KeyRow) -> i64 {
    let kept = LONGEST_TOKEN_TTL.as_micros() + IDEMPOTENCY_WINDOW.as_micros();
    next.signs_from.saturating_add(i64::try_from(kept).unwrap_or(i64::MAX))
}
