//! One log, from its first event to its last, wherever they come from.

use std::collections::{BTreeSet, VecDeque};

use super::expected_state::ExpectedLog;
use super::findings::{At, FindingPlace, Findings, Wrong};
use super::source::{Entry, Identity};
use crate::audit::reader::body::{Body, Unreadable};
use crate::ledger::events::leaf_hash;
use crate::ledger::origin;
use crate::tlog::merkle::{Frontier, Hash, Subtree};
use crate::tlog::note::{Checkpoint, NoteError, VerifierKey};

/// Whose signatures count, and which are looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    pub keys: Vec<VerifierKey>,
    /// Not the last one's only.
    pub every_signature: bool,
}

/// An anchor of this log that someone kept, its signature checked.
pub(crate) struct Pinned {
    pub label: String,
    pub size: u64,
    pub root: Hash,
    pub leaf: Option<(u64, Hash)>,
}

/// A checkpoint as its source has it.
pub(crate) struct Stored {
    pub size: i64,
    pub note: String,
    pub place: FindingPlace,
    /// True if its signature was looked at, or something about it was recorded.
    is_settled: bool,
}

impl Stored {
    pub(crate) const fn new(size: i64, note: String, place: FindingPlace) -> Self {
        Self { size, note, place, is_settled: false }
    }
}

/// The state of the walk through a log.
pub(crate) struct LogScanner<'a> {
    log: &'a Identity,
    trust: &'a Trust,
    /// Those that it trusts to sign this log.
    keys: Vec<VerifierKey>,
    /// The index that comes next.
    next: i64,
    /// None behind a gap: no root can be made any more.
    frontier: Option<Frontier>,
    /// Subtrees that are whole with the last leaf.
    whole: Vec<Subtree>,
    /// The largest size up to which all is as it was signed.
    proven: u64,
    is_rewritten: bool,
    /// True once it was reported that no trusted key is of this log.
    is_without_key: bool,
    last: Option<Stored>,
    /// The sizes of checkpoints whose signature was recorded as wrong though it could have been passed over.
    forged: BTreeSet<i64>,
    /// The largest size that was signed for.
    signed_size: u64,
    /// By size.
    pinned: VecDeque<Pinned>,
    /// By index.
    leaves: VecDeque<(u64, Hash, String)>,
    pub events: u64,
    pub pruned: u64,
    pub checkpoints: u64,
}

impl<'a> LogScanner<'a> {
    /// A walk that goes on at the index `from`, behind the leaves of `frontier`; without it no root can
    /// be made.
    pub(crate) fn new(
        log: &'a Identity,
        trust: &'a Trust,
        (from, frontier): (i64, Option<Frontier>),
        mut pinned: Vec<Pinned>,
    ) -> Self {
        pinned.sort_by_key(|it| it.size);
        let mut leaves: Vec<_> =
            pinned.iter().filter_map(|it| it.leaf.map(|(index, hash)| (index, hash, it.label.clone()))).collect();
        leaves.sort_unstable();
        Self {
            log,
            trust,
            keys: origin::keys_of(&log.origin, &trust.keys),
            next: from,
            frontier,
            whole: Vec::new(),
            proven: number(from),
            is_rewritten: false,
            is_without_key: false,
            last: None,
            forged: BTreeSet::new(),
            signed_size: 0,
            pinned: pinned.into(),
            leaves: leaves.into(),
            events: 0,
            pruned: 0,
            checkpoints: 0,
        }
    }

    /// Goes on at a later index, behind the leaves of `frontier`.
    pub(crate) fn jump(&mut self, from: i64, frontier: Option<Frontier>) {
        (self.next, self.frontier, self.proven) = (from, frontier, number(from));
    }

    /// Holds the leaves so far to the checkpoint that an export says it continues.
    pub(crate) fn continues(&self, stored: &Stored, findings: &mut Findings) {
        let wrong = match self.open(stored, true) {
            Err(wrong) => wrong,
            Ok(signed) if self.frontier.as_ref().is_some_and(|frontier| frontier.root() != signed.root) => {
                Wrong::ExportFork { size: signed.size }
            }
            Ok(_) => return,
        };
        findings.add(stored.place.clone(), wrong);
    }

    /// Number of leaves that are behind it.
    pub(crate) const fn next(&self) -> i64 {
        self.next
    }

    pub(crate) const fn frontier(&self) -> Option<&Frontier> {
        self.frontier.as_ref()
    }

    /// The subtrees that are whole with the last leaf, the smallest first.
    pub(crate) fn whole(&self) -> &[Subtree] {
        &self.whole
    }

    /// The last checkpoint.
    pub(crate) const fn last(&self) -> Option<&Stored> {
        self.last.as_ref()
    }

    /// Takes the next leaf.
    pub(crate) fn take(&mut self, entry: &Entry<'_>, books: &mut ExpectedLog<'_>, findings: &mut Findings) {
        self.events += u64::from(!entry.is_bare);
        self.whole.clear();
        if entry.index < self.next {
            // In a database, before the first: the key of the table keeps every other from coming twice.
            let wrong = match entry.line {
                None => Wrong::EventInserted { count: 1 },
                Some(_) => Wrong::RecordOrder { expected: self.next },
            };
            findings.add(self.at(entry, ""), wrong);
            return;
        }
        self.settle_pinned(findings);
        if entry.index > self.next {
            let count = number(entry.index.saturating_sub(self.next));
            findings.add(FindingPlace::index(&self.log.name, self.next).on(entry.line), Wrong::EventMissing { count });
            self.frontier = None;
        }
        self.next = entry.index.saturating_add(1);
        let computed = entry.body.map(leaf_hash);
        let leaf = entry.leaf_hash.or(computed).unwrap_or_default();
        if let Some(frontier) = &mut self.frontier {
            frontier.append_telling(leaf, |subtree| self.whole.push(subtree));
        }
        let read = entry.body.map(Body::parse);
        let id = read.as_ref().and_then(|read| read.as_ref().ok()).map_or("", |body| &*body.id);
        let at = self.at(entry, id);
        if entry.leaf_hash.is_none() || computed.is_some_and(|computed| computed != leaf) {
            findings.add(at, Wrong::LeafHash);
        }
        while let Some((index, hash, label)) = self.leaves.pop_front_if(|it| it.0 <= number(entry.index)) {
            // An index that was passed over is among those that are missing.
            if number(entry.index) == index && hash != leaf {
                findings.add(at, Wrong::AnchorLeaf { anchor: label });
            }
        }
        let taken = match &read {
            None if entry.is_bare => {
                books.outside();
                Ok(())
            }
            None => {
                self.pruned += 1;
                books.record_pruned(at, entry.columns.as_ref(), findings);
                Ok(())
            }
            Some(Ok(body)) => {
                self.compare(body, entry, at, findings);
                books.take(at, body, findings)
            }
            Some(Err(unreadable)) => Err(unreadable.clone()),
        };
        match taken {
            Ok(()) => {}
            Err(Unreadable::Version(version)) => findings.add(at, Wrong::EventVersion { version }),
            Err(Unreadable::Form(reason)) => findings.add(at, Wrong::EventUnreadable { reason }),
        }
    }

    /// Where an entry stands. In a database it goes by what its column says.
    fn at<'e>(&self, entry: &Entry<'e>, id: &'e str) -> At<'e>
    where
        'a: 'e,
    {
        let event = entry.columns.as_ref().map_or(id, |columns| columns.id);
        At { log: &self.log.name, index: entry.index, event, line: entry.line }
    }

    /// Compares what is said beside the body with the body.
    fn compare(&self, body: &Body<'_>, entry: &Entry<'_>, at: At<'_>, findings: &mut Findings) {
        if let Some(columns) = &entry.columns {
            for (is_same, column) in [
                (*body.id == *columns.id, "id"),
                (*body.kind == *columns.kind, "kind"),
                (*body.about == *columns.about, "about"),
                (body.at.0 == columns.at, "at"),
                (columns.actor.is_none_or(|actor| body.actor.is_named(actor)), "actor"),
            ] {
                if !is_same {
                    findings.add(at, Wrong::Column { column });
                }
            }
        }
        if body.merchant.as_deref() != self.log.merchant.as_deref() {
            let merchant = body.merchant.as_deref().unwrap_or("the operator").to_owned();
            findings.add(at, Wrong::Foreign { merchant });
        }
    }

    /// Takes a checkpoint, whose place is behind the leaves that it covers.
    pub(crate) fn checkpoint(&mut self, mut stored: Stored, findings: &mut Findings) {
        self.checkpoints += 1;
        // Beyond the end something was cut off, if it was signed; and there is no root to tell by.
        let verifies = self.trust.every_signature || stored.size > self.next;
        match self.open(&stored, verifies) {
            Ok(signed) => {
                if verifies {
                    stored.is_settled = true;
                    self.signed_size = self.signed_size.max(signed.size);
                }
                self.hold_to(&mut stored, &signed, findings);
            }
            Err(wrong) => {
                stored.is_settled = true;
                // It is so of every checkpoint, and once is enough.
                let is_repeated = self.is_without_key && matches!(wrong, Wrong::LogKeyMissing { .. });
                self.is_without_key |= matches!(wrong, Wrong::LogKeyMissing { .. });
                if !is_repeated {
                    findings.add(stored.place.clone(), wrong);
                }
            }
        }
        self.last = Some(stored);
    }

    /// Opens a stored checkpoint; the error says why it proves nothing about this log.
    fn open(&self, stored: &Stored, verifies: bool) -> Result<Checkpoint, Wrong> {
        let (size, keys) = (stored.size, self.keys.as_slice());
        let opened =
            if verifies { Checkpoint::open(&stored.note, keys) } else { Checkpoint::claimed(&stored.note, keys) };
        // A key that may not sign this log may sign another: then it is that one's.
        let foreign = || origin::open(&stored.note, &self.trust.keys).map_err(|_| NoteError::UnknownKey);
        let opened = if opened == Err(NoteError::UnknownKey) { foreign() } else { opened };
        match opened {
            Err(NoteError::UnknownKey) if keys.is_empty() => {
                Err(Wrong::LogKeyMissing { origin: self.log.origin.clone() })
            }
            Err(error) => Err(Wrong::CheckpointSignature { size, reason: error.to_string() }),
            Ok(signed) if signed.origin != self.log.origin => {
                Err(Wrong::CheckpointForeign { size, origin: signed.origin })
            }
            Ok(signed) if i64::try_from(signed.size) != Ok(size) => {
                Err(Wrong::CheckpointSize { size, signed: signed.size })
            }
            Ok(signed) => Ok(signed),
        }
    }

    fn hold_to(&mut self, stored: &mut Stored, signed: &Checkpoint, findings: &mut Findings) {
        // Behind the first wrong root all others are wrong too, and say nothing new.
        let is_comparable = !self.is_rewritten && stored.size == self.next;
        let Some(frontier) = self.frontier.as_ref().filter(|_| is_comparable) else { return };
        if frontier.root() == signed.root {
            self.proven = signed.size;
            return;
        }
        // Either the events were changed, or the checkpoint: its signature tells.
        if let Some(wrong) = self.forgery(stored) {
            stored.is_settled = true;
            self.forged.insert(stored.size);
            findings.add(stored.place.clone(), wrong);
            return;
        }
        self.is_rewritten = true;
        let from = self.proven;
        let index = i64::try_from(from).unwrap_or(i64::MAX);
        let place = FindingPlace { index: Some(index), ..stored.place.clone() };
        findings.add(place, Wrong::Root { from, size: signed.size });
    }

    /// The fault in the signature of a checkpoint of which nothing was recorded yet.
    fn forgery(&self, stored: &Stored) -> Option<Wrong> {
        if stored.is_settled { None } else { self.open(stored, true).err() }
    }

    /// Holds the root at the size so far to anchors of that size.
    fn settle_pinned(&mut self, findings: &mut Findings) {
        let size = number(self.next);
        while let Some(pinned) = self.pinned.pop_front_if(|it| it.size <= size) {
            let is_same =
                pinned.size == size && self.frontier.as_ref().is_some_and(|frontier| frontier.root() == pinned.root);
            if !is_same {
                let wrong = Wrong::HistoryRewritten { anchor: pinned.label, size: pinned.size };
                findings.add(FindingPlace::log(&self.log.name), wrong);
            }
        }
    }

    /// After the last leaf and checkpoint: what must come to an end with them. `stated` is the size that
    /// the log is said to have. True when signatures that were passed over should be looked at
    /// ([`LogScanner::recheck`]): what rests on them does not hold.
    pub(crate) fn close(&mut self, stated: u64, findings: &mut Findings) -> bool {
        self.settle_pinned(findings);
        let (name, size) = (self.log.name.as_str(), number(self.next));
        let is_forged = self.last.as_ref().is_some_and(|last| self.forgery(last).is_some());
        let expected = self.signed_size.max(stated);
        if expected > size {
            let place = FindingPlace::index(name, self.next);
            findings.add(place, Wrong::EventMissing { count: expected - size });
        }
        if stated < size {
            let at = i64::try_from(stated).unwrap_or(i64::MAX);
            findings.add(FindingPlace::index(name, at), Wrong::EventInserted { count: size - stated });
        }
        let covered = self.last.as_ref().map_or(self.proven, |last| number(last.size));
        if covered < size && stated >= size {
            let place = FindingPlace::index(name, i64::try_from(covered).unwrap_or(i64::MAX));
            findings.add(place, Wrong::CheckpointMissing { from: covered, size });
        }
        for pinned in &self.pinned {
            let wrong = Wrong::HistoryCut { anchor: pinned.label.clone(), size: pinned.size, found: size };
            findings.add(FindingPlace::index(name, self.next), wrong);
        }
        is_forged || self.is_rewritten
    }

    /// Looks at the signature of a checkpoint that was passed over.
    pub(crate) fn recheck(&self, stored: &Stored, findings: &mut Findings) {
        let was_passed_over = stored.size <= self.next && !self.trust.every_signature;
        if was_passed_over
            && !self.forged.contains(&stored.size)
            && self.open(stored, false).is_ok()
            && let Err(wrong) = self.open(stored, true)
        {
            findings.add(stored.place.clone(), wrong);
        }
    }
}

/// A count is never negative; one that was made so in the table counts as nothing.
pub(crate) fn number(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
