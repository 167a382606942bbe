//! Requests of people by the links of their answers, and what becomes of them. An erasure that was asked for so is carried
//! out when the last window of a limit ends that holds the person: otherwise erasing after each visit would undo every
//! limit. It waits for 30 days at most, as the law gives a month; and for the record, where the person asked for that too.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::access::Merchant;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::Clock;
use crate::foundation::entropy::Entropy;
use crate::foundation::ids::{CheckId, MerchantId, PerkSlug, SubjectRequestId};
use crate::foundation::subject::{Pseudonym, SubjectHandle};
use crate::keyring::Keyring;
use crate::ledger::cases::requests::{
    self, PERSON, RequestDecision, RequestKind, RequestStatus, SubjectRequest, SubjectRequestError,
};
use crate::ledger::entry::Actor;
use crate::ledger::read::person::{self, LimitHeld};
use crate::ledger::retention::erasure::{AskedFor, Erasure};
use crate::ledger::{Ledger, LedgerError};
use crate::perks::catalog::Catalog;
use crate::rules::window::{Window, counts_until};
use crate::scores::{ScoreError, Scores};
use crate::telemetry::Outage;

/// The longest that an erasure waits for limits, from when it was asked for.
pub const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How often it is looked for what is due.
const EVERY: Duration = Duration::from_mins(1);

/// Number of erasures that are due that are read at once.
const PAGE: u32 = 100;

/// Takes requests and carries them out. Cheap to clone.
#[derive(Clone)]
pub struct SubjectRequests {
    pub(crate) ledger: Ledger,
    pub(crate) scores: Scores,
    pub(crate) keyring: Keyring,
    pub(crate) catalog: Catalog,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
}

/// A request with the person's handle, unless they have been erased.
#[derive(Debug, Clone)]
pub struct RequestOf {
    pub request: SubjectRequest,
    pub handle: Option<SubjectHandle>,
    /// True for an erasure that the record comes before which the person asked for too.
    pub waits_for_record: bool,
}

impl SubjectRequests {
    /// Makes a request by the link of a check, or finds the one for the same that is pending: true for one that was made.
    ///
    /// # Errors
    /// [`SubjectRequestError::Erased`], and the database's.
    pub async fn make(
        &self,
        merchant: &MerchantId,
        check: &CheckId,
        kind: RequestKind,
    ) -> Result<(SubjectRequest, bool), SubjectRequestError> {
        let now = self.clock.now();
        let (id, merchant, check) = (SubjectRequestId::new(now, &self.entropy), merchant.clone(), check.clone());
        let change = move |conn: &mut _, events: &mut _| {
            requests::make(conn, events, (&merchant, &check), (&id, kind), (&PERSON, now))
        };
        self.ledger.change(change).await
    }

    /// Confirms a request that is open, or declines it; an erasure that was confirmed can be declined until it is carried
    /// out. What is confirmed of a record is the merchant's to hand over. An erasure is due as [`Self::list`] says it; true with
    /// one that waits for the record.
    ///
    /// # Errors
    /// [`SubjectRequestError`].
    pub async fn decide(
        &self,
        merchant: &Merchant,
        request: &SubjectRequestId,
        confirms: bool,
        (note, by): (Option<String>, Actor),
    ) -> Result<(SubjectRequest, bool), SubjectRequestError> {
        let now = self.clock.now();
        let found = self.find(&merchant.id, request).await?.ok_or(SubjectRequestError::NotFound)?;
        let due_at = match (confirms, found.kind) {
            (true, RequestKind::Erasure) => Some(self.free_at(&found, now).await?),
            _ => None,
        };
        let waits = due_at.is_some() && self.waits_for_record(&found, now).await?;
        let decision = RequestDecision { request: request.clone(), confirms, due_at, note, by };
        let merchant = merchant.id.clone();
        let change = move |conn: &mut _, events: &mut _| requests::decide(conn, events, &merchant, &decision, now);
        let mut decided: SubjectRequest = self.ledger.change(change).await?;
        decided.due_at = decided.due_at.map(|due| put_off(&decided, due, waits));
        Ok((decided, waits))
    }

    /// Up to `most` requests of the merchant behind `after`, oldest first, with whose they are. A confirmed erasure is due
    /// when it can be carried out as things are.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(
        &self,
        merchant: &MerchantId,
        status: Option<RequestStatus>,
        after: Option<SubjectRequestId>,
        most: u32,
    ) -> Result<Vec<RequestOf>, LedgerError> {
        let (merchant, keyring, now) = (merchant.clone(), self.keyring.clone(), self.clock.now());
        let read = move |conn: &mut AnyConnection| {
            let found = requests::list(conn, &merchant, status, after.as_ref(), most)?.into_iter();
            let with_handle = found.map(|request| {
                let handle = requests::handle_of(conn, &keyring, &request)?;
                Ok(RequestOf { request, handle, waits_for_record: false })
            });
            with_handle.collect::<Result<Vec<_>, DatabaseError>>()
        };
        let mut all: Vec<RequestOf> = self.read(read).await?;
        for RequestOf { request, waits_for_record, .. } in &mut all {
            *waits_for_record = self.waits_for_record(request, now).await?;
            if request.due_at.is_some() {
                request.due_at = self.due_if(request, *waits_for_record, now).await?;
            }
        }
        Ok(all)
    }

    /// A request of the merchant.
    ///
    /// # Errors
    /// The database's.
    pub async fn find(
        &self,
        merchant: &MerchantId,
        request: &SubjectRequestId,
    ) -> Result<Option<SubjectRequest>, LedgerError> {
        let (merchant, request) = (merchant.clone(), request.clone());
        Ok(self.read(move |conn| requests::find(conn, &merchant, &request)).await?)
    }

    /// The requests that were made by the link of this check.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_by(&self, merchant: &MerchantId, check: &CheckId) -> Result<Vec<SubjectRequest>, LedgerError> {
        let (merchant, check) = (merchant.clone(), check.clone());
        Ok(self.read(move |conn| requests::list_by(conn, &merchant, &check)).await?)
    }

    /// When an erasure is carried out, as things are at `now`: one that isn't decided, if it were confirmed then. Visits since
    /// it was confirmed may have put it off, and one that waits for the record is not carried out before the longest wait is
    /// over. None for anything else.
    ///
    /// # Errors
    /// The database's.
    pub async fn carried_out_at(
        &self,
        request: &SubjectRequest,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, LedgerError> {
        self.due_if(request, self.waits_for_record(request, now).await?, now).await
    }

    async fn due_if(
        &self,
        request: &SubjectRequest,
        waits: bool,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, LedgerError> {
        if !is_pending_erasure(request) {
            return Ok(request.due_at);
        }
        let earliest = self.free_at(request, now).await?;
        Ok(Some(put_off(request, request.due_at.map_or(earliest, |due| due.max(earliest)), waits)))
    }

    /// Tells whether this is an erasure that is pending, of a person who asked for their record too and doesn't have it, and
    /// that waits for it still.
    async fn waits_for_record(&self, request: &SubjectRequest, now: Timestamp) -> Result<bool, LedgerError> {
        if !is_pending_erasure(request) || now >= last_wait(request) {
            return Ok(false);
        }
        let (merchant, name) = (request.merchant.clone(), request.subject.clone());
        Ok(self.read(move |conn| requests::is_record_pending(conn, &merchant, &name)).await?)
    }

    /// Looks for erasures that are due until cancelled; every replica may.
    pub async fn follow(self, cancel: CancellationToken) {
        let outage = Outage::new("erasures that people asked for can't be carried out", "they are carried out again");
        while cancel.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            match cancel.run_until_cancelled(self.carry_out_due()).await {
                None => return,
                Some(Ok(_)) => outage.succeeded(),
                Some(Err(error)) => outage.failed(&error),
            }
        }
    }

    /// Carries out the erasures that are due; how many those were. One whose person is held by a limit again waits on, up
    /// to [`LONGEST_WAIT`]. One that fails keeps no other waiting.
    ///
    /// # Errors
    /// That of the first that failed, once all were tried.
    pub async fn carry_out_due(&self) -> Result<usize, ScoreError> {
        let now = self.clock.now();
        let (mut done, mut failed, mut after) = (0, None, None);
        loop {
            let page = self.read(move |conn| requests::list_due(conn, now, after, PAGE)).await?;
            for request in page.requests {
                let carried_out = match request {
                    Ok(request) => self.carry_out(request, now).await,
                    Err(error) => Err(error.into()),
                };
                match carried_out {
                    Ok(is_done) => done += usize::from(is_done),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        failed.map_or(Ok(done), Err)
    }

    /// Carries out an erasure that is due; false if limits hold the person, the record that they asked for too is not
    /// theirs yet, or nobody is left to be erased.
    async fn carry_out(&self, request: SubjectRequest, now: Timestamp) -> Result<bool, ScoreError> {
        let limits = self.limits_held(&request, now).await?;
        if self.free_of(&request, &limits, now).await > now {
            return Ok(false);
        }
        let name = Pseudonym::stored(&request.subject);
        let asked = AskedFor { name, limits, waits_until: last_wait(&request) };
        let (keyring, of) = (self.keyring.clone(), request.clone());
        let handle = self.read(move |conn| requests::handle_of(conn, &keyring, &of)).await?;
        let Some(handle) = handle else { return Ok(false) };
        let subject = self.keyring.subject_refs(&request.merchant, &handle);
        let erasure = Erasure { merchant: request.merchant, subject, by: PERSON, asked: Some(asked) };
        Ok(self.scores.erase(&self.ledger, erasure).await?.is_some())
    }

    /// The end of the last window that holds the person, from `now` on; limits that count for ever hold nobody here.
    async fn free_at(&self, request: &SubjectRequest, now: Timestamp) -> Result<Timestamp, LedgerError> {
        let held = self.limits_held(request, now).await?;
        Ok(self.free_of(request, &held, now).await)
    }

    async fn free_of(&self, request: &SubjectRequest, held: &[LimitHeld], now: Timestamp) -> Timestamp {
        let mut free_at = now;
        for limit in held {
            free_at = free_at.max(self.ends_at(&request.merchant, limit, now).await.unwrap_or(now));
        }
        free_at.min(last_wait(request).max(now))
    }

    async fn limits_held(&self, request: &SubjectRequest, now: Timestamp) -> Result<Vec<LimitHeld>, LedgerError> {
        let (of, name) = (request.merchant.clone(), Pseudonym::stored(&request.subject));
        Ok(self.read(move |conn| person::limits_of(conn, &of, &name, now)).await?)
    }

    /// When a window ends that was used; none where it counts for ever. Of a limit that no rule has any more it is the
    /// latest that it can be.
    async fn ends_at(&self, merchant: &MerchantId, held: &LimitHeld, now: Timestamp) -> Option<Timestamp> {
        let used_at = held.last_used_at;
        let at_most = counts_until(&held.window, used_at);
        let Some(slug) = held.perk.as_deref().and_then(|slug| slug.parse::<PerkSlug>().ok()) else { return at_most };
        let Ok(perk) = self.catalog.open_perk(merchant, &slug).await else { return at_most };
        let Ok(deciding) = self.catalog.deciding(merchant, &perk, now).await else { return at_most };
        let rule = &deciding.rule;
        let by_hand = rule.by_hand().each().map(|(_, terms)| terms.limit());
        let mut limits = rule.limits().iter().chain(by_hand);
        let Some(limit) = limits.find(|limit| limit.id == held.limit) else { return at_most };
        let after = |seconds: i64| used_at.checked_add(SignedDuration::from_secs(seconds)).ok();
        match limit.window {
            Window::Lifetime => None,
            Window::Rolling(length) => after(length.seconds()),
            Window::Concurrent { max_stay } => after(max_stay.seconds().saturating_add(rule.token().ttl.seconds())),
            Window::Calendar(_) => limit.window.next_start(rule.time_zone(), used_at).or(at_most),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut AnyConnection) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        self.ledger.context().database.read(work).await
    }
}

const fn is_pending_erasure(request: &SubjectRequest) -> bool {
    matches!((request.kind, request.status), (RequestKind::Erasure, RequestStatus::Open | RequestStatus::Confirmed))
}

/// When an erasure is carried out that limits let be from `due` on, and that may wait for the record.
fn put_off(request: &SubjectRequest, due: Timestamp, waits_for_record: bool) -> Timestamp {
    if waits_for_record { due.max(last_wait(request)) } else { due }
}

/// Until when an erasure waits at most, for limits and for the record.
fn last_wait(request: &SubjectRequest) -> Timestamp {
    request.asked_at.checked_add(LONGEST_WAIT).unwrap_or(Timestamp::MAX)
}
