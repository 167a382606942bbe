//! Counters while a transaction holds them: read with as many of their uses as it needs, changed in
//! memory, written back at once.

use std::collections::{BTreeMap, HashMap};

use super::uses::{AHEAD, Uses};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::ledger::events::occupancy::OccupancyUseLeft;
use crate::ledger::store::{self, CounterRow, PAGE_OF_USES, UseRow, UsesWanted, standing};

/// merchant, perk, limit, scope value, window.
pub(crate) type CounterKey = [String; 5];

/// When a counter is wanted.
#[derive(Default)]
pub(crate) struct Wanted {
    /// Instants (microseconds), each with how far behind it the horizon lies where uses are counted
    /// one by one.
    pub horizons: Vec<(i64, Option<i64>)>,
}

/// A counter that is held.
pub(crate) struct Counter {
    pub uses: Uses<String>,
    pub last_used_at: i64,
    has_changed: bool,
    fresh: Vec<UseRow>,
    removed: Vec<UseRow>,
    /// All uses at the positions where a correction takes people off.
    corrected: BTreeMap<i64, Vec<UseRow>>,
}

/// A use of a correction that takes fewer people off than it did: those whom it took off have left by themselves, or came
/// in after all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UseLeft {
    pub id: String,
    /// At most nothing.
    pub cost: i64,
}

/// As an event states them.
pub(crate) fn uses_left(left: &[UseLeft]) -> Option<Vec<OccupancyUseLeft<'static>>> {
    let stated = |left: &UseLeft| OccupancyUseLeft { cost: left.cost, id: left.id.clone().into() };
    (!left.is_empty()).then(|| left.iter().map(stated).collect())
}

impl Counter {
    fn of(row: &CounterRow) -> Self {
        let uses = Uses::new(row.used, row.horizon);
        Self {
            uses,
            last_used_at: row.last_used_at,
            has_changed: false,
            fresh: Vec::new(),
            removed: Vec::new(),
            corrected: BTreeMap::new(),
        }
    }

    fn row(&self, key: &CounterKey) -> CounterRow {
        let (used, horizon) = (self.uses.total(), self.uses.horizon());
        CounterRow { used, last_used_at: self.last_used_at, horizon, ..row_of(key) }
    }

    /// Counts more of what never lapses.
    pub(crate) fn add(&mut self, cost: u64) {
        // Beyond every horizon: the sum is all there is.
        self.uses = Uses::new(self.uses.total().saturating_add(signed(cost)), self.uses.horizon());
        self.has_changed = true;
    }

    /// Takes back what never lapses.
    pub(crate) fn give_back(&mut self, cost: u64) {
        self.uses = Uses::new(self.uses.total().saturating_sub(signed(cost)).max(0), self.uses.horizon());
        self.has_changed = true;
    }

    /// Counts a grant of what never lapses at another cost.
    pub(crate) fn recount(&mut self, was: u64, cost: u64) {
        if cost < was { self.give_back(was - cost) } else { self.add(cost - was) }
    }

    /// Counts one use at another cost, at `now`, with the horizon so far behind the counter's time. Tells whether it
    /// still counts, and which corrections shrank.
    pub(crate) fn recount_use(&mut self, row: &UseRow, cost: u64, now: i64, behind: i64) -> (bool, Vec<UseLeft>) {
        self.last_used_at = self.last_used_at.max(now);
        self.uses.move_to(self.last_used_at.saturating_sub(behind));
        let counted = self.remove(row);
        self.add_use(UseRow { cost: i64::try_from(cost).unwrap_or(i64::MAX), ..row.clone() });
        (counted, self.shrink_corrections(row.counts_at))
    }

    pub(crate) fn add_use(&mut self, row: UseRow) {
        self.uses.add(row.counts_at, row.grant_id.clone(), row.cost);
        if let Some(here) = self.corrected.get_mut(&row.counts_at) {
            here.push(row.clone());
        }
        self.fresh.push(row);
        self.has_changed = true;
    }

    /// Takes one use away; returns the corrections that shrank with it.
    pub(crate) fn remove_use(&mut self, row: &UseRow) -> Vec<UseLeft> {
        self.remove(row);
        self.shrink_corrections(row.counts_at)
    }

    /// Lets corrections at a position take off no more people than are left there: those whom they took off are accounted
    /// for now, and a counter never says fewer than none.
    fn shrink_corrections(&mut self, at: i64) -> Vec<UseLeft> {
        let Some(here) = self.corrected.get(&at) else { return Vec::new() };
        let mut beyond = here.iter().fold(0_i64, |sum, row| sum.saturating_add(row.cost)).saturating_neg();
        let mut corrections: Vec<UseRow> = here.iter().filter(|row| row.cost < 0).cloned().collect();
        corrections.sort_by(|one, other| one.grant_id.cmp(&other.grant_id));
        let mut left = Vec::new();
        for row in corrections {
            if beyond <= 0 {
                break;
            }
            let cost = row.cost.saturating_add(beyond).min(0);
            beyond = beyond.saturating_sub(cost.saturating_sub(row.cost));
            self.remove(&row);
            left.push(UseLeft { id: row.grant_id.clone(), cost });
            if cost < 0 {
                self.add_use(UseRow { cost, ..row });
            }
        }
        left
    }

    /// Takes one use away; whether it still counted.
    fn remove(&mut self, row: &UseRow) -> bool {
        // One that wasn't read stands beyond what was: it counts.
        self.uses.know(row.counts_at, row.grant_id.clone(), row.cost);
        let counted = row.counts_at > self.uses.horizon();
        self.uses.remove(row.counts_at, &row.grant_id);
        if let Some(here) = self.corrected.get_mut(&row.counts_at) {
            here.retain(|it| it.grant_id != row.grant_id);
        }
        match self.fresh.iter().position(|fresh| fresh.grant_id == row.grant_id && fresh.counts_at == row.counts_at) {
            Some(at) => drop(self.fresh.swap_remove(at)),
            None => self.removed.push(row.clone()),
        }
        self.has_changed = true;
        counted
    }

    /// Lets a use stand at another position; returns the corrections that shrank where it stood.
    pub(crate) fn move_use(&mut self, row: &UseRow, counts_at: i64) -> Vec<UseLeft> {
        self.remove(row);
        self.add_use(UseRow { counts_at, ..row.clone() });
        self.shrink_corrections(row.counts_at)
    }
}

/// Locks the counters, making those that are missing, and reads what the horizons will pass over.
pub(crate) fn lock(
    conn: &mut AnyConnection,
    wanted: &BTreeMap<CounterKey, Wanted>,
) -> Result<BTreeMap<CounterKey, Counter>, DatabaseError> {
    let rows: Vec<CounterRow> = wanted.keys().map(row_of).collect();
    let mut locked = Vec::with_capacity(rows.len());
    // Bounded binds a statement: SQLite takes 32,766.
    for chunk in rows.chunks(1000) {
        locked.extend(store::lock_counters(conn, chunk)?);
    }
    read_uses(conn, wanted, &locked)
}

/// The counters as they stand, whose uses never lapse: for a batch that is written only if nobody has recorded anything
/// since. Nothing is locked or made.
pub(crate) fn find(
    conn: &mut AnyConnection,
    wanted: &BTreeMap<CounterKey, Wanted>,
) -> Result<BTreeMap<CounterKey, Counter>, DatabaseError> {
    let mut counters: BTreeMap<CounterKey, Counter> =
        wanted.keys().map(|key| (key.clone(), Counter::of(&row_of(key)))).collect();
    let rows: Vec<CounterRow> = wanted.keys().map(row_of).collect();
    for row in store::find_counters(conn, &rows)? {
        counters.insert(key_of_row(&row), Counter::of(&row));
    }
    refuse_negative(&counters)?;
    Ok(counters)
}

/// Nobody's doing but of who changed rows by hand: it would admit any number.
fn refuse_negative(counters: &BTreeMap<CounterKey, Counter>) -> Result<(), DatabaseError> {
    let Some((key, counter)) = counters.iter().find(|(_, counter)| counter.uses.total() < 0) else { return Ok(()) };
    let [_, _, limit, scope, _] = key;
    Err(DatabaseError::corrupt("limit counter", format!("`{limit}` of {scope} says {}", counter.uses.total())))
}

/// The rows of those that have changed, whose uses never lapse, sorted.
pub(crate) fn changed(counters: &BTreeMap<CounterKey, Counter>) -> Vec<CounterRow> {
    let changed = counters.iter().filter(|(_, counter)| counter.has_changed);
    changed.map(|(key, counter)| counter.row(key)).collect()
}

/// The counters as they stand: nothing is locked or made.
pub(crate) fn peek(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    wanted: &BTreeMap<CounterKey, Wanted>,
) -> Result<BTreeMap<CounterKey, Counter>, DatabaseError> {
    let keys: Vec<[&str; 4]> =
        wanted.keys().map(|[_, perk, limit, scope, window]| [perk, limit, scope, window].map(String::as_str)).collect();
    let found = store::list_counters(conn, merchant, &keys)?;
    let mut found: BTreeMap<_, _> = found.into_iter().map(|row| (key_of_row(&row), row)).collect();
    let rows: Vec<CounterRow> = wanted.keys().map(|key| found.remove(key).unwrap_or_else(|| row_of(key))).collect();
    read_uses(conn, wanted, &rows)
}

/// Reads the corrections where these uses stand, whose counters are locked.
pub(crate) fn read_corrections<'a>(
    conn: &mut AnyConnection,
    counters: &mut BTreeMap<CounterKey, Counter>,
    uses: impl Iterator<Item = &'a UseRow>,
) -> Result<(), DatabaseError> {
    let held: Vec<&UseRow> = uses.filter(|row| row.stay > 0).collect();
    // Few or none: the others there are read only for these.
    let corrections = standing::list_beside(conn, &held, true)?;
    let rows = standing::list_beside(conn, &corrections.iter().collect::<Vec<_>>(), false)?;
    for row in rows {
        if let Some(counter) = counters.get_mut(&key_of(&row)) {
            let here = counter.corrected.entry(row.counts_at).or_default();
            if !here.iter().any(|known| known.grant_id == row.grant_id) {
                here.push(row);
            }
        }
    }
    Ok(())
}

fn read_uses(
    conn: &mut AnyConnection,
    wanted: &BTreeMap<CounterKey, Wanted>,
    rows: &[CounterRow],
) -> Result<BTreeMap<CounterKey, Counter>, DatabaseError> {
    let mut counters = BTreeMap::new();
    let mut passed = Vec::new();
    let mut ahead = Vec::new();
    for row in rows {
        let key = key_of_row(row);
        let horizons = wanted.get(&key).into_iter().flat_map(|wanted| &wanted.horizons);
        let ends = horizons.filter_map(|(at, behind)| Some(row.last_used_at.max(*at).saturating_sub((*behind)?)));
        if let Some((low, high)) = ends.fold(None, |ends: Option<(i64, i64)>, at| {
            Some(ends.map_or((at, at), |(low, high)| (low.min(at), high.max(at))))
        }) {
            let between = (low.min(row.horizon), low.max(row.horizon));
            passed.push(UsesWanted {
                counter: row.clone(),
                after: between.0,
                after_grant: AFTER_ALL.into(),
                until: between.1,
            });
            ahead.push(UsesWanted { counter: row.clone(), after: low, after_grant: AFTER_ALL.into(), until: high });
        }
        counters.insert(key, Counter::of(row));
    }
    for (wanted, sum) in passed.iter().zip(store::sum_uses(conn, &passed)?) {
        if let Some(counter) = counters.get_mut(&key_of_row(&wanted.counter)) {
            let forward = wanted.after == wanted.counter.horizon;
            let (used, low) = (counter.uses.total(), if forward { wanted.until } else { wanted.after });
            let used = if forward { used.saturating_sub(sum) } else { used.saturating_add(sum) };
            counter.uses = Uses::new(used, low);
        }
    }
    refuse_negative(&counters)?;
    while !ahead.is_empty() {
        let pages = store::list_uses(conn, &ahead)?;
        let mut more = Vec::new();
        for (wanted, page) in ahead.into_iter().zip(pages) {
            let Some(counter) = counters.get_mut(&key_of_row(&wanted.counter)) else { continue };
            for row in &page {
                counter.uses.know(row.counts_at, row.grant_id.clone(), row.cost);
            }
            let beyond = page.iter().filter(|row| row.counts_at > wanted.until).count();
            if let Some(last) = page.last().filter(|_| page.len() == PAGE_OF_USES && beyond < AHEAD) {
                more.push(UsesWanted { after: last.counts_at, after_grant: last.grant_id.clone(), ..wanted });
            }
        }
        ahead = more;
    }
    Ok(counters)
}

/// Sorts behind every id, so that a position is passed over whole.
const AFTER_ALL: &str = "~";

/// Writes back what has changed.
pub(crate) fn store(conn: &mut AnyConnection, counters: BTreeMap<CounterKey, Counter>) -> Result<(), DatabaseError> {
    let changed = changed(&counters);
    let (mut fresh, mut removed) = (Vec::new(), Vec::new());
    for counter in counters.into_values().filter(|counter| counter.has_changed) {
        fresh.extend(counter.fresh);
        removed.extend(counter.removed);
    }
    for chunk in changed.chunks(1000) {
        store::update_counters(conn, chunk)?;
    }
    store::delete_uses(conn, &removed)?;
    for chunk in fresh.chunks(1000) {
        store::insert_uses(conn, chunk)?;
    }
    Ok(())
}

/// Forgets uses that stand at or behind `lapsed`, where no horizon goes back to.
pub(crate) fn forget(conn: &mut AnyConnection, rows: &[UseRow], lapsed: i64) -> Result<(), DatabaseError> {
    let wanted: BTreeMap<CounterKey, Wanted> = rows.iter().map(|row| (key_of(row), Wanted::default())).collect();
    let mut counters = lock(conn, &wanted)?;
    // One that slept has them in its sum still, and could not take them off any more.
    let asleep = counters.iter().filter(|(_, counter)| counter.uses.horizon() < lapsed);
    let asleep: Vec<UsesWanted> = asleep
        .map(|(key, counter)| UsesWanted {
            counter: row_of(key),
            after: counter.uses.horizon(),
            after_grant: AFTER_ALL.into(),
            until: lapsed,
        })
        .collect();
    for (wanted, sum) in asleep.iter().zip(store::sum_uses(conn, &asleep)?) {
        if let Some(counter) = counters.get_mut(&key_of_row(&wanted.counter)) {
            counter.uses = Uses::new(counter.uses.total().saturating_sub(sum), lapsed);
            counter.has_changed = true;
        }
    }
    store(conn, counters)?;
    store::delete_uses(conn, rows)
}

/// The places that these grants hold.
pub(crate) fn list_holds<'a>(
    conn: &mut AnyConnection,
    grants: impl Iterator<Item = &'a str>,
) -> Result<HashMap<String, Vec<UseRow>>, DatabaseError> {
    let mut holds: HashMap<String, Vec<UseRow>> = HashMap::new();
    for row in store::list_uses_of(conn, &grants.collect::<Vec<_>>())? {
        if row.stay > 0 {
            holds.entry(row.grant_id.clone()).or_default().push(row);
        }
    }
    Ok(holds)
}

/// The counter that a use is counted by.
pub(crate) fn key_of(row: &UseRow) -> CounterKey {
    [&row.merchant_id, &row.perk_id, &row.limit_id, &row.scope_key, &row.window_key].map(Clone::clone)
}

fn key_of_row(row: &CounterRow) -> CounterKey {
    [&row.merchant_id, &row.perk_id, &row.limit_id, &row.scope_key, &row.window_key].map(Clone::clone)
}

fn row_of(key: &CounterKey) -> CounterRow {
    let [merchant_id, perk_id, limit_id, scope_key, window_key] = key.clone();
    CounterRow { merchant_id, perk_id, limit_id, scope_key, window_key, used: 0, last_used_at: 0, horizon: 0 }
}

fn signed(cost: u64) -> i64 {
    i64::try_from(cost).unwrap_or(i64::MAX)
}
