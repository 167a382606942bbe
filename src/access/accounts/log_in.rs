//! Logging in by name and password, the session that comes of it, and its end.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::attempts::{Attempt, Counted};
use super::name::AccountName;
use super::password::{self, Password};
use super::second_factor::{self, TypedCode};
use super::session::{self, OpenSession, Session};
use super::store::{self, SessionRow};
use super::token::SecretToken;
use super::{Account, WeakPassword};
use crate::access::directory::Directory;
use crate::access::principal::Principal;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::subject::hex;
use crate::telemetry::meters;

/// The turns of hashing passwords: each takes 19 MiB, and many at once would leave the checks no core.
static HASHING: Semaphore = Semaphore::const_new(2);
/// The longest wait for a turn.
const PATIENCE: Duration = Duration::from_secs(8);

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// There is no such account, it has no password, or has another: which of them is not said.
    #[error("the account or the password is wrong")]
    Refused {
        /// So many more may be wrong in the same period.
        left: u32,
    },
    /// The password is right, and the code of the second factor is missing, wrong, too old, or was taken before.
    #[error("the code is missing or wrong")]
    Code {
        /// So many more may be wrong in the same period.
        left: u32,
    },
    #[error("too many passwords were wrong")]
    Locked { until: Timestamp },
    #[error("too many people log in at once")]
    Busy,
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Directory {
    /// Logs in by name and password, and by a code where the account has a second factor; `address` is where the request
    /// came from. Every try is counted before anything is looked at, and a name that nobody has costs the same time.
    ///
    /// # Errors
    /// [`LogInError`].
    pub async fn log_in(
        &self,
        name: &str,
        password: Password,
        code: Option<TypedCode>,
        address: &str,
    ) -> Result<SecretToken, LogInError> {
        let logged_in = self.try_log_in(name, password, code, address).await;
        let outcome = match &logged_in {
            Ok(_) => "logged_in",
            Err(LogInError::Refused { .. } | LogInError::Code { .. }) => "refused",
            Err(LogInError::Locked { .. }) => "locked",
            Err(LogInError::Busy | LogInError::Database(_)) => return logged_in,
        };
        meters().console_log_ins.count([outcome]);
        logged_in
    }

    async fn try_log_in(
        &self,
        name: &str,
        password: Password,
        code: Option<TypedCode>,
        address: &str,
    ) -> Result<SecretToken, LogInError> {
        let now = self.clock.now();
        let attempt = self.attempt(name, address);
        let left = self.count_try(&attempt).await?;
        let asked = name.parse::<AccountName>().ok();
        let found = self
            .database
            .read(move |conn| asked.map(|name| store::find_by_name(conn, name.as_str())).transpose())
            .await?
            .flatten();
        let (key, stored) =
            found.as_ref().map_or((String::new(), None), |row| (row.key_id.clone(), row.password_hash.clone()));
        if !password.fits() || !self.has_password(&key, password, stored.clone()).await? {
            return Err(LogInError::Refused { left });
        }
        let factor = found.as_ref().and_then(|row| self.factor_of(row));
        let proof = match &factor {
            None => None,
            Some(factor) => Some(self.prove(factor, code.as_ref(), now).ok_or(LogInError::Code { left })?),
        };
        let token = SecretToken::new(&self.entropy);
        let begun = token.clone();
        let written = self.database.write(move |conn: &mut AnyConnection| {
            // What was looked at may have changed since: a reset ends the old password for all who are on their way, and a
            // second factor that was set up meanwhile is asked for.
            let row = store::find_by_key(conn, &key)?.filter(|row| row.password_hash == stored);
            if row.is_none_or(|row| row.code_salt.is_some() != proof.is_some()) {
                return Ok(Err(LogInError::Refused { left }));
            }
            if let Some(proof) = &proof
                && !second_factor::take(conn, &key, proof)?
            {
                return Ok(Err(LogInError::Code { left }));
            }
            attempt.give_back(conn)?;
            begin(conn, &key, &begun, now)?;
            Ok::<_, DatabaseError>(Ok(()))
        });
        written.await??;
        Ok(token)
    }

    /// A try to log in, as it is counted.
    pub(super) fn attempt(&self, name: &str, address: &str) -> Attempt {
        let name = name.trim().to_lowercase();
        let blind =
            |label: &[u8], [one, other]: [&[u8]; 2]| self.blind_of_account(&[label, &length_of(one), one, other]);
        Attempt {
            both: blind(b"log-in of both\0", [address.as_bytes(), name.as_bytes()]),
            name: blind(b"log-in of a name\0", [b"", name.as_bytes()]),
            address: blind(b"log-in from an address\0", [b"", address.as_bytes()]),
            at: self.clock.now(),
        }
    }

    /// Counts a try as wrong before anything is looked at; returns how many more may be.
    pub(super) async fn count_try(&self, attempt: &Attempt) -> Result<u32, LogInError> {
        let counted = attempt.clone();
        match self.database.write(move |conn: &mut AnyConnection| counted.take(conn)).await? {
            Counted::Locked(until) => Err(LogInError::Locked { until }),
            Counted::Left(left) => Ok(left),
        }
    }

    /// Changes the password of someone who is logged in. The old one is asked for, and counted, as for a log-in; all
    /// sessions of the account end, and the one that this returns begins.
    ///
    /// # Errors
    /// As [`Directory::log_in`]; inside, why the new one is refused.
    pub async fn change_password(
        &self,
        session: &Session,
        old: Password,
        code: Option<TypedCode>,
        new: Password,
        address: &str,
    ) -> Result<Result<SecretToken, WeakPassword>, LogInError> {
        if let Err(weak) = new.check(&session.account) {
            return Ok(Err(weak));
        }
        // The old one is as good as a log-in, and counted as one.
        let token = self.log_in(session.account.as_str(), old, code, address).await?;
        let key = session.principal.key.as_str().to_owned();
        let hash = self.hash_password(&key, new).await?;
        let (kept, now) = (token.clone(), self.clock.now());
        let written = self.database.write(move |conn: &mut AnyConnection| {
            store::update_password(conn, &key, Some(&hash))?;
            store::delete_links(conn, &key)?;
            store::delete_sessions(conn, &key)?;
            begin(conn, &key, &kept, now)
        });
        written.await?;
        Ok(Ok(token))
    }

    /// The session of this token, while it lasts and its account does. Its use is noted, to the minute.
    ///
    /// # Errors
    /// The database's.
    pub async fn session(&self, token: &SecretToken) -> Result<Option<Session>, DatabaseError> {
        let (hash, now) = (token.hash(), self.clock.now());
        let read = self.database.read(move |conn| {
            let Some(row) = store::find_session(conn, &hash)?.filter(|row| session::lasts(row, now)) else {
                return Ok::<_, DatabaseError>(None);
            };
            let account = store::find_by_key(conn, &row.key_id)?.map(Account::try_from).transpose()?;
            Ok(account.map(|account| (row, account)))
        });
        let Some((row, account)) = read.await? else { return Ok(None) };
        let merchant = match &account.merchant {
            None => None,
            Some(id) => {
                if self.merchant(id).is_none() {
                    // Perhaps made on another replica a moment ago.
                    self.known.catch_up().await?;
                }
                let Some(merchant) = self.merchant(id) else { return Ok(None) };
                Some(merchant.as_ref().clone())
            }
        };
        if now.duration_since(from_micros(row.used_at)) >= session::NOTED_EVERY {
            let at = now.as_microsecond();
            self.database.write(move |conn: &mut AnyConnection| store::update_used(conn, &hash, at)).await?;
        }
        let principal = Principal {
            key: account.key,
            role: account.role,
            merchant,
            location: None,
            kiosk: None,
            audience: None,
            airports: Vec::new(),
            origins: Vec::new(),
        };
        Ok(Some(Session {
            principal: Arc::new(principal),
            account: account.name,
            label: account.label,
            began_at: from_micros(row.began_at),
            form_token: hex(&self.blind_of_account(&[b"console form\0", &hash])),
            token: hash,
        }))
    }

    /// The sessions of the account that go on, the newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_sessions(&self, session: &Session) -> Result<Vec<OpenSession>, DatabaseError> {
        let (key, now, own) = (session.principal.key.as_str().to_owned(), self.clock.now(), session.token);
        let rows = self.database.read(move |conn| store::list_sessions(conn, &key)).await?;
        let shown = |row: SessionRow| OpenSession {
            began_at: from_micros(row.began_at),
            used_at: from_micros(row.used_at),
            is_own: row.token_hash == own,
        };
        Ok(rows.into_iter().filter(|row| session::lasts(row, now)).map(shown).collect())
    }

    /// Ends a session, or every session of its account.
    ///
    /// # Errors
    /// The database's.
    pub async fn end_session(&self, session: &Session, everywhere: bool) -> Result<(), DatabaseError> {
        let (token, key) = (session.token, session.principal.key.as_str().to_owned());
        let ended = self.database.write(move |conn: &mut AnyConnection| {
            if everywhere { store::delete_sessions(conn, &key) } else { store::delete_session(conn, &token) }
        });
        ended.await
    }

    /// The hash of an account's password. It takes its time, so not on a worker of the doors.
    pub(super) async fn hash_password(&self, key: &str, password: Password) -> Result<String, LogInError> {
        let salt = self.entropy.bytes::<16>();
        let hashed = self.in_turn(key, password, move |peppered| password::hash(peppered, salt)).await?;
        hashed.ok_or(LogInError::Database(DatabaseError::Interrupted))
    }

    async fn has_password(&self, key: &str, password: Password, stored: Option<String>) -> Result<bool, LogInError> {
        self.in_turn(key, password, move |peppered| password::verify(peppered, stored.as_deref())).await
    }

    /// Hashes under the gateway's own key first: who has the database alone can't try passwords.
    async fn in_turn<T: Send + 'static>(
        &self,
        key: &str,
        password: Password,
        work: impl FnOnce(&[u8; 32]) -> T + Send + 'static,
    ) -> Result<T, LogInError> {
        let (context, key) = (self.ledger.context().clone(), key.to_owned());
        let turn = tokio::time::timeout(PATIENCE, HASHING.acquire()).await.map_err(|_| LogInError::Busy)?;
        let turn = turn.map_err(|_| DatabaseError::Interrupted)?;
        let hashed = tokio::task::spawn_blocking(move || {
            // Held until it is done, also where the one who asked has left meanwhile.
            let _turn = turn;
            work(&context.keyring.blind(&[b"password\0", key.as_bytes(), b"\0", password.as_bytes()]))
        });
        Ok(hashed.await.map_err(|_| DatabaseError::Interrupted)?)
    }
}

/// So that no two pairs of parts are one text.
fn length_of(part: &[u8]) -> [u8; 8] {
    (part.len() as u64).to_be_bytes()
}

/// Begins a session of an account.
pub(super) fn begin(
    conn: &mut AnyConnection,
    key: &str,
    token: &SecretToken,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let at = now.as_microsecond();
    let row = SessionRow { token_hash: token.hash().to_vec(), key_id: key.to_owned(), began_at: at, used_at: at };
    store::insert_session(conn, &row)
}
