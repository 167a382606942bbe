//! Reading the log back, beside the writer and without a lock: the whole interface of [`LedgerReader`].
//!
//! Each answer is what was committed when it was read; something may be committed a moment later. What is of another
//! merchant is not found.
//!
//! - `browse`, `lists`: filtered pages of events, checks and grants; `searches`: how many may run at once
//! - `person`: what is held on one person
//! - `history`, `decisions`: the past in the log's order, with what is needed to decide it again
//! - `evidence`, `proof`: signed heads, and proofs that lead to them
//! - `objections`: contests for those who made them
//! - `published`: the public keys; `today`: the numbers of a day; `seen`: decisions as people look at them
//! - `waiting`: how much waits for a person

pub mod browse;
pub mod decisions;
pub mod evidence;
pub mod history;
pub mod lists;
pub mod objections;
pub mod person;
pub mod proof;
pub mod published;
pub(crate) mod searches;
pub mod seen;
pub mod today;
pub mod waiting;

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::cases::model::{Referral, ReferralStatus};
use super::cases::overrides::{Overridden, Refusal};
use super::cases::referral::Referred;
use super::cases::{case, overrides, referral};
use super::entry::{CheckEntry, CheckRecord, Idempotency};
use super::grants::selection::{GrantCursor, SelectedGrants, Selection};
use super::grants::{ending, selection};
use super::idempotency::replay::{GrantRecord, GrantState};
use super::idempotency::{answered, replay};
use super::retention::pruning;
use super::store::{ends, heads, history as rows};
use super::write::{batch, check, subjects};
use super::{LedgerError, Recorded, WriterContext, digests};
use crate::database::{AnyConnection, DatabaseError};
use crate::decision::decided::Decided;
use crate::foundation::ids::{CheckId, GrantId, KeyId, MerchantId, PerkSlug};
use crate::foundation::subject::{Pseudonym, SubjectHandle};
use crate::rules::limit::ScopeDigests;
use browse::{BrowseError, EventFilter, EventPage};
use evidence::{ConsistencyProof, InclusionProof, ProofError, Recordable, SignedHead};
use history::{HistoryPage, Interest, Stretch};
use lists::{ListedCheck, ListedGrant, Page};
use person::{LimitHeld, Person, PersonalPage};
use searches::Searches;

/// The reading side of the ledger; cheap to clone. It doesn't keep the writer running.
#[derive(Clone)]
pub struct LedgerReader {
    context: WriterContext,
    searches: Searches,
}

impl LedgerReader {
    pub(super) fn new(context: WriterContext) -> Self {
        Self { context, searches: Searches::default() }
    }

    async fn read<T, E>(&self, f: impl FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        self.context.database.read(f).await
    }

    /// The bodies of the events of this kind about a thing of the merchant that hold this text.
    pub async fn list_bodies_saying(
        &self,
        merchant: &MerchantId,
        about: &str,
        kind: &'static str,
        text: String,
    ) -> Result<Vec<String>, LedgerError> {
        let (merchant, about) = (merchant.clone(), about.to_owned());
        self.read(move |conn| Ok(ends::list_bodies_saying(conn, &merchant, &about, kind, &text)?)).await
    }

    /// The answer that [`Ledger::check`](super::Ledger::check) would give now. Nothing is recorded, locked or
    /// promised: another check may take the last place first.
    pub async fn preview(&self, entry: CheckEntry) -> Result<Decided, LedgerError> {
        let context = self.context.clone();
        Ok(self.read(move |conn| batch::preview(conn, &context, &entry)).await?)
    }

    /// When waiting is enough for a check that its rule refuses, by the limits as they stand: they would be asked then.
    /// None where it isn't, or the entry has no outlook.
    pub async fn next_admitted(&self, entry: CheckEntry) -> Result<Option<Timestamp>, LedgerError> {
        let context = self.context.clone();
        Ok(self.read(move |conn| batch::next_admitted(conn, &context, &entry)).await?)
    }

    /// The pseudonym that the check's subject goes by; one that is not kept for someone whom nobody knows.
    pub async fn pseudonym_of(&self, entry: CheckEntry) -> Result<Pseudonym, LedgerError> {
        let context = self.context.clone();
        Ok(self.read(move |conn| subjects::guess(conn, &context, &entry)).await?.pseudonym)
    }

    /// The digests that the check's limits would count by, and the months whose secrets are destroyed; a digest that is
    /// nobody's stands for one whose secret there is none of.
    pub async fn digests_of(&self, entry: CheckEntry) -> Result<(ScopeDigests, BTreeSet<String>), LedgerError> {
        let context = self.context.clone();
        Ok(self.read(move |conn| digests::peek(conn, &context, &entry)).await?)
    }

    /// A check as it was recorded, with its receipt and the state of its grant now; none if there is none.
    /// [`LedgerError::Pruned`] when its event's body is pruned.
    pub async fn find_check(
        &self,
        merchant: &MerchantId,
        check: &CheckId,
    ) -> Result<Option<Recorded<CheckRecord>>, LedgerError> {
        let (keyring, merchant, check) = (self.context.keyring.clone(), merchant.clone(), check.clone());
        self.read(move |conn| replay::recorded_check(conn, &keyring, &merchant, &check)).await
    }

    /// The check that was answered under this idempotency key of the caller, while the key stands.
    /// [`LedgerError::KeyReused`] when it stands for another request.
    pub async fn find_answered(
        &self,
        merchant: &MerchantId,
        key: &KeyId,
        idempotency: Idempotency,
    ) -> Result<Option<Recorded<CheckRecord>>, LedgerError> {
        let (context, merchant, key) = (self.context.clone(), merchant.clone(), key.clone());
        self.read(move |conn| answered::find(conn, &context, &merchant, &key, idempotency)).await
    }

    /// A grant with its check, its redemptions and the note of its void; none if there is none.
    /// [`LedgerError::Pruned`] when the body of its check's event is pruned.
    pub async fn find_grant(&self, merchant: &MerchantId, grant: &GrantId) -> Result<Option<GrantRecord>, LedgerError> {
        let (keyring, merchant, grant) = (self.context.keyring.clone(), merchant.clone(), grant.clone());
        self.read(move |conn| replay::find_grant(conn, &keyring, &merchant, &grant)).await
    }

    /// The state of a grant as a door would find it now; none if there is none. It needs no event, so pruning
    /// doesn't touch it, and opens nothing personal.
    pub async fn find_grant_state(
        &self,
        merchant: &MerchantId,
        grant: &GrantId,
    ) -> Result<Option<GrantState>, LedgerError> {
        let (merchant, grant, now) = (merchant.clone(), grant.clone(), self.context.clock.now());
        Ok(self.read(move |conn| replay::find_grant_state(conn, &merchant, &grant, now)).await?)
    }

    /// Number of these grants of the merchant that a door has taken.
    pub async fn count_redeemed(&self, merchant: &MerchantId, grants: &[GrantId]) -> Result<u64, DatabaseError> {
        let (merchant, grants) = (merchant.clone(), grants.to_vec());
        self.read(move |conn| ending::count_redeemed(conn, &merchant, &grants)).await
    }

    /// The grants behind `after` that `selection` means and that nobody has voided, oldest first. A page may be
    /// empty and still not be the last.
    pub async fn select_grants(
        &self,
        merchant: &MerchantId,
        selection: &Selection,
        after: Option<GrantCursor>,
    ) -> Result<SelectedGrants, DatabaseError> {
        let (keyring, merchant, selection) = (self.context.keyring.clone(), merchant.clone(), selection.clone());
        self.read(move |conn| selection::select(conn, &keyring, &merchant, &selection, after.as_ref())).await
    }

    /// The referrals (or, if `contested`, the contests) after a check, oldest first, up to `limit`.
    pub async fn list_referrals(
        &self,
        merchant: &MerchantId,
        contested: bool,
        status: Option<ReferralStatus>,
        after: Option<CheckId>,
        limit: u32,
    ) -> Result<Vec<Referral>, LedgerError> {
        let merchant = merchant.clone();
        let read = move |conn: &mut _| case::list_cases(conn, &merchant, contested, status, after.as_ref(), limit);
        Ok(self.read(read).await?)
    }

    /// The merchant of a check, by its id alone: for those who have proved that they may ask about it, of any of them.
    pub async fn merchant_of(&self, check: &CheckId) -> Result<Option<MerchantId>, LedgerError> {
        let asked = check.clone();
        let found = self.read(move |conn| rows::find_merchant_of(conn, &asked, check::KIND)).await?;
        Ok(found.map(|id| id.parse().map_err(|e| DatabaseError::corrupt("merchant id", e))).transpose()?)
    }

    /// The referral or contest of this very check, with its outcome; none if it has none of its own.
    pub async fn referral_of(&self, merchant: &MerchantId, check: &CheckId) -> Result<Option<Referral>, LedgerError> {
        let (merchant, check) = (merchant.clone(), check.clone());
        Ok(self.read(move |conn| case::own_case(conn, &merchant, &check)).await?)
    }

    /// The case that a check belongs to: its own, or the one that it was added to.
    pub async fn case_of(&self, merchant: &MerchantId, check: &CheckId) -> Result<Option<Referral>, LedgerError> {
        let (merchant, check) = (merchant.clone(), check.clone());
        Ok(self.read(move |conn| case::case_of(conn, &merchant, &check)).await?)
    }

    /// A case with all there is to decide it by, what is personal opened; none when there is no such case, or its
    /// person has been erased since. [`LedgerError::Pruned`] when the body of the check's event is pruned.
    pub async fn find_referred(&self, merchant: &MerchantId, check: &CheckId) -> Result<Option<Referred>, LedgerError> {
        let (context, merchant, check) = (self.context.clone(), merchant.clone(), check.clone());
        self.read(move |conn| referral::find(conn, &context, &merchant, &check)).await
    }

    /// A check with what it takes to override it; none when there is none. [`LedgerError::Pruned`] when the body of its
    /// event is pruned.
    pub async fn find_refusal(&self, merchant: &MerchantId, check: &CheckId) -> Result<Option<Refusal>, LedgerError> {
        let (context, merchant, check) = (self.context.clone(), merchant.clone(), check.clone());
        self.read(move |conn| overrides::find_refusal(conn, &context, &merchant, &check)).await
    }

    /// The override of this check, if it was overridden.
    pub async fn find_override(
        &self,
        merchant: &MerchantId,
        check: &CheckId,
    ) -> Result<Option<Overridden>, LedgerError> {
        let (merchant, check) = (merchant.clone(), check.clone());
        Ok(self.read(move |conn| overrides::find(conn, &merchant, &check)).await?)
    }

    /// Up to `most` overrides of the merchant, or of one perk, the newest first, from before the granted check `before`.
    pub async fn list_overrides(
        &self,
        merchant: &MerchantId,
        perk: Option<PerkSlug>,
        before: Option<CheckId>,
        most: u32,
    ) -> Result<Vec<Overridden>, LedgerError> {
        let merchant = merchant.clone();
        let read = move |conn: &mut _| overrides::list(conn, &merchant, perk.as_ref(), before.as_ref(), most);
        Ok(self.read(read).await?)
    }

    /// Up to `most` checks behind `cursor` that `filter` means, of one person where one is given. Checks whose
    /// events were pruned are left out. A page may be empty and still not be the last.
    pub async fn list_checks(
        &self,
        merchant: &MerchantId,
        filter: EventFilter,
        person: Option<&SubjectHandle>,
        cursor: Option<&str>,
        most: usize,
    ) -> Result<Page<ListedCheck>, BrowseError> {
        lists::list_checks(self, merchant, filter, person, cursor, most).await
    }

    /// [`LedgerReader::list_checks`] of those that were granted, each as its grant with what became of it.
    pub async fn list_grants(
        &self,
        merchant: &MerchantId,
        filter: EventFilter,
        person: Option<&SubjectHandle>,
        cursor: Option<&str>,
        most: usize,
    ) -> Result<Page<ListedGrant>, BrowseError> {
        lists::list_grants(self, merchant, filter, person, cursor, most).await
    }

    /// Up to `most` events behind `cursor` that `filter` means; `person` takes the place of the filter's subjects.
    /// A page may be empty and still not be the last: a request looks at a bounded part of the log.
    /// [`BrowseError::Crowded`] when the merchant has too many searches waiting.
    pub async fn browse(
        &self,
        merchant: &MerchantId,
        filter: EventFilter,
        person: Option<&Person>,
        cursor: Option<&str>,
        most: usize,
    ) -> Result<EventPage, BrowseError> {
        browse::page(self, merchant, filter, person, cursor, most).await
    }

    /// The person of this handle; none if no event is about them, or they have been erased.
    pub async fn find_person(
        &self,
        merchant: &MerchantId,
        handle: &SubjectHandle,
    ) -> Result<Option<Person>, LedgerError> {
        let (merchant, subject) = (merchant.clone(), self.context.keyring.subject_refs(merchant, handle));
        Ok(self.read(move |conn| person::find_person(conn, &merchant, &subject)).await?)
    }

    /// The person's use of limits whose windows may still be open, the last used first.
    pub async fn limits_of(&self, merchant: &MerchantId, person: &Person) -> Result<Vec<LimitHeld>, LedgerError> {
        let (merchant, person, now) = (merchant.clone(), person.clone(), self.context.clock.now());
        Ok(self.read(move |conn| person::limits(conn, &merchant, &person, now)).await?)
    }

    /// Up to `most` events about the person behind `cursor`, oldest first, opened; nothing of someone who has been
    /// erased. As with [`LedgerReader::browse`], a page may be empty and still not be the last.
    pub async fn personal_events(
        &self,
        merchant: &MerchantId,
        person: &Person,
        cursor: Option<&str>,
        most: usize,
    ) -> Result<PersonalPage, BrowseError> {
        person::events(self, merchant, person, cursor, most).await
    }

    /// The stretch of the merchant's log that holds all that happened from `since` (or its beginning)
    /// to `until`, and a little more on both sides.
    pub async fn stretch(
        &self,
        merchant: &MerchantId,
        since: Option<Timestamp>,
        until: Timestamp,
    ) -> Result<Stretch, LedgerError> {
        let merchant = merchant.clone();
        Ok(self.read(move |conn| history::stretch(conn, &merchant, since, until)).await?)
    }

    /// The events in one page of the stretch, in the log's order; go on at its `next`.
    pub async fn past_events(
        &self,
        merchant: &MerchantId,
        stretch: Stretch,
        interest: &Interest,
    ) -> Result<HistoryPage, LedgerError> {
        let (keyring, merchant, interest) = (self.context.keyring.clone(), merchant.clone(), interest.clone());
        Ok(self.read(move |conn| history::page(conn, &keyring, &merchant, stretch, &interest)).await?)
    }

    /// [`LedgerReader::past_events`] for threads that may block.
    pub fn past_events_blocking(
        &self,
        merchant: &MerchantId,
        stretch: Stretch,
        interest: &Interest,
    ) -> Result<HistoryPage, LedgerError> {
        let WriterContext { database, keyring, .. } = &self.context;
        Ok(database.read_blocking(|conn| history::page(conn, keyring, merchant, stretch, interest))?)
    }

    /// The instant before which the merchant's log was pruned: of what was before, it may say less than happened.
    /// None when it never was.
    pub async fn pruned_before(&self, merchant: &MerchantId) -> Result<Option<Timestamp>, LedgerError> {
        let merchant = merchant.clone();
        Ok(self.read(move |conn| pruning::pruned_before(conn, &merchant)).await?)
    }

    /// The signed heads of fewer than `below` events, the newest first, up to `most`.
    pub async fn list_checkpoints(
        &self,
        merchant: &MerchantId,
        below: Option<u64>,
        most: u32,
    ) -> Result<Vec<SignedHead>, LedgerError> {
        let merchant = merchant.clone();
        Ok(self.read(move |conn| evidence::list_checkpoints(conn, &merchant, below, most)).await?)
    }

    /// The head that was signed when the merchant's log had this many events; none when nothing was.
    pub async fn find_checkpoint(&self, merchant: &MerchantId, size: u64) -> Result<Option<SignedHead>, LedgerError> {
        let merchant = merchant.clone();
        Ok(self.read(move |conn| evidence::find_checkpoint(conn, &merchant, size)).await?)
    }

    /// Proves that a recorded thing stands in the merchant's log of `size` events, or of as many as it has. The
    /// proof has been verified; the body is left out once it is pruned.
    pub async fn prove_inclusion(
        &self,
        merchant: &MerchantId,
        what: Recordable,
        size: Option<u64>,
    ) -> Result<InclusionProof, ProofError> {
        let merchant = merchant.clone();
        self.read(move |conn| evidence::inclusion(conn, &merchant, &what, size)).await
    }

    /// Proves that the merchant's log of `to` events, or of as many as it has, continues that of `from`. The proof
    /// has been verified.
    pub async fn prove_consistency(
        &self,
        merchant: &MerchantId,
        from: u64,
        to: Option<u64>,
    ) -> Result<ConsistencyProof, ProofError> {
        let merchant = merchant.clone();
        self.read(move |conn| evidence::consistency(conn, &merchant, from, to)).await
    }

    /// Number of logs, and the number of events they have together.
    pub async fn log_totals(&self) -> Result<(u64, u64), DatabaseError> {
        self.read(heads::sum_heads).await
    }
}
