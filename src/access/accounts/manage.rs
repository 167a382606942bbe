//! Changes to an account by someone else who may: its role, its sessions, and whether it may log in.

use super::{Account, hold_own, of_owner, session, store};
use crate::access::change;
use crate::access::directory::Directory;
use crate::access::error::AccessError;
use crate::access::role::Role;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{KeyId, MerchantId};
use crate::ledger::entry::Actor;

/// Refuses to take away the last admin's account, or one's own: nobody would be left to let anyone in. The owner's accounts
/// are held until the transaction ends, so that two who do it to each other at once don't both succeed. The
/// operator and the command line may: they can make another.
pub(super) fn spare_last(
    conn: &mut AnyConnection,
    merchant: Option<&MerchantId>,
    key: &KeyId,
    actor: &Actor,
) -> Result<(), AccessError> {
    let accounts = store::lock_all(conn, merchant)?;
    let Some(by) = actor.key.as_ref().filter(|_| merchant.is_none() || actor.role != Role::Operator.as_str()) else {
        return Ok(());
    };
    if by == key {
        return Err(AccessError::OwnAccount);
    }
    let manages = |row: &store::AccountRow| {
        row.suspended_at.is_none() && [Role::Admin, Role::Operator].iter().any(|role| role.as_str() == row.role)
    };
    let (own, others): (Vec<_>, Vec<_>) =
        accounts.iter().filter(|row| manages(row)).partition(|row| row.key_id == key.as_str());
    if others.is_empty() && !own.is_empty() { Err(AccessError::LastAdmin) } else { Ok(()) }
}

/// [`spare_last`] where the key is an account's: with the key ends the account.
pub(in crate::access) fn spare_last_of_key(
    conn: &mut AnyConnection,
    merchant: Option<&MerchantId>,
    key: &KeyId,
    actor: &Actor,
) -> Result<(), AccessError> {
    if of_owner(store::find_kept(conn, key.as_str())?, merchant)?.is_none() {
        return Ok(());
    }
    spare_last(conn, merchant, key, actor)
}

impl Directory {
    /// The account of the merchant (none: of the operator) that acts under this key, suspended ones too.
    ///
    /// # Errors
    /// [`AccessError::UnknownAccount`], for another merchant's too, or the database's.
    pub async fn find_account_of_key(&self, merchant: Option<MerchantId>, key: KeyId) -> Result<Account, AccessError> {
        let found = self.database.read(move |conn| of_owner(store::find_kept(conn, key.as_str())?, merchant.as_ref()));
        found.await?.ok_or(AccessError::UnknownAccount)
    }

    /// Keeps an account from logging in, with its event; its sessions and links end, and the key that it acts under opens
    /// nothing meanwhile, where it has a secret. Its name, password and second factor
    /// are kept. A suspended one remains as it is.
    ///
    /// # Errors
    /// [`AccessError::UnknownAccount`], for another merchant's too, [`AccessError::OwnAccount`],
    /// [`AccessError::LastAdmin`], or the ledger's.
    pub async fn suspend_account(
        &self,
        merchant: Option<MerchantId>,
        key: KeyId,
        actor: Actor,
    ) -> Result<Account, AccessError> {
        let now = self.clock.now();
        let suspended = self.ledger.change(move |conn, events| {
            spare_last(conn, merchant.as_ref(), &key, &actor)?;
            let held = hold_own(conn, merchant.as_ref(), &key)?.ok_or(AccessError::UnknownAccount)?;
            if held.suspended_at.is_some() {
                return Ok(held);
            }
            store::update_suspended(conn, key.as_str(), Some(now.as_microsecond()))?;
            store::delete_sessions(conn, key.as_str())?;
            store::delete_links(conn, key.as_str())?;
            change::note_suspension(conn, events, "account.suspended", &held, actor)?;
            Ok::<_, AccessError>(Account { suspended_at: Some(now), ..held })
        });
        let account = suspended.await?;
        self.known.follow_own_change().await;
        Ok(account)
    }

    /// Lets a suspended account log in again, with its event. One that may remains as it is.
    ///
    /// # Errors
    /// [`AccessError::UnknownAccount`], for another merchant's too, or the ledger's.
    pub async fn restore_account(
        &self,
        merchant: Option<MerchantId>,
        key: KeyId,
        actor: Actor,
    ) -> Result<Account, AccessError> {
        let restored = self.ledger.change(move |conn, events| {
            let held = hold_own(conn, merchant.as_ref(), &key)?.ok_or(AccessError::UnknownAccount)?;
            if held.suspended_at.is_none() {
                return Ok(held);
            }
            store::update_suspended(conn, key.as_str(), None)?;
            change::note_suspension(conn, events, "account.restored", &held, actor)?;
            Ok::<_, AccessError>(Account { suspended_at: None, ..held })
        });
        let account = restored.await?;
        self.known.follow_own_change().await;
        Ok(account)
    }

    /// Gives an account of a merchant another role, with its event: its sessions have it from their next page on.
    ///
    /// # Errors
    /// [`AccessError::Unfit`] for a role that it can't have, or as [`Directory::suspend_account`].
    pub async fn set_account_role(
        &self,
        merchant: MerchantId,
        key: KeyId,
        role: Role,
        actor: Actor,
    ) -> Result<Account, AccessError> {
        if !matches!(role, Role::Admin | Role::Auditor) {
            let detail = "people of a merchant are `admin` or `auditor`";
            return Err(AccessError::Unfit(vec![FieldError::at("/role", "not_allowed", detail)]));
        }
        let changed = self.ledger.change(move |conn, events| {
            if role != Role::Admin {
                spare_last(conn, Some(&merchant), &key, &actor)?;
            }
            let held = hold_own(conn, Some(&merchant), &key)?.ok_or(AccessError::UnknownAccount)?;
            if held.role != role {
                change::set_role(conn, events, &merchant, &held, role, actor)?;
            }
            Ok::<_, AccessError>(Account { role, ..held })
        });
        let account = changed.await?;
        self.known.follow_own_change().await;
        Ok(account)
    }

    /// Ends every session of an account, and its open links.
    ///
    /// # Errors
    /// [`AccessError::UnknownAccount`], for another merchant's too, or the database's.
    pub async fn end_sessions_of(&self, merchant: Option<MerchantId>, key: KeyId) -> Result<(), AccessError> {
        let ended = self.database.write(move |conn: &mut AnyConnection| {
            let Some(held) = hold_own(conn, merchant.as_ref(), &key)? else { return Ok::<_, DatabaseError>(false) };
            store::delete_sessions(conn, held.key.as_str())?;
            store::delete_links(conn, held.key.as_str())?;
            Ok(true)
        });
        if ended.await? { Ok(()) } else { Err(AccessError::UnknownAccount) }
    }

    /// The instants at which the open sessions of an account began and were last used, the newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_sessions_of(&self, account: &Account) -> Result<Vec<session::OpenSession>, DatabaseError> {
        let (key, now) = (account.key.as_str().to_owned(), self.clock.now());
        let rows = self.database.read(move |conn| store::list_sessions(conn, &key)).await?;
        let shown = |row: store::SessionRow| session::OpenSession {
            began_at: from_micros(row.began_at),
            used_at: from_micros(row.used_at),
            is_own: false,
        };
        Ok(rows.into_iter().filter(|row| session::lasts(row, now)).map(shown).collect())
    }
}
