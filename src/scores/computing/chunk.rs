//! The people of a chunk of a run: read together, and written together.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::store::gathering::{self, GatheredPerson};
use super::store::{self, due};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::subject::SubjectRef;
use crate::scores::enrolment;
use crate::scores::history;
use crate::scores::score::Score;
use crate::scores::store::epochs::bump_epochs;
use crate::scores::store::{delete_score, list_scores};

/// The people of a chunk, as they were read.
pub(super) struct Chunk {
    pub turns: Vec<(SubjectRef, i64)>,
    pub people: BTreeMap<SubjectRef, GatheredPerson>,
    /// The scores that stand.
    pub before: HashMap<SubjectRef, Score>,
}

/// The change of a chunk, as it is written.
#[derive(Default)]
pub(super) struct Change {
    pub new: Vec<(SubjectRef, Score)>,
    pub ended: Vec<SubjectRef>,
    /// For everyone the turn that was seen, and the next day on which they are due.
    pub next: Vec<(SubjectRef, i64, Option<i64>)>,
}

pub(super) fn read_chunk(
    conn: &mut AnyConnection,
    of: (&MerchantId, &SourceName),
    (after, most): (&[u8], i64),
    today: i64,
) -> Result<Option<Chunk>, DatabaseError> {
    // First: a signal that comes in afterwards moves its person's turn on.
    let turns = due::list_due(conn, of, after, today, most)?;
    let Some((last, _)) = turns.last() else { return Ok(None) };
    let people = gathering::gather_due(conn, of, (after, last), today)?;
    let subjects: Vec<SubjectRef> = turns.iter().map(|(subject, _)| *subject).collect();
    let before = list_scores(conn, of.0, of.1, &subjects)?;
    Ok(Some(Chunk { turns, people, before }))
}

/// Writes what is still so; how many people were left.
pub(super) fn write_change(
    conn: &mut AnyConnection,
    of: (&MerchantId, &SourceName),
    change: Change,
    now: Timestamp,
) -> Result<u64, DatabaseError> {
    let Change { mut new, mut ended, next } = change;
    let subjects: Vec<SubjectRef> = next.iter().map(|(subject, ..)| *subject).collect();
    let held = due::hold_turns(conn, of, &subjects)?;
    let seen: HashMap<SubjectRef, i64> = next.iter().map(|(subject, turn, _)| (*subject, *turn)).collect();
    let is_same = |subject: &SubjectRef| held.get(subject) == seen.get(subject);
    new.retain(|(subject, _)| is_same(subject));
    ended.retain(is_same);
    let mut touched: Vec<&SubjectRef> = new.iter().map(|(subject, _)| subject).chain(&ended).collect();
    touched.sort_unstable();
    history::store::keep(conn, of, &touched, now)?;
    store::replace_scores(conn, of, &new, now)?;
    for subject in &ended {
        delete_score(conn, of.0, of.1, subject)?;
        if !enrolment::is_enrolled(conn, of.0, subject)? {
            history::store::delete(conn, of.0, of.1, subject)?;
        }
    }
    bump_epochs(conn, new.iter().map(|(subject, _)| subject).chain(&ended))?;
    let mut postponed = 0;
    for (subject, _, day) in &next {
        if is_same(subject) {
            due::set_due(conn, of, subject, *day)?;
        } else {
            postponed += 1;
        }
    }
    Ok(postponed)
}
