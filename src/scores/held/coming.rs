//! A feed of a source with a guard, as it comes in: compared in memory, or set down beside the scores that stand.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest;
use jiff::Timestamp;

use super::guard::{Counted, FLOOR, Guard, Moves};
use super::{Guarding, HeldFeed, HeldKind, HeldState, hold, store};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{HeldFeedId, MerchantId};
use crate::foundation::subject::SubjectRef;
use crate::ledger::entry::Actor;
use crate::scores::Scores;
use crate::scores::error::ScoreError;
use crate::scores::score::{PutOutcome, Score, Source};
use crate::scores::store::{has_scores, list_scores};

/// The people who are compared by one query.
const COMPARED_AT_ONCE: usize = 2_000;

/// The scores of a feed that are compared in one piece.
const PIECE: u64 = 50_000;

/// A feed that may be held.
pub(in crate::scores) struct Coming {
    scores: Scores,
    guarding: Arc<Guarding>,
    merchant: MerchantId,
    source: Source,
    actor: Actor,
    /// The number of all its lines.
    digest: digest::Context,
    way: Way,
    /// The verdict, where it waits.
    held: Option<HeldFeed>,
}

/// Where the rows of a feed go.
enum Way {
    /// To where checks find them.
    Straight,
    /// Beside them, until all are there.
    Aside(Aside),
}

struct Aside {
    feed: HeldFeed,
    /// Number of people with a score of whom the feed had a row.
    compared: AtomicU64,
    rows: AtomicU64,
    step: Step,
}

/// How far a feed is whose rows were all set down.
#[derive(Clone, Copy)]
enum Step {
    /// Behind so many parts.
    Judging(usize),
    Moving,
    Over,
}

impl Coming {
    pub(in crate::scores) fn new(
        scores: Scores,
        guarding: Arc<Guarding>,
        merchant: MerchantId,
        source: Source,
        actor: Actor,
    ) -> Self {
        let digest = digest::Context::new(&digest::SHA256);
        Self { scores, guarding, merchant, source, actor, digest, way: Way::Straight, held: None }
    }

    /// Takes note of a line.
    pub(in crate::scores) fn note(&mut self, line: &[u8]) {
        self.digest.update(line);
        self.digest.update(b"\n");
    }

    /// The verdict, where it waits for a person.
    pub(in crate::scores) const fn held(&self) -> Option<&HeldFeed> {
        self.held.as_ref()
    }

    /// Decides where rows go, before the first is written: `rows` are all of the feed, in the order of their people; none
    /// where there are more to come.
    pub(in crate::scores) async fn begin(
        &mut self,
        rows: Option<Vec<(SubjectRef, Score)>>,
        now: Timestamp,
    ) -> Result<(), ScoreError> {
        let guard = self.scores.guard_of(&self.merchant, &self.source).await?;
        if guard.is_open() || rows.as_ref().is_some_and(|rows| (rows.len() as u64) < FLOOR) {
            return Ok(());
        }
        // Where so few have a score, too few can be compared.
        let of = (self.merchant.clone(), self.source.name.clone());
        let has_history = move |conn: &mut AnyConnection| has_scores(conn, &of.0, &of.1, FLOOR);
        if !self.scores.database.read(has_history).await? {
            return Ok(());
        }
        if let Some(rows) = rows
            && !guard.holds(&self.compare(rows, &guard).await?)
        {
            return Ok(());
        }
        let feed = HeldFeed {
            id: HeldFeedId::new(now, &self.guarding.entropy),
            source: self.source.name.clone(),
            kind: HeldKind::Feed,
            state: HeldState::Coming,
            held_at: None,
            touched_at: now,
            guard,
            moves: Moves::default(),
        };
        let (merchant, row) = (self.merchant.clone(), feed.clone());
        self.scores.database.write(move |conn| store::insert(conn, &merchant, &row)).await?;
        let (compared, rows) = (AtomicU64::new(0), AtomicU64::new(0));
        self.way = Way::Aside(Aside { feed, compared, rows, step: Step::Judging(0) });
        Ok(())
    }

    /// Compares a feed that is here as a whole with what stands.
    async fn compare(&self, rows: Vec<(SubjectRef, Score)>, guard: &Guard) -> Result<Moves, ScoreError> {
        let mut newest: Vec<(SubjectRef, Score)> = Vec::with_capacity(rows.len());
        for (subject, score) in rows {
            match newest.last_mut() {
                Some((last, known)) if *last == subject => {
                    if score.against(Some(known)) == PutOutcome::Accepted {
                        *known = score;
                    }
                }
                _ => newest.push((subject, score)),
            }
        }
        let mut counted = Counted::default();
        for some in newest.chunks(COMPARED_AT_ONCE) {
            let of = (self.merchant.clone(), self.source.name.clone());
            let subjects: Vec<SubjectRef> = some.iter().map(|(subject, _)| *subject).collect();
            let list = move |conn: &mut AnyConnection| list_scores(conn, &of.0, &of.1, &subjects);
            let standing = self.scores.database.read(list).await?;
            for (subject, new) in some {
                let Some(known) = standing.get(subject) else { continue };
                let stands = if known.observed_at > new.observed_at { known } else { new };
                counted.add(guard, known.value, stands.value);
            }
        }
        Ok(counted.moves())
    }

    /// The scores that the feed's own rows have set down so far, over those that stand: none where its rows go straight.
    pub(in crate::scores) async fn over(
        &self,
        standing: HashMap<SubjectRef, Score>,
        subjects: Vec<SubjectRef>,
    ) -> Result<HashMap<SubjectRef, Score>, ScoreError> {
        let Way::Aside(aside) = &self.way else { return Ok(standing) };
        let (merchant, id) = (self.merchant.clone(), aside.feed.id.clone());
        let list = move |conn: &mut AnyConnection| store::rows::list_of(conn, (&merchant, &id), &subjects);
        let own = self.scores.database.read(list).await?;
        let seen = standing.keys().filter(|subject| !own.contains_key(subject)).count();
        aside.compared.fetch_add(u64::try_from(seen).unwrap_or(u64::MAX), Ordering::Relaxed);
        let mut all = standing;
        all.extend(own);
        Ok(all)
    }

    /// Sets rows down, and says so; false where they go straight.
    pub(in crate::scores) async fn set_down(
        &self,
        new: &[(SubjectRef, Score)],
        now: Timestamp,
    ) -> Result<bool, ScoreError> {
        let Way::Aside(aside) = &self.way else { return Ok(false) };
        let (merchant, id) = (self.merchant.clone(), aside.feed.id.clone());
        let mut new = new.to_vec();
        // One order for everyone who locks them.
        new.sort_unstable_by_key(|(subject, _)| *subject);
        let count = u64::try_from(new.len()).unwrap_or(u64::MAX);
        let write = move |conn: &mut AnyConnection| {
            // One that was taken for broken off is cleared away already.
            if store::lock(conn, &merchant, &id)?.is_none_or(|feed| feed.state != HeldState::Coming) {
                return Ok(false);
            }
            store::set_state(conn, (&merchant, &id), HeldState::Coming, now)?;
            store::rows::upsert(conn, (&merchant, &id), &new)?;
            Ok::<_, DatabaseError>(true)
        };
        if !self.scores.database.write(write).await? {
            return Err(DatabaseError::Interrupted.into());
        }
        aside.rows.fetch_add(count, Ordering::Relaxed);
        Ok(true)
    }

    /// All rows are written: a piece of what is left to do, or false when nothing is.
    pub(in crate::scores) async fn conclude(&mut self, now: Timestamp) -> Result<bool, ScoreError> {
        let Way::Aside(aside) = &mut self.way else { return Ok(false) };
        match aside.step {
            Step::Judging(from) if from < store::rows::PARTS => {
                let pieces = usize::try_from(*aside.rows.get_mut() / PIECE + 1).unwrap_or(1);
                let behind = (from + (store::rows::PARTS / pieces).max(1)).min(store::rows::PARTS);
                let (merchant, HeldFeed { id, source, guard, .. }) = (self.merchant.clone(), aside.feed.clone());
                let read = move |conn: &mut AnyConnection| {
                    store::rows::moves_of_parts(conn, &source, (&merchant, &id), &guard, (from, behind))
                };
                let some = self.scores.database.read(read).await?;
                let all = &mut aside.feed.moves;
                all.up += some.up;
                all.down += some.down;
                all.largest = all.largest.max(some.largest);
                aside.step = Step::Judging(behind);
                Ok(true)
            }
            Step::Judging(_) => {
                let moves = &mut aside.feed.moves;
                // An observation may have been written meanwhile that moves were counted against.
                moves.compared = (*aside.compared.get_mut()).max(moves.moved());
                aside.step = if aside.feed.guard.holds(&aside.feed.moves) { Step::Over } else { Step::Moving };
                if matches!(aside.step, Step::Over) {
                    self.hold(now).await?;
                    return Ok(false);
                }
                let (merchant, id) = (self.merchant.clone(), aside.feed.id.clone());
                let pass = move |conn: &mut AnyConnection| {
                    // It may have been cleared away as one that was broken off.
                    if store::lock(conn, &merchant, &id)?.is_none_or(|it| it.state != HeldState::Coming) {
                        return Err(DatabaseError::Interrupted);
                    }
                    store::set_state(conn, (&merchant, &id), HeldState::Moving, now)
                };
                self.scores.database.write(pass).await?;
                Ok(true)
            }
            Step::Moving => {
                if self.scores.move_some(&self.merchant, &aside.feed.id, now).await? {
                    return Ok(true);
                }
                aside.step = Step::Over;
                Ok(false)
            }
            Step::Over => Ok(false),
        }
    }

    /// Lets the feed wait for a person; where the same waits already, that is it.
    async fn hold(&mut self, now: Timestamp) -> Result<(), ScoreError> {
        let Way::Aside(aside) = &self.way else { return Ok(()) };
        let (merchant, actor, mut feed) = (self.merchant.clone(), self.actor.clone(), aside.feed.clone());
        let digest = self.digest.clone().finish();
        let held = self.guarding.ledger.change(move |conn, events| {
            // A retry finds what it did.
            if let Some(known) = store::lock(conn, &merchant, &feed.id)?.filter(|it| it.state != HeldState::Coming) {
                return Ok(known);
            }
            if let Some(same) = store::find_same(conn, (&merchant, &feed.source), digest.as_ref())? {
                // The tender clears its scores away.
                store::set_state(conn, (&merchant, &feed.id), HeldState::Dropped, now)?;
                return Ok(same);
            }
            feed.moves.common = store::rows::most_common(conn, &feed.source, (&merchant, &feed.id), &feed.guard)?;
            (feed.state, feed.held_at, feed.touched_at) = (HeldState::Held, Some(now), now);
            store::hold(conn, (&merchant, &feed.id), (&feed.moves, digest.as_ref()), now)?;
            hold(conn, events, (&merchant, actor), &feed, now)?;
            Ok::<_, ScoreError>(feed)
        });
        self.held = Some(held.await?);
        Ok(())
    }
}
