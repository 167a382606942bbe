//! Enrolment: the people who agreed to be scored, their accounts on networks, and what else they agreed to.
//!
//! - `account`: an account, and how it is proven; `store`: the rows
//!
//! Only who is enrolled is scored, and only their signals are kept. What names them, or others through them, is sealed or
//! hashed under the secret of their own row in `subjects`, and goes with it: see [`Enrolments::end`], and `scores::erasing`.

pub mod account;
pub(in crate::scores) mod store;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::Scores;
use super::computing::store::due::mark_due;
use super::history;
use super::signals::store::count_signals_of;
use super::signals::store::ended;
use crate::database::{AnyConnection, Database, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::document::{object, text};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::MerchantId;
use crate::foundation::json::Json;
use crate::foundation::subject::{SubjectHandle, SubjectRef};
use crate::keyring::SubjectSecret;
use crate::ledger::entry::{Actor, EventDraft, LogOwner, SealedFields};
use crate::ledger::events::WrittenFacts;
use crate::ledger::events::subjects::{CONSENTED, Consented, ENROLLED, Enrolled, UNENROLLED, Unenrolled};
use crate::ledger::write::subjects::{self, Subject};
use crate::ledger::{Ledger, LedgerError, WriterContext};
use account::{LinkedAccount, NewAccount, Proof};
use store::{AccountRow, EnrolmentRow};

/// The purpose for which an account is sealed.
const ACCOUNT: &[u8] = b"linked account";

/// Why nothing was enrolled or changed.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    #[error("this person is not enrolled: link an account first")]
    NotEnrolled,
    #[error("it doesn't fit")]
    Unfit(Vec<FieldError>),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The things that a person may agree to beside being scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consents {
    /// To stand in a list of the best.
    pub leaderboard: bool,
    /// To be compared with friends who agreed too.
    pub comparison: bool,
}

/// A person who is enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    pub accounts: Vec<LinkedAccount>,
    pub consents: Consents,
    pub enrolled_at: Timestamp,
}

/// Enrols people of all merchants; cheap to clone.
#[derive(Clone)]
pub struct Enrolments {
    pub(super) database: Database,
    pub(super) ledger: Ledger,
    /// With the keys that everything of a person is sealed under.
    pub(super) context: WriterContext,
    pub(super) large_imports: Arc<Semaphore>,
}

#[derive(Serialize, Deserialize)]
struct SealedAccount {
    account: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

impl Enrolments {
    /// Enrols people whose scores `scores` keeps.
    #[must_use]
    pub fn beside(scores: &Scores, ledger: Ledger, context: WriterContext) -> Self {
        let (database, large_imports) = (scores.database.clone(), scores.large_imports.clone());
        Self { database, ledger, context, large_imports }
    }

    /// Links these accounts to the person, and no others: who has none is not enrolled any more. Those that were linked
    /// keep their codes and their states; one whose proof did not come in time begins again. The event says how many. What is
    /// known from a network goes with its last proven account.
    ///
    /// # Errors
    /// [`EnrolmentError`]; [`DatabaseError::Busy`] while signals are left from when a network was linked before.
    pub async fn put_accounts(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        handle: &SubjectHandle,
        accounts: Vec<NewAccount>,
    ) -> Result<Option<Enrolment>, EnrolmentError> {
        let wanted = account::read(accounts)?;
        if wanted.is_empty() {
            self.end(merchant, actor, handle).await?;
            return Ok(None);
        }
        let place = (merchant.clone(), self.context.keyring.subject_refs(merchant, handle).current);
        ended::clear(&self.database, &place.0, &[place.1]).await?;
        let (merchant, handle, this) = (merchant.clone(), handle.clone(), self.clone());
        let enrolment = self
            .ledger
            .change(move |conn, events| {
                let now = this.context.clock.now();
                let person = subjects::hold_or_make(conn, &this.context.keyring, (&merchant, &handle), now)?;
                let subject = this.context.keyring.subject_refs(&merchant, &handle).current;
                let place = (&merchant, &subject, &person);
                let known = store::find(conn, &merchant, &subject)?.filter(|row| row.pseudonym == *person.name());
                let before = store::list_accounts(conn, &merchant, &subject)?;
                let mut after = Vec::with_capacity(wanted.len());
                for account in &wanted {
                    after.push(this.row_of(place, account, &before, now)?);
                }
                after.sort_by(|one, other| {
                    (&one.network, &one.account_hash).cmp(&(&other.network, &other.account_hash))
                });
                let row = known.clone().unwrap_or_else(|| EnrolmentRow {
                    merchant_id: merchant.as_str().to_owned(),
                    subject_ref: subject.0.to_vec(),
                    pseudonym: person.name().to_owned(),
                    enrolled_at: now.as_microsecond(),
                    leaderboard_at: None,
                    comparison_at: None,
                });
                let enrolment = opened(&row, &after, &person.secret, now)?;
                if known.is_some() && before == after {
                    return Ok(Some(enrolment));
                }
                let (was, is) = (proven_networks(&before), proven_networks(&after));
                if ended::are_any_left(conn, &merchant, &subject, &(&is - &was))? {
                    return Err(DatabaseError::Busy.into());
                }
                store::upsert(conn, &row)?;
                store::replace_accounts(conn, &merchant, &subject, &after)?;
                ended::note(conn, &merchant, &subject, &(&was - &is))?;
                mark_due(conn, &merchant, &[subject], now)?;
                let facts = Enrolled { accounts: count(after.len()), subject: person.name().into() };
                let listed = enrolment.accounts.iter().map(|it| {
                    let (network, account) = (text(&it.network), text(&it.account));
                    object([("account", account), ("network", network), ("proof", text(it.proof.as_str()))])
                });
                let fields = object([("accounts", Json::List(listed.collect()))]);
                events.push(event(&merchant, actor, ENROLLED, &person, (WrittenFacts::of(&facts), Some(fields))));
                Ok::<_, EnrolmentError>(Some(enrolment))
            })
            .await?;
        self.clear(&place).await;
        Ok(enrolment)
    }

    /// The person's accounts and consents; none if they are not enrolled.
    ///
    /// # Errors
    /// [`EnrolmentError`].
    pub async fn find(
        &self,
        merchant: &MerchantId,
        handle: &SubjectHandle,
    ) -> Result<Option<Enrolment>, EnrolmentError> {
        let (subject, now) = (self.context.keyring.subject_refs(merchant, handle).current, self.context.clock.now());
        let (merchant, keyring) = (merchant.clone(), self.context.keyring.clone());
        let read = move |conn: &mut AnyConnection| {
            let Some(row) = store::find(conn, &merchant, &subject)? else { return Ok(None) };
            let Some((_, person)) = subjects::find(conn, &keyring, &merchant, &row.pseudonym)? else { return Ok(None) };
            let accounts = store::list_accounts(conn, &merchant, &subject)?;
            Ok(Some(opened(&row, &accounts, &person.secret, now)?))
        };
        Ok(self.database.read::<_, DatabaseError, _>(read).await?)
    }

    /// Keeps what the person agrees to beside being scored.
    ///
    /// # Errors
    /// [`EnrolmentError::NotEnrolled`], and the ledger's.
    pub async fn put_consents(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        handle: &SubjectHandle,
        consents: Consents,
    ) -> Result<Consents, EnrolmentError> {
        let (merchant, handle, this) = (merchant.clone(), handle.clone(), self.clone());
        self.ledger
            .change(move |conn, events| {
                let refs = this.context.keyring.subject_refs(&merchant, &handle);
                let person =
                    subjects::hold(conn, &this.context.keyring, &merchant, refs)?.ok_or(EnrolmentError::NotEnrolled)?;
                let row = store::find(conn, &merchant, &refs.current)?.ok_or(EnrolmentError::NotEnrolled)?;
                if consents_of(&row) == consents {
                    return Ok(consents);
                }
                let now = this.context.clock.now().as_microsecond();
                let since = |agrees: bool, before: Option<i64>| agrees.then(|| before.unwrap_or(now));
                let row = EnrolmentRow {
                    leaderboard_at: since(consents.leaderboard, row.leaderboard_at),
                    comparison_at: since(consents.comparison, row.comparison_at),
                    ..row
                };
                store::upsert(conn, &row)?;
                let Consents { comparison, leaderboard } = consents;
                let facts = Consented { comparison, leaderboard, subject: person.name().into() };
                events.push(event(&merchant, actor, CONSENTED, &person, (WrittenFacts::of(&facts), None)));
                Ok(consents)
            })
            .await
    }

    /// Ends the person's enrolment: their accounts and consents are deleted, and their signals count no more and are deleted
    /// afterwards. True if they were enrolled.
    ///
    /// # Errors
    /// [`EnrolmentError`].
    pub async fn end(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        handle: &SubjectHandle,
    ) -> Result<bool, EnrolmentError> {
        let place = (merchant.clone(), self.context.keyring.subject_refs(merchant, handle).current);
        let of = place.clone();
        let count = move |conn: &mut AnyConnection| count_signals_of(conn, &of.0, &of.1);
        let signals = self.database.read(count).await?;
        let (merchant, handle, this) = (merchant.clone(), handle.clone(), self.clone());
        let is_ended = self
            .ledger
            .change(move |conn, events| {
                let refs = this.context.keyring.subject_refs(&merchant, &handle);
                let Some(person) = subjects::hold(conn, &this.context.keyring, &merchant, refs)? else {
                    return Ok(false);
                };
                let Some(accounts) = delete(conn, &merchant, &refs.current)? else { return Ok(false) };
                // Their scores end with the next run.
                mark_due(conn, &merchant, &[refs.current], this.context.clock.now())?;
                history::store::delete_computed(conn, &merchant, &refs.current)?;
                let facts = Unenrolled { accounts, signals, subject: person.name().into() };
                events.push(event(&merchant, actor, UNENROLLED, &person, (WrittenFacts::of(&facts), None)));
                Ok::<_, EnrolmentError>(true)
            })
            .await?;
        self.clear(&place).await;
        Ok(is_ended)
    }

    /// Deletes what ended links left, after the change that ended them: it stands, so the sweeper does what fails here.
    async fn clear(&self, (merchant, subject): &(MerchantId, SubjectRef)) {
        let _ = ended::clear(&self.database, merchant, &[*subject]).await;
    }

    /// The row of an account: the one that stands, unless the time for its proof is over or it is proven otherwise.
    fn row_of(
        &self,
        (merchant, subject, person): (&MerchantId, &SubjectRef, &Subject),
        account: &NewAccount,
        before: &[AccountRow],
        now: Timestamp,
    ) -> Result<AccountRow, DatabaseError> {
        let name = format!("{}\0{}", account.network, account.account);
        let account_hash = person.secret.blinder().hash(b"account\0", name.as_bytes()).to_vec();
        let known = before.iter().find(|row| row.account_hash == account_hash && row.proof == account.proof.as_str());
        let stands = |row: &&AccountRow| {
            account.proof.state(from_micros(row.linked_at), row.proven_at.is_some(), now)
                != account::AccountState::Failed
        };
        if let Some(known) = known.filter(stands) {
            return Ok(known.clone());
        }
        let sealed =
            SealedAccount { account: account.account.clone(), code: account.proof.new_code(&self.context.entropy) };
        let sealed = serde_json::to_vec(&sealed).map_err(|e| DatabaseError::corrupt("linked account", e))?;
        Ok(AccountRow {
            merchant_id: merchant.as_str().to_owned(),
            subject_ref: subject.0.to_vec(),
            account_hash,
            network: account.network.clone(),
            sealed: person.secret.seal_held(ACCOUNT, &sealed, &self.context.entropy),
            proof: account.proof.as_str().to_owned(),
            linked_at: now.as_microsecond(),
            proven_at: None,
        })
    }
}

/// Deletes all that the person is enrolled with, and notes that their signals are to go; how many accounts that were, and
/// none if they are not enrolled. Their row goes first: feeds that hold it have committed by then.
pub(in crate::scores) fn delete(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRef,
) -> Result<Option<u64>, DatabaseError> {
    if !store::delete(conn, merchant, subject)? {
        return Ok(None);
    }
    let networks = proven_networks(&store::list_accounts(conn, merchant, subject)?);
    let accounts = count(store::delete_accounts(conn, merchant, subject)?);
    ended::note(conn, merchant, subject, &networks)?;
    Ok(Some(accounts))
}

/// True if the person is enrolled: their scores may have a history then.
pub(in crate::scores) fn is_enrolled(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRef,
) -> Result<bool, DatabaseError> {
    Ok(store::find(conn, merchant, subject)?.is_some())
}

/// The networks on which an account is proven: only from there signals are taken and count.
fn proven_networks(accounts: &[AccountRow]) -> BTreeSet<String> {
    let proven = accounts.iter().filter(|row| row.proof == Proof::Vouched.as_str() || row.proven_at.is_some());
    proven.map(|row| row.network.clone()).collect()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

const fn consents_of(row: &EnrolmentRow) -> Consents {
    Consents { leaderboard: row.leaderboard_at.is_some(), comparison: row.comparison_at.is_some() }
}

/// An account, with its name and the code that is looked for.
pub(in crate::scores) fn open_account(
    row: &AccountRow,
    secret: &SubjectSecret,
    now: Timestamp,
) -> Result<LinkedAccount, DatabaseError> {
    let corrupt = |error: &dyn std::fmt::Display| DatabaseError::corrupt("linked account", error);
    let plain = secret.open_held(ACCOUNT, &row.sealed).map_err(|e| corrupt(&e))?;
    let SealedAccount { account, code } = serde_json::from_slice(&plain).map_err(|e| corrupt(&e))?;
    let proof = Proof::ALL.into_iter().find(|it| it.as_str() == row.proof).ok_or_else(|| corrupt(&row.proof))?;
    let linked_at = from_micros(row.linked_at);
    let state = proof.state(linked_at, row.proven_at.is_some(), now);
    let code = code.filter(|_| state == account::AccountState::Pending);
    Ok(LinkedAccount { network: row.network.clone(), account, proof, state, code, linked_at })
}

fn opened(
    row: &EnrolmentRow,
    accounts: &[AccountRow],
    secret: &SubjectSecret,
    now: Timestamp,
) -> Result<Enrolment, DatabaseError> {
    let mut accounts =
        accounts.iter().map(|row| open_account(row, secret, now)).collect::<Result<Vec<_>, DatabaseError>>()?;
    accounts.sort_by(|one, other| (&one.network, &one.account).cmp(&(&other.network, &other.account)));
    Ok(Enrolment { accounts, consents: consents_of(row), enrolled_at: from_micros(row.enrolled_at) })
}

fn event(
    merchant: &MerchantId,
    actor: Actor,
    kind: &'static str,
    person: &Subject,
    (facts, fields): (WrittenFacts, Option<Json>),
) -> EventDraft {
    let subject = person.name().to_owned();
    let personal = fields.map(|fields| SealedFields { subject: subject.clone(), fields });
    EventDraft { log: LogOwner::Merchant(merchant.clone()), kind, about: subject, actor, facts, personal }
}
