//! Feeds and runs that would move very many people's scores very far at once: they wait for a person.
//!
//! - `guard`: how far is too far; `coming`: a feed as it comes in; `moving`: its scores are moved to where checks find them
//! - `deciding`: released, or dropped; `tending`: what is done about those that nobody decides; `store`: the rows
//!
//! A feed is judged as a whole, before any of it counts. One that comes in at once is compared in memory, and is written as
//! if there were no guard. Of a larger one nothing can be said before its end, so its scores are set down beside those that
//! stand (`held_scores`), are compared there, and then are moved in pieces: such a feed is written twice. Broken off, nothing
//! of it counts, and it is sent again. What is being moved goes on after a crash: the tender does the rest.
//!
//! A run of a computed source sets nothing down: it computes so many people first, whose references are keyed hashes and so
//! a random sample of all, and writes if they don't move too far. Held, it is computed again once it is released; until then
//! the source isn't computed.
//!
//! One score that is put by itself is never held.

pub(in crate::scores) mod coming;
mod deciding;
pub mod guard;
mod moving;
pub(in crate::scores) mod store;
mod tending;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Scores;
use super::error::ScoreError;
use super::score::Source;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::entropy::Entropy;
use crate::foundation::ids::{HeldFeedId, MerchantId, SourceName};
use crate::ledger::Ledger;
use crate::ledger::entry::{Actor, EventDraft, LogOwner};
use crate::ledger::events::WrittenFacts;
use crate::ledger::events::perks::{FeedEnded, FeedHeld, GuardChanged};
use guard::{Guard, Moves};

pub use deciding::HeldDecision;

/// The actor of what the gateway does by itself.
const GATEWAY: Actor = Actor { key: None, role: "gateway" };

/// The time for which a feed waits for a person, and then ends.
pub const WAITS_FOR: SignedDuration = SignedDuration::from_hours(24 * 14);

/// The most feeds of a source that wait: one more ends the oldest.
pub const MOST_HELD: usize = 10;

/// The kind of thing that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldKind {
    Feed,
    /// A run of a computed source.
    Run,
}

impl HeldKind {
    pub const ALL: [Self; 2] = [Self::Feed, Self::Run];

    /// The wire form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Feed => "feed",
            Self::Run => "run",
        }
    }
}

/// Where a feed or run is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldState {
    /// Its rows still come in, and are not judged.
    Coming,
    /// It waits for a person.
    Held,
    /// Its scores are being moved to where checks find them; a run is computed.
    Moving,
    /// All of it counts.
    Released,
    Dropped,
    /// Nobody decided in time.
    Expired,
}

impl HeldState {
    pub const ALL: [Self; 6] = [Self::Coming, Self::Held, Self::Moving, Self::Released, Self::Dropped, Self::Expired];

    /// The wire form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Coming => "coming",
            Self::Held => "held",
            Self::Moving => "moving",
            Self::Released => "released",
            Self::Dropped => "dropped",
            Self::Expired => "expired",
        }
    }

    /// True if nothing becomes of it any more.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Released | Self::Dropped | Self::Expired)
    }
}

/// A feed or run that is held, or was. It names nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldFeed {
    pub id: HeldFeedId,
    pub source: SourceName,
    pub kind: HeldKind,
    pub state: HeldState,
    /// Since when it waits, or waited; none of one that never did.
    pub held_at: Option<Timestamp>,
    pub touched_at: Timestamp,
    /// The guard by which it was judged.
    pub guard: Guard,
    pub moves: Moves,
}

impl HeldFeed {
    /// When it ends by itself, if nobody decides.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.held_at?.checked_add(WAITS_FOR).ok()
    }
}

/// The things that a guard needs beside the scores: the log in which it is said that something is held.
#[derive(Clone)]
pub(in crate::scores) struct Guarding {
    pub(in crate::scores) ledger: Ledger,
    pub(in crate::scores) entropy: Entropy,
}

impl Scores {
    /// The same, which holds feeds and runs that move too many people too far.
    #[must_use]
    pub fn guarded(self, ledger: Ledger, entropy: Entropy) -> Self {
        let mut guarded = self;
        guarded.guarding = Some(Arc::new(Guarding { ledger, entropy }));
        guarded
    }

    /// The guard of a source: its own, or the default of its scale.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn guard_of(&self, merchant: &MerchantId, source: &Source) -> Result<Guard, ScoreError> {
        let (merchant, name) = (merchant.clone(), source.name.clone());
        let own = self.database.read(move |conn: &mut AnyConnection| store::find_guard(conn, &merchant, &name)).await?;
        Ok(own.unwrap_or_else(|| Guard::of_scale(source)))
    }

    /// Gives a source another guard, with the event `source.guard_changed`; the same again is the same.
    ///
    /// # Errors
    /// [`ScoreError::Ledger`] and [`ScoreError::Database`].
    pub async fn set_guard(
        &self,
        ledger: &Ledger,
        actor: Actor,
        merchant: &MerchantId,
        source: &SourceName,
        guard: Guard,
    ) -> Result<(), ScoreError> {
        let (merchant, source) = (merchant.clone(), source.clone());
        ledger
            .change(move |conn, events| {
                if store::find_guard(conn, &merchant, &source)? == Some(guard) {
                    return Ok(());
                }
                store::replace_guard(conn, &merchant, &source, &guard)?;
                let facts = GuardChanged { points: guard.points, share: guard.share, source: source.as_str().into() };
                events.push(EventDraft {
                    log: LogOwner::Merchant(merchant),
                    kind: "source.guard_changed",
                    about: source.to_string(),
                    actor,
                    facts: WrittenFacts::of(&facts),
                    personal: None,
                });
                Ok(())
            })
            .await
    }

    /// The feeds and runs of a merchant that wait for a person or are being moved, the oldest first; of one source, or of all.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn list_held(
        &self,
        merchant: &MerchantId,
        source: Option<&SourceName>,
    ) -> Result<Vec<HeldFeed>, ScoreError> {
        let (merchant, source) = (merchant.clone(), source.cloned());
        Ok(self
            .database
            .read(move |conn: &mut AnyConnection| store::list_open(conn, &merchant, source.as_ref()))
            .await?)
    }

    /// The number of feeds and runs of all merchants that wait for a person.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn count_held(&self) -> Result<u64, ScoreError> {
        Ok(self.database.read(store::count_held).await?)
    }
}

/// The event that says that something is held, and why.
fn held_event(merchant: &MerchantId, actor: Actor, feed: &HeldFeed) -> EventDraft {
    let Moves { compared, up, down, largest, common } = feed.moves;
    let facts = FeedHeld {
        common_people: common.map(|(_, people)| people),
        common_value: common.map(|(value, _)| value),
        compared,
        down,
        kind: feed.kind.as_str().into(),
        largest,
        points: feed.guard.points,
        share: feed.guard.share,
        source: feed.source.as_str().into(),
        up,
    };
    event(merchant, actor, "feed.held", &feed.id, WrittenFacts::of(&facts))
}

/// The event that says what became of it.
fn ended_event(merchant: &MerchantId, actor: Actor, kind: &'static str, feed: &HeldFeed) -> EventDraft {
    let facts = FeedEnded { kind: feed.kind.as_str().into(), source: feed.source.as_str().into() };
    event(merchant, actor, kind, &feed.id, WrittenFacts::of(&facts))
}

fn event(
    merchant: &MerchantId,
    actor: Actor,
    kind: &'static str,
    feed: &HeldFeedId,
    facts: WrittenFacts,
) -> EventDraft {
    EventDraft {
        log: LogOwner::Merchant(merchant.clone()),
        kind,
        about: feed.as_str().to_owned(),
        actor,
        facts,
        personal: None,
    }
}

/// Lets a feed or run wait for a person, with its event; too many of a source, and the oldest end. `digest` is that of the
/// bytes of a feed.
fn hold(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    (merchant, actor): (&MerchantId, Actor),
    feed: &HeldFeed,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let waiting = store::list_open(conn, merchant, Some(&feed.source))?;
    let waiting: Vec<HeldFeed> =
        waiting.into_iter().filter(|it| it.state == HeldState::Held && it.id != feed.id).collect();
    for oldest in waiting.iter().take((waiting.len() + 1).saturating_sub(MOST_HELD)) {
        // Decided meanwhile, it is no more in the way.
        if store::lock(conn, merchant, &oldest.id)?.is_none_or(|it| it.state != HeldState::Held) {
            continue;
        }
        store::set_state(conn, (merchant, &oldest.id), HeldState::Expired, now)?;
        events.push(ended_event(merchant, GATEWAY, "feed.expired", oldest));
    }
    events.push(held_event(merchant, actor, feed));
    Ok(())
}

/// Lets a run wait for a person.
pub(in crate::scores) async fn hold_run(
    guarding: &Guarding,
    (merchant, source): (&MerchantId, &SourceName),
    (guard, moves): (Guard, Moves),
    now: Timestamp,
) -> Result<HeldFeed, ScoreError> {
    let feed = HeldFeed {
        id: HeldFeedId::new(now, &guarding.entropy),
        source: source.clone(),
        kind: HeldKind::Run,
        state: HeldState::Held,
        held_at: Some(now),
        touched_at: now,
        guard,
        moves,
    };
    let merchant = merchant.clone();
    let held = feed.clone();
    guarding
        .ledger
        .change(move |conn, events| {
            // A retry finds what it did.
            if store::lock(conn, &merchant, &held.id)?.is_none() {
                hold(conn, events, (&merchant, GATEWAY), &held, now)?;
                store::insert(conn, &merchant, &held)?;
            }
            Ok::<_, ScoreError>(())
        })
        .await?;
    Ok(feed)
}

/// A run that was released is over.
pub(in crate::scores) async fn end_run(
    scores: &Scores,
    (merchant, source): (&MerchantId, &SourceName),
    now: Timestamp,
) -> Result<(), ScoreError> {
    let of = (merchant.clone(), source.clone());
    let find = move |conn: &mut AnyConnection| store::find_run(conn, (&of.0, &of.1));
    let Some(run) = scores.database.read(find).await?.filter(|run| run.state == HeldState::Moving) else {
        return Ok(());
    };
    let merchant = merchant.clone();
    let end = move |conn: &mut AnyConnection| store::set_state(conn, (&merchant, &run.id), HeldState::Released, now);
    Ok(scores.database.write(end).await?)
}
