//! One log, from its first event to its head.

use std::collections::VecDeque;

use super::body::{Body, Unreadable};
use super::books::LogBooks;
use super::findings::{Findings, Place, Wrong};
use super::logs::Log;
use super::store::{self, EventRow};
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::event::leaf_hash;
use crate::ledger::merkle::{Frontier, Hash};
use crate::ledger::note::{Checkpoint, VerifierKey};
use crate::ledger::origin;
use crate::ledger::store::CheckpointRow;

/// What somebody kept about this log, its signature checked.
pub(super) struct Pinned {
    pub label: String,
    pub size: u64,
    pub root: Hash,
    pub leaf: Option<(u64, Hash)>,
}

/// What the walk through a log has come to.
pub(super) struct Walk<'a> {
    log: &'a Log,
    trusted: &'a [VerifierKey],
    findings: &'a mut Findings,
    /// The index that comes next.
    next: i64,
    /// None behind a gap: no root can be made any more.
    frontier: Option<Frontier>,
    checkpoints: Checkpoints,
    /// The largest size up to which all is as it was signed.
    proven: u64,
    is_rewritten: bool,
    last_note: Option<CheckpointRow>,
    /// By size.
    pinned: VecDeque<Pinned>,
    /// By index.
    leaves: VecDeque<(u64, Hash, String)>,
    pub events: u64,
    pub pruned: u64,
}

/// The stored checkpoints, page by page.
#[derive(Default)]
struct Checkpoints {
    page: VecDeque<CheckpointRow>,
    last: Option<i64>,
    is_done: bool,
    count: u64,
}

impl Checkpoints {
    /// The next one whose size is at most `size`.
    fn next(&mut self, conn: &mut AnyConnection, log: &str, size: i64) -> Result<Option<CheckpointRow>, DatabaseError> {
        if self.page.is_empty() && !self.is_done {
            let page = store::list_checkpoints(conn, log, self.last.unwrap_or(i64::MIN))?;
            self.is_done = page.len() < store::PAGE;
            self.last = page.last().map(|row| row.size);
            self.page = page.into();
        }
        let is_due = self.page.front().is_some_and(|row| row.size <= size);
        self.count += u64::from(is_due);
        Ok(if is_due { self.page.pop_front() } else { None })
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        log: &'a Log,
        trusted: &'a [VerifierKey],
        mut pinned: Vec<Pinned>,
        findings: &'a mut Findings,
    ) -> Self {
        pinned.sort_by_key(|it| it.size);
        let mut leaves: Vec<_> =
            pinned.iter().filter_map(|it| it.leaf.map(|(index, hash)| (index, hash, it.label.clone()))).collect();
        leaves.sort_unstable();
        Self {
            log,
            trusted,
            findings,
            next: 0,
            frontier: Some(Frontier::default()),
            checkpoints: Checkpoints::default(),
            proven: 0,
            is_rewritten: false,
            last_note: None,
            pinned: pinned.into(),
            leaves: leaves.into(),
            events: 0,
            pruned: 0,
        }
    }

    /// Takes the next page of events.
    pub(super) fn take(
        &mut self,
        conn: &mut AnyConnection,
        page: &[EventRow],
        books: &mut LogBooks<'_>,
    ) -> Result<(), DatabaseError> {
        for event in page {
            self.events += 1;
            if event.log_index < self.next {
                // Before the first: the key of the table keeps every other index from coming twice.
                self.findings.add(self.log.at(event), Wrong::EventInserted { count: 1 });
                continue;
            }
            self.settle(conn)?;
            if event.log_index > self.next {
                let count = number(event.log_index.saturating_sub(self.next));
                self.findings.add(Place::index(self.log.name(), self.next), Wrong::EventMissing { count });
                self.frontier = None;
            }
            self.next = event.log_index.saturating_add(1);
            let stored = self.leaf(event);
            if let Some(frontier) = &mut self.frontier {
                frontier.append(stored);
            }
            self.read(event, books);
        }
        Ok(())
    }

    /// The stored leaf hash, compared with the body and with receipts.
    fn leaf(&mut self, event: &EventRow) -> Hash {
        let computed = event.body.as_deref().map(leaf_hash);
        let stored: Option<Hash> = event.leaf_hash.as_slice().try_into().ok();
        if stored.is_none() || computed.is_some_and(|computed| Some(computed) != stored) {
            self.findings.add(self.log.at(event), Wrong::LeafHash);
        }
        let stored = stored.or(computed).unwrap_or_default();
        while let Some((index, hash, label)) = self.leaves.pop_front() {
            if number(event.log_index) < index {
                self.leaves.push_front((index, hash, label));
                break;
            }
            // An index that was passed over is among those that are missing.
            if number(event.log_index) == index && hash != stored {
                self.findings.add(self.log.at(event), Wrong::AnchorLeaf { anchor: label });
            }
        }
        stored
    }

    fn read(&mut self, event: &EventRow, books: &mut LogBooks<'_>) {
        let Some(text) = event.body.as_deref() else {
            self.pruned += 1;
            books.skip(event.log_index);
            return;
        };
        let at = self.log.at(event);
        let read = Body::parse(text).and_then(|body| {
            for (is_same, column) in [
                (*body.id == *event.id, "id"),
                (*body.kind == *event.kind, "kind"),
                (*body.about == *event.about, "about"),
                (body.at.as_microsecond() == event.at, "at"),
            ] {
                if !is_same {
                    self.findings.add(at, Wrong::Column { column });
                }
            }
            if body.merchant.as_deref() != self.log.merchant() {
                let merchant = body.merchant.as_deref().unwrap_or("the operator").to_owned();
                self.findings.add(at, Wrong::Foreign { merchant });
            }
            books.take(at, &body, self.findings)
        });
        match read {
            Ok(()) => {}
            Err(Unreadable::Version(version)) => self.findings.add(at, Wrong::EventVersion { version }),
            Err(Unreadable::Form(reason)) => self.findings.add(at, Wrong::EventUnreadable { reason }),
        }
    }

    /// Holds the root at the size so far to the checkpoints and anchors of that size.
    fn settle(&mut self, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        while let Some(row) = self.checkpoints.next(conn, &self.log.head.id, self.next)? {
            if let Some(signed) = self.open(&row) {
                self.hold_to(row.size, &signed);
            }
            self.last_note = Some(row);
        }
        let size = number(self.next);
        while let Some(pinned) = self.pinned.pop_front_if(|it| it.size <= size) {
            let is_same =
                pinned.size == size && self.frontier.as_ref().is_some_and(|frontier| frontier.root() == pinned.root);
            if !is_same {
                let wrong = Wrong::HistoryRewritten { anchor: pinned.label, size: pinned.size };
                self.findings.add(Place::log(self.log.name()), wrong);
            }
        }
        Ok(())
    }

    /// What a stored checkpoint proves, if it proves anything about this log.
    fn open(&mut self, row: &CheckpointRow) -> Option<Checkpoint> {
        let size = row.size;
        let wrong = match Checkpoint::open(&row.note, self.trusted) {
            Err(error) => Wrong::CheckpointSignature { size, reason: error.to_string() },
            Ok(signed) if signed.origin != origin(&self.log.head.id) => {
                Wrong::CheckpointForeign { size, origin: signed.origin }
            }
            Ok(signed) if i64::try_from(signed.size) != Ok(size) => Wrong::CheckpointSize { size, signed: signed.size },
            Ok(signed) => return Some(signed),
        };
        self.findings.add(Place::log(self.log.name()), wrong);
        None
    }

    fn hold_to(&mut self, size: i64, signed: &Checkpoint) {
        // Behind the first wrong root all others are wrong too, and say nothing new.
        let Some(frontier) = self.frontier.as_ref().filter(|_| !self.is_rewritten && size == self.next) else { return };
        if frontier.root() == signed.root {
            self.proven = signed.size;
        } else {
            self.is_rewritten = true;
            let from = self.proven;
            let place = Place::index(self.log.name(), i64::try_from(from).unwrap_or(i64::MAX));
            self.findings.add(place, Wrong::Root { from, size: signed.size });
        }
    }

    /// After the last event: what must come to an end with it. Returns how many checkpoints there are.
    pub(super) fn close(mut self, conn: &mut AnyConnection) -> Result<(u64, u64, u64), DatabaseError> {
        self.settle(conn)?;
        let (name, head) = (self.log.name(), &self.log.head);
        let size = number(self.next);
        let mut signed_size = 0;
        while let Some(row) = self.checkpoints.next(conn, &head.id, i64::MAX)? {
            if let Some(signed) = self.open(&row) {
                signed_size = signed.size;
            }
            self.last_note = Some(row);
        }
        let expected = signed_size.max(number(head.size));
        if expected > size {
            let place = Place::index(name, self.next);
            self.findings.add(place, Wrong::EventMissing { count: expected - size });
        } else if self.events == 0 {
            self.findings.add(Place::log(name), Wrong::LogEmpty);
        }
        if head.size < self.next {
            let count = size - number(head.size);
            self.findings.add(Place::index(name, head.size), Wrong::EventInserted { count });
        }
        let covered = self.last_note.as_ref().map_or(0, |row| number(row.size));
        if covered < size && head.size >= self.next {
            let place = Place::index(name, i64::try_from(covered).unwrap_or(i64::MAX));
            self.findings.add(place, Wrong::CheckpointMissing { from: covered, size });
        }
        self.close_head();
        for pinned in &self.pinned {
            let wrong = Wrong::HistoryCut { anchor: pinned.label.clone(), size: pinned.size, found: size };
            self.findings.add(Place::index(name, self.next), wrong);
        }
        Ok((self.events, self.pruned, self.checkpoints.count))
    }

    fn close_head(&mut self) {
        let head = &self.log.head;
        let mut wrong = Vec::new();
        if head.size != self.next {
            wrong.push("size");
        }
        if let Some(frontier) = &self.frontier {
            if head.root.as_slice() != frontier.root() {
                wrong.push("root");
            }
            if head.frontier != frontier.to_bytes() {
                wrong.push("frontier");
            }
        }
        if self.last_note.as_ref().is_none_or(|row| row.note != head.checkpoint) {
            wrong.push("checkpoint");
        }
        for part in wrong {
            self.findings.add(Place::log(self.log.name()), Wrong::Head { part });
        }
    }
}

/// What is counted is never negative; what was made so in the table counts as nothing.
fn number(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
