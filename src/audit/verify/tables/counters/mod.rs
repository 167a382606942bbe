//! Limit counters against the events of one merchant: every `used` is a running count. `corrections`: of grants that
//! count another number of people.

mod corrections;

use crate::audit::reader::body::{CheckFacts, EndFacts, LimitFacts, RedeemFacts};
use crate::audit::reader::instant::Instant;
use crate::audit::verify::findings::{At, FindingPlace, Findings, Wrong};
use crate::audit::verify::fingerprints::{ByFingerprint, Fingerprints};
use crate::audit::verify::missing_events::Gaps;
use crate::audit::verify::store::{self, CounterRow, UseRow};
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::write::uses::Uses;
use crate::rules::limit::{CONCURRENT, LIFETIME, ROLLING, is_across_perks};
use crate::rules::window::LONGEST_WINDOW;

/// The counters of one log as its events have them: 50 bytes for each, and for each use that lapses
/// by itself, which is what bounds how large a merchant can be verified in memory.
#[derive(Default)]
pub(crate) struct Counters {
    fingerprints: Fingerprints,
    counted: ByFingerprint<u128, Counted>,
    /// By counter and grant: where each use of a rolling or concurrent counter stands.
    uses: ByFingerprint<(u128, u128), CounterState>,
}

/// Corrections shrink where those whom they took off are found to have left.
const FEWER_THAN_NONE: &str = "a counter says fewer than none";

struct Counted {
    used: u64,
    /// The check that used it last.
    index: i64,
    /// Where uses lapse one by one.
    uses: Option<Box<Uses<u128>>>,
    /// It has no window, so nothing that used it is ever pruned.
    is_for_ever: bool,
}

#[derive(Clone, Copy)]
struct CounterState {
    counts_at: i64,
    cost: i64,
    index: i64,
}

impl Counters {
    pub(crate) fn new(fingerprints: Fingerprints) -> Self {
        Self { fingerprints, ..Self::default() }
    }

    /// A check that touched limits. Events before it that are not here may have used the same counters.
    pub(crate) fn take(
        &mut self,
        at: At<'_>,
        decided: Instant,
        check: &CheckFacts<'_>,
        gaps: &Gaps,
        findings: &mut Findings,
    ) {
        let is_granted = &*check.decision == "granted";
        let mut has_refused = false;
        for limit in &check.limits {
            has_refused |= limit.used.saturating_add(limit.cost) > limit.max;
            let may_pass = limit.past_max == Some(true) && check.override_reason.is_some();
            if limit.past_max == Some(true) && !(may_pass && is_granted && limit.used > limit.max) {
                findings.add(at, Wrong::Incoherent { reason: "only an override that had no room goes past a maximum" });
            }
            if is_granted && limit.used > limit.max && !may_pass {
                let wrong = Wrong::Overrun { limit: limit.id.to_string(), used: limit.used, max: limit.max };
                findings.add(at, wrong);
            }
            let counted = match limit.horizon {
                None => self.take_sum(at, check, limit, is_granted, gaps, decided),
                Some(horizon) => self.take_use((at, &mut *findings), check, limit, horizon.0, gaps),
            };
            if counted != limit.used {
                let wrong = Wrong::Used { limit: limit.id.to_string(), said: limit.used, counted };
                findings.add(at, wrong);
            }
        }
        if !is_granted && !check.limits.is_empty() && !has_refused {
            findings.add(at, Wrong::Incoherent { reason: "it was refused though every limit had room" });
        }
    }

    /// Returns what a counter that only adds up stands at by the events so far, this one included.
    fn take_sum(
        &mut self,
        at: At<'_>,
        check: &CheckFacts<'_>,
        limit: &LimitFacts<'_>,
        is_granted: bool,
        gaps: &Gaps,
        decided: Instant,
    ) -> u64 {
        let cost = if is_granted { limit.cost } else { 0 };
        let key = counter_of(&self.fingerprints, &check.perk_id, &limit.id, &limit.scope, &limit.window);
        let may_lack = gaps.may_count(&limit.window, decided.0);
        // What was counted before a gap may not be all.
        let is_whole = |counted: &&Counted| !may_lack || counted.is_for_ever || !gaps.is_behind(counted.index);
        let known = self.counted.get(&key).filter(is_whole).map(|counted| counted.used);
        let before = match known {
            None if may_lack => limit.used.saturating_sub(cost),
            known => known.unwrap_or(0),
        };
        // Go on from what the event says: one that is missing is reported once, not at every event after.
        if is_granted {
            let is_for_ever = &*limit.window == LIFETIME;
            self.counted.insert(key, Counted { used: limit.used, index: at.index, uses: None, is_for_ever });
        } else if let Some(counted) = self.counted.get_mut(&key) {
            counted.used = limit.used;
        }
        before.saturating_add(cost)
    }

    /// The same where uses lapse one by one.
    fn take_use(
        &mut self,
        (at, findings): (At<'_>, &mut Findings),
        check: &CheckFacts<'_>,
        limit: &LimitFacts<'_>,
        horizon: i64,
        gaps: &Gaps,
    ) -> u64 {
        let key = counter_of(&self.fingerprints, &check.perk_id, &limit.id, &limit.scope, &limit.window);
        let counted =
            self.counted.entry(key).or_insert(Counted { used: 0, index: at.index, uses: None, is_for_ever: false });
        let uses = counted.uses.get_or_insert_default();
        uses.move_to(horizon);
        if let (Some(counts_at), Some(grant)) = (limit.counts_at, &check.grant) {
            let (grant, counts_at) = (self.fingerprints.of(&[&grant.id]), counts_at.0);
            let cost = signed(limit.cost);
            uses.add(counts_at, grant, cost);
            counted.index = at.index;
            self.uses.insert((key, grant), CounterState { counts_at, cost, index: at.index });
        }
        let may_lack = gaps.may_count(&limit.window, horizon);
        if uses.total() < 0 && !may_lack {
            findings.add(at, Wrong::Incoherent { reason: FEWER_THAN_NONE });
        }
        match uses.total() {
            // There may be more than can be counted here; and of a part of the log, fewer, which others gave back.
            sum if may_lack && (gaps.is_part() || signed(limit.used) > sum) => limit.used,
            _ => uses.sum(),
        }
    }

    /// A guest comes in: the places that the grant holds are held for longer.
    pub(crate) fn enter(&mut self, grant: &str, facts: &RedeemFacts<'_>) {
        for hold in facts.holds.iter().flatten() {
            let key = counter_of(&self.fingerprints, &facts.perk_id, &hold.id, &hold.scope, CONCURRENT);
            self.stand(key, self.fingerprints.of(&[grant]), Some(hold.until.0));
            self.shrink(key, hold.corrections.as_deref());
        }
    }

    /// A grant ended and gave back what it used.
    pub(crate) fn give_back(&mut self, grant: &str, facts: &EndFacts<'_>) {
        for part in &facts.returned {
            let key = counter_of(&self.fingerprints, &facts.perk_id, &part.id, &part.scope, &part.window);
            if matches!(&*part.window, ROLLING | CONCURRENT) {
                self.stand(key, self.fingerprints.of(&[grant]), None);
                self.shrink(key, part.corrections.as_deref());
            } else if let Some(counted) = self.counted.get_mut(&key) {
                counted.used = counted.used.saturating_sub(part.cost);
            }
        }
    }

    /// Lets a use stand elsewhere, or nowhere any more.
    fn stand(&mut self, key: u128, grant: u128, counts_at: Option<i64>) {
        let Some(before) = self.uses.remove(&(key, grant)) else { return };
        let Some(uses) = self.counted.get_mut(&key).and_then(|counted| counted.uses.as_mut()) else { return };
        uses.remove(before.counts_at, &grant);
        if let Some(counts_at) = counts_at {
            uses.add(counts_at, grant, before.cost);
            self.uses.insert((key, grant), CounterState { counts_at, ..before });
        }
    }

    /// Compares with the merchant's counters; returns how many there are. `newest` is when the newest event of any
    /// log was.
    pub(crate) fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        (gaps, newest): (&Gaps, Option<i64>),
        findings: &mut Findings,
    ) -> Result<u64, DatabaseError> {
        let mut rows = 0;
        let mut swept = Swept::behind(newest);
        let mut trusted = Trusted::default();
        let mut last: Option<CounterRow> = None;
        loop {
            let page = store::list_counters(conn, merchant, last.as_ref())?;
            for row in &page {
                rows += 1;
                let key = self.fingerprints.of(&[&row.perk_id, &row.limit_id, &row.scope_key, &row.window_key]);
                let may_lack = gaps.may_have_counted(&row.window_key, row.horizon);
                if may_lack && matches!(&*row.window_key, ROLLING | CONCURRENT) {
                    trusted.insert(key, Unproven { horizon: row.horizon, left: row.used });
                }
                let (counted, may_be_more) = match self.counted.remove(&key) {
                    None => (0, may_lack),
                    Some(Counted { uses: Some(mut uses), .. }) => {
                        swept.meet(key, row.horizon);
                        uses.move_to(row.horizon);
                        (uses.total(), may_lack)
                    }
                    // What was counted of it before a gap may since have been given back.
                    Some(Counted { index, is_for_ever: false, .. }) if may_lack && gaps.is_behind(index) => continue,
                    Some(counted) => (signed(counted.used), false),
                };
                if row.used != counted && !(may_be_more && row.used > counted) {
                    // Reported, and not again below.
                    trusted.remove(&key);
                    let wrong = Wrong::Counter { counter: name_of(row), stored: row.used, counted };
                    findings.add(FindingPlace::log(log), wrong);
                }
            }
            if page.len() < store::PAGE {
                break;
            }
            last = page.into_iter().next_back();
        }
        let left = |counted: &Counted| counted.uses.as_ref().map_or(counted.used, |uses| uses.sum());
        let missing = self.counted.into_values().filter(|it| left(it) > 0);
        let mut missing: Vec<(i64, u64)> = missing.map(|it| (it.index, left(&it))).collect();
        missing.sort_unstable();
        for (index, counted) in missing {
            findings.add(FindingPlace::index(log, index), Wrong::CounterMissing { counted });
        }
        close_uses(conn, &self.fingerprints, (self.uses, &swept), &mut trusted, (log, merchant), gaps, findings)?;
        if trusted.values().any(|it| it.left != 0) {
            name_trusted(conn, &self.fingerprints, &trusted, (log, merchant), findings)?;
        }
        Ok(rows)
    }
}

/// Which rows of single uses the ledger may have forgotten: those that no window reaches from the
/// newest event, and that their counters have taken off their sums.
struct Swept {
    until: i64,
    /// Counters whose horizon lies behind that.
    asleep: ByFingerprint<u128, i64>,
}

impl Swept {
    fn behind(newest: Option<i64>) -> Self {
        let until = newest.map_or(i64::MIN, |newest| newest.saturating_sub(LONGEST_WINDOW.micros()));
        Self { until, asleep: ByFingerprint::default() }
    }

    fn meet(&mut self, counter: u128, horizon: i64) {
        if horizon < self.until {
            self.asleep.insert(counter, horizon);
        }
    }

    fn may_lack(&self, counter: u128, counts_at: i64) -> bool {
        counts_at <= self.until && self.asleep.get(&counter).is_none_or(|horizon| counts_at <= *horizon)
    }
}

/// Counters of which pruned events may have used more than the others record: their own single uses must add up
/// to what they stand at.
type Trusted = ByFingerprint<u128, Unproven>;

struct Unproven {
    horizon: i64,
    /// The amount that no use accounts for yet.
    left: i64,
}

/// Every such counter whose uses add up to something else.
fn name_trusted(
    conn: &mut AnyConnection,
    fingerprints: &Fingerprints,
    trusted: &Trusted,
    (log, merchant): (&str, &str),
    findings: &mut Findings,
) -> Result<(), DatabaseError> {
    let mut last: Option<CounterRow> = None;
    loop {
        let page = store::list_counters(conn, merchant, last.as_ref())?;
        for row in &page {
            let key = fingerprints.of(&[&row.perk_id, &row.limit_id, &row.scope_key, &row.window_key]);
            if let Some(Unproven { left, .. }) = trusted.get(&key).filter(|it| it.left != 0) {
                let counter = name_of(row);
                let wrong = Wrong::CounterUses { counter, stored: row.used, uses: row.used.saturating_sub(*left) };
                findings.add(FindingPlace::log(log), wrong);
            }
        }
        if page.len() < store::PAGE {
            return Ok(());
        }
        last = page.into_iter().next_back();
    }
}

fn name_of(row: &CounterRow) -> String {
    format!("{} {} {}", &*row.limit_id, &*row.scope_key, &*row.window_key)
}

/// Holds the rows of single uses to the events.
fn close_uses(
    conn: &mut AnyConnection,
    fingerprints: &Fingerprints,
    (mut expected, swept): (ByFingerprint<(u128, u128), CounterState>, &Swept),
    trusted: &mut Trusted,
    (log, merchant): (&str, &str),
    gaps: &Gaps,
    findings: &mut Findings,
) -> Result<(), DatabaseError> {
    let mut last: Option<UseRow> = None;
    loop {
        let page = store::list_uses(conn, merchant, last.as_ref())?;
        for row in &page {
            let key = fingerprints.of(&[&row.perk_id, &row.limit_id, &row.scope_key, &row.window_key]);
            let named = || (row.grant_id.to_string(), row.limit_id.to_string());
            if !trusted.is_empty()
                && let Some(counter) = trusted.get_mut(&key).filter(|counter| row.counts_at > counter.horizon)
            {
                counter.left = counter.left.saturating_sub(row.cost);
            }
            match expected.remove(&(key, fingerprints.of(&[&row.grant_id]))) {
                None if gaps.may_count(&row.window_key, row.counts_at) => {}
                None => {
                    let (grant, limit) = named();
                    findings.add(FindingPlace::log(log), Wrong::UseWithoutEvent { grant, limit });
                }
                Some(use_) if use_.counts_at != row.counts_at || use_.cost != row.cost => {
                    let (grant, limit) = named();
                    findings.add(FindingPlace::index(log, use_.index), Wrong::Use { grant, limit });
                }
                Some(_) => {}
            }
        }
        if page.len() < store::PAGE {
            break;
        }
        last = page.into_iter().next_back();
    }
    let missed = expected.into_iter().filter(|((counter, _), use_)| !swept.may_lack(*counter, use_.counts_at));
    let mut missing: Vec<i64> = missed.map(|(_, use_)| use_.index).collect();
    missing.sort_unstable();
    for index in missing {
        findings.add(FindingPlace::index(log, index), Wrong::UseMissing);
    }
    Ok(())
}

fn signed(cost: u64) -> i64 {
    i64::try_from(cost).unwrap_or(i64::MAX)
}

fn counter_of(fingerprints: &Fingerprints, perk: &str, limit: &str, scope: &str, window: &str) -> u128 {
    let perk = if is_across_perks(scope) { "" } else { perk };
    fingerprints.of(&[perk, limit, scope, window])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_shared_when_its_scope_names_the_merchant_and_no_perk() {
        for (scope, is_shared) in [
            ("/merchant/mer_1", true),
            ("/subject/sub_1/merchant/mer_1", true),
            ("/location//kiosk/perk/merchant/mer_1", true),
            ("/perk/merchant/mer_1", false),
            ("/subject/sub_1", false),
            ("/perk", false),
            ("/tier/merchant", false),
            ("/kiosk/a~1merchant~1b", false),
        ] {
            assert_eq!(is_across_perks(scope), is_shared, "{scope}");
        }
    }

    fn check(decision: &str, cost: u64, used: u64) -> String {
        format!(
            r#"{{"perk":"p","perk_id":"prk_1","rule_version":1,"rule_hash":"h","decision":"{decision}","tier":null,"subject":"sub_1",
            "limits":[{{"id":"day","scope":"/perk","window":"w","cost":{cost},"max":3,"used":{used}}}],"grant":null}}"#
        )
    }

    fn codes(events: &[(&str, u64, u64)], has_gaps: bool) -> Vec<(i64, &'static str)> {
        let (mut counters, mut findings, mut gaps) = (Counters::default(), Findings::default(), Gaps::default());
        if has_gaps {
            gaps.pruned(-1, None);
        }
        for (index, (decision, cost, used)) in (0..).zip(events) {
            let text = check(decision, *cost, *used);
            counters.take(
                At { log: "a", index, event: "", line: None },
                Instant(index),
                &serde_json::from_str(&text).unwrap(),
                &gaps,
                &mut findings,
            );
        }
        findings.listed().iter().map(|it| (it.place.index.unwrap(), it.wrong.code())).collect()
    }

    #[test]
    fn used_runs_on_from_event_to_event() {
        let good = [("granted", 1, 1), ("granted", 2, 3), ("denied", 1, 3), ("denied", 2, 3)];
        assert_eq!(codes(&good, false), []);
        assert_eq!(codes(&[("granted", 1, 2), ("granted", 1, 3)], false), [(0, "used_mismatch")]);
        assert_eq!(codes(&[("granted", 1, 2), ("granted", 1, 3)], true), []);
        assert_eq!(codes(&[("granted", 1, 1), ("granted", 1, 1)], true), [(1, "used_mismatch")]);
        assert_eq!(codes(&[("granted", 3, 3), ("granted", 1, 4)], false), [(1, "limit_overrun")]);
        assert_eq!(codes(&[("granted", 1, 1), ("denied", 1, 1)], false), [(1, "event_incoherent")]);
        assert_eq!(codes(&[("granted", 1, 1), ("denied", 1, 3)], false), [(1, "used_mismatch")]);
    }
}
