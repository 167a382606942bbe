//! The first people of a run, computed before anything is written: if they move too far, the run waits for a person.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;

use super::chunk::Change;
use crate::database::AnyConnection;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::scores::Scores;
use crate::scores::error::ScoreError;
use crate::scores::held::guard::{Counted, FLOOR, Guard};
use crate::scores::held::{self, Guarding, HeldState};

/// The people who are computed first: references are keyed hashes, so that these are a random sample of a larger run, from which
/// the share of all differs by half a percent at most.
const PEOPLE: usize = 65_536;

/// The part that a run computes before it writes.
pub(super) struct Rehearsal {
    guarding: Arc<Guarding>,
    guard: Guard,
    counted: Counted,
    changes: VecDeque<Change>,
    people: usize,
    is_judged: bool,
}

impl Rehearsal {
    /// The rehearsal of a run of so many people; none where nothing is held: too few, an open guard, or a person has released it.
    ///
    /// # Errors
    /// [`ScoreError::Held`] where a run waits already; the database's.
    pub(super) async fn of(
        scores: &Scores,
        (merchant, source): &(MerchantId, SourceName),
        due: u64,
    ) -> Result<Option<Self>, ScoreError> {
        let Some(guarding) = scores.guarding.clone() else { return Ok(None) };
        let of = (merchant.clone(), source.clone());
        let find = move |conn: &mut AnyConnection| held::store::find_run(conn, (&of.0, &of.1));
        match scores.database.read(find).await?.map(|run| run.state) {
            Some(HeldState::Held) => return Err(ScoreError::Held(source.clone())),
            Some(_) => return Ok(None),
            None => {}
        }
        if due < FLOOR {
            return Ok(None);
        }
        let Some(source) = scores.find_source(merchant, source).await? else { return Ok(None) };
        let guard = scores.guard_of(merchant, &source).await?;
        let rehearsal = Self {
            guarding,
            guard,
            counted: Counted::default(),
            changes: VecDeque::new(),
            people: 0,
            is_judged: false,
        };
        Ok(Some(rehearsal).filter(|_| !guard.is_open()))
    }

    /// Counts a person who has a score.
    pub(super) fn note(&mut self, before: Decimal, after: Decimal) {
        if !self.is_judged {
            self.counted.add(&self.guard, before, after);
        }
    }

    /// Keeps a chunk for when it may be written.
    pub(super) fn keep(&mut self, change: Change) {
        self.people += change.next.len();
        self.changes.push_back(change);
    }

    /// True if no more are computed before it is judged.
    pub(super) const fn is_full(&self) -> bool {
        self.people >= PEOPLE
    }

    pub(super) const fn is_judged(&self) -> bool {
        self.is_judged
    }

    /// Judges it: true if the run waits for a person from now on.
    ///
    /// # Errors
    /// The ledger's and the database's.
    pub(super) async fn judge(&mut self, of: &(MerchantId, SourceName), now: Timestamp) -> Result<bool, ScoreError> {
        let moves = self.counted.moves();
        if self.guard.holds(&moves) {
            held::hold_run(&self.guarding, (&of.0, &of.1), (self.guard, moves), now).await?;
            return Ok(true);
        }
        self.is_judged = true;
        Ok(false)
    }

    /// The next chunk that may be written.
    pub(super) fn next(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }
}
