//! A run: those who are due, chunk by chunk in the order of the table, each chunk in a transaction of its own.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Serialize;

use super::Mode;
use super::store::gathering::{self, GatheredPerson};
use super::store::{self, due, lease};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::{Clock, from_micros};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::subject::SubjectRef;
use crate::scores::Scores;
use crate::scores::cache::to_the_end;
use crate::scores::error::ScoreError;
use crate::scores::memory::ScoreKey;
use crate::scores::score::Score;
use crate::scores::store::epochs::bump_epochs;
use crate::scores::store::{delete_score, list_scores};
use crate::scoring::model::Model;
use crate::scoring::observation::day_of;
use crate::scoring::score::compute;

/// The people of one chunk: few enough that the ledger soon has its turn again on SQLite.
const CHUNK: i64 = 500;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComputeProgress {
    pub done: u64,
    pub of: u64,
}

/// The outcome of a run so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ComputeReport {
    /// Number of people that were looked at.
    pub people: u64,
    /// Number of scores that are new or another.
    pub changed: u64,
    /// Number of scores that ended: nothing that is known of the person counts any more.
    pub ended: u64,
    /// Number of people who were left for the next run, as something about them came in meanwhile.
    pub postponed: u64,
    /// The largest change of a score that was there before.
    pub largest_change: Decimal,
}

/// A run under way. One that is dropped leaves the rest due; its lease ends by itself.
pub struct ComputeRun {
    scores: Scores,
    of: (MerchantId, SourceName),
    model: Model,
    mode: Mode,
    clock: Clock,
    today: i64,
    /// The lease's name and fencing number; none for a dry run.
    lease: Option<(String, i64)>,
    after: Vec<u8>,
    due: u64,
    report: ComputeReport,
}

/// The people of a chunk, as they were read.
struct Chunk {
    turns: Vec<(SubjectRef, i64)>,
    people: BTreeMap<SubjectRef, GatheredPerson>,
    /// The scores that stand.
    before: HashMap<SubjectRef, Score>,
}

/// The change of a chunk, as it is written.
#[derive(Default)]
struct Change {
    new: Vec<(SubjectRef, Score)>,
    ended: Vec<SubjectRef>,
    /// For everyone the turn that was seen, and the next day on which they are due.
    next: Vec<(SubjectRef, i64, Option<i64>)>,
}

impl ComputeRun {
    pub(super) async fn begin(
        scores: Scores,
        of: (MerchantId, SourceName),
        model: Model,
        mode: Mode,
        clock: Clock,
    ) -> Result<Self, ScoreError> {
        let today = day_of(clock.now());
        let (merchant, source) = of.clone();
        let count = move |conn: &mut AnyConnection| due::count_due(conn, (&merchant, &source), today);
        let due = scores.database.read(count).await?;
        let lease = match mode {
            Mode::DryRun => None,
            Mode::Write => {
                let name = format!("compute {} {}", of.0.as_str(), of.1.as_str());
                let taken = name.clone();
                let fence = scores.database.write(move |conn| lease::take(conn, &taken)).await?;
                Some((name, fence.ok_or(ScoreError::UnderWay)?))
            }
        };
        let report = ComputeReport::default();
        Ok(Self { scores, of, model, mode, clock, today, lease, after: Vec::new(), due, report })
    }

    /// The report on what was done so far.
    #[must_use]
    pub const fn report(&self) -> &ComputeReport {
        &self.report
    }

    /// Computes the next chunk; none when nobody is due any more.
    ///
    /// # Errors
    /// [`ScoreError::UnderWay`] when another run has taken over; the database's. What was written by then stands.
    pub async fn step(&mut self) -> Result<Option<ComputeProgress>, ScoreError> {
        let ((merchant, source), after, today) = (self.of.clone(), self.after.clone(), self.today);
        let read = move |conn: &mut AnyConnection| read_chunk(conn, (&merchant, &source), &after, today);
        let Some(chunk) = self.scores.database.read(read).await? else {
            self.end().await?;
            return Ok(None);
        };
        self.after = chunk.turns.last().map(|(subject, _)| subject.0.to_vec()).unwrap_or_default();
        let looked_at = u64::try_from(chunk.turns.len()).unwrap_or(u64::MAX);
        let change = self.change_of(chunk);
        if self.mode == Mode::Write {
            self.write(change).await?;
        }
        self.report.people += looked_at;
        Ok(Some(ComputeProgress { done: self.report.people, of: self.due.max(self.report.people) }))
    }

    fn change_of(&mut self, chunk: Chunk) -> Change {
        let Chunk { turns, people, before } = chunk;
        let (mut change, nobody) = (Change::default(), GatheredPerson::default());
        for (subject, turn) in turns {
            let person = people.get(&subject).unwrap_or(&nobody);
            let value = compute(&self.model, &person.activity).map(|computed| computed.score);
            let score = value.zip(person.observed_at).map(|(value, at)| Score::new(value, from_micros(at)));
            match (score, before.get(&subject)) {
                (Some(score), Some(known)) if score == *known => {}
                (Some(score), known) => {
                    self.report.changed += 1;
                    if let Some(known) = known {
                        let moved = Decimal::from_thousandths(score.value.minus(known.value).thousandths().abs());
                        self.report.largest_change = self.report.largest_change.max(moved);
                    }
                    change.new.push((subject, score));
                }
                (None, Some(_)) => {
                    self.report.ended += 1;
                    change.ended.push(subject);
                }
                (None, None) => {}
            }
            change.next.push((subject, turn, person.next_day));
        }
        change
    }

    /// Writes a chunk, and lets caches know: of those about whom something came in since it was read nothing.
    async fn write(&mut self, change: Change) -> Result<(), ScoreError> {
        let Some((name, fence)) = self.lease.clone() else { return Ok(()) };
        let ((merchant, source), now, scores) = (self.of.clone(), self.clock.now(), self.scores.clone());
        let key =
            |subject: &SubjectRef| ScoreKey { merchant: merchant.clone(), source: source.clone(), subject: *subject };
        let touched = change.new.iter().map(|(subject, _)| subject).chain(&change.ended);
        let keys: Vec<ScoreKey> = touched.map(key).collect();
        let of = self.of.clone();
        let postponed = to_the_end(async move {
            let write = move |conn: &mut AnyConnection| {
                if !lease::renew(conn, &name, fence)? {
                    return Ok(None);
                }
                write_change(conn, (&of.0, &of.1), change, now).map(Some)
            };
            let written: Result<Option<u64>, DatabaseError> = scores.database.write(write).await;
            // After an error too: a commit may have held although its answer was lost.
            scores.cache.forget(&keys).await;
            Ok::<_, ScoreError>(written?)
        });
        self.report.postponed += postponed.await?.ok_or(ScoreError::UnderWay)?;
        Ok(())
    }

    async fn end(&mut self) -> Result<(), ScoreError> {
        if let Some((name, fence)) = self.lease.take() {
            self.scores.database.write(move |conn| lease::give_back(conn, &name, fence)).await?;
        }
        Ok(())
    }
}

fn read_chunk(
    conn: &mut AnyConnection,
    of: (&MerchantId, &SourceName),
    after: &[u8],
    today: i64,
) -> Result<Option<Chunk>, DatabaseError> {
    // First: a signal that comes in afterwards moves its person's turn on.
    let turns = due::list_due(conn, of, after, today, CHUNK)?;
    let Some((last, _)) = turns.last() else { return Ok(None) };
    let people = gathering::gather_due(conn, of, (after, last), today)?;
    let subjects: Vec<SubjectRef> = turns.iter().map(|(subject, _)| *subject).collect();
    let before = list_scores(conn, of.0, of.1, &subjects)?;
    Ok(Some(Chunk { turns, people, before }))
}

/// Writes what is still so; how many people were left.
fn write_change(
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
    store::replace_scores(conn, of, &new, now)?;
    for subject in &ended {
        delete_score(conn, of.0, of.1, subject)?;
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
