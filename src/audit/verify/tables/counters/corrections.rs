//! Corrections: the counters of a grant go on from another cost, that of a place from another number of people inside.

use super::{Counted, CounterState, Counters, counter_of, signed};
use crate::audit::reader::guests::{
    CorrectionFacts, OccupancyFacts, OccupancyOfLimitFacts, OccupancyUseFacts, RecountFacts, UseLeftFacts,
};
use crate::audit::reader::instant::Instant;
use crate::audit::verify::findings::{At, Findings, Wrong};
use crate::audit::verify::missing_events::Gaps;
use crate::ledger::occupancy::MOST;
use crate::rules::limit::{CONCURRENT, LIFETIME};

const OF_ANOTHER_NUMBER: &str = "the uses of a correction are of another number of people";

/// One limit of a correction of who is inside.
#[derive(Clone, Copy)]
struct Inside<'a> {
    correction: &'a str,
    perk: &'a str,
    limit: &'a str,
    scope: &'a str,
    now: i64,
    delta: i64,
    used: u64,
    uses: &'a [OccupancyUseFacts<'a>],
}

impl Counters {
    /// A grant was corrected: its counters count it at another cost.
    pub(crate) fn correct(
        &mut self,
        at: At<'_>,
        grant: &str,
        facts: &CorrectionFacts<'_>,
        gaps: &Gaps,
        findings: &mut Findings,
    ) {
        let grant = self.fingerprints.of(&[grant]);
        for limit in &facts.limits {
            if limit.cost != facts.counted {
                findings.add(at, Wrong::Incoherent { reason: "a limit that counts people counts another number" });
            }
            let key = counter_of(&self.fingerprints, &facts.perk_id, &limit.id, &limit.scope, &limit.window);
            let counted = match limit.horizon {
                None => self.recount_sum(at, key, limit, gaps, facts.corrected_at),
                Some(horizon) => self.recount_use((key, grant), limit, horizon.0, gaps),
            };
            if counted != limit.used {
                let wrong = Wrong::Used { limit: limit.id.to_string(), said: limit.used, counted };
                findings.add(at, wrong);
            }
            let counts = limit
                .horizon
                .is_none_or(|horizon| self.uses.get(&(key, grant)).is_some_and(|state| state.counts_at > horizon.0));
            if counts && limit.cost > limit.was_cost && limit.used > limit.max {
                let wrong = Wrong::Overrun { limit: limit.id.to_string(), used: limit.used, max: limit.max };
                findings.add(at, wrong);
            }
        }
    }

    /// More or fewer are inside than were counted, in each limit of the place: uses of their own, which no grant made.
    pub(crate) fn occupy(&mut self, at: At<'_>, facts: &OccupancyFacts<'_>, gaps: &Gaps, findings: &mut Findings) {
        let OccupancyFacts { correction, perk_id, delta, corrected_at, .. } = facts;
        let whole = Inside {
            correction,
            perk: perk_id,
            limit: &facts.limit,
            scope: &facts.scope,
            now: corrected_at.0,
            delta: *delta,
            used: facts.used,
            uses: &facts.uses,
        };
        self.occupy_limit(at, &whole, gaps, findings);
        if *delta == 0 || delta.unsigned_abs() > MOST.unsigned_abs() {
            findings.add(at, Wrong::Incoherent { reason: OF_ANOTHER_NUMBER });
        }
        let mut limits = vec![(&*facts.limit, &*facts.scope)];
        for also in &facts.also {
            let OccupancyOfLimitFacts { id, scope, corrected_at, delta: its, used, uses } = also;
            let (now, delta_is) = (corrected_at.0, *its);
            self.occupy_limit(
                at,
                &Inside { limit: id, scope, now, delta: delta_is, used: *used, uses, ..whole },
                gaps,
                findings,
            );
            // Where fewer are counted, fewer are taken off.
            let is_so = if *delta > 0 { its == delta } else { (*delta..0).contains(its) };
            if !is_so || limits.contains(&(&**id, &**scope)) {
                findings.add(at, Wrong::Incoherent { reason: OF_ANOTHER_NUMBER });
            }
            limits.push((id, scope));
        }
    }

    fn occupy_limit(&mut self, at: At<'_>, inside: &Inside<'_>, gaps: &Gaps, findings: &mut Findings) {
        let key = counter_of(&self.fingerprints, inside.perk, inside.limit, inside.scope, CONCURRENT);
        let now = inside.now;
        let counted =
            self.counted.entry(key).or_insert(Counted { used: 0, index: at.index, uses: None, is_for_ever: false });
        counted.index = at.index;
        let uses = counted.uses.get_or_insert_default();
        uses.move_to(now);
        let may_lack = gaps.may_count(CONCURRENT, now);
        let mut takes_too_many = false;
        for (nth, one) in inside.uses.iter().enumerate() {
            if *one.id != *format!("{}.{nth}", inside.correction) {
                findings.add(at, Wrong::Incoherent { reason: "a use of a correction has another's name" });
                continue;
            }
            let name = self.fingerprints.of(&[&one.id]);
            uses.add(one.until.0, name, one.cost);
            takes_too_many |= one.cost < 0 && uses.sum_at(one.until.0) < 0;
            self.uses.insert((key, name), CounterState { counts_at: one.until.0, cost: one.cost, index: at.index });
        }
        // Those who are inside may have come by events that are not here.
        let lacks = may_lack && (gaps.is_part() || signed(inside.used) > uses.total());
        if signed(inside.used) != uses.total() && !lacks {
            let wrong = Wrong::Used { limit: inside.limit.to_owned(), said: inside.used, counted: uses.sum() };
            findings.add(at, wrong);
        }
        if takes_too_many && !may_lack {
            findings.add(at, Wrong::Incoherent { reason: "a correction takes off more people than are there" });
        }
        if inside.uses.iter().fold(0_i64, |sum, one| sum.saturating_add(one.cost)) != inside.delta {
            findings.add(at, Wrong::Incoherent { reason: OF_ANOTHER_NUMBER });
        }
        if inside.uses.iter().any(|one| one.until.0 <= now || (one.cost < 0) != (inside.delta < 0)) {
            findings.add(at, Wrong::Incoherent { reason: "a use of a correction has lapsed, or has the other sign" });
        }
    }

    /// Corrections take fewer people off from now on. One that is not so is left as it was, and its row differs.
    pub(super) fn shrink(&mut self, key: u128, left: Option<&[UseLeftFacts<'_>]>) {
        for UseLeftFacts { cost, id } in left.into_iter().flatten() {
            let name = self.fingerprints.of(&[id]);
            let Some(state) = self.uses.get_mut(&(key, name)) else { continue };
            let Some(uses) = self.counted.get_mut(&key).and_then(|counted| counted.uses.as_mut()) else { continue };
            if !(state.cost < *cost && *cost <= 0) {
                continue;
            }
            uses.remove(state.counts_at, &name);
            if *cost == 0 {
                self.uses.remove(&(key, name));
            } else {
                state.cost = *cost;
                uses.add(state.counts_at, name, *cost);
            }
        }
    }

    fn recount_sum(&mut self, at: At<'_>, key: u128, limit: &RecountFacts<'_>, gaps: &Gaps, asked: Instant) -> u64 {
        let may_lack = gaps.may_count(&limit.window, asked.0);
        let is_whole = |counted: &&Counted| !may_lack || counted.is_for_ever || !gaps.is_behind(counted.index);
        let known = self.counted.get(&key).filter(is_whole).map(|counted| counted.used);
        let counted = match known {
            None if may_lack => limit.used,
            known => known.unwrap_or(0).saturating_add(limit.cost).saturating_sub(limit.was_cost),
        };
        let is_for_ever = &*limit.window == LIFETIME;
        self.counted.insert(key, Counted { used: limit.used, index: at.index, uses: None, is_for_ever });
        counted
    }

    fn recount_use(&mut self, (key, grant): (u128, u128), limit: &RecountFacts<'_>, horizon: i64, gaps: &Gaps) -> u64 {
        let may_lack = gaps.may_count(&limit.window, horizon);
        let Some(uses) = self.counted.get_mut(&key).and_then(|counted| counted.uses.as_mut()) else {
            return if may_lack { limit.used } else { 0 };
        };
        uses.move_to(horizon);
        let Some(state) = self.uses.get_mut(&(key, grant)) else {
            return if may_lack { limit.used } else { uses.sum() };
        };
        // Held to what it cost by the events before, not to what this one says.
        uses.remove(state.counts_at, &grant);
        state.cost = signed(limit.cost);
        uses.add(state.counts_at, grant, state.cost);
        self.shrink(key, limit.corrections.as_deref());
        match self.counted.get(&key).and_then(|counted| counted.uses.as_ref()) {
            Some(uses) if may_lack && (gaps.is_part() || signed(limit.used) > uses.total()) => limit.used,
            uses => uses.map_or(0, |uses| uses.sum()),
        }
    }
}
