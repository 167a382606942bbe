//! The people who use the console. An account acts under a key of its own that has no secret, so that events, four eyes
//! and verification name its person as they name every key. Nobody can call the API with it.
//!
//! - `name`, `password`: what an account may be called, and what is stored in its password's stead
//! - `token`: the secrets of sessions and links; `session`: who is logged in, and for how long
//! - `link`: links that each open once: to set a password, or to log in; `log_in`: by password, with `attempts`, the
//!   bounds on wrong ones, and `error`, why one was not taken
//! - `manage`: what others change of an account: its role, its sessions, and whether it may log in
//! - `second_factor`: an authenticator's codes (`totp`), and recovery codes
//! - `subject`: a provider's word on who someone is, in a password's stead; `by_provider`: logging in by it
//! - `store`: the rows

mod attempts;
pub mod by_provider;
mod error;
pub mod link;
pub mod log_in;
pub(super) mod manage;
pub mod name;
pub mod password;
pub mod second_factor;
pub mod session;
mod store;
pub mod subject;
mod token;
mod totp;

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use self::link::{NewLink, Purpose};
use self::store::{AccountRow, LinkRow};
use super::change;
use super::directory::Directory;
use super::error::AccessError;
use super::key::{ApiKey, KeyStatus, NewKey};
use super::role::Role;
use super::store::{find_key, list_keys_made_by};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{KeyId, MerchantId};
use crate::ledger::entry::Actor;

pub use error::LogInError;
pub use name::AccountName;
pub use password::{Password, WeakPassword};
pub use second_factor::TypedCode;
pub use session::Session;
pub use subject::Subject;
pub use token::SecretToken;
pub(super) use token::TokenHash;

/// The roles that people have.
pub const ROLES: [Role; 3] = [Role::Admin, Role::Auditor, Role::Operator];

/// The most accounts of a merchant, and of the operator.
pub const MOST_ACCOUNTS: usize = 500;

/// The interval at which what is over is deleted; nobody waits for it.
const SWEEP_EVERY: Duration = Duration::from_mins(10);

/// An account as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The key under which events name it.
    pub key: KeyId,
    /// None for the operator's.
    pub merchant: Option<MerchantId>,
    pub name: AccountName,
    pub role: Role,
    /// The key's label.
    pub label: String,
    pub has_password: bool,
    /// It has a second factor.
    pub has_code: bool,
    pub created_at: Timestamp,
    /// Since when nobody logs in to it.
    pub suspended_at: Option<Timestamp>,
    /// The subject of a provider that its person may log in as.
    pub subject: Option<Subject>,
}

impl TryFrom<AccountRow> for Account {
    type Error = DatabaseError;

    fn try_from(row: AccountRow) -> Result<Self, DatabaseError> {
        let merchant = row.merchant_id.map(|id| id.parse()).transpose();
        Ok(Self {
            key: row.key_id.parse().map_err(|e| DatabaseError::corrupt("key of an account", e))?,
            merchant: merchant.map_err(|e| DatabaseError::corrupt("merchant of an account", e))?,
            name: row.name.parse().map_err(|e| DatabaseError::corrupt("name of an account", e))?,
            role: row.role.parse().map_err(|e| DatabaseError::corrupt("role", e))?,
            label: row.label,
            has_password: row.password_hash.is_some(),
            has_code: row.code_salt.is_some(),
            created_at: from_micros(row.created_at),
            suspended_at: row.suspended_at.map(from_micros),
            subject: row.subject_issuer.zip(row.subject).map(|(issuer, name)| Subject::stored(issuer, name)),
        })
    }
}

/// The properties of an account to make.
#[derive(Debug, Clone)]
pub struct NewAccount {
    pub name: AccountName,
    /// One of [`ROLES`].
    pub role: Role,
    /// None for operators, and for them only.
    pub merchant: Option<MerchantId>,
    /// The name that events call it by, which nothing removes from them; the first part of its name unless given.
    pub label: Option<String>,
}

impl NewAccount {
    /// An account whose label comes from its name.
    #[must_use]
    pub const fn of(name: AccountName, role: Role, merchant: Option<MerchantId>) -> Self {
        Self { name, role, merchant, label: None }
    }
}

impl Directory {
    /// Makes an account: a key without a secret, with its event, and a link by which its person sets a password.
    ///
    /// # Errors
    /// [`AccessError::Unfit`], [`AccessError::AccountExists`], [`AccessError::UnknownMerchant`], or the ledger's.
    pub async fn create_account(&self, new: NewAccount, actor: Actor) -> Result<(Account, NewLink), AccessError> {
        let now = self.clock.now();
        let NewAccount { name, role, merchant, label } = new;
        if !ROLES.contains(&role) {
            let detail = "people are `admin`, `auditor` or `operator`; the other roles are of machines and desks";
            return Err(AccessError::Unfit(vec![FieldError::at("/role", "not_allowed", detail)]));
        }
        let label = label.unwrap_or_else(|| name.short().to_owned());
        let key = NewKey::of(role, merchant, &label).check(now).map_err(AccessError::Unfit)?;
        let id = KeyId::new(now, &self.entropy);
        // No text has this hash: it is as random as a key's own text.
        let unusable_hash = self.entropy.bytes::<32>();
        let link = NewLink::new(Purpose::SetPassword, now, &self.entropy);
        let row = link.row(&id);
        let made = self.ledger.change(move |conn, events| {
            let key = change::create_key(conn, events, id, key, &unusable_hash, now, &actor)?;
            insert(conn, key.merchant.as_ref(), &key.id, &name, &row, now)
        });
        let account = made.await?;
        self.known.follow_own_change().await;
        Ok((account, link))
    }

    /// Makes an account that acts under a key which its person has already, with its event, and a link by which they set
    /// a password. To four eyes they are then one person. The key's secret goes on working.
    ///
    /// # Errors
    /// [`AccessError::UnknownKey`], [`AccessError::Unfit`] for a key that no account can act under,
    /// [`AccessError::AccountExists`], or the ledger's.
    pub async fn attach_account(
        &self,
        name: AccountName,
        merchant: Option<MerchantId>,
        key: KeyId,
        actor: Actor,
    ) -> Result<(Account, NewLink), AccessError> {
        let now = self.clock.now();
        let link = NewLink::new(Purpose::SetPassword, now, &self.entropy);
        let row = link.row(&key);
        let made = self.ledger.change(move |conn, events| {
            let found = find_key(conn, merchant.as_ref(), &key)?.ok_or(AccessError::UnknownKey)?;
            let unfit = |detail: &str| AccessError::Unfit(vec![FieldError::at("/key", "not_allowed", detail)]);
            if !ROLES.contains(&found.role) {
                return Err(unfit("people act under keys of an admin, an auditor or an operator"));
            }
            if found.status(now) != KeyStatus::Active || found.expires_at.is_some() {
                return Err(unfit("it is over, or ends by itself: name one that works until it is revoked"));
            }
            if store::find_kept(conn, key.as_str())?.is_some() {
                return Err(unfit("another account acts under it"));
            }
            let account = insert(conn, merchant.as_ref(), &key, &name, &row, now)?;
            events.push(change::account_named("account.attached", merchant.as_ref(), &account, actor));
            Ok(account)
        });
        Ok((made.await?, link))
    }

    /// The accounts of the merchant (none: of the operator), by name.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_accounts(&self, merchant: Option<MerchantId>) -> Result<Vec<Account>, AccessError> {
        let rows = self.database.read(move |conn| store::list(conn, merchant.as_ref())).await?;
        Ok(rows.into_iter().map(Account::try_from).collect::<Result<_, _>>()?)
    }

    /// The account of the merchant (none: of the operator) with this name.
    ///
    /// # Errors
    /// [`AccessError::UnknownAccount`], for another merchant's too, or the database's.
    pub async fn find_account(&self, merchant: Option<MerchantId>, name: AccountName) -> Result<Account, AccessError> {
        let found = self.database.read(move |conn| find_own(conn, merchant.as_ref(), &name)).await?;
        found.ok_or(AccessError::UnknownAccount)
    }

    /// Ends an account: its key is revoked, its sessions end at once, and its name and password are deleted.
    ///
    /// # Errors
    /// As [`Directory::suspend_account`].
    pub async fn disable_account(
        &self,
        merchant: Option<MerchantId>,
        name: AccountName,
        actor: Actor,
    ) -> Result<Account, AccessError> {
        let now = self.clock.now();
        let ended = self.ledger.change(move |conn, events| {
            let account = find_own(conn, merchant.as_ref(), &name)?.ok_or(AccessError::UnknownAccount)?;
            change::revoke_key(conn, events, merchant.as_ref(), &account.key, now, &actor)?;
            Ok::<_, AccessError>(account)
        });
        let account = ended.await?;
        self.known.follow_own_change().await;
        Ok(account)
    }

    /// Ends an account's password, second factor, link to a provider and sessions, with its events, and makes a link by which its person sets a
    /// password.
    ///
    /// # Errors
    /// [`AccessError::UnknownAccount`], for another merchant's too, or the ledger's.
    pub async fn reset_account(
        &self,
        merchant: Option<MerchantId>,
        name: AccountName,
        actor: Actor,
    ) -> Result<(Account, NewLink), AccessError> {
        let link = NewLink::new(Purpose::SetPassword, self.clock.now(), &self.entropy);
        let made = link.clone();
        let reset = self.ledger.change(move |conn, events| {
            let held = hold_named(conn, merchant.as_ref(), &name)?.ok_or(AccessError::UnknownAccount)?;
            let key = held.key.as_str();
            store::delete_links(conn, key)?;
            store::delete_sessions(conn, key)?;
            store::update_password(conn, key, None)?;
            store::delete_factor(conn, key)?;
            subject::unlink(conn, events, merchant.as_ref(), &held, &actor)?;
            store::insert_link(conn, &made.row(&held.key))?;
            events.push(change::account_reset(merchant.as_ref(), &held, actor));
            Ok::<_, AccessError>(Account { has_password: false, has_code: false, subject: None, ..held })
        });
        Ok((reset.await?, link))
    }

    /// Makes a link that logs an account in, with its event: who holds it acts as the account.
    ///
    /// # Errors
    /// [`AccessError::UnknownAccount`], for another merchant's too, or the ledger's.
    pub async fn create_log_in_link(
        &self,
        merchant: Option<MerchantId>,
        name: AccountName,
        actor: Actor,
    ) -> Result<(Account, NewLink), AccessError> {
        let link = NewLink::new(Purpose::LogIn, self.clock.now(), &self.entropy);
        let made = link.clone();
        let written = self.ledger.change(move |conn, events| {
            let held = hold_named(conn, merchant.as_ref(), &name)?.filter(|held| held.suspended_at.is_none());
            let held = held.ok_or(AccessError::UnknownAccount)?;
            // There is one at a time: who asked for another has lost the first.
            store::delete_links(conn, held.key.as_str())?;
            store::insert_link(conn, &made.row(&held.key))?;
            events.push(change::account_named("account.link_made", merchant.as_ref(), &held, actor));
            Ok::<_, AccessError>(held)
        });
        Ok((written.await?, link))
    }

    /// The keys that an account has made and that still work, in the order they were made: a reset leaves them as they
    /// are.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_keys_made_by(&self, account: &Account) -> Result<Vec<ApiKey>, AccessError> {
        let (merchant, maker, now) = (account.merchant.clone(), account.key.clone(), self.clock.now());
        let keys = self.database.read(move |conn| list_keys_made_by(conn, merchant.as_ref(), &maker)).await?;
        Ok(keys.into_iter().filter(|key| key.status(now) == KeyStatus::Active).collect())
    }

    /// Deletes what is over until cancelled.
    pub async fn sweep_accounts(self, cancel: CancellationToken) {
        while cancel.run_until_cancelled(tokio::time::sleep(SWEEP_EVERY)).await.is_some() {
            let now = self.clock.now().as_microsecond();
            let before = |period: jiff::SignedDuration| {
                now.saturating_sub(i64::try_from(period.as_micros()).unwrap_or(i64::MAX))
            };
            let (began, counted) = (before(session::LONGEST), before(attempts::PERIOD));
            let swept = self.database.write(move |conn: &mut AnyConnection| {
                subject::forget_taken(conn, now)?;
                store::delete_ended(conn, began, now, counted)
            });
            if let Err(error) = swept.await {
                // The next round tries again; a database that is away is said elsewhere.
                tracing::debug!(%error, "ended sessions could not be deleted yet");
            }
        }
    }

    /// A hash under the gateway's own key, by which what is short, or a browser's, is known and not stored.
    pub(in crate::access) fn blind(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.ledger.context().keyring.blind(parts)
    }
}

fn find_own(
    conn: &mut AnyConnection,
    merchant: Option<&MerchantId>,
    name: &AccountName,
) -> Result<Option<Account>, DatabaseError> {
    of_owner(store::find_kept_by_name(conn, name.as_str())?, merchant)
}

/// The account of a row where it is this owner's.
fn of_owner(row: Option<AccountRow>, merchant: Option<&MerchantId>) -> Result<Option<Account>, DatabaseError> {
    let found = row.map(Account::try_from).transpose()?;
    Ok(found.filter(|account| account.merchant.as_ref() == merchant))
}

/// [`hold_own`], by the account's name.
fn hold_named(
    conn: &mut AnyConnection,
    merchant: Option<&MerchantId>,
    name: &AccountName,
) -> Result<Option<Account>, DatabaseError> {
    let Some(found) = find_own(conn, merchant, name)? else { return Ok(None) };
    hold_own(conn, merchant, &found.key)
}

/// The owner's account that acts under a key, held until the transaction ends: a log-in that is on its way ends before,
/// or finds what changed.
fn hold_own(
    conn: &mut AnyConnection,
    merchant: Option<&MerchantId>,
    key: &KeyId,
) -> Result<Option<Account>, DatabaseError> {
    of_owner(store::lock_kept(conn, key.as_str())?, merchant)
}

/// Inserts an account and its first link.
fn insert(
    conn: &mut AnyConnection,
    merchant: Option<&MerchantId>,
    key: &KeyId,
    name: &AccountName,
    link: &LinkRow,
    now: Timestamp,
) -> Result<Account, AccessError> {
    if store::is_taken(conn, name)? {
        return Err(AccessError::AccountExists(name.clone()));
    }
    if store::list(conn, merchant)?.len() >= MOST_ACCOUNTS {
        let detail = format!("there are {MOST_ACCOUNTS} accounts, which is the most: disable one first");
        return Err(AccessError::Unfit(vec![FieldError::at("/name", "too_many", detail)]));
    }
    store::insert(conn, merchant, key, name, now.as_microsecond()).map_err(|error| match error {
        // Another replica made it between the look and the insert.
        DatabaseError::Duplicate(_) => AccessError::AccountExists(name.clone()),
        error => error.into(),
    })?;
    store::insert_link(conn, link)?;
    let found = store::find_kept(conn, key.as_str())?.ok_or(DatabaseError::NotFound)?;
    Ok(Account::try_from(found)?)
}

/// Deletes all that is kept of the account of a key that was revoked, if it is one's.
pub(super) fn forget(
    conn: &mut AnyConnection,
    merchant: Option<&MerchantId>,
    key: &KeyId,
) -> Result<(), DatabaseError> {
    if store::is_account_of(conn, merchant, key.as_str())? { store::delete(conn, key.as_str()) } else { Ok(()) }
}
