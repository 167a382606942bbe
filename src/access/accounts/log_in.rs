//! Logging in by name and password, the session that comes of it, and its end.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::attempts::Attempt;
use super::error::LogInError;
use super::name::AccountName;
use super::password::{self, Password};
use super::second_factor::{self, TypedCode};
use super::session::{self, OpenSession, Session};
use super::store::{self, SessionRow};
use super::token::{SecretToken, TokenHash};
use super::{Account, WeakPassword};
use crate::access::directory::Directory;
use crate::access::principal::Principal;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::subject::hex;
use crate::telemetry::meters;

/// The turns of hashing passwords: each takes 19 MiB and a core, of which one is left to the checks.
static HASHING: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Semaphore::new(cores.saturating_sub(1).max(1))
});
/// The longest wait for a turn.
const PATIENCE: Duration = Duration::from_secs(8);

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
        self.log_in_as(&self.attempt(name, address), name, password, code).await
    }

    async fn log_in_as(
        &self,
        attempt: &Attempt,
        name: &str,
        password: Password,
        code: Option<TypedCode>,
    ) -> Result<SecretToken, LogInError> {
        let logged_in = match self.count_try(attempt).await {
            Ok(left) => self.settle(attempt, self.try_log_in(attempt, left, name, password, code).await).await,
            Err(error) => Err(error),
        };
        let outcome = match &logged_in {
            Ok(_) => "logged_in",
            Err(LogInError::Locked { .. }) => "locked",
            Err(LogInError::Busy | LogInError::Database(_)) => return logged_in,
            Err(LogInError::Refused { .. } | LogInError::Code { .. } | LogInError::Ended) => "refused",
        };
        meters().console_log_ins.count([outcome]);
        logged_in
    }

    async fn try_log_in(
        &self,
        attempt: &Attempt,
        left: u32,
        name: &str,
        password: Password,
        code: Option<TypedCode>,
    ) -> Result<SecretToken, LogInError> {
        let now = self.clock.now();
        let asked = name.parse::<AccountName>().ok();
        let found = self
            .database
            .read(move |conn| asked.map(|name| store::find_by_name(conn, name.as_str())).transpose())
            .await?
            .flatten();
        let (key, stored) =
            found.as_ref().map_or((String::new(), None), |row| (row.key_id.clone(), row.password_hash.clone()));
        if !self.has_password(&key, password, stored.clone()).await? {
            return Err(LogInError::Refused { left });
        }
        let factor = found.as_ref().and_then(|row| self.factor_of(row));
        let proof = match &factor {
            None => None,
            Some(factor) => Some(self.prove(factor, code.as_ref(), now).ok_or_else(|| factor.refusal(left))?),
        };
        let token = SecretToken::new(&self.entropy);
        let (begun, attempt) = (token.clone(), attempt.clone());
        let written = self.database.write(move |conn: &mut AnyConnection| {
            // What was looked at may have changed since: a reset ends the old password for all who are on their way, and a
            // second factor that was set up meanwhile is asked for.
            let row = store::lock(conn, &key)?.filter(|row| row.password_hash == stored);
            let Some(row) = row.filter(|row| row.code_salt.is_some() == proof.is_some()) else {
                return Ok(Err(LogInError::Refused { left }));
            };
            if let Some(proof) = &proof
                && let Err(recovery_only) = second_factor::take(conn, &row, proof)?
            {
                // The code's failure is kept.
                return Ok(Err(LogInError::Code { left, recovery_only }));
            }
            attempt.clear(conn)?;
            begin(conn, &key, &begun, now)?;
            Ok::<_, DatabaseError>(Ok(()))
        });
        written.await??;
        Ok(token)
    }

    /// Changes the password of someone who is logged in. The old one is asked for, and counted by their session; all
    /// sessions of the account end, and the one that this returns begins.
    ///
    /// # Errors
    /// As [`Directory::log_in`], and [`LogInError::Ended`] where a reset came in between; inside, why the new one is
    /// refused.
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
        // The old one is as good as a log-in, and begins a session of its own.
        let attempt = self.attempt_of(session, address);
        let proved = self.log_in_as(&attempt, session.account.as_str(), old, code).await?;
        let key = session.principal.key.as_str().to_owned();
        let hash = match self.hash_password(&key, new).await {
            Ok(hash) => hash,
            Err(error) => {
                // Nobody holds the session that the old password began.
                let begun = proved.hash();
                self.database.write(move |conn: &mut AnyConnection| store::delete_session(conn, &begun)).await?;
                return Err(error);
            }
        };
        let (token, now) = (SecretToken::new(&self.entropy), self.clock.now());
        let begun = token.clone();
        let written = self.database.write(move |conn: &mut AnyConnection| {
            // A reset during the hashing has ended it, and the right to choose a password with it.
            if store::lock(conn, &key)?.is_none() || !store::delete_session(conn, &proved.hash())? {
                return Err(LogInError::Ended);
            }
            store::update_password(conn, &key, Some(&hash))?;
            store::delete_links(conn, &key)?;
            store::delete_sessions(conn, &key)?;
            Ok(begin(conn, &key, &begun, now)?)
        });
        written.await?;
        Ok(Ok(token))
    }

    /// The session of this token, while it lasts and its account does. Its use is noted, to the minute.
    ///
    /// # Errors
    /// The database's.
    pub async fn session(&self, token: &SecretToken) -> Result<Option<Session>, DatabaseError> {
        let Some((session, used_at)) = self.open_session(token).await? else { return Ok(None) };
        let (hash, now) = (session.token, self.clock.now());
        if now.duration_since(used_at) >= session::NOTED_EVERY {
            let at = now.as_microsecond();
            self.database.write(move |conn: &mut AnyConnection| store::update_used(conn, &hash, at)).await?;
        }
        Ok(Some(session))
    }

    /// As [`Directory::session`], for what a page that is left open asks by itself: that is no use, and ends it no later.
    ///
    /// # Errors
    /// The database's.
    pub async fn session_of_open_page(&self, token: &SecretToken) -> Result<Option<Session>, DatabaseError> {
        Ok(self.open_session(token).await?.map(|(session, _)| session))
    }

    /// The session of this token, and when it was used.
    async fn open_session(&self, token: &SecretToken) -> Result<Option<(Session, Timestamp)>, DatabaseError> {
        let (hash, now) = (token.hash(), self.clock.now());
        let read = self.database.read(move |conn| find_open(conn, &hash, now));
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
        let of_session = self.blind(&[b"console form\0", &hash]);
        let of_account = self.blind(&[b"console form of an account\0", account.key.as_str().as_bytes()]);
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
        let session = Session {
            principal: Arc::new(principal),
            account: account.name,
            label: account.label,
            began_at: from_micros(row.began_at),
            form_token: format!("{}.{}", hex(&of_session), hex(&of_account)),
            token: hash,
        };
        Ok(Some((session, from_micros(row.used_at))))
    }

    /// Tells whether a session goes on. That is no use of it: a page that is left open ends it no later.
    ///
    /// # Errors
    /// The database's.
    pub async fn goes_on(&self, session: &Session) -> Result<bool, DatabaseError> {
        let (hash, now) = (session.token, self.clock.now());
        let open = self.database.read(move |conn| find_open(conn, &hash, now)).await?;
        Ok(open.is_some_and(|(_, account)| account.role == session.principal.role))
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
            if everywhere { store::delete_sessions(conn, &key) } else { store::delete_session(conn, &token).map(drop) }
        });
        ended.await
    }

    /// The hash of an account's password. It takes its time, so not on a worker of the doors.
    pub(super) async fn hash_password(&self, key: &str, password: Password) -> Result<String, LogInError> {
        let salt = self.entropy.bytes::<16>();
        let hashed = self.in_turn(key, password, move |peppered| password::hash(peppered, salt)).await?;
        hashed.ok_or(LogInError::Database(DatabaseError::Interrupted))
    }

    /// Tells whether a password has this hash, in the same time where there is none.
    pub(super) async fn has_password(
        &self,
        key: &str,
        password: Password,
        stored: Option<String>,
    ) -> Result<bool, LogInError> {
        if !password.fits() {
            return Ok(false);
        }
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

/// The session of this token and its account, where it goes on at `now`.
fn find_open(
    conn: &mut AnyConnection,
    token: &TokenHash,
    now: Timestamp,
) -> Result<Option<(SessionRow, Account)>, DatabaseError> {
    let Some(row) = store::find_session(conn, token)?.filter(|row| session::lasts(row, now)) else { return Ok(None) };
    let account = store::find_by_key(conn, &row.key_id)?.map(Account::try_from).transpose()?;
    Ok(account.map(|account| (row, account)))
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
