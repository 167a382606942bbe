//! The logs' heads that this process has signed, and whether the database still has them.
//!
//! A backup that was restored under a running gateway, or a standby that took over without the last commits, has an
//! older head. To append to it would sign two histories of one log, and to grant on it would grant again what is
//! recorded in receipts only.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::database::guard::Depth;
use crate::database::{AnyConnection, Database, DatabaseError, Mismatch};
use crate::foundation::ids::LogId;
use crate::ledger::entry::LogOwner;
use crate::ledger::store::{HeadVersion, LogRow, heads};

/// Number of the signed heads that are looked for when the database's file was written to.
const MARKS: usize = 64;

/// A head as this process left it.
#[derive(Debug, Clone)]
pub(crate) struct LeftHead {
    pub row: LogRow,
    /// The row's version, if that is known: where it still has this one, nobody has moved the head since.
    pub version: Option<String>,
}

/// A head as it was signed and committed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SignedHead {
    log: String,
    size: i64,
    root: Vec<u8>,
    checkpoint: String,
}

impl SignedHead {
    fn of(row: &LogRow) -> Self {
        let LogRow { id, size, root, checkpoint, .. } = row.clone();
        Self { log: id, size, root, checkpoint }
    }

    fn missing(&self) -> DatabaseError {
        let Self { log, size, .. } = self;
        DatabaseError::Mismatch(Mismatch::RolledBack(format!(
            "the head of {log} at size {size}, which was signed here, is not in it"
        )))
    }

    /// Checks that the log as it stands goes on from here. When it is longer, another process has appended, and the
    /// checkpoint that was committed with this head tells whether it began from it.
    fn is_continued_by(&self, conn: &mut AnyConnection, size: i64, root: &[u8]) -> Result<(), DatabaseError> {
        let continued = if size == self.size { self.root == root } else { size > self.size && self.is_kept(conn)? };
        if continued { Ok(()) } else { Err(self.missing()) }
    }

    fn is_kept(&self, conn: &mut AnyConnection) -> Result<bool, DatabaseError> {
        let kept = heads::find_checkpoint(conn, &self.log, self.size)?;
        Ok(kept.is_some_and(|kept| kept.note == self.checkpoint))
    }
}

/// Some of the heads that were signed, each with its number, the newest last: closer together the newer they are, back to
/// the first.
type Marks = VecDeque<(u64, SignedHead)>;

/// The logs that the writer has met. A transaction works on a copy, which takes the place of the original once it is
/// committed: what it learned of logs that it made is lost with it otherwise.
#[derive(Clone)]
pub(crate) struct KnownLogs {
    ids: Arc<HashMap<LogOwner, LogId>>,
    signed: Arc<HashMap<LogOwner, LeftHead>>,
    /// Signed in the transaction that is open.
    pending: Vec<(LogOwner, LeftHead)>,
    marks: Arc<Mutex<Marks>>,
}

impl KnownLogs {
    pub(crate) fn new() -> Self {
        Self { ids: Arc::default(), signed: Arc::default(), pending: Vec::new(), marks: Arc::default() }
    }

    /// The function that looks for them in the database, on any thread.
    pub(crate) fn finder(
        &self,
    ) -> impl Fn(&mut AnyConnection, Depth) -> Result<(), DatabaseError> + Send + Sync + use<> {
        let marks = self.marks.clone();
        move |conn, depth| {
            let known = marks.lock().unwrap_or_else(PoisonError::into_inner);
            let Some((_, newest)) = known.back().cloned() else { return Ok(()) };
            let earlier = if depth == Depth::All { known.clone() } else { Marks::new() };
            drop(known);
            let (size, root) = heads::find_head(conn, &newest.log)?.ok_or_else(|| newest.missing())?;
            newest.is_continued_by(conn, size, &root)?;
            let wanted: Vec<(&str, i64)> = earlier.iter().map(|(_, mark)| (&*mark.log, mark.size)).collect();
            let kept = heads::list_kept(conn, &wanted)?;
            let is_kept = |mark: &SignedHead| {
                kept.iter().any(|it| it.size == mark.size && it.log_id == mark.log && it.note == mark.checkpoint)
            };
            earlier.iter().find(|(_, mark)| !is_kept(mark)).map_or(Ok(()), |(_, mark)| Err(mark.missing()))
        }
    }

    pub(crate) fn id(&self, owner: &LogOwner) -> Option<&LogId> {
        self.ids.get(owner)
    }

    pub(crate) fn remember(&mut self, owner: LogOwner, id: LogId) {
        Arc::make_mut(&mut self.ids).insert(owner, id);
    }

    /// Checks that a log may be begun: none of this owner was signed here.
    pub(crate) fn check_absent(&self, owner: &LogOwner) -> Result<(), DatabaseError> {
        self.signed.get(owner).map_or(Ok(()), |head| Err(SignedHead::of(&head.row).missing()))
    }

    /// The checkpoint that this process signed last: the id of its log, its size and its note.
    pub(crate) fn newest(&self) -> Option<(String, i64, String)> {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.back().map(|(_, head)| (head.log.clone(), head.size, head.checkpoint.clone()))
    }

    /// The owner's head as this process left it.
    pub(crate) fn left(&self, owner: &LogOwner) -> Option<&LeftHead> {
        self.signed.get(owner)
    }

    /// Checks that the owner's log as it stands, `row`, goes on from what was signed here.
    pub(crate) fn check(
        &self,
        conn: &mut AnyConnection,
        owner: &LogOwner,
        row: Option<&LogRow>,
    ) -> Result<(), DatabaseError> {
        let Some(left) = self.signed.get(owner) else { return row.map(drop).ok_or(DatabaseError::NotFound) };
        let head = SignedHead::of(&left.row);
        match row {
            // Who appended meanwhile began from here: asked for the newest alone, as a database goes back as a whole.
            Some(row) if head.log == row.id && row.size > head.size && !self.is_newest(&head) => Ok(()),
            Some(row) if head.log == row.id => head.is_continued_by(conn, row.size, &row.root),
            _ => Err(head.missing()),
        }
    }

    /// Checks that every log goes on from what was signed here. It asks for each: for a verdict, not for every batch.
    pub(crate) fn are_continued(&self, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        for head in self.signed.values().map(|left| SignedHead::of(&left.row)) {
            let (size, root) = heads::find_head(conn, &head.log)?.ok_or_else(|| head.missing())?;
            head.is_continued_by(conn, size, &root)?;
        }
        Ok(())
    }

    fn is_newest(&self, head: &SignedHead) -> bool {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.back().is_some_and(|(_, newest)| newest.log == head.log)
    }

    /// Notes what the open transaction signed.
    pub(crate) fn sign(&mut self, owner: LogOwner, head: LeftHead) {
        self.pending.push((owner, head));
    }

    /// Notes the versions that the rows of signed heads came to have, by the ids of their logs.
    pub(crate) fn note_versions(&mut self, versions: &[HeadVersion]) {
        for (_, head) in &mut self.pending {
            let version = versions.iter().find(|(log, _)| *log == head.row.id);
            head.version = version.map(|(_, version)| version.clone());
        }
    }

    /// Checks that the open transaction may be committed, as [`Database::about_to_commit`] has it. Where the newest
    /// head was among those that the transaction moved, it was looked at already.
    pub(crate) fn about_to_commit(&self, database: &Database, conn: &mut AnyConnection) -> Result<(), DatabaseError> {
        let newest =
            self.marks.lock().unwrap_or_else(PoisonError::into_inner).back().map(|(_, newest)| newest.log.clone());
        if newest.is_some_and(|newest| self.pending.iter().any(|(_, head)| head.row.id == newest)) {
            database.has_known_schema(conn)
        } else {
            database.about_to_commit(conn)
        }
    }

    /// The transaction was committed.
    pub(crate) fn keep(&mut self) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let signed = Arc::make_mut(&mut self.signed);
        for (owner, head) in self.pending.drain(..) {
            let number = marks.back().map_or(0, |(last, _)| last + 1);
            marks.push_back((number, SignedHead::of(&head.row)));
            signed.insert(owner, head);
            if marks.len() > MARKS {
                thin_out(&mut marks);
            }
        }
    }
}

/// Takes away the one whose neighbours are closest together for how long ago they are.
fn thin_out(marks: &mut Marks) {
    let number = |at: usize| marks.get(at).map_or(0, |(number, _)| *number);
    let now = number(marks.len() - 1) + 1;
    // The ages before and after: a gap of 8 to 4 is as wide as one of 800 to 400.
    let gap = |at: &usize| (u128::from(now - number(at - 1)), u128::from(now - number(at + 1)));
    let narrowest = (1..marks.len() - 1).min_by(|one, other| {
        let ((older, newer), (others_older, others_newer)) = (gap(one), gap(other));
        (older * others_newer).cmp(&(others_older * newer))
    });
    if let Some(at) = narrowest {
        marks.remove(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_few_and_stand_at_every_age() {
        let mut marks = Marks::new();
        for number in 0..10_000 {
            let head = SignedHead { log: "log".into(), size: 0, root: Vec::new(), checkpoint: String::new() };
            marks.push_back((number, head));
            if marks.len() > MARKS {
                thin_out(&mut marks);
            }
        }
        let ages: Vec<u64> = marks.iter().rev().map(|(number, _)| 10_000 - number).collect();
        assert_eq!((ages.len(), ages.first(), ages.last()), (MARKS, Some(&1), Some(&10_000)));
        let is_close = |two: &[u64]| two[1] - two[0] <= 1 + two[0] / 2;
        assert!(ages.windows(2).all(is_close), "nobody can go back without passing one: {ages:?}");
    }
}
