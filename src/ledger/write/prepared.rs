//! The part of recording a check that is done before its batch, by the thread that asks: while the one writer is
//! at another batch, others can seal, write and hash.
//!
//! It can be done where limits have no say and the person is remembered. The batch takes what was prepared only if it finds
//! the very same person; one who was erased meanwhile is another one, and all is worked out again.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::append::Leaf;
use super::arithmetic;
use super::check::{self, Settled};
use super::known::KnownSubjects;
use super::subjects::Subject;
use crate::database::DatabaseError;
use crate::decision::decide::Decision;
use crate::ledger::context::WriterContext;
use crate::ledger::entry::CheckEntry;
use crate::ledger::store::GrantRow;
use crate::rules::limit::{Counting, ScopeDigests};

/// A settled check as it will be written.
pub(crate) struct Written {
    pub settled: Settled,
    pub leaf: Leaf,
    pub grant: Option<GrantRow>,
}

impl Written {
    /// Writes a check that is settled.
    pub(crate) fn of(
        context: &WriterContext,
        check: &CheckEntry,
        subject: &Subject,
        settled: Settled,
    ) -> Result<Self, DatabaseError> {
        let leaf = check::leaf(context, check, subject, &settled)?;
        let grant = check::grant_row(check, &settled);
        Ok(Self { settled, leaf, grant })
    }
}

/// A check that is handed to the writer.
pub(crate) struct PreparedCheck {
    entry: CheckEntry,
    /// Until a batch takes it.
    ready: Mutex<Option<(Arc<Subject>, Written)>>,
}

impl PreparedCheck {
    /// Does what can be done for the entry now.
    pub(crate) fn new(context: &WriterContext, known: &KnownSubjects<Subject>, entry: CheckEntry) -> Self {
        let subject = if needs_no_lock(&entry) { known.find(&entry.subject, Instant::now()) } else { None };
        let ready = subject.and_then(|subject| {
            let settled = settle_without_limits(&entry, &subject);
            // What can't be written fails in the batch, which says so.
            let written = Written::of(context, &entry, &subject, settled).ok()?;
            Some((subject, written))
        });
        Self { entry, ready: Mutex::new(ready) }
    }

    /// The entry alone, for a transaction that is its own.
    pub(crate) const fn alone(entry: CheckEntry) -> Self {
        Self { entry, ready: Mutex::new(None) }
    }

    /// Takes the prepared part, once, if it is about this person.
    pub(crate) fn take(&self, subject: &Arc<Subject>) -> Option<Written> {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        ready.filter(|(known, _)| Arc::ptr_eq(known, subject)).map(|(_, written)| written)
    }
}

impl Deref for PreparedCheck {
    type Target = CheckEntry;

    fn deref(&self) -> &CheckEntry {
        &self.entry
    }
}

/// Tells whether a check can be recorded in one statement with its batch, if nobody else records anything meanwhile: its
/// limits' uses never lapse one by one, nothing is digested for them, and no person decides.
pub(crate) fn can_be_at_once(check: &CheckEntry) -> bool {
    let counts_sums = check.claims.iter().all(|claim| claim.counting == Counting::Sum);
    counts_sums && !check.needs_digests() && check.decided.decision != Decision::Referred
}

/// Tells whether a check is recorded as the rule has decided it: no limit has a say, nothing is digested for one, and no
/// person decides.
pub(crate) fn needs_no_lock(check: &CheckEntry) -> bool {
    check.claims.is_empty() && !check.needs_digests() && check.decided.decision != Decision::Referred
}

/// Settles a check that needs no lock.
pub(crate) fn settle_without_limits(check: &CheckEntry, subject: &Subject) -> Settled {
    let admission = check.decided.is_granted().then(|| arithmetic::admit(Vec::new()));
    check::settle(check, subject, ScopeDigests::default(), admission, None)
}
