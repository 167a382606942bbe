//! Rotation and withdrawal, and the gateway's keys as anybody may know them: names, public halves, and when
//! they are used.
//!
//! Nothing here is recorded: `ledger::keys` writes the event in the same transaction.

use jiff::{SignedDuration, Timestamp};

use super::store::{self, KeyRow};
use super::{EPOCH, IDEMPOTENCY_WINDOW, KeyPurpose, Keyring, KeyringError, LONGEST_TOKEN_TTL, snapshot};
use crate::database::followed::bump_epoch;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;

/// The time a key that was superseded remains published beyond the tokens that it has signed: doors allow for half
/// a minute, and a replica whose clock is behind goes on signing with it for a while.
const LEEWAY: SignedDuration = SignedDuration::from_mins(10);

/// One key of the gateway, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    pub kid: String,
    pub purpose: KeyPurpose,
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

/// A token key that was withdrawn, and the one that signs in its stead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    pub kid: String,
    pub revoked_at: Timestamp,
    /// None: it had been withdrawn before, and nothing was done.
    pub change: Option<Succession>,
}

/// The change that a withdrawal makes for the other token keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Succession {
    /// The key that signs from now on.
    pub next: KeyRecord,
    /// True if `next` was made for this, as none was waiting.
    pub is_new: bool,
    /// Keys that were to be superseded by the withdrawn one, and when they are retired instead; none while no
    /// later key takes over.
    pub retires: Vec<(String, Option<Timestamp>)>,
}

impl KeyRecord {
    fn of(row: &KeyRow) -> Option<Self> {
        let public_key = match &row.public_key {
            None => None,
            Some(bytes) => Some(bytes.as_slice().try_into().ok()?),
        };
        Some(Self {
            kid: row.kid.clone(),
            purpose: KeyPurpose::parse(&row.purpose)?,
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
    /// someone who can write to the table alone can't wrap a key, nor put another public half beside one.
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
    /// signing after `ahead`. Let `ahead` be longer than the JWKS's `max-age`, or doors meet tokens whose key
    /// they don't know yet. The key before it remains published until the longest token that it signed has
    /// expired and no answer is replayed any more; one that was stolen is withdrawn ([`Keyring::revoke`]).
    ///
    /// # Errors
    /// [`KeyringError::Database`].
    pub fn rotate(&self, conn: &mut AnyConnection, ahead: SignedDuration) -> Result<Rotation, KeyringError> {
        let inner = &self.inner;
        let now = inner.clock.now();
        let ahead = i64::try_from(ahead.as_micros().max(0)).unwrap_or(i64::MAX);
        let signs_from = from_micros(now.as_microsecond().saturating_add(ahead));
        let row = snapshot::new_row(KeyPurpose::Token, now, signs_from, &inner.master, &inner.entropy)?;
        store::lock(conn)?;
        store::insert(conn, &row)?;
        bump_epoch(conn, EPOCH)?;
        let tokens = valid_token_keys(conn)?;
        let (mut retires, mut own) = (Vec::new(), None);
        for (key, next) in tokens.iter().zip(tokens.iter().skip(1)) {
            if key.retires_at.is_some() {
                continue;
            }
            let at = retires_at(next);
            store::update_retires_at(conn, &key.kid, Some(at))?;
            // One that waits already takes over from the new one.
            if key.kid == row.kid {
                own = Some(at);
            } else {
                retires.push((key.kid.clone(), from_micros(at)));
            }
        }
        let key = KeyRecord::of(&KeyRow { retires_at: own, ..row });
        Ok(Rotation { key: key.ok_or(KeyringError::Missing { purpose: KeyPurpose::Token })?, retires })
    }

    /// Withdraws a token key, inside a transaction: each replica that has read it neither publishes nor believes
    /// the key, and signs with the next one at once: the one that waits, or else a new one. None when no token
    /// key goes by this name. Withdrawn again it is not changed.
    ///
    /// # Errors
    /// [`KeyringError::Database`].
    pub fn revoke(&self, conn: &mut AnyConnection, kid: &str) -> Result<Option<Revocation>, KeyringError> {
        let inner = &self.inner;
        store::lock(conn)?;
        let all = store::list(conn)?;
        let is_named = |row: &&KeyRow| row.kid == kid && KeyPurpose::parse(&row.purpose) == Some(KeyPurpose::Token);
        let Some(named) = all.iter().find(is_named) else { return Ok(None) };
        if let Some(at) = named.revoked_at {
            return Ok(Some(Revocation { kid: kid.to_owned(), revoked_at: from_micros(at), change: None }));
        }
        let now = inner.clock.now();
        let valid = valid_token_keys(conn)?;
        store::update_revoked_at(conn, kid, now.as_microsecond())?;
        bump_epoch(conn, EPOCH)?;
        let is_waiting = |row: &KeyRow| row.signs_from > now.as_microsecond();
        let at = valid.iter().position(|row| row.kid == kid).unwrap_or_default();
        let signs = valid.iter().rposition(|row| !is_waiting(row)).unwrap_or_default();
        let later = valid.get(at + 1);
        let (mut is_new, mut retires) = (false, Vec::new());
        let next = match (valid.get(signs), later) {
            // Withdrawn while it waits or long after it signed: the one that signs goes on.
            (Some(signing), _) if at != signs => {
                if let Some(before) = at.checked_sub(1).filter(|_| at > signs).and_then(|at| valid.get(at)) {
                    let at = later.map(retires_at);
                    store::update_retires_at(conn, &before.kid, at)?;
                    retires.push((before.kid.clone(), at.map(from_micros)));
                }
                signing.clone()
            }
            // Doors know the one that waits already.
            (_, Some(waiting)) => {
                store::update_signs_from(conn, &waiting.kid, now.as_microsecond())?;
                KeyRow { signs_from: now.as_microsecond(), ..waiting.clone() }
            }
            (_, None) => {
                is_new = true;
                let row = snapshot::new_row(KeyPurpose::Token, now, now, &inner.master, &inner.entropy)?;
                store::insert(conn, &row)?;
                row
            }
        };
        let next = KeyRecord::of(&next).ok_or(KeyringError::Missing { purpose: KeyPurpose::Token })?;
        let change = Some(Succession { next, is_new, retires });
        Ok(Some(Revocation { kid: kid.to_owned(), revoked_at: now, change }))
    }

    /// A rotation without its event, for tests of what comes of one.
    #[cfg(test)]
    pub(crate) fn rotate_token_key(
        &self,
        ahead: SignedDuration,
    ) -> Result<std::sync::Arc<super::TokenKey>, KeyringError> {
        let made = self.inner.database.write_blocking(|conn| self.rotate(conn, ahead))?;
        self.refresh()?;
        self.find_token_key(&made.key.kid).ok_or(KeyringError::Missing { purpose: KeyPurpose::Token })
    }
}

/// The token keys that were not withdrawn, in the order they take over from each other.
fn valid_token_keys(conn: &mut AnyConnection) -> Result<Vec<KeyRow>, DatabaseError> {
    let mut keys = store::list(conn)?;
    keys.retain(|row| KeyPurpose::parse(&row.purpose) == Some(KeyPurpose::Token) && row.revoked_at.is_none());
    Ok(keys)
}

/// When a key is retired that `next` takes over from, in microseconds. Its last token and the last answer that
/// holds it are as old as each other, so the longer of the two times is enough.
fn retires_at(next: &KeyRow) -> i64 {
    let kept = LONGEST_TOKEN_TTL.max(IDEMPOTENCY_WINDOW) + LEEWAY;
    next.signs_from.saturating_add(i64::try_from(kept.as_micros()).unwrap_or(i64::MAX))
}
