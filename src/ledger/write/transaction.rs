//! One transaction of the writer, as the work in it sees it.

use jiff::Timestamp;

use super::append::{self, Leaf};
use super::known::Known;
use super::subjects;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::EventId;
use crate::ledger::context::WriterContext;
use crate::ledger::entry::{EventDraft, LogOwner, Receipt};
use crate::ledger::events::{Event, leaf_hash};

/// The handle that the work reads and writes with. All of the work is committed, or none of it.
pub(crate) struct Transaction<'a> {
    pub conn: &'a mut AnyConnection,
    pub context: &'a WriterContext,
    pub known: &'a mut Known,
}

/// When the writer came to a piece of work, and the event by which it is found again when the connection breaks
/// during the commit.
#[derive(Clone)]
pub(crate) struct WorkStamp {
    pub at: Timestamp,
    pub event: EventId,
}

impl Transaction<'_> {
    /// Appends the leaves to their logs, in this order; the last step of every transaction, as it locks the heads.
    pub(crate) fn append(&mut self, leaves: Vec<Leaf>) -> Result<Vec<Receipt>, DatabaseError> {
        append::append(self, leaves, Vec::new())
    }

    /// Appends the events of an administrative write.
    pub(crate) fn append_drafts(
        &mut self,
        stamp: &WorkStamp,
        mut drafts: Vec<EventDraft>,
    ) -> Result<(), DatabaseError> {
        // After what was done: an auditor holds the rows to have been made no later than their event.
        let at = self.context.clock.now().max(stamp.at);
        if drafts.iter().any(|draft| draft.log == LogOwner::Operator) {
            drafts.splice(..0, super::gateway_keys::unrecorded(self.conn, self.context, &drafts)?);
        }
        let mut leaves = Vec::with_capacity(drafts.len());
        for (nth, draft) in drafts.into_iter().enumerate() {
            let id = if nth == 0 { stamp.event.clone() } else { EventId::new(at, &self.context.entropy) };
            leaves.push(self.leaf_of(draft, id, at)?);
        }
        self.append(leaves)?;
        Ok(())
    }

    fn leaf_of(&mut self, draft: EventDraft, id: EventId, at: Timestamp) -> Result<Leaf, DatabaseError> {
        // Without the person there is no key to seal it with, and in the clear it could name them.
        let subject = match (&draft.personal, draft.log.merchant()) {
            (Some(personal), Some(merchant)) => {
                subjects::find(self.conn, &self.context.keyring, merchant, &personal.subject)?
            }
            _ => None,
        };
        let sealed = draft.personal.zip(subject).map(|(personal, (_, subject))| {
            subject.secret.seal(&id, personal.fields.canonical().as_bytes(), &self.context.entropy)
        });
        let body = Event {
            id: &id,
            kind: draft.kind,
            at,
            merchant: draft.log.merchant(),
            actor: &draft.actor,
            about: &draft.about,
            facts: &draft.facts,
            sealed: sealed.as_deref(),
        }
        .to_body();
        Ok(Leaf { log: draft.log, id, kind: draft.kind, about: draft.about, at, hash: leaf_hash(&body), body })
    }
}
