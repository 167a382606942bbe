//! The second factor of an account: an authenticator's codes, and ten recovery codes for when it is lost. Of the
//! authenticator's secret only a salt is stored: the secret is made of it with the gateway's own key, so the database alone
//! gives nobody a code.

use std::fmt;

use jiff::Timestamp;
use secrecy::zeroize::Zeroizing;
use serde::Deserialize;

use super::attempts::Attempt;
use super::error::LogInError;
use super::password::Password;
use super::session::{self, Session};
use super::store::{self, AccountRow};
use super::totp;
use crate::access::directory::Directory;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::subject::hex;

/// Number of recovery codes that are made at once.
const RECOVERY_CODES: usize = 10;
/// Most wrong codes in a row. Who has the password could otherwise try codes for as long as it takes, as each of the
/// million is soon the right one again.
const MOST_WRONG: i64 = 20;
/// Random bytes of a recovery code: 16 letters.
const RECOVERY_BYTES: usize = 10;

/// A code as it was typed: an authenticator's or a recovery code. It is shown nowhere.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct TypedCode(Zeroizing<String>);

impl From<String> for TypedCode {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for TypedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TypedCode(…)")
    }
}

/// An authenticator that is to be set up. The salt goes with the form: without the gateway's key it is no secret.
pub struct NewAuthenticator {
    /// In hexadecimal digits.
    pub salt: String,
    /// The set-up key that a person types into the app: base32.
    pub secret: String,
}

/// The second factor as a log-in has to meet it.
pub(super) struct Factor {
    key: String,
    secret: [u8; totp::SECRET],
    last_step: Option<i64>,
    recovery_only: bool,
}

impl Factor {
    /// The refusal of one who typed no code.
    pub(super) const fn refusal(&self, left: u32) -> LogInError {
        LogInError::Code { left, recovery_only: self.recovery_only }
    }
}

/// The outcome of setting an authenticator up.
pub enum SetUp {
    /// The recovery codes, which are in this answer and nowhere else.
    Done(Vec<String>),
    WrongCode,
    /// The account has one, which is not replaced without its own code.
    Already,
}

/// The proof of a second factor.
pub(super) enum Proof {
    /// The step of a code.
    Step(i64),
    Recovery([u8; 32]),
}

impl Directory {
    /// An authenticator for the account of this session, which nothing asks for until it is set up.
    #[must_use]
    pub fn new_authenticator(&self, session: &Session) -> NewAuthenticator {
        let salt = self.entropy.bytes::<16>();
        let secret = self.authenticator_secret(session.principal.key.as_str(), &salt);
        NewAuthenticator { salt: hex(&salt), secret: totp::base32(&secret) }
    }

    /// The same again, for a form that was refused.
    #[must_use]
    pub fn authenticator_of(&self, session: &Session, salt: &str) -> Option<NewAuthenticator> {
        let bytes = read_salt(salt)?;
        let secret = self.authenticator_secret(session.principal.key.as_str(), &bytes);
        Some(NewAuthenticator { salt: salt.to_owned(), secret: totp::base32(&secret) })
    }

    /// Sets an authenticator up, once its code shows that the app has it and the password that its person asks: from now on
    /// a log-in asks for a code, and the other sessions and open links of the account end.
    ///
    /// # Errors
    /// [`LogInError::Refused`] where the password is wrong, which is counted by the session, [`LogInError::Ended`], or
    /// the others.
    pub async fn set_up_authenticator(
        &self,
        session: &Session,
        password: Password,
        salt: &str,
        typed: &TypedCode,
        address: &str,
    ) -> Result<SetUp, LogInError> {
        let Some(salt) = read_salt(salt) else { return Ok(SetUp::WrongCode) };
        let secret = self.authenticator_secret(session.principal.key.as_str(), &salt);
        let Some(step) = totp::step_of(&secret, &typed.0, self.clock.now(), None) else { return Ok(SetUp::WrongCode) };
        let attempt = self.attempt_of(session, address);
        let left = self.count_try(&attempt).await?;
        self.settle(&attempt, self.set_up(session, password, &attempt, left, salt, step).await).await
    }

    async fn set_up(
        &self,
        session: &Session,
        password: Password,
        attempt: &Attempt,
        left: u32,
        salt: [u8; 16],
        step: i64,
    ) -> Result<SetUp, LogInError> {
        let key = session.principal.key.as_str().to_owned();
        let read = self.database.read({
            let key = key.clone();
            move |conn| store::find_by_key(conn, &key)
        });
        let stored = read.await?.and_then(|row| row.password_hash);
        if !self.has_password(&key, password, stored.clone()).await? {
            return Err(LogInError::Refused { left });
        }
        let (codes, hashes) = self.new_recovery_codes(&key);
        let (own, attempt, now) = (session.token, attempt.clone(), self.clock.now());
        let written = self.database.write(move |conn: &mut AnyConnection| {
            let row = store::lock(conn, &key)?.filter(|row| row.password_hash == stored);
            let lasts = store::find_session(conn, &own)?.is_some_and(|row| session::lasts(&row, now));
            if row.is_none() || !lasts {
                return Err(LogInError::Ended);
            }
            attempt.clear(conn)?;
            if !store::insert_factor(conn, &key, &salt, step)? {
                return Ok(false);
            }
            replace_recovery_codes(conn, &key, &hashes)?;
            // They were opened with less than is asked for now.
            store::delete_other_sessions(conn, &key, &own)?;
            store::delete_links(conn, &key)?;
            Ok(true)
        });
        Ok(if written.await? { SetUp::Done(codes) } else { SetUp::Already })
    }

    /// Takes the second factor off the account of this session, with a code of it. Wrong ones are counted.
    ///
    /// # Errors
    /// [`LogInError::Code`], [`LogInError::Locked`], [`LogInError::Ended`], or the database's.
    pub async fn remove_authenticator(
        &self,
        session: &Session,
        typed: TypedCode,
        address: &str,
    ) -> Result<(), LogInError> {
        self.by_code(session, typed, address, store::delete_factor).await
    }

    /// Makes new recovery codes for the account of this session, with a code of its second factor: the old ones are over.
    /// Wrong ones are counted.
    ///
    /// # Errors
    /// As [`Directory::remove_authenticator`].
    pub async fn renew_recovery_codes(
        &self,
        session: &Session,
        typed: TypedCode,
        address: &str,
    ) -> Result<Vec<String>, LogInError> {
        let (codes, hashes) = self.new_recovery_codes(session.principal.key.as_str());
        self.by_code(session, typed, address, move |conn, key| replace_recovery_codes(conn, key, &hashes)).await?;
        Ok(codes)
    }

    /// The number of recovery codes that the account of this session has left.
    ///
    /// # Errors
    /// The database's.
    pub async fn count_recovery_codes(&self, session: &Session) -> Result<i64, DatabaseError> {
        let key = session.principal.key.as_str().to_owned();
        self.database.read(move |conn| store::count_recovery_codes(conn, &key)).await
    }

    /// Changes what a code of the second factor allows; its failure is counted.
    async fn by_code(
        &self,
        session: &Session,
        typed: TypedCode,
        address: &str,
        change: impl Fn(&mut AnyConnection, &str) -> Result<(), DatabaseError> + Send + 'static,
    ) -> Result<(), LogInError> {
        let attempt = self.attempt_of(session, address);
        let left = self.count_try(&attempt).await?;
        self.settle(&attempt, self.try_by_code(session, typed, &attempt, left, change).await).await
    }

    async fn try_by_code(
        &self,
        session: &Session,
        typed: TypedCode,
        attempt: &Attempt,
        left: u32,
        change: impl Fn(&mut AnyConnection, &str) -> Result<(), DatabaseError> + Send + 'static,
    ) -> Result<(), LogInError> {
        let (key, now) = (session.principal.key.as_str().to_owned(), self.clock.now());
        let found = self.database.read({
            let key = key.clone();
            move |conn| store::find_by_key(conn, &key)
        });
        let found = found.await?.ok_or(LogInError::Ended)?;
        let proof = self.factor_of(&found).and_then(|factor| self.prove(&factor, Some(&typed), now));
        let (own, attempt) = (session.token, attempt.clone());
        let changed = self.database.write(move |conn: &mut AnyConnection| {
            let (Some(row), Some(_)) = (store::lock(conn, &key)?, store::find_session(conn, &own)?) else {
                return Ok(Err(LogInError::Ended));
            };
            if row.code_salt != found.code_salt {
                return Ok(Err(LogInError::Code { left, recovery_only: false }));
            }
            if let Some(proof) = &proof
                && let Err(recovery_only) = take(conn, &row, proof)?
            {
                return Ok(Err(LogInError::Code { left, recovery_only }));
            }
            attempt.clear(conn)?;
            change(conn, &key)?;
            Ok::<_, DatabaseError>(Ok(()))
        });
        changed.await?
    }

    /// Recovery codes, and what is stored in their stead.
    fn new_recovery_codes(&self, key: &str) -> (Vec<String>, Vec<[u8; 32]>) {
        let code = || spaced(&totp::base32(&self.entropy.bytes::<RECOVERY_BYTES>()));
        let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| code()).collect();
        let hashes = codes.iter().map(|code| self.recovery_hash(key, code)).collect();
        (codes, hashes)
    }

    /// The second factor of an account, if it has one.
    pub(super) fn factor_of(&self, row: &AccountRow) -> Option<Factor> {
        let salt = row.code_salt.as_deref()?;
        let secret = self.authenticator_secret(&row.key_id, salt);
        let recovery_only = row.code_failures >= MOST_WRONG;
        Some(Factor { key: row.key_id.clone(), secret, last_step: row.code_step, recovery_only })
    }

    /// The proof that a typed code is, where it may be one; [`take`] says whether it is.
    pub(super) fn prove(&self, factor: &Factor, typed: Option<&TypedCode>, now: Timestamp) -> Option<Proof> {
        let typed = typed?;
        if let Some(step) = totp::step_of(&factor.secret, &typed.0, now, factor.last_step) {
            return Some(Proof::Step(step));
        }
        Some(Proof::Recovery(self.recovery_hash(&factor.key, &typed.0)))
    }

    fn authenticator_secret(&self, key: &str, salt: &[u8]) -> [u8; totp::SECRET] {
        let whole = self.blind(&[b"authenticator\0", key.as_bytes(), b"\0", salt]);
        let mut secret = [0; totp::SECRET];
        for (to, from) in secret.iter_mut().zip(whole) {
            *to = from;
        }
        secret
    }

    fn recovery_hash(&self, key: &str, code: &str) -> [u8; 32] {
        let plain: Zeroizing<String> = Zeroizing::new(
            code.chars().filter(char::is_ascii_alphanumeric).take(64).collect::<String>().to_uppercase(),
        );
        self.blind(&[b"recovery code\0", key.as_bytes(), b"\0", plain.as_bytes()])
    }
}

fn replace_recovery_codes(conn: &mut AnyConnection, key: &str, hashes: &[[u8; 32]]) -> Result<(), DatabaseError> {
    store::delete_recovery_codes(conn, key)?;
    hashes.iter().try_for_each(|hash| store::insert_recovery_code(conn, key, hash))
}

/// Takes a proof of an account that is held: one that is right and was not taken before, also where two are sent at once.
/// The others are counted, and the error tells whether only a recovery code is taken now.
pub(super) fn take(
    conn: &mut AnyConnection,
    row: &AccountRow,
    proof: &Proof,
) -> Result<Result<(), bool>, DatabaseError> {
    let key = row.key_id.as_str();
    let is_right = match proof {
        Proof::Step(step) => row.code_failures < MOST_WRONG && store::advance_step(conn, key, *step)?,
        Proof::Recovery(hash) => store::delete_recovery_code(conn, key, hash)?,
    };
    if is_right {
        store::update_code_failures(conn, key, 0)?;
        return Ok(Ok(()));
    }
    let failures = row.code_failures.saturating_add(1).min(MOST_WRONG);
    store::update_code_failures(conn, key, failures)?;
    Ok(Err(failures >= MOST_WRONG))
}

fn read_salt(text: &str) -> Option<[u8; 16]> {
    let mut salt = [0; 16];
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    for (nth, byte) in salt.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * nth..2 * nth + 2)?, 16).ok()?;
    }
    Some(salt)
}

/// In groups of four, as people copy it.
fn spaced(text: &str) -> String {
    let mut out = String::new();
    for (nth, letter) in text.chars().enumerate() {
        if nth > 0 && nth % 4 == 0 {
            out.push('-');
        }
        out.push(letter);
    }
    out
}
