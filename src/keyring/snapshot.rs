//! The keys, unwrapped: what one reading of the table gives.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::log_key::{LogKey, log_key_name};
use super::master::{MasterKey, UnwrapError};
use super::store::KeyRow;
use super::subject_key::HashKey;
use super::token_key::{SigningPair, TokenKey};
use super::token_names::thumbprint;
use super::{KeyPurpose, KeyringError};
use crate::foundation::clock::from_micros;
use crate::foundation::entropy::Entropy;

/// There is only ever one, so its name is fixed: a second can't be inserted.
const HASH_KID: &str = "hash-1";

/// Every key that the table holds, in the order they take over from each other.
pub(super) struct Snapshot {
    /// At least one.
    pub tokens: Vec<Arc<TokenKey>>,
    pub logs: Vec<Arc<LogKey>>,
    pub first_token: Arc<TokenKey>,
    pub newest_log: Arc<LogKey>,
    pub hash: Arc<HashKey>,
}

impl Snapshot {
    /// Unwraps all rows.
    ///
    /// # Errors
    /// [`KeyringError::WrongMasterKey`], [`KeyringError::Damaged`], [`KeyringError::Missing`].
    pub(super) fn build(rows: &[KeyRow], master: &MasterKey) -> Result<Self, KeyringError> {
        let (mut tokens, mut logs, mut hash) = (Vec::new(), Vec::new(), None);
        for row in rows {
            match unwrap(row, master)? {
                Unwrapped::Token(key) => tokens.push(key),
                Unwrapped::Log(key) => logs.push(key),
                Unwrapped::Hash(key) => hash = Some(key),
            }
        }
        let missing = |purpose| KeyringError::Missing { purpose };
        Ok(Self {
            first_token: tokens.first().cloned().ok_or_else(|| missing(KeyPurpose::Token))?,
            newest_log: logs.last().cloned().ok_or_else(|| missing(KeyPurpose::Log))?,
            hash: hash.ok_or_else(|| missing(KeyPurpose::Hash))?,
            tokens,
            logs,
        })
    }

    /// The latest published token key whose time has come. Before any has, as when another replica's clock
    /// runs ahead of this one's, the first that is published.
    pub(super) fn signing_at(&self, now: Timestamp) -> &Arc<TokenKey> {
        let mut published = self.tokens.iter().filter(|key| key.is_published(now));
        let first = published.clone().next();
        published.rfind(|key| key.signs_from() <= now).or(first).unwrap_or(&self.first_token)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("tokens", &self.tokens).field("logs", &self.logs).finish_non_exhaustive()
    }
}

/// A row's key, unwrapped.
pub(super) enum Unwrapped {
    Token(Arc<TokenKey>),
    Log(Arc<LogKey>),
    Hash(Arc<HashKey>),
}

/// # Errors
/// [`KeyringError::WrongMasterKey`], [`KeyringError::Damaged`].
pub(super) fn unwrap(row: &KeyRow, master: &MasterKey) -> Result<Unwrapped, KeyringError> {
    let damaged = || KeyringError::Damaged { kid: row.kid.clone() };
    let purpose = KeyPurpose::parse(&row.purpose).ok_or_else(damaged)?;
    let secret = master.unwrap(purpose, &row.kid, &row.wrapped).map_err(|e| match e {
        UnwrapError::OtherMasterKey => KeyringError::WrongMasterKey { kid: row.kid.clone() },
        UnwrapError::Damaged => damaged(),
    })?;
    if purpose == KeyPurpose::Hash {
        return Ok(Unwrapped::Hash(Arc::new(HashKey::new(&secret))));
    }
    let pair = SigningPair::from_seed(&secret)
        .filter(|pair| row.public_key.as_deref() == Some(pair.public_key()))
        .ok_or_else(damaged)?;
    if purpose == KeyPurpose::Token {
        let (retires_at, revoked_at) = (row.retires_at.map(from_micros), row.revoked_at.map(from_micros));
        let key = TokenKey::new(pair, from_micros(row.signs_from), retires_at, revoked_at);
        return Ok(Unwrapped::Token(Arc::new(key)));
    }
    LogKey::new(pair).map(|key| Unwrapped::Log(Arc::new(key))).map_err(|_| damaged())
}

/// A row with a new random key in it.
pub(super) fn new_row(
    purpose: KeyPurpose,
    now: Timestamp,
    signs_from: Timestamp,
    master: &MasterKey,
    entropy: &Entropy,
) -> Result<KeyRow, KeyringError> {
    let secret = secrecy::zeroize::Zeroizing::new(entropy.bytes::<32>());
    let public_key = match purpose {
        KeyPurpose::Hash | KeyPurpose::Month => None,
        KeyPurpose::Token | KeyPurpose::Log => {
            Some(*SigningPair::from_seed(&secret).ok_or(KeyringError::Missing { purpose })?.public_key())
        }
    };
    let kid = match (purpose, &public_key) {
        (KeyPurpose::Token, Some(public_key)) => thumbprint(public_key),
        (KeyPurpose::Log, Some(public_key)) => log_key_name(public_key),
        _ => HASH_KID.to_owned(),
    };
    Ok(KeyRow {
        wrapped: master.wrap(purpose, &kid, &secret, entropy),
        kid,
        purpose: purpose.to_string(),
        public_key: public_key.map(|key| key.to_vec()),
        created_at: now.as_microsecond(),
        signs_from: signs_from.as_microsecond(),
        retires_at: None,
        revoked_at: None,
    })
}
