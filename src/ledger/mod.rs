//! The one writer of grants, limits, redemptions and audit events.
//!
//! Everything that must be provable later passes through here: a check is admitted, its grant,
//! its limit use and its event are committed in one transaction, and only then does a
//! [`Recorded`] exist, without which no token can be signed. One thread per process writes; while
//! one batch commits, the next gathers.
//!
//! These must stay inside the transaction, and in this order (`write/batch.rs`): idempotency keys,
//! subjects, limit counters, grants' locks, then the log heads last. Everyone locks in that order
//! and sorted within each, so that two replicas can't wait for each other; and the heads, which
//! every batch of a merchant needs, are held for the shortest time. A referral that a person decides
//! (`cases/referral.rs`) is locked before all of these, and no batch locks one. Opening one locks its person's
//! row; an erasure locks that row before the referrals.
//!
//! A batch that needs no lock before it is decided is one statement, which locks in the same order (`write/at_once.rs`).
//!
//! What it holds goes in two ways: `retention/erasure.rs` destroys what names a person, `retention/pruning/` takes the
//! bodies of old events away. Neither touches a leaf hash, so every proof goes on holding. Facts of an event name
//! a person by their pseudonym only, as `subject`: by that they are found for their record (`read/person.rs`),
//! and what is personal beside it is sealed under their secret.
//!
//! - this page: the whole interface of [`Ledger`], which records; that of [`LedgerReader`] is the page of `read/`
//! - `write/`: the one thread, its batches and transactions: checks (`check`), redemptions, limits (`admission`), heads
//! - `digests/`: how limits know boarding passes and members of the context
//! - `cases/`, `grants/`, `retention/`: what people decide, how grants end, what is forgotten; `tend`: when
//! - `occupancy/`: who is inside, and what those say who can see the room
//! - `read/`, `idempotency/`: the log read back, and the same answer to the same request
//! - `entry`, `payment`, `door`, `events`, `recorded`: what is handed in, how it is written, and the proof of it; `store/`: rows
//!
//! # What holds for every method that records
//! Before: the caller is authorized, and acts for the merchant that it names: what is another merchant's is not found.
//! After `Ok`: rows and events are committed, together, with the new signed head of each log that they stand in.
//! After an error nothing is recorded, unless it is in doubt ([`LedgerError::InDoubt`], [`DatabaseError::InDoubt`]): the
//! answer did not come in time, or the database broke off during the commit, and only a retry or a look shows which.
//! [`LedgerError::Busy`]: it never began. A job that still waits when its caller gives up is not done later.
//!
//! To record something new: give it an event kind, write its rows and its event in one
//! [`Ledger::change`], or, when it is hot, make it a kind of `write::writer::Job`.

pub mod cases;
mod context;
pub mod digests;
pub mod door;
pub mod entry;
mod error;
pub mod events;
pub mod grants;
pub mod idempotency;
pub mod occupancy;
pub mod origin;
pub mod payment;
pub mod read;
mod recorded;
pub mod retention;
pub mod store;
mod tend;
pub mod write;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

pub use context::{PreparedSums, Summaries, WriterContext};
pub use error::LedgerError;
pub use read::LedgerReader;
pub use read::published::PublishedKeys;
pub use recorded::Recorded;
pub use write::handle::WriterLoad;

use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{GrantId, MerchantId};
use crate::foundation::subject::hex;
use crate::keyring::rotation::{Revocation, Rotation};
use cases::contest::{self, Contest, ContestError, Objection};
use cases::overrides::{self, OverrideEntry, OverrideRefused};
use cases::referral::{self, Resolution, ResolveError, Resolved};
use door::{RedeemEntry, Redeemed};
use entry::{Actor, CheckEntry, CheckRecord, EventDraft, Idempotency};
use grants::correction::{self, Corrected, Correction, CorrectionError};
use grants::ending::{self, GrantRevocation, Leaving, NamedBy, ReturnError, RevokedGrants};
use grants::undo::{self, UndoError, UndoReason, Undoing, Undone};
use idempotency::{Claim, Claimed, KeyScope};
use read::person::{self, Person};
use retention::erasure::{self, Erased, Erasure, Forgotten, Purge};
use retention::pruning::{self, Plan};
use write::batch::CheckOutcome;
use write::gateway_keys::{self, RotationError};
use write::handle::WriterHandle;

/// The time for which an idempotency key stands for its first answer.
pub const IDEMPOTENCY_WINDOW: Duration = Duration::from_hours(24);

/// The handle of the one writer; cheap to clone. The writer ends when the last handle is dropped.
#[derive(Clone)]
pub struct Ledger {
    writer: WriterHandle,
    reader: LedgerReader,
    purge: Purge,
}

impl Ledger {
    /// Starts the writer's thread. `queue` bounds what may wait, `largest_batch` what one transaction takes.
    ///
    /// # Errors
    /// When the thread can't be made.
    pub fn start(context: WriterContext, queue: usize, largest_batch: usize) -> std::io::Result<Self> {
        let (reader, purge) = (LedgerReader::new(context.clone()), Purge::new(context.database.clone()));
        Ok(Self { writer: WriterHandle::start(context, queue, largest_batch)?, reader, purge })
    }

    /// Waits until the writer has emptied its queue and closed its connection. Drop every handle
    /// after asking for this and before awaiting it: it ends with the last of them.
    pub fn ended(&self) -> impl Future<Output = ()> + use<> {
        self.writer.ended()
    }

    /// Looks after what no request does (`tend.rs`), until cancelled; every replica may. Without it a ledger that failed
    /// recovers with the next request only, what has expired is kept, and proofs over old logs stay slow.
    pub async fn tend(self, cancel: CancellationToken) {
        tend::until_cancelled(&self, &cancel).await;
    }

    /// The side that reads back what was recorded.
    pub const fn reader(&self) -> &LedgerReader {
        &self.reader
    }

    /// The context that the ledger works with: for reading back what it wrote.
    pub const fn context(&self) -> &WriterContext {
        &self.writer.context
    }

    /// Tells whether the last transaction failed for a reason that the next will meet too. No I/O.
    pub fn is_failing(&self) -> bool {
        self.writer.is_failing()
    }

    /// The load of the writer now. No I/O.
    #[must_use]
    pub fn load(&self) -> WriterLoad {
        self.writer.load()
    }

    // Checks and redemptions.

    /// Admits and records a check: its event, its use of limits, its grant or referral. A retry under its idempotency
    /// key gets the first one's record, [`LedgerError::KeyReused`] if it asks something else; without a key it
    /// is a check of its own. Nothing is begun after the entry's deadline.
    pub async fn check(&self, entry: CheckEntry) -> Result<Recorded<CheckRecord>, LedgerError> {
        match self.writer.check(entry).await? {
            CheckOutcome::Recorded(record) => Ok(Recorded::new(*record)),
            CheckOutcome::KeyReused => Err(LedgerError::KeyReused),
        }
    }

    /// Spends a token that the caller has verified, with its event; a refusal records nothing. Of several attempts at a
    /// single-use token one wins. The same attempt of the same door gets the first answer until the grant ends. What a
    /// door reports late is recorded also when the grant has ended since, and gets the first answer for good.
    pub async fn redeem(&self, entry: RedeemEntry) -> Result<Redeemed, LedgerError> {
        self.writer.redeem(entry).await
    }

    /// A caller's idempotency key and request as they are kept. Clients build keys from member
    /// numbers and the request names a person, so neither is stored as it is, nor by a hash that
    /// anybody could try handles against.
    pub fn idempotency(&self, key: &str, request_hash: [u8; 32]) -> Idempotency {
        let keyring = &self.context().keyring;
        Idempotency {
            key: hex(&keyring.blind(&[b"key\0", key.as_bytes()])),
            request_hash: keyring.blind(&[b"request\0", &request_hash]),
        }
    }

    /// A door's attempt as it is kept, for the same reason.
    pub fn attempt(&self, attempt: &str) -> String {
        hex(&self.context().keyring.blind(&[b"attempt\0", attempt.as_bytes()]))
    }

    // Other requests under an idempotency key.

    /// Claims an idempotency key for work that the caller does itself. After [`Claim::Fresh`] it stands, durably, until
    /// [`Ledger::keep`] or [`Ledger::release`]; a claim whose work was cut off may be taken over after a minute. A retry
    /// gets the answer that was kept, or [`Claim::InProgress`]; [`LedgerError::KeyReused`] if it asks something else.
    pub async fn claim(&self, scope: KeyScope, idempotency: Idempotency) -> Result<Claim, LedgerError> {
        idempotency::claim(self.context(), scope, idempotency).await
    }

    /// Keeps the answer of claimed work that is done, sealed, for [`IDEMPOTENCY_WINDOW`] since the claim. After an
    /// error a retry finds the claim without an answer.
    pub async fn keep(&self, claimed: Claimed, answer: &[u8]) -> Result<(), LedgerError> {
        idempotency::keep(self.context(), claimed, answer).await
    }

    /// Frees a claimed key: the work was refused, has changed nothing, and a mended request may come under it.
    pub async fn release(&self, claimed: Claimed) -> Result<(), LedgerError> {
        idempotency::release(self.context(), claimed).await
    }

    // Administrative changes.

    /// Runs an administrative write of another room in one transaction with the events that `f` pushes. `f` writes
    /// with this connection only, and its error rolls back everything. It may be run after its caller was cancelled
    /// if it had begun; a retry runs it again, so `f` itself must tell what is done already.
    pub async fn change<T, E>(
        &self,
        f: impl FnOnce(&mut AnyConnection, &mut Vec<EventDraft>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<LedgerError> + From<DatabaseError> + Send + 'static,
    {
        self.writer.change(f).await
    }

    /// Opens a case about a refusal, or adds it to the one that is open about the person and perk. Held until the commit:
    /// the person, so that no erasure misses the case. A retry gets [`ContestError::AlreadyContested`].
    pub async fn contest(&self, objection: Objection) -> Result<Contest, ContestError> {
        let event = Some(objection.event.clone());
        self.writer.in_writer(event, move |tx, _| contest::open(tx, &objection)).await
    }

    /// Records what a person decided about a referral or contest, with the grant in the place of the refusal if there
    /// is one: limits have their say, and [`ResolveError::NoRoom`] leaves the case open. A retry gets
    /// [`ResolveError::AlreadyDecided`].
    pub async fn resolve(&self, resolution: Resolution) -> Result<Resolved, ResolveError> {
        let event = Some(resolution.event.clone());
        let granted = self.writer.in_writer(event, move |tx, _| referral::decide(tx, &resolution)).await?;
        Ok(Resolved::committed(granted))
    }

    /// Overrides a refusal: the check that is granted in its place is counted in its limits, those that its rule names even
    /// past their maximum. Held until the commit: the case about the refusal, and the person. A retry gets
    /// [`OverrideRefused::AlreadyOverridden`].
    pub async fn override_refusal(&self, overriding: OverrideEntry) -> Result<Recorded<CheckRecord>, OverrideRefused> {
        let event = Some(overriding.entry.event.clone());
        let granted = self.writer.in_writer(event, move |tx, _| overrides::record(tx, &overriding)).await?;
        Ok(Recorded::new(*granted))
    }

    /// Ends a grant because the guest has left: its places are free and its token opens no door any more. A retry gets
    /// the same instant and records nothing; a grant that was voided is [`ReturnError::Voided`], unless its place
    /// is still held.
    pub async fn release_grant(
        &self,
        merchant: &MerchantId,
        grant: &GrantId,
        leaving: Leaving,
    ) -> Result<Timestamp, ReturnError> {
        let (merchant, grant, now) = (merchant.clone(), grant.clone(), self.context().clock.now());
        self.change(move |conn, events| ending::release(conn, events, &merchant, &grant, &leaving, now)).await
    }

    /// Corrects the party of a grant: it counts in the counters that its check touched, and more only with room in all
    /// of them. Up to [`correction::OPEN_FOR`] after the grant or its first redemption. A retry finds another state:
    /// [`CorrectionError::Stale`], unless any is expected.
    pub async fn correct_grant(
        &self,
        merchant: &MerchantId,
        grant: &GrantId,
        correction: Correction,
    ) -> Result<Corrected, CorrectionError> {
        let (merchant, grant, now) = (merchant.clone(), grant.clone(), self.context().clock.now());
        self.change(move |conn, events| correction::correct(conn, events, &merchant, &grant, &correction, now)).await
    }

    /// Takes grants of the merchant back, all of them or none: their tokens open no door any more. Give at most
    /// [`ending::AT_ONCE`] of them; the queue is in turn, so who asks for the next ones only when these are
    /// answered lets every check go first that waits by then. A retry counts them as voided already.
    pub async fn void_grants(
        &self,
        merchant: &MerchantId,
        grants: Vec<GrantId>,
        taking: GrantRevocation,
    ) -> Result<RevokedGrants, ReturnError> {
        let (merchant, now) = (merchant.clone(), self.context().clock.now());
        let by = NamedBy::Grant;
        self.change(move |conn, events| ending::void(conn, events, &merchant, &grants, &taking, by, now)).await
    }

    /// Takes back a grant that the caller gave in the last ten minutes and that no door has taken. What it used of limits is
    /// free at once where doors take its token online only, else when none takes it any more. A retry for the same reason is
    /// answered like the first; after another void it is [`UndoError::Voided`].
    pub async fn undo_grant(
        &self,
        merchant: &MerchantId,
        grant: &GrantId,
        by: Undoing,
        reason: UndoReason,
    ) -> Result<Undone, UndoError> {
        let (merchant, grant, now) = (merchant.clone(), grant.clone(), self.context().clock.now());
        self.change(move |conn, events| undo::undo(conn, events, &merchant, (&grant, &by, reason), now)).await
    }

    /// Frees what undone grants used of limits and no door can take any more; how many grants that were. Every replica does it
    /// each second (`tend.rs`); a retry goes on. One that can't be read is an error once all others are free.
    pub async fn free_undone(&self) -> Result<usize, LedgerError> {
        Box::pin(undo::free_undone(self)).await
    }

    /// Takes one grant back by its token: a void like any other, and its event says that the token was revoked.
    pub async fn revoke_token(
        &self,
        merchant: &MerchantId,
        grant: &GrantId,
        actor: Actor,
    ) -> Result<RevokedGrants, ReturnError> {
        let (merchant, grants, now) = (merchant.clone(), [grant.clone()], self.context().clock.now());
        let (taking, by) = (GrantRevocation::of_token(actor), NamedBy::Token);
        self.change(move |conn, events| ending::void(conn, events, &merchant, &grants, &taking, by, now)).await
    }

    // People.

    /// Erases a person, with the event `subject.erased`; `forget` deletes what other rooms hold on them, in the same
    /// transaction, and says how much that was. What is open about them is closed. None when nothing was held: then
    /// nothing is recorded, and so it is on a retry.
    pub async fn erase(
        &self,
        erasure: Erasure,
        forget: impl Fn(&mut AnyConnection) -> Result<Forgotten, DatabaseError> + Send + Sync + 'static,
    ) -> Result<Option<Erased>, LedgerError> {
        match erasure::erase(&self.writer, erasure, forget).await? {
            Some(erased) => Ok(Some(Erased { is_purged: self.purge.at_once().await, ..erased })),
            None => Ok(None),
        }
    }

    /// Records that what is held on a person is shown, before it is. Each call is an event of its own.
    pub async fn record_read(
        &self,
        merchant: &MerchantId,
        person: Option<&Person>,
        by: Actor,
    ) -> Result<(), LedgerError> {
        self.record(person::record_read(merchant, person, by)).await
    }

    // Retention.

    /// Plans what pruning the merchant's events from before `before` would take away, and what stands in its way.
    /// Nothing is changed; `progress` hears how many events of how many were looked at.
    pub async fn plan_pruning(
        &self,
        merchant: &MerchantId,
        before: Timestamp,
        progress: impl FnMut(i64, i64),
    ) -> Result<Plan, LedgerError> {
        pruning::plan(self.context(), merchant, before, progress).await
    }

    /// Does what was planned, unless something stands in its way: records it, then takes the bodies away in short
    /// transactions, and says how many went. Cut off in between, what went is pruned; a new plan takes the rest and
    /// counts nothing twice.
    pub async fn prune(&self, plan: &Plan, by: Actor, progress: impl FnMut(i64, i64)) -> Result<u64, LedgerError> {
        if plan.count == 0 || !plan.obstacles.is_empty() {
            return Ok(0);
        }
        pruning::sum_up(self.context(), &plan.merchant).await?;
        // First: bodies that are pruned without a word would look like someone's misdeed. An export that is read
        // meanwhile asks for this event when it finds one pruned, and must find it.
        self.record(pruning::event_of(plan, by)).await?;
        pruning::take(self.context(), plan, progress).await
    }

    // The gateway's keys.

    /// Makes the next token key, with its event in the operator's log. This replica has it at once, the others when they
    /// refresh. A retry makes another one.
    pub async fn rotate_token_key(&self, ahead: SignedDuration, by: Actor) -> Result<Rotation, RotationError> {
        let keyring = self.context().keyring.clone();
        let rotation = self.change(move |conn, events| gateway_keys::rotate(conn, events, &keyring, ahead, by)).await?;
        gateway_keys::refresh(self.context().keyring.clone()).await;
        Ok(rotation)
    }

    /// Withdraws the token key `kid`, with its event in the operator's log, and with that of the key that is made when
    /// none waits to take its place. This replica knows it at once, the others when they refresh: from then on no
    /// token under it is believed or sent. A retry changes nothing. None when no token key goes by this name.
    pub async fn revoke_token_key(&self, kid: String, by: Actor) -> Result<Option<Revocation>, RotationError> {
        let keyring = self.context().keyring.clone();
        let revocation =
            self.change(move |conn, events| gateway_keys::revoke(conn, events, &keyring, &kid, by)).await?;
        gateway_keys::refresh(self.context().keyring.clone()).await;
        Ok(revocation)
    }

    async fn record(&self, draft: EventDraft) -> Result<(), LedgerError> {
        let work = move |_: &mut AnyConnection, events: &mut Vec<EventDraft>| {
            events.push(draft);
            Ok(())
        };
        self.change(work).await
    }
}
