//! Retention: the bodies of old events go, their leaf hashes are retained, and the tree proves where each stood.
//!
//! Pruned: checks, redemptions, corrections, releases, voids and what people decided about referrals and contests. Never
//! pruned, because `audit verify` needs their bodies: everything about rules, perks, keys, merchants, sources
//! and approvals, erasures, and what pruning itself left behind. And of the first kind, whatever counts
//! for ever: a grant that used a limit without a window (`lifetime`), with all that became of it. Neither goes
//! a grant that a rolling limit counts as younger than it is, because a replica's clock was ahead.
//!
//! Nothing goes while a promise still needs it: see [`PruningBlocker`]. Kinds that come later are retained until
//! someone adds them to [`PRUNABLE`], having thought about who reads them back.
//!
//! First all events are summed up ([`Summaries`](crate::ledger::Summaries)), so that reports go on counting what goes. The pruning is recorded,
//! by `audit.pruned`; then the bodies go in chunks that each
//! are a short transaction, so that checks go on meanwhile. Cut off in the middle, the rest goes the
//! next time, and is not counted again. Bodies that are missing without an event that records it are a finding of
//! `audit verify`.

mod blocker;
mod recorded;
mod retained;

use std::collections::HashSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::database::{AnyConnection, Database, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::document::{FieldErrors, Node};
use crate::foundation::ids::MerchantId;
use crate::foundation::json::Json;
use crate::foundation::period::{LONGEST, Period};
use crate::ledger::cases::model::ReferralStatus;
use crate::ledger::cases::{contest, referral};
use crate::ledger::entry::{Actor, EventDraft, LogOwner};
use crate::ledger::events::WrittenFacts;
use crate::ledger::events::logs::EventsPruned;
use crate::ledger::grants::{correction, ending};
use crate::ledger::read::history as log_history;
use crate::ledger::store::history::{self, LoggedRow};
use crate::ledger::store::pruning as rows;
use crate::ledger::write::{check, redemption};
use crate::ledger::{IDEMPOTENCY_WINDOW, LedgerError, WriterContext};
use crate::rules::limit::ROLLING;
use crate::tokens::claims::SKEW_SECONDS;
pub use blocker::{BlockedBy, PruningBlocker};
use retained::{Choice, choose, counts_from, used_limits};

/// The kind of the event that says what was pruned.
pub const KIND: &str = "audit.pruned";

/// The kinds whose bodies may go. No earlier pruning recorded a kind that is added later: `recorded.rs` must know.
pub const PRUNABLE: [&str; 13] = [
    check::KIND,
    redemption::KIND,
    redemption::OFFLINE,
    correction::CORRECTED,
    ending::RELEASED,
    ending::VOIDED,
    ending::FREED,
    referral::KIND,
    contest::OPENED,
    contest::UPHELD,
    contest::OVERTURNED,
    contest::CLOSED,
    contest::ADDED,
];

/// The most events that one transaction takes the bodies of.
const CHUNK: i64 = 500;

/// The number of times that a chunk is tried again because much was recorded meanwhile that is not summed up.
const MOST_TRIES: usize = 20;

/// A plan of what pruning a merchant's log would take away.
#[derive(Debug, Clone)]
pub struct Plan {
    pub merchant: MerchantId,
    pub before: Timestamp,
    /// Number of bodies that go.
    pub count: u64,
    /// Number of them that the log has recorded before, by pruning that was cut off.
    pub again: u64,
    /// Number of bodies of these kinds that are retained, because limits go on counting them or they can't be read.
    pub kept: u64,
    /// The first of them, and the first index behind the last: `from == to` when none go.
    pub from_index: i64,
    pub to_index: i64,
    /// Why it can't be done now.
    pub obstacles: Vec<PruningBlocker>,
}

impl Plan {
    fn block(&mut self, reason: BlockedBy, count: u64, until: Option<Timestamp>) {
        if count == 0 {
            return;
        }
        match self.obstacles.iter_mut().find(|known| known.reason == reason) {
            Some(known) => {
                known.count += count;
                known.until = known.until.max(until);
            }
            None => self.obstacles.push(PruningBlocker { reason, count, until }),
        }
    }
}

/// Plans what pruning the merchant's events from before `before` would take away.
pub(crate) async fn plan(
    context: &WriterContext,
    merchant: &MerchantId,
    before: Timestamp,
    mut progress: impl FnMut(i64, i64),
) -> Result<Plan, LedgerError> {
    let now = context.clock.now();
    let mut plan = Plan {
        merchant: merchant.clone(),
        before,
        count: 0,
        again: 0,
        kept: 0,
        from_index: 0,
        to_index: 0,
        obstacles: Vec::new(),
    };
    let of = merchant.clone();
    let ((grants, places, referrals), rolling, earlier, end) = context
        .database
        .read(move |conn| {
            Ok::<_, DatabaseError>((
                pending(conn, &of, before, now)?,
                longest_rolling(conn, &of)?,
                recorded::list(conn, &of)?,
                log_history::stretch(conn, &of, None, before)?.before,
            ))
        })
        .await?;
    let until = |at: Option<i64>| at.map(from_micros);
    let skew = SignedDuration::from_secs(SKEW_SECONDS);
    plan.block(BlockedBy::UnspentGrants, count(grants.0), until(grants.1).and_then(|at| at.checked_add(skew).ok()));
    plan.block(BlockedBy::HeldPlaces, count(places.0), until(places.1));
    plan.block(BlockedBy::OpenReferrals, count(referrals), None);
    let mut from = 0;
    while from < end {
        let to = end.min(from + CHUNK);
        for Choice { row, since, goes, damage } in chosen(&context.database, merchant, before, (from, to)).await? {
            if let Some(error) = damage {
                tracing::warn!(%error, "a body that can't be read is retained, with all that goes by it");
            }
            if !goes {
                plan.kept += 1;
                continue;
            }
            plan.again += u64::from(earlier.iter().any(|it| it.counted(row.log_index, since)));
            if plan.count == 0 {
                plan.from_index = row.log_index;
            }
            plan.count += 1;
            plan.to_index = row.log_index + 1;
            needed(&mut plan, &row, rolling, now)?;
        }
        progress(to, end);
        from = to;
    }
    Ok(plan)
}

/// The event that records the pruning.
pub(crate) fn event_of(plan: &Plan, by: Actor) -> EventDraft {
    EventDraft {
        log: LogOwner::Merchant(plan.merchant.clone()),
        kind: KIND,
        about: plan.merchant.as_str().to_owned(),
        actor: by,
        facts: WrittenFacts::of(&EventsPruned {
            again: Some(plan.again),
            before: plan.before,
            count: plan.count - plan.again,
            from_index: plan.from_index,
            to_index: plan.to_index,
        }),
        personal: None,
    }
}

/// Sums up what will be pruned: without that nobody could say any more how it counts.
pub(crate) async fn sum_up(context: &WriterContext, merchant: &MerchantId) -> Result<(), LedgerError> {
    Ok(context.summaries.sum_up(&context.database, &context.keyring, merchant).await?)
}

/// Takes the bodies away that were planned, once the pruning is recorded; says how many went.
pub(crate) async fn take(
    context: &WriterContext,
    plan: &Plan,
    mut progress: impl FnMut(i64, i64),
) -> Result<u64, LedgerError> {
    let (mut taken, mut from) = (0, plan.from_index);
    while from < plan.to_index {
        let to = plan.to_index.min(from + CHUNK);
        let chosen = chosen(&context.database, &plan.merchant, plan.before, (from, to)).await?;
        let chosen: Vec<LoggedRow> = chosen.into_iter().filter(|it| it.goes).map(|it| it.row).collect();
        taken += take_chunk(context, &plan.merchant, chosen).await?;
        progress(to - plan.from_index, plan.to_index - plan.from_index);
        from = to;
    }
    Ok(taken)
}

async fn take_chunk(
    context: &WriterContext,
    merchant: &MerchantId,
    chosen: Vec<LoggedRow>,
) -> Result<u64, LedgerError> {
    if chosen.is_empty() {
        return Ok(0);
    }
    let (chosen, mut tries) = (Arc::new(chosen), 0);
    loop {
        let (chosen, of, means) = (chosen.clone(), merchant.clone(), context.clone());
        let pruned = context.database.write(move |conn| match history::find_log_size(conn, &of)? {
            Some((log, _)) => take_bodies(conn, &means, &of, &log, &chosen),
            None => Ok(0),
        });
        match pruned.await {
            Err(DatabaseError::Conflict) if tries < MOST_TRIES => {
                tries += 1;
                sum_up(context, merchant).await?;
            }
            pruned => return Ok(u64::try_from(pruned?).unwrap_or(u64::MAX)),
        }
    }
}

/// Before when the merchant's log was pruned; none when it never was.
pub(crate) fn pruned_before(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
) -> Result<Option<Timestamp>, DatabaseError> {
    Ok(recorded::list(conn, merchant)?.iter().map(|it| it.before).max())
}

/// The events between the two indexes that are of a prunable kind, old enough and not pruned yet; and
/// whether each goes.
async fn chosen(
    database: &Database,
    merchant: &MerchantId,
    before: Timestamp,
    range: (i64, i64),
) -> Result<Vec<Choice>, LedgerError> {
    let (merchant, before) = (merchant.clone(), before.as_microsecond());
    let read = database.read(move |conn| {
        let Some((log, _)) = history::find_log_size(conn, &merchant)? else { return Ok(Vec::new()) };
        let rows = history::list_logged(conn, &log, range, None, None)?.into_iter();
        let old = |row: &LoggedRow| row.at < before && row.body.is_some();
        let rows: Vec<_> = rows.filter(|row| old(row) && PRUNABLE.contains(&row.kind.as_str())).collect();
        choose(conn, &log, rows, before)
    });
    Ok(read.await?)
}

/// Takes the bodies of what was chosen away, except of checks that someone has contested since it was planned:
/// a case is decided by what its check says. Opening one holds the check's event (`store::hold_event`), so
/// the events are locked before it is looked what is open.
fn take_bodies(
    conn: &mut AnyConnection,
    context: &WriterContext,
    merchant: &MerchantId,
    log: &str,
    chosen: &[LoggedRow],
) -> Result<usize, DatabaseError> {
    // Another process that prunes may have been first.
    let here = rows::lock_events(conn, log, &chosen.iter().map(|row| row.log_index).collect::<Vec<_>>())?;
    let here: HashSet<i64> = here.into_iter().collect();
    let about: Vec<&str> = chosen.iter().map(|row| row.about.as_str()).collect();
    let open = rows::list_open_referrals(conn, merchant, &about, ReferralStatus::Open.as_str())?;
    let open: HashSet<&str> = open.iter().map(String::as_str).collect();
    let goes = |row: &&LoggedRow| here.contains(&row.log_index) && !open.contains(row.about.as_str());
    let goes: Vec<&LoggedRow> = chosen.iter().filter(goes).collect();
    context.summaries.pruning(conn, &context.keyring, merchant, &goes)?;
    rows::prune_bodies(conn, log, &goes.iter().map(|row| row.log_index).collect::<Vec<_>>())
}

type Counts = (rows::CountUntil, rows::CountUntil, i64);

/// Counts the unspent grants, held places and open referrals from before `before`.
fn pending(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    before: Timestamp,
    now: Timestamp,
) -> Result<Counts, DatabaseError> {
    let (before, now) = (before.as_microsecond(), now.as_microsecond());
    let skew = SKEW_SECONDS.saturating_mul(1_000_000);
    Ok((
        rows::count_unspent_grants(conn, merchant, before, now.saturating_sub(skew))?,
        rows::count_held_places(conn, merchant, before, now)?,
        rows::count_open_referrals(conn, merchant, before, ReferralStatus::Open.as_str())?,
    ))
}

/// Notes what still needs this event.
fn needed(plan: &mut Plan, row: &LoggedRow, rolling: Option<Period>, now: Timestamp) -> Result<(), LedgerError> {
    let at = from_micros(row.at);
    let window = SignedDuration::try_from(IDEMPOTENCY_WINDOW).unwrap_or(SignedDuration::MAX);
    let retries = at.checked_add(window).unwrap_or(Timestamp::MAX);
    if row.kind == check::KIND && retries > now {
        plan.block(BlockedBy::Retries, 1, Some(retries));
    }
    let Some(body) = row.body.as_deref().filter(|_| row.kind == check::KIND) else { return Ok(()) };
    for limit in used_limits(&row.id, body)? {
        let until = match (limit.window.as_ref(), rolling) {
            (ROLLING, Some(length)) => {
                let length = SignedDuration::from_secs(length.seconds());
                Some(counts_from(&limit).unwrap_or(at).checked_add(length).unwrap_or(Timestamp::MAX))
            }
            (ROLLING, None) => None,
            // A calendar window says when it ends; places that are held were counted by their rows.
            _ if limit.horizon.is_none() => limit.resets_at.0,
            _ => None,
        };
        if let Some(until) = until.filter(|until| *until > now) {
            plan.block(BlockedBy::OpenWindows, 1, Some(until));
        }
    }
    Ok(())
}

/// The longest rolling window that any version of the merchant's rules has, of limits, overrides or paid entries: publishing a
/// longer one goes on counting what was used before, so the version that a check cites doesn't say enough.
fn longest_rolling(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<Option<Period>, DatabaseError> {
    let mut longest: Option<Period> = None;
    for rule in rows::list_rules(conn, merchant)? {
        let rule = Json::parse(&rule).map_err(|e| DatabaseError::corrupt("rule", e))?;
        let limits = rule.member("limits").and_then(Json::as_list).unwrap_or_default();
        for limit in limits.iter().chain(rule.member("override")).chain(rule.member("paid")) {
            let Some(length) = limit.member("window").and_then(|window| window.member(ROLLING)) else { continue };
            let length = Period::read(&Node::root(length), LONGEST, &mut FieldErrors::default());
            if longest.is_none_or(|known| length.is_some_and(|length| length.seconds() > known.seconds())) {
                longest = length.or(longest);
            }
        }
    }
    Ok(longest)
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
