//! A run: those who are due, chunk by chunk in the order of the table, each chunk in a transaction of its own.
//!
//! The lease comes first, then who is due, then the models: who publishes another meanwhile makes everyone due, and each
//! transaction that writes holds the models against those that it computed by. Are they others, it writes nothing, and the
//! run begins again.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::runtime::Handle;

use super::chunk::{Change, Chunk, read_chunk, write_change};
use super::rehearsal::Rehearsal;
use super::store::gathering::GatheredPerson;
use super::store::{self, due, lease};
use super::{Mode, Models};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::{Clock, from_micros};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::subject::SubjectRef;
use crate::scores::Scores;
use crate::scores::cache::to_the_end;
use crate::scores::error::ScoreError;
use crate::scores::held;
use crate::scores::memory::ScoreKey;
use crate::scores::score::Score;
use crate::scoring::observation::day_of;

/// The people of the first chunk, and of the largest: between them it goes by the time that one takes.
const FIRST_CHUNK: i64 = 64;
const LARGEST_CHUNK: i64 = 512;

/// A chunk that takes less is followed by a larger one, and one that takes more by a smaller one.
const QUICK: Duration = Duration::from_secs(1);
const SLOW: Duration = Duration::from_secs(5);

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
    /// Number of people who can't be computed, and were set aside until tomorrow.
    pub set_aside: u64,
    /// The largest change of a score that was there before.
    pub largest_change: Decimal,
    /// It would move too many people too far: nothing was written, and it waits for a person.
    pub held: bool,
}

impl ComputeReport {
    fn add(&mut self, other: Self) {
        self.people += other.people;
        self.changed += other.changed;
        self.ended += other.ended;
        self.postponed += other.postponed;
        self.set_aside += other.set_aside;
        self.largest_change = self.largest_change.max(other.largest_change);
        self.held |= other.held;
    }
}

/// A run under way. One that is dropped leaves the rest due.
pub struct ComputeRun {
    scores: Scores,
    of: (MerchantId, SourceName),
    models: Models,
    /// The models, as the source's rows say it.
    mark: Option<String>,
    mode: Mode,
    clock: Clock,
    today: i64,
    /// The lease's name and fencing number; none for a dry run.
    lease: Option<(String, i64)>,
    after: Vec<u8>,
    /// The people of the next chunk.
    most: i64,
    due: u64,
    report: ComputeReport,
    /// The part that is computed before anything is written; none once it may be.
    rehearsal: Option<Rehearsal>,
}

impl ComputeRun {
    pub(super) async fn begin(
        scores: Scores,
        of: (MerchantId, SourceName),
        models: Models,
        mode: Mode,
        clock: Clock,
    ) -> Result<Self, ScoreError> {
        let today = day_of(clock.now());
        let report = ComputeReport::default();
        let mut run = Self {
            scores,
            of,
            models,
            mark: None,
            mode,
            clock,
            today,
            lease: None,
            after: Vec::new(),
            most: FIRST_CHUNK,
            due: 0,
            report,
            rehearsal: None,
        };
        if mode == Mode::Write {
            let name = format!("compute {} {}", run.of.0.as_str(), run.of.1.as_str());
            let taken = name.clone();
            let fence = run.scores.database.write(move |conn| lease::take(conn, &taken)).await?;
            run.lease = Some((name, fence.ok_or(ScoreError::UnderWay)?));
        }
        run.prepare().await?;
        Ok(run)
    }

    /// Makes those due who are to be, and finds by which models; then the run begins with the first of them.
    async fn prepare(&mut self) -> Result<(), ScoreError> {
        let (now, writes) = (self.clock.now(), self.mode == Mode::Write);
        loop {
            let (of, lease) = (self.of.clone(), self.lease.clone());
            let mark = move |conn: &mut AnyConnection| {
                if let Some((name, fence)) = lease
                    && !lease::renew(conn, &name, fence)?
                {
                    return Ok(None);
                }
                if writes {
                    store::end_grace(conn, (&of.0, &of.1), now)?;
                }
                if due::mark_some_due(conn, (&of.0, &of.1), now)? {
                    return Ok(Some(None));
                }
                let models = store::find_models_of(conn, &of.0, &of.1, now)?;
                Ok::<_, DatabaseError>(Some(Some((models, store::hold_models(conn, (&of.0, &of.1))?))))
            };
            match self.scores.database.write(mark).await? {
                None => return Err(ScoreError::UnderWay),
                Some(None) => {}
                Some(Some((models, mark))) => {
                    self.models = models.ok_or_else(|| ScoreError::NotComputed(self.of.1.clone()))?;
                    self.mark = mark;
                    break;
                }
            }
        }
        let ((merchant, source), today) = (self.of.clone(), self.today);
        let count = move |conn: &mut AnyConnection| due::count_due(conn, (&merchant, &source), today);
        self.due = self.report.people + self.scores.database.read(count).await?;
        self.after = Vec::new();
        self.rehearsal = match self.mode {
            Mode::Write => Rehearsal::of(&self.scores, &self.of, self.due).await?,
            Mode::DryRun => None,
        };
        Ok(())
    }

    /// The report on what was done so far.
    #[must_use]
    pub const fn report(&self) -> &ComputeReport {
        &self.report
    }

    /// Computes the next chunk; none when nobody is due any more. One that can't be computed is tried again in smaller pieces,
    /// until it is one person who can't be: they are set aside until tomorrow, and the others go on.
    ///
    /// # Errors
    /// [`ScoreError::UnderWay`] when another run has taken over; the database's. What was written by then stands.
    pub async fn step(&mut self) -> Result<Option<ComputeProgress>, ScoreError> {
        loop {
            let began = Instant::now();
            match self.rehearse().await {
                Ok(true) => {
                    self.keep_pace(began.elapsed());
                    break;
                }
                Ok(false) => {
                    self.end().await?;
                    return Ok(None);
                }
                Err(ScoreError::Database(error)) if !is_everyones(&error) => {
                    if self.most > 1 {
                        self.most /= 2;
                    } else {
                        self.set_aside(&error).await?;
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(ComputeProgress { done: self.report.people, of: self.due.max(self.report.people) }))
    }

    /// Chunks that take long get smaller: the lease must not run out, and on SQLite the ledger waits for its turn.
    fn keep_pace(&mut self, took: Duration) {
        if took > SLOW {
            self.most = (self.most / 2).max(1);
        } else if took < QUICK {
            self.most = (self.most * 2).min(LARGEST_CHUNK);
        }
    }

    async fn compute_next(&mut self) -> Result<bool, ScoreError> {
        self.renew().await?;
        let ((merchant, source), after, today, most) = (self.of.clone(), self.after.clone(), self.today, self.most);
        let read = move |conn: &mut AnyConnection| read_chunk(conn, (&merchant, &source), (&after, most), today);
        let Some(chunk) = self.scores.database.read(read).await? else { return Ok(false) };
        let last = chunk.turns.last().map(|(subject, _)| subject.0.to_vec()).unwrap_or_default();
        let (change, mut report) = self.change_of(chunk);
        match (&mut self.rehearsal, self.mode) {
            (Some(rehearsal), _) => rehearsal.keep(change),
            (None, Mode::Write) => match self.write(change).await? {
                Some(postponed) => report.postponed = postponed,
                None => return self.begin_again().await,
            },
            (None, Mode::DryRun) => {}
        }
        self.report.add(report);
        self.after = last;
        Ok(true)
    }

    /// Another model was published: what was computed by the one before, and is not written, is forgotten.
    async fn begin_again(&mut self) -> Result<bool, ScoreError> {
        self.prepare().await?;
        Ok(true)
    }

    /// Computes the next of those who are looked at before anything is written; then they are written, or the run is held.
    async fn rehearse(&mut self) -> Result<bool, ScoreError> {
        let Some(rehearsal) = &mut self.rehearsal else { return self.compute_next().await };
        if !rehearsal.is_judged() {
            if !rehearsal.is_full() && self.compute_next().await? {
                return Ok(true);
            }
            let Some(rehearsal) = &mut self.rehearsal else { return Ok(true) };
            if rehearsal.judge(&self.of, self.clock.now()).await? {
                self.report.held = true;
                self.rehearsal = None;
                return Ok(false);
            }
            return Ok(true);
        }
        let Some(change) = rehearsal.next() else {
            self.rehearsal = None;
            return Ok(true);
        };
        match self.write(change).await? {
            Some(postponed) => self.report.postponed += postponed,
            None => return self.begin_again().await,
        }
        Ok(true)
    }

    /// Leaves the next person for tomorrow.
    async fn set_aside(&mut self, error: &DatabaseError) -> Result<(), ScoreError> {
        let (of, after, today) = (self.of.clone(), self.after.clone(), self.today);
        let next = move |conn: &mut AnyConnection| due::list_due(conn, (&of.0, &of.1), &after, today, 1);
        let Some((subject, _)) = self.scores.database.read(next).await?.pop() else { return Ok(()) };
        if self.mode == Mode::Write {
            self.renew().await?;
            let (of, day) = (self.of.clone(), today + 1);
            let put_off = move |conn: &mut AnyConnection| due::set_due(conn, (&of.0, &of.1), &subject, Some(day));
            self.scores.database.write(put_off).await?;
        }
        // It says nothing about whom.
        tracing::debug!(%error, "a person's score can't be computed");
        self.after = subject.0.to_vec();
        self.report.add(ComputeReport { people: 1, set_aside: 1, ..ComputeReport::default() });
        Ok(())
    }

    async fn renew(&self) -> Result<(), ScoreError> {
        let Some((name, fence)) = self.lease.clone() else { return Ok(()) };
        let renewed = self.scores.database.write(move |conn| lease::renew(conn, &name, fence)).await?;
        if renewed { Ok(()) } else { Err(ScoreError::UnderWay) }
    }

    fn note(&mut self, before: Decimal, after: Decimal) {
        if let Some(rehearsal) = &mut self.rehearsal {
            rehearsal.note(before, after);
        }
    }

    fn change_of(&mut self, chunk: Chunk) -> (Change, ComputeReport) {
        let Chunk { turns, people, before } = chunk;
        let (mut change, nobody) = (Change::default(), GatheredPerson::default());
        let mut report =
            ComputeReport { people: u64::try_from(turns.len()).unwrap_or(u64::MAX), ..ComputeReport::default() };
        for (subject, turn) in turns {
            let person = people.get(&subject).unwrap_or(&nobody);
            let value = self.models.compute(&person.activity).map(|(_, computed)| computed.score);
            let score = value.zip(person.observed_at).map(|(value, at)| Score::new(value, from_micros(at)));
            match (score, before.get(&subject)) {
                (Some(score), Some(known)) if score == *known => self.note(known.value, score.value),
                (Some(score), known) => {
                    report.changed += 1;
                    if let Some(known) = known {
                        let moved = Decimal::from_thousandths(score.value.minus(known.value).thousandths().abs());
                        report.largest_change = report.largest_change.max(moved);
                        self.note(known.value, score.value);
                    }
                    change.new.push((subject, score));
                }
                (None, Some(known)) => {
                    report.ended += 1;
                    // As far as a score can fall.
                    self.note(known.value, Decimal::from_whole(1));
                    change.ended.push(subject);
                }
                (None, None) => {}
            }
            change.next.push((subject, turn, person.next_day));
        }
        (change, report)
    }

    /// Writes a chunk, and lets caches know: of those about whom something came in since it was read nothing; how many those are.
    /// None where they were computed by models that count no more.
    async fn write(&self, change: Change) -> Result<Option<u64>, ScoreError> {
        let Some((name, fence)) = self.lease.clone() else { return Ok(Some(0)) };
        let ((merchant, source), now, scores) = (self.of.clone(), self.clock.now(), self.scores.clone());
        let key =
            |subject: &SubjectRef| ScoreKey { merchant: merchant.clone(), source: source.clone(), subject: *subject };
        let touched = change.new.iter().map(|(subject, _)| subject).chain(&change.ended);
        let keys: Vec<ScoreKey> = touched.map(key).collect();
        let (of, mark) = (self.of.clone(), self.mark.clone());
        let postponed = to_the_end(async move {
            let write = move |conn: &mut AnyConnection| {
                if !lease::renew(conn, &name, fence)? {
                    return Ok(None);
                }
                if store::hold_models(conn, (&of.0, &of.1))? != mark {
                    return Ok(Some(None));
                }
                write_change(conn, (&of.0, &of.1), change, now).map(|postponed| Some(Some(postponed)))
            };
            let written: Result<Option<Option<u64>>, DatabaseError> = scores.database.write(write).await;
            // After an error too: a commit may have held although its answer was lost.
            scores.cache.forget(&keys).await;
            Ok::<_, ScoreError>(written?)
        });
        postponed.await?.ok_or(ScoreError::UnderWay)
    }

    async fn end(&mut self) -> Result<(), ScoreError> {
        if self.mode == Mode::Write && !self.report.held {
            held::end_run(&self.scores, (&self.of.0, &self.of.1), self.clock.now()).await?;
        }
        if let Some((name, fence)) = self.lease.take() {
            self.scores.database.write(move |conn| lease::give_back(conn, &name, fence)).await?;
        }
        Ok(())
    }
}

impl Drop for ComputeRun {
    /// Gives the lease back, however the run ends.
    fn drop(&mut self) {
        if let (Some((name, fence)), Ok(runtime)) = (self.lease.take(), Handle::try_current()) {
            let database = self.scores.database.clone();
            // Where that fails it ends by itself.
            runtime.spawn(async move { database.write(move |conn| lease::give_back(conn, &name, fence)).await });
        }
    }
}

/// Tells whether an error is no fault of what was to be computed: nothing else would fare better.
pub(super) const fn is_everyones(error: &DatabaseError) -> bool {
    !matches!(
        error,
        DatabaseError::Unclassified(_)
            | DatabaseError::Query(_)
            | DatabaseError::Constraint(_)
            | DatabaseError::Corrupt { .. }
    )
}
