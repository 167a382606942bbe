//! Links that each open once: by one a person sets their password, by another they log in.

use jiff::{SignedDuration, Timestamp};

use super::error::LogInError;
use super::name::AccountName;
use super::password::{Password, WeakPassword};
use super::store::{self, LinkRow};
use super::token::SecretToken;
use crate::access::directory::Directory;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::entropy::Entropy;
use crate::foundation::ids::KeyId;

/// The time for which a link waits to be opened.
pub const LINK_LASTS: SignedDuration = SignedDuration::from_hours(1);

/// The purpose of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    SetPassword,
    LogIn,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SetPassword => "set_password",
            Self::LogIn => "log_in",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::SetPassword, Self::LogIn].into_iter().find(|purpose| purpose.as_str() == text)
    }
}

/// A link that was made. Its token is in this answer and nowhere else.
#[derive(Debug, Clone)]
pub struct NewLink {
    pub token: SecretToken,
    pub purpose: Purpose,
    pub expires_at: Timestamp,
}

/// A link that someone holds and nobody has used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenLink {
    pub purpose: Purpose,
    pub account: AccountName,
    pub expires_at: Timestamp,
}

/// Why a link was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// It was used, has expired, was replaced by another, or never was.
    #[error("the link opens nothing any more")]
    Unknown,
    #[error(transparent)]
    Weak(#[from] WeakPassword),
    #[error("the link asks for a password")]
    NoPassword,
    #[error("too many people log in at once")]
    Busy,
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<LogInError> for LinkError {
    fn from(error: LogInError) -> Self {
        match error {
            LogInError::Database(error) => Self::Database(error),
            LogInError::Busy => Self::Busy,
            LogInError::Refused { .. } | LogInError::Code { .. } | LogInError::Ended | LogInError::Locked { .. } => {
                Self::Unknown
            }
        }
    }
}

impl NewLink {
    pub(super) fn new(purpose: Purpose, now: Timestamp, entropy: &Entropy) -> Self {
        let expires_at = now.checked_add(LINK_LASTS).unwrap_or(Timestamp::MAX);
        Self { token: SecretToken::new(entropy), purpose, expires_at }
    }

    /// The address of the link, where the gateway is served at this URL.
    #[must_use]
    pub fn address(&self, url: &str) -> String {
        format!("{}/console/links/{}", url.trim_end_matches('/'), self.token.expose())
    }

    pub(super) fn row(&self, key: &KeyId) -> LinkRow {
        LinkRow {
            token_hash: self.token.hash().to_vec(),
            key_id: key.as_str().to_owned(),
            purpose: self.purpose.as_str().to_owned(),
            expires_at: self.expires_at.as_microsecond(),
        }
    }
}

/// A link and the key of its account.
fn find(
    conn: &mut AnyConnection,
    token: &SecretToken,
    now: Timestamp,
) -> Result<Option<(OpenLink, String)>, DatabaseError> {
    let Some(row) = store::find_link(conn, &token.hash())? else { return Ok(None) };
    let Some(account) = store::find_by_key(conn, &row.key_id)? else { return Ok(None) };
    let purpose =
        Purpose::parse(&row.purpose).ok_or_else(|| DatabaseError::corrupt("purpose of a link", &row.purpose))?;
    let account = account.name.parse().map_err(|e| DatabaseError::corrupt("name of an account", e))?;
    let expires_at = from_micros(row.expires_at);
    Ok((now < expires_at).then_some((OpenLink { purpose, account, expires_at }, row.key_id)))
}

impl Directory {
    /// The link with this token, while it lasts. Looking doesn't use it: programs that scan mail look too.
    ///
    /// # Errors
    /// The database's.
    pub async fn find_link(&self, token: &SecretToken) -> Result<Option<OpenLink>, DatabaseError> {
        let (token, now) = (token.clone(), self.clock.now());
        Ok(self.database.read(move |conn| find(conn, &token, now)).await?.map(|(link, _)| link))
    }

    /// Uses a link: sets the password that it asks for, ends the account's sessions then, and begins one.
    ///
    /// # Errors
    /// [`LinkError`]; of any number who use one link at once, one succeeds.
    pub async fn take_link(&self, token: &SecretToken, password: Option<Password>) -> Result<SecretToken, LinkError> {
        let (now, asked) = (self.clock.now(), token.clone());
        let found = self.database.read(move |conn| find(conn, &asked, now)).await?;
        let (link, key) = found.ok_or(LinkError::Unknown)?;
        let hash = match link.purpose {
            Purpose::LogIn => None,
            Purpose::SetPassword => {
                let password = password.ok_or(LinkError::NoPassword)?;
                password.check(&link.account)?;
                Some(self.hash_password(&key, password).await?)
            }
        };
        let session = SecretToken::new(&self.entropy);
        // The hashing took its time.
        let (used, begun, now) = (token.clone(), session.clone(), self.clock.now());
        let written = self.database.write(move |conn: &mut AnyConnection| {
            // The account before the link, as a reset does.
            if store::lock(conn, &key)?.is_none()
                || find(conn, &used, now)?.is_none()
                || !store::delete_link(conn, &used.hash())?
            {
                return Err(LinkError::Unknown);
            }
            if let Some(hash) = hash {
                store::update_password(conn, &key, Some(&hash))?;
                store::delete_sessions(conn, &key)?;
            }
            Ok(super::log_in::begin(conn, &key, &begun, now)?)
        });
        written.await?;
        Ok(session)
    }
}
