//! The subjects of a provider of OpenID Connect that accounts are linked to: an account is found by its issuer and subject
//! together, and never by an address for e-mail.

mod store;

use aws_lc_rs::digest;

use super::store::AccountRow;
use super::{Account, hold_own, store as accounts};
use crate::access::change;
use crate::access::directory::Directory;
use crate::access::error::AccessError;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{KeyId, MerchantId};
use crate::foundation::subject::hex;
use crate::ledger::entry::{Actor, EventDraft};

/// Longest issuer, and longest subject (OpenID Connect Core 2).
const LONGEST: usize = 255;

/// A person as a provider names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    issuer: String,
    name: String,
}

impl Subject {
    /// The subject of this name.
    ///
    /// # Errors
    /// The fault of the name.
    pub fn of(issuer: &str, name: &str) -> Result<Self, FieldError> {
        let name = name.trim();
        let is_plain =
            |text: &str| (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b));
        if is_plain(name) && is_plain(issuer) {
            return Ok(Self::stored(issuer.to_owned(), name.to_owned()));
        }
        let detail = "a subject is the text by which the provider knows the person: at most 255 plain ASCII characters";
        Err(FieldError::at("/subject", "invalid_value", detail))
    }

    pub(super) const fn stored(issuer: String, name: String) -> Self {
        Self { issuer, name }
    }

    /// The provider.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The text by which the provider knows the person.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hash by which events name it.
    #[must_use]
    pub fn sha256(&self) -> String {
        subject_hash(&self.issuer, &self.name)
    }
}

/// The hash by which events name a subject.
#[must_use]
pub fn subject_hash(issuer: &str, name: &str) -> String {
    let whole = [issuer.as_bytes(), b"\0", name.as_bytes()].concat();
    hex(digest::digest(&digest::SHA256, &whole).as_ref())
}

impl Directory {
    /// Links an account of the merchant (none: of the operator) to a subject, with its event: who logs in at the provider
    /// as that subject is then logged in as the account. The link that it has already remains as it is.
    ///
    /// # Errors
    /// [`AccessError::UnknownAccount`], for another merchant's too, [`AccessError::Unfit`] where either is linked
    /// otherwise, or the ledger's.
    pub async fn link_account(
        &self,
        merchant: Option<MerchantId>,
        key: KeyId,
        subject: Subject,
        actor: Actor,
    ) -> Result<Account, AccessError> {
        let linked = self.ledger.change(move |conn, events| {
            let held = hold_own(conn, merchant.as_ref(), &key)?.ok_or(AccessError::UnknownAccount)?;
            let unfit = |code, detail: &str| AccessError::Unfit(vec![FieldError::at("/subject", code, detail)]);
            match &held.subject {
                Some(own) if *own == subject => return Ok(held),
                Some(_) => {
                    return Err(unfit("already_linked", "the account is linked to another: take that away first"));
                }
                None => {}
            }
            store::update_subject(conn, key.as_str(), Some(&subject)).map_err(|error| match error {
                DatabaseError::Duplicate(_) => unfit("taken", "another account is linked to this subject"),
                error => error.into(),
            })?;
            events.push(change::account_linked(merchant.as_ref(), &held, &subject, actor));
            Ok(Account { subject: Some(subject), ..held })
        });
        linked.await
    }

    /// Takes the link to a subject off an account, with its event; its sessions end. One that has none remains as it is.
    ///
    /// # Errors
    /// [`AccessError::UnknownAccount`], for another merchant's too, or the ledger's.
    pub async fn unlink_account(
        &self,
        merchant: Option<MerchantId>,
        key: KeyId,
        actor: Actor,
    ) -> Result<Account, AccessError> {
        let unlinked = self.ledger.change(move |conn, events| {
            let held = hold_own(conn, merchant.as_ref(), &key)?.ok_or(AccessError::UnknownAccount)?;
            unlink(conn, events, merchant.as_ref(), &held, &actor)?;
            Ok::<_, AccessError>(Account { subject: None, ..held })
        });
        unlinked.await
    }
}

/// Takes the link to a subject off an account that is held, and ends what may have been opened by it.
pub(super) fn unlink(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    merchant: Option<&MerchantId>,
    held: &Account,
    actor: &Actor,
) -> Result<(), DatabaseError> {
    if held.subject.is_none() {
        return Ok(());
    }
    store::update_subject(conn, held.key.as_str(), None)?;
    accounts::delete_sessions(conn, held.key.as_str())?;
    events.push(change::account_named("account.unlinked", merchant, held, actor.clone()));
    Ok(())
}

/// The account that is linked to a subject, where it may log in.
pub(super) fn find(conn: &mut AnyConnection, subject: &Subject) -> Result<Option<AccountRow>, DatabaseError> {
    store::find_by_subject(conn, subject)
}

/// Takes a log-in by a provider: true for the one who did, of any number at once.
pub(super) fn take(conn: &mut AnyConnection, log_in: &[u8; 32], until: i64) -> Result<bool, DatabaseError> {
    store::take_log_in(conn, log_in, until)
}

/// Forgets the log-ins by a provider that are over anyway.
pub(super) fn forget_taken(conn: &mut AnyConnection, now: i64) -> Result<(), DatabaseError> {
    store::delete_taken(conn, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_its_issuer_and_its_name_together() {
        let of = |issuer: &str, name: &str| Subject::of(issuer, name).unwrap();
        assert_eq!(of("https://id.example", " 7 "), of("https://id.example", "7"));
        assert_ne!(of("https://id.example", "71").sha256(), of("https://id.example7", "1").sha256());
        for bad in ["", " ", "a\nb", "ä", &"a".repeat(256)] {
            assert!(Subject::of("https://id.example", bad).is_err(), "{bad}");
        }
    }
}
